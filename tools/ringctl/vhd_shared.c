/* SPDX-License-Identifier: MIT */
/* What the commands of `ringctl vhd` share: operands, requests, progress, new files. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vhd.h"

/* ---- Operands. ------------------------------------------------------------------------------------------------------ */

enum ringctl_exit vhd_parse_source(const char *text, const char *kind, struct disk_source *ret_source)
{
    char spec[PATH_MAX + 16], folder[PATH_MAX];
    struct disk_error error;
    const char *path = text;
    if (strncmp(text, "vhd:", 4) == 0 || strncmp(text, "raw:", 4) == 0) {
        kind = text[0] == 'v' ? "vhd" : "raw";
        path = text + 4;
    }
    if (kind == NULL)
        return ringctl_fail(RINGCTL_USAGE, "'%s' does not say which kind of image it is: vhd:%s or raw:%s", text, text,
                            text);
    if (path[0] != '/' && getcwd(folder, sizeof folder) == NULL)
        return ringctl_fail(RINGCTL_REFUSED, "cannot find the current folder: %s", strerror(errno));
    int length = path[0] == '/' ? snprintf(spec, sizeof spec, "%s:%s", kind, path)
                                : snprintf(spec, sizeof spec, "%s:%s/%s", kind, folder, path);
    if (length < 0 || (size_t)length >= sizeof spec)
        return ringctl_fail(RINGCTL_REFUSED, "the path is too long");
    if (disk_source_parse(spec, ret_source, &error) < 0)
        return ringctl_fail(RINGCTL_USAGE, "%s", error.text);
    return RINGCTL_OK;
}

enum ringctl_exit vhd_parse_size(const char *text, uint64_t *ret_size)
{
    struct disk_source source;
    struct disk_error error;
    char spec[64];
    if (strlen(text) > 40)
        return ringctl_fail(RINGCTL_USAGE, "'%s' is no size", text);
    snprintf(spec, sizeof spec, "ram:%s", text); /* which has a size of this form */
    if (disk_source_parse(spec, &source, &error) < 0)
        return ringctl_fail(RINGCTL_USAGE, "%s", error.text);
    *ret_size = source.size;
    return RINGCTL_OK;
}

/* ---- Disks. ---------------------------------------------------------------------------------------------------------- */

enum ringctl_exit vhd_open(const struct disk_source *source, bool read_only, struct disk **ret_disk)
{
    struct disk_chain chain = {.fd = -1};
    struct disk_error error = {""};
    int result = disk_chain_open(source, read_only, &chain, &error);
    if (result == 0)
        result = disk_chain_to_disk(&chain, read_only, 4, ret_disk, &error);
    return result == 0 ? RINGCTL_OK : ringctl_fail(RINGCTL_REFUSED, "%s: %s", source->path, error.text);
}

int vhd_io(struct disk *disk, enum disk_op op, uint64_t offset, uint64_t length, void *buffer)
{
    struct iovec iov = {.iov_base = buffer, .iov_len = (size_t)length};
    struct disk_io io = {
        .op = op, .offset = offset, .length = buffer ? 0 : length, .iov = &iov, .iov_count = buffer ? 1 : 0};
    struct disk_io *list = &io;
    disk_submit(disk, &list, 1);
    while (disk_reap(disk, &list, 1) == 0) {
        struct pollfd ready = {.fd = disk_fd(disk), .events = POLLIN};
        if (ready.fd >= 0)
            (void)poll(&ready, 1, -1); /* a signal ends it, and it begins again */
    }
    return io.result;
}

/* ---- Progress. ------------------------------------------------------------------------------------------------------- */

static bool progress_shown;

void vhd_progress(const char *what, uint64_t done, uint64_t total)
{
    static struct timespec last;
    struct timespec now;
    char bar[41];
    if (!isatty(STDERR_FILENO))
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (progress_shown && done < total && now.tv_sec == last.tv_sec && now.tv_nsec - last.tv_nsec < 100000000)
        return;
    last = now;
    progress_shown = true;
    unsigned percent = total ? (unsigned)((double)done / (double)total * 100) : 100;
    for (unsigned i = 0; i < sizeof bar - 1; i++)
        bar[i] = (size_t)i * 100 < (size_t)percent * (sizeof bar - 1) ? '#' : '.';
    bar[sizeof bar - 1] = '\0';
    fprintf(stderr, "\r%s [%s] %3u %%  %" PRIu64 " of %" PRIu64 " MiB ", what, bar, percent, done >> 20, total >> 20);
    if (done == total)
        vhd_progress_end();
}

void vhd_progress_end(void)
{
    if (progress_shown)
        fputc('\n', stderr);
    progress_shown = false;
}

/* ---- New files. ------------------------------------------------------------------------------------------------------ */

enum ringctl_exit vhd_target_begin(const char *path, struct vhd_target *ret_target)
{
    struct stat st;
    char folder[PATH_MAX];
    struct vhd_target target = {.path = path};
    if (lstat(path, &st) == 0)
        return ringctl_fail(RINGCTL_REFUSED, "%s is there already", path);
    if (snprintf(folder, sizeof folder, "%s", path) >= (int)sizeof folder)
        return ringctl_fail(RINGCTL_REFUSED, "the path is too long");
    target.fd = open(dirname(folder), O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
    if (target.fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
        if (snprintf(target.temporary, sizeof target.temporary, "%s.partial", path) >= (int)sizeof target.temporary)
            return ringctl_fail(RINGCTL_REFUSED, "the path is too long");
        target.fd = open(target.temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    }
    if (target.fd < 0)
        return ringctl_fail(RINGCTL_REFUSED, "cannot create %s: %s", target.temporary[0] ? target.temporary : path,
                            strerror(errno));
    *ret_target = target;
    return RINGCTL_OK;
}

enum ringctl_exit vhd_target_commit(struct vhd_target *target)
{
    char link[64], folder[PATH_MAX];
    int result = 0;
    if (fsync(target->fd) < 0)
        return ringctl_fail(RINGCTL_REFUSED, "cannot sync %s: %s", target->path, strerror(errno));
    snprintf(link, sizeof link, "/proc/self/fd/%d", target->fd);
    if (target->temporary[0]) {
        result = renameat2(AT_FDCWD, target->temporary, AT_FDCWD, target->path, RENAME_NOREPLACE);
        if (result == 0)
            target->temporary[0] = '\0';
    } else {
        result = linkat(AT_FDCWD, link, AT_FDCWD, target->path, AT_SYMLINK_FOLLOW);
    }
    if (result < 0)
        return ringctl_fail(RINGCTL_REFUSED, "cannot create %s: %s", target->path, strerror(errno));
    snprintf(folder, sizeof folder, "%s", target->path);
    int fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd); /* the name, too */
        close(fd);
    }
    return RINGCTL_OK;
}

void vhd_target_end(struct vhd_target *target)
{
    if (target->temporary[0])
        unlink(target->temporary);
    close(target->fd);
}

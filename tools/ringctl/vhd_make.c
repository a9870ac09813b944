/* SPDX-License-Identifier: MIT */
/* `ringctl vhd create`, `snapshot` and `convert`. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vhd.h"

enum ringctl_exit vhd_run_create(const struct vhd_options *options, char **operands)
{
    struct disk_error error;
    struct vhd_target target;
    uint64_t size;
    enum ringctl_exit status = vhd_parse_size(operands[0], &size);
    if (status == RINGCTL_OK)
        status = vhd_target_begin(operands[1], &target);
    if (status != RINGCTL_OK)
        return status;
    if (vhd_create(target.fd, options->fixed ? VHD_FIXED : VHD_DYNAMIC, size, &error) < 0)
        status = ringctl_fail(RINGCTL_REFUSED, "%s: %s", operands[1], error.text);
    else
        status = vhd_target_commit(&target);
    vhd_target_end(&target);
    return status;
}

/* ---- Snapshots. ------------------------------------------------------------------------------------------------------ */

/* The path from the folder of the child-to-be to its parent, which must lie below it. */
static enum ringctl_exit find_locator(const char *parent, const char *child, char ret_locator[DISK_LOCATOR_SIZE])
{
    char real_parent[PATH_MAX], real_folder[PATH_MAX], folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", child);
    if (realpath(parent, real_parent) == NULL)
        return ringctl_fail(RINGCTL_REFUSED, "cannot find %s: %s", parent, strerror(errno));
    if (realpath(dirname(folder), real_folder) == NULL)
        return ringctl_fail(RINGCTL_REFUSED, "cannot find the folder of %s: %s", child, strerror(errno));
    size_t length = strcmp(real_folder, "/") == 0 ? 0 : strlen(real_folder);
    if (strncmp(real_parent, real_folder, length) != 0 || real_parent[length] != '/')
        return ringctl_fail(RINGCTL_REFUSED,
                            "%s must be in the folder of %s or below it: images follow no other paths to their parents",
                            parent, child);
    if (strlen(real_parent + length + 1) >= DISK_LOCATOR_SIZE)
        return ringctl_fail(RINGCTL_REFUSED, "the path to the parent is too long");
    snprintf(ret_locator, DISK_LOCATOR_SIZE, "%s", real_parent + length + 1);
    return RINGCTL_OK;
}

/* The size and identifier of what is to be a parent; the whole of its chain must open. The lock is given up: that the parent is not
 * written any more is its owner's to see to. */
static enum ringctl_exit read_parent(const struct disk_source *source, bool raw, uint64_t *ret_size,
                                     uint8_t ret_uuid[DISK_UUID_SIZE])
{
    struct disk *disk;
    struct disk_info info;
    struct disk_error error;
    struct vhd_about about;
    enum ringctl_exit status = vhd_open(source, true, &disk);
    if (status != RINGCTL_OK)
        return status;
    disk_get_info(disk, &info);
    disk_close(disk);
    *ret_size = info.size;
    memset(ret_uuid, 0, DISK_UUID_SIZE);
    if (raw)
        return RINGCTL_OK;
    int fd = disk_source_open(source, true, &error);
    int result = fd < 0 ? fd : vhd_describe(fd, &about, &error);
    if (fd >= 0)
        close(fd);
    if (result < 0)
        return ringctl_fail(RINGCTL_REFUSED, "%s: %s", source->path, error.text);
    memcpy(ret_uuid, about.uuid, DISK_UUID_SIZE);
    return RINGCTL_OK;
}

enum ringctl_exit vhd_run_snapshot(const struct vhd_options *options, char **operands)
{
    struct disk_source source;
    struct disk_error error;
    struct vhd_target target;
    char locator[DISK_LOCATOR_SIZE];
    uint8_t uuid[DISK_UUID_SIZE];
    uint64_t size;
    enum ringctl_exit status = vhd_parse_source(operands[0], options->raw ? "raw" : "vhd", &source);
    if (status == RINGCTL_OK)
        status = find_locator(source.path, operands[1], locator);
    if (status == RINGCTL_OK)
        status = read_parent(&source, strcmp(disk_kind_name(source.kind), "raw") == 0, &size, uuid);
    if (status == RINGCTL_OK)
        status = vhd_target_begin(operands[1], &target);
    if (status != RINGCTL_OK)
        return status;
    if (vhd_create_child(target.fd, size, uuid, locator, &error) < 0)
        status = ringctl_fail(RINGCTL_REFUSED, "%s: %s", operands[1], error.text);
    else
        status = vhd_target_commit(&target);
    vhd_target_end(&target);
    return status;
}

/* ---- Copies. --------------------------------------------------------------------------------------------------------- */

static bool is_zero(const uint8_t *bytes, size_t length)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0;
}

static enum ringctl_exit copy_all(struct disk *from, struct disk *to, uint64_t size, uint8_t *buffer)
{
    for (uint64_t at = 0; at < size;) {
        size_t length = size - at < VHD_CHUNK ? (size_t)(size - at) : VHD_CHUNK;
        vhd_progress("copying", at, size);
        if (vhd_interrupted())
            return ringctl_fail(RINGCTL_REFUSED, "interrupted: nothing was made");
        int result = vhd_io(from, DISK_READ, at, length, buffer);
        if (result < 0)
            return ringctl_fail(RINGCTL_REFUSED, "cannot read at byte %llu: %s", (unsigned long long)at,
                                strerror(-result));
        result = is_zero(buffer, length) ? 0 : vhd_io(to, DISK_WRITE, at, length, buffer);
        if (result < 0)
            return ringctl_fail(RINGCTL_REFUSED, "cannot write at byte %llu: %s", (unsigned long long)at,
                                strerror(-result));
        at += length;
    }
    vhd_progress("copying", size, size);
    int result = vhd_io(to, DISK_FLUSH, 0, 0, NULL);
    return result < 0 ? ringctl_fail(RINGCTL_REFUSED, "cannot sync the new image: %s", strerror(-result)) : RINGCTL_OK;
}

/* Makes the empty image and opens it as a disk. */
static enum ringctl_exit make_empty(const struct vhd_target *target, const struct disk_source *source, bool fixed,
                                    uint64_t size, struct disk **ret_disk)
{
    struct disk_error error;
    bool raw = strcmp(disk_kind_name(source->kind), "raw") == 0;
    int result = 0;
    if (!raw)
        result = vhd_create(target->fd, fixed ? VHD_FIXED : VHD_DYNAMIC, size, &error);
    else if (ftruncate(target->fd, (off_t)size) < 0)
        return ringctl_fail(RINGCTL_REFUSED, "cannot make %s as large as that: %s", source->path, strerror(errno));
    struct disk_params params = {.kind = source->kind, .fence_fd = -1, .plain = true, .depth = 4};
    if (result == 0) {
        params.fd = fcntl(target->fd, F_DUPFD_CLOEXEC, 0);
        if (params.fd < 0)
            return ringctl_fail(RINGCTL_REFUSED, "cannot use the new file: %s", strerror(errno));
        result = disk_open(&params, ret_disk, &error);
    }
    return result < 0 ? ringctl_fail(RINGCTL_REFUSED, "%s: %s", source->path, error.text) : RINGCTL_OK;
}

static enum ringctl_exit convert(struct disk *from, const struct disk_source *source, const struct vhd_target *target,
                                 bool fixed)
{
    struct disk_info info;
    struct disk *to = NULL;
    void *buffer = NULL;
    disk_get_info(from, &info);
    enum ringctl_exit status = make_empty(target, source, fixed, info.size, &to);
    if (status != RINGCTL_OK)
        return status;
    if (posix_memalign(&buffer, 4096, VHD_CHUNK) != 0)
        status = ringctl_fail(RINGCTL_REFUSED, "out of memory");
    else
        status = copy_all(from, to, info.size, buffer);
    vhd_progress_end();
    free(buffer);
    disk_close(to);
    return status;
}

enum ringctl_exit vhd_run_convert(const struct vhd_options *options, char **operands)
{
    struct disk_source from_source, to_source;
    struct vhd_target target;
    struct disk *from;
    enum ringctl_exit status = vhd_parse_source(operands[0], NULL, &from_source);
    if (status == RINGCTL_OK)
        status = vhd_parse_source(operands[1], NULL, &to_source);
    if (status == RINGCTL_OK && options->fixed && strcmp(disk_kind_name(to_source.kind), "vhd") != 0)
        status = ringctl_fail(RINGCTL_USAGE, "--fixed is for a vhd image");
    if (status == RINGCTL_OK)
        status = vhd_open(&from_source, true, &from);
    if (status != RINGCTL_OK)
        return status;
    status = vhd_target_begin(to_source.path, &target);
    if (status == RINGCTL_OK) {
        status = convert(from, &to_source, &target, options->fixed);
        if (status == RINGCTL_OK)
            status = vhd_target_commit(&target);
        vhd_target_end(&target);
    }
    disk_close(from);
    return status;
}

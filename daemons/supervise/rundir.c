/* SPDX-License-Identifier: MIT */
/*
 * Run directories: see rundir.h. Nothing here trusts a name it finds; nothing follows a symbolic link.
 */
#include "rundir.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORKER_FILE     "worker"
#define WORKER_TEXT_MAX 64u
#define DIRECTORY_MODE  (S_IRWXU)
#define FILE_MODE       (S_IRUSR | S_IWUSR)

/* ---- Directories. ---------------------------------------------------------------------------------------------------- */

int rundir_open(const char *path)
{
    char part[PATH_MAX];
    size_t length = strlen(path);
    int fd;

    if (length == 0 || length >= sizeof(part))
        return -ENAMETOOLONG;
    memcpy(part, path, length + 1);
    for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash != NULL)
            *slash = '\0';
        if (mkdir(part, DIRECTORY_MODE) < 0 && errno != EEXIST)
            return -errno;
        if (slash == NULL)
            break;
        *slash = '/';
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int rundir_find(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

int rundir_enter(int dir, const char *name)
{
    if (mkdirat(dir, name, DIRECTORY_MODE) < 0 && errno != EEXIST)
        return -errno;
    return rundir_find(dir, name);
}

static DIR *open_stream(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *stream;

    if (fd < 0)
        return NULL;
    stream = fdopendir(fd);
    if (stream == NULL)
        close(fd);
    return stream;
}

int rundir_each(int dir, int (*found)(void *arg, int dir, const char *name), void *arg)
{
    DIR *stream = open_stream(dir, ".");
    const struct dirent *entry;
    int err = 0;

    if (stream == NULL)
        return -errno;
    while (err >= 0 && (entry = readdir(stream)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            err = found(arg, dir, entry->d_name);
    }
    closedir(stream);
    return err < 0 ? err : 0;
}

static int remove_found(void *arg, int dir, const char *name)
{
    (void)arg;
    return rundir_remove(dir, name);
}

int rundir_remove(int dir, const char *name)
{
    int sub;
    int err;

    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR)
        return -errno;
    sub = rundir_find(dir, name);
    if (sub < 0)
        return sub == -ENOENT ? 0 : sub;
    err = rundir_each(sub, remove_found, NULL);
    close(sub);
    if (err == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        err = -errno;
    return err;
}

/* ---- Names. ----------------------------------------------------------------------------------------------------------- */

static bool identity_is_valid(const char *identity)
{
    if (identity[0] == '\0')
        return false;
    for (const char *at = identity; *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at) && *at != '-' && *at != '.')
            return false;
    }
    return true;
}

/* Strict decimal of 32 bits, at most up to `end`; without it a name could be written in several ways. */
static int parse_number(const char *text, char end, uint32_t *ret_number, const char **ret_rest)
{
    uint64_t number = 0;
    const char *at = text;

    if (!isdigit((unsigned char)*at) || (*at == '0' && isdigit((unsigned char)at[1])))
        return -EINVAL;
    for (; isdigit((unsigned char)*at); at++) {
        number = number * 10 + (uint64_t)(*at - '0');
        if (number > UINT32_MAX)
            return -EINVAL;
    }
    if (*at != end)
        return -EINVAL;
    *ret_number = (uint32_t)number;
    *ret_rest = at;
    return 0;
}

int rundir_guest_name(uint32_t domid, const char *identity, char ret_name[RUNDIR_NAME_SIZE])
{
    char name[RUNDIR_NAME_SIZE];
    int length;

    if (!identity_is_valid(identity))
        return -EINVAL;
    length = snprintf(name, sizeof(name), "%" PRIu32 "-%s", domid, identity);
    if (length < 0 || (size_t)length >= sizeof(name))
        return -ENAMETOOLONG;
    memcpy(ret_name, name, (size_t)length + 1);
    return 0;
}

int rundir_guest_parse(const char *name, uint32_t *ret_domid, const char **ret_identity)
{
    const char *rest;
    uint32_t domid;

    if (parse_number(name, '-', &domid, &rest) < 0 || !identity_is_valid(rest + 1))
        return -EINVAL;
    *ret_domid = domid;
    *ret_identity = rest + 1;
    return 0;
}

void rundir_device_name(uint32_t devid, char ret_name[RUNDIR_NAME_SIZE])
{
    snprintf(ret_name, RUNDIR_NAME_SIZE, "%" PRIu32, devid);
}

int rundir_device_parse(const char *name, uint32_t *ret_devid)
{
    const char *rest;

    return parse_number(name, '\0', ret_devid, &rest);
}

/* ---- Files. ------------------------------------------------------------------------------------------------------------ */

/* The name a file has until it is complete. */
static int name_unfinished(const char *name, char ret_name[NAME_MAX + 1])
{
    int length = snprintf(ret_name, NAME_MAX + 1, ".%s.new", name);

    return length < 0 || length > NAME_MAX ? -ENAMETOOLONG : 0;
}

static int open_unfinished(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);

    return fd < 0 ? -errno : fd;
}

int rundir_write(int dir, const char *name, const void *data, size_t size)
{
    char unfinished[NAME_MAX + 1];
    int err = name_unfinished(name, unfinished);
    int fd = err < 0 ? err : open_unfinished(dir, unfinished);
    ssize_t written;

    if (fd < 0)
        return fd;
    written = write(fd, data, size);
    if (written < 0)
        err = -errno;
    else if ((size_t)written != size)
        err = -ENOSPC;
    close(fd);
    if (err == 0 && renameat(dir, unfinished, dir, name) < 0)
        err = -errno;
    if (err < 0)
        unlinkat(dir, unfinished, 0);
    return err;
}

int rundir_read(int dir, const char *name, void *ret_data, size_t size)
{
    int fd = rundir_file(dir, name, size);
    ssize_t got;

    if (fd < 0)
        return fd;
    got = pread(fd, ret_data, size, 0);
    close(fd);
    if (got < 0)
        return -EIO;
    return (size_t)got == size ? 0 : -EBADMSG;
}

int rundir_create(int dir, const char *name, size_t size)
{
    return rundir_create_with(dir, name, size, NULL, 0);
}

int rundir_create_with(int dir, const char *name, size_t size, const void *head, size_t head_size)
{
    char unfinished[NAME_MAX + 1];
    int err = name_unfinished(name, unfinished);
    int fd = err < 0 ? err : open_unfinished(dir, unfinished);

    if (fd < 0)
        return fd;
    /* Allocated now: a full tmpfs must be an error here, not a SIGBUS in whoever maps the file. */
    err = -posix_fallocate(fd, 0, (off_t)size);
    if (err == 0 && head_size > 0 && pwrite(fd, head, head_size, 0) != (ssize_t)head_size)
        err = -EIO;
    if (err == 0 && renameat(dir, unfinished, dir, name) < 0)
        err = -errno;
    if (err < 0) {
        unlinkat(dir, unfinished, 0);
        close(fd);
        return err;
    }
    return fd;
}

int rundir_file(int dir, const char *name, size_t size)
{
    struct stat stat;
    int fd = openat(dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode) || stat.st_size != (off_t)size) {
        close(fd);
        return -EBADMSG;
    }
    return fd;
}

/* ---- The worker. ------------------------------------------------------------------------------------------------------- */

/* When the process started, in clock ticks since boot: field 22 of its stat file. With its number it names a process for good. The
 * second field is the command in parentheses and may hold anything, so counting starts after the last ')'. Also whether it has ended and
 * only not been reaped. */
static int process_start(pid_t pid, uint64_t *ret_start, bool *ret_ended)
{
    char path[64], text[1024];
    const char *at;
    ssize_t got;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -ESRCH;
    got = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (got <= 0)
        return -ESRCH;
    text[got] = '\0';
    at = strrchr(text, ')');
    bool ended = at != NULL && strncmp(at, ") Z", 3) == 0;
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (at == NULL)
        return -EBADMSG;
    *ret_start = strtoull(at + 1, NULL, 10);
    *ret_ended = ended;
    return 0;
}

int rundir_worker_write(int guest_dir, pid_t pid)
{
    char text[WORKER_TEXT_MAX];
    uint64_t start;
    bool ended;
    int err = process_start(pid, &start, &ended);

    if (err == 0 && ended)
        err = -ESRCH;
    if (err < 0)
        return err;
    int length = snprintf(text, sizeof(text), "%d %" PRIu64 "\n", pid, start);
    return rundir_write(guest_dir, WORKER_FILE, text, (size_t)length);
}

int rundir_worker_remove(int guest_dir)
{
    return rundir_remove(guest_dir, WORKER_FILE);
}

/* "PID STARTTIME\n". Returns 0, or -EBADMSG. */
static int worker_parse(const char *text, pid_t *ret_pid, uint64_t *ret_start)
{
    uint64_t start;
    long pid;
    char *end;

    errno = 0;
    pid = strtol(text, &end, 10);
    if (errno != 0 || pid <= 0 || pid > INT_MAX || *end != ' ')
        return -EBADMSG;
    start = strtoull(end + 1, &end, 10);
    if (errno != 0 || *end != '\n')
        return -EBADMSG;
    *ret_pid = (pid_t)pid;
    *ret_start = start;
    return 0;
}

int rundir_worker_open(int guest_dir, pid_t *ret_pid)
{
    char text[WORKER_TEXT_MAX];
    uint64_t recorded, start;
    ssize_t got;
    bool ended;
    pid_t pid;
    int fd = openat(guest_dir, WORKER_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    got = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (got <= 0)
        return -ESRCH;
    text[got] = '\0';
    if (worker_parse(text, &pid, &recorded) < 0)
        return -EBADMSG;
    fd = pidfd_open(pid, 0);
    if (fd < 0)
        return -errno;
    /* The descriptor pins the process it names: what is read now cannot be of another one that takes over the number later. */
    if (process_start(pid, &start, &ended) < 0 || start != recorded || ended) {
        close(fd);
        return -ESRCH;
    }
    *ret_pid = pid;
    return fd;
}

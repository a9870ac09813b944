/* SPDX-License-Identifier: MIT */
/* Which parents may be opened, and how: runs in the process that may open files. It reads no image but to find out, offline, what
 * comes next in a chain. */
#include <disk/parent.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kind.h"

#define LOCATOR_SHOWN 80 /* bytes of a locator in a message */

int disk_parent_read(const struct disk_kind *kind, int fd, struct disk_parent *ret_parent, struct disk_error *ret_error)
{
    return kind->parent_read ? kind->parent_read(fd, ret_parent, ret_error) : 0;
}

/* ---- The policy. --------------------------------------------------------------------------------------------------- */

int disk_locator_check(const char *locator, struct disk_error *ret_error)
{
    size_t length = strnlen(locator, DISK_LOCATOR_SIZE);
    if (length == 0 || length == DISK_LOCATOR_SIZE)
        return disk_refuse(ret_error, -EPERM, "the parent's locator is empty or too long");
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)locator[i] < 0x20 || locator[i] == 0x7f)
            return disk_refuse(ret_error, -EPERM, "the parent's locator has a control character in it");
    if (locator[0] == '/' || (length > 1 && locator[1] == ':'))
        return disk_refuse(
            ret_error, -EPERM,
            "the parent's locator \"%.*s\" is absolute: only paths below the child's folder are followed",
            LOCATOR_SHOWN, locator);
    for (const char *at = locator; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || at[2] == '\0'))
            return disk_refuse(
                ret_error, -EPERM,
                "the parent's locator \"%.*s\" leaves the child's folder: only paths below it are followed",
                LOCATOR_SHOWN, locator);
    }
    return 0;
}

/* Opens a path that stays below a folder. Returns a descriptor or -errno. */
static int open_beneath(int folder_fd, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(unsigned)flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, folder_fd, path, &how, sizeof how);
    return fd < 0 ? -errno : (int)fd;
}

/* Opens what O_PATH looked at, so that nothing else can have come in its place. */
static int reopen(int handle, const char *locator, struct disk_error *ret_error)
{
    struct stat st;
    char path[64];
    if (fstat(handle, &st) < 0)
        return disk_refuse(ret_error, -errno, "cannot stat the parent \"%.*s\": %s", LOCATOR_SHOWN, locator,
                           strerror(errno));
    if (!S_ISREG(st.st_mode))
        return disk_refuse(ret_error, -EPERM, "the parent \"%.*s\" is not a regular file", LOCATOR_SHOWN, locator);
    snprintf(path, sizeof path, "/proc/self/fd/%d", handle);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return disk_refuse(ret_error, -errno, "cannot open the parent \"%.*s\": %s", LOCATOR_SHOWN, locator,
                           strerror(errno));
    file_set_direct(fd, false);
    return fd;
}

int disk_folder_open(int fd, struct disk_error *ret_error)
{
    char link[64], path[PATH_MAX];
    struct stat one, other;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return disk_refuse(ret_error, -errno, "cannot find the image's folder: %s", strerror(errno));
    path[length] = '\0';
    if (fstat(fd, &one) < 0 || stat(path, &other) < 0 || one.st_dev != other.st_dev || one.st_ino != other.st_ino)
        return disk_refuse(ret_error, -ENOENT, "the image is not where it was opened any more");
    int folder = open(dirname(path), O_PATH | O_DIRECTORY | O_CLOEXEC);
    return folder < 0 ? disk_refuse(ret_error, -errno, "cannot open the image's folder: %s", strerror(errno)) : folder;
}

/* Opens the file that a locator leads to, and its folder. */
static int follow(int folder_fd, const char *locator, int *ret_folder_fd, struct disk_error *ret_error)
{
    int result = disk_locator_check(locator, ret_error);
    if (result < 0)
        return result;
    int handle = open_beneath(folder_fd, locator, O_PATH | O_CLOEXEC);
    if (handle < 0)
        return disk_refuse(ret_error, handle == -EXDEV ? -EPERM : handle, "cannot open the parent \"%.*s\": %s",
                           LOCATOR_SHOWN, locator,
                           handle == -EXDEV ? "it leads out of the child's folder" : strerror(-handle));
    int fd = reopen(handle, locator, ret_error);
    close(handle);
    if (fd < 0)
        return fd;
    int folder = disk_folder_open(fd, ret_error);
    if (folder < 0) {
        close(fd);
        return folder;
    }
    *ret_folder_fd = folder;
    return fd;
}

int disk_parent_open(int folder_fd, const struct disk_parent *parent, int *ret_folder_fd, unsigned *ret_locator,
                     struct disk_error *ret_error)
{
    struct disk_error error = {""};
    int result = disk_refuse(ret_error, -ENOENT, "the image names no parent that could be looked for");
    unsigned count = parent->count < DISK_LOCATORS ? parent->count : DISK_LOCATORS;
    for (unsigned i = 0; i < count; i++) {
        int fd = follow(folder_fd, parent->locators[i], ret_folder_fd, &error);
        if (fd >= 0) {
            *ret_locator = i;
            return fd;
        }
        if (result == -ENOENT || fd == -EPERM) { /* a refusal is the better reason */
            result = fd;
            *ret_error = error;
        }
    }
    return result;
}

/* ---- Whole chains, offline. ---------------------------------------------------------------------------------------- */

static int chain_lock(int fd, bool read_only, const char *path, struct disk_error *ret_error)
{
    int result = disk_source_lock(fd, read_only);
    if (result == -EWOULDBLOCK)
        return disk_refuse(ret_error, result, "%.180s is in use", path);
    if (result < 0)
        return disk_refuse(ret_error, result, "cannot lock %.180s: %s", path, strerror(-result));
    return 0;
}

static void path_of(int fd, char ret_path[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, ret_path, PATH_MAX - 1);
    ret_path[length < 0 ? 0 : length] = '\0';
}

/* Takes a parent over. */
static int chain_add(struct disk_chain *chain, int fd, struct disk_error *ret_error)
{
    unsigned count = chain->parent_count + 1;
    int *parents = realloc(chain->parents, count * sizeof *parents);
    if (parents)
        chain->parents = parents;
    char(*paths)[PATH_MAX] = realloc(chain->paths, count * sizeof *paths);
    if (paths)
        chain->paths = paths;
    if (!parents || !paths) {
        close(fd);
        return disk_refuse(ret_error, -ENOMEM, "out of memory for %u parents", count);
    }
    path_of(fd, paths[count - 1]);
    parents[count - 1] = fd;
    chain->parent_count = count;

    struct stat st, other;
    if (fstat(fd, &st) < 0)
        return disk_refuse(ret_error, -errno, "cannot stat a parent: %s", strerror(errno));
    for (unsigned i = 0; i < count; i++)
        if (fstat(i ? parents[i - 1] : chain->fd, &other) == 0 && other.st_dev == st.st_dev &&
            other.st_ino == st.st_ino)
            return disk_refuse(ret_error, -ELOOP, "the chain of parents is a loop: it comes back to %.150s",
                               paths[count - 1]);
    return chain_lock(fd, true, paths[count - 1], ret_error);
}

static int chain_follow(struct disk_chain *chain, int *folder, struct disk_error *ret_error)
{
    const struct disk_kind *kind = chain->kind;
    struct disk_parent *parent = calloc(1, sizeof *parent);
    if (!parent)
        return disk_refuse(ret_error, -ENOMEM, "out of memory");
    int fd = chain->fd, result;
    while ((result = disk_parent_read(kind, fd, parent, ret_error)) > 0) {
        int next = -1;
        unsigned locator;
        fd = disk_parent_open(*folder, parent, &next, &locator, ret_error);
        if (fd < 0) {
            result = fd;
            break;
        }
        close(*folder);
        *folder = next;
        kind = parent->kind;
        result = chain_add(chain, fd, ret_error);
        if (result < 0)
            break;
    }
    free(parent);
    return result;
}

int disk_chain_open(const struct disk_source *source, bool read_only, struct disk_chain *ret_chain,
                    struct disk_error *ret_error)
{
    struct disk_chain chain = {.kind = source->kind, .fd = disk_source_open(source, read_only, ret_error)};
    if (chain.fd < 0)
        return chain.fd;
    int result = chain_lock(chain.fd, read_only, source->path, ret_error);
    int folder = result < 0 ? result : disk_folder_open(chain.fd, ret_error);
    if (folder >= 0) {
        result = chain_follow(&chain, &folder, ret_error);
        close(folder);
    } else {
        result = folder;
    }
    if (result < 0)
        disk_chain_close(&chain);
    else
        *ret_chain = chain;
    return result;
}

void disk_chain_close(struct disk_chain *chain)
{
    for (unsigned i = 0; i < chain->parent_count; i++)
        close(chain->parents[i]);
    if (chain->fd >= 0)
        close(chain->fd);
    free(chain->parents);
    free(chain->paths);
    *chain = (struct disk_chain){.fd = -1};
}

int disk_chain_to_disk(struct disk_chain *chain, bool read_only, unsigned depth, struct disk **ret_disk,
                       struct disk_error *ret_error)
{
    struct disk_params params = {.kind = chain->kind,
                                 .fd = chain->fd,
                                 .parents = chain->parents,
                                 .parent_count = chain->parent_count,
                                 .fence_fd = -1,
                                 .read_only = read_only,
                                 .plain = true,
                                 .depth = depth};
    int result = disk_open(&params, ret_disk, ret_error);
    chain->fd = -1;
    chain->parent_count = 0;
    disk_chain_close(chain);
    return result;
}

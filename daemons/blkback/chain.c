/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. What an image's parent is called is in the image, which only workers read; whether that may be followed is for who opens
 * files. So the chain is found a step at a time:
 *
 *   supervisor                               worker
 *   BLKBACK_CHECK [image]               ->   reads the image
 *                                       <-   BLKBACK_PARENT: its locators
 *   opens the first that may be followed
 *   (libdisk's policy, disk/parent.h),
 *   locks it as a reader
 *   BLKBACK_CHECK [image, parent]       ->   reads the parent
 *                                       <-   BLKBACK_PARENT ... or BLKBACK_CHECKED: the chain is complete, and can be opened
 *
 * What a worker says is hostile: a locator leads no further than the policy lets it, to regular files, opened to read; a chain in which a file
 * comes twice, or that is longer than can be handed over, is refused. That parent and child belong together the worker finds out, by their
 * identifiers, when it opens all of them.
 *
 * The descriptors are kept as the image's is: a successor is given the same ones, and a worker of an earlier supervisor says what it holds.
 * When both are gone the chain is found again, by what the images say then.
 */
#include "chain.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <backend/backend.h>
#include <backend/guest.h>
#include <backend/serve.h>
#include <disk/parent.h>
#include <supervise/channel.h>

#include "opening.h"
#include "looking.h"

static_assert(CHANNEL_FDS_MAX >= BLKBACK_CONNECT_FDS + BLKBACK_PARENTS_MAX, "a chain can be handed over");

bool chain_is_same_file(int one, int other)
{
    struct stat a, b;

    return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

void chain_path(int fd, char ret_path[PATH_MAX])
{
    char link[64];
    ssize_t length;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    length = readlink(link, ret_path, PATH_MAX - 1);
    ret_path[length < 0 ? 0 : length] = '\0';
}

/* ---- Finding it. ------------------------------------------------------------------------------------------------------------ */

/* Takes the worker's words apart. Returns 0 or -EPROTO. */
static int parse(const struct blkback_parent *told, struct disk_parent *ret_parent)
{
    const char *at = told->locators, *const end = at + sizeof(told->locators);

    memset(ret_parent, 0, sizeof(*ret_parent));
    if (memchr(told->kind, '\0', sizeof(told->kind)) == NULL || told->count > DISK_LOCATORS)
        return -EPROTO;
    ret_parent->kind = disk_kind_find(told->kind);
    if (ret_parent->kind == NULL)
        return -EPROTO;
    for (; ret_parent->count < told->count; ret_parent->count++) {
        size_t length = strnlen(at, (size_t)(end - at));
        if (at + length == end || length >= DISK_LOCATOR_SIZE)
            return -EPROTO;
        memcpy(ret_parent->locators[ret_parent->count], at, length + 1);
        at += length + 1;
    }
    return 0;
}

static int last_of(const struct vbd *vbd)
{
    return vbd->chain.count == 0 ? vbd->image_fd : vbd->chain.parents[vbd->chain.count - 1];
}

static void on_opened(void *arg, int result, int fd, const struct disk_error *error)
{
    struct vbd *vbd = arg;
    struct chain *chain = &vbd->chain;
    char path[PATH_MAX];
    bool is_loop;

    vbd->opening = NULL;
    if (result < 0) {
        device_give_up(&vbd->device, result, "%s", error->text);
        return;
    }
    is_loop = chain_is_same_file(fd, vbd->image_fd);
    for (unsigned i = 0; i < chain->count; i++)
        is_loop = is_loop || chain_is_same_file(fd, chain->parents[i]);
    if (is_loop) {
        chain_path(fd, path);
        close(fd);
        device_give_up(&vbd->device, -ELOOP, "the chain of parents is a loop: it comes back to %s", path);
        return;
    }
    chain->parents[chain->count++] = fd;
    looking_parent_opened(vbd);
}

int chain_want(struct vbd *vbd, const struct blkback_parent *told)
{
    struct chain *chain = &vbd->chain;
    struct device *device = &vbd->device;
    struct disk_parent parent;
    int err = chain->complete ? -EPROTO : parse(told, &parent);

    if (err < 0)
        return err;
    serve_replied(device, false);
    if (chain->count == BLKBACK_PARENTS_MAX) {
        device_give_up(device, -ELOOP, "%s has more than %u parents, one the child of the next", vbd->image.source.path,
                       BLKBACK_PARENTS_MAX);
        return 0;
    }
    memcpy(chain->last_kind, told->kind, sizeof(chain->last_kind));
    vbd->step = VBD_OPENING;
    err = opening_start_parent(device_backend(device)->base, last_of(vbd), &parent, on_opened, vbd, &vbd->opening);
    if (err < 0)
        device_give_up(device, err, "a parent of %s cannot be opened: %s", vbd->image.source.path, strerror(-err));
    return 0;
}

int chain_lock(struct vbd *vbd, char ret_path[PATH_MAX])
{
    struct chain *chain = &vbd->chain;

    for (; chain->locked < chain->count; chain->locked++) {
        int err = disk_source_lock(chain->parents[chain->locked], true);
        if (err < 0) {
            chain_path(chain->parents[chain->locked], ret_path);
            return err;
        }
    }
    return 0;
}

static bool writes_parent(const struct vbd *writer, const struct vbd *reader)
{
    if (writer->image.read_only || writer->image_fd < 0 || reader->image_fd < 0)
        return false;
    for (unsigned i = 0; i < reader->chain.count; i++) {
        if (chain_is_same_file(writer->image_fd, reader->chain.parents[i]))
            return true;
    }
    return !reader->chain.complete && vbd_is_kind(reader, "vhd");
}

bool chain_clashes(const struct vbd *one, const struct vbd *other)
{
    return writes_parent(one, other) || writes_parent(other, one);
}

/* ---- Workers. ----------------------------------------------------------------------------------------------------------------- */

void chain_describe(const struct vbd *vbd, struct blkback_check *ret_check)
{
    ret_check->parents = vbd->chain.count;
    snprintf(ret_check->last_kind, sizeof(ret_check->last_kind), "%s",
             vbd->chain.count == 0 ? disk_kind_name(vbd->image.source.kind) : vbd->chain.last_kind);
}

bool chain_held_check(const int *fds, unsigned fd_count)
{
    struct stat stat;

    if (fd_count == 0 || fd_count > 1 + BLKBACK_PARENTS_MAX)
        return false;
    for (unsigned i = 0; i < fd_count; i++) {
        const int flags = fcntl(fds[i], F_GETFL);
        if (flags < 0 || (flags & O_PATH) != 0 || (flags & O_ACCMODE) == O_WRONLY || fstat(fds[i], &stat) < 0)
            return false;
        if (i == 0 ? !S_ISREG(stat.st_mode) && !S_ISBLK(stat.st_mode) && !S_ISSOCK(stat.st_mode)
                   : (flags & O_ACCMODE) != O_RDONLY || !S_ISREG(stat.st_mode))
            return false;
    }
    return true;
}

bool chain_held_is_own(const int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (disk_source_lock(fds[i], true) < 0)
            return false;
    }
    return true;
}

void chain_claim(struct vbd *vbd, const int *fds, unsigned count)
{
    memcpy(vbd->chain.parents, fds, count * sizeof(fds[0]));
    vbd->chain.count = vbd->chain.locked = count;
    vbd->chain.complete = true;
}

void chain_push(struct vbd *vbd, int child, int parent)
{
    struct chain *chain = &vbd->chain;

    close(vbd->image_fd);
    vbd->image_fd = child;
    memmove(chain->parents + 1, chain->parents, chain->count * sizeof(chain->parents[0]));
    chain->parents[0] = parent;
    chain->count++;
    chain->locked = 0; /* the first is not, and nothing happens to the others */
}

/* ---- Its end. ------------------------------------------------------------------------------------------------------------------ */

void chain_release(struct vbd *vbd)
{
    for (unsigned i = 0; i < vbd->chain.count; i++)
        flock(vbd->chain.parents[i], LOCK_UN); /* see looking_close() */
    chain_forget(vbd);
}

void chain_settle(struct vbd *vbd)
{
    chain_release(vbd);
    vbd->chain.complete = true;
}

void chain_forget(struct vbd *vbd)
{
    for (unsigned i = 0; i < vbd->chain.count; i++)
        close(vbd->chain.parents[i]);
    vbd->chain = (struct chain){.count = 0};
}

json_t *chain_report(const struct vbd *vbd)
{
    json_t *list = json_array();
    char path[PATH_MAX];

    for (unsigned i = 0; i < vbd->chain.count; i++) {
        chain_path(vbd->chain.parents[i], path);
        json_array_append_new(list, json_string(path)); /* NULL, of what is no UTF-8, is not appended */
    }
    return list;
}

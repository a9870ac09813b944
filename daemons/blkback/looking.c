/* SPDX-License-Identifier: MIT */
/*
 * See looking.h. Only what nobody writes to can be judged: an image that somebody else writes is left to the connection, one with a parent that somebody
 * else writes is refused.
 */
#include "looking.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <backend/backend.h>
#include <backend/guest.h>
#include <backend/serve.h>

#include "lock.h"
#include "opening.h"

void looking_close(struct vbd *vbd)
{
    chain_release(vbd);
    if (vbd->image_fd < 0)
        return;
    /* The worker's copy may live on for a moment, in an io_uring the kernel is taking apart; the next user need not wait for that. */
    if (!snapshot_holds_image(vbd))
        flock(vbd->image_fd, LOCK_UN);
    close(vbd->image_fd);
    vbd->image_fd = -1;
}

/* ---- Opened. ------------------------------------------------------------------------------------------------------------------ */

static void ask(struct vbd *vbd, enum vbd_step step)
{
    vbd->step = step;
    serve_ask(&vbd->device);
}

/* The image can be opened as it will be used: has the worker look at it. */
static void check_image(struct vbd *vbd)
{
    struct device *device = &vbd->device;
    struct disk_error error;

    if (server_has(vbd)) { /* others may use it, too: it is asked what it has */
        ask(vbd, VBD_CHECKING);
        return;
    }
    if (!vbd->image.read_only) {
        looking_close(vbd);
        vbd->image_fd = disk_source_open(&vbd->image.source, true, &error);
        if (vbd->image_fd < 0) {
            device_give_up(device, vbd->image_fd, "%s", error.text);
            return;
        }
    }
    /* What somebody writes to (the source of a migration, most likely) cannot be judged now; connect looks at it again. */
    if (disk_source_lock(vbd->image_fd, true) == -EWOULDBLOCK) {
        log_info(&device->log, "%s is in use elsewhere; it is looked at later", vbd->image.source.path);
        looking_close(vbd);
        device_offer(device);
        return;
    }
    ask(vbd, VBD_CHECKING);
}

static void on_opened(void *arg, int result, int fd, const struct disk_error *error)
{
    struct vbd *vbd = arg;
    struct device *device = &vbd->device;

    vbd->opening = NULL;
    if (result < 0) {
        device_give_up(device, result, "%s", error->text);
        return;
    }
    vbd->image_fd = fd;
    if (device->state == DEVICE_PREPARING) {
        check_image(vbd);
    } else if (device->state == DEVICE_ACQUIRING) {
        vbd->step = VBD_LOCKING;
        lock_image(vbd);
    } else {
        serve_acquired(device);
    }
}

void looking_open(struct vbd *vbd)
{
    struct device *device = &vbd->device;
    struct disk_source *source = &vbd->image.source;
    int err;

    source->create = device->state != DEVICE_RESUMING;
    looking_close(vbd);
    vbd->step = VBD_OPENING;
    err = opening_start(device_backend(device)->base, source, vbd->image.read_only, on_opened, vbd, &vbd->opening);
    if (err < 0)
        device_give_up(device, err, "%s cannot be opened: %s", source->path, strerror(-err));
}

void looking_locked(struct vbd *vbd)
{
    if (vbd->device.state == DEVICE_ACQUIRING || (vbd_is_kind(vbd, "vhd") && !vbd->chain.complete))
        ask(vbd, VBD_MEASURING);
    else
        serve_secured(&vbd->device);
}

void looking_parent_opened(struct vbd *vbd)
{
    char path[PATH_MAX];
    int err;

    if (vbd->device.state != DEVICE_PREPARING) {
        vbd->step = VBD_LOCKING;
        lock_image(vbd);
        return;
    }
    err = chain_lock(vbd, path);
    if (err == -EWOULDBLOCK)
        device_give_up(&vbd->device, -EBUSY, "the parent %s is being written by somebody else", path);
    else if (err < 0)
        device_give_up(&vbd->device, err, "the parent %s cannot be locked: %s", path, strerror(-err));
    else
        ask(vbd, VBD_CHECKING);
}

/* ---- Looked at. ---------------------------------------------------------------------------------------------------------------- */

struct blkback_image looking_describe(const struct vbd *vbd)
{
    struct blkback_image image = {.read_only = vbd->image.read_only};

    snprintf(image.kind, sizeof(image.kind), "%s", disk_kind_name(vbd->image.source.kind));
    return image;
}

void looking_ask(struct device *device)
{
    const struct vbd *vbd = vbd_of(device);
    struct blkback_message message = {.check.image = looking_describe(vbd)};
    int fds[1 + BLKBACK_PARENTS_MAX] = {vbd->image_fd};

    chain_describe(vbd, &message.check);
    memcpy(message.check.export_name, vbd->image.source.export_name, sizeof(message.check.export_name));
    memcpy(fds + 1, vbd->chain.parents, vbd->chain.count * sizeof(fds[0]));
    serve_tell(device, BLKBACK_CHECK, &message.head, fds, 1 + vbd->chain.count);
}

static bool is_sector_size(uint32_t size)
{
    return size >= DISK_SECTOR_SIZE && (size & (size - 1)) == 0;
}

/* A worker that was started before a disk of a server was known: its successor is asked the same. */
static bool lacks_nbd(const struct vbd *vbd, const struct blkback_message *message)
{
    return message->head.result == -ENOPKG && !server_suits_worker(vbd);
}

int looking_checked(struct vbd *vbd, const struct blkback_message *message)
{
    struct device *device = &vbd->device;

    if (device->state == DEVICE_DISCONNECTING)
        return 0; /* overtaken */
    if (!device->asking)
        return -EPROTO;
    if (message->head.result == 0 &&
        (message->checked.sectors > VBD_SECTORS_MAX || !is_sector_size(message->checked.sector_size) ||
         !is_sector_size(message->checked.physical_sector_size)))
        return -EPROTO;
    if (lacks_nbd(vbd, message)) {
        guest_replace_worker(device->guest, SERVER_WORKER_REPLACED);
        return 0;
    }
    serve_replied(device, false);
    if (message->head.result < 0) {
        device_refuse(device, &message->head);
        return 0;
    }
    vbd->sectors = message->checked.sectors;
    vbd->sector_size = message->checked.sector_size;
    vbd->physical_sector_size = message->checked.physical_sector_size;
    vbd->discard_granularity = vbd->image.discard && !vbd->image.read_only ? message->checked.discard_granularity : 0;
    vbd->chain.complete = true;
    if (device->state == DEVICE_ACQUIRING) {
        if (server_has(vbd))
            looking_close(vbd); /* the connection was for this look */
        serve_acquired(device);
    } else if (device->state == DEVICE_RECOVERING) {
        serve_secured(device);
    } else {
        looking_close(vbd);
        device_offer(device);
    }
    return 0;
}

int looking_parent(struct vbd *vbd, const struct blkback_message *message)
{
    struct device *device = &vbd->device;

    if (device->state == DEVICE_DISCONNECTING)
        return 0; /* overtaken */
    if (!device->asking || message->head.result != 0)
        return -EPROTO;
    return chain_want(vbd, &message->parent);
}

/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. Who makes a disk larger depends on its kind: a raw image is as large as its file or block device, whoever made that
 * larger; a VHD is made so by the worker, in steps that a death leaves whole (libdisk/src/vhd/change.c). Then, in this order:
 *
 *   supervisor                              worker
 *   (raw) the file has grown            ->  BLKBACK_RESIZE [new size]: takes requests for all of it from now on
 *   (vhd) the operator wants it         ->  BLKBACK_RESIZE [new size]: makes it so, then the same
 *                                       <-  BLKBACK_RESIZED [its size]
 *   `sectors` and `state` = 4, in one transaction: front ends look at `sectors` whenever the state is written
 *
 * A guest is never told of a size that its worker does not serve, and never of a smaller one than before. What is told is compared with what
 * is in xenstore, so that nothing depends on who lives: after the death of a worker, or of a supervisor, the worker is asked for its size
 * (BLKBACK_RESIZE of nothing), and xenstore is put right. There is no event for a file that grows, so all disks are looked at by a timer.
 */
#include "resize.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include <backend/guest.h>
#include <backend/serve.h>
#include <service/control.h>
#include <xendev/store.h>

#include "blkback.h"
#include "vbd.h"

static const struct timeval period = {.tv_sec = 2};

/* Workers that one wish may use up. */
#define DEATHS_MAX 3u

/* Bytes in the file or block device, as many as make whole sectors; 0 when that cannot be found out. */
static uint64_t measure(int fd, bool *ret_is_file)
{
    struct stat stat;
    uint64_t size = 0;

    if (fstat(fd, &stat) < 0)
        return 0;
    *ret_is_file = S_ISREG(stat.st_mode);
    if (*ret_is_file)
        size = (uint64_t)stat.st_size;
    else if (ioctl(fd, BLKGETSIZE64, &size) < 0)
        return 0;
    return size - size % DISK_SECTOR_SIZE;
}

/* ---- The guest is told. ------------------------------------------------------------------------------------------------------- */

/* Nothing is written over a state that the toolstack has changed meanwhile, or that is yet to become Connected. */
static int write_size(struct xendev_store *store, xendev_txn txn, void *arg)
{
    const struct vbd *vbd = arg;
    const char *path = xendev_backend_path(vbd->device.backend);
    uint64_t told = 0;
    uint32_t state = XENBUS_UNKNOWN;
    int err = xendev_store_read_u32(store, txn, path, "state", &state);

    if (err == 0)
        err = xendev_store_read_u64(store, txn, path, "sectors", &told);
    if (err < 0 || told == vbd->sectors)
        return err;
    if (state != XENBUS_CONNECTED)
        return -ESTALE;
    err = xendev_store_write(store, txn, path, "sectors", "%" PRIu64, vbd->sectors);
    return err < 0 ? err : xendev_store_write(store, txn, path, "state", "%d", XENBUS_CONNECTED);
}

static void tell_guest(struct vbd *vbd)
{
    int err = xendev_store_transact(device_store(&vbd->device), write_size, vbd);

    vbd->resize.due = err < 0; /* once more, in a while */
    if (err < 0 && err != -ESTALE)
        log_warning(&vbd->device.log, "its guest cannot be told its size: %s", strerror(-err));
}

/* ---- The worker. -------------------------------------------------------------------------------------------------------------- */

static void ask(struct vbd *vbd, uint64_t size)
{
    struct blkback_message message = {.resize.size = size};

    vbd->resize.asked = true;
    vbd->resize.due = false;
    serve_tell(&vbd->device, BLKBACK_RESIZE, &message.head, NULL, 0);
}

static void consider(struct vbd *vbd)
{
    uint64_t size = vbd->resize.wanted;
    bool is_file;

    if (vbd->device.state != DEVICE_CONNECTED || vbd->device.backend == NULL || vbd->resize.asked ||
        vbd->image.read_only || vbd->device.guest->state != GUEST_SERVED)
        return;
    if (vbd_is_kind(vbd, "raw")) {
        size = measure(vbd->image_fd, &is_file);
        if (size / DISK_SECTOR_SIZE <= vbd->sectors)
            size = 0;
    }
    if (size != 0 || vbd->resize.due)
        ask(vbd, size);
}

int resize_answered(struct vbd *vbd, const struct blkback_message *message)
{
    struct resize *resize = &vbd->resize;
    struct device *device = &vbd->device;

    if (device->state == DEVICE_DISCONNECTING)
        return 0; /* overtaken */
    if (device->state != DEVICE_CONNECTED || message->resized.sectors < vbd->sectors ||
        message->resized.sectors > VBD_SECTORS_MAX)
        return -EPROTO;
    if (resize->asked) /* else an earlier supervisor had asked */
        serve_replied(device, true);
    resize->asked = false;
    if (message->head.result < 0) {
        snprintf(resize->error, sizeof(resize->error), "%.*s", (int)sizeof(message->head.reason), message->head.reason);
        log_warning(&device->log, "it cannot be made larger: %s", resize->error);
    }
    resize->wanted = 0;
    if (message->resized.sectors > vbd->sectors)
        log_info(&device->log, "has %" PRIu64 " bytes now", message->resized.sectors * DISK_SECTOR_SIZE);
    vbd->sectors = message->resized.sectors;
    if (device->backend != NULL)
        tell_guest(vbd);
    else
        resize->due = true;
    return 0;
}

void resize_succeeded(struct vbd *vbd)
{
    vbd->resize.asked = false;
    vbd->resize.due = !vbd_is_kind(vbd, "ram");
    if (vbd->resize.wanted == 0 || ++vbd->resize.deaths < DEATHS_MAX)
        return;
    snprintf(vbd->resize.error, sizeof(vbd->resize.error), "its worker ended again and again");
    vbd->resize.wanted = 0;
}

void resize_forget(struct vbd *vbd)
{
    vbd->resize = (struct resize){.asked = false};
}

/* ---- The operator. ------------------------------------------------------------------------------------------------------------ */

/* Makes the file of a raw image larger. Returns 0, or an HTTP status with the reason in `ret_error`. */
static int grow_raw(const struct vbd *vbd, uint64_t size, struct backend_error *ret_error)
{
    bool is_file = false;
    const uint64_t now = measure(vbd->image_fd, &is_file);

    if (now >= size)
        return 0;
    if (!is_file) {
        snprintf(ret_error->text, sizeof(ret_error->text), "the block device has %" PRIu64 " bytes: make that larger",
                 now);
        return 409;
    }
    if (ftruncate(vbd->image_fd, (off_t)size) < 0) {
        snprintf(ret_error->text, sizeof(ret_error->text), "the image cannot be made larger: %s", strerror(errno));
        return 409;
    }
    return 0;
}

/* Takes the wish. Returns as grow_raw(). */
static int wish(struct vbd *vbd, uint64_t size, struct backend_error *ret_error)
{
    const char *why = NULL;

    if (vbd->device.state != DEVICE_CONNECTED)
        why = "it is not connected; ringctl vhd resize works on images that are not in use";
    else if (vbd->device.backend == NULL)
        why = "xenstore is away";
    else if (vbd->image.read_only)
        why = "it is read-only";
    else if (vbd_is_kind(vbd, "ram"))
        why = "a RAM disk keeps the size it was made with";
    else if (vbd->resize.wanted != 0)
        why = "it is being resized";
    else if (snapshot_is_under_way(vbd))
        why = "a snapshot of it is being made";
    else if (coalesce_is_under_way(vbd))
        why = "it is being coalesced";
    else if (size < vbd->sectors * DISK_SECTOR_SIZE)
        why = "a disk cannot be made smaller";
    if (why != NULL) {
        snprintf(ret_error->text, sizeof(ret_error->text), "%s", why);
        return 409;
    }
    vbd->resize.error[0] = '\0';
    vbd->resize.deaths = 0;
    if (vbd_is_kind(vbd, "raw"))
        return grow_raw(vbd, size, ret_error);
    vbd->resize.wanted = size;
    return 0;
}

static uint64_t read_wish(struct control_request *request)
{
    json_t *body = control_request_body(request);
    const json_int_t size = json_integer_value(json_object_get(body, "size"));

    json_decref(body);
    return size > 0 && size % (json_int_t)DISK_SECTOR_SIZE == 0 ? (uint64_t)size : 0;
}

bool resize_post(struct device *device, const char *verb, struct control_request *request)
{
    struct vbd *vbd = vbd_of(device);
    struct backend_error error;
    uint64_t size;
    int status;

    if (strcmp(verb, "resize") != 0)
        return false;
    size = read_wish(request);
    if (size == 0) {
        control_reply_error(request, 400, "size is a number of bytes, a multiple of %u", DISK_SECTOR_SIZE);
        return true;
    }
    status = wish(vbd, size, &error);
    if (status != 0) {
        control_reply_error(request, status, "%s", error.text);
        return true;
    }
    consider(vbd);
    control_reply(request, json_pack("{s:I, s:I, s:I}", "domid", (json_int_t)device->guest->domid, "devid",
                                     (json_int_t)device->devid, "size", (json_int_t)size));
    return true;
}

/* ---- The timer. --------------------------------------------------------------------------------------------------------------- */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct blkback *blkback = arg;

    (void)fd;
    (void)what;
    for (struct device *device = device_first(&blkback->backend); device != NULL; device = device_next(device))
        consider(vbd_of(device));
}

int resize_start(struct blkback *blkback)
{
    blkback->resize_timer = event_new(blkback->backend.base, -1, EV_PERSIST, on_timer, blkback);
    return blkback->resize_timer == NULL || event_add(blkback->resize_timer, &period) < 0 ? -ENOMEM : 0;
}

void resize_stop(struct blkback *blkback)
{
    if (blkback->resize_timer != NULL)
        event_free(blkback->resize_timer);
    blkback->resize_timer = NULL;
}

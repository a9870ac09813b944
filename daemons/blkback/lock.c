/* SPDX-License-Identifier: MIT */
/*
 * An image belongs to whoever has its lock (libdisk's disk_source_lock(), flock). During a migration to the same host both ends name it for a
 * moment, and the second waits; so does a recovery, for the kernel to let go of what a dead worker held. Nobody tells when a lock is free, so it
 * is tried again and again. Parents are locked as by any reader. An image that was waited for may have got another name meanwhile: then what bears its
 * name is opened instead.
 */
#include "lock.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <event2/event.h>

#include <backend/backend.h>
#include <backend/guest.h>
#include <backend/sweep.h>

#include "looking.h"
#include "server.h"

/* How often a lock is tried that somebody else holds: soon at first, for the kernel may only be about to let go of a dead worker's; each time
 * later. */
#define LOCK_PERIOD_MIN_US 1000
#define LOCK_PERIOD_MAX_US 50000

/* Whether the image, or a parent, may be one that is served: between the worker of an earlier supervisor and ours nobody locks it. */
static bool is_promised(const struct vbd *vbd)
{
    const struct backend *backend = device_backend(&vbd->device);

    if (!sweep_is_settled(backend))
        return true;
    for (const struct device *other = device_first(backend); other != NULL; other = device_next(other)) {
        if (other->state == DEVICE_ADOPTING || other->state == DEVICE_RESUMING)
            return true;
        if (other->state == DEVICE_RECOVERING && (chain_is_same_file(vbd_of_const(other)->image_fd, vbd->image_fd) ||
                                                  chain_clashes(vbd_of_const(other), vbd)))
            return true;
    }
    return false;
}

/* Whether its path names the image still: who had it may have made a snapshot, and what was opened then is a parent now. A server's names none. */
static bool is_in_place(const struct vbd *vbd)
{
    struct stat open, named;

    if (server_has(vbd))
        return true;
    return fstat(vbd->image_fd, &open) == 0 && stat(vbd->image.source.path, &named) == 0 &&
           open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

void lock_image(struct vbd *vbd)
{
    struct device *device = &vbd->device;
    char path[PATH_MAX];
    int err = -EWOULDBLOCK;

    event_del(vbd->lock_timer);
    snprintf(path, sizeof(path), "%s", vbd->image.source.path);
    if (device->state != DEVICE_ACQUIRING || !is_promised(vbd))
        err = server_has(vbd) ? server_lock(vbd) : disk_source_lock(vbd->image_fd, vbd->image.read_only);
    if (err == 0)
        err = chain_lock(vbd, path);

    if (err == -EWOULDBLOCK && device->effect && !device_is_wanted(device)) {
        vbd->lock_missed = false;
        device_give_up(device, -ECANCELED, "no longer wanted while its image was in use elsewhere");
    } else if (err == -EWOULDBLOCK) {
        if (!vbd->lock_missed)
            log_warning(&device->log, "waits for %s, which somebody else uses or may go on using", path);
        vbd->lock_us = vbd->lock_missed ? 2 * vbd->lock_us : LOCK_PERIOD_MIN_US;
        if (vbd->lock_us > LOCK_PERIOD_MAX_US)
            vbd->lock_us = LOCK_PERIOD_MAX_US;
        vbd->lock_missed = true;
        event_add(vbd->lock_timer, &(const struct timeval){.tv_usec = vbd->lock_us});
    } else if (err < 0) {
        device_give_up(device, err, "%s cannot be locked: %s", path, strerror(-err));
    } else {
        if (vbd->lock_missed)
            log_info(&device->log, "has what it waited for");
        vbd->lock_missed = false;
        if (device->state == DEVICE_ACQUIRING && !is_in_place(vbd))
            looking_open(vbd);
        else
            looking_locked(vbd);
    }
}

bool lock_is_waited_for(const struct vbd *vbd)
{
    const enum device_state state = vbd->device.state;

    return vbd->lock_missed && ((state == DEVICE_ACQUIRING && vbd->step == VBD_LOCKING) || state == DEVICE_RECOVERING);
}

void lock_stop(struct vbd *vbd)
{
    event_del(vbd->lock_timer);
    vbd->lock_missed = false;
}

void lock_on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    lock_image(arg);
}

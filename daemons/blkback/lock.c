/* SPDX-License-Identifier: MIT */
/*
 * An image belongs to whoever has its lock (libdisk's disk_source_lock(), flock). During a migration to the same host both ends name it for a
 * moment, and the second waits; so does a recovery, for the kernel to let go of what a dead worker held. Nobody tells when a lock is free, so it
 * is tried again and again.
 */
#include "lock.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <event2/event.h>

#include "blkback.h"
#include "device.h"
#include "guest.h"
#include "serve.h"

/* How often a lock is tried that somebody else holds: soon at first, for the kernel may only be about to let go of a dead worker's; each time
 * later. */
#define LOCK_PERIOD_MIN_US 1000
#define LOCK_PERIOD_MAX_US 50000

/* While a lock is waited for nobody else can end the effect: looks whether the connection is still wanted. A closing front end uses what
 * it was connected to until it is closed. */
static bool is_wanted(const struct device *device)
{
    const enum xenbus_state own = device_own_state(device);
    const enum xenbus_state front = device_front_state(device);
    const bool closing = own == XENBUS_CLOSING || front == XENBUS_CLOSING;

    if (front != XENBUS_INITIALISED && front != XENBUS_CONNECTED && front != XENBUS_CLOSING)
        return false;
    return own != XENBUS_UNKNOWN && (device->state == DEVICE_RECOVERING || !closing);
}

static bool is_same_file(int one, int other)
{
    struct stat a, b;

    return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Whether the image may be one that is served: between the worker of an earlier supervisor and ours nobody locks it. */
static bool is_promised(const struct device *device)
{
    const struct blkback *blkback = device->guest->blkback;
    const struct guest *guest;
    const struct device *other;

    if (!blkback_is_settled(blkback))
        return true;
    LIST_FOREACH (guest, &blkback->guests, entry) {
        LIST_FOREACH (other, &guest->devices, entry) {
            if (other->state == DEVICE_ADOPTING || (other->state == DEVICE_OPENING && other->opened == serve_resume))
                return true;
            if (other->state == DEVICE_RECOVERING && is_same_file(other->image_fd, device->image_fd))
                return true;
        }
    }
    return false;
}

void lock_image(struct device *device)
{
    int err = -EWOULDBLOCK;

    event_del(device->lock_timer);
    if (device->state != DEVICE_LOCKING || !is_promised(device))
        err = disk_source_lock(device->image_fd, device->image.read_only);

    if (err == -EWOULDBLOCK && device->effect && !is_wanted(device)) {
        device->lock_missed = false;
        device_give_up(device, -ECANCELED, "no longer wanted while its image was in use elsewhere");
    } else if (err == -EWOULDBLOCK) {
        if (!device->lock_missed)
            log_warning(&device->log, "waits for %s, which somebody else uses or may go on using",
                        device->image.source.path);
        device->lock_us = device->lock_missed ? 2 * device->lock_us : LOCK_PERIOD_MIN_US;
        if (device->lock_us > LOCK_PERIOD_MAX_US)
            device->lock_us = LOCK_PERIOD_MAX_US;
        device->lock_missed = true;
        event_add(device->lock_timer, &(const struct timeval){.tv_usec = device->lock_us});
    } else if (err < 0) {
        device_give_up(device, err, "%s cannot be locked: %s", device->image.source.path, strerror(-err));
    } else {
        if (device->lock_missed)
            log_info(&device->log, "has %s now", device->image.source.path);
        device->lock_missed = false;
        serve_locked(device);
    }
}

bool lock_is_waited_for(const struct device *device)
{
    return device->lock_missed && (device->state == DEVICE_LOCKING || device->state == DEVICE_RECOVERING);
}

void lock_stop(struct device *device)
{
    event_del(device->lock_timer);
    device->lock_missed = false;
}

void lock_on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    lock_image(arg);
}

/* SPDX-License-Identifier: MIT */
/*
 * What is parked is one device, not its guest: the worker that found the request goes on with the other devices. What it is served with stays locked, the connection
 * recorded, the journal as it is, and the back end Connected: the guest waits, and nothing is lost.
 *
 * The file is written when the device is parked and removed when a worker serves it again, so that a supervisor that dies in between finds it
 * parked and can be told once more. A daemon of another version than the one that parked it (of the same version of journals) tries by itself:
 * an upgrade is the usual remedy, and when it is none it costs a few workers before the device is parked again.
 */
#include "parking.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <service/log.h>
#include <supervise/rundir.h>

#include "device.h"
#include "guest.h"
#include "kind.h"
#include "serve.h"

void parking_load(struct device *device)
{
    struct parking *parking = &device->parking;
    int err = rundir_read(device->dir, PARKING_FILE, parking, sizeof(*parking));

    if (err == 0 && parking->version == PARKING_VERSION && parking->when != 0 &&
        strncmp(parking->daemon, RINGBACK_VERSION, sizeof(parking->daemon)) == 0)
        return;
    memset(parking, 0, sizeof(*parking));
    if (err == -ENOENT)
        return;
    device->pardon = true;
    log_info(&device->log, "was parked by another version of %s; it is tried again", device_kind(device)->daemon);
}

bool parking_is_recorded(int device_dir)
{
    return faccessat(device_dir, PARKING_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool parking_is_due(const struct device *device)
{
    return device->parking.when != 0 && !device->pardon;
}

void parking_begin(struct device *device, const void *request, size_t size, const char *text)
{
    const struct death *death = &device->guest->death;
    struct parking *parking = &device->parking;

    *parking = (struct parking){.version = PARKING_VERSION, .when = time(NULL), .death = *death};
    assert(size <= sizeof(parking->request));
    memcpy(parking->request, request, size);
    strncpy(parking->daemon, RINGBACK_VERSION, sizeof(parking->daemon) - 1);
    log_error(&device->log, "parked: %s, last %s; 'ringctl show' tells more, 'ringctl resume' tries again", text,
              death->reason);
    int err = rundir_write(device->dir, PARKING_FILE, parking, sizeof(*parking));
    if (err < 0)
        log_warning(&device->log, "the next supervisor will not know that it is parked: %s", strerror(-err));
}

void parking_end(struct device *device)
{
    device->pardon = false;
    memset(&device->parking, 0, sizeof(device->parking));
    device_remove_file(device, PARKING_FILE);
}

int parking_resume(struct device *device)
{
    if (device->state != DEVICE_PARKED)
        return -EINVAL;
    log_info(&device->log, "is tried again");
    device->pardon = true;
    serve_recover(device);
    return 0;
}

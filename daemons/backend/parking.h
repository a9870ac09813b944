/* SPDX-License-Identifier: MIT */
/*
 * Devices whose next request crashed too many workers: they are parked, which their guest sees as a device that does not answer, until somebody
 * says that it be tried again.
 */
#ifndef BACKEND_PARKING_H
#define BACKEND_PARKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <backend/death.h>

struct device;

/* Its file in the device's run directory: struct parking, there as long as the device is parked. */
#define PARKING_FILE "parked"

#define PARKING_VERSION      1u
#define PARKING_DAEMON_SIZE  32
#define PARKING_REQUEST_SIZE 32

struct parking {
    uint32_t version; /* PARKING_VERSION */
    uint32_t reserved;
    int64_t when;                     /* seconds since 1970; 0: it is not parked */
    char daemon[PARKING_DAEMON_SIZE]; /* the version that parked it */
    /* What is not executed again, in the kind's words. */
    _Alignas(uint64_t) unsigned char request[PARKING_REQUEST_SIZE];
    struct death death; /* of the last worker it crashed */
};

/* Reads what earlier supervisors kept. One of another version than ours parked it: it will be tried again. */
void parking_load(struct device *device);
/* Whether the device of that run directory was parked: no worker holds it. */
bool parking_is_recorded(int device_dir);
/* Whether it is to be left alone. */
bool parking_is_due(const struct device *device);
/* The worker let go of it because of `request`, of PARKING_REQUEST_SIZE bytes at most; `text`: "a read of 8 sectors ended its worker 3 times". */
void parking_begin(struct device *device, const void *request, size_t size, const char *text);
/* It is served again, or gone: nothing is kept. */
void parking_end(struct device *device);
/* Tries again, everything forgiven. Returns 0, or -EINVAL when it is not parked. */
int parking_resume(struct device *device);

#endif

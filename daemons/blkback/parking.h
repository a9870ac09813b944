/* SPDX-License-Identifier: MIT */
/*
 * Devices whose next request crashed too many workers: they are parked, which their guest sees as a disk that does not answer, until somebody
 * says that it be tried again.
 */
#ifndef BLKBACK_PARKING_H
#define BLKBACK_PARKING_H

#include <stdbool.h>
#include <stdint.h>

#include "death.h"
#include "protocol.h"

struct device;

/* Its files in the device's run directory. */
#define PARKING_FILE          "parked"   /* struct parking: there as long as the device is parked */
#define PARKING_SUSPECTS_FILE "suspects" /* struct blkback_suspects */

#define PARKING_VERSION     1u
#define PARKING_DAEMON_SIZE 32

struct parking {
    uint32_t version; /* PARKING_VERSION */
    uint32_t reserved;
    int64_t when;                     /* seconds since 1970; 0: it is not parked */
    char daemon[PARKING_DAEMON_SIZE]; /* the version that parked it */
    struct blkback_request request;
    struct death death; /* of the last worker it crashed */
};

/* "read", "write" and so on of a request's code; "unknown". */
const char *parking_operation(uint32_t code);

/* Reads what earlier supervisors kept. One of another version than ours parked it: it will be tried again. */
void parking_load(struct device *device);
/* Whether the device of that run directory was parked: no worker holds it. */
bool parking_is_recorded(int device_dir);
/* Whether it is to be left alone. */
bool parking_is_due(const struct device *device);
/* The worker let go of it because of `request`. */
void parking_begin(struct device *device, const struct blkback_request *request);
/* It is served again, or gone: nothing is kept. */
void parking_end(struct device *device);
/* Keeps which requests a crash makes suspects of. */
void parking_suspect(struct device *device, const struct blkback_suspects *suspects);
/* Tries again, everything forgiven. Returns 0, or -EINVAL when it is not parked. */
int parking_resume(struct device *device);

#endif

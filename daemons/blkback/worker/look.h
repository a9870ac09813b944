/* SPDX-License-Identifier: MIT */
/*
 * Looks at disks that servers have (libdisk's disk_ready()): such a look takes as long as the server does, and the guest's other disks cannot wait for it.
 */
#ifndef BLKBACK_WORKER_LOOK_H
#define BLKBACK_WORKER_LOOK_H

#include "../protocol.h"

struct device_host;
struct disk_info;
struct disk_error;

/* The outcome: 0, or -errno with `error` filled. */
typedef void (*look_done)(uint32_t devid, int result, const struct disk_info *info, const struct disk_error *error);

/* Begins one, over the connection `fd`, which it takes over; an earlier one at the same device is dropped. Ends by `done`, from the loop or from within. */
void look_begin(const struct device_host *host, uint32_t devid, const struct blkback_check *check, int fd,
                look_done done);
/* Nobody wants to know any more. Harmless without one. */
void look_drop(uint32_t devid);

#endif

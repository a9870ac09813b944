/* SPDX-License-Identifier: MIT */
/*
 * A worker's view of one device: the files it was given, its disk, its rings.
 */
#ifndef BLKBACK_WORKER_DEVICE_H
#define BLKBACK_WORKER_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include <disk/disk.h>

#include "../protocol.h"
#include "caution.h"

struct device;
struct event_base;
struct spin;
struct xendev_events;
struct xendev_grants;

/* What all devices of a worker share. */
struct device_host {
    struct event_base *base;
    struct spin *spin;
    struct xendev_events *events;
    struct xendev_grants *grants;
    uint32_t domid;
    bool may_map; /* pages of the guest, to keep them mapped */
    int fence_fd;
    /* The device cannot go on; it stays until device_close(), which must not be called from within. */
    void (*failed)(uint32_t devid, const char *reason);
    /* The device is drained, as device_drain() asked. */
    void (*drained)(uint32_t devid);
    /* The same, and nothing of it is in progress: what comes next crashed too many processes. */
    void (*parked)(uint32_t devid, const struct blkback_request *request);
    /* What device_resize() has begun has ended. */
    void (*resized)(uint32_t devid, int result, uint64_t sectors);
    /* Its disk has no connection to its server, and wants one. Returns whether that could be said. */
    bool (*dial)(uint32_t devid, const char *why);
    /* What device_coalesce() has begun has ended. Returns false when that cannot be said now. */
    bool (*coalesced)(uint32_t devid, int result);
    struct caution *caution;
    struct disk_error no_nbd; /* why it cannot serve NBD disks; "": it was not asked to be able to, or is */
};

/* Descriptors that came with BACKEND_CONNECT. */
struct device_files {
    int image;
    int journal;
    int counters;
    const int *parents;
    unsigned parent_count;
};

/* Opens the image just to look at it, changing nothing. `fds` are it and its parents, which are taken over. Returns 0; 1 when one more parent is
 * needed, which `ret_parent` tells; or -errno with `ret_error` filled. */
int device_check(const struct device_host *host, const struct blkback_check *check, const int *fds,
                 struct disk_info *ret_info, struct disk_parent *ret_parent, struct disk_error *ret_error);

/* Connects and serves. Takes the files over, also when it fails. Returns 0, or -errno with `ret_error` filled. */
int device_open(const struct device_host *host, uint32_t devid, const struct blkback_order *order,
                const struct device_files *files, struct device **ret_device, struct disk_error *ret_error);

/* See queue_drain() and queue_undrain(). */
void device_drain(struct device *device);
void device_undrain(struct device *device);

/* Sets the limits, from now on. */
void device_throttle(struct device *device, const struct blkback_limits *limits);

/* What a new supervisor is told: the connection's generation, and descriptors of the image and its parents that stay the device's. Returns how many. */
uint64_t device_generation(const struct device *device);
unsigned device_images(const struct device *device, int ret_fds[1 + BLKBACK_PARENTS_MAX]);

/* Gives the disk `size` bytes, or with 0 only looks; ends by host->resized(), from within or later. */
void device_resize(struct device *device, uint64_t size);

/* A connection, as its disk wanted one; taken over. */
void device_dialed(struct device *device, int fd);
/* Says again what it wants. */
void device_dials(struct device *device);

/* What a child of the image has to know. Returns 0, or -errno with `ret_error` filled. */
int device_describe(const struct device *device, uint64_t *ret_size, uint8_t ret_uuid[DISK_UUID_SIZE],
                    struct disk_error *ret_error);

/* As coalesce_start() and coalesce_cancel(); ends by host->coalesced(). */
void device_coalesce(struct device *device, uint64_t limit);
void device_stop_coalescing(struct device *device);

/* As queue_suspects(). */
void device_suspects(const struct device *device, struct blkback_suspects *ret_suspects);

/* Stops, waits for the disk, lets go of everything. `recoverable`: somebody will go on from the journal. Takes NULL. */
void device_close(struct device *device, bool recoverable);

#endif

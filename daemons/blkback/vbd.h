/* SPDX-License-Identifier: MIT */
/*
 * A disk: what blkbackd adds to a back end's device, and the kind of device it is.
 */
#ifndef BLKBACK_VBD_H
#define BLKBACK_VBD_H

#include <stdbool.h>
#include <stdint.h>

#include <backend/device.h>

#include "chain.h"
#include "coalesce.h"
#include "image.h"
#include "limits.h"
#include "protocol.h"
#include "resize.h"
#include "server.h"
#include "snapshot.h"

struct blkback;
struct errand;
struct event;

/* What is under way while the device is PREPARING, ACQUIRING or RESUMING, or RECOVERING without its chain. */
enum vbd_step {
    VBD_OPENING,   /* its image is being opened, or made; or a parent */
    VBD_CHECKING,  /* prepare: the worker looks at the image */
    VBD_LOCKING,   /* connect: until nobody else uses the image */
    VBD_MEASURING, /* connect: the worker looks how large it is now; recover: what its parents are */
    VBD_STEPS
};

struct vbd {
    struct device device;
    struct blkback_connection connection;
    enum vbd_step step;
    struct image image;
    struct errand *opening; /* VBD_OPENING */
    int image_fd;       /* open while served, and locked; else -1; of a server's disk only while that is looked at */
    struct chain chain; /* its parents, open with it */
    struct event *lock_timer;
    bool lock_missed;
    int lock_us;      /* until the next try */
    uint64_t sectors; /* of 512 bytes; 0: not known yet */
    uint32_t sector_size;
    uint32_t physical_sector_size;
    uint32_t discard_granularity; /* bytes; 0: its guest may not discard */
    struct limits limits;
    struct resize resize;
    struct server server; /* of a disk that has one */
    struct snapshot snapshot;
    struct coalesce coalesce;
    struct blkback_suspects suspects; /* as of the last crash */
};

/* Its file in the device's run directory: see image.h. */
#define VBD_IMAGE_FILE "image"

/* No disk is larger: offsets in bytes must fit 63 bits. */
#define VBD_SECTORS_MAX ((uint64_t)INT64_MAX / DISK_SECTOR_SIZE)

extern const struct backend_kind vbd_kind;

/* The disk that a device of this kind is. */
struct vbd *vbd_of(struct device *device);
const struct vbd *vbd_of_const(const struct device *device);
const struct blkback *vbd_daemon(const struct vbd *vbd);
/* Whether its image is of the kind of that name; false when it is not known yet. */
bool vbd_is_kind(const struct vbd *vbd, const char *kind);

#endif

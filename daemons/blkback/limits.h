/* SPDX-License-Identifier: MIT */
/*
 * How fast a guest may use a disk: what is said of it in xenstore, or else in the configuration; as of now, since both may change at any time.
 */
#ifndef BLKBACK_LIMITS_H
#define BLKBACK_LIMITS_H

#include <stdbool.h>

#include <jansson.h>

#include "protocol.h"

struct blkback;
struct blkback_queue_counters;
struct vbd;
struct xendev_watch;

/* In a back end's directory; it has a key for each member of struct blkback_limits. */
#define LIMITS_DIRECTORY "throttle"

struct limits {
    struct blkback_limits now; /* in force */
    struct limits_said {       /* of this disk */
        bool iops, bps;        /* whether there is a key, which outranks the configuration */
        struct blkback_limits values;
    } said;
    bool untold; /* the worker may not know them as they are */
    struct xendev_watch *watch;
};

/* A new disk: what earlier supervisors recorded, or what is configured. */
void limits_init(struct vbd *vbd);
/* It has its back end in xenstore, now or again: reads there, and follows changes. */
void limits_follow(struct vbd *vbd);
void limits_unfollow(struct vbd *vbd);

/* The worker is told with what it is told now. */
struct blkback_limits limits_tell(struct vbd *vbd);
/* The worker serves the disk, and hears what it was not told with that. */
void limits_served(struct vbd *vbd);
/* The same, of one that an earlier supervisor had told. */
void limits_adopted(struct vbd *vbd);

/* The configuration has changed. */
void limits_reloaded(struct blkback *blkback);

/* For reports. */
json_t *limits_report(const struct vbd *vbd, const struct blkback_queue_counters *counters);

#endif

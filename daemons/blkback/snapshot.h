/* SPDX-License-Identifier: MIT */
/*
 * Snapshots of disks that their guests use.
 */
#ifndef BLKBACK_SNAPSHOT_H
#define BLKBACK_SNAPSHOT_H

#include <stdbool.h>

#include <jansson.h>

#include "protocol.h"

struct control_request;
struct device;
struct errand;
struct snapshot_files;
struct vbd;

enum snapshot_step {
    SNAPSHOT_NONE,
    SNAPSHOT_CLEARING,   /* what came to nothing is being removed */
    SNAPSHOT_DESCRIBING, /* the worker is asked what the image is, or will be when there is one */
    SNAPSHOT_MAKING,     /* the child is being made */
    SNAPSHOT_READY,      /* the child is there, and the worker is to make room for one that is given it */
    SNAPSHOT_SWAPPING,   /* no worker uses the image, whose place the child takes */
    SNAPSHOT_STEPS
};

struct snapshot {
    enum snapshot_step step;
    struct snapshot_files *files;    /* NULL: NONE */
    struct errand *errand;           /* CLEARING, MAKING, SWAPPING */
    int child;                       /* READY, SWAPPING: its descriptor; else -1 */
    bool asked;                      /* DESCRIBING: the worker owes an answer */
    bool unwanted;                   /* MAKING, SWAPPING: the disk is served no more */
    unsigned deaths;                 /* of workers, while they were asked */
    char error[BACKEND_REASON_SIZE]; /* why the last one was not made; "": it was, or there was none */
};

/* A new disk: removes what a supervisor left that ended in the middle of a snapshot. */
void snapshot_init(struct vbd *vbd);
void snapshot_fini(struct vbd *vbd);

/* POST .../snapshot, see struct backend_kind. */
bool snapshot_post(struct device *device, const char *verb, struct control_request *request);
/* The worker's answer. Returns 0 or -EPROTO. */
int snapshot_described(struct vbd *vbd, const struct blkback_message *message);
/* Another worker serves the disk. */
void snapshot_succeeded(struct vbd *vbd);
/* No worker uses the image of a disk that is RECOVERING. Returns whether it is not to be locked yet, but when lock_image() is called from here. */
bool snapshot_intervenes(struct vbd *vbd);
/* It is served no more. */
void snapshot_forget(struct vbd *vbd);

/* Whether one is being made. */
bool snapshot_is_under_way(const struct vbd *vbd);
/* Whether the lock of the image must outlast the disk's interest in it. */
bool snapshot_holds_image(const struct vbd *vbd);
/* What is under way, or null. */
json_t *snapshot_report(const struct vbd *vbd);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Disks that become larger while their guests use them.
 */
#ifndef BLKBACK_RESIZE_H
#define BLKBACK_RESIZE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol.h"

struct blkback;
struct control_request;
struct device;
struct vbd;

struct resize {
    bool asked;                      /* the worker owes an answer */
    bool due;                        /* the worker may know of a size that the guest was not told */
    uint64_t wanted;                 /* bytes, asked for by the operator; 0: none */
    unsigned deaths;                 /* of workers, meanwhile */
    char error[BACKEND_REASON_SIZE]; /* why the last wish was not fulfilled; "": it was, or there was none */
};

/* Looks at all disks from time to time. Returns 0 or -ENOMEM. */
int resize_start(struct blkback *blkback);
void resize_stop(struct blkback *blkback);

/* POST .../resize, see struct backend_kind. */
bool resize_post(struct device *device, const char *verb, struct control_request *request);
/* The worker's answer. Returns 0 or -EPROTO. */
int resize_answered(struct vbd *vbd, const struct blkback_message *message);
/* Another supervisor's worker serves it, or a successor does: what was under way may have been done, or not. */
void resize_succeeded(struct vbd *vbd);
/* It is served no more. */
void resize_forget(struct vbd *vbd);

#endif

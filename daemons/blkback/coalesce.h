/* SPDX-License-Identifier: MIT */
/*
 * Disks whose images are given what their parents hold, while their guests use them.
 */
#ifndef BLKBACK_COALESCE_H
#define BLKBACK_COALESCE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "protocol.h"

struct control_request;
struct device;
struct vbd;

struct coalesce {
    bool wanted;                     /* recorded, so that it is for the next supervisor, too */
    bool told;                       /* the worker is at it, or is yet to say that it is not any more */
    uint64_t limit;                  /* bytes a second; 0: none */
    unsigned crashes;                /* of workers, meanwhile */
    char error[BACKEND_REASON_SIZE]; /* why the last was given up; "": it was not, or there was none */
};

/* A new disk: what was wanted of an earlier supervisor is wanted. */
void coalesce_init(struct vbd *vbd);

/* POST .../coalesce, see struct backend_kind. */
bool coalesce_post(struct device *device, const char *verb, struct control_request *request);
/* The worker's answer. Returns 0 or -EPROTO. */
int coalesce_answered(struct vbd *vbd, const struct blkback_message *message);
/* Another supervisor's worker serves it, or a successor does, of one that crashed or not. */
void coalesce_succeeded(struct vbd *vbd, bool crashed);
/* It is served no more. */
void coalesce_forget(struct vbd *vbd);

/* Whether one is under way. */
bool coalesce_is_under_way(const struct vbd *vbd);
/* What is under way, or null; `pulled` is what the worker has counted. */
json_t *coalesce_report(const struct vbd *vbd, uint64_t pulled);

#endif

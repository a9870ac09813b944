/* SPDX-License-Identifier: MIT */
/*
 * Giving a disk's image what its parents hold, between the requests of its guest.
 */
#ifndef BLKBACK_WORKER_COALESCE_H
#define BLKBACK_WORKER_COALESCE_H

#include <stdbool.h>
#include <stdint.h>

#include <backend/worker/bucket.h>

#include "caution.h"
#include "drive.h"

struct event_base;

/* Embedded; the first fields are its owner's to fill in, the rest is zeroed. */
struct coalesce {
    struct drive *drive;
    const struct caution *caution;
    uint64_t *progress; /* bytes, to be seen by others */
    /* It has ended: 0, or -errno; from within a call of these functions, or from the loop. Returns false when that cannot be said now. */
    bool (*ended)(void *arg, int result);
    void *arg;

    struct drive_user user;
    struct drive_io io;
    struct event *event; /* the next step */
    struct bucket bucket;
    bool running; /* wanted, and not ended */
    bool busy;    /* `io` is the disk's */
    bool settling;
    bool unsaid; /* `result` */
    int result;
    uint64_t at;
};

/* Returns 0 or -ENOMEM. */
int coalesce_init(struct coalesce *coalesce, struct event_base *base);
/* Takes one that was never made. The disk may have a request of its still, until that is closed. */
void coalesce_fini(struct coalesce *coalesce);

/* Begins, or goes on with another limit, in bytes copied in a second; 0: none. */
void coalesce_start(struct coalesce *coalesce, uint64_t limit);
/* Ends it by -ECANCELED, unless it has nothing left to do: then by 0. */
void coalesce_cancel(struct coalesce *coalesce);

#endif

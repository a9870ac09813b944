/* SPDX-License-Identifier: MIT */
/*
 * From a request as it stands on the ring to one that the disk can have: decoded, its list of segments fetched if it has one, checked, and bound to
 * memory. A batch at a time, on private memory.
 *
 *     intake_add (for each request taken) -> intake_accept -> slots that are ready, or refused
 *
 * One that finds no memory waits here, and nothing more may be taken until it was resumed.
 */
#ifndef BLKBACK_WORKER_INTAKE_H
#define BLKBACK_WORKER_INTAKE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <ring/blkif.h>

#include "../counters.h"
#include "barrier.h"
#include "drive.h"
#include "memory.h"

#define INTAKE_MAX 16u /* requests of a batch */

struct ring_request;

/* One request in progress. */
struct slot {
    struct drive_io drive;
    uint64_t id;
    uint8_t response_code;
    enum blkif_fault fault; /* why it is refused */
    bool empty;             /* there is nothing to be done for it */
    bool barrier;           /* it is one, good or bad */
    enum barrier_step step; /* of a barrier */
    enum blkback_counted_op counted;
    struct blkif_job job;
    struct memory_data data;
    STAILQ_ENTRY(slot) entry; /* in intake->waiting */
};

struct arrival {
    struct slot *slot;
    struct blkif_message message;
    bool replayed;
    struct memory_list *list; /* of its segments; NULL: they are in the message, or it is refused */
};

/* The fields above the line are its owner's to fill in. */
struct intake {
    enum blkif_abi abi;
    struct blkif_limits limits;
    bool discard_secure; /* all discards are, where they are offered */
    struct blkback_queue_counters *counters;
    struct memory *memory;
    struct slot *slots; /* by the request's index */
    /* ---- */
    STAILQ_HEAD(, slot) waiting;
    struct arrival arrivals[INTAKE_MAX];
    struct memory_list lists[INTAKE_MAX];
    unsigned count;    /* of arrivals */
    unsigned segments; /* that they claim to have, as far as they may have so many */
};

void intake_init(struct intake *intake);

/* The disk has another size. */
void intake_resized(struct intake *intake, const struct disk *disk);
/* What a guest may ask of such a disk. `discard`: it may, as far as the disk can. `indirect`: most segments of an indirect request. */
struct blkif_limits intake_limits(const struct disk_info *disk, bool discard, unsigned indirect);

/* Whether one more request may be taken: a batch has so many, and of so many segments. */
bool intake_has_room(const struct intake *intake);
/* Whether a request is a barrier, where these are offered. `intake` is one. */
bool intake_is_barrier(const struct ring_request *request, void *intake);
void intake_add(struct intake *intake, const struct ring_request *request, bool replayed);

/* Fills in what can go on, INTAKE_MAX at most: those that waited for memory. Returns how many. */
unsigned intake_resume(struct intake *intake, struct slot **ret_slots);
/* The same of what was added, which are fewer than INTAKE_MAX less what was resumed; refused and empty ones, too. Returns how many there are now. */
unsigned intake_accept(struct intake *intake, struct slot **ret_slots, unsigned count);
/* Whether some wait for memory. */
bool intake_waits(const struct intake *intake);

#endif

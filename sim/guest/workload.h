/* SPDX-License-Identifier: MIT */
/*
 * Verified I/O on one front end: random reads, writes, flushes and discards at a given depth, every sector read checked against a model of the disk.
 */
#ifndef GUEST_WORKLOAD_H
#define GUEST_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "blkfront.h"
#include "model.h"
#include "random.h"

struct workload_config {
    uint64_t min,
        max; /* bytes of a request, multiples of 512, at most 4K a segment of the front end's; less where that has fewer */
    uint64_t from, span; /* bytes of the disk used; span 0: to its end, at most WORKLOAD_SPAN_MAX */
    bool grows;          /* all of the span is used, as soon as the disk has it */
    unsigned read_percent;
    unsigned flush_percent;   /* of the others */
    unsigned discard_percent; /* the same */
    unsigned barrier_percent; /* the same; a quarter of them without data */
    uint64_t discard_max;     /* bytes of a discard, a multiple of 512 */
    bool discard_secure;      /* they are to be secure, if that is offered */
    uint64_t seed;
    const char *state; /* file of the model, NULL: none */
    bool blank;        /* the disk is known to be zeroes */
    bool allow_errors; /* answers with an error are counted, not complained about */
    uint64_t
        poison; /* this one of the requests is a write of WORKLOAD_POISON bytes in one segment, others are of whole pages; 0: none */
};

#define WORKLOAD_POISON       UINT64_C(1536)
#define WORKLOAD_SIZE_DEFAULT (UINT64_C(44) << 10)
#define WORKLOAD_SPAN_MAX     (UINT64_C(1) << 30)

struct workload_counts {
    uint64_t reads, writes, flushes, discards, errors;
    uint64_t indirect;                 /* of the reads and writes */
    uint64_t barriers, barriers_empty; /* beside these; the latter are of the former */
    uint64_t bytes_read, bytes_written, bytes_discarded;
    uint64_t sectors_verified;
    uint64_t mismatches;
};

enum workload_phase {
    WORKLOAD_IDLE,
    WORKLOAD_MIXED,     /* random requests until workload_stop() or their number is reached */
    WORKLOAD_VERIFYING, /* every sector once */
    WORKLOAD_DRAINING,  /* nothing new; until the last answer */
};

struct workload_request;

struct workload {
    struct blkfront *front;
    struct workload_config config;
    struct workload_counts counts;
    struct model *model;
    struct random random;
    enum workload_phase phase;
    uint64_t left;                     /* MIXED: requests still to send */
    uint64_t planned;                  /* MIXED: requests sent so far */
    uint64_t next;                     /* VERIFYING: the next sector */
    struct workload_request *requests; /* by tag */
    unsigned *free_tags;
    unsigned free_count;
    bool failed; /* a mismatch or an error: stopped at the first */
};

/* Makes a workload for a connected front end, whose user it becomes. Returns 0, or -errno after a message. */
int workload_open(struct workload *workload, struct blkfront *front, const struct workload_config *config);
void workload_close(struct workload *workload);

/* Start, on a connected front end with nothing in flight. */
void workload_run(struct workload *workload, uint64_t requests);
void workload_verify(struct workload *workload);
/* Sends nothing new. */
void workload_stop(struct workload *workload);
/* The connection is over: what was in flight has not been acknowledged. */
void workload_abandon(struct workload *workload);

/* Whether it has come to an end, good or bad. */
bool workload_idle(const struct workload *workload);
bool workload_good(const struct workload *workload);

#endif

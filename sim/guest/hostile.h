/* SPDX-License-Identifier: MIT */
/*
 * A hostile guest: a table of cases, each doing what a guest must get away with nothing for, each ending with a request that succeeds.
 */
#ifndef GUEST_HOSTILE_H
#define GUEST_HOSTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blkfront.h"
#include "random.h"

enum hostile_result {
    HOSTILE_OK,
    HOSTILE_FAILED,
    HOSTILE_SKIPPED, /* this disk or back end has not what the case is about */
};

/* Tags of the front end: requests use 0..HOSTILE_DEPTH-1; the last one's pages are never named in any request. */
#define HOSTILE_DEPTH     16u
#define HOSTILE_BYSTANDER HOSTILE_DEPTH
#define HOSTILE_TAGS      (HOSTILE_DEPTH + 1)
#define HOSTILE_GUARD     0xc5

/* Stands for whatever status tells of an error. */
#define HOSTILE_ANY_ERROR 1

struct hostile {
    struct guest guest;
    struct blkfront front;
    struct blkfront_config config; /* what every case starts with */
    uint64_t count;                /* repetitions, in cases that repeat */
    struct random random;
    int16_t status[HOSTILE_TAGS]; /* of each tag's last answer */
    uint64_t refusals;            /* answers with an error, since the case began */
    uint64_t answers;
    void (*again)(struct hostile *hostile, unsigned tag); /* called for each answer, may send; NULL: nothing */
    void *context;                                        /* of `again` */
    char seen[400];                                       /* what was observed */
};

struct hostile_case {
    const char *name;
    const char *purpose;
    enum hostile_result (*run)(struct hostile *hostile, const void *param);
    const void *param;
};

/* The cases, in the order in which they run; each table ends with an entry without a name. */
extern const struct hostile_case hostile_request_cases[];
extern const struct hostile_case hostile_indirect_cases[];
extern const struct hostile_case hostile_ring_cases[];
extern const struct hostile_case hostile_race_cases[];
extern const struct hostile_case hostile_store_cases[];

/* Whether the pages that no request names are as they were; else tells. */
bool hostile_bystander_is_untouched(struct hostile *hostile);
/* Adds to what was observed. */
void hostile_see(struct hostile *hostile, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A whole page, at `sector`, with one segment of page 0 of the tag. */
struct blkif_message hostile_message(struct hostile *hostile, uint8_t code, unsigned tag, uint64_t sector);
/* Sends one request and waits. Returns 0 with its status, or -errno when there was no answer. */
int hostile_ask(struct hostile *hostile, unsigned tag, struct blkif_message *message, int16_t *ret_status);
/* Waits for everything in flight. Returns 0; -ECONNRESET when the back end left or broke the protocol; -ETIMEDOUT. */
int hostile_drain(struct hostile *hostile);

/* Each returns whether it is so, and notes what was seen. */
bool hostile_is_served(struct hostile *hostile); /* a normal read succeeds */
bool hostile_is_answered(struct hostile *hostile, unsigned tag, struct blkif_message *message,
                         int status);            /* then a normal read succeeds */
bool hostile_is_closed(struct hostile *hostile); /* the back end closes with a reason, and then serves a new life */

/* Gives everything up and starts anew, whatever the state of both ends. Returns 0 or -errno. */
int hostile_restart(struct hostile *hostile);

#endif

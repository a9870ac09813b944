/* SPDX-License-Identifier: MIT */
/*
 * A device's counters: the file `counters` of its run directory, written by the worker through a mapping, read by the supervisor with
 * pread(). They outlive the worker; its successor counts on. Every field but the header is a 64-bit number stored whole.
 */
#ifndef BLKBACK_COUNTERS_H
#define BLKBACK_COUNTERS_H

#include <stdint.h>

#include <ring/blkif.h>

#include "protocol.h"

#define BLKBACK_COUNTERS_MAGIC   0x72626263u /* "rbbc" */
#define BLKBACK_COUNTERS_VERSION 5u

enum blkback_counted_op {
    BLKBACK_COUNTED_READ,
    BLKBACK_COUNTED_WRITE,
    BLKBACK_COUNTED_FLUSH,
    BLKBACK_COUNTED_DISCARD,
    BLKBACK_COUNTED_OPS
};

struct blkback_queue_counters {
    uint64_t requests[BLKBACK_COUNTED_OPS]; /* accepted */
    uint64_t requests_indirect;             /* of these, with their segments in a page of their own */
    uint64_t requests_barrier;              /* of the writes and flushes: barriers, with data and without */
    uint64_t bytes[BLKBACK_COUNTED_OPS];    /* read, written and discarded; of completed requests */
    uint64_t faults[BLKIF_FAULTS];          /* refused or failed requests by reason */
    uint64_t replayed;                      /* requests executed again after a worker's death */
    uint64_t events;                        /* received from the guest */
    uint64_t notifications;                 /* sent to the guest */
    uint64_t polls_hit;                     /* times the ring was watched while idle, and work came */
    uint64_t polls_missed;                  /* the same, in vain */
    uint64_t requests_mapped; /* served straight from or to the guest's memory; the others with data were copied */
    uint64_t grants_mapped;   /* references kept mapped now */
    uint64_t throttled;       /* times the disk's limits made requests wait on the ring */
    uint64_t throttled_ns;    /* how long they did in all */
    /* The ring when the worker last went idle or last finished a batch. */
    uint64_t req_prod, req_event, rsp_prod, rsp_event, req_cons, in_flight, slots;
};

struct blkback_counters {
    uint32_t magic;
    uint32_t version;
    uint64_t recovery_ns; /* the last recovery: from the worker being told to the guest being notified */
    uint64_t
        pulled; /* bytes from the start that were looked at, and copied where need be, while the disk is coalesced */
    struct blkback_queue_counters queues[BLKBACK_QUEUES_MAX]; /* those that an earlier connection had, too */
};

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What blkbackd's supervisor and its workers say to each other beside what backend/protocol.h has, and the descriptors that ride along:
 *
 *   supervisor                                worker
 *   BACKEND_SERVE  [fence, listener, crash, budget] ->
 *   BLKBACK_CHECK  [image, parents...]   ->   opens the disk, looks, closes it
 *                                        <-   BLKBACK_CHECKED
 *                                        <-   or BLKBACK_PARENT: the last of them is the child of another image, which is wanted, too
 *   BACKEND_CONNECT [image, journal, counters, parents...] ->
 *   BLKBACK_THROTTLE                     ->   from now on, and until the next; not answered
 *                                        <-   BACKEND_HELD [image, parents...]: the descriptions it works with, so their locks are kept
 *
 *   BLKBACK_RESIZE                       ->   of a device that is served: gets that size, or, with size 0, says which it has
 *                                        <-   BLKBACK_RESIZED: it has this size, whatever the result
 *   BLKBACK_DESCRIBE                     ->   of a device that is served: says what a child of its image has to know of that
 *                                        <-   BLKBACK_DESCRIBED
 *   BLKBACK_COALESCE                     ->   of a device that is served: copies what parents hold into the image, or no longer; may be said again
 *                                        <-   BLKBACK_COALESCED, once for all of these, much later: 0, the image has no parent any more; or why that was
 *                                             given up, -ECANCELED when it was told to
 *
 *   of a disk that a server has (server.c), whose image is a connection in CHECK, and in CONNECT nothing but a socket in its place:
 *                                        <-   BLKBACK_DIAL: it has no connection, for that reason, and wants one
 *   BLKBACK_DIALED [connection]          ->   the one that was wanted; not answered
 *   BLKBACK_DIALS                        ->   from a new supervisor: is one wanted still? Answered by BLKBACK_DIAL if so
 *
 * Parents are in the order of the chain, the image's own first.
 */
#ifndef BLKBACK_PROTOCOL_H
#define BLKBACK_PROTOCOL_H

#include <stdint.h>

#include <backend/protocol.h>
#include <disk/parent.h>
#include <ring/blkif.h>

/* Of messages. To be counted up with every change of one: a worker of another version is drained, not talked to. */
#ifndef BLKBACK_PROTOCOL_VERSION
#define BLKBACK_PROTOCOL_VERSION 5u /* tests build others */
#endif
/* Of recorded connections. */
#define BLKBACK_CONNECTION_VERSION 3u
#define BLKBACK_RING_PAGES_MAX     (1u << BLKIF_RING_ORDER_MAX)
#define BLKBACK_PARENTS_MAX        60u /* with them, a packet's descriptors are CHANNEL_FDS_MAX at most */
#define BLKBACK_KIND_SIZE          16u /* of the name of a disk kind, its end included */
#define BLKBACK_QUEUES_MAX         8u  /* with the largest rings, as many requests as a disk can have in flight */

enum blkback_message_type {
    BLKBACK_CHECK = BACKEND_OWN,
    BLKBACK_CHECKED,
    BLKBACK_PARENT,
    BLKBACK_THROTTLE,
    BLKBACK_RESIZE,
    BLKBACK_RESIZED,
    BLKBACK_DIAL,
    BLKBACK_DIALED,
    BLKBACK_DIALS,
    BLKBACK_DESCRIBE,
    BLKBACK_DESCRIBED,
    BLKBACK_COALESCE,
    BLKBACK_COALESCED,
};

/* The image behind a device. */
struct blkback_image {
    char kind[BLKBACK_KIND_SIZE]; /* name of the disk kind */
    uint32_t read_only;
};

/* What is to be looked at. */
struct blkback_check {
    struct blkback_image image;
    uint32_t parents;                        /* so many came along */
    char last_kind[BLKBACK_KIND_SIZE];       /* of the last of them, or of the image */
    char export_name[DISK_EXPORT_NAME_SIZE]; /* of a server's disk */
};

/* What an image says of its parent: of no more worth than anything a worker says. */
struct blkback_parent {
    char kind[BLKBACK_KIND_SIZE];
    uint32_t count;                       /* of the locators, of which no fewer than one is told if there are any */
    char locators[DISK_LOCATOR_SIZE * 2]; /* each with a NUL behind it, the best first */
};

/* One queue: a ring, and the events about it. */
struct blkback_queue {
    uint32_t ring_refs[BLKBACK_RING_PAGES_MAX]; /* 1 << ring_order of them */
    uint32_t event_channel;
};

/* One connection, complete: see struct backend_connection, with which it begins. */
struct blkback_connection {
    union {
        struct backend_connection head;
        struct {
            uint32_t version;    /* BLKBACK_CONNECTION_VERSION */
            uint32_t abi;        /* enum blkif_abi */
            uint64_t generation; /* of the journal; never 0, never reused */
        };
    };
    uint32_t ring_order;  /* of each queue's ring */
    uint32_t queue_count; /* 1 to BLKBACK_QUEUES_MAX */
    struct blkback_queue queues[BLKBACK_QUEUES_MAX];
    uint32_t
        persistent; /* references to keep mapped at most, of each queue; 0: the front end does not take part in that */
    uint32_t indirect_segments; /* most in an indirect request, as was offered; 0: there are none */
    struct blkback_image image;
};

/* How much a guest may do in a second, whatever it is. 0: there is no such limit. */
struct blkback_limits {
    uint64_t iops;     /* requests */
    uint64_t iops_max; /* that go at once after a pause; 0: a tenth of a second's worth */
    uint64_t bps;      /* bytes read and written */
    uint64_t bps_max;
};

/* How to connect. */
struct blkback_order {
    struct blkback_connection connection;
    struct blkback_limits limits;
    uint32_t recover;          /* 1: the journal holds the requests of a dead worker... */
    uint32_t crashed;          /* ...1: that crashed: by its own doing, not by somebody's who killed it */
    uint32_t pardon;           /* 1: forget what crashed before */
    uint32_t attempts_max;     /* crashes after which a request is not executed again */
    uint32_t parents;          /* so many came along */
    uint32_t discard;          /* 1: the guest may discard, if the disk can and may be written */
    struct disk_export server; /* what a server's disk was found to be; all 0 of others */
};

/* A request as it is told of, in the guest's own words: nothing but numbers. */
struct blkback_request {
    uint64_t id;
    uint64_t sector;   /* of 512 bytes */
    uint32_t sectors;  /* 0 where it has none, or where they are not known */
    uint32_t code;     /* enum blkif_code, or anything; of an indirect request, the inner one */
    uint32_t attempts; /* that ended in a crash */
    uint32_t segments; /* of an indirect request, else 0 */
};

/* Requests in flight when a worker crashed, and not answered since. */
#define BLKBACK_SUSPECTS_TOLD 32u
struct blkback_suspects {
    uint32_t count;
    uint32_t told; /* the first of them */
    struct blkback_request requests[BLKBACK_SUSPECTS_TOLD];
};

/* What comes with BACKEND_CONNECT before the parents. */
enum { BLKBACK_CONNECT_IMAGE, BLKBACK_CONNECT_JOURNAL, BLKBACK_CONNECT_COUNTERS, BLKBACK_CONNECT_FDS };

struct blkback_message {
    struct backend_head head;
    union {
        struct {
            uint32_t domid;
            uint32_t poll_time_us; /* struct poll_limits */
            uint32_t poll_percent;
            uint32_t grant_slot; /* of the budget of mapped references; XENDEV_BUDGET_SLOTS or more: map none */
        } serve;
        struct blkback_check check;
        struct {
            uint64_t sectors; /* of 512 bytes */
            uint32_t sector_size;
            uint32_t physical_sector_size;
            uint32_t discard_granularity; /* bytes; 0: it does not discard */
        } checked;
        struct blkback_parent parent;
        struct {
            uint64_t size; /* bytes */
        } resize;
        struct {
            uint64_t sectors; /* of 512 bytes */
        } resized;
        struct {
            uint64_t size; /* bytes */
            uint8_t uuid[DISK_UUID_SIZE];
        } described;
        struct {
            uint64_t limit;  /* bytes copied in a second; 0: there is no limit */
            uint32_t cancel; /* 1: no longer */
        } coalesce;
        struct blkback_order connect;
        struct blkback_limits throttle;
        struct blkback_suspects suspects; /* CONNECTED with result 0, when told to recover */
        struct blkback_request parked;    /* PARKED: what is not executed again */
    };
};

#endif

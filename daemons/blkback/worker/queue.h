/* SPDX-License-Identifier: MIT */
/*
 * The data path of one ring: requests off the ring, through the disk, responses back on the ring.
 */
#ifndef BLKBACK_WORKER_QUEUE_H
#define BLKBACK_WORKER_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <disk/disk.h>
#include <ring/blkif.h>

#include "../counters.h"
#include "../protocol.h"

struct barrier;
struct caution;
struct drive;
struct event_base;
struct spin;
struct throttle;
struct xendev_channel;
struct xendev_events;
struct xendev_grants;

struct queue;

/* Everything a queue works on; all of it stays the caller's and must outlive the queue. */
struct queue_params {
    struct event_base *base;
    struct spin *spin;
    struct xendev_events *events;
    struct xendev_grants *grants;
    struct drive *drive; /* of all queues of the disk */
    struct blkback_queue_counters *counters;
    unsigned index;            /* among the queues of the disk */
    struct caution *caution;   /* of all queues of the process */
    struct throttle *throttle; /* of all queues of the disk */
    struct barrier *barrier;   /* the same */
    uint32_t domid;
    uint32_t event_channel;
    enum blkif_abi abi;
    unsigned ring_order;
    unsigned persistent; /* references to keep mapped at most; 0: the front end did not agree to that */
    unsigned indirect;   /* most segments of an indirect request; 0: none was offered */
    void *ring_pages;
    void *journal;
    size_t journal_size;
    uint64_t generation;
    bool recover;
    bool crashed, pardon; /* see struct blkback_order */
    uint32_t attempts_max;
    bool discard; /* it was offered, as far as the disk can */
    /* The guest broke the protocol and the queue has stopped. It may not be closed from within this call. */
    void (*failed)(void *arg, const char *reason);
    /* Everything is answered and the journal is marked drained, as queue_drain() asked. */
    void (*drained)(void *arg);
    /* The next request crashed too many processes, and the queue has stopped with nothing in progress. As `failed`. */
    void (*parked)(void *arg, const struct blkback_request *request);
    void *arg;
};

/* Takes the ring over, afresh or from a dead worker, binds its event channel and begins to serve. Does not call
 * `failed` or `parked`. Returns 0, or -errno with `ret_error` filled. */
int queue_open(const struct queue_params *params, struct queue **ret_queue, struct disk_error *ret_error);

/* Adds which requests it found that saw a crash. To be asked before the loop turns. */
void queue_suspects(const struct queue *queue, struct blkback_suspects *suspects);

/* The disk has another size: requests for all of it are taken from now on. */
void queue_resized(struct queue *queue);

/* Stops serving: nothing is taken, answered or published any more. May be repeated. */
void queue_stop(struct queue *queue);

/* Takes nothing more from the ring, answers what is in flight, marks the journal drained; then calls `drained`, from the loop. A queue that
 * has failed never comes so far. */
void queue_drain(struct queue *queue);
/* Takes that back: serves on. */
void queue_undrain(struct queue *queue);

/* Lets go of the ring and of the guest's memory. Requests still on the disk use that: close the disk in between. Takes NULL. */
void queue_close(struct queue *queue);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * One queue of a card: a transmit and a receive ring, their event channels, and a source of the port; and when which of them is looked at.
 */
#ifndef NETBACK_WORKER_QUEUE_H
#define NETBACK_WORKER_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include <backend/worker/worker.h>

#include "frames.h"
#include "state.h"
#include "../counters.h"

struct bucket;
struct capture;
struct port;
struct queue;

/* All of it stays the caller's and must outlive the queue. */
struct queue_params {
    const struct worker_host *host;
    const struct netback_order *order;
    const struct netback_tuning *tuning;
    unsigned index;
    struct port *port;
    struct frames *frames;
    struct bucket *rate;
    struct multicast *multicast;
    struct capture *capture;
    struct netback_counters *counters;
    uint8_t *journals; /* the file, mapped */

    /* A frame came from the queue's source: to be given to whichever queue it is for. */
    void (*arrived)(void *arg, unsigned source, struct frame *frame, uint64_t now_ns);
    /* Whether those are this queue's own. */
    bool (*keeps)(void *arg);
    /* The guest broke the protocol, or the port is gone; the queue has stopped. It may not be closed from within this call. */
    void (*failed)(void *arg, const char *reason);
    /* The journals are marked drained, as queue_drain() asked. */
    void (*drained)(void *arg);
    /* The guest has stopped taking frames from this queue, or takes them again. */
    void (*stalled)(void *arg, bool stalled);
    void *arg;
};

/* Takes the rings over, afresh or from a dead worker, binds its event channels; serves from the next turn of the loop on. Returns 0, or -errno
 * with `ret_reason` filled. */
int queue_open(const struct queue_params *params, struct queue **ret_queue, char ret_reason[BACKEND_REASON_SIZE]);

/* The port has frames for the queue of this number's source. */
void queue_readable(struct queue *queue);
/* Has it given to the guest: in this turn, if the queue has its turn now; else in one of its own. Takes the frame over. */
void queue_give(struct queue *queue, struct frame *frame, uint64_t now_ns);
/* What it goes by has changed. */
void queue_wake(struct queue *queue);

/* Stops serving: nothing is taken, answered or published any more. May be repeated. */
void queue_stop(struct queue *queue);

/* Takes nothing more, answers what is in flight, drops what waits, marks the journals drained; then calls `drained`, from the loop. A queue
 * that has failed never comes so far. */
void queue_drain(struct queue *queue);
/* Takes that back: serves on. */
void queue_undrain(struct queue *queue);

/* Lets go of the rings. Takes NULL. */
void queue_close(struct queue *queue);

#endif

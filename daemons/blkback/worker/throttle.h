/* SPDX-License-Identifier: MIT */
/*
 * How fast a guest may use a disk: requests and bytes a second, each with what may go at once after a pause.
 *
 * The limits are the disk's; each of its queues has a gate before its ring. While a gate is shut, requests stay on the ring, where their guest finds
 * no room for more: nothing is taken that may not be started. A request passes when neither limit has a debt, and pays for itself when it is taken, for all of
 * its bytes, since before that nobody knows how many they are. So one of any size passes, and what follows waits the longer (backend/worker/bucket.h).
 *
 * Every request pays, a refused one, a flush and a discard too; the last two move no bytes. What a dead worker had taken was paid for.
 */
#ifndef BLKBACK_WORKER_THROTTLE_H
#define BLKBACK_WORKER_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <backend/worker/bucket.h>
#include <ring/blkif.h>

#include "../counters.h"
#include "../protocol.h"

struct event;
struct event_base;
struct ring_back;
struct ring_request;

struct throttle {
    struct bucket requests, bytes;
    LIST_HEAD(, throttle_gate) gates;
};

/* Embedded in its queue. */
struct throttle_gate {
    LIST_ENTRY(throttle_gate) entry; /* throttle->gates */
    struct throttle *throttle;       /* NULL: not open */
    struct blkback_queue_counters *counters;
    enum blkif_abi abi;
    void (*wake)(void *arg); /* it may have opened; does not re-enter */
    void *arg;
    struct event *timer;
    uint64_t wait_ns;  /* it is shut, for so long; 0: it is not, or nothing waits behind it */
    uint64_t since_ns; /* requests have been waiting since then, as far as it is not counted yet; 0: none do */
};

/* No limits, no queues. */
void throttle_init(struct throttle *throttle);
/* Sets the limits, or changes them: from now on. */
void throttle_set(struct throttle *throttle, const struct blkback_limits *limits, uint64_t now_ns);

/* Puts a gate, whose counters, ABI, wake and arg are filled in and whose rest is zeroed, before a ring. Returns 0 or -ENOMEM. */
int throttle_gate_open(struct throttle_gate *gate, struct throttle *throttle, struct event_base *base);
/* Wakes nobody any more. May be repeated, and called for one that is not open. */
void throttle_gate_close(struct throttle_gate *gate);

/* Whether the next request may be taken from the ring. */
bool throttle_gate_lets(struct throttle_gate *gate, const struct ring_back *ring);
/* It was taken, and pays. */
void throttle_gate_pay(struct throttle_gate *gate, const struct ring_request *request);
/* Requests wait, since it is shut: their queue is woken when the next may pass. */
void throttle_gate_rest(struct throttle_gate *gate);

#endif

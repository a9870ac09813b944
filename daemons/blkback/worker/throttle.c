/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. A gate that finds no credit shuts when something waits on its ring: its queue rests, without an event channel or a watch, until the
 * gate's timer wakes it. One before an empty ring does not shut, so that its queue goes to sleep as ever; whatever comes then finds it shut, if
 * there is still no credit.
 *
 * Several gates of a disk that are woken together ask again: the first gets the credit, the others rest again.
 */
#include "throttle.h"

#include <errno.h>

#include <event2/event.h>

#include <backend/clock.h>
#include <ring/back.h>

void throttle_init(struct throttle *throttle)
{
    *throttle = (struct throttle){.gates = LIST_HEAD_INITIALIZER(throttle->gates)};
}

void throttle_set(struct throttle *throttle, const struct blkback_limits *limits, uint64_t now_ns)
{
    struct throttle_gate *gate;

    bucket_set_rate(&throttle->requests, limits->iops, limits->iops_max, now_ns);
    bucket_set_rate(&throttle->bytes, limits->bps, limits->bps_max, now_ns);
    LIST_FOREACH (gate, &throttle->gates, entry)
        if (gate->wait_ns > 0)
            gate->wake(gate->arg);
}

/* As bucket_wait(), of both. */
static uint64_t wait_for(struct throttle *throttle, uint64_t now_ns)
{
    const uint64_t requests = bucket_wait(&throttle->requests, 1, now_ns);
    const uint64_t bytes = bucket_wait(&throttle->bytes, 1, now_ns);

    return requests > bytes ? requests : bytes;
}

/* What a request names, which nobody has checked: never less than what is moved for it. */
static uint32_t bytes_of(const struct blkif_message *message)
{
    uint32_t sectors = 0;

    switch (message->code) {
    case BLKIF_CODE_INDIRECT: /* its list is not here: each segment is a page at most */
        return message->segment_count < BLKIF_INDIRECT_SEGMENTS ? RING_PAGE_SIZE * message->segment_count
                                                                : RING_PAGE_SIZE * BLKIF_INDIRECT_SEGMENTS;
    case BLKIF_CODE_READ:
    case BLKIF_CODE_WRITE:
    case BLKIF_CODE_BARRIER:
        for (unsigned i = 0; i < message->segment_count && i < BLKIF_DIRECT_SEGMENTS; i++)
            if (message->segments[i].first_sector <= message->segments[i].last_sector)
                sectors += message->segments[i].last_sector - message->segments[i].first_sector + 1u;
        return sectors * BLKIF_SECTOR_SIZE;
    default:
        return 0;
    }
}

/* ---- Gates. ---------------------------------------------------------------------------------------------------------- */

/* Counts how long requests have waited, whether they go on waiting or not. */
static void note(struct throttle_gate *gate, uint64_t now_ns)
{
    if (gate->since_ns != 0 && now_ns > gate->since_ns)
        gate->counters->throttled_ns += now_ns - gate->since_ns;
    else if (gate->since_ns == 0 && gate->wait_ns > 0)
        gate->counters->throttled++;
    gate->since_ns = gate->wait_ns > 0 ? now_ns : 0;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    const struct throttle_gate *gate = arg;

    (void)fd;
    (void)what;
    gate->wake(gate->arg);
}

int throttle_gate_open(struct throttle_gate *gate, struct throttle *throttle, struct event_base *base)
{
    gate->timer = evtimer_new(base, on_timer, gate);
    if (!gate->timer)
        return -ENOMEM;
    gate->throttle = throttle;
    LIST_INSERT_HEAD(&throttle->gates, gate, entry);
    return 0;
}

void throttle_gate_close(struct throttle_gate *gate)
{
    if (!gate->throttle)
        return;
    LIST_REMOVE(gate, entry);
    gate->throttle = NULL;
    gate->wait_ns = 0;
    note(gate, clock_now_ns());
    event_free(gate->timer);
}

bool throttle_gate_lets(struct throttle_gate *gate, const struct ring_back *ring)
{
    struct throttle *throttle = gate->throttle;
    struct ring_indices indices;

    gate->wait_ns = 0;
    if (gate->since_ns == 0 && throttle->requests.amount == 0 && throttle->bytes.amount == 0)
        return true; /* and nobody looked at a clock */
    const uint64_t now_ns = clock_now_ns();
    const uint64_t wait_ns = wait_for(throttle, now_ns);
    if (wait_ns > 0) {
        ring_back_indices(ring, &indices);
        gate->wait_ns = indices.req_prod != indices.req_cons ? wait_ns : 0;
    }
    note(gate, now_ns);
    return wait_ns == 0;
}

void throttle_gate_pay(struct throttle_gate *gate, const struct ring_request *request)
{
    struct blkif_message message;

    bucket_take(&gate->throttle->requests, 1);
    if (gate->throttle->bytes.amount == 0)
        return;
    blkif_decode(gate->abi, request->bytes, &message);
    bucket_take(&gate->throttle->bytes, bytes_of(&message));
}

void throttle_gate_rest(struct throttle_gate *gate)
{
    const uint64_t us = gate->wait_ns / 1000 + 1;
    const struct timeval after = {.tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000)};

    event_add(gate->timer, &after);
}

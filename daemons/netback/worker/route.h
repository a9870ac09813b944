/* SPDX-License-Identifier: MIT */
/*
 * Which of a guest's queues a frame goes to, and whether it goes at all.
 */
#ifndef NETBACK_WORKER_ROUTE_H
#define NETBACK_WORKER_ROUTE_H

#include <stdbool.h>

#include "fit.h"
#include "frames.h"
#include "state.h"

/* All of it stays the caller's. */
struct route {
    const struct netback_connection *connection;
    const struct netback_tuning *tuning;
    const struct netback_state *state;
    bool one_source;       /* for all queues */
    struct netif_hash own; /* by which frames of one source are spread, when the guest has agreed on nothing */
};

/* `key`: random, so that nobody chooses which queue a stranger's frames are put behind. */
void route_init(struct route *route, const struct netback_connection *connection, const struct netback_tuning *tuning,
                const struct netback_state *state, bool one_source, const uint8_t key[NETIF_HASH_KEY_MAX]);

/* Whether all frames of a source go to the same queue: the only one, or that of the same number. */
bool route_is_fixed(const struct route *route);

/* Makes the frame into what the guest takes, with the guest's hash if it wants one. Returns 0 with the queue; or enum netback_rx_drop + 1. */
unsigned route_frame(const struct route *route, unsigned source, struct frame *frame, unsigned *ret_queue);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What a guest receives: from those frames that wait for one receive ring to the guest's pages.
 */
#ifndef NETBACK_WORKER_RX_H
#define NETBACK_WORKER_RX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ring/netif_rx.h>

#include "../counters.h"
#include "frames.h"
#include "stall.h"

/* Frames that may wait for one ring, beside the pages it has posted. */
#define RX_WAITING_MAX 64u

struct capture;
struct rx_batch;
struct xendev_grants;

/* All of it stays the caller's and outlives this. */
struct rx_params {
    struct xendev_grants *grants;
    uint32_t domid;
    struct frames *frames;
    const struct netback_tuning *tuning;
    uint32_t features; /* enum netback_feature */
    struct capture *capture;
    struct netback_queue_counters *counters;
};

/* Embedded by its user; `ring` is for attaching, publishing, undraining and looking at, `stall` for looking at. */
struct rx {
    struct netif_rx ring;
    struct rx_params params;
    struct rx_batch *batch;
    struct frame_list waiting;
    uint32_t waiting_count;
    struct stall stall;
};

/* Makes what it needs beside its ring. Returns 0 or -ENOMEM; rx_fini() takes either. */
int rx_init(struct rx *rx, const struct rx_params *params);
void rx_fini(struct rx *rx);

/* Takes a frame over: it waits, or is dropped, and counted. */
void rx_put(struct rx *rx, struct frame *frame, uint64_t now_ns);

/* What became of the guest, in a turn. */
enum rx_change { RX_SAME, RX_STALLED, RX_GOES_ON };

/* Gives the guest a batch of what waits, unpublished; drops what has waited too long. Returns how many frames were given, or -EPROTO: the
 * ring's producer is impossible. */
int rx_turn(struct rx *rx, uint64_t now_ns, enum rx_change *ret_change);

/* Drops all that waits. */
void rx_drop_waiting(struct rx *rx);

/* Whether a frame waits for room, or did when the guest stalled: then to ask for an event, and to come again after some time. */
bool rx_wants_room(const struct rx *rx);
/* Asks for an event when there is that room. Returns true when there is meanwhile. */
bool rx_rearm(struct rx *rx);

#endif

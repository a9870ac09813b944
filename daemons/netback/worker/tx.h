/* SPDX-License-Identifier: MIT */
/*
 * What a guest sends: from one transmit ring to the port.
 */
#ifndef NETBACK_WORKER_TX_H
#define NETBACK_WORKER_TX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ring/netif_tx.h>

#include "../counters.h"

struct capture;
struct multicast;
struct port;
struct bucket;
struct tx_batch;
struct xendev_grants;

/* All of it stays the caller's and outlives this. */
struct tx_params {
    struct xendev_grants *grants;
    uint32_t domid;
    struct port *port;
    unsigned queue;
    struct bucket *rate;                    /* of the card */
    struct multicast *multicast;            /* the same */
    struct capture *capture;                /* the same */
    struct netback_counters *card_counters; /* the same */
    struct netback_queue_counters *counters;
    uint32_t attempts_max;
};

/* Embedded by its user; `ring` is for attaching, publishing, rearming and looking at. */
struct tx {
    struct netif_tx ring;
    struct tx_params params;
    struct tx_batch *batch;
    bool blocked;     /* the port has no room for another packet */
    uint64_t wait_ns; /* after which there is credit for the packet that was taken last; 0: nothing waits for that */
};

/* Makes what it needs beside its ring. Returns 0 or -ENOMEM; tx_fini() takes either. */
int tx_init(struct tx *tx, const struct tx_params *params);
void tx_fini(struct tx *tx);

/* Sends a batch of what is on the ring, and answers it, unpublished. `draining`: only what was taken already, by this process or one before, without
 * regard to the rate. Returns how many packets were answered, or -EPROTO: the ring cannot be understood, netif_tx_fatal() says why. */
int tx_turn(struct tx *tx, bool draining, uint64_t now_ns);

#endif

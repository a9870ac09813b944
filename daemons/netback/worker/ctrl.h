/* SPDX-License-Identifier: MIT */
/*
 * The control ring of a card: by which the guest says how its packets are spread over its queues (ring/netif_ctrl.h).
 */
#ifndef NETBACK_WORKER_CTRL_H
#define NETBACK_WORKER_CTRL_H

#include <backend/worker/worker.h>

#include "../counters.h"
#include "state.h"

struct ctrl;

/* All of it stays the caller's and must outlive this. */
struct ctrl_params {
    const struct worker_host *host;
    const struct netback_order *order; /* with has_ctrl */
    struct netif_hash *hash;
    struct netback_counters *counters;
    uint8_t *journals; /* the file, mapped */
    /* As in struct queue_params. */
    void (*failed)(void *arg, const char *reason);
    void (*drained)(void *arg);
    void *arg;
};

/* Each as those of queue.h. */
int ctrl_open(const struct ctrl_params *params, struct ctrl **ret_ctrl, char ret_reason[BACKEND_REASON_SIZE]);
void ctrl_stop(struct ctrl *ctrl);
void ctrl_drain(struct ctrl *ctrl);
void ctrl_undrain(struct ctrl *ctrl);
void ctrl_close(struct ctrl *ctrl);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * How a queue comes to its ring: afresh, or from a dead worker, whose requests it finds in the journal.
 */
#ifndef BLKBACK_WORKER_TAKEOVER_H
#define BLKBACK_WORKER_TAKEOVER_H

#include <ring/back.h>

#include "queue.h"

/* Returns 0, or as ring_back_attach() and ring_back_recover(). */
int takeover_ring(const struct queue_params *params, const struct ring_layout *layout, struct ring_back *ring);
/* As queue_suspects(), of this ring. */
void takeover_suspects(const struct ring_back *ring, enum blkif_abi abi, struct blkback_suspects *suspects);

#endif

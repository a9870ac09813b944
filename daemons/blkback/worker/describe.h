/* SPDX-License-Identifier: MIT */
/*
 * Requests, and where a ring is, as the supervisor is told of them.
 */
#ifndef BLKBACK_WORKER_DESCRIBE_H
#define BLKBACK_WORKER_DESCRIBE_H

#include <ring/back.h>
#include <ring/blkif.h>

#include "../counters.h"
#include "../protocol.h"

/* In the guest's own words: nothing of it is validated. */
void describe_request(enum blkif_abi abi, const struct ring_request *request, struct blkback_request *ret_request);
/* Puts the ring's indices into the counters. */
void describe_indices(const struct ring_back *ring, struct blkback_queue_counters *counters);
/* Why a ring is given up whose producer cannot be. */
void describe_impossible(const struct ring_back *ring, unsigned queue, char *ret_reason, size_t size);

#endif

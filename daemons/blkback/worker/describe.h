/* SPDX-License-Identifier: MIT */
/*
 * Requests as the supervisor is told of them.
 */
#ifndef BLKBACK_WORKER_DESCRIBE_H
#define BLKBACK_WORKER_DESCRIBE_H

#include <ring/back.h>
#include <ring/blkif.h>

#include "../protocol.h"

/* In the guest's own words: nothing of it is validated. */
void describe_request(enum blkif_abi abi, const struct ring_request *request, struct blkback_request *ret_request);

#endif

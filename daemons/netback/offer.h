/* SPDX-License-Identifier: MIT */
/*
 * What a front end finds in the back end's directory.
 */
#ifndef NETBACK_OFFER_H
#define NETBACK_OFFER_H

#include <stdint.h>

struct xendev_store;

#define OFFER_QUEUES_KEY "multi-queue-max-queues"

/* Before InitWait, all in one transaction. Returns 0 or -errno. */
int offer_features(struct xendev_store *store, const char *directory, uint32_t queues_max);

#endif

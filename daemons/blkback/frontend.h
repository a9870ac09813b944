/* SPDX-License-Identifier: MIT */
/*
 * What a guest says about its rings, in its own part of xenstore. Everything there is hostile.
 */
#ifndef BLKBACK_FRONTEND_H
#define BLKBACK_FRONTEND_H

#include <backend/kind.h>

#include "protocol.h"

struct xendev_store;

/* Fills queues, ABI and whether it agrees to persistent grants of a connection from the front end's directory. `queues_max`: BLKBACK_QUEUES_MAX at
 * most. Returns 0, or -errno with the reason in `ret_error`. */
int frontend_read(struct xendev_store *store, const char *directory, uint32_t queues_max,
                  struct blkback_connection *ret_connection, struct backend_error *ret_error);

/* Whether a recorded connection is one this program can have made. */
bool frontend_connection_is_valid(const struct blkback_connection *connection);

#endif

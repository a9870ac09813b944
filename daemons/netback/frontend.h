/* SPDX-License-Identifier: MIT */
/*
 * What a network front end says in xenstore.
 */
#ifndef NETBACK_FRONTEND_H
#define NETBACK_FRONTEND_H

#include <stdbool.h>

#include "protocol.h"
struct backend_error;

struct xendev_store;

/* Reads a front end's directory into the rings and features of a connection; its port, MAC and generation are the caller's to fill. `queues_max`:
 * as many as were offered. Returns 0, or -errno with the reason. */
int frontend_read(struct xendev_store *store, const char *directory, uint32_t queues_max,
                  struct netback_connection *ret_connection, struct backend_error *ret_error);

/* Whether it wants only the multicasts it asks for: said before it connects or, as that is dynamic, at any time after. */
bool frontend_wants_multicast_control(struct xendev_store *store, const char *directory);

#endif

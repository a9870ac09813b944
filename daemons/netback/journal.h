/* SPDX-License-Identifier: MIT */
/*
 * Where each ring of a network card has its journal in the card's one file `journal`: for each queue that of its transmit ring, then that of
 * its receive ring; then that of the control ring. Each begins with a struct ring_journal_head (ring/back.h).
 */
#ifndef NETBACK_JOURNAL_H
#define NETBACK_JOURNAL_H

#include <stddef.h>

#include <ring/layout.h>

#include "protocol.h"

/* The number of a ring. */
#define NETBACK_RING_TX(queue)  (2 * (queue))
#define NETBACK_RING_RX(queue)  (2 * (queue) + 1)
#define NETBACK_RING_CTRL(card) (2 * (card)->queue_count)
#define NETBACK_RINGS_MAX       (2 * NETBACK_QUEUES_MAX + 1)

/* How many rings the connection has: those below NETBACK_RING_CTRL(), and that one when has_ctrl is set. */
unsigned netback_ring_count(const struct netback_connection *connection);
/* Those, by number. Returns how many. */
unsigned netback_rings(const struct netback_connection *connection, struct ring_layout ret_layouts[NETBACK_RINGS_MAX]);

/* A place in the file. */
struct netback_journal_place {
    size_t offset; /* a multiple of the page size */
    size_t size;
};
/* `ring`: one that the connection has. */
struct netback_journal_place netback_journal_place(const struct netback_connection *connection, unsigned ring);

/* Bytes of the whole file. */
size_t netback_journal_size(const struct netback_connection *connection);

/* Whether a connection can be one, by its numbers alone: to be asked of a record that was read, and of a message. Returns 0 or -EBADMSG. */
int netback_connection_check(const struct netback_connection *connection);

/* Descriptors of the connection's port. */
unsigned netback_port_fds(const struct netback_connection *connection);

#endif

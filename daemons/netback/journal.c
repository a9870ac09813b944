/* SPDX-License-Identifier: MIT */
#include "journal.h"

#include <errno.h>
#include <stdbool.h>

#include <ring/back.h>
#include <ring/frame.h>
#include <ring/netif_ctrl.h>

unsigned netback_ring_count(const struct netback_connection *connection)
{
    return 2 * connection->queue_count + connection->has_ctrl;
}

static size_t size_of(const struct ring_layout layout)
{
    return ring_journal_size(&layout);
}

struct netback_journal_place netback_journal_place(const struct netback_connection *connection, unsigned ring)
{
    const size_t tx = size_of(netif_tx_layout()), rx = size_of(netif_rx_layout());
    const size_t offset = ring / 2 * (tx + rx);

    if (ring == NETBACK_RING_CTRL(connection))
        return (struct netback_journal_place){.offset = offset, .size = size_of(netif_ctrl_layout())};
    if (ring % 2 == 1)
        return (struct netback_journal_place){.offset = offset + tx, .size = rx};
    return (struct netback_journal_place){.offset = offset, .size = tx};
}

size_t netback_journal_size(const struct netback_connection *connection)
{
    const struct netback_journal_place last = netback_journal_place(connection, netback_ring_count(connection) - 1);

    return last.offset + last.size;
}

static bool capacity_is_possible(uint32_t capacity)
{
    return capacity >= FRAME_CAPACITY_MIN && capacity <= FRAME_CAPACITY_MAX && (capacity & (capacity - 1)) == 0;
}

int netback_connection_check(const struct netback_connection *connection)
{
    const bool known = connection->version == NETBACK_CONNECTION_VERSION && connection->generation != 0 &&
                       connection->features <= NETBACK_FEATURES_ALL && connection->has_ctrl <= 1;
    const bool counted = connection->queue_count >= 1 && connection->queue_count <= NETBACK_QUEUES_MAX;

    if (!known || !counted)
        return -EBADMSG;
    switch (connection->port) {
    case NETBACK_PORT_TAP:
        return connection->capacity == 0 ? 0 : -EBADMSG;
    case NETBACK_PORT_SWITCH:
        return capacity_is_possible(connection->capacity) ? 0 : -EBADMSG;
    default:
        return -EBADMSG;
    }
}

unsigned netback_port_fds(const struct netback_connection *connection)
{
    return connection->port == NETBACK_PORT_TAP ? connection->queue_count : NETBACK_SWITCH_FDS;
}

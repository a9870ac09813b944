/* SPDX-License-Identifier: MIT */
#include "journal.h"

#include <errno.h>
#include <stdbool.h>

#include <ring/back.h>
#include <ring/frame.h>
#include <ring/netif_ctrl.h>

unsigned netback_rings(const struct netback_connection *connection, struct ring_layout ret_layouts[NETBACK_RINGS_MAX])
{
    unsigned count = 0;

    for (uint32_t i = 0; i < connection->queue_count; i++) {
        ret_layouts[count++] = netif_tx_layout();
        ret_layouts[count++] = netif_rx_layout();
    }
    if (connection->has_ctrl != 0)
        ret_layouts[count++] = netif_ctrl_layout();
    return count;
}

unsigned netback_ring_count(const struct netback_connection *connection)
{
    return 2 * connection->queue_count + connection->has_ctrl;
}

struct netback_journal_place netback_journal_place(const struct netback_connection *connection, unsigned ring)
{
    struct ring_layout layouts[NETBACK_RINGS_MAX];
    struct netback_journal_place place = {0};

    netback_rings(connection, layouts);
    for (unsigned i = 0; i < ring; i++)
        place.offset += ring_journal_size(&layouts[i]);
    place.size = ring_journal_size(&layouts[ring]);
    return place;
}

size_t netback_journal_size(const struct netback_connection *connection)
{
    struct ring_layout layouts[NETBACK_RINGS_MAX];
    const unsigned count = netback_rings(connection, layouts);
    size_t size = 0;

    for (unsigned i = 0; i < count; i++)
        size += ring_journal_size(&layouts[i]);
    return size;
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

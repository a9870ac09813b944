/* SPDX-License-Identifier: MIT */
/*
 * The keys, as the public netif.h has them. Of one queue they stand in the front end's directory; of several, which the guest asks for by
 * `multi-queue-num-queues`, in `queue-0` and so on below it.
 */
#include "frontend.h"

#include <errno.h>
#include <stddef.h>

#include <backend/front.h>

static int read_channels(const struct front *front, struct netback_queue *queue)
{
    int err = front_read_channel(front, "event-channel-tx", &queue->tx_event_channel);

    if (err == 0)
        return front_read_channel(front, "event-channel-rx", &queue->rx_event_channel);
    if (err != -ENOENT)
        return err;
    err = front_read_channel(front, "event-channel", &queue->tx_event_channel);
    queue->rx_event_channel = queue->tx_event_channel;
    return err;
}

static int read_queue(const struct front *front, struct netback_queue *queue)
{
    int err = front_read_number(front, "tx-ring-ref", &queue->tx_ref);

    if (err == 0)
        err = front_read_number(front, "rx-ring-ref", &queue->rx_ref);
    return err < 0 ? err : read_channels(front, queue);
}

static int read_queues(const struct front *front, uint32_t queues_max, struct netback_connection *connection)
{
    int err = front_read_queue_count(front, queues_max, &connection->queue_count);

    for (uint32_t i = 0; err == 0 && i < connection->queue_count; i++) {
        const struct front queue = front_queue(front, i, connection->queue_count);
        err = read_queue(&queue, &connection->queues[i]);
    }
    return err;
}

static int read_ctrl(const struct front *front, struct netback_connection *connection)
{
    int err = front_read_number(front, "ctrl-ring-ref", &connection->ctrl_ref);

    if (err == -ENOENT)
        return 0;
    if (err == 0)
        err = front_read_channel(front, "event-channel-ctrl", &connection->ctrl_event_channel);
    if (err == 0)
        connection->has_ctrl = 1;
    return err;
}

static uint32_t read_features(const struct front *front)
{
    static const struct {
        const char *key;
        uint32_t feature;
    } keys[] = {
        {"feature-sg", NETBACK_TAKES_SG},
        {"feature-gso-tcpv4", NETBACK_TAKES_GSO_TCPV4},
        {"feature-gso-tcpv6", NETBACK_TAKES_GSO_TCPV6},
        {"feature-ipv6-csum-offload", NETBACK_TAKES_CSUM_IPV6},
        {"feature-rx-notify", NETBACK_RX_NOTIFY},
    };
    uint32_t features = 0;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        features |= front_says_yes(front, keys[i].key) ? keys[i].feature : 0;
    if (!front_says_yes(front, "feature-no-csum-offload"))
        features |= NETBACK_TAKES_CSUM_IPV4;
    /* A segment of many packets has a checksum that is not filled in, and needs many slots. */
    if ((features & NETBACK_TAKES_SG) == 0 || (features & NETBACK_TAKES_CSUM_IPV4) == 0)
        features &= ~(uint32_t)NETBACK_TAKES_GSO_TCPV4;
    if ((features & NETBACK_TAKES_SG) == 0 || (features & NETBACK_TAKES_CSUM_IPV6) == 0)
        features &= ~(uint32_t)NETBACK_TAKES_GSO_TCPV6;
    return features;
}

int frontend_read(struct xendev_store *store, const char *directory, uint32_t queues_max,
                  struct netback_connection *ret_connection, struct backend_error *ret_error)
{
    const struct front front = {.store = store, .directory = directory, .error = ret_error};
    struct netback_connection connection = {.version = NETBACK_CONNECTION_VERSION};
    int err;

    if (!front_says_yes(&front, "request-rx-copy"))
        return front_refuse(&front, -EOPNOTSUPP, "request-rx-copy", "is not 1: pages are copied, never flipped");
    err = read_queues(&front, queues_max, &connection);
    if (err == 0)
        err = read_ctrl(&front, &connection);
    if (err < 0)
        return err;
    connection.features = read_features(&front);
    *ret_connection = connection;
    return 0;
}

bool frontend_wants_multicast_control(struct xendev_store *store, const char *directory)
{
    const struct front front = {.store = store, .directory = directory};

    return front_says_yes(&front, "request-multicast-control");
}

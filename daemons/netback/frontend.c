/* SPDX-License-Identifier: MIT */
/*
 * The keys, as the public netif.h has them. Of one queue they stand in the front end's directory; of several, which the guest asks for by
 * `multi-queue-num-queues`, in `queue-0` and so on below it.
 */
#include "frontend.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <xendev/store.h>

#include "reason.h"

/* Event channels of a domain are fewer than this (Xen's fifo ABI). */
#define EVENT_CHANNELS_MAX (1u << 17)

#define DIRECTORY_SIZE 512

struct frontend {
    struct xendev_store *store;
    const char *directory;
    struct backend_error *error;
};

static int refuse(const struct frontend *frontend, int err, const char *key, const char *why)
{
    return reason_fail(frontend->error, err, "the front end's %s %s", key, why);
}

static int read_number(const struct frontend *frontend, const char *directory, const char *key, uint32_t *ret_value)
{
    int err = xendev_store_read_u32(frontend->store, XENDEV_NO_TXN, directory, key, ret_value);

    if (err < 0)
        return refuse(frontend, err, key, err == -ENOENT ? "is missing" : "is no number of 32 bits");
    return 0;
}

static int read_channel(const struct frontend *frontend, const char *directory, const char *key, uint32_t *ret_channel)
{
    int err = read_number(frontend, directory, key, ret_channel);

    if (err == 0 && (*ret_channel == 0 || *ret_channel >= EVENT_CHANNELS_MAX))
        return refuse(frontend, -EINVAL, key, "is impossible");
    return err;
}

static int read_channels(const struct frontend *frontend, const char *directory, struct netback_queue *queue)
{
    int err = read_channel(frontend, directory, "event-channel-tx", &queue->tx_event_channel);

    if (err == 0)
        return read_channel(frontend, directory, "event-channel-rx", &queue->rx_event_channel);
    if (err != -ENOENT)
        return err;
    err = read_channel(frontend, directory, "event-channel", &queue->tx_event_channel);
    queue->rx_event_channel = queue->tx_event_channel;
    return err;
}

static int read_queue(const struct frontend *frontend, const char *directory, struct netback_queue *queue)
{
    int err = read_number(frontend, directory, "tx-ring-ref", &queue->tx_ref);

    if (err == 0)
        err = read_number(frontend, directory, "rx-ring-ref", &queue->rx_ref);
    return err < 0 ? err : read_channels(frontend, directory, queue);
}

static int read_queues(const struct frontend *frontend, uint32_t queues_max, struct netback_connection *connection)
{
    char directory[DIRECTORY_SIZE];
    uint32_t count = 1;
    int err = read_number(frontend, frontend->directory, "multi-queue-num-queues", &count);

    if (err < 0 && err != -ENOENT)
        return err;
    if (count == 0 || count > queues_max)
        return refuse(frontend, -EINVAL, "multi-queue-num-queues", count == 0 ? "is 0" : "is more than was offered");
    connection->queue_count = count;
    if (count == 1)
        return read_queue(frontend, frontend->directory, &connection->queues[0]);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(directory, sizeof(directory), "%s/queue-%" PRIu32, frontend->directory, i);
        err = read_queue(frontend, directory, &connection->queues[i]);
        if (err < 0)
            return err;
    }
    return 0;
}

static int read_ctrl(const struct frontend *frontend, struct netback_connection *connection)
{
    int err = read_number(frontend, frontend->directory, "ctrl-ring-ref", &connection->ctrl_ref);

    if (err == -ENOENT)
        return 0;
    if (err == 0)
        err = read_channel(frontend, frontend->directory, "event-channel-ctrl", &connection->ctrl_event_channel);
    if (err == 0)
        connection->has_ctrl = 1;
    return err;
}

/* What is missing, or nonsense, declines. */
static bool says_yes(struct xendev_store *store, const char *directory, const char *key)
{
    uint32_t value = 0;

    return xendev_store_read_u32(store, XENDEV_NO_TXN, directory, key, &value) == 0 && value == 1;
}

static uint32_t read_features(const struct frontend *frontend)
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
        features |= says_yes(frontend->store, frontend->directory, keys[i].key) ? keys[i].feature : 0;
    if (!says_yes(frontend->store, frontend->directory, "feature-no-csum-offload"))
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
    const struct frontend frontend = {.store = store, .directory = directory, .error = ret_error};
    struct netback_connection connection = {.version = NETBACK_CONNECTION_VERSION};
    int err;

    if (!says_yes(store, directory, "request-rx-copy"))
        return refuse(&frontend, -EOPNOTSUPP, "request-rx-copy", "is not 1: pages are copied, never flipped");
    err = read_queues(&frontend, queues_max, &connection);
    if (err == 0)
        err = read_ctrl(&frontend, &connection);
    if (err < 0)
        return err;
    connection.features = read_features(&frontend);
    *ret_connection = connection;
    return 0;
}

bool frontend_wants_multicast_control(struct xendev_store *store, const char *directory)
{
    return says_yes(store, directory, "request-multicast-control");
}

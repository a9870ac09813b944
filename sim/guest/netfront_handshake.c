/* SPDX-License-Identifier: MIT */
/*
 * How a network front end connects, and lets go, in the habits of its peers. Sources: docs/PROTOCOL.md; the behaviour of Linux 6.1 xen-netfront, of
 * the Windows PV network driver, iPXE's netfront, and mirage-net-xen.
 *
 *              Linux                     Windows                    iPXE                      BSD, mirage
 *   start      ends a former life,       Closing until Closing,     Closed until Closed,      as Linux
 *              Initialising              Closed until Closed,       Initialising
 *              until InitWait            Initialising until InitWait   until InitWait
 *   publish    one transaction,          one transaction,           single writes,            one transaction,
 *              kicks, Connected          kicks, Connected           Connected                 Initialised
 *   wait       for Connected             for Connected              for Connected             for Connected
 *   then       -                         -                          -                         Connected
 *   end        Closing, Closed           Closing, Closed            Closed, Initialising      Closing, Closed
 *                                                                   until InitWait
 *
 * Windows needs to see each answer to its close cycle; it is lost when one is left out, and so are we.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xendev/event_channel.h>

#include "netfront.h"

/* What each feature is called by the back end, which offers it, and by us; NULL: nothing to say. */
static const struct {
    const char *name;
    const char *offer;
    const char *key;
} features[NETFRONT_FEATURES] = {
    [NETFRONT_SG] = {"sg", "feature-sg", "feature-sg"},
    [NETFRONT_GSO4] = {"gso4", "feature-gso-tcpv4", "feature-gso-tcpv4"},
    [NETFRONT_GSO6] = {"gso6", "feature-gso-tcpv6", "feature-gso-tcpv6"},
    [NETFRONT_CSUM4] = {"csum4", NULL, NULL}, /* feature-no-csum-offload, when it has it not */
    [NETFRONT_CSUM6] = {"csum6", "feature-ipv6-csum-offload", "feature-ipv6-csum-offload"},
    [NETFRONT_RX_NOTIFY] = {"rx-notify", NULL, "feature-rx-notify"},
    [NETFRONT_SPLIT] = {"split", "feature-split-event-channels", NULL},
    [NETFRONT_MULTICAST] = {"multicast", "feature-multicast-control", "request-multicast-control"},
    [NETFRONT_CTRL] = {"ctrl", "feature-ctrl-ring", NULL},
};

const char *netfront_feature_name(enum netfront_feature feature)
{
    return features[feature].name;
}

unsigned netfront_habit_features(enum netfront_habit habit)
{
    const unsigned most = 1u << NETFRONT_SG | 1u << NETFRONT_GSO4 | 1u << NETFRONT_GSO6 | 1u << NETFRONT_CSUM4 |
                          1u << NETFRONT_CSUM6 | 1u << NETFRONT_RX_NOTIFY | 1u << NETFRONT_SPLIT;

    switch (habit) {
    case NETFRONT_IPXE:
        return 0;
    case NETFRONT_BSD:
        return 1u << NETFRONT_SG | 1u << NETFRONT_RX_NOTIFY;
    default:
        return most;
    }
}

/* ---- What both agree on. -------------------------------------------------------------------------------------------- */

static void read_offer(struct netfront *front)
{
    char *mtu;

    front->offered = 0;
    for (unsigned i = 0; i < NETFRONT_FEATURES; i++) {
        if (features[i].offer == NULL || device_get(&front->device, features[i].offer, 0) == 1)
            front->offered |= 1u << i;
    }
    front->features = front->offered & front->config.features;
    if (!NETFRONT_HAS(front->features, NETFRONT_CSUM4))
        front->features &= ~(1u << NETFRONT_GSO4); /* segments need checksums of their own */
    if (!NETFRONT_HAS(front->features, NETFRONT_CSUM6))
        front->features &= ~(1u << NETFRONT_GSO6);
    if (!NETFRONT_HAS(front->features, NETFRONT_SG))
        front->features &= ~(1u << NETFRONT_GSO4 | 1u << NETFRONT_GSO6);

    front->mtu = 1500;
    if (xendev_store_read(front->guest->store, XENDEV_NO_TXN, xendev_frontend_path(front->device.xenbus), "mtu",
                          &mtu) == 0) {
        unsigned long value = strtoul(mtu, NULL, 10);
        if (value >= 68 && value <= NETIF_LENGTH_MAX - NETIF_LENGTH_MIN)
            front->mtu = (unsigned)value;
        free(mtu);
    }
}

static unsigned agreed_queues(const struct netfront *front)
{
    uint64_t most = device_get(&front->device, "multi-queue-max-queues", 1);

    return most < front->config.queues ? (unsigned)(most > 0 ? most : 1) : front->config.queues;
}

/* ---- Our keys. ------------------------------------------------------------------------------------------------------ */

/* A key that a former life wrote and this one does not must not stay. */
static int forget_keys(struct netfront *front, xendev_txn txn)
{
    static const char *const keys[] = {"multi-queue-num-queues", "tx-ring-ref",       "rx-ring-ref",
                                       "event-channel",          "event-channel-tx",  "event-channel-rx",
                                       "ctrl-ring-ref",          "event-channel-ctrl"};
    const char *dir = xendev_frontend_path(front->device.xenbus);
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < sizeof keys / sizeof keys[0]; i++)
        rc = xendev_store_remove(front->guest->store, txn, dir, keys[i]);
    for (unsigned i = 0; rc == 0 && i < NETFRONT_QUEUES_MAX; i++) {
        char key[24];
        snprintf(key, sizeof key, "queue-%u", i);
        rc = xendev_store_remove(front->guest->store, txn, dir, key);
    }
    return rc;
}

static int put_queue(struct netfront_queue *queue, xendev_txn txn)
{
    struct netfront *front = queue->front;
    bool split = NETFRONT_HAS(front->features, NETFRONT_SPLIT);
    const struct {
        const char *name;
        uint32_t value;
        bool wanted;
    } keys[] = {
        {"tx-ring-ref", queue->tx_ring_ref, true},   {"rx-ring-ref", queue->rx_ring_ref, true},
        {"event-channel-tx", queue->tx_port, split}, {"event-channel-rx", queue->rx_port, split},
        {"event-channel", queue->tx_port, !split},
    };
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < sizeof keys / sizeof keys[0]; i++) {
        char key[48];
        if (front->queue_count == 1)
            snprintf(key, sizeof key, "%s", keys[i].name);
        else
            snprintf(key, sizeof key, "queue-%u/%s", queue->number, keys[i].name);
        if (keys[i].wanted)
            rc = device_put_number(&front->device, txn, key, keys[i].value);
    }
    return rc;
}

static int put_features(struct netfront *front, xendev_txn txn)
{
    struct device *device = &front->device;
    int rc = device_put_number(device, txn, "request-rx-copy", 1);

    for (unsigned i = 0; rc == 0 && i < NETFRONT_FEATURES; i++) {
        if (features[i].key != NULL)
            rc = device_put_number(device, txn, features[i].key, NETFRONT_HAS(front->features, i));
    }
    if (rc == 0)
        rc = device_put(device, txn, "feature-no-csum-offload",
                        NETFRONT_HAS(front->features, NETFRONT_CSUM4) ? NULL : "1");
    return rc;
}

static int put_keys(struct netfront *front, xendev_txn txn)
{
    struct device *device = &front->device;
    int rc = forget_keys(front, txn);

    if (rc == 0 && front->queue_count > 1)
        rc = device_put_number(device, txn, "multi-queue-num-queues", front->queue_count);
    for (unsigned i = 0; rc == 0 && i < front->queue_count; i++)
        rc = put_queue(&front->queues[i], txn);
    if (rc == 0)
        rc = put_features(front, txn);
    if (rc == 0 && front->ctrl_ring != NULL)
        rc = device_put_number(device, txn, "ctrl-ring-ref", front->ctrl_ring_ref);
    if (rc == 0 && front->ctrl_ring != NULL)
        rc = device_put_number(device, txn, "event-channel-ctrl", front->ctrl_port);
    return rc == 0 ? device_put_odd(device, txn) : rc;
}

static int put_keys_body(struct xendev_store *store, xendev_txn txn, void *arg)
{
    (void)store;
    return put_keys(arg, txn);
}

static int publish(struct netfront *front)
{
    int rc = front->config.habit == NETFRONT_IPXE ? put_keys(front, XENDEV_NO_TXN)
                                                  : xendev_store_transact(front->guest->store, put_keys_body, front);
    if (rc < 0) {
        guest_say("vif %u: cannot write its keys: %s", front->config.devid, strerror(-rc));
        return rc;
    }
    if (front->config.habit == NETFRONT_BSD)
        return device_enter(&front->device, XENBUS_INITIALISED);
    /* Nobody may listen yet. */
    for (unsigned i = 0; front->config.habit != NETFRONT_IPXE && i < front->queue_count; i++)
        xendev_channel_notify(front->queues[i].tx_channel);
    return device_enter(&front->device, XENBUS_CONNECTED);
}

/* ---- Whole lives. --------------------------------------------------------------------------------------------------- */

/* Waits for exactly the answer. */
static int step(struct netfront *front, enum xenbus_state state, enum xenbus_state answer)
{
    int rc = device_enter(&front->device, state);

    return rc < 0 ? rc : device_await_or_say(&front->device, DEVICE_IN(answer), xenbus_state_name(answer));
}

static int start(struct netfront *front)
{
    int rc;

    switch (front->config.habit) {
    case NETFRONT_WINDOWS:
        rc = device_await_or_say(&front->device, ~DEVICE_IN(XENBUS_UNKNOWN), "there");
        if (rc == 0 && front->device.backend != XENBUS_CLOSED)
            rc = step(front, XENBUS_CLOSING, XENBUS_CLOSING);
        if (rc == 0)
            rc = step(front, XENBUS_CLOSED, XENBUS_CLOSED);
        break;
    case NETFRONT_IPXE:
        rc = step(front, XENBUS_CLOSED, XENBUS_CLOSED);
        break;
    default:
        rc = device_end_former(&front->device);
    }
    netfront_drop_queues(front);
    return rc < 0 ? rc : device_begin(&front->device);
}

static int make_all(struct netfront *front)
{
    int rc = netfront_make_queues(front, agreed_queues(front));

    if (rc == 0 && NETFRONT_HAS(front->features, NETFRONT_CTRL))
        rc = netfront_make_ctrl(front);
    return rc;
}

int netfront_connect(struct netfront *front, bool quiet)
{
    int rc = start(front);
    if (rc < 0)
        return rc;
    read_offer(front);
    rc = make_all(front);
    if (rc == 0 && front->config.before_keys != NULL)
        front->config.before_keys(front->arg);
    if (rc == 0)
        rc = publish(front);
    if (rc == 0 && front->config.after_state != NULL)
        front->config.after_state(front->arg);
    if (rc == 0)
        rc = device_await_connected(&front->device, quiet);
    if (rc == 0 && front->config.habit == NETFRONT_BSD)
        rc = device_enter(&front->device, XENBUS_CONNECTED);
    if (rc < 0) {
        netfront_drop_queues(front);
        return rc;
    }
    front->device.up = true;
    return front->ctrl_ring != NULL ? netfront_set_hash(front) : 0;
}

int netfront_disconnect(struct netfront *front)
{
    int rc;

    front->device.up = false;
    if (front->config.habit == NETFRONT_IPXE) {
        rc = device_enter(&front->device, XENBUS_CLOSED);
        if (rc == 0)
            rc = device_await_or_say(&front->device, DEVICE_IN(XENBUS_CLOSED) | DEVICE_IN(XENBUS_UNKNOWN), "Closed");
        if (rc == 0 && front->device.backend == XENBUS_CLOSED)
            rc = device_enter(&front->device, XENBUS_INITIALISING);
        /* The next life begins by Closed and has to see the answer to that, not to this one. */
        if (rc == 0)
            rc = device_await_or_say(&front->device, DEVICE_IN(XENBUS_INIT_WAIT) | DEVICE_IN(XENBUS_UNKNOWN),
                                     "InitWait");
    } else {
        rc = device_end(&front->device);
    }
    netfront_drop_queues(front);
    return rc;
}

/* SPDX-License-Identifier: MIT */
/*
 * The way of a frame through a bridge: see switch.h.
 */
#include "switch.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *const drop_names[DROPS] = {
    "runt", "malformed", "spoofed_mac", "spoofed_ip", "reserved", "isolated", "no_port", "no_room", "failed",
};

void switch_drop(struct bridge_port *port, enum drop reason)
{
    port->counters.drops[reason]++;
    port->bridge->counters.drops[reason]++;
}

/* ---- Receivers. --------------------------------------------------------------------------------------------------- */

static bool may_exchange(const struct bridge_port *from, const struct bridge_port *to)
{
    return from != to && (from->group == 0 || from->group != to->group);
}

static void put(struct bridge_port *to, const struct netif_meta *meta, const uint8_t *frame, uint32_t length)
{
    struct bridge *bridge = to->bridge;
    int err;

    if (to->closed)
        return;
    err = to->ops->put(to, meta, frame, length);
    if (!to->is_dirty) { /* also after a failure: what was put before may make room only when it is seen */
        to->is_dirty = true;
        TAILQ_INSERT_TAIL(&bridge->dirty, to, dirty);
    }
    if (err < 0) {
        switch_drop(to, err == -ENOSPC ? DROP_NO_ROOM : DROP_FAILED);
        return;
    }
    to->counters.frames_out++;
    to->counters.bytes_out += length;
    bridge->counters.frames_out++;
    bridge->counters.bytes_out += length;
}

/* To all it may concern. A station that is not in the table is behind no port that sends from its own address only. Returns to how many. */
static unsigned flood(struct bridge_port *from, const struct netif_meta *meta, const uint8_t *frame, uint32_t length)
{
    const bool unicast = (frame[0] & 1) == 0;
    struct bridge_port *to;
    unsigned receivers = 0;

    from->counters.flooded++;
    from->bridge->counters.flooded++;
    TAILQ_FOREACH (to, &from->bridge->ports, next)
        if (may_exchange(from, to) && !(unicast && to->fdb.owns)) {
            put(to, meta, frame, length);
            receivers++;
        }
    return receivers;
}

/* The same. */
static unsigned forward(struct bridge_port *from, const struct netif_meta *meta, const uint8_t *frame, uint32_t length,
                        int64_t now)
{
    const struct fdb_port *found = (frame[0] & 1) != 0 ? NULL : fdb_find(from->bridge->fdb, frame, now);

    if (found == NULL)
        return flood(from, meta, frame, length);
    struct bridge_port *to = found->arg;
    if (to == from) { /* its receiver is on the same side */
        switch_drop(from, DROP_NO_PORT);
        return 0;
    }
    if (!may_exchange(from, to)) {
        switch_drop(from, DROP_ISOLATED);
        return 0;
    }
    put(to, meta, frame, length);
    return 1;
}

/* ---- Senders. ----------------------------------------------------------------------------------------------------- */

/* Whether no bridge forwards what is sent there: 802.1D, table 7-10. */
static bool is_reserved(const uint8_t *mac)
{
    static const uint8_t reserved[] = {0x01, 0x80, 0xc2, 0, 0};

    return memcmp(mac, reserved, sizeof(reserved)) == 0 && mac[5] < 0x10;
}

static bool is_station(const uint8_t *mac)
{
    static const uint8_t no_mac[6];

    return (mac[0] & 1) == 0 && memcmp(mac, no_mac, sizeof(no_mac)) != 0;
}

/* A frame that others are to cut into segments of a byte makes them work 65 thousand times as much as its sender. */
static bool is_bomb(const struct netif_meta *meta)
{
    return meta->gso != NETIF_GSO_NONE && meta->gso_size < SWITCH_GSO_SIZE_MIN;
}

/* Why a frame goes nowhere, or DROPS: it may pass. */
static enum drop judge(const struct bridge_port *port, const struct netif_meta *meta, const uint8_t *frame,
                       uint32_t length)
{
    if (length < NETIF_LENGTH_MIN)
        return DROP_RUNT;
    if (!is_station(frame + 6) || is_bomb(meta))
        return DROP_MALFORMED;
    if (is_reserved(frame))
        return DROP_RESERVED;
    switch (filter_check(&port->filter, frame, length)) {
    case FILTER_SPOOFED_MAC:
        return DROP_SPOOFED_MAC;
    case FILTER_SPOOFED_IP:
        return DROP_SPOOFED_IP;
    case FILTER_MALFORMED:
        return DROP_MALFORMED;
    case FILTER_PASS:
        break;
    }
    return DROPS;
}

uint32_t switch_frame(struct bridge_port *port, const struct netif_meta *meta, const uint8_t *frame, uint32_t length,
                      int64_t now)
{
    struct bridge *bridge = port->bridge;
    unsigned receivers = 0;

    port->counters.frames_in++;
    port->counters.bytes_in += length;
    bridge->counters.frames_in++;
    bridge->counters.bytes_in += length;
    const enum drop reason = judge(port, meta, frame, length);
    if (reason != DROPS)
        switch_drop(port, reason);
    else if (fdb_learn(bridge->fdb, &port->fdb, frame + 6, now) == -EPERM)
        switch_drop(port, DROP_SPOOFED_MAC);
    else /* that there is no memory for another entry is no reason not to forward it */
        receivers = forward(port, meta, frame, length, now);
    return length * (receivers > 1 ? receivers : 1);
}

void switch_flush(struct bridge *bridge)
{
    struct bridge_port *port;

    while ((port = TAILQ_FIRST(&bridge->dirty)) != NULL) {
        TAILQ_REMOVE(&bridge->dirty, port, dirty);
        port->is_dirty = false;
        port->ops->flush(port);
    }
}

/* ---- Bridges and ports. ------------------------------------------------------------------------------------------- */

int switch_init(struct bridge *bridge, const char *name, const uint8_t key[FDB_KEY_SIZE],
                const struct fdb_limits *limits)
{
    *bridge = (struct bridge){.port_count = 0};
    snprintf(bridge->name, sizeof(bridge->name), "%s", name);
    TAILQ_INIT(&bridge->ports);
    TAILQ_INIT(&bridge->dirty);
    return fdb_new(key, limits, &bridge->fdb);
}

void switch_fini(struct bridge *bridge)
{
    assert(TAILQ_EMPTY(&bridge->ports));
    fdb_free(bridge->fdb);
    bridge->fdb = NULL;
}

static const uint8_t *own_mac(const struct filter *filter)
{
    return filter->any_mac ? NULL : filter->mac;
}

int switch_port_add(struct bridge *bridge, struct bridge_port *port)
{
    int err = fdb_port_add(bridge->fdb, &port->fdb, own_mac(&port->filter), port);

    if (err < 0)
        return err;
    port->bridge = bridge;
    port->is_dirty = false;
    TAILQ_INSERT_TAIL(&bridge->ports, port, next);
    bridge->port_count++;
    return 0;
}

void switch_port_remove(struct bridge_port *port)
{
    struct bridge *bridge = port->bridge;

    if (port->is_dirty)
        TAILQ_REMOVE(&bridge->dirty, port, dirty);
    port->is_dirty = false;
    fdb_port_remove(bridge->fdb, &port->fdb);
    TAILQ_REMOVE(&bridge->ports, port, next);
    bridge->port_count--;
    port->bridge = NULL;
}

int switch_port_change(struct bridge_port *port, const struct filter *filter, uint32_t group)
{
    int err = fdb_port_own(port->bridge->fdb, &port->fdb, own_mac(filter));

    if (err < 0)
        return err;
    port->filter = *filter;
    port->group = group;
    return 0;
}

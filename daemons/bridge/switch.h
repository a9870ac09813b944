/* SPDX-License-Identifier: MIT */
/*
 * What a bridge does with a frame. Pure: what a port is made of is behind a table of functions.
 *
 *   port -> looked at (filter.h) -> learnt (fdb.h) -> [flooding or the one port] -> allowed to go there? -> put
 *
 * Each receiver is given a copy; none is ever waited for. What is put is kept back until switch_flush(), so that a batch costs one
 * event a receiver.
 *
 * A frame to a station that is not known is flooded to the ports that may have others behind them: one that may send from a single address
 * only has no other, and that one is always known.
 *
 * Ports of the same group never exchange frames: uplinks are in one, so that two of them make no loop, and so are ports that are to be
 * isolated from each other. A frame never leaves through the port it came in by. Addresses that a bridge must not forward
 * (01-80-c2-00-00-00 to -0f: spanning tree, flow control, link layer discovery) are dropped.
 */
#ifndef BRIDGE_SWITCH_H
#define BRIDGE_SWITCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <ring/netif.h>

#include "fdb.h"
#include "filter.h"

/* Bytes of payload in each segment of a frame to be segmented, at least: Linux's TCP sends no smaller ones. */
#define SWITCH_GSO_SIZE_MIN 48u

/* Why a frame went nowhere. Those up to DROP_RECEIVED are counted at the port it came from, the others at the one it did not reach. */
enum drop {
    DROP_RUNT,      /* shorter than an Ethernet header */
    DROP_MALFORMED, /* what the filter cannot understand; a source that is no station; segments too small; metadata of a tap that does not fit */
    DROP_SPOOFED_MAC,
    DROP_SPOOFED_IP,
    DROP_RESERVED, /* to an address that is not forwarded */
    DROP_ISOLATED, /* to a port of the same group */
    DROP_NO_PORT,  /* there is nobody to send it to */
    DROP_RECEIVED,
    DROP_NO_ROOM = DROP_RECEIVED, /* the receiver does not keep up */
    DROP_FAILED,                  /* it could not be given to the receiver: cannot be segmented, the device is down */
    DROPS
};
/* "no_room": as in JSON and metrics. */
extern const char *const drop_names[DROPS];

/* In: what came from the port; out: what was given to it. */
struct switch_counters {
    uint64_t frames_in, bytes_in, frames_out, bytes_out;
    uint64_t flooded; /* frames in of these */
    uint64_t drops[DROPS];
};

struct bridge_port;

struct switch_ops {
    /* Takes a copy. Returns 0; -ENOSPC when it has no room; -errno when it cannot. Must not call back. */
    int (*put)(struct bridge_port *port, const struct netif_meta *meta, const uint8_t *frame, uint32_t length);
    /* Makes visible what was put since the last time. Must not call back. */
    void (*flush)(struct bridge_port *port);
};

struct bridge {
    char name[BRIDGE_NAME_SIZE];
    struct fdb *fdb;
    TAILQ_HEAD(bridge_port_list, bridge_port) ports;
    unsigned port_count;
    TAILQ_HEAD(bridge_port_dirty, bridge_port) dirty;
    struct switch_counters counters; /* of all ports it ever had */
};

/* Embedded in what a port is made of. */
struct bridge_port {
    TAILQ_ENTRY(bridge_port) next;  /* bridge.ports */
    TAILQ_ENTRY(bridge_port) dirty; /* bridge.dirty, while is_dirty */
    bool is_dirty;
    bool closed; /* nothing goes in or out any more */
    char name[PORT_NAME_SIZE];
    const struct switch_ops *ops;
    struct bridge *bridge;
    uint32_t group;
    struct filter filter;
    struct fdb_port fdb;
    struct switch_counters counters;
};

/* Ports and tables are the caller's. `key` is random. Returns 0, -ENOMEM. */
int switch_init(struct bridge *bridge, const char *name, const uint8_t key[FDB_KEY_SIZE],
                const struct fdb_limits *limits);
/* The ports must be gone. */
void switch_fini(struct bridge *bridge);

/* Adds a port, whose name, ops, group and filter are set. Returns 0, -ENOMEM. */
int switch_port_add(struct bridge *bridge, struct bridge_port *port);
/* Takes it out, with what was learnt there. */
void switch_port_remove(struct bridge_port *port);
/* Changes what it may do. Returns 0, or -ENOMEM with nothing changed. */
int switch_port_change(struct bridge_port *port, const struct filter *filter, uint32_t group);

/* Bytes of one port's turn, as switch_frame() counts them. */
#define SWITCH_TURN_BYTES (1u << 20)

/* One frame that came from `port`, in private memory. Returns how much of a turn that was: its length for each port it was for, for that is what the
 * others wait for; at least once. */
uint32_t switch_frame(struct bridge_port *port, const struct netif_meta *meta, const uint8_t *frame, uint32_t length,
                      int64_t now);
/* Counts what came from a port and was no frame. */
void switch_drop(struct bridge_port *port, enum drop reason);
/* Ends a batch. */
void switch_flush(struct bridge *bridge);

#endif

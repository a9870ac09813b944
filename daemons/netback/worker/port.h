/* SPDX-License-Identifier: MIT */
/*
 * Where a guest's frames go to and come from: a table for each kind.
 *
 * Frames come from *sources*, one or more of them; what a source brings may be for any queue of the guest. They go by the queue they came
 * from. A port that has room for so many frames only says so before they are taken from the guest; else nothing of a port waits: what does
 * not go is dropped by who sends, and what is not read waits in the port as long as that likes.
 */
#ifndef NETBACK_WORKER_PORT_H
#define NETBACK_WORKER_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include <ring/netif.h>

#include "../protocol.h"

/* Bytes in front of a frame that a port writes to as it likes. */
#define PORT_HEADROOM 16u

struct event_base;

struct port_params {
    struct event_base *base;
    const struct netback_connection *connection; /* outlives the port */
    const int *fds; /* netback_port_fds(connection) of them; the caller's, to outlive the port */
    /* From the loop: there may be frames at a watched source, or it can no longer be read. */
    void (*readable)(void *arg, unsigned source);
    /* From the loop: there is the room that was awaited. */
    void (*room)(void *arg);
    void *arg;
};

struct port {
    const struct port_kind *kind;
    unsigned sources;
};

struct port_kind {
    /* Whether to look for frames costs no system call. */
    bool cheap;
    /* Returns 0 or -errno. */
    int (*open)(const struct port_params *params, struct port **ret_port);
    /* Whether so many frames, of so many bytes together, can be sent now. What never has room, says that it has. */
    bool (*fits)(struct port *port, uint32_t frames, uint32_t bytes);
    /* To be told of room for a frame of any length. Returns true when there is that already. */
    bool (*await)(struct port *port);
    /* Sends a frame, which it may change. Returns 0; -EBADMSG when what is said of it does not fit; another -errno when it did not go. */
    int (*send)(struct port *port, unsigned queue, uint8_t *frame, uint32_t length, const struct netif_meta *meta);
    /* What was sent is to be seen now. */
    void (*flush)(struct port *port);
    /* Reads a frame into memory of NETIF_RX_LENGTH_MAX bytes. It comes once, whatever becomes of this process. Returns 1; 0 when there is none; -EBADMSG when there was one that is none; another
     * -errno when there will never be any more. */
    int (*receive)(struct port *port, unsigned source, uint8_t *frame, struct netif_meta *ret_meta,
                   uint32_t *ret_length);
    /* Nothing more is read for now. `watch`: to be told of the next frame. Returns true when there is one already. */
    bool (*rest)(struct port *port, unsigned source, bool watch);
    /* Takes NULL, and what is opened by half. */
    void (*close)(struct port *port);
};

extern const struct port_kind port_tap, port_switch;

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What a supervisor and its workers say to each other, whatever kind of device they serve: one fixed-size message a packet, over the worker's
 * channel (supervise/channel.h). A message begins with struct backend_head; what follows, and which descriptors ride along, is the daemon's own
 * (blkback/protocol.h). Either end treats what the other says as hostile.
 *
 *   supervisor                                worker
 *   BACKEND_SERVE  [fence, listener, crash, ...] ->  becomes that guest's worker; writes to `crash` when it crashes
 *   BACKEND_CONNECT [...]                ->   attaches or recovers the rings, serves
 *                                        <-   BACKEND_CONNECTED
 *                                        <-   BACKEND_FAILED, at any time after that: the device cannot go on (protocol violation)
 *                                        <-   BACKEND_PARKED, at any time after that: let go of the device, because executing what is left
 *                                             in its journal crashed too many workers; ring and journal can be recovered
 *   BACKEND_DISCONNECT                   ->   stops, waits for what is in progress, lets go of rings and files
 *                                        <-   BACKEND_DISCONNECTED
 *   BACKEND_DRAIN                        ->   as GREETING_DRAIN: ends with every journal drained
 *
 * The worker answers messages of one device in order. When the channel closes, the worker goes on serving: its supervisor died. The next one
 * connects to the worker's listener. They greet (supervise/greeting.h, which tells the versions), and when the channel is of the same
 * version on both sides the worker says what it holds, in any order, and is this supervisor's from then on:
 *
 *   GREETING_ADOPT                       ->
 *                                        <-   BACKEND_HELD [...], for each device it serves: what it works with, to hand to a successor
 *                                        <-   BACKEND_HELD_ALL
 *
 * What was under way on an older connection is not answered: what the worker holds says how far it came.
 */
#ifndef BACKEND_PROTOCOL_H
#define BACKEND_PROTOCOL_H

#include <stdint.h>

enum backend_message_type {
    BACKEND_SERVE = 1,
    BACKEND_CONNECT,
    BACKEND_CONNECTED,
    BACKEND_FAILED,
    BACKEND_DISCONNECT,
    BACKEND_DISCONNECTED,
    BACKEND_DRAIN,
    BACKEND_HELD,
    BACKEND_HELD_ALL,
    BACKEND_PARKED,
    BACKEND_OWN = 32, /* the daemon's own types begin here */
};

#define BACKEND_REASON_SIZE 256

struct backend_head {
    uint32_t version;    /* of the daemon's protocol */
    uint32_t type;       /* enum backend_message_type, or one of the daemon's own */
    uint32_t devid;      /* the device meant; 0 in SERVE */
    int32_t result;      /* answers: 0 or -errno */
    uint64_t generation; /* HELD: of its connection */
    char reason
        [BACKEND_REASON_SIZE]; /* FAILED, answers with a negative result, and HELD with one: the device has failed */
};

/* The beginning of what is recorded of a connection, in every version: all that is needed to serve it, and all that is needed to recover it. The
 * file `connection` of the device's run directory is the daemon's own struct, which begins with this one; it is written before BACKEND_CONNECT is
 * first sent and unlinked before any state but Connected is written. */
struct backend_connection {
    uint32_t version;    /* of the daemon's records */
    uint32_t word;       /* the daemon's own */
    uint64_t generation; /* of the journals; never 0, never reused */
};

#endif

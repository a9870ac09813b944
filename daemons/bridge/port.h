/* SPDX-License-Identifier: MIT */
/*
 * A shared-memory port of the switch: what tapbridged and its client, netbackd's supervisor, say to each other, one message of
 * fixed size a packet, over a socket (supervise/channel.h) that tapbridged listens on: BRIDGE_PORT_SOCKET in the run directory.
 * Descriptors ride along as noted.
 *
 *   client                                       tapbridged
 *   PORT_ATTACH [memory, bell in, bell out]  ->  wants that port: a new one (no descriptors), or one it has the memory of
 *                                            <-  PORT_ATTACHED [memory, bell in, bell out], or with a result < 0 and the reason
 *   PORT_SETTLED                             ->  it has presented all the ports it has: those that were not presented on this
 *                                                connection are removed. Each client says it once
 *   PORT_DETACH                              ->  gives a port up
 *                                            <-  PORT_DETACHED, also for one that is not there
 *                                            <-  PORT_FAILED, at any time: the port is closed, for the reason told. What goes on in
 *                                                its memory interests nobody any more; attach it anew, without descriptors
 *
 * From PORT_ATTACHED on the port forwards, both ways. Only a tapbridged that has just begun takes no frames until the first
 * PORT_SETTLED, or for 5 seconds: what is for a port that is about to come back would be lost. Answers come in the order of what they answer. A port is known by its name,
 * which is unique over all bridges. Attaching one that is there already changes what it may do (bridge, mac, addresses, flags,
 * group); without descriptors it gets new memory, and what was in the old one is lost. A wrong result concerns that attempt only:
 * ENOENT, no bridge of that name; EINVAL, memory that is none; EPROTO, impossible indices in the memory; ENOSPC, the bridge has
 * its ports; EMFILE, ENOMEM. The client may try again whenever it likes: a port that is there and cannot be attached again counts as presented,
 * as it was or closed.
 *
 * The newest connection counts, an older one is closed. A connection that ends leaves all ports as they are and serving. One of
 * another version, or one that sends what is none of these messages, is closed. So is one when bridges come or go by
 * configuration: what is presented then finds them, or not. When tapbridged is restarted, or crashes, its clients connect again
 * and present what they have: what is in the rings is kept.
 *
 * The memory: a memfd of port_memory_size() bytes, sealed (F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL), with two frame rings
 * (ring/frame.h) of `capacity` bytes each: at PORT_RING_IN what the port sends into the bridge, at port_ring_out() what the bridge
 * sends to the port. The bells are eventfds, non-blocking: "bell in" is rung (written to) for the bridge, when a call of the ring
 * at either end says so; "bell out" for the port. tapbridged never waits for a port: a frame that finds no room is dropped and counted.
 *
 * Whoever holds the bells may change whether they block, for both ends. A process that serves a guest must not be able to: its
 * sandbox refuses F_SETFL without O_NONBLOCK (supervise/sandbox.c). tapbridged looks before it rings, and closes such a port; who
 * changes it just between the two could make it wait all the same.
 */
#ifndef BRIDGE_PORT_H
#define BRIDGE_PORT_H

#include <stddef.h>
#include <stdint.h>

#include <ring/frame.h>

#define PORT_VERSION       1u /* of these messages; counted up with every change */
#define BRIDGE_PORT_SOCKET "tapbridged.ports"

#define BRIDGE_NAME_SIZE   32u /* of a bridge, with its NUL: letters, digits, '-', '_', '.'; not empty, no '.' first */
#define PORT_NAME_SIZE     32u /* of a port, the same: "vif3.0" */
#define PORT_REASON_SIZE   128u
#define PORT_ADDRESSES_MAX 32u
#define PORT_FDS           3u /* memory, bell in, bell out */

enum port_message_type {
    PORT_ATTACH = 1,
    PORT_ATTACHED,
    PORT_DETACH,
    PORT_DETACHED,
    PORT_SETTLED,
    PORT_FAILED,
    PORT_MESSAGE_TYPES
};

enum port_flag {
    PORT_ANY_MAC =
        1, /* may send from any MAC: a guest that is a bridge itself; `mac` is not looked at, nor are addresses */
    PORT_ISOLATED =
        2, /* never exchanges frames with other isolated ports of its bridge, only with the rest: as group, below */
};
#define PORT_FLAGS_ALL (PORT_ANY_MAC | PORT_ISOLATED)

/* Ports of one bridge that are in the same group never exchange frames. 0: in none. Those from PORT_GROUP_RESERVED on are
 * tapbridged's own. */
#define PORT_GROUP_RESERVED 0xfffffff0u

/* An address the port may use, or a whole prefix. */
struct port_address {
    uint8_t family;    /* 4 or 6 */
    uint8_t prefix;    /* bits: at most 32 or 128, which is exactly this address */
    uint8_t zero[2];   /* 0 */
    uint8_t bytes[16]; /* network order; the first 4 for IPv4, the rest 0 */
};

struct port_message {
    uint32_t version;          /* PORT_VERSION */
    uint32_t type;             /* enum port_message_type */
    int32_t result;            /* PORT_ATTACHED: 0 or -errno; PORT_FAILED: -errno; else 0 */
    uint32_t capacity;         /* PORT_ATTACHED with memory, PORT_ATTACH with memory: of each of its rings; else 0 */
    char port[PORT_NAME_SIZE]; /* all but PORT_SETTLED */
    /* PORT_ATTACH only, else 0. */
    char bridge[BRIDGE_NAME_SIZE];
    uint32_t flags;        /* of enum port_flag */
    uint32_t group;        /* below PORT_GROUP_RESERVED */
    uint8_t mac[6];        /* the only one it may send from; no multicast, not 0 */
    uint8_t address_count; /* 0: any address */
    uint8_t zero;          /* 0 */
    struct port_address addresses[PORT_ADDRESSES_MAX];
    /* PORT_ATTACHED with a result < 0, PORT_FAILED: a sentence without a full stop. */
    char reason[PORT_REASON_SIZE];
};

/* Makes a message with everything else 0. `port` may be NULL. Returns 0, or -EINVAL for a name that is none. */
int port_message_make(enum port_message_type type, const char *port, struct port_message *ret_message);

/* Whether a received message can have been meant: version, type, names, numbers, padding. Returns 0; -EPROTONOSUPPORT for another
 * version; -EINVAL. */
int port_message_check(const struct port_message *message);

/* Whether this can be the name of a bridge or of a port. */
bool port_name_is_valid(const char *name);

/* ---- The memory. ------------------------------------------------------------------------------------------------- */

#define PORT_RING_IN 0u
/* Where the other ring is: at the next page. */
size_t port_ring_out(uint32_t capacity);
/* Of all of it. */
size_t port_memory_size(uint32_t capacity);

/* Makes memory with two empty rings, and bells. Returns 0, with three descriptors that are the caller's, close-on-exec; -EINVAL
 * for a capacity no ring can have; -errno. */
int port_memory_make(uint32_t capacity, int ret_fds[PORT_FDS]);

/* Whether these descriptors are such memory and bells, in whatever state. Returns 0; -EINVAL; -errno. */
int port_memory_check(const int fds[PORT_FDS], uint32_t capacity);

/* Maps it. Returns 0; -EINVAL when it is not sealed or not of that size; -errno. */
int port_memory_map(int fd, uint32_t capacity, void **ret_memory);
/* Takes NULL. */
void port_memory_unmap(void *memory, uint32_t capacity);

/* Rings a bell. One that was rung so often that it takes no more is good enough. */
void port_bell_ring(int bell);
/* Whether ringing it could make us wait: somebody has made it block. */
bool port_bell_blocks(int bell);
/* Takes back what was rung. */
void port_bell_clear(int bell);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The ends of connections to servers: until a server has ended with one, what came over it may still reach the disk.
 */
#ifndef BLKBACK_ENDING_H
#define BLKBACK_ENDING_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;

/* The server's end of a connection over a UNIX socket, as the kernel knows it: never used again for another. `known` is 0 for others. */
struct ending_peer {
    uint32_t known;
    uint32_t inode;
    uint32_t cookie[2];
};

/* Finds it. Returns 0, also when it is not known; -ENOTCONN: it is closed. */
int ending_find_peer(int fd, struct ending_peer *ret_peer);

/* Ends a connection, to the server that is called `uri`: nothing is sent any more, what comes is thrown away, until the server has closed its end; where
 * that cannot be seen, for `settle_ms` from its last word. `fd` is taken over; -1: it was somebody's who is dead, and only `peer` is known of it.
 * `peer` may be NULL for one with a descriptor. Out of memory it is given up as it is, which is the only way left. */
void ending_begin(struct event_base *base, const char *uri, int fd, const struct ending_peer *peer, int settle_ms);
/* Whether one to that server is under way. */
bool ending_is_under_way(const char *uri);
/* Forgets all of them; the connections end by themselves. */
void ending_stop(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Taps: the network devices of the host that a toolstack's scripts attach to a bridge, and through which frames leave and come.
 *
 * A tap is persistent: it stays, with its place in the bridge, when nobody has it open, as between two connections of its guest and between two
 * lives of this daemon. Its carrier is on while a queue of it is open. Every frame begins with a virtio-net header of
 * NETBACK_TAP_HEADER_SIZE bytes (netback/protocol.h).
 *
 * Source: linux/if_tun.h, linux/virtio_net.h.
 */
#ifndef NETBACK_TAP_H
#define NETBACK_TAP_H

#include <stdbool.h>

struct backend_error;

#define TAP_NAME_SIZE 16 /* IFNAMSIZ: with its NUL */

/* What whoever reads from a tap can take. */
struct tap_offload {
    bool checksum; /* a TCP or UDP checksum that is yet to be filled in */
    bool tso4, tso6;
};

/* Makes the tap, or finds it as an earlier life of this daemon left it. Returns 0, or -errno with the reason: -EEXIST for another device of that
 * name. */
int tap_make(const char *name, struct backend_error *ret_error);
/* Opens `count` queues. The descriptors are the caller's, close-on-exec and non-blocking. Returns 0, or -errno with the reason and none open. */
int tap_open(const char *name, unsigned count, int ret_fds[], struct backend_error *ret_error);
/* Of all of its queues; one of them is enough. Return 0 or -errno. */
int tap_set_offload(int fd, const struct tap_offload *offload);
int tap_set_carrier(int fd, bool on);
/* Whether the descriptor is a queue of that tap. */
bool tap_is_queue(int fd, const char *name);
/* Removes the tap; one that is not there, or another device of that name, is no error. Returns 0 or -errno. */
int tap_remove(const char *name);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The host's network devices as the kernel tells of them: whether frames that go into one go anywhere.
 *
 * Source: rtnetlink(7), linux/if_link.h.
 */
#ifndef NETBACK_NETDEV_H
#define NETBACK_NETDEV_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct netdev_watch;

#define NETDEV_KIND_SIZE 16

struct netdev {
    bool up;                            /* as its owner wants it */
    bool running;                       /* it has a carrier, and is not held back */
    uint32_t mtu;                       /* bytes behind the Ethernet header */
    uint32_t master;                    /* index of what it is attached to; 0: to nothing */
    char attached_as[NETDEV_KIND_SIZE]; /* "bridge", "openvswitch", ...; "" */
    bool blocked;                       /* by its bridge, which has it listen or learn first, or keeps it as a spare */
};

/* Follows all devices: `changed` is called from the loop when any may have changed. Returns 0 or -errno. */
int netdev_watch_new(struct event_base *base, void (*changed)(void *arg), void *arg, struct netdev_watch **ret_watch);
/* Takes NULL. */
void netdev_watch_free(struct netdev_watch *watch);

/* What is known of a device. Returns 0; -ENODEV; -errno. */
int netdev_get(struct netdev_watch *watch, const char *name, struct netdev *ret_netdev);

/* Whether a frame that comes out of it goes on. */
bool netdev_forwards(const struct netdev *netdev);

#endif

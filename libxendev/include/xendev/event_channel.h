/* SPDX-License-Identifier: MIT */
/*
 * Event channels: one handle a thread, its descriptor on that thread's loop.
 */
#ifndef XENDEV_EVENT_CHANNEL_H
#define XENDEV_EVENT_CHANNEL_H

#include <stdint.h>

struct event_base;
struct xendev_events;  /* a handle */
struct xendev_channel; /* one bound port */

/* Returns 0 or -errno. */
int xendev_events_open(struct event_base *base, struct xendev_events **ret_events);
/* Unbinds what is bound. Takes NULL. */
void xendev_events_close(struct xendev_events *events);

/* Restricts the handle to one remote domain for good. The kernel refuses domain 0. Returns 0 or -errno. */
int xendev_events_restrict(struct xendev_events *events, uint32_t domid);

/* Binds the remote port; `fired` is called from the loop for each event, once right after binding. The port stays
 * masked until xendev_channel_unmask(): the receiver decides when it wants the next one. -EINVAL when the remote port
 * is bound already or not ours. */
int xendev_channel_bind(struct xendev_events *events, uint32_t domid, uint32_t remote_port, void (*fired)(void *arg),
                        void *arg, struct xendev_channel **ret_channel);
/* Makes a port `domid` may bind (a front end's side); ret_port is its number in this domain. */
int xendev_channel_offer(struct xendev_events *events, uint32_t domid, void (*fired)(void *arg), void *arg,
                         struct xendev_channel **ret_channel, uint32_t *ret_port);
/* Closes our end. May be called from `fired`; takes NULL. */
void xendev_channel_close(struct xendev_channel *channel);

int xendev_channel_notify(struct xendev_channel *channel);
int xendev_channel_unmask(struct xendev_channel *channel);

#endif

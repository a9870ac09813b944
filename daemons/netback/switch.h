/* SPDX-License-Identifier: MIT */
/*
 * Our connection to tapbridged, over which the ports of switched cards are made, and presented again when either of us was restarted.
 */
#ifndef NETBACK_SWITCH_H
#define NETBACK_SWITCH_H

#include <stdbool.h>

struct netback;
struct vif;

/* Returns 0 or -ENOMEM. */
int switch_open(struct netback *netback);
/* Ports stay. Takes what was never opened. */
void switch_close(struct netback *netback);

/* Wants a port for the card: with the memory and bells it has, or else new ones. What comes of it is told by port_switch_attached() and
 * port_switch_refused(), as soon as tapbridged is there. */
void switch_attach(struct vif *vif);
/* The same, after a while, for one that port_switch_is_refused(). */
void switch_attach_later(struct vif *vif);
/* Gives it up, if there is one, and what was asked for it. */
void switch_detach(struct vif *vif);

bool switch_is_connected(const struct netback *netback);

#endif

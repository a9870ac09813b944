/* SPDX-License-Identifier: MIT */
/*
 * A card's port of tapbridged, as our connection to that has it.
 */
#ifndef NETBACK_PORT_SWITCH_H
#define NETBACK_PORT_SWITCH_H

#include <stdbool.h>
#include <stdint.h>

#include <bridge/port.h>

struct vif;

/* Whether the card has a port, or is waiting for one. */
bool port_switch_is_wanted(const struct vif *vif);
/* Whether it has one that tapbridged refused when it was presented, but may not the next time. */
bool port_switch_is_refused(const struct vif *vif);

/* What has become of switch_attach(). The descriptors are the callee's. */
void port_switch_attached(struct vif *vif, uint32_t capacity, const int fds[PORT_FDS]);
void port_switch_refused(struct vif *vif, int error, const char *reason);
/* It was closed. */
void port_switch_failed(struct vif *vif, const char *reason);

void port_switch_close(const int fds[PORT_FDS]);

#endif

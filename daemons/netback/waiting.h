/* SPDX-License-Identifier: MIT */
/*
 * Cards that wait for somebody else on their way up: for tapbridged, for a bridge to forward, or for the name of their tap. Meanwhile nobody tells
 * them that they are no longer wanted, so they are looked at.
 */
#ifndef NETBACK_WAITING_H
#define NETBACK_WAITING_H

#include "vif.h"

struct netback;

/* Return 0 or -ENOMEM; take what was never opened. */
int waiting_open(struct netback *netback);
void waiting_close(struct netback *netback);

/* From now on the card waits, in this step; it ends with waiting_end(). */
void waiting_begin(struct vif *vif, enum vif_step step);
void waiting_end(struct vif *vif);

#endif

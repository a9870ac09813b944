/* SPDX-License-Identifier: MIT */
/*
 * What a card's network device is called. Xen's scripts expect a tap by its first name, vifDOMID.DEVID, and rename it to `vifname`, if that is given:
 * its last name, card.netdev.
 */
#ifndef NETBACK_NAMING_H
#define NETBACK_NAMING_H

#include "tap.h"

struct device;
struct vif;

void naming_first(const struct vif *vif, char ret_name[TAP_NAME_SIZE]);
/* Another card that bears one of this one's names, which is then told; NULL: none. */
const struct device *naming_find_namesake(const struct vif *vif, char ret_name[TAP_NAME_SIZE]);
/* PREPARING: another device has this name of the card's, as the reason says. The card is given up, or waits (VIF_STEP_NAMING). */
void naming_is_taken(struct vif *vif, const char *name, const char *reason);

#endif

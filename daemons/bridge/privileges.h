/* SPDX-License-Identifier: MIT */
/*
 * What tapbridged may do when it serves: administer the network, for its taps, and nothing else that is root's.
 */
#ifndef BRIDGE_PRIVILEGES_H
#define BRIDGE_PRIVILEGES_H

/* Gives up all capabilities but CAP_NET_ADMIN, and the way to new ones. Returns 0 or -errno. */
int privileges_drop(void);

#endif

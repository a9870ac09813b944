/* SPDX-License-Identifier: MIT */
/*
 * Which multicasts a guest wants: what it asked for by extras of its transmit rings.
 *
 * The list lies in memory that outlives the process, which may be killed at any store; the guest's request is then executed once more. So an
 * address may be there twice, and is taken away wherever it is.
 */
#ifndef NETBACK_WORKER_MULTICAST_H
#define NETBACK_WORKER_MULTICAST_H

#include <stdbool.h>
#include <stdint.h>

#include <ring/netif.h>

#define MULTICAST_MAX 64u /* addresses: as many as Linux's back end keeps */

/* Plain data. All zero is an empty list. */
struct multicast {
    uint32_t count;
    uint32_t lost; /* 1: what was asked for is not known: all are wanted */
    uint8_t addresses[MULTICAST_MAX][NETIF_ADDRESS_LEN];
};

/* Does what such a packet asks for; not with NETIF_MULTICAST_NONE. Returns 0; -ENOSPC; -EINVAL for an address that is no multicast. */
int multicast_change(struct multicast *multicast, const struct netif_meta *meta);

/* Whether a frame for this address is wanted, by a guest whose list counts: one for a single receiver or for all is. */
bool multicast_wants(const struct multicast *multicast, const uint8_t address[NETIF_ADDRESS_LEN]);

/* Makes a list out of what another process left. */
void multicast_recover(struct multicast *multicast);

#endif

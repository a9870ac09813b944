/* SPDX-License-Identifier: MIT */
/*
 * What of a card's connection outlives its worker beside the rings' journals: the file `state`, which a successor of the same version goes on with.
 * It is zeroes for a new connection. What another process has written is checked, and begun anew when it cannot be.
 */
#ifndef NETBACK_WORKER_STATE_H
#define NETBACK_WORKER_STATE_H

#include <assert.h>
#include <stdint.h>

#include <ring/netif_hash.h>

#include "../protocol.h"
#include "multicast.h"

#define STATE_MAGIC   0x726e7374u /* "rnst" */
#define STATE_VERSION 1u

struct netback_state {
    uint32_t magic;
    uint32_t version;
    uint64_t generation; /* of the connection */
    struct netif_hash hash;
    struct multicast multicast;
};
static_assert(sizeof(struct netback_state) <= NETBACK_STATE_SIZE, "it fits its file");

#endif

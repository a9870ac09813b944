/* SPDX-License-Identifier: MIT */
/*
 * The hash by which a guest has its packets spread over its queues, and the queue that follows from it: what its control
 * ring (ring/netif_ctrl.h) has agreed on.
 */
#ifndef RING_NETIF_HASH_H
#define RING_NETIF_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ring/netif.h>

#define NETIF_HASH_KEY_MAX     40u  /* bytes: enough for two IPv6 addresses and ports */
#define NETIF_HASH_MAPPING_MAX 128u /* entries */
#define NETIF_HASH_TYPES_ALL   0xfu /* a bit for each enum netif_hash_type */

/* Plain data without pointers: it may lie in memory that outlives the process. All zero is no hash. */
struct netif_hash {
    uint32_t algorithm; /* enum netif_hash_algorithm */
    uint32_t types;     /* a bit for each enum netif_hash_type that is wanted */
    uint32_t queues;    /* 1 and more; set by the owner */
    uint32_t mapping_size;
    uint32_t mapping[NETIF_HASH_MAPPING_MAX]; /* each entry below `queues` */
    uint8_t key[NETIF_HASH_KEY_MAX];          /* a shorter one is followed by zeroes */
};

/* Whether this is something that the control ring can have made of it, for that many queues: to be asked of memory that
 * another process has written. Returns 0, or -EBADMSG. */
int netif_hash_check(const struct netif_hash *hash, uint32_t queues);

/* The Toeplitz hash of `size` bytes, at most NETIF_HASH_KEY_MAX - 4. */
uint32_t netif_hash_toeplitz(const uint8_t key[NETIF_HASH_KEY_MAX], const uint8_t *bytes, size_t size);

/* Hashes an Ethernet frame, of which `size` bytes are given, by the most specific type that is wanted and applies: TCP
 * before addresses alone, fragments by addresses. Tags of VLANs are looked behind. Returns false, with the outputs
 * untouched, when no hash is agreed on or none applies. */
bool netif_hash_frame(const struct netif_hash *hash, const uint8_t *frame, size_t size, enum netif_hash_type *ret_type,
                      uint32_t *ret_value);

/* The queue for a packet with this hash, 0 for one without. Below hash->queues. */
uint32_t netif_hash_queue(const struct netif_hash *hash, uint32_t value);

#endif

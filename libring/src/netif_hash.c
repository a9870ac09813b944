/* SPDX-License-Identifier: MIT */
/*
 * Toeplitz hash and queue mapping.
 *
 * The hash slides the key along the message, a bit at a time, and adds up (without carry) the 32 bits of key that stand
 * below each bit that is set. What is hashed are addresses and ports as they are in the headers (xen/io/netif.h):
 *
 *   IPv4  source 4, destination 4 [, TCP: source port 2, destination port 2]
 *   IPv6  source 16, destination 16 [, TCP: the same]
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include <ring/netif_hash.h>
#include <ring/offload.h>

#include "datagram.h"

#define PORTS       4u /* both, at the beginning of a TCP header */
#define MESSAGE_MAX 36u

static_assert(MESSAGE_MAX + 4 <= NETIF_HASH_KEY_MAX, "the key covers every message");

int netif_hash_check(const struct netif_hash *hash, uint32_t queues)
{
    if (hash->algorithm > NETIF_HASH_TOEPLITZ || (hash->types & ~NETIF_HASH_TYPES_ALL) != 0)
        return -EBADMSG;
    if (hash->queues != queues || queues == 0 || hash->mapping_size > NETIF_HASH_MAPPING_MAX)
        return -EBADMSG;
    for (uint32_t i = 0; i < hash->mapping_size; i++)
        if (hash->mapping[i] >= queues)
            return -EBADMSG;
    return 0;
}

uint32_t netif_hash_toeplitz(const uint8_t key[NETIF_HASH_KEY_MAX], const uint8_t *bytes, size_t size)
{
    uint64_t window = 0; /* in its upper half, the key below the next bit */
    uint32_t hash = 0;
    for (size_t i = 0; i < 4; i++)
        window = window << 8 | key[i];
    for (size_t i = 0; i < size; i++) {
        window = window << 8 | key[i + 4];
        for (unsigned bit = 8; bit-- > 0;)
            if (bytes[i] >> bit & 1)
                hash ^= (uint32_t)(window >> (bit + 1));
    }
    return hash;
}

static bool wanted(const struct netif_hash *hash, enum netif_hash_type type)
{
    return hash->types >> type & 1;
}

/* Hashes both addresses, and the ports when there are any. Returns false when no type that applies is wanted. */
static bool hash_parts(const struct netif_hash *hash, const uint8_t *addresses, size_t size, const uint8_t *ports,
                       enum netif_hash_type plain, enum netif_hash_type tcp, enum netif_hash_type *ret_type,
                       uint32_t *ret_value)
{
    uint8_t message[MESSAGE_MAX];
    memcpy(message, addresses, size);
    if (ports && wanted(hash, tcp)) {
        memcpy(message + size, ports, PORTS);
        *ret_value = netif_hash_toeplitz(hash->key, message, size + PORTS);
        *ret_type = tcp;
        return true;
    }
    if (!wanted(hash, plain))
        return false;
    *ret_value = netif_hash_toeplitz(hash->key, message, size);
    *ret_type = plain;
    return true;
}

bool netif_hash_frame(const struct netif_hash *hash, const uint8_t *frame, size_t size, enum netif_hash_type *ret_type,
                      uint32_t *ret_value)
{
    if (hash->algorithm != NETIF_HASH_TOEPLITZ)
        return false;
    struct offload_headers headers;
    offload_parse(frame, size, &headers);
    if (headers.version == 0)
        return false;

    const uint8_t *packet = frame + headers.l3;
    const bool tcp =
        headers.l4 != 0 && !headers.fragment && headers.protocol == PROTOCOL_TCP && size - headers.l4 >= PORTS;
    if (headers.version == 4)
        return hash_parts(hash, packet + 12, 8, tcp ? frame + headers.l4 : NULL, NETIF_HASH_IPV4, NETIF_HASH_IPV4_TCP,
                          ret_type, ret_value);
    const bool plain = headers.l4 == headers.l3 + IPV6_HEADER; /* no extension headers */
    return hash_parts(hash, packet + 8, 32, tcp && plain ? frame + headers.l4 : NULL, NETIF_HASH_IPV6,
                      NETIF_HASH_IPV6_TCP, ret_type, ret_value);
}

uint32_t netif_hash_queue(const struct netif_hash *hash, uint32_t value)
{
    if (hash->mapping_size == 0)
        return value % hash->queues;
    return hash->mapping[value % hash->mapping_size];
}

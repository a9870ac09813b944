/* SPDX-License-Identifier: MIT */
/*
 * What the guest has agreed on over its control ring decides. Without that a source of a queue's own is that queue's; and where one source serves several
 * queues, frames are spread by a hash of ours, so that those of a connection stay in order.
 */
#include "route.h"

#include <string.h>

void route_init(struct route *route, const struct netback_connection *connection, const struct netback_tuning *tuning,
                const struct netback_state *state, bool one_source, const uint8_t key[NETIF_HASH_KEY_MAX])
{
    *route = (struct route){
        .connection = connection,
        .tuning = tuning,
        .state = state,
        .one_source = one_source,
        .own = {.algorithm = NETIF_HASH_TOEPLITZ, .types = NETIF_HASH_TYPES_ALL, .queues = connection->queue_count},
    };
    memcpy(route->own.key, key, sizeof route->own.key);
}

bool route_is_fixed(const struct route *route)
{
    return route->connection->queue_count == 1 ||
           (!route->one_source && route->state->hash.algorithm == NETIF_HASH_NONE);
}

static unsigned choose(const struct route *route, unsigned source, struct frame *frame)
{
    const struct netif_hash *hash = &route->state->hash;
    struct netif_meta *meta = &frame->meta;
    enum netif_hash_type type;
    uint32_t value;

    meta->hashed = false;
    if (hash->algorithm != NETIF_HASH_NONE) {
        meta->hashed = netif_hash_frame(hash, frame->bytes, frame->length, &meta->hash_type, &meta->hash);
        return netif_hash_queue(hash, meta->hashed ? meta->hash : 0);
    }
    if (route_is_fixed(route))
        return source;
    return netif_hash_frame(&route->own, frame->bytes, frame->length, &type, &value)
               ? netif_hash_queue(&route->own, value)
               : 0;
}

unsigned route_frame(const struct route *route, unsigned source, struct frame *frame, unsigned *ret_queue)
{
    if (frame->length >= NETIF_ADDRESS_LEN && route->tuning->multicast_control &&
        !multicast_wants(&route->state->multicast, frame->bytes))
        return NETBACK_RX_DROP_MULTICAST + 1;
    unsigned drop = fit_frame(frame, route->connection->features);
    if (drop == 0)
        *ret_queue = choose(route, source, frame);
    return drop;
}

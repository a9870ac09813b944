/* SPDX-License-Identifier: MIT */
/*
 * The front end's side of a network device, for our own guests: a frame is laid over the slots of a transmit ring, and
 * put together from those of a receive ring. It trusts its back end no further than it must: an answer to what was not
 * asked, twice, or out of place is -EPROTO, as is a packet that is only half there.
 *
 * Ids are the caller's, 0 to NETIF_RING_SLOTS - 1: whoever has that many buffers uses each one's number.
 */
#ifndef RING_NETIF_FRONT_H
#define RING_NETIF_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ring/front.h>
#include <ring/netif.h>

#define NETIF_FRONT_PIECES_MAX 18u /* slots with data that we take of a packet: XEN_NETIF_NR_SLOTS_MIN */

/* ---- Transmit. --------------------------------------------------------------------------------------------------- */

/* Embedded by its user. `ring` is for publishing and rearming; the other fields are private. */
struct netif_front_tx {
    struct ring_front ring;
    uint32_t extras;             /* sent, not answered */
    bool busy[NETIF_RING_SLOTS]; /* ids sent, not answered */
};

/* As ring_front_init(), with netif_tx_layout(). */
int netif_front_tx_init(struct netif_front_tx *tx, void *pages, size_t pages_size, uint32_t start);

/* Writes one packet: `count` pieces, named by as many ids. The back end sees it after ring_front_publish(). With
 * meta->multicast there are no pieces, but one id all the same.
 * Returns 0; -ENOSPC when it does not fit now; -EINVAL for a packet that no ring can carry, or an id in use. */
int netif_front_tx_send(struct netif_front_tx *tx, const struct netif_piece *pieces, const uint16_t *ids,
                        uint32_t count, const struct netif_meta *meta);

/* Reads the next answer that frees an id. Returns 1; 0 when there is none; -EPROTO. */
int netif_front_tx_collect(struct netif_front_tx *tx, uint16_t *ret_id, enum netif_status *ret_status);

/* ---- Receive. ---------------------------------------------------------------------------------------------------- */

/* One packet that came. Every buffer it took is named once, used or not: post each again. */
struct netif_received {
    struct netif_meta meta;
    uint32_t length; /* bytes, the pieces' sum */
    bool failed;     /* the back end could not fill some buffer: there is no packet */
    uint32_t piece_count, spare_count;
    struct {
        uint16_t id;
        uint16_t offset;
        uint16_t length;
    } pieces[NETIF_FRONT_PIECES_MAX];
    uint16_t spare[NETIF_EXTRAS_MAX]; /* ids whose slot brought an extra */
};

/* Embedded by its user. `ring` is for publishing and rearming; the other fields are private. */
struct netif_front_rx {
    struct ring_front ring;
    uint16_t posted[NETIF_RING_SLOTS]; /* ids, by place on the ring */
};

/* As ring_front_init(), with netif_rx_layout(). */
int netif_front_rx_init(struct netif_front_rx *rx, void *pages, size_t pages_size, uint32_t start);

/* Offers one page to be filled. The back end sees it after ring_front_publish(). Returns 0, or -ENOSPC. */
int netif_front_rx_post(struct netif_front_rx *rx, uint16_t id, uint32_t gref);

/* Reads the next packet. Returns 1; 0 when there is none; -EPROTO. */
int netif_front_rx_collect(struct netif_front_rx *rx, struct netif_received *ret_received);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The back end's side of a receive ring: packets are laid over the pages that a guest has posted.
 *
 * One cycle:   fill -> lay each packet -> copy its pieces by grant -> finish each, in the order they were laid ->
 *              ring_back_publish(&rx->ring) -> notify if told to;   when a packet finds no room: netif_rx_rearm() for what it
 *              needs, and fill again if told to.
 *
 * A guest that posts too few pages keeps its packets waiting, and nobody else's: the owner bounds that queue, and judges
 * from netif_rx_need() and netif_rx_room() whether the guest has stalled. What is published ends with a packet.
 */
#ifndef RING_NETIF_RX_H
#define RING_NETIF_RX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ring/back.h>
#include <ring/netif.h>

/* Embedded by its user. `ring` is for publishing, undraining and looking at; the other fields are private. */
struct netif_rx {
    struct ring_back ring;
    uint32_t posted, laid, finished; /* slots, free-running */
    struct {
        uint32_t gref;
        uint16_t id;
        uint16_t index; /* of struct ring_request */
    } slots[NETIF_RING_SLOTS];
};

/* A packet on its way: copy `length` bytes to the pieces, in their order. */
struct netif_lay {
    uint32_t first; /* private: its place on the ring, and how many it takes */
    uint32_t slots;
    uint32_t failed; /* bit n: piece n could not be copied; set by the owner, the guest then drops the packet */
    struct netif_meta meta;
    uint32_t piece_count;
    struct netif_piece pieces[NETIF_RX_PIECES_MAX];
};

/* As ring_back_attach(), with netif_rx_layout(). */
int netif_rx_attach(struct netif_rx *rx, void *pages, size_t pages_size, void *journal, size_t journal_size,
                    uint64_t generation);

/* As ring_back_recover_in_order(). Pages that were taken and not published are there again, in their order, and nothing
 * is laid over them: packets that were on their way are lost. */
int netif_rx_recover(struct netif_rx *rx, void *pages, size_t pages_size, void *journal, size_t journal_size,
                     uint64_t generation, bool crashed);

/* Takes the pages that the guest has posted since. Returns how many; -EPROTO when the producer is impossible (the ring
 * is then unusable: disconnect). */
int netif_rx_fill(struct netif_rx *rx);

/* Slots that a packet needs, 1 and more, and that there are. */
uint32_t netif_rx_need(uint32_t length, const struct netif_meta *meta);
uint32_t netif_rx_room(const struct netif_rx *rx);

/* Asks the guest for an event when `need` slots are there. Returns true when enough came in meanwhile: fill again. */
bool netif_rx_rearm(struct netif_rx *rx, uint32_t need);

/* Lays a packet of `length` bytes over the next slots; meta->multicast is of no concern here. Returns 0; -ENOBUFS when
 * there is no room now; -EMSGSIZE for a packet that no front end accepts: empty, or above NETIF_RX_LENGTH_MAX. */
int netif_rx_lay(struct netif_rx *rx, uint32_t length, const struct netif_meta *meta, struct netif_lay *ret_lay);

/* Answers the slots of a packet. Aborts when another one was laid before it and not finished: that is the caller's
 * mistake, never the peer's. */
void netif_rx_finish(struct netif_rx *rx, const struct netif_lay *lay);

/* Marks the journal as drained, as ring_back_drain(): pages that wait for packets go back to the ring, where the next
 * process finds them; after ring_back_undrain(&rx->ring), this one. Returns 0, or -EBUSY while a packet is not finished
 * or not published. */
int netif_rx_drain(struct netif_rx *rx);

#endif

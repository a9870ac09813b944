/* SPDX-License-Identifier: MIT */
/*
 * Packets over the slots of a receive ring.
 *
 *   first slot [extra [extra]] [further slot ...]
 *
 * Each slot is a page that the guest has posted and is filled from its beginning. An extra takes the place of a slot's
 * answer, so it takes a page too, which stays as it is. A front end knows by the place on the ring which request an
 * answer belongs to: so slots are answered in the order they came, one after the other, none is passed over.
 *
 * `slots` is a queue by free-running counters: posted >= laid >= finished, and never more between the ends than the
 * ring holds. What was read of a slot stays in private memory, so the guest's changes to the ring come too late.
 */
#include <errno.h>
#include <stdlib.h>

#include <ring/netif_rx.h>

static void forget(struct netif_rx *rx)
{
    rx->posted = 0;
    rx->laid = 0;
    rx->finished = 0;
}

int netif_rx_attach(struct netif_rx *rx, void *pages, size_t pages_size, void *journal, size_t journal_size,
                    uint64_t generation)
{
    const struct ring_layout layout = netif_rx_layout();
    forget(rx);
    return ring_back_attach(&rx->ring, pages, pages_size, &layout, journal, journal_size, generation);
}

static void enqueue(struct netif_rx *rx, const struct ring_request *request)
{
    struct netif_rx_request_slot slot;
    const uint32_t place = rx->posted++ % NETIF_RING_SLOTS;
    netif_rx_request_decode(request->bytes, &slot);
    rx->slots[place].gref = slot.gref;
    rx->slots[place].id = slot.id;
    rx->slots[place].index = (uint16_t)request->index;
}

int netif_rx_recover(struct netif_rx *rx, void *pages, size_t pages_size, void *journal, size_t journal_size,
                     uint64_t generation, bool crashed)
{
    const struct ring_layout layout = netif_rx_layout();
    forget(rx);
    int rc =
        ring_back_recover_in_order(&rx->ring, pages, pages_size, &layout, journal, journal_size, generation, crashed);
    if (rc < 0)
        return rc;

    struct ring_request request;
    while (ring_back_replay(&rx->ring, false, &request) == 1)
        enqueue(rx, &request);
    return 0;
}

int netif_rx_fill(struct netif_rx *rx)
{
    struct ring_request request;
    int rc, count = 0;
    while ((rc = ring_back_consume(&rx->ring, &request)) == 1) {
        enqueue(rx, &request);
        count++;
    }
    return rc < 0 ? rc : count;
}

static uint32_t pieces_of(uint32_t length)
{
    return length / RING_PAGE_SIZE + (length % RING_PAGE_SIZE > 0);
}

uint32_t netif_rx_need(uint32_t length, const struct netif_meta *meta)
{
    return pieces_of(length) + (meta->gso != NETIF_GSO_NONE) + meta->hashed;
}

uint32_t netif_rx_room(const struct netif_rx *rx)
{
    return rx->posted - rx->laid;
}

bool netif_rx_rearm(struct netif_rx *rx, uint32_t need)
{
    const uint32_t room = netif_rx_room(rx);
    return ring_back_rearm_for(&rx->ring, need > room ? need - room : 1);
}

int netif_rx_lay(struct netif_rx *rx, uint32_t length, const struct netif_meta *meta, struct netif_lay *ret_lay)
{
    if (length == 0 || length > NETIF_RX_LENGTH_MAX)
        return -EMSGSIZE;
    const uint32_t need = netif_rx_need(length, meta), count = pieces_of(length);
    if (need > netif_rx_room(rx))
        return -ENOBUFS;

    ret_lay->first = rx->laid;
    ret_lay->slots = need;
    ret_lay->failed = 0;
    ret_lay->meta = *meta;
    ret_lay->piece_count = count;
    uint32_t slot = rx->laid;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t part = length < RING_PAGE_SIZE ? length : RING_PAGE_SIZE;
        ret_lay->pieces[i] =
            (struct netif_piece){.gref = rx->slots[slot % NETIF_RING_SLOTS].gref, .length = (uint16_t)part};
        length -= part;
        slot += i == 0 ? 1 + need - count : 1; /* the extras stand behind the first */
    }
    rx->laid += need;
    return 0;
}

static void answer_piece(struct netif_rx *rx, const struct netif_lay *lay, uint32_t piece)
{
    const uint32_t place = rx->finished++ % NETIF_RING_SLOTS;
    unsigned flags = piece + 1 < lay->piece_count ? NETIF_RX_MORE_DATA : 0;
    if (piece == 0)
        flags |= (lay->meta.csum_blank ? NETIF_RX_CSUM_BLANK : 0u) |
                 (lay->meta.data_validated ? NETIF_RX_DATA_VALIDATED : 0u) |
                 (lay->slots > lay->piece_count ? NETIF_RX_EXTRA_INFO : 0u);

    const struct netif_rx_response_slot response = {
        .id = rx->slots[place].id,
        .flags = (uint16_t)flags,
        .status = lay->failed >> piece & 1 ? (int16_t)NETIF_STATUS_ERROR : (int16_t)lay->pieces[piece].length,
    };
    uint8_t bytes[RING_RESPONSE_MAX];
    netif_rx_response_encode(&response, bytes);
    ring_back_respond(&rx->ring, rx->slots[place].index, bytes);
}

static void answer_extra(struct netif_rx *rx, const struct netif_extra_slot *extra)
{
    uint8_t bytes[RING_RESPONSE_MAX];
    netif_extra_encode(extra, bytes);
    ring_back_respond(&rx->ring, rx->slots[rx->finished++ % NETIF_RING_SLOTS].index, bytes);
}

void netif_rx_finish(struct netif_rx *rx, const struct netif_lay *lay)
{
    const struct netif_meta *meta = &lay->meta;
    if (lay->first != rx->finished || lay->slots > rx->laid - rx->finished)
        abort();

    answer_piece(rx, lay, 0);
    if (meta->gso != NETIF_GSO_NONE)
        answer_extra(rx, &(struct netif_extra_slot){
                             .type = NETIF_EXTRA_GSO,
                             .flags = meta->hashed ? NETIF_EXTRA_MORE : 0,
                             .gso = {.size = meta->gso_size, .type = (uint8_t)meta->gso},
                         });
    if (meta->hashed)
        answer_extra(
            rx, &(struct netif_extra_slot){
                    .type = NETIF_EXTRA_HASH,
                    .hash = {.type = (uint8_t)meta->hash_type, .algorithm = NETIF_HASH_TOEPLITZ, .value = meta->hash},
                });
    for (uint32_t piece = 1; piece < lay->piece_count; piece++)
        answer_piece(rx, lay, piece);
}

int netif_rx_drain(struct netif_rx *rx)
{
    if (rx->laid != rx->finished || rx->ring.done_count > 0)
        return -EBUSY;
    while (rx->posted != rx->laid)
        ring_back_unconsume(&rx->ring, rx->slots[--rx->posted % NETIF_RING_SLOTS].index);
    return ring_back_drain(&rx->ring);
}

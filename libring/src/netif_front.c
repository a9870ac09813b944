/* SPDX-License-Identifier: MIT */
/*
 * The front end's side of a network device.
 *
 * Transmit: answers may come in any order, each slot with an id frees it, each extra is answered with NULL.
 *
 * Receive: an answer belongs to the request whose place on the ring it takes, since one that is an extra has no id. So
 * the ids are remembered by place. A packet becomes visible as a whole; one that ends before its end is a broken back
 * end, as it is for Linux.
 */
#include <errno.h>
#include <string.h>

#include <ring/netif_front.h>

/* The extras that `meta` calls for, in the order Linux sends them. Returns how many. */
static uint32_t extras_of(const struct netif_meta *meta, struct netif_extra_slot ret_extras[NETIF_EXTRAS_MAX])
{
    uint32_t count = 0;
    if (meta->gso != NETIF_GSO_NONE)
        ret_extras[count++] = (struct netif_extra_slot){.type = NETIF_EXTRA_GSO,
                                                        .gso = {.size = meta->gso_size, .type = (uint8_t)meta->gso}};
    if (meta->multicast != NETIF_MULTICAST_NONE) {
        ret_extras[count] = (struct netif_extra_slot){
            .type = meta->multicast == NETIF_MULTICAST_ADD ? NETIF_EXTRA_MULTICAST_ADD : NETIF_EXTRA_MULTICAST_DEL};
        memcpy(ret_extras[count++].address, meta->address, sizeof meta->address);
    }
    if (meta->hashed)
        ret_extras[count++] = (struct netif_extra_slot){
            .type = NETIF_EXTRA_HASH,
            .hash = {.type = (uint8_t)meta->hash_type, .algorithm = NETIF_HASH_TOEPLITZ, .value = meta->hash}};
    for (uint32_t i = 0; i + 1 < count; i++)
        ret_extras[i].flags = NETIF_EXTRA_MORE;
    return count;
}

/* ---- Transmit. --------------------------------------------------------------------------------------------------- */

int netif_front_tx_init(struct netif_front_tx *tx, void *pages, size_t pages_size, uint32_t start)
{
    const struct ring_layout layout = netif_tx_layout();
    tx->extras = 0;
    memset(tx->busy, 0, sizeof tx->busy);
    return ring_front_init(&tx->ring, pages, pages_size, &layout, start);
}

/* Sets the sum of the pieces. Returns 0, or -EINVAL. */
static int measure(const struct netif_front_tx *tx, const struct netif_piece *pieces, const uint16_t *ids,
                   uint32_t count, uint32_t *ret_length)
{
    uint32_t length = 0;
    for (uint32_t i = 0; i < count; i++) {
        if ((uint32_t)pieces[i].offset + pieces[i].length > RING_PAGE_SIZE)
            return -EINVAL;
        if (ids[i] >= NETIF_RING_SLOTS || tx->busy[ids[i]])
            return -EINVAL;
        for (uint32_t j = 0; j < i; j++)
            if (ids[j] == ids[i])
                return -EINVAL;
        length += pieces[i].length;
    }
    if (length > NETIF_LENGTH_MAX)
        return -EINVAL;
    *ret_length = length;
    return 0;
}

static void put_request(struct netif_front_tx *tx, const struct netif_tx_request_slot *slot)
{
    uint8_t bytes[RING_REQUEST_MAX];
    netif_tx_request_encode(slot, bytes);
    (void)ring_front_request(&tx->ring, bytes); /* there is room: netif_front_tx_send() looked */
    tx->busy[slot->id] = true;
}

static void put_extra(struct netif_front_tx *tx, const struct netif_extra_slot *extra)
{
    uint8_t bytes[RING_REQUEST_MAX] = {0}; /* longer than an extra */
    netif_extra_encode(extra, bytes);
    (void)ring_front_request(&tx->ring, bytes);
    tx->extras++;
}

int netif_front_tx_send(struct netif_front_tx *tx, const struct netif_piece *pieces, const uint16_t *ids,
                        uint32_t count, const struct netif_meta *meta)
{
    static const struct netif_piece nothing = {0};
    if (meta->multicast != NETIF_MULTICAST_NONE) {
        if (count != 0)
            return -EINVAL;
        pieces = &nothing;
        count = 1;
    }

    uint32_t length;
    if (count == 0 || count > NETIF_RING_SLOTS - NETIF_EXTRAS_MAX)
        return -EINVAL;
    int rc = measure(tx, pieces, ids, count, &length);
    if (rc < 0)
        return rc;
    struct netif_extra_slot extras[NETIF_EXTRAS_MAX];
    const uint32_t extra_count = extras_of(meta, extras);
    if (ring_front_room(&tx->ring) < count + extra_count)
        return -ENOSPC;

    for (uint32_t i = 0; i < count; i++) {
        unsigned flags = i + 1 < count ? NETIF_TX_MORE_DATA : 0;
        if (i == 0)
            flags |= (meta->csum_blank ? NETIF_TX_CSUM_BLANK : 0u) |
                     (meta->data_validated ? NETIF_TX_DATA_VALIDATED : 0u) |
                     (extra_count > 0 ? NETIF_TX_EXTRA_INFO : 0u);
        put_request(tx, &(struct netif_tx_request_slot){
                            .gref = pieces[i].gref,
                            .offset = pieces[i].offset,
                            .flags = (uint16_t)flags,
                            .id = ids[i],
                            .size = i == 0 ? (uint16_t)length : pieces[i].length,
                        });
        for (uint32_t extra = 0; i == 0 && extra < extra_count; extra++)
            put_extra(tx, &extras[extra]);
    }
    return 0;
}

int netif_front_tx_collect(struct netif_front_tx *tx, uint16_t *ret_id, enum netif_status *ret_status)
{
    for (;;) {
        uint8_t bytes[RING_RESPONSE_MAX];
        struct netif_tx_response_slot response;
        int rc = ring_front_consume(&tx->ring, bytes);
        if (rc <= 0)
            return rc;

        netif_tx_response_decode(bytes, &response);
        if (response.status == NETIF_STATUS_NULL) {
            if (tx->extras == 0)
                return -EPROTO;
            tx->extras--;
            continue;
        }
        if (response.status > NETIF_STATUS_OKAY || response.id >= NETIF_RING_SLOTS || !tx->busy[response.id])
            return -EPROTO;
        tx->busy[response.id] = false;
        *ret_id = response.id;
        *ret_status = (enum netif_status)response.status;
        return 1;
    }
}

/* ---- Receive. ---------------------------------------------------------------------------------------------------- */

int netif_front_rx_init(struct netif_front_rx *rx, void *pages, size_t pages_size, uint32_t start)
{
    const struct ring_layout layout = netif_rx_layout();
    memset(rx->posted, 0, sizeof rx->posted);
    return ring_front_init(&rx->ring, pages, pages_size, &layout, start);
}

int netif_front_rx_post(struct netif_front_rx *rx, uint16_t id, uint32_t gref)
{
    uint8_t bytes[RING_REQUEST_MAX];
    const uint32_t place = rx->ring.req_prod % NETIF_RING_SLOTS;
    netif_rx_request_encode(&(struct netif_rx_request_slot){.id = id, .gref = gref}, bytes);
    int rc = ring_front_request(&rx->ring, bytes);
    if (rc == 0)
        rx->posted[place] = id;
    return rc;
}

/* Reads one response and the id of the request it answers. Returns 1; 0; -EPROTO. */
static int take_response(struct netif_front_rx *rx, uint8_t bytes[RING_RESPONSE_MAX], uint16_t *ret_posted)
{
    *ret_posted = rx->posted[rx->ring.rsp_cons % NETIF_RING_SLOTS];
    return ring_front_consume(&rx->ring, bytes);
}

static int take_extras(struct netif_front_rx *rx, struct netif_received *received)
{
    struct netif_extra_slot extra;
    do {
        uint8_t bytes[RING_RESPONSE_MAX];
        uint16_t posted;
        if (received->spare_count == NETIF_EXTRAS_MAX || take_response(rx, bytes, &posted) != 1)
            return -EPROTO;
        received->spare[received->spare_count++] = posted;

        netif_extra_decode(bytes, &extra);
        switch (extra.type) {
        case NETIF_EXTRA_GSO:
            if (extra.gso.size == 0 || (extra.gso.type != NETIF_GSO_TCPV4 && extra.gso.type != NETIF_GSO_TCPV6))
                return -EPROTO;
            received->meta.gso = extra.gso.type;
            received->meta.gso_size = extra.gso.size;
            break;
        case NETIF_EXTRA_HASH:
            if (extra.hash.type > NETIF_HASH_TYPE_LAST || extra.hash.algorithm != NETIF_HASH_TOEPLITZ)
                return -EPROTO;
            received->meta.hashed = true;
            received->meta.hash_type = extra.hash.type;
            received->meta.hash = extra.hash.value;
            break;
        default:
            return -EPROTO;
        }
    } while (extra.flags & NETIF_EXTRA_MORE);
    return 0;
}

/* One slot with data. Returns 0, or -EPROTO. */
static int add_piece(struct netif_received *received, const struct netif_rx_response_slot *response, uint16_t posted)
{
    if (response->id != posted || received->piece_count == NETIF_FRONT_PIECES_MAX)
        return -EPROTO;
    const uint32_t length = response->status > 0 ? (uint32_t)response->status : 0;
    if (response->offset + length > RING_PAGE_SIZE)
        return -EPROTO;

    received->failed = received->failed || response->status < 0;
    received->length += length;
    received->pieces[received->piece_count].id = posted;
    received->pieces[received->piece_count].offset = response->offset;
    received->pieces[received->piece_count].length = (uint16_t)length;
    received->piece_count++;
    return 0;
}

int netif_front_rx_collect(struct netif_front_rx *rx, struct netif_received *ret_received)
{
    struct netif_received received = {.length = 0};
    struct netif_rx_response_slot response;
    uint8_t bytes[RING_RESPONSE_MAX];
    uint16_t posted;
    int rc = take_response(rx, bytes, &posted);
    if (rc <= 0)
        return rc;

    netif_rx_response_decode(bytes, &response);
    received.meta.csum_blank = response.flags & NETIF_RX_CSUM_BLANK;
    received.meta.data_validated = response.flags & NETIF_RX_DATA_VALIDATED;
    rc = add_piece(&received, &response, posted);
    if (rc == 0 && (response.flags & NETIF_RX_EXTRA_INFO))
        rc = take_extras(rx, &received);
    while (rc == 0 && (response.flags & NETIF_RX_MORE_DATA)) {
        if (take_response(rx, bytes, &posted) != 1)
            return -EPROTO;
        netif_rx_response_decode(bytes, &response);
        rc = add_piece(&received, &response, posted);
    }
    if (rc < 0)
        return rc;
    *ret_received = received;
    return 1;
}

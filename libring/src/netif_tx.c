/* SPDX-License-Identifier: MIT */
/*
 * Packets from the slots of a transmit ring.
 *
 *   first slot [extra [extra ...]] [further slot ...]
 *
 * A flag of the first slot says that extras follow, a flag of each extra that another does; a flag of the first and of
 * each further slot says that there is one more. The first slot's size is the whole packet's, so that its own piece is
 * what the others leave. Nothing of this needs to be true. Each slot is read once, into the journal, and judged there.
 *
 * A packet that is wrong in itself is read to its end, answered, and dropped; the next one begins behind it. When its
 * end cannot be told the device must go: guessing would take data for references. The line between the two is where
 * Linux's back end draws it, but for what docs/PROTOCOL.md names, so that a front end that works with that one works
 * here.
 *
 * A guest publishes whole packets. So one that ends before its end is no packet that is still being written, and
 * nobody waits for the rest.
 *
 * Slots are answered in the order they came. `slots` remembers them between, a queue by free-running counters: no more
 * are taken than the ring holds. A process that is killed leaves whole packets published and the rest in the journal
 * (recovery in order, see journal.h): its successor takes slots from there first. One that was killed within a packet
 * leaves its beginning there and its end on the ring, where they are put together again.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ring/netif_tx.h>

static const char *const fault_names[] = {
    [NETIF_FAULT_NONE] = "none",       [NETIF_FAULT_PRODUCER] = "producer",   [NETIF_FAULT_CUT_SHORT] = "cut-short",
    [NETIF_FAULT_ENDLESS] = "endless", [NETIF_FAULT_PAGE] = "page",           [NETIF_FAULT_EXTRA] = "extra",
    [NETIF_FAULT_GSO] = "gso",         [NETIF_FAULT_SLOTS] = "slots",         [NETIF_FAULT_SIZE] = "size",
    [NETIF_FAULT_RUNT] = "runt",       [NETIF_FAULT_MULTICAST] = "multicast", [NETIF_FAULT_GRANT] = "grant",
    [NETIF_FAULT_CRASH] = "crash",
};
static_assert(sizeof fault_names / sizeof fault_names[0] == NETIF_FAULTS, "a name for each fault");

const char *netif_fault_name(enum netif_fault fault)
{
    return fault_names[fault];
}

bool netif_fault_fatal(enum netif_fault fault)
{
    return fault >= NETIF_FAULT_PRODUCER && fault <= NETIF_FAULT_GSO;
}

enum netif_fault netif_tx_fatal(const struct netif_tx *tx)
{
    return tx->fatal;
}

static void forget(struct netif_tx *tx)
{
    tx->fatal = NETIF_FAULT_NONE;
    tx->taken = 0;
    tx->answered = 0;
    tx->packets = 0;
}

int netif_tx_attach(struct netif_tx *tx, void *pages, size_t pages_size, void *journal, size_t journal_size,
                    uint64_t generation)
{
    const struct ring_layout layout = netif_tx_layout();
    forget(tx);
    return ring_back_attach(&tx->ring, pages, pages_size, &layout, journal, journal_size, generation);
}

int netif_tx_recover(struct netif_tx *tx, void *pages, size_t pages_size, void *journal, size_t journal_size,
                     uint64_t generation, bool crashed)
{
    const struct ring_layout layout = netif_tx_layout();
    forget(tx);
    return ring_back_recover_in_order(&tx->ring, pages, pages_size, &layout, journal, journal_size, generation,
                                      crashed);
}

/* ---- Taking. ----------------------------------------------------------------------------------------------------- */

/* Takes one slot, its bytes in private memory. Returns NETIF_FAULT_NONE; NETIF_FAULT_CUT_SHORT when there is none;
 * NETIF_FAULT_PRODUCER. */
static enum netif_fault take_slot(struct netif_tx *tx, struct netif_packet *packet, const void **ret_bytes)
{
    struct ring_request request;
    int rc = ring_back_replay(&tx->ring, false, &request);
    if (rc == 0)
        rc = ring_back_consume(&tx->ring, &request);
    if (rc < 0)
        return NETIF_FAULT_PRODUCER;
    if (rc == 0)
        return NETIF_FAULT_CUT_SHORT;

    tx->slots[tx->taken % NETIF_RING_SLOTS].index = (uint16_t)request.index;
    tx->slots[tx->taken % NETIF_RING_SLOTS].last = false;
    tx->taken++;
    packet->slots++;
    if (request.crashes > packet->crashes)
        packet->crashes = request.crashes;
    *ret_bytes = request.bytes;
    return NETIF_FAULT_NONE;
}

static enum netif_fault take_request(struct netif_tx *tx, struct netif_packet *packet,
                                     struct netif_tx_request_slot *ret_slot)
{
    const void *bytes;
    enum netif_fault fault = take_slot(tx, packet, &bytes);
    if (fault != NETIF_FAULT_NONE)
        return fault;

    netif_tx_request_decode(bytes, ret_slot);
    tx->slots[(tx->taken - 1) % NETIF_RING_SLOTS].id = ret_slot->id;
    tx->slots[(tx->taken - 1) % NETIF_RING_SLOTS].extra = false;
    return NETIF_FAULT_NONE;
}

/* What an extra says goes into `meta`; an algorithm or type of hash that we do not know is no hash, and segments of an
 * unknown kind, or of nothing, are none as yet. */
static void heed_extra(const struct netif_extra_slot *extra, struct netif_meta *meta)
{
    switch (extra->type) {
    case NETIF_EXTRA_GSO:
        if (extra->gso.size == 0 || (extra->gso.type != NETIF_GSO_TCPV4 && extra->gso.type != NETIF_GSO_TCPV6))
            break;
        meta->gso = extra->gso.type;
        meta->gso_size = extra->gso.size;
        break;
    case NETIF_EXTRA_HASH:
        meta->hashed = extra->hash.algorithm == NETIF_HASH_TOEPLITZ && extra->hash.type <= NETIF_HASH_TYPE_LAST;
        if (meta->hashed) {
            meta->hash_type = extra->hash.type;
            meta->hash = extra->hash.value;
        }
        break;
    case NETIF_EXTRA_XDP:
        break;
    default:
        meta->multicast = extra->type == NETIF_EXTRA_MULTICAST_ADD ? NETIF_MULTICAST_ADD : NETIF_MULTICAST_DEL;
        memcpy(meta->address, extra->address, sizeof meta->address);
    }
}

/* Takes all extras and sets `ret_seen`, a bit for each type. */
static enum netif_fault take_extras(struct netif_tx *tx, struct netif_packet *packet, unsigned *ret_seen)
{
    struct netif_extra_slot extra;
    unsigned seen = 0;
    do {
        const void *bytes;
        enum netif_fault fault = take_slot(tx, packet, &bytes);
        if (fault != NETIF_FAULT_NONE)
            return fault;
        tx->slots[(tx->taken - 1) % NETIF_RING_SLOTS].id = 0;
        tx->slots[(tx->taken - 1) % NETIF_RING_SLOTS].extra = true;

        netif_extra_decode(bytes, &extra);
        if (extra.type == 0 || extra.type > NETIF_EXTRAS_MAX || (seen >> extra.type & 1) != 0)
            return NETIF_FAULT_EXTRA;
        seen |= 1u << extra.type;
        heed_extra(&extra, &packet->meta);
    } while (extra.flags & NETIF_EXTRA_MORE);
    *ret_seen = seen;
    return NETIF_FAULT_NONE;
}

static void add_piece(struct netif_packet *packet, const struct netif_tx_request_slot *slot, uint32_t length)
{
    if (length > 0) /* an empty piece's grant is never touched */
        packet->pieces[packet->piece_count++] =
            (struct netif_piece){.gref = slot->gref, .offset = slot->offset, .length = (uint16_t)length};
}

/* Takes the further slots, and gives the first what they leave of the packet. */
static enum netif_fault take_pieces(struct netif_tx *tx, struct netif_packet *packet,
                                    const struct netif_tx_request_slot *first)
{
    struct netif_tx_request_slot slots[NETIF_TX_MORE_MAX], slot = *first;
    enum netif_fault drop = NETIF_FAULT_NONE;
    uint32_t left = first->size, count = 0;

    for (; slot.flags & NETIF_TX_MORE_DATA; count++) {
        if (count == NETIF_TX_MORE_FATAL)
            return NETIF_FAULT_ENDLESS;
        enum netif_fault fault = take_request(tx, packet, &slot);
        if (fault != NETIF_FAULT_NONE)
            return fault;
        if ((uint32_t)slot.offset + slot.size > RING_PAGE_SIZE)
            return NETIF_FAULT_PAGE;

        if (drop == NETIF_FAULT_NONE && count >= NETIF_TX_MORE_MAX)
            drop = NETIF_FAULT_SLOTS;
        if (drop == NETIF_FAULT_NONE && slot.size > left)
            drop = NETIF_FAULT_SIZE;
        if (drop == NETIF_FAULT_NONE) {
            left -= slot.size;
            slots[count] = slot;
        }
    }
    const bool leaves = first->offset + left > RING_PAGE_SIZE;
    if (drop == NETIF_FAULT_NONE && (first->size < NETIF_LENGTH_MIN || (left < NETIF_LENGTH_MIN && leaves)))
        drop = NETIF_FAULT_RUNT;
    if (drop != NETIF_FAULT_NONE)
        return drop;
    if (leaves)
        return NETIF_FAULT_PAGE;

    add_piece(packet, first, left);
    for (uint32_t i = 0; i < count; i++)
        add_piece(packet, &slots[i], slots[i].size);
    packet->length = first->size;
    return NETIF_FAULT_NONE;
}

/* Takes what follows the first slot. */
static enum netif_fault take_rest(struct netif_tx *tx, struct netif_packet *packet,
                                  const struct netif_tx_request_slot *first)
{
    enum netif_fault fault = NETIF_FAULT_NONE;
    unsigned seen = 0;
    packet->meta.csum_blank = first->flags & NETIF_TX_CSUM_BLANK;
    packet->meta.data_validated = first->flags & NETIF_TX_DATA_VALIDATED;
    if (first->flags & NETIF_TX_EXTRA_INFO)
        fault = take_extras(tx, packet, &seen);
    if (fault != NETIF_FAULT_NONE)
        return fault;

    if (packet->meta.multicast == NETIF_MULTICAST_NONE) {
        fault = take_pieces(tx, packet, first);
        if (fault == NETIF_FAULT_NONE && (seen >> NETIF_EXTRA_GSO & 1) != 0 && packet->meta.gso == NETIF_GSO_NONE)
            fault = NETIF_FAULT_GSO; /* of a packet that is to be sent: one that is dropped may say what it likes */
        return fault;
    }
    const unsigned both = 1u << NETIF_EXTRA_MULTICAST_ADD | 1u << NETIF_EXTRA_MULTICAST_DEL;
    if (first->flags & NETIF_TX_MORE_DATA) {
        fault = take_pieces(tx, packet, first);
        return netif_fault_fatal(fault) ? fault : NETIF_FAULT_MULTICAST;
    }
    return (seen & both) == both ? NETIF_FAULT_MULTICAST : NETIF_FAULT_NONE;
}

int netif_tx_next(struct netif_tx *tx, struct netif_packet *ret_packet)
{
    if (tx->fatal != NETIF_FAULT_NONE)
        return -EPROTO;

    struct netif_packet packet;
    memset(&packet, 0, offsetof(struct netif_packet, pieces));
    struct netif_tx_request_slot first;
    enum netif_fault fault = take_request(tx, &packet, &first);
    if (fault == NETIF_FAULT_CUT_SHORT)
        return 0;
    if (fault == NETIF_FAULT_NONE)
        fault = take_rest(tx, &packet, &first);
    if (netif_fault_fatal(fault)) {
        tx->fatal = fault;
        return -EPROTO;
    }

    if (fault != NETIF_FAULT_NONE) {
        packet.length = 0;
        packet.piece_count = 0;
        packet.meta = (struct netif_meta){0};
        packet.fault = fault;
    }
    tx->slots[(tx->taken - 1) % NETIF_RING_SLOTS].last = true;
    tx->packets++;
    memcpy(ret_packet, &packet, offsetof(struct netif_packet, pieces) + packet.piece_count * sizeof packet.pieces[0]);
    return 1;
}

void netif_tx_answer(struct netif_tx *tx, enum netif_status status)
{
    if (tx->packets == 0)
        abort();

    bool last;
    do {
        const uint32_t place = tx->answered++ % NETIF_RING_SLOTS;
        const struct netif_tx_response_slot response = {
            .id = tx->slots[place].id,
            .status = (int16_t)(tx->slots[place].extra ? NETIF_STATUS_NULL : status),
        };
        uint8_t bytes[RING_RESPONSE_MAX];
        netif_tx_response_encode(&response, bytes);
        ring_back_respond(&tx->ring, tx->slots[place].index, bytes);
        last = tx->slots[place].last;
    } while (!last);
    tx->packets--;
}

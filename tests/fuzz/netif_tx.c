/* SPDX-License-Identifier: MIT */
/*
 * A transmit ring whose guest writes what it likes: the input is a script of slots, of moves of the indices, and of the
 * back end's calls and deaths between them. Whatever comes out as a packet keeps what is promised of one, and every slot
 * taken is answered once.
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <ring/netif_tx.h>

#include "script.h"

#define START      0xfffffff0u
#define SLOT_SIZE  12u
#define REQ_PROD   0u
#define RSP_PROD   8u
#define GENERATION 1u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(64) uint8_t pages[RING_PAGE_SIZE];
static _Alignas(64) uint8_t journal[9 * RING_PAGE_SIZE];

static void check(const struct netif_packet *packet)
{
    uint32_t length = 0;
    assert(packet->fault < NETIF_FAULTS && !netif_fault_fatal(packet->fault));
    assert(packet->slots >= 1 && packet->slots <= 1 + NETIF_EXTRAS_MAX + NETIF_TX_MORE_FATAL);
    assert(packet->piece_count <= NETIF_TX_PIECES_MAX);
    for (uint32_t i = 0; i < packet->piece_count; i++) {
        assert(packet->pieces[i].length > 0);
        assert((uint32_t)packet->pieces[i].offset + packet->pieces[i].length <= RING_PAGE_SIZE);
        length += packet->pieces[i].length;
    }
    assert(packet->length == length);
    assert(packet->meta.gso == NETIF_GSO_NONE || packet->meta.gso_size > 0);
    assert(packet->meta.hash_type <= NETIF_HASH_TYPE_LAST);
    if (packet->fault == NETIF_FAULT_NONE && packet->meta.multicast == NETIF_MULTICAST_NONE)
        assert(length >= NETIF_LENGTH_MIN && length <= NETIF_LENGTH_MAX);
    else
        assert(length == 0);
}

struct work {
    struct netif_tx tx;
    uint32_t packets;           /* taken, not answered */
    uint32_t slots, slots_done; /* taken; answered */
    uint32_t published;
};

static void take(struct work *work)
{
    struct netif_packet packet;
    int rc = netif_tx_next(&work->tx, &packet);
    assert(rc == 0 || rc == 1 || rc == -EPROTO);
    assert((rc == -EPROTO) == netif_fault_fatal(netif_tx_fatal(&work->tx)));
    if (rc == 1) {
        check(&packet);
        work->packets++;
        work->slots += packet.slots;
        assert(work->slots - work->published <= NETIF_RING_SLOTS);
    }
}

static void answer(struct work *work, uint8_t status)
{
    if (work->packets == 0)
        return;
    const uint32_t before = work->tx.ring.done_count;
    netif_tx_answer(&work->tx, status % 3 == 0 ? NETIF_STATUS_OKAY : NETIF_STATUS_ERROR);
    work->packets--;
    work->slots_done += work->tx.ring.done_count - before;
    assert(work->packets > 0 || work->slots_done == work->slots || netif_tx_fatal(&work->tx) != NETIF_FAULT_NONE);
}

/* What was not published comes again, unless the guest has made its ring impossible. */
static bool die(struct work *work, bool crashed)
{
    int rc = netif_tx_recover(&work->tx, pages, sizeof pages, journal, sizeof journal, GENERATION, crashed);
    assert(rc == 0 || rc == -EPROTO);
    work->packets = 0;
    work->slots = work->published;
    work->slots_done = work->published;
    return rc == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct work work;
    struct script script = {data, size};
    memset(&work, 0, sizeof work);
    memset(pages, 0, sizeof pages);
    set_index(pages, REQ_PROD, START);
    set_index(pages, RSP_PROD, START);
    assert(netif_tx_attach(&work.tx, pages, sizeof pages, journal, sizeof journal, GENERATION) == 0);

    uint32_t producer = START; /* where the guest writes next */
    bool alive = true;
    while (script.left > 0 && alive) {
        const uint8_t operation = next(&script);
        switch (operation % 8) {
        case 0 ... 2: /* a slot, and whether it shows */
            for (unsigned i = 0; i < SLOT_SIZE; i++)
                pages[RING_HEADER_SIZE + (producer % NETIF_RING_SLOTS) * SLOT_SIZE + i] = next(&script);
            producer++;
            if (operation & 0x80)
                set_index(pages, REQ_PROD, producer);
            break;
        case 3:
            take(&work);
            break;
        case 4:
            answer(&work, next(&script));
            break;
        case 5:
            ring_back_publish(&work.tx.ring);
            work.published = work.slots_done;
            break;
        case 6: /* an index by a little, or by much */
            set_index(pages, operation & 0x80 ? RSP_PROD : REQ_PROD,
                      get_index(pages, operation & 0x80 ? RSP_PROD : REQ_PROD) +
                          (uint32_t)(int8_t)next(&script) * (operation & 0x40 ? 0x1000001u : 1u));
            break;
        default:
            alive = die(&work, operation & 0x80);
        }
    }
    return 0;
}

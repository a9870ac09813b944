/* SPDX-License-Identifier: MIT */
/*
 * A receive ring whose guest writes what it likes, and the back end's calls and deaths between: whatever is laid stays
 * within the pages that were posted, is answered in the place of its request, and ends with a whole packet.
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <ring/netif_rx.h>

#include "script.h"

#define START      0xfffffff0u
#define SLOT_SIZE  8u
#define REQ_PROD   0u
#define RSP_PROD   8u
#define GENERATION 1u
#define LAYS       8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(64) uint8_t pages[RING_PAGE_SIZE];
static _Alignas(64) uint8_t journal[9 * RING_PAGE_SIZE];

struct work {
    struct netif_rx rx;
    struct netif_lay lays[LAYS]; /* a queue */
    uint32_t laid, finished;
};

static void lay(struct work *work, struct script *script)
{
    const uint8_t kind = next(script);
    const uint32_t length = (uint32_t)next(script) << 9 | next(script);
    const struct netif_meta meta = {
        .csum_blank = kind & 1,
        .data_validated = kind & 2,
        .gso = kind & 4 ? NETIF_GSO_TCPV4 : NETIF_GSO_NONE,
        .gso_size = 1448,
        .hashed = kind & 8,
    };
    if (work->laid - work->finished == LAYS)
        return;
    struct netif_lay *lay = &work->lays[work->laid % LAYS];
    const uint32_t room = netif_rx_room(&work->rx), need = netif_rx_need(length, &meta);
    const int rc = netif_rx_lay(&work->rx, length, &meta, lay);
    if (rc < 0) {
        assert(rc == -EMSGSIZE ? length == 0 || length > NETIF_RX_LENGTH_MAX : rc == -ENOBUFS && need > room);
        assert(netif_rx_room(&work->rx) == room);
        return;
    }
    uint32_t sum = 0;
    assert(need <= room && lay->slots == need && netif_rx_room(&work->rx) == room - need);
    for (uint32_t i = 0; i < lay->piece_count; i++) {
        assert(lay->pieces[i].offset == 0 && lay->pieces[i].length > 0 && lay->pieces[i].length <= RING_PAGE_SIZE);
        sum += lay->pieces[i].length;
    }
    assert(sum == length && length <= NETIF_RX_LENGTH_MAX);
    lay->failed = next(script);
    work->laid++;
}

static bool die(struct work *work, bool crashed)
{
    const uint32_t lost = work->rx.posted - work->rx.finished + work->rx.ring.done_count;
    int rc = netif_rx_recover(&work->rx, pages, sizeof pages, journal, sizeof journal, GENERATION, crashed);
    assert(rc == 0 || rc == -EPROTO);
    assert(rc < 0 || netif_rx_room(&work->rx) == lost);
    work->laid = 0;
    work->finished = 0;
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
    assert(netif_rx_attach(&work.rx, pages, sizeof pages, journal, sizeof journal, GENERATION) == 0);

    bool alive = true;
    while (script.left > 0 && alive) {
        const uint8_t operation = next(&script);
        switch (operation % 8) {
        case 0: /* bytes of the slots */
            for (unsigned place = next(&script) * SLOT_SIZE, i = 0; i < SLOT_SIZE; i++)
                pages[RING_HEADER_SIZE + place + i] = next(&script);
            break;
        case 1: /* some more are posted */
            set_index(pages, REQ_PROD, get_index(pages, REQ_PROD) + (operation >> 3));
            break;
        case 2: {
            int rc = netif_rx_fill(&work.rx);
            assert((rc >= 0 && rc <= (int)NETIF_RING_SLOTS) || rc == -EPROTO);
            assert(netif_rx_room(&work.rx) <= NETIF_RING_SLOTS);
            break;
        }
        case 3:
            lay(&work, &script);
            break;
        case 4:
            if (work.finished != work.laid)
                netif_rx_finish(&work.rx, &work.lays[work.finished++ % LAYS]);
            break;
        case 5:
            ring_back_publish(&work.rx.ring);
            netif_rx_rearm(&work.rx, 1 + (operation >> 3));
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

/* SPDX-License-Identifier: MIT */
/*
 * The front ends of our own guests, before a back end that answers what it likes: the first byte chooses the direction
 * and how much is asked, the second how much is answered, the rest is the ring's slots. No id comes back twice, and what
 * is received stays within its pages.
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <ring/netif_front.h>

#define START    0xfffffff0u
#define RSP_PROD 8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(64) uint8_t pages[RING_PAGE_SIZE];

/* The back end's answers: bytes from the ring's first slot in use on, and an index. */
static void answer(const uint8_t *data, size_t size, uint32_t slot_size, uint32_t count)
{
    const uint32_t producer = START + count;
    for (size_t i = 0; i < size && i < NETIF_RING_SLOTS * (size_t)slot_size; i++)
        pages[RING_HEADER_SIZE + (START % NETIF_RING_SLOTS * slot_size + i) % (NETIF_RING_SLOTS * slot_size)] = data[i];
    memcpy(pages + RSP_PROD, &producer, sizeof producer);
}

static void transmit(const uint8_t *data, size_t size)
{
    static struct netif_front_tx tx;
    bool busy[NETIF_RING_SLOTS] = {false};
    assert(netif_front_tx_init(&tx, pages, sizeof pages, START) == 0);
    for (uint16_t id = 0; id < data[0] >> 1; id++) {
        const struct netif_meta meta = {.gso = id % 3, .gso_size = 1, .hashed = id % 5 == 0};
        if (netif_front_tx_send(&tx, &(struct netif_piece){id, 0, 60}, &id, 1, &meta) == 0)
            busy[id] = true;
    }
    ring_front_publish(&tx.ring);
    answer(data + 2, size - 2, 12, data[1]);

    uint16_t id;
    enum netif_status status;
    int rc;
    while ((rc = netif_front_tx_collect(&tx, &id, &status)) == 1) {
        assert(id < NETIF_RING_SLOTS && busy[id] && status <= NETIF_STATUS_OKAY);
        busy[id] = false;
    }
    assert(rc == 0 || rc == -EPROTO);
}

static void receive(const uint8_t *data, size_t size)
{
    static struct netif_front_rx rx;
    struct netif_received received;
    bool busy[NETIF_RING_SLOTS] = {false};
    assert(netif_front_rx_init(&rx, pages, sizeof pages, START) == 0);
    for (uint16_t id = 0; id < data[0] >> 1; id++) {
        assert(netif_front_rx_post(&rx, id, id) == 0);
        busy[id] = true;
    }
    ring_front_publish(&rx.ring);
    answer(data + 2, size - 2, 8, data[1]);

    int rc;
    while ((rc = netif_front_rx_collect(&rx, &received)) == 1) {
        uint32_t length = 0;
        assert(received.piece_count >= 1 && received.piece_count <= NETIF_FRONT_PIECES_MAX);
        assert(received.spare_count <= NETIF_EXTRAS_MAX);
        for (uint32_t i = 0; i < received.piece_count; i++) {
            assert((uint32_t)received.pieces[i].offset + received.pieces[i].length <= RING_PAGE_SIZE);
            assert(busy[received.pieces[i].id]);
            busy[received.pieces[i].id] = false;
            length += received.pieces[i].length;
        }
        for (uint32_t i = 0; i < received.spare_count; i++) {
            assert(busy[received.spare[i]]);
            busy[received.spare[i]] = false;
        }
        assert(received.length == length);
    }
    assert(rc == 0 || rc == -EPROTO);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    if (data[0] & 1)
        receive(data, size);
    else
        transmit(data, size);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* What the tests of the network protocol share: rings with a network front end and back end at their ends. */
#ifndef TESTS_UNIT_RING_NETIF_RIG_H
#define TESTS_UNIT_RING_NETIF_RIG_H

#include "rig.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ring/netif_front.h>
#include <ring/netif_rx.h>
#include <ring/netif_tx.h>

/* Pages and journal of one ring, between guard pages. */
struct netif_rig {
    uint8_t *pages;
    uint8_t *journal;
    size_t journal_size;
};

static inline void netif_rig_map(struct netif_rig *rig, struct ring_layout layout)
{
    rig->pages = rig_map(RING_PAGE_SIZE);
    rig->journal_size = ring_journal_size(&layout);
    rig->journal = rig_map(rig->journal_size);
}

static inline void netif_rig_unmap(struct netif_rig *rig)
{
    rig_unmap(rig->pages, RING_PAGE_SIZE);
    rig_unmap(rig->journal, rig->journal_size);
}

struct tx_rig {
    struct netif_rig memory;
    struct netif_front_tx front;
    struct netif_tx back;
    uint16_t next_id; /* of the slots written by hand */
};

static inline void tx_rig_init(struct tx_rig *rig, uint32_t start)
{
    rig->next_id = 0;
    netif_rig_map(&rig->memory, netif_tx_layout());
    assert_int_equal(netif_front_tx_init(&rig->front, rig->memory.pages, RING_PAGE_SIZE, start), 0);
    assert_int_equal(netif_tx_attach(&rig->back, rig->memory.pages, RING_PAGE_SIZE, rig->memory.journal,
                                     rig->memory.journal_size, RIG_GENERATION),
                     0);
}

static inline void tx_rig_fini(struct tx_rig *rig)
{
    netif_rig_unmap(&rig->memory);
}

struct rx_rig {
    struct netif_rig memory;
    struct netif_front_rx front;
    struct netif_rx back;
};

static inline void rx_rig_init(struct rx_rig *rig, uint32_t start)
{
    netif_rig_map(&rig->memory, netif_rx_layout());
    assert_int_equal(netif_front_rx_init(&rig->front, rig->memory.pages, RING_PAGE_SIZE, start), 0);
    assert_int_equal(netif_rx_attach(&rig->back, rig->memory.pages, RING_PAGE_SIZE, rig->memory.journal,
                                     rig->memory.journal_size, RIG_GENERATION),
                     0);
}

static inline void rx_rig_fini(struct rx_rig *rig)
{
    netif_rig_unmap(&rig->memory);
}

/* The bytes of a ring's slot. */
static inline uint8_t *netif_rig_slot(struct netif_rig *rig, uint32_t index, uint32_t slot_size)
{
    return rig->pages + RING_HEADER_SIZE + (size_t)(index % NETIF_RING_SLOTS) * slot_size;
}

static inline bool meta_equal(const struct netif_meta *one, const struct netif_meta *other)
{
    return one->csum_blank == other->csum_blank && one->data_validated == other->data_validated &&
           one->gso == other->gso && (one->gso == NETIF_GSO_NONE || one->gso_size == other->gso_size) &&
           one->hashed == other->hashed &&
           (!one->hashed || (one->hash_type == other->hash_type && one->hash == other->hash)) &&
           one->multicast == other->multicast &&
           (one->multicast == NETIF_MULTICAST_NONE || memcmp(one->address, other->address, sizeof one->address) == 0);
}

/* ---- Writing slots by hand. -------------------------------------------------------------------------------------- */

static inline void tx_rig_put(struct tx_rig *rig, uint16_t offset, uint16_t size, unsigned flags)
{
    uint8_t bytes[RING_REQUEST_MAX];
    const uint16_t id = rig->next_id++;
    netif_tx_request_encode(
        &(struct netif_tx_request_slot){
            .gref = 1000u + id, .offset = offset, .flags = (uint16_t)flags, .id = id, .size = size},
        bytes);
    assert_int_equal(ring_front_request(&rig->front.ring, bytes), 0);
}

static inline void tx_rig_put_extra(struct tx_rig *rig, struct netif_extra_slot extra)
{
    uint8_t bytes[RING_REQUEST_MAX] = {0};
    netif_extra_encode(&extra, bytes);
    assert_int_equal(ring_front_request(&rig->front.ring, bytes), 0);
}

static inline void tx_rig_put_gso(struct tx_rig *rig, uint16_t size, uint8_t type, uint8_t flags)
{
    tx_rig_put_extra(rig, (struct netif_extra_slot){NETIF_EXTRA_GSO, flags, .gso = {size, type}});
}

/* Reads `count` answers and demands that they are to the ids from `first`, or to extras where `extras` has a bit. */
static inline void tx_rig_expect_answers(struct tx_rig *rig, uint16_t first, unsigned count, uint32_t extras,
                                         enum netif_status status)
{
    ring_back_publish(&rig->back.ring);
    for (unsigned i = 0; i < count; i++) {
        uint8_t bytes[RING_RESPONSE_MAX];
        struct netif_tx_response_slot response;
        assert_int_equal(ring_front_consume(&rig->front.ring, bytes), 1);
        netif_tx_response_decode(bytes, &response);
        if (extras >> i & 1) {
            assert_int_equal(response.status, NETIF_STATUS_NULL);
        } else {
            assert_int_equal(response.id, first++);
            assert_int_equal(response.status, status);
        }
    }
    uint8_t bytes[RING_RESPONSE_MAX];
    assert_int_equal(ring_front_consume(&rig->front.ring, bytes), 0);
}

/* One plain packet passes. */
static inline void tx_rig_expect_service(struct tx_rig *rig)
{
    struct netif_packet packet;
    const uint16_t id = rig->next_id;
    tx_rig_put(rig, 7, 60, 0);
    ring_front_publish(&rig->front.ring);
    assert_int_equal(netif_tx_next(&rig->back, &packet), 1);
    assert_int_equal(packet.fault, NETIF_FAULT_NONE);
    assert_int_equal(packet.length, 60);
    assert_int_equal(packet.piece_count, 1);
    assert_int_equal(packet.pieces[0].gref, 1000u + id);
    assert_int_equal(packet.pieces[0].offset, 7);
    netif_tx_answer(&rig->back, NETIF_STATUS_OKAY);
    tx_rig_expect_answers(rig, id, 1, 0, NETIF_STATUS_OKAY);
}

/* ---- Processes. ---------------------------------------------------------------------------------------------------- */

/* How a process ends that does this. */
static inline int netif_rig_status_after(void (*what)(void *), void *argument)
{
    signal(SIGABRT, SIG_DFL); /* not cmocka's handler: the child must die of it */
    pid_t child = fork();
    if (child == 0) {
        what(argument);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What a guest may do to the rings themselves: impossible indices, bytes that are nobody's business, events for nothing.
 *
 * Headers and slots are written here directly, as the owner of the pages can: see ring/layout.h and xen/io/ring.h.
 */
#include <stdatomic.h>
#include <string.h>

#include <xendev/event_channel.h>

#include "net_hostile.h"

enum ring_index {
    INDEX_REQ_PROD,
    INDEX_REQ_EVENT,
    INDEX_RSP_PROD,
    INDEX_RSP_EVENT,
};

static void index_write(void *ring, enum ring_index index, uint32_t value)
{
    _Atomic uint32_t *indices = ring;

    atomic_store(&indices[index], value);
}

static uint32_t index_read(void *ring, enum ring_index index)
{
    _Atomic uint32_t *indices = ring;

    return atomic_load(&indices[index]);
}

/* ---- Impossible producers (XSA-39). --------------------------------------------------------------------------------- */

struct bad_producer {
    bool receive;   /* of the receive ring, else of the transmit ring */
    uint32_t by;    /* what it is ahead of the responses */
    bool in_flight; /* with good frames before it */
};

static enum net_hostile_result run_bad_producer(struct net_hostile *hostile, const void *param)
{
    const struct bad_producer *bad = param;
    struct netfront_queue *queue = &hostile->front->queues[0];
    void *ring = bad->receive ? queue->rx_ring : queue->tx_ring;

    /* What comes in meanwhile would have us write good indices over the bad one: by pages posted anew, and by answers. */
    hostile->front->config.rx_posted = 0;
    hostile->front->config.deaf = true;
    for (unsigned i = 0; bad->in_flight && i < 64; i++) {
        struct netif_tx_request_slot slot = net_hostile_slot(hostile, i % HOSTILE_PAGES, HOSTILE_LENGTH, 0);
        net_hostile_put(hostile, &slot);
    }
    net_hostile_push(hostile);
    index_write(ring, INDEX_REQ_PROD, index_read(ring, bad->in_flight ? INDEX_REQ_PROD : INDEX_RSP_PROD) + bad->by);
    xendev_channel_notify(bad->receive ? queue->rx_channel : queue->tx_channel);
    return net_hostile_is_closed(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* The response producer is the back end's: what we write there must not mislead it. */
static enum net_hostile_result run_response_producer(struct net_hostile *hostile, const void *param)
{
    struct netfront_queue *queue = &hostile->front->queues[0];

    (void)param;
    for (unsigned i = 0; i < 100; i++) {
        uint32_t right = index_read(queue->tx_ring, INDEX_RSP_PROD);
        struct netif_tx_request_slot slot = net_hostile_slot(hostile, 0, HOSTILE_LENGTH, 0);
        index_write(queue->tx_ring, INDEX_RSP_PROD, right + 0x40000000u * (i % 4) + i);
        net_hostile_put(hostile, &slot);
        index_write(queue->tx_ring, INDEX_RSP_PROD, right);
        net_hostile_push(hostile);
        if (net_hostile_drain(hostile) < 0)
            return HOSTILE_FAILED;
        /* All is answered, what we were asked by others meanwhile, too. */
        const uint32_t sent = index_read(queue->tx_ring, INDEX_REQ_PROD);
        if (index_read(queue->tx_ring, INDEX_RSP_PROD) != sent) {
            net_hostile_see(hostile, "rsp_prod is %u, should be %u", index_read(queue->tx_ring, INDEX_RSP_PROD), sent);
            return HOSTILE_FAILED;
        }
    }
    return net_hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* ---- Poison (XSA-216). ---------------------------------------------------------------------------------------------- */

#define POISON        0xa5
#define SLOT_SIZE     12u
#define SLOT_WRITTEN  4u /* bytes of an answer: id, status; source: xen/io/netif.h */
#define HEADER_EVENTS 16u

static enum net_hostile_result run_poison(struct net_hostile *hostile, const void *param)
{
    struct netfront_queue *queue = &hostile->front->queues[0];
    uint8_t *page = queue->tx_ring;
    static uint8_t before[RING_PAGE_SIZE];

    (void)param;
    hostile->front->config.deaf = true; /* for the rest of this life: answers would take slots of their own */
    memset(page + HEADER_EVENTS, POISON, RING_HEADER_SIZE - HEADER_EVENTS);
    memset(page + RING_HEADER_SIZE, POISON, RING_PAGE_SIZE - RING_HEADER_SIZE);
    for (unsigned i = 0; i < NETIF_RING_SLOTS; i++) {
        size_t at = RING_HEADER_SIZE + SLOT_SIZE * (size_t)(queue->tx.ring.req_prod % NETIF_RING_SLOTS);
        struct netif_tx_request_slot slot = net_hostile_slot(hostile, 0, HOSTILE_LENGTH, 0);
        net_hostile_put(hostile, &slot);
        memcpy(before, page, sizeof before);
        net_hostile_push(hostile);
        if (net_hostile_drain(hostile) < 0)
            return HOSTILE_FAILED;
        memcpy(before + at, page + at, SLOT_WRITTEN);
        if (memcmp(before + HEADER_EVENTS, page + HEADER_EVENTS, sizeof before - HEADER_EVENTS) != 0) {
            net_hostile_see(hostile, "slot %u, or what is beside it, changed", i);
            return HOSTILE_FAILED;
        }
    }
    net_hostile_see(hostile, "%u slots keep every byte but id and status", NETIF_RING_SLOTS);
    return net_hostile_restart(hostile) == 0 && net_hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* ---- Events for nothing (XSA-331, 332). ----------------------------------------------------------------------------- */

static enum net_hostile_result run_event_storm(struct net_hostile *hostile, const void *param)
{
    struct netfront_queue *queue = &hostile->front->queues[0];

    (void)param;
    for (uint64_t i = 0; i < hostile->count; i++) {
        xendev_channel_notify(queue->tx_channel);
        xendev_channel_notify(queue->rx_channel);
    }
    net_hostile_see(hostile, "%llu events for nothing", (unsigned long long)hostile->count * 2);
    return net_hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

#define PRODUCER(...)                              \
    run_bad_producer, &(const struct bad_producer) \
    {                                              \
        __VA_ARGS__                                \
    }

const struct net_hostile_case net_hostile_ring_cases[] = {
    {"tx-producer-past", "transmit: req_prod one more than the ring holds (XSA-39)",
     PRODUCER(.by = NETIF_RING_SLOTS + 1)},
    {"tx-producer-past-live", "the same with frames on their way (XSA-39)",
     PRODUCER(.by = NETIF_RING_SLOTS + 1, .in_flight = true)},
    {"tx-producer-half", "transmit: req_prod 2^31 ahead (XSA-39)", PRODUCER(.by = 0x80000000u)},
    {"tx-producer-half-live", "the same with frames on their way (XSA-39)",
     PRODUCER(.by = 0x80000000u, .in_flight = true)},
    {"tx-producer-behind", "transmit: req_prod taken back by one (XSA-39)", PRODUCER(.by = UINT32_MAX)},
    {"rx-producer-past", "receive: req_prod one more than the ring holds (XSA-39)",
     PRODUCER(.receive = true, .by = NETIF_RING_SLOTS + 1)},
    {"rx-producer-half", "receive: req_prod 2^31 ahead (XSA-39)", PRODUCER(.receive = true, .by = 0x80000000u)},
    {"response-producer", "rsp_prod, the back end's own, written by us", run_response_producer, NULL},
    {"poison", "bytes beside an answer keep what the guest put there (XSA-216)", run_poison, NULL},
    {"event-storm", "events for nothing (XSA-331, 332)", run_event_storm, NULL},
    {0},
};

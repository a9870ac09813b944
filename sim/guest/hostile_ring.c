/* SPDX-License-Identifier: MIT */
/*
 * What a guest may do to the ring itself: impossible indices, bytes that are nobody's business, events for nothing.
 *
 * The ring's header and slots are written here directly, as the owner of the pages can: see ring/layout.h and xen/io/ring.h.
 */
#include <stdatomic.h>
#include <string.h>

#include <xendev/event_channel.h>
#include <xendev/grant.h>

#include "hostile.h"

enum ring_index {
    INDEX_REQ_PROD,
    INDEX_REQ_EVENT,
    INDEX_RSP_PROD,
    INDEX_RSP_EVENT,
};

static void index_write(struct hostile *hostile, enum ring_index index, uint32_t value)
{
    _Atomic uint32_t *indices = hostile->front.queues[0].pages;

    atomic_store(&indices[index], value);
}

static uint32_t index_read(struct hostile *hostile, enum ring_index index)
{
    _Atomic uint32_t *indices = hostile->front.queues[0].pages;

    return atomic_load(&indices[index]);
}

/* ---- Impossible producers (XSA-39). --------------------------------------------------------------------------------- */

struct bad_producer {
    bool by_ring; /* rsp_prod + slots + 1, else rsp_prod + `by` */
    uint32_t by;
    bool in_flight; /* with requests being served */
};

/* Keeps every tag in flight. */
static void send_again(struct hostile *hostile, unsigned tag)
{
    struct blkif_message message = hostile_message(hostile, BLKIF_CODE_READ, tag, tag);

    blkfront_send(&hostile->front, tag, &message);
}

static bool are_many_answered(const void *arg)
{
    const struct hostile *hostile = arg;
    return hostile->answers >= 1000 || hostile->front.device.lost;
}

static enum hostile_result run_bad_producer(struct hostile *hostile, const void *param)
{
    const struct bad_producer *bad = param;
    struct blkfront *front = &hostile->front;
    uint32_t base = index_read(hostile, INDEX_RSP_PROD);

    if (bad->in_flight) {
        for (unsigned tag = 0; tag < HOSTILE_DEPTH; tag++)
            send_again(hostile, tag);
        blkfront_kick(front);
        hostile->again = send_again;
        if (guest_wait(&hostile->guest, are_many_answered, hostile) < 0)
            return HOSTILE_FAILED;
        hostile->again = NULL;
        base = index_read(hostile, INDEX_REQ_PROD);
    }
    index_write(hostile, INDEX_REQ_PROD, base + (bad->by_ring ? front->queues[0].ring.layout.slots + 1 : bad->by));
    xendev_channel_notify(front->queues[0].channel);
    return hostile_is_closed(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* One ring of several is impossible, under load on all: none is served any more. */
static enum hostile_result run_bad_queue(struct hostile *hostile, const void *param)
{
    const struct blkfront_config config = hostile->config;
    struct blkfront *front = &hostile->front;
    bool closed = false;

    (void)param;
    if (front->disk.max_queues < 2) {
        hostile_see(hostile, "several queues are not offered");
        return HOSTILE_SKIPPED;
    }
    hostile->config.queues = 2;
    if (hostile_restart(hostile) == 0 && front->queue_count == 2) {
        for (unsigned tag = 0; tag < HOSTILE_DEPTH; tag++)
            send_again(hostile, tag);
        blkfront_kick(front);
        hostile->again = send_again;
        if (guest_wait(&hostile->guest, are_many_answered, hostile) == 0) {
            hostile->again = NULL;
            _Atomic uint32_t *indices = front->queues[1].pages;
            atomic_store(&indices[INDEX_REQ_PROD], atomic_load(&indices[INDEX_REQ_PROD]) + 0x80000000u);
            xendev_channel_notify(front->queues[1].channel);
            closed = hostile_is_closed(hostile);
        }
        hostile->again = NULL;
    }
    hostile->config = config;
    return hostile_restart(hostile) == 0 && hostile_is_served(hostile) && closed ? HOSTILE_OK : HOSTILE_FAILED;
}

/* The response producer is the back end's: what we write there must not mislead it. */
static enum hostile_result run_response_producer(struct hostile *hostile, const void *param)
{
    struct blkfront *front = &hostile->front;
    uint32_t right = index_read(hostile, INDEX_RSP_PROD);

    (void)param;
    for (unsigned i = 0; i < 100; i++) {
        struct blkif_message message = hostile_message(hostile, BLKIF_CODE_READ, 1, 0);
        index_write(hostile, INDEX_RSP_PROD, right + 0x40000000u * (i % 4) + i);
        blkfront_send(front, 1, &message);
        index_write(hostile, INDEX_RSP_PROD, right);
        blkfront_kick(front);
        if (hostile_drain(hostile) < 0)
            return HOSTILE_FAILED;
        right++;
        if (index_read(hostile, INDEX_RSP_PROD) != right) {
            hostile_see(hostile, "rsp_prod is %u, should be %u", index_read(hostile, INDEX_RSP_PROD), right);
            return HOSTILE_FAILED;
        }
    }
    return hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* ---- Poison (XSA-216). ---------------------------------------------------------------------------------------------- */

#define POISON 0xa5

/* Bytes of a response that a back end writes: id, operation, status; source: xen/io/blkif.h. */
static bool is_written(unsigned byte)
{
    return byte <= 8 || byte == 10 || byte == 11;
}

/* Compares a slot with what it was when its request was sent. */
static bool is_kept(struct hostile *hostile, const uint8_t *slot, const uint8_t *before, unsigned index)
{
    for (unsigned byte = 0; byte < hostile->front.queues[0].ring.layout.slot_size; byte++) {
        if (!is_written(byte) && slot[byte] != before[byte]) {
            hostile_see(hostile, "byte %u of slot %u changed from %02x to %02x", byte, index, before[byte], slot[byte]);
            return false;
        }
    }
    return true;
}

static enum hostile_result run_poison(struct hostile *hostile, const void *param)
{
    const struct ring_layout *layout = &hostile->front.queues[0].ring.layout;
    uint8_t *pages = hostile->front.queues[0].pages;
    size_t size = (size_t)hostile->front.ring_page_count * XENDEV_PAGE_SIZE;
    static uint8_t before[BLKFRONT_RING_PAGES_MAX * XENDEV_PAGE_SIZE];

    (void)param;
    memset(pages + RING_HEADER_SIZE, POISON, size - RING_HEADER_SIZE);
    memset(pages + 16, POISON, RING_HEADER_SIZE - 16);
    for (unsigned i = 0; i < layout->slots; i++) {
        uint32_t slot = hostile->front.queues[0].ring.req_prod & (layout->slots - 1);
        uint8_t *bytes = pages + RING_HEADER_SIZE + (size_t)slot * layout->slot_size;
        struct blkif_message message = hostile_message(hostile, BLKIF_CODE_READ, 1, 0);
        blkfront_send(&hostile->front, 1, &message);
        memcpy(before, pages, size);
        blkfront_kick(&hostile->front);
        if (hostile_drain(hostile) < 0)
            return HOSTILE_FAILED;
        if (!is_kept(hostile, bytes, before + (bytes - pages), slot))
            return HOSTILE_FAILED;
        memcpy(before + (bytes - pages), bytes, layout->slot_size);
        if (memcmp(pages + 16, before + 16, size - 16) != 0) {
            hostile_see(hostile, "bytes outside slot %u changed", slot);
            return HOSTILE_FAILED;
        }
    }
    hostile_see(hostile, "%u slots keep every byte but id, operation and status", layout->slots);
    return hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* ---- Events for nothing (XSA-331, 332). ----------------------------------------------------------------------------- */

static enum hostile_result run_event_storm(struct hostile *hostile, const void *param)
{
    (void)param;
    for (uint64_t i = 0; i < hostile->count; i++)
        xendev_channel_notify(hostile->front.queues[0].channel);
    hostile_see(hostile, "%llu events for nothing", (unsigned long long)hostile->count);
    return hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

#define PRODUCER(...)                              \
    run_bad_producer, &(const struct bad_producer) \
    {                                              \
        __VA_ARGS__                                \
    }

const struct hostile_case hostile_ring_cases[] = {
    {"producer-past-ring", "req_prod one more than the ring holds (XSA-39)", PRODUCER(.by_ring = true)},
    {"producer-past-ring-live", "the same with requests in flight (XSA-39)",
     PRODUCER(.by_ring = true, .in_flight = true)},
    {"producer-half", "req_prod 2^31 ahead (XSA-39)", PRODUCER(.by = 0x80000000u)},
    {"producer-half-live", "the same with requests in flight (XSA-39)", PRODUCER(.by = 0x80000000u, .in_flight = true)},
    {"producer-behind", "req_prod taken back by one (XSA-39)", PRODUCER(.by = UINT32_MAX)},
    {"producer-of-second", "req_prod of the second queue 2^31 ahead, both in use (XSA-39)", run_bad_queue, NULL},
    {"response-producer", "rsp_prod, the back end's own, written by us", run_response_producer, NULL},
    {"poison", "padding keeps what the guest put there (XSA-216)", run_poison, NULL},
    {"event-storm", "events for nothing (XSA-331, 332)", run_event_storm, NULL},
    {0},
};

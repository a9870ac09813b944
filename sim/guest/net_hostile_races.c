/* SPDX-License-Identifier: MIT */
/*
 * Slots that change while they are consumed (XSA-155).
 *
 * A second thread rewrites one field in every slot of a ring, over and over, between a good value and bad ones, while the first sends frames. The back
 * end may take any of the values, refuse the frame, or close the device with a reason; it answers each slot once, and writes to no page of ours that
 * was not posted.
 *
 * The fields' places follow from xen/io/netif.h. Bytes 0..3 of a transmit slot are the reference of a request, and id and status of an answer: rewriting
 * them makes answers say anything, and they are only counted then. A receive slot's reference stands where its answer tells flags and size: what comes
 * is not looked at then.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "net_hostile.h"

#define VALUES    4u
#define RX_POSTED 192u /* the pages behind these are bystanders */
#define GUARD     0xc5
#define FLIPS_MIN 100u /* rewritings of all slots in a round, or the round proves nothing */
#define BATCH     32u
#define TX_SIZE   12u
#define RX_SIZE   8u
#define CTRL_SIZE 16u

enum race_field {
    FIELD_REFERENCE,
    FIELD_OFFSET,
    FIELD_FLAGS,
    FIELD_SIZE,
    FIELD_RX_REFERENCE,
    FIELD_CTRL_DATA,
};

struct race {
    volatile uint8_t *slots;
    _Atomic uint64_t flips;
    enum race_field field;
    unsigned slot_size, slot_count, offset, size;
    uint32_t values[VALUES];
    atomic_bool over;
};

/* The second thread: knows nothing of the first, as no thread of a hostile guest would. */
__attribute__((no_sanitize("thread"))) static void *flip(void *arg)
{
    struct race *race = arg;

    while (!atomic_load_explicit(&race->over, memory_order_relaxed)) {
        uint64_t flips = atomic_fetch_add_explicit(&race->flips, 1, memory_order_relaxed);
        uint32_t value = race->values[flips % VALUES];
        for (unsigned i = 0; i < race->slot_count; i++) {
            volatile uint8_t *at = race->slots + (size_t)i * race->slot_size + race->offset;
            if (race->size == 2)
                *(volatile uint16_t *)at = (uint16_t)value;
            else
                *(volatile uint32_t *)at = value;
        }
    }
    return NULL;
}

static void aim(struct net_hostile *hostile, struct race *race)
{
    struct netfront_queue *queue = &hostile->front->queues[0];
    const struct race tx = {.slot_size = TX_SIZE, .slot_count = NETIF_RING_SLOTS};
    const struct race places[] = {
        [FIELD_REFERENCE] = {.offset = 0,
                             .size = 4,
                             .values = {queue->tx_refs[HOSTILE_PAGE], HOSTILE_BAD_GREF, queue->tx_ring_ref,
                                        UINT32_MAX}},
        [FIELD_OFFSET] = {.offset = 4, .size = 2, .values = {0, 4000, 4095, 65535}},
        [FIELD_FLAGS] = {.offset = 6, .size = 2, .values = {0, NETIF_TX_CSUM_BLANK, NETIF_TX_DATA_VALIDATED, 0xfff3}},
        [FIELD_SIZE] = {.offset = 10, .size = 2, .values = {HOSTILE_LENGTH, 0, 13, 4096}},
    };

    if (race->field == FIELD_RX_REFERENCE) {
        *race = (struct race){.field = race->field,
                              .slots = (volatile uint8_t *)queue->rx_ring + RING_HEADER_SIZE,
                              .slot_size = RX_SIZE,
                              .slot_count = NETIF_RING_SLOTS,
                              .offset = 4,
                              .size = 4,
                              .values = {queue->rx_refs[0], HOSTILE_BAD_GREF, queue->rx_refs[1], UINT32_MAX}};
        return;
    }
    const struct race *place = &places[race->field];
    enum race_field field = race->field;
    *race = tx;
    race->field = field;
    race->slots = (volatile uint8_t *)queue->tx_ring + RING_HEADER_SIZE;
    race->offset = place->offset;
    race->size = place->size;
    memcpy(race->values, place->values, sizeof race->values);
}

static void set_guards(struct netfront_queue *queue)
{
    memset(queue->rx_pages + (size_t)RX_POSTED * RING_PAGE_SIZE, GUARD,
           (size_t)(NETIF_RING_SLOTS - RX_POSTED) * RING_PAGE_SIZE);
}

static bool are_guards_there(struct net_hostile *hostile, struct netfront_queue *queue)
{
    for (size_t at = (size_t)RX_POSTED * RING_PAGE_SIZE; at < (size_t)NETIF_RING_SLOTS * RING_PAGE_SIZE; at++) {
        if (queue->rx_pages[at] != GUARD) {
            net_hostile_see(hostile, "byte %zu of a page that was never posted changed", at);
            return false;
        }
    }
    return true;
}

/* The back end closed us, and says why. */
static bool is_closed_well(struct net_hostile *hostile)
{
    char *reason = device_reason(&hostile->front->device);
    bool explained = *reason != '\0';

    net_hostile_see(hostile, explained ? "closed: %s" : "closed WITHOUT a reason%s", reason);
    free(reason);
    return explained;
}

/* Sends batches until the count is reached, the slots were rewritten often enough, or the back end has had enough. */
static bool send_all(struct net_hostile *hostile, const struct race *race)
{
    for (uint64_t sent = 0; (sent < hostile->count || race->flips < FLIPS_MIN) && !hostile->front->device.lost &&
                            !hostile->net->guest.stop;
         sent += BATCH) {
        for (unsigned i = 0; i < BATCH; i++) {
            struct netif_tx_request_slot slot = net_hostile_slot(hostile, i, HOSTILE_LENGTH, 0);
            net_hostile_put(hostile, &slot);
        }
        net_hostile_push(hostile);
        if (net_hostile_settle(hostile) < 0 || hostile->front->complaint[0] != '\0')
            break;
    }
    if (hostile->front->complaint[0] != '\0') {
        net_hostile_see(hostile, "the back end %s", hostile->front->complaint);
        return false;
    }
    return !hostile->front->device.lost || is_closed_well(hostile);
}

static enum net_hostile_result run_race(struct net_hostile *hostile, const void *param)
{
    struct race race = {.field = *(const enum race_field *)param};
    struct netfront_queue *queue = &hostile->front->queues[0];
    pthread_t thread;
    uint64_t flips = 0;

    hostile->config.rx_posted = RX_POSTED;
    hostile->config.deaf = true; /* answers to what comes in would be rewritten too */
    hostile->counting = race.field == FIELD_REFERENCE;
    bool ok = net_hostile_restart(hostile) == 0;
    set_guards(queue);
    for (unsigned round = 0; ok && round < 4; round++) {
        aim(hostile, &race);
        if (pthread_create(&thread, NULL, flip, &race) != 0)
            ok = false;
        else {
            ok = send_all(hostile, &race);
            atomic_store(&race.over, true);
            pthread_join(thread, NULL);
            flips += race.flips;
        }
        /* What stands in the rings by now is nonsense: the next frames are another life's. */
        ok = ok && are_guards_there(hostile, queue) && net_hostile_restart(hostile) == 0;
    }
    net_hostile_see(hostile, "%llu rewritings of all slots", (unsigned long long)flips);
    hostile->config.rx_posted = NETIF_RING_SLOTS;
    hostile->config.deaf = hostile->counting = false;
    ok = net_hostile_restart(hostile) == 0 && ok;
    return ok && net_hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

static enum net_hostile_result run_ctrl_race(struct net_hostile *hostile, const void *param)
{
    struct netfront *front = hostile->front;
    struct netif_ctrl_response response;
    pthread_t thread;

    (void)param;
    if (front->ctrl_ring == NULL)
        return HOSTILE_SKIPPED;
    struct race race = {.field = FIELD_CTRL_DATA,
                        .slots = (volatile uint8_t *)front->ctrl_ring + RING_HEADER_SIZE,
                        .slot_size = CTRL_SIZE,
                        .slot_count = netif_ctrl_layout().slots,
                        .offset = 8, /* data[1]: a length */
                        .size = 4,
                        .values = {NETIF_HASH_MAPPING_MAX, UINT32_MAX, 1, 0x80000000u}};
    const uint32_t data[3] = {front->ctrl_page_ref, NETIF_HASH_MAPPING_MAX, 0};

    memset(front->ctrl_page, 0, RING_PAGE_SIZE);
    if (pthread_create(&thread, NULL, flip, &race) != 0)
        return HOSTILE_FAILED;
    /* Its answers are rewritten too: only that they come counts. */
    for (uint64_t i = 0; (i < hostile->count || race.flips < FLIPS_MIN) && front->complaint[0] == '\0'; i++) {
        int rc = netfront_ctrl(front, NETIF_CTRL_SET_HASH_MAPPING, data, &response);
        if (rc == -ETIMEDOUT || front->device.lost)
            break;
    }
    atomic_store(&race.over, true);
    pthread_join(thread, NULL);
    net_hostile_see(hostile, "%llu rewritings of all slots", (unsigned long long)race.flips);
    bool ok = !front->device.lost && front->complaint[0] == '\0';
    return net_hostile_restart(hostile) == 0 && net_hostile_is_served(hostile) && ok ? HOSTILE_OK : HOSTILE_FAILED;
}

#define RACE(field)                    \
    run_race, &(const enum race_field) \
    {                                  \
        field                          \
    }

const struct net_hostile_case net_hostile_race_cases[] = {
    {"race-reference", "a frame's reference changes meanwhile (XSA-155)", RACE(FIELD_REFERENCE)},
    {"race-offset", "its offset changes (XSA-155)", RACE(FIELD_OFFSET)},
    {"race-flags", "its flags change (XSA-155)", RACE(FIELD_FLAGS)},
    {"race-size", "its size changes (XSA-155)", RACE(FIELD_SIZE)},
    {"race-receive", "references of posted pages change (XSA-155)", RACE(FIELD_RX_REFERENCE)},
    {"race-ctrl", "lengths on the control ring change (XSA-155)", run_ctrl_race, NULL},
    {0},
};

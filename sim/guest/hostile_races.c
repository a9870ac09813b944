/* SPDX-License-Identifier: MIT */
/*
 * Requests that change while they are consumed (XSA-155, 197).
 *
 * A second thread rewrites one field in every slot of the ring, over and over, between a good value and bad ones, while the first keeps requests in
 * flight. The back end may serve any of the values or refuse; it must answer each request once, stay connected, and touch neither the pages of a
 * bystander tag nor the sectors outside the arena.
 *
 * The fields' places follow from xen/io/blkif.h. Bytes 0 and 1 of a slot hold the operation and the segment count of a request, but the low bits of
 * the id in a response: blkfront's ids are zero there, and are compared without them.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <xendev/grant.h>

#include "hostile.h"

#define ARENA_SECTORS UINT64_C(1024)
#define FENCE_SECTORS BLKIF_SECTORS_PER_PAGE
#define FENCE_BYTE    0x3c
#define VALUES        4u

enum race_field {
    FIELD_OPERATION,
    FIELD_SEGMENT_COUNT,
    FIELD_SECTOR,
    FIELD_REFERENCE,
    FIELD_RANGE, /* first and last sector */
};

struct race {
    struct hostile *hostile;
    enum race_field field;
    uint8_t code; /* of the requests */
    atomic_bool over;
    uint64_t flips;
    uint64_t sent;
};

/* Where a field stands in a slot, and how long it is. */
static void place_of(const struct hostile *hostile, enum race_field field, unsigned *ret_offset, unsigned *ret_size)
{
    bool tight = hostile->config.abi == BLKIF_ABI_X86_32;
    unsigned segments = tight ? 20 : 24;

    *ret_offset = field == FIELD_OPERATION       ? 0
                  : field == FIELD_SEGMENT_COUNT ? 1
                  : field == FIELD_SECTOR        ? (tight ? 12 : 16)
                  : field == FIELD_REFERENCE     ? segments
                                                 : segments + 4;
    *ret_size = field == FIELD_SECTOR ? 8 : field == FIELD_REFERENCE ? 4 : field == FIELD_RANGE ? 2 : 1;
}

/* The values a field goes through; the first one is good. */
static void values_of(const struct race *race, uint64_t ret_values[VALUES])
{
    const struct hostile *hostile = race->hostile;
    const uint64_t sets[][VALUES] = {
        [FIELD_OPERATION] = {race->code, 0xee, BLKIF_CODE_INDIRECT, BLKIF_CODE_FLUSH},
        [FIELD_SEGMENT_COUNT] = {1, 0, BLKIF_DIRECT_SEGMENTS, 255},
        [FIELD_SECTOR] = {0, hostile->front.disk.sectors, UINT64_MAX - 3, ARENA_SECTORS / 2},
        [FIELD_REFERENCE] = {blkfront_ref(&hostile->front, 0, 0), UINT32_MAX, blkfront_ref(&hostile->front, 1, 1),
                             0x00ffffff},
        [FIELD_RANGE] = {7 << 8, 0 << 8 | 7, 200 << 8, 255 << 8 | 255},
    };
    memcpy(ret_values, sets[race->field], sizeof sets[0]);
}

/* The second thread: knows nothing of the first, as no thread of a hostile guest would. */
__attribute__((no_sanitize("thread"))) static void *flip(void *arg)
{
    struct race *race = arg;
    const struct ring_layout *layout = &race->hostile->front.queues[0].ring.layout;
    volatile uint8_t *slots = (volatile uint8_t *)race->hostile->front.queues[0].pages + RING_HEADER_SIZE;
    uint64_t values[VALUES];
    unsigned offset, size;

    place_of(race->hostile, race->field, &offset, &size);
    values_of(race, values);
    while (!atomic_load_explicit(&race->over, memory_order_relaxed)) {
        for (unsigned slot = 0; slot < layout->slots; slot++) {
            uint64_t value = values[race->flips % VALUES];
            for (unsigned byte = 0; byte < size; byte++)
                slots[(size_t)slot * layout->slot_size + offset + byte] = (uint8_t)(value >> (8 * byte));
            race->flips++;
        }
    }
    return NULL;
}

static void send_next(struct hostile *hostile, unsigned tag)
{
    struct race *race = hostile->context;

    if (race->sent == hostile->count)
        return;
    race->sent++;
    struct blkif_message message = hostile_message(
        hostile, race->code, tag, random_below(&hostile->random, ARENA_SECTORS / 2 / BLKIF_SECTORS_PER_PAGE));
    for (unsigned i = 0; i < BLKIF_DIRECT_SEGMENTS; i++)
        message.segments[i] =
            (struct blkif_segment){blkfront_ref(&hostile->front, tag, i), 0, BLKIF_SECTORS_PER_PAGE - 1};
    blkfront_send(&hostile->front, tag, &message);
}

/* ---- What must not change. ------------------------------------------------------------------------------------------ */

static bool fence(struct hostile *hostile, uint8_t code, const char *what)
{
    uint8_t *page = blkfront_page(&hostile->front, 0, 0);
    const uint64_t places[] = {ARENA_SECTORS, hostile->front.disk.sectors - FENCE_SECTORS};

    for (unsigned i = 0; i < 2; i++) {
        struct blkif_message message = hostile_message(hostile, code, 0, places[i]);
        int16_t status;
        memset(page, code == BLKIF_CODE_WRITE ? FENCE_BYTE : 0, XENDEV_PAGE_SIZE);
        if (hostile_ask(hostile, 0, &message, &status) < 0 || status != BLKIF_STATUS_OKAY) {
            hostile_see(hostile, "cannot %s the fence at sector %" PRIu64, what, places[i]);
            return false;
        }
        if (page[0] != FENCE_BYTE || memcmp(page, page + 1, XENDEV_PAGE_SIZE - 1) != 0) {
            hostile_see(hostile, "sector %" PRIu64 " changed, outside the arena", places[i]);
            return false;
        }
    }
    return true;
}

/* ---- The race. ------------------------------------------------------------------------------------------------------ */

static int run_race(struct hostile *hostile, struct race *race)
{
    pthread_t thread;

    int rc = -pthread_create(&thread, NULL, flip, race);
    if (rc < 0) {
        hostile_see(hostile, "no thread: %s", strerror(-rc));
        return rc;
    }
    hostile->context = race;
    hostile->again = send_next;
    hostile->front.config.racing = true;
    for (unsigned tag = 0; tag < HOSTILE_DEPTH; tag++)
        send_next(hostile, tag);
    blkfront_kick(&hostile->front);
    rc = hostile_drain(hostile);
    hostile->again = NULL;
    atomic_store(&race->over, true);
    pthread_join(thread, NULL);
    hostile->front.config.racing = false;
    return rc;
}

static enum hostile_result run_flips(struct hostile *hostile, const void *param)
{
    bool writable = !hostile->front.disk.read_only;

    if (hostile->front.disk.sectors < 2 * ARENA_SECTORS) {
        hostile_see(hostile, "the disk is too small");
        return HOSTILE_SKIPPED;
    }
    memset(blkfront_page(&hostile->front, HOSTILE_BYSTANDER, 0), HOSTILE_GUARD,
           (size_t)hostile->config.pages * XENDEV_PAGE_SIZE);
    if (writable && !fence(hostile, BLKIF_CODE_WRITE, "write"))
        return HOSTILE_FAILED;

    for (unsigned i = 0; i < (writable ? 2u : 1u); i++) {
        struct race race = {.hostile = hostile,
                            .field = *(const enum race_field *)param,
                            .code = i == 0 ? BLKIF_CODE_READ : BLKIF_CODE_WRITE};
        if (run_race(hostile, &race) < 0)
            return HOSTILE_FAILED;
        hostile_see(hostile, "%s: %" PRIu64 " answers, %" PRIu64 " refusals, %" PRIu64 " rewrites",
                    i == 0 ? "reads" : "writes", hostile->answers, hostile->refusals, race.flips);
        hostile->answers = hostile->refusals = 0;
    }
    if (!hostile_bystander_is_untouched(hostile) || (writable && !fence(hostile, BLKIF_CODE_READ, "read")))
        return HOSTILE_FAILED;
    return hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

#define FLIPS(field)                    \
    run_flips, &(const enum race_field) \
    {                                   \
        field                           \
    }

const struct hostile_case hostile_race_cases[] = {
    {"flip-operation", "the operation changes while consumed (XSA-155, 197)", FLIPS(FIELD_OPERATION)},
    {"flip-segment-count", "the number of segments changes while consumed (XSA-155, 197)", FLIPS(FIELD_SEGMENT_COUNT)},
    {"flip-sector", "the sector number changes while consumed (XSA-155, 197)", FLIPS(FIELD_SECTOR)},
    {"flip-reference", "a grant reference changes while consumed (XSA-155, 197)", FLIPS(FIELD_REFERENCE)},
    {"flip-range", "a segment's range changes while consumed (XSA-155, 197)", FLIPS(FIELD_RANGE)},
    {0},
};

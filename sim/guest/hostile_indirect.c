/* SPDX-License-Identifier: MIT */
/*
 * Indirect requests: their head, which stands on the ring, and their list of segments, which stands in a page of the guest's and can change at any
 * time. Each case names what is wrong; all else is good.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <xendev/grant.h>

#include "hostile.h"

#define BAD_REF     UINT32_MAX
#define LAST_SECTOR (BLKIF_SECTORS_PER_PAGE - 1) /* of a page */
#define TAG         1u

/* So many more than the limit, in a claimed number of segments. */
#define LIMIT_PLUS(more) (-1 - (more))

struct bad_indirect {
    uint8_t inner;
    int count;         /* of segments; 0: LEAST; or LIMIT_PLUS() */
    bool none;         /* no segments */
    bool bad_list;     /* the list's own reference */
    bool wrap, past;   /* the place: near 2^64; half beyond the end */
    bool bad_segment;  /* each segment in turn gets this: */
    uint32_t bad_gref; /* 0: a good one */
    uint8_t first, last;
    bool read_only; /* the disk must be that; else writable when the inner operation is a write */
    int status;
};

#define LEAST 12u

static bool is_offered(struct hostile *hostile)
{
    if (hostile->front.segments > BLKIF_DIRECT_SEGMENTS)
        return true;
    hostile_see(hostile, "indirect requests are not offered, or not wanted: see --segments");
    return false;
}

/* Good segments, over and over the pages of the tag. */
static void fill_segments(struct hostile *hostile, struct blkif_segment *segments, unsigned count, uint8_t last)
{
    for (unsigned i = 0; i < count; i++)
        segments[i] = (struct blkif_segment){blkfront_ref(&hostile->front, TAG, i % hostile->config.pages), 0, last};
}

static struct blkif_message indirect(struct hostile *hostile, uint8_t inner, struct blkif_segment *segments,
                                     unsigned count)
{
    struct blkif_message message = hostile_message(hostile, inner, TAG, 0);

    blkfront_make_indirect(&hostile->front, TAG, &message, segments, count);
    return message;
}

static bool is_refused(struct hostile *hostile, struct blkif_message *message, int expected)
{
    int16_t status;

    if (hostile_ask(hostile, TAG, message, &status) < 0)
        return false;
    if (status == expected)
        return true;
    hostile_see(hostile, "status %d, not %d", status, expected);
    return false;
}

static enum hostile_result run_bad_indirect(struct hostile *hostile, const void *param)
{
    const struct bad_indirect *bad = param;
    const struct blkfront_disk *disk = &hostile->front.disk;
    struct blkif_segment segments[BLKIF_INDIRECT_SEGMENTS];
    unsigned tried = 0;

    if (!is_offered(hostile) || disk->read_only != bad->read_only)
        return HOSTILE_SKIPPED;
    const unsigned count = bad->count > 0 ? (unsigned)bad->count : LEAST;
    const unsigned tries = bad->bad_segment ? count : 1;
    for (; tried < tries; tried++) {
        fill_segments(hostile, segments, count, LAST_SECTOR);
        if (bad->bad_segment)
            segments[tried] = (struct blkif_segment){bad->bad_gref != 0 ? bad->bad_gref : segments[tried].gref,
                                                     bad->first, bad->last};
        struct blkif_message message = indirect(hostile, bad->inner, segments, count);
        if (bad->none)
            message.segment_count = 0;
        if (bad->count < 0)
            message.segment_count = (uint16_t)(disk->indirect_segments + (unsigned)(-1 - bad->count));
        if (bad->bad_list)
            message.indirect_grefs[0] = BAD_REF;
        if (bad->wrap)
            message.sector = UINT64_MAX - BLKIF_SECTORS_PER_PAGE;
        if (bad->past)
            message.sector = disk->sectors - count * BLKIF_SECTORS_PER_PAGE / 2;
        if (!is_refused(hostile, &message, bad->status))
            return HOSTILE_FAILED;
    }
    hostile_see(hostile, "status %d, %u times", bad->status, tried);
    return hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* ---- Data where it belongs. ----------------------------------------------------------------------------------------- */

#define PATTERN(page) ((uint8_t)(0x21 + (page)))

static void fill_pages(struct hostile *hostile, bool pattern)
{
    for (unsigned i = 0; i < hostile->config.pages; i++)
        memset(blkfront_page(&hostile->front, TAG, i), pattern ? PATTERN(i) : 0, XENDEV_PAGE_SIZE);
}

/* What a write of which segment `bad` names no page leaves, and what a read of it touches: nothing of that segment. */
static enum hostile_result run_bad_among_good(struct hostile *hostile, const void *param)
{
    struct blkif_segment segments[BLKIF_INDIRECT_SEGMENTS];
    const unsigned count = hostile->config.pages;

    (void)param;
    if (!is_offered(hostile) || hostile->front.disk.read_only)
        return HOSTILE_SKIPPED;
    for (unsigned bad = 0; bad < count; bad++) {
        fill_segments(hostile, segments, count, LAST_SECTOR - 1);
        fill_pages(hostile, true);
        struct blkif_message message = indirect(hostile, BLKIF_CODE_WRITE, segments, count);
        if (!is_refused(hostile, &message, BLKIF_STATUS_OKAY))
            return HOSTILE_FAILED;
        fill_pages(hostile, false);
        segments[bad].gref = BAD_REF;
        message = indirect(hostile, BLKIF_CODE_WRITE, segments, count);
        if (!is_refused(hostile, &message, BLKIF_STATUS_ERROR))
            return HOSTILE_FAILED;
        message = indirect(hostile, BLKIF_CODE_READ, segments, count);
        if (!is_refused(hostile, &message, BLKIF_STATUS_ERROR))
            return HOSTILE_FAILED;
        if (memchr(blkfront_page(&hostile->front, TAG, bad), PATTERN(bad), XENDEV_PAGE_SIZE) != NULL) {
            hostile_see(hostile, "a page that the request did not name was written to");
            return HOSTILE_FAILED;
        }
        fill_segments(hostile, segments, count, LAST_SECTOR - 1);
        message = indirect(hostile, BLKIF_CODE_READ, segments, count);
        if (!is_refused(hostile, &message, BLKIF_STATUS_OKAY))
            return HOSTILE_FAILED;
        const uint8_t *page = blkfront_page(&hostile->front, TAG, bad);
        if (page[0] != PATTERN(bad) || page[(size_t)LAST_SECTOR * BLKIF_SECTOR_SIZE] != 0) {
            hostile_see(hostile, "segment %u bad: the disk holds %02x there, and %02x behind it in its page", bad,
                        page[0], page[(size_t)LAST_SECTOR * BLKIF_SECTOR_SIZE]);
            return HOSTILE_FAILED;
        }
    }
    hostile_see(hostile, "refused with each of %u segments bad in turn", count);
    return hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* The list is read over by the data that it says to read: only its copy may count. */
static enum hostile_result run_list_as_data(struct hostile *hostile, const void *param)
{
    struct blkif_segment segments[BLKIF_INDIRECT_SEGMENTS];

    (void)param;
    if (!is_offered(hostile))
        return HOSTILE_SKIPPED;
    for (unsigned round = 0; round < 100; round++) {
        fill_segments(hostile, segments, LEAST, LAST_SECTOR);
        for (unsigned i = 0; i < LEAST; i++)
            segments[i].gref = blkfront_list_ref(&hostile->front, TAG);
        struct blkif_message message = indirect(hostile, BLKIF_CODE_READ, segments, LEAST);
        if (!is_refused(hostile, &message, BLKIF_STATUS_OKAY))
            return HOSTILE_FAILED;
    }
    hostile_see(hostile, "served 100 times");
    return hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* As many as may be, all over the same pages, in every tag at once: more than anybody's buffers hold. */
static enum hostile_result run_all_full(struct hostile *hostile, const void *param)
{
    struct blkif_segment segments[BLKIF_INDIRECT_SEGMENTS];
    const unsigned count = hostile->front.segments;

    (void)param;
    if (!is_offered(hostile))
        return HOSTILE_SKIPPED;
    if (hostile->front.disk.sectors < (uint64_t)count * BLKIF_SECTORS_PER_PAGE) {
        hostile_see(hostile, "the disk is too small");
        return HOSTILE_SKIPPED;
    }
    for (unsigned round = 0; round < 20; round++) {
        fill_segments(hostile, segments, count, LAST_SECTOR);
        for (unsigned tag = 0; tag < HOSTILE_DEPTH; tag++) {
            struct blkif_message message = hostile_message(hostile, BLKIF_CODE_READ, tag, 0);
            blkfront_make_indirect(&hostile->front, tag, &message, segments, count);
            blkfront_send(&hostile->front, tag, &message);
        }
        blkfront_kick(&hostile->front);
        if (hostile_drain(hostile) < 0)
            return HOSTILE_FAILED;
    }
    hostile_see(hostile, "%u segments in each of %u requests at once, %" PRIu64 " refused", count, HOSTILE_DEPTH,
                hostile->refusals);
    return hostile_is_served(hostile) && hostile->refusals == 0 ? HOSTILE_OK : HOSTILE_FAILED;
}

/* ---- A list that changes while it is read (XSA-155, 197). ----------------------------------------------------------- */

struct list_race {
    struct hostile *hostile;
    atomic_bool over;
    uint64_t flips;
    uint64_t sent;
};

/* Between a good list and one bad in every segment, all tags' lists, over and over. */
__attribute__((no_sanitize("thread"))) static void *flip(void *arg)
{
    struct list_race *race = arg;
    const struct blkfront *front = &race->hostile->front;
    const struct blkif_segment bad[] = {{BAD_REF, 0, 7}, {0x00ffffff, 0, 7}, {0, 7, 0}, {0, 0, 255}, {0, 255, 255}};

    while (!atomic_load_explicit(&race->over, memory_order_relaxed)) {
        for (unsigned tag = 0; tag < HOSTILE_DEPTH; tag++) {
            volatile uint8_t *list = blkfront_list(front, tag);
            struct blkif_segment segment = {blkfront_ref(front, tag, 0), 0, LAST_SECTOR};
            uint8_t bytes[BLKIF_SEGMENT_SIZE] = {0};
            if (race->flips % 2 != 0) {
                uint32_t good = segment.gref;
                segment = bad[race->flips / 2 % (sizeof bad / sizeof bad[0])];
                segment.gref = segment.gref != 0 ? segment.gref : good;
            }
            blkif_segments_encode(&segment, 1, bytes);
            size_t place = race->flips % LEAST * BLKIF_SEGMENT_SIZE;
            for (unsigned i = 0; i < BLKIF_SEGMENT_SIZE; i++)
                list[place + i] = bytes[i];
            race->flips++;
        }
    }
    return NULL;
}

static void send_next(struct hostile *hostile, unsigned tag)
{
    struct list_race *race = hostile->context;
    struct blkif_segment segments[LEAST];

    if (race->sent == hostile->count)
        return;
    race->sent++;
    struct blkif_message message = hostile_message(
        hostile, race->sent % 2 != 0 || hostile->front.disk.read_only ? BLKIF_CODE_READ : BLKIF_CODE_WRITE, tag,
        random_below(&hostile->random, 64));
    for (unsigned i = 0; i < LEAST; i++)
        segments[i] =
            (struct blkif_segment){blkfront_ref(&hostile->front, tag, i % hostile->config.pages), 0, LAST_SECTOR};
    blkfront_make_indirect(&hostile->front, tag, &message, segments, LEAST);
    blkfront_send(&hostile->front, tag, &message);
}

static int run_list_race(struct hostile *hostile, struct list_race *race)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, flip, race) != 0) {
        hostile_see(hostile, "no thread");
        return -EAGAIN;
    }
    hostile->context = race;
    hostile->again = send_next;
    for (unsigned tag = 0; tag < HOSTILE_DEPTH; tag++)
        send_next(hostile, tag);
    blkfront_kick(&hostile->front);
    int rc = hostile_drain(hostile);
    hostile->again = NULL;
    hostile->context = NULL;
    atomic_store(&race->over, true);
    pthread_join(thread, NULL);
    return rc;
}

static enum hostile_result run_flip_list(struct hostile *hostile, const void *param)
{
    struct list_race race = {.hostile = hostile};

    (void)param;
    if (!is_offered(hostile))
        return HOSTILE_SKIPPED;
    memset(blkfront_page(&hostile->front, HOSTILE_BYSTANDER, 0), HOSTILE_GUARD,
           (size_t)hostile->config.pages * XENDEV_PAGE_SIZE);
    if (run_list_race(hostile, &race) < 0 || !hostile_bystander_is_untouched(hostile))
        return HOSTILE_FAILED;
    hostile_see(hostile, "%" PRIu64 " answers, %" PRIu64 " refusals, %" PRIu64 " rewrites", hostile->answers,
                hostile->refusals, race.flips);
    return hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

#define BAD(...)                                   \
    run_bad_indirect, &(const struct bad_indirect) \
    {                                              \
        __VA_ARGS__                                \
    }
#define REFUSED .status = BLKIF_STATUS_ERROR
#define UNKNOWN .status = BLKIF_STATUS_UNSUPPORTED
#define READ    .inner = BLKIF_CODE_READ
#define WRITE   .inner = BLKIF_CODE_WRITE
#define EACH    .bad_segment = true

const struct hostile_case hostile_indirect_cases[] = {
    {"indirect-empty", "an indirect read of nothing", BAD(READ, .none = true, REFUSED)},
    {"indirect-one-more", "one segment more than was offered", BAD(READ, .count = LIMIT_PLUS(1), REFUSED)},
    {"indirect-512", "more segments than a page of the list has", BAD(READ, .count = LIMIT_PLUS(512), REFUSED)},
    {"indirect-65535", "as many segments as can be claimed", BAD(READ, .count = LIMIT_PLUS(65535 - 256), REFUSED)},
    {"indirect-bad-list", "a list in a page never granted", BAD(READ, .bad_list = true, REFUSED)},
    {"indirect-bad-list-write", "the same, to write", BAD(WRITE, .bad_list = true, REFUSED)},
    {"indirect-first-after", "each segment in turn ends before it starts",
     BAD(READ, EACH, .first = 5, .last = 2, REFUSED)},
    {"indirect-last-past", "each segment in turn is longer than its page", BAD(READ, EACH, .last = 8, REFUSED)},
    {"indirect-last-255", "each segment in turn is far longer, to write", BAD(WRITE, EACH, .last = 255, REFUSED)},
    {"indirect-bad-ref", "each segment in turn is of a page never granted",
     BAD(READ, EACH, .bad_gref = BAD_REF, .last = LAST_SECTOR, REFUSED)},
    {"indirect-wraps", "a sector number near 2^64", BAD(READ, .wrap = true, REFUSED)},
    {"indirect-across-end", "a write across the end", BAD(WRITE, .past = true, REFUSED)},
    {"indirect-flush", "a flush inside", BAD(.inner = BLKIF_CODE_FLUSH, UNKNOWN)},
    {"indirect-barrier", "a barrier inside", BAD(.inner = BLKIF_CODE_BARRIER, UNKNOWN)},
    {"indirect-discard", "a discard inside", BAD(.inner = BLKIF_CODE_DISCARD, UNKNOWN)},
    {"indirect-indirect", "an indirect request inside", BAD(.inner = BLKIF_CODE_INDIRECT, UNKNOWN)},
    {"indirect-255", "an unknown operation inside", BAD(.inner = 255, UNKNOWN)},
    {"indirect-read-only", "a write to a read-only disk (XSA-142)", BAD(WRITE, .read_only = true, REFUSED)},
    {"indirect-bad-segment", "each segment bad in turn, the others good", run_bad_among_good, NULL},
    {"indirect-list-as-data", "a list in the page that its data goes to", run_list_as_data, NULL},
    {"indirect-full", "every request as large as can be", run_all_full, NULL},
    {"indirect-flip-list", "the list changes while it is read (XSA-155, 197)", run_flip_list, NULL},
    {0},
};

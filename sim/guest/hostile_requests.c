/* SPDX-License-Identifier: MIT */
/*
 * Requests that must be refused one by one, and leave the device as good as before.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <xendev/grant.h>

#include "hostile.h"
#include "sector.h"

#define BAD_REF     UINT32_MAX
#define LAST_SECTOR (BLKIF_SECTORS_PER_PAGE - 1) /* of a page */

/* ---- One bad request. ----------------------------------------------------------------------------------------------- */

enum bad_place {
    PLACE_START,
    PLACE_END,    /* the first sector there is not */
    PLACE_ACROSS, /* half of the request is beyond the end */
    PLACE_WRAP,   /* sector + count passes 2^64 */
    PLACE_SHIFT,  /* sector * 512 passes 2^64 and comes out at 0 */
};

enum bad_need {
    NEED_NOTHING,
    NEED_WRITABLE,
    NEED_READ_ONLY,
    NEED_NO_INDIRECT,
    NEED_NO_BARRIER,
    NEED_NO_DISCARD,
    NEED_DISCARD,
    NEED_NO_SECURE, /* discard, but no secure one */
    NEED_LARGE_SECTORS,
};

struct bad_request {
    uint8_t code;
    enum bad_place place;
    int segments; /* as claimed */
    uint8_t first, last;
    bool bad_ref;
    enum bad_need need;
    uint64_t discarded; /* sectors; 0: a page */
    bool secure;
    int status; /* the answer it must get */
};

static bool is_met(const struct blkfront_disk *disk, enum bad_need need)
{
    switch (need) {
    case NEED_WRITABLE:
        return !disk->read_only;
    case NEED_READ_ONLY:
        return disk->read_only;
    case NEED_NO_INDIRECT:
        return disk->indirect_segments == 0;
    case NEED_NO_BARRIER:
        return !disk->barrier;
    case NEED_NO_DISCARD:
        return !disk->discard;
    case NEED_DISCARD:
        return disk->discard;
    case NEED_NO_SECURE:
        return disk->discard && !disk->discard_secure;
    case NEED_LARGE_SECTORS:
        return disk->sector_size > BLKIF_SECTOR_SIZE;
    default:
        return true;
    }
}

static uint64_t sector_of(const struct blkfront_disk *disk, enum bad_place place)
{
    switch (place) {
    case PLACE_END:
        return disk->sectors;
    case PLACE_ACROSS:
        return disk->sectors - BLKIF_SECTORS_PER_PAGE / 2;
    case PLACE_WRAP:
        return UINT64_MAX - BLKIF_SECTORS_PER_PAGE / 2;
    case PLACE_SHIFT:
        return UINT64_C(1) << 55;
    default:
        return 0;
    }
}

static enum hostile_result run_bad_request(struct hostile *hostile, const void *param)
{
    const struct bad_request *bad = param;

    if (!is_met(&hostile->front.disk, bad->need))
        return HOSTILE_SKIPPED;

    struct blkif_message message = hostile_message(hostile, bad->code, 1, sector_of(&hostile->front.disk, bad->place));
    message.segment_count = (uint16_t)bad->segments;
    for (unsigned i = 0; i < BLKIF_DIRECT_SEGMENTS; i++)
        message.segments[i] =
            (struct blkif_segment){bad->bad_ref ? BAD_REF : blkfront_ref(&hostile->front, 1, i), bad->first, bad->last};
    if (bad->code == BLKIF_CODE_INDIRECT) {
        message.inner = BLKIF_CODE_READ;
        message.indirect_grefs[0] = blkfront_ref(&hostile->front, 1, 0);
    }
    if (bad->code == BLKIF_CODE_DISCARD) {
        message.discard_sectors = bad->discarded != 0 ? bad->discarded : BLKIF_SECTORS_PER_PAGE;
        message.discard_flag = bad->secure;
    }
    return hostile_is_answered(hostile, 1, &message, bad->status) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* ---- One bad reference among good ones (XSA-361, 362, 365). --------------------------------------------------------- */

/* A request of all segments over pages of tag 1, each one sector less than full so that neighbours are seen. */
static struct blkif_message full_message(struct hostile *hostile, uint8_t code)
{
    struct blkif_message message = hostile_message(hostile, code, 1, 0);

    message.segment_count = BLKIF_DIRECT_SEGMENTS;
    for (unsigned i = 0; i < BLKIF_DIRECT_SEGMENTS; i++)
        message.segments[i] =
            (struct blkif_segment){blkfront_ref(&hostile->front, 1, i), 0, BLKIF_SECTORS_PER_PAGE - 2};
    return message;
}

/* Fills the pages of tag 1 with one byte each: `base` + its number. */
static void fill_pages(struct hostile *hostile, uint8_t base)
{
    for (unsigned i = 0; i < BLKIF_DIRECT_SEGMENTS; i++)
        memset(blkfront_page(&hostile->front, 1, i), base + (int)i, XENDEV_PAGE_SIZE);
}

static bool page_is(struct hostile *hostile, unsigned page, unsigned from, unsigned sectors, uint8_t byte)
{
    const uint8_t *bytes = (uint8_t *)blkfront_page(&hostile->front, 1, page) + (size_t)from * BLKIF_SECTOR_SIZE;

    return bytes[0] == byte && memcmp(bytes, bytes + 1, sectors * BLKIF_SECTOR_SIZE - 1) == 0;
}

/* The write whose segment `bad` names no page must fail and leave at least that segment's sectors as they were. */
static bool write_with_bad_segment(struct hostile *hostile, unsigned bad)
{
    struct blkif_message message = full_message(hostile, BLKIF_CODE_WRITE);
    int16_t status;

    fill_pages(hostile, 0x10);
    if (hostile_ask(hostile, 1, &message, &status) < 0 || status != BLKIF_STATUS_OKAY)
        return false;
    fill_pages(hostile, 0x40);
    message.segments[bad].gref = BAD_REF;
    if (hostile_ask(hostile, 1, &message, &status) < 0 || status != BLKIF_STATUS_ERROR)
        return false;

    fill_pages(hostile, 0);
    message = full_message(hostile, BLKIF_CODE_READ);
    if (hostile_ask(hostile, 1, &message, &status) < 0 || status != BLKIF_STATUS_OKAY)
        return false;
    return page_is(hostile, bad, 0, BLKIF_SECTORS_PER_PAGE - 1, (uint8_t)(0x10 + bad));
}

/* The read whose segment `bad` names no page must fail and touch nothing but the other segments. */
static bool read_with_bad_segment(struct hostile *hostile, unsigned bad)
{
    struct blkif_message message = full_message(hostile, BLKIF_CODE_READ);
    int16_t status;

    fill_pages(hostile, 0x80);
    message.segments[bad].gref = BAD_REF;
    if (hostile_ask(hostile, 1, &message, &status) < 0 || status != BLKIF_STATUS_ERROR)
        return false;
    for (unsigned i = 0; i < BLKIF_DIRECT_SEGMENTS; i++) {
        unsigned from = i == bad ? 0 : BLKIF_SECTORS_PER_PAGE - 1;
        if (!page_is(hostile, i, from, BLKIF_SECTORS_PER_PAGE - from, (uint8_t)(0x80 + i)))
            return false;
    }
    return true;
}

static enum hostile_result run_bad_segment(struct hostile *hostile, const void *param)
{
    (void)param;
    for (unsigned bad = 0; bad < BLKIF_DIRECT_SEGMENTS; bad++) {
        if ((!hostile->front.disk.read_only && !write_with_bad_segment(hostile, bad)) ||
            !read_with_bad_segment(hostile, bad)) {
            hostile_see(hostile, "segment %u bad: not refused cleanly", bad);
            return HOSTILE_FAILED;
        }
    }
    hostile_see(hostile, "refused with each of %u segments bad in turn", BLKIF_DIRECT_SEGMENTS);
    return hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* Every request of a batch but one is good; which one, changes. */
static enum hostile_result run_bad_in_batch(struct hostile *hostile, const void *param)
{
    (void)param;
    for (unsigned bad = 0; bad < HOSTILE_DEPTH; bad++) {
        for (unsigned tag = 0; tag < HOSTILE_DEPTH; tag++) {
            struct blkif_message message = hostile_message(hostile, BLKIF_CODE_READ, tag, tag);
            if (tag == bad)
                message.segments[0].gref = BAD_REF;
            blkfront_send(&hostile->front, tag, &message);
        }
        blkfront_kick(&hostile->front);
        if (hostile_drain(hostile) < 0)
            return HOSTILE_FAILED;
        for (unsigned tag = 0; tag < HOSTILE_DEPTH; tag++) {
            if ((hostile->status[tag] == BLKIF_STATUS_OKAY) == (tag == bad)) {
                hostile_see(hostile, "request %u of a batch with %u bad: status %d", tag, bad, hostile->status[tag]);
                return HOSTILE_FAILED;
            }
        }
    }
    hostile_see(hostile, "of %u batches of %u, each time only the bad request failed", HOSTILE_DEPTH, HOSTILE_DEPTH);
    return hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

static enum hostile_result run_revoked(struct hostile *hostile, const void *param)
{
    struct blkfront *front = &hostile->front;
    uint32_t ref;
    void *page;
    int16_t status;

    (void)param;
    int rc =
        xendev_share_pages(hostile->guest.share, xendev_frontend_backend_domid(front->device.xenbus), 1, &ref, &page);
    if (rc < 0) {
        hostile_see(hostile, "no page to share: %s", strerror(-rc));
        return HOSTILE_FAILED;
    }
    struct blkif_message message = hostile_message(hostile, BLKIF_CODE_READ, 1, 0);
    message.segments[0].gref = ref;
    rc = hostile_ask(hostile, 1, &message, &status);
    xendev_share_free(hostile->guest.share, page, 1);
    if (rc < 0 || status != BLKIF_STATUS_OKAY) {
        hostile_see(hostile, "not even served while granted");
        return HOSTILE_FAILED;
    }
    if (front->config.persistent && front->disk.persistent) {
        /* We broke our promise: it may have the page still. */
        if (hostile_ask(hostile, 1, &message, &status) < 0)
            return HOSTILE_FAILED;
        hostile_see(hostile, "answered %d", status);
        return hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
    }
    return hostile_is_answered(hostile, 1, &message, BLKIF_STATUS_ERROR) ? HOSTILE_OK : HOSTILE_FAILED;
}

#define MANY_REFS 3000u

/* Never the same page again: a back end that keeps pages mapped may not keep them all. */
static enum hostile_result run_many_refs(struct hostile *hostile, const void *param)
{
    struct blkfront *front = &hostile->front;
    uint32_t *refs = calloc(MANY_REFS, sizeof *refs);
    enum hostile_result result = HOSTILE_FAILED;
    unsigned served = 0;
    int16_t status;
    void *pages;

    (void)param;
    if (refs == NULL)
        return HOSTILE_FAILED;
    int rc = xendev_share_pages(hostile->guest.share, xendev_frontend_backend_domid(front->device.xenbus), MANY_REFS,
                                refs, &pages);
    if (rc == -ENOSPC || rc == -ENOMEM) {
        hostile_see(hostile, "this guest cannot share %u pages", MANY_REFS);
        free(refs);
        return HOSTILE_SKIPPED;
    }
    if (rc < 0) {
        hostile_see(hostile, "no pages to share: %s", strerror(-rc));
        free(refs);
        return HOSTILE_FAILED;
    }
    for (; served < MANY_REFS; served++) {
        struct blkif_message message = hostile_message(hostile, BLKIF_CODE_READ, 1, 0);
        message.segments[0].gref = refs[served];
        if (hostile_ask(hostile, 1, &message, &status) < 0 || status != BLKIF_STATUS_OKAY)
            break;
    }
    hostile_see(hostile, "%u of %u references served", served, MANY_REFS);
    if (served == MANY_REFS && hostile_is_served(hostile))
        result = HOSTILE_OK;
    xendev_share_free(hostile->guest.share, pages, MANY_REFS);
    free(refs);
    return result;
}

#define BAD(...)                                 \
    run_bad_request, &(const struct bad_request) \
    {                                            \
        __VA_ARGS__                              \
    }
#define REFUSED .status = BLKIF_STATUS_ERROR
#define UNKNOWN .status = BLKIF_STATUS_UNSUPPORTED
#define WHOLE   .last = LAST_SECTOR
#define ONE     .segments = 1, WHOLE

const struct hostile_case hostile_request_cases[] = {
    {"read-past-end", "a read of sectors there are not", BAD(BLKIF_CODE_READ, PLACE_END, ONE, REFUSED)},
    {"read-across-end", "a read across the end", BAD(BLKIF_CODE_READ, PLACE_ACROSS, ONE, REFUSED)},
    {"write-past-end", "a write of sectors there are not",
     BAD(BLKIF_CODE_WRITE, PLACE_END, ONE, .need = NEED_WRITABLE, REFUSED)},
    {"write-across-end", "a write across the end",
     BAD(BLKIF_CODE_WRITE, PLACE_ACROSS, ONE, .need = NEED_WRITABLE, REFUSED)},
    {"sector-wraps", "a sector number near 2^64", BAD(BLKIF_CODE_READ, PLACE_WRAP, ONE, REFUSED)},
    {"sector-shifts-out", "a sector number whose byte offset is 2^64", BAD(BLKIF_CODE_READ, PLACE_SHIFT, ONE, REFUSED)},
    {"write-shifts-out", "the same, written", BAD(BLKIF_CODE_WRITE, PLACE_SHIFT, ONE, .need = NEED_WRITABLE, REFUSED)},
    {"no-segments", "a read of nothing", BAD(BLKIF_CODE_READ, .segments = 0, WHOLE, REFUSED)},
    {"twelve-segments", "one segment too many", BAD(BLKIF_CODE_READ, .segments = 12, WHOLE, REFUSED)},
    {"200-segments", "far too many segments", BAD(BLKIF_CODE_READ, .segments = 200, WHOLE, REFUSED)},
    {"first-after-last", "a segment that ends before it starts",
     BAD(BLKIF_CODE_READ, .segments = 1, .first = 5, .last = 2, REFUSED)},
    {"last-past-page", "a segment one sector longer than its page",
     BAD(BLKIF_CODE_READ, .segments = 1, .last = 8, REFUSED)},
    {"last-200", "a segment far longer than its page", BAD(BLKIF_CODE_READ, .segments = 1, .last = 200, REFUSED)},
    {"first-past-page", "a segment behind its page",
     BAD(BLKIF_CODE_READ, .segments = 1, .first = 255, .last = 255, REFUSED)},
    {"write-last-200", "the same, written",
     BAD(BLKIF_CODE_WRITE, .segments = 1, .last = 200, .need = NEED_WRITABLE, REFUSED)},
    {"operation-4", "a reserved operation", BAD(4, .segments = 1, WHOLE, UNKNOWN)},
    {"operation-7", "the first unknown operation", BAD(7, .segments = 1, WHOLE, UNKNOWN)},
    {"operation-255", "the last unknown operation", BAD(255, .segments = 1, WHOLE, UNKNOWN)},
    {"indirect", "an indirect request that was not offered",
     BAD(BLKIF_CODE_INDIRECT, .segments = 12, WHOLE, .need = NEED_NO_INDIRECT, UNKNOWN)},
    {"barrier", "a barrier that was not offered", BAD(BLKIF_CODE_BARRIER, ONE, .need = NEED_NO_BARRIER, UNKNOWN)},
    {"discard", "a discard that was not offered", BAD(BLKIF_CODE_DISCARD, ONE, .need = NEED_NO_DISCARD, UNKNOWN)},
    {"discard-past-end", "a discard of sectors there are not",
     BAD(BLKIF_CODE_DISCARD, PLACE_END, .need = NEED_DISCARD, REFUSED)},
    {"discard-across-end", "a discard across the end",
     BAD(BLKIF_CODE_DISCARD, PLACE_ACROSS, .need = NEED_DISCARD, REFUSED)},
    {"discard-wraps", "a discard from near 2^64", BAD(BLKIF_CODE_DISCARD, PLACE_WRAP, .need = NEED_DISCARD, REFUSED)},
    {"discard-shifts-out", "a discard whose byte offset is 2^64",
     BAD(BLKIF_CODE_DISCARD, PLACE_SHIFT, .need = NEED_DISCARD, REFUSED)},
    {"discard-all-there-is", "a discard of 2^64 - 1 sectors",
     BAD(BLKIF_CODE_DISCARD, .discarded = UINT64_MAX, .need = NEED_DISCARD, REFUSED)},
    {"discard-secure", "a secure discard, which was not offered",
     BAD(BLKIF_CODE_DISCARD, .secure = true, .need = NEED_NO_SECURE, UNKNOWN)},
    {"discard-read-only", "a discard on a read-only disk (XSA-142)",
     BAD(BLKIF_CODE_DISCARD, .need = NEED_READ_ONLY, .status = HOSTILE_ANY_ERROR)},
    {"write-read-only", "a write to a read-only disk (XSA-142)",
     BAD(BLKIF_CODE_WRITE, ONE, .need = NEED_READ_ONLY, REFUSED)},
    {"flush-read-only", "a flush of a read-only disk (XSA-142)",
     BAD(BLKIF_CODE_FLUSH, .segments = 0, .need = NEED_READ_ONLY, .status = HOSTILE_ANY_ERROR)},
    {"part-read", "a read of a part of a sector",
     BAD(BLKIF_CODE_READ, .segments = 1, .last = 0, .need = NEED_LARGE_SECTORS, REFUSED)},
    {"part-write", "a write of one",
     BAD(BLKIF_CODE_WRITE, .segments = 1, .first = 3, .last = 3, .need = NEED_LARGE_SECTORS, REFUSED)},
    {"read-bad-ref", "a read into a page never granted", BAD(BLKIF_CODE_READ, ONE, .bad_ref = true, REFUSED)},
    {"write-bad-ref", "a write from a page never granted",
     BAD(BLKIF_CODE_WRITE, ONE, .bad_ref = true, .need = NEED_WRITABLE, REFUSED)},
    {"bad-segment", "each segment bad in turn (XSA-361, 362, 365)", run_bad_segment, NULL},
    {"bad-in-batch", "each request of a batch bad in turn (XSA-361, 362, 365)", run_bad_in_batch, NULL},
    {"revoked", "a page used, taken back, and used again", run_revoked, NULL},
    {"many-refs", "a new page with each request (XSA-300)", run_many_refs, NULL},
    {0},
};

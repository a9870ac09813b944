/* SPDX-License-Identifier: MIT */
/*
 * A request's life here:   plan (where, how long, which segments) -> send -> answered: check -> its tag is free.
 *
 * Writes never overlap other writes in flight; reads may overlap them, and then may return either version. Segments are made as a guest's memory
 * makes them: full pages one after the other, or pieces scattered over the pages in any order. A page's sectors outside its segment hold a
 * pattern that must still be there when a read was answered.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xendev/grant.h>

#include "sector.h"
#include "workload.h"

#define GUARD_BYTE  0xc5
#define PLACE_TRIES 8

enum {
    SECTORS_MAX = BLKIF_INDIRECT_SEGMENTS * BLKIF_SECTORS_PER_PAGE /* of a request */
};

struct workload_request {
    uint8_t code;
    uint64_t sector;
    unsigned count; /* sectors */
    unsigned segment_count;
    struct {
        uint8_t page, first, last;
    } segments[BLKIF_INDIRECT_SEGMENTS];
    uint32_t floors[SECTORS_MAX]; /* model_floor() of each sector when sent */
};

static void fail(struct workload *workload, const char *why)
{
    if (!workload->failed)
        guest_say("vbd %u: %s", workload->front->config.devid, why);
    workload->failed = true;
    workload->phase = WORKLOAD_DRAINING;
}

/* ---- Planning. ------------------------------------------------------------------------------------------------------ */

/* Cuts a request of `count` sectors into segments, each in a page of its own. */
static void plan_segments(struct workload *workload, struct workload_request *request)
{
    const unsigned most = request->code == BLKIF_CODE_BARRIER ? BLKIF_DIRECT_SEGMENTS : workload->front->segments;
    uint8_t pages[BLKIF_INDIRECT_SEGMENTS];
    unsigned left = request->count;
    unsigned full = (request->count + BLKIF_SECTORS_PER_PAGE - 1) / BLKIF_SECTORS_PER_PAGE;
    bool scatter = workload->config.poison == 0 && random_below(&workload->random, 2) != 0;

    for (unsigned i = 0; i < most; i++)
        pages[i] = (uint8_t)i;
    request->segment_count = 0;
    for (unsigned i = 0; left > 0 && i < most; i++) {
        request->segment_count++;
        unsigned length = left < BLKIF_SECTORS_PER_PAGE ? left : BLKIF_SECTORS_PER_PAGE;
        unsigned first = 0;
        if (scatter) {
            /* A short segment is fine as long as full pages suffice for the rest. */
            unsigned swap = i + (unsigned)random_below(&workload->random, most - i);
            uint8_t page = pages[swap];
            pages[swap] = pages[i];
            pages[i] = page;
            if (i + full < most)
                length = 1 + (unsigned)random_below(&workload->random, length);
            first = (unsigned)random_below(&workload->random, BLKIF_SECTORS_PER_PAGE - length + 1);
        }
        request->segments[i].page = pages[i];
        request->segments[i].first = (uint8_t)first;
        request->segments[i].last = (uint8_t)(first + length - 1);
        left -= length;
        full = (left + BLKIF_SECTORS_PER_PAGE - 1) / BLKIF_SECTORS_PER_PAGE;
    }
}

static bool is_write(uint8_t code)
{
    return code == BLKIF_CODE_WRITE || code == BLKIF_CODE_BARRIER;
}

/* What a request does that is no read. */
static uint8_t choose_change(struct workload *workload)
{
    const struct workload_config *config = &workload->config;
    uint64_t chance = random_below(&workload->random, 100);

    if (chance < config->flush_percent)
        return BLKIF_CODE_FLUSH;
    if (chance < config->flush_percent + config->discard_percent)
        return BLKIF_CODE_DISCARD;
    return chance < config->flush_percent + config->discard_percent + config->barrier_percent ? BLKIF_CODE_BARRIER
                                                                                              : BLKIF_CODE_WRITE;
}

/* Most sectors of one request on this connection. */
static uint64_t sectors_max(const struct workload *workload)
{
    return (uint64_t)workload->front->segments * BLKIF_SECTORS_PER_PAGE;
}

/* Sectors of the model that the disk has. */
static uint64_t usable(const struct workload *workload)
{
    uint64_t there = workload->front->disk.sectors - model_first(workload->model);

    return there < model_count(workload->model) ? there : model_count(workload->model);
}

/* Chooses what a random request does; false when nothing fits just now. */
static bool plan_mixed(struct workload *workload, struct workload_request *request)
{
    struct random *random = &workload->random;
    const struct workload_config *config = &workload->config;
    uint64_t first = model_first(workload->model);
    uint64_t total = usable(workload);
    uint64_t min = config->min / BLKIF_SECTOR_SIZE;
    uint64_t max = config->max / BLKIF_SECTOR_SIZE;
    if (max > sectors_max(workload)) /* where indirect requests are not offered */
        max = sectors_max(workload);
    if (min > max)
        min = max;
    const uint64_t barrier_max = (uint64_t)BLKIF_DIRECT_SEGMENTS * BLKIF_SECTORS_PER_PAGE;
    const unsigned unit = workload->front->disk.sector_size / BLKIF_SECTOR_SIZE;
    bool poisoned = config->poison != 0 && workload->planned + 1 == config->poison;

    request->code = BLKIF_CODE_READ;
    if (poisoned)
        request->code = BLKIF_CODE_WRITE;
    else if (random_below(random, 100) >= config->read_percent)
        request->code = choose_change(workload);
    if (request->code == BLKIF_CODE_FLUSH || (request->code == BLKIF_CODE_BARRIER && random_below(random, 4) == 0))
        return true; /* a barrier may be without data, too */
    if (request->code == BLKIF_CODE_BARRIER && max > barrier_max)
        max = barrier_max;
    if (min > max)
        min = max;
    if (request->code == BLKIF_CODE_DISCARD) {
        min = 1;
        max = config->discard_max / BLKIF_SECTOR_SIZE;
    }
    for (unsigned tries = 0; tries < PLACE_TRIES; tries++) {
        request->count = (unsigned)(min + random_below(random, max - min + 1));
        if (poisoned)
            request->count = WORKLOAD_POISON / BLKIF_SECTOR_SIZE;
        else if (config->poison != 0)
            request->count = (request->count + BLKIF_SECTORS_PER_PAGE - 1) & ~(BLKIF_SECTORS_PER_PAGE - 1);
        request->count = (request->count + unit - 1) / unit * unit;
        if (request->count > total)
            request->count = (unsigned)total;
        request->sector = first + random_below(random, (total - request->count) / unit + 1) * unit;
        if (request->code == BLKIF_CODE_READ || !model_busy(workload->model, request->sector, request->count))
            return true;
    }
    return false;
}

static bool plan(struct workload *workload, struct workload_request *request)
{
    request->count = 0;
    request->segment_count = 0;
    if (workload->phase == WORKLOAD_MIXED) {
        if (workload->left == 0 || !plan_mixed(workload, request))
            return false;
        workload->left--;
        workload->planned++;
    } else if (workload->phase == WORKLOAD_VERIFYING) {
        uint64_t left = model_first(workload->model) + usable(workload) - workload->next;
        if (left == 0)
            return false;
        request->code = BLKIF_CODE_READ;
        request->sector = workload->next;
        request->count = (unsigned)(left < sectors_max(workload) ? left : sectors_max(workload));
        workload->next += request->count;
    } else {
        return false;
    }
    if (request->code != BLKIF_CODE_DISCARD)
        plan_segments(workload, request);
    return true;
}

/* ---- Sending. ------------------------------------------------------------------------------------------------------- */

static uint8_t *sector_at(struct workload *workload, unsigned tag, unsigned segment, unsigned sector)
{
    uint8_t *page = blkfront_page(workload->front, tag, workload->requests[tag].segments[segment].page);
    return page + (size_t)sector * BLKIF_SECTOR_SIZE;
}

/* Writes: the sectors' new content, which the model learns as it does of discards. Reads: the pattern everywhere. */
static void prepare_pages(struct workload *workload, unsigned tag)
{
    struct workload_request *request = &workload->requests[tag];
    unsigned done = 0;

    if (request->code == BLKIF_CODE_DISCARD)
        for (unsigned i = 0; i < request->count; i++)
            model_discard(workload->model, request->sector + i);
    for (unsigned i = 0; i < request->segment_count; i++) {
        if (request->code == BLKIF_CODE_READ)
            memset(sector_at(workload, tag, i, 0), GUARD_BYTE, XENDEV_PAGE_SIZE);
        for (unsigned s = request->segments[i].first; s <= request->segments[i].last; s++, done++) {
            if (is_write(request->code))
                model_write(workload->model, request->sector + done, sector_at(workload, tag, i, s));
            else
                request->floors[done] = model_floor(workload->model, request->sector + done);
        }
    }
}

/* Those that are too large to be direct, and some that are not. */
static bool is_indirect(struct workload *workload, const struct workload_request *request)
{
    if (workload->front->segments <= BLKIF_DIRECT_SEGMENTS || request->segment_count == 0 ||
        request->code == BLKIF_CODE_BARRIER)
        return false;
    return request->segment_count > BLKIF_DIRECT_SEGMENTS || random_below(&workload->random, 4) == 0;
}

static void send(struct workload *workload, unsigned tag)
{
    const struct workload_request *request = &workload->requests[tag];
    struct blkif_message message = {.code = request->code,
                                    .segment_count = (uint16_t)request->segment_count,
                                    .sector = request->sector,
                                    .discard_sectors = request->count,
                                    .discard_flag = request->code == BLKIF_CODE_DISCARD &&
                                                    workload->config.discard_secure &&
                                                    workload->front->disk.discard_secure,
                                    .handle = (uint16_t)workload->front->config.devid};
    struct blkif_segment segments[BLKIF_INDIRECT_SEGMENTS];

    for (unsigned i = 0; i < request->segment_count; i++)
        segments[i] = (struct blkif_segment){.gref = blkfront_ref(workload->front, tag, request->segments[i].page),
                                             .first_sector = request->segments[i].first,
                                             .last_sector = request->segments[i].last};
    if (is_indirect(workload, request)) {
        blkfront_make_indirect(workload->front, tag, &message, segments, request->segment_count);
        workload->counts.indirect++;
    } else {
        memcpy(message.segments, segments, request->segment_count * sizeof segments[0]);
    }
    blkfront_send(workload->front, tag, &message);
}

/* Sends as long as there is something to send and a tag to send it with. */
static void refill(void *arg)
{
    struct workload *workload = arg;

    while (workload->free_count > 0 && workload->front->complaint[0] == '\0') {
        unsigned tag = workload->free_tags[workload->free_count - 1];
        struct workload_request *request = &workload->requests[tag];
        if (!plan(workload, request))
            break;
        if (request->count == 0)
            request->sector = 0;
        workload->free_count--;
        prepare_pages(workload, tag);
        send(workload, tag);
    }
    blkfront_kick(workload->front);
}

/* ---- Answers. ------------------------------------------------------------------------------------------------------- */

static bool guards_intact(struct workload *workload, unsigned tag)
{
    const struct workload_request *request = &workload->requests[tag];

    for (unsigned i = 0; i < request->segment_count; i++) {
        for (unsigned s = 0; s < BLKIF_SECTORS_PER_PAGE; s++) {
            if (s >= request->segments[i].first && s <= request->segments[i].last)
                continue;
            const uint8_t *bytes = sector_at(workload, tag, i, s);
            if (bytes[0] != GUARD_BYTE || memcmp(bytes, bytes + 1, BLKIF_SECTOR_SIZE - 1) != 0)
                return false;
        }
    }
    return true;
}

static void check_read(struct workload *workload, unsigned tag)
{
    const struct workload_request *request = &workload->requests[tag];
    unsigned done = 0;

    for (unsigned i = 0; i < request->segment_count; i++) {
        for (unsigned s = request->segments[i].first; s <= request->segments[i].last; s++, done++) {
            char why[160];
            uint64_t sector = request->sector + done;
            if (model_check(workload->model, sector, request->floors[done], sector_at(workload, tag, i, s), why,
                            sizeof why)) {
                workload->counts.sectors_verified++;
            } else {
                workload->counts.mismatches++;
                fail(workload, why);
            }
        }
    }
    if (!guards_intact(workload, tag)) {
        workload->counts.mismatches++;
        fail(workload, "a read wrote outside its segments");
    }
    workload->counts.bytes_read += (uint64_t)request->count * BLKIF_SECTOR_SIZE;
}

/* Ends the write of every sector of a request. */
static void end_write(struct workload *workload, const struct workload_request *request, bool acknowledged)
{
    for (unsigned i = 0; i < request->count; i++)
        model_written(workload->model, request->sector + i, acknowledged);
    if (acknowledged)
        workload->counts.bytes_written += (uint64_t)request->count * BLKIF_SECTOR_SIZE;
}

static void end_discard(struct workload *workload, const struct workload_request *request, bool acknowledged)
{
    for (unsigned i = 0; i < request->count; i++)
        model_discarded(workload->model, request->sector + i);
    if (acknowledged)
        workload->counts.bytes_discarded += (uint64_t)request->count * BLKIF_SECTOR_SIZE;
}

static void answered(void *arg, unsigned tag, int16_t status)
{
    struct workload *workload = arg;
    struct workload_request *request = &workload->requests[tag];
    bool okay = status == BLKIF_STATUS_OKAY;

    if (request->code == BLKIF_CODE_READ) {
        workload->counts.reads++;
        if (okay)
            check_read(workload, tag);
    } else if (request->code == BLKIF_CODE_WRITE) {
        workload->counts.writes++;
        end_write(workload, request, okay);
    } else if (request->code == BLKIF_CODE_BARRIER) {
        workload->counts.barriers++;
        workload->counts.barriers_empty += request->count == 0;
        end_write(workload, request, okay);
    } else if (request->code == BLKIF_CODE_DISCARD) {
        workload->counts.discards++;
        end_discard(workload, request, okay);
    } else {
        workload->counts.flushes++;
    }
    if (!okay) {
        workload->counts.errors++;
        if (!workload->config.allow_errors) {
            guest_say("vbd %u: operation %u on sectors %" PRIu64 "+%u got status %d", workload->front->config.devid,
                      request->code, request->sector, request->count, status);
            fail(workload, "a request failed");
        }
    }
    workload->free_tags[workload->free_count++] = tag;
}

/* ---- Control. ------------------------------------------------------------------------------------------------------- */

static int workload_open_model(struct workload *workload)
{
    const struct workload_config *config = &workload->config;
    const struct blkfront *front = workload->front;
    uint64_t first = config->from / BLKIF_SECTOR_SIZE;
    uint64_t count = (config->span != 0 ? config->span : WORKLOAD_SPAN_MAX) / BLKIF_SECTOR_SIZE;
    char path[4096] = "";

    if (first >= front->disk.sectors) {
        guest_say("vbd %u: has only %" PRIu64 " sectors", front->config.devid, front->disk.sectors);
        return -ERANGE;
    }
    if (count > front->disk.sectors - first && !config->grows)
        count = front->disk.sectors - first;
    if (config->state != NULL)
        snprintf(path, sizeof path, "%s.%u", config->state, front->config.devid);
    int rc = model_open(&(struct model_params){.path = config->state != NULL ? path : NULL,
                                               .seed = config->seed,
                                               .first = first,
                                               .count = count,
                                               .blank = config->blank},
                        &workload->model);
    if (rc == 0 && (model_first(workload->model) != first || model_count(workload->model) != count)) {
        guest_say("vbd %u: %s is of other sectors", front->config.devid, path);
        return -EINVAL;
    }
    if (rc < 0)
        guest_say("vbd %u: cannot keep a model of %" PRIu64 " sectors: %s", front->config.devid, count, strerror(-rc));
    return rc;
}

int workload_open(struct workload *workload, struct blkfront *front, const struct workload_config *config)
{
    *workload = (struct workload){.front = front, .config = *config, .random = {config->seed ^ front->config.devid}};
    if (front->disk.read_only)
        workload->config.read_percent = 100;
    if (!front->disk.flush)
        workload->config.flush_percent = 0;
    if (!front->disk.discard)
        workload->config.discard_percent = 0;
    if (!front->disk.barrier)
        workload->config.barrier_percent = 0;

    int rc = workload_open_model(workload);
    if (rc < 0) {
        workload_close(workload);
        return rc;
    }
    workload->requests = calloc(front->config.depth, sizeof *workload->requests);
    workload->free_tags = calloc(front->config.depth, sizeof *workload->free_tags);
    if (workload->requests == NULL || workload->free_tags == NULL) {
        workload_close(workload);
        guest_say("out of memory");
        return -ENOMEM;
    }
    front->answered = answered;
    front->drained = refill;
    front->arg = workload;
    return 0;
}

void workload_close(struct workload *workload)
{
    model_close(workload->model);
    free(workload->requests);
    free(workload->free_tags);
    *workload = (struct workload){0};
}

static void start(struct workload *workload, enum workload_phase phase)
{
    workload->phase = phase;
    workload->free_count = 0;
    while (workload->free_count < workload->front->depth) {
        workload->free_tags[workload->free_count] = workload->free_count;
        workload->free_count++;
    }
    refill(workload);
}

void workload_run(struct workload *workload, uint64_t requests)
{
    workload->left = requests;
    start(workload, WORKLOAD_MIXED);
}

void workload_verify(struct workload *workload)
{
    workload->next = model_first(workload->model);
    start(workload, WORKLOAD_VERIFYING);
}

void workload_stop(struct workload *workload)
{
    workload->phase = WORKLOAD_DRAINING;
}

void workload_abandon(struct workload *workload)
{
    struct blkfront *front = workload->front;

    for (unsigned tag = 0; tag < front->config.depth; tag++) {
        if (front->tags[tag].id != 0 && is_write(workload->requests[tag].code))
            end_write(workload, &workload->requests[tag], false);
        if (front->tags[tag].id != 0 && workload->requests[tag].code == BLKIF_CODE_DISCARD)
            end_discard(workload, &workload->requests[tag], false);
        front->tags[tag].id = 0;
    }
    front->in_flight = 0;
    workload->phase = WORKLOAD_IDLE;
}

bool workload_idle(const struct workload *workload)
{
    const struct blkfront *front = workload->front;
    bool more =
        (workload->phase == WORKLOAD_MIXED && workload->left > 0) ||
        (workload->phase == WORKLOAD_VERIFYING && workload->next < model_first(workload->model) + usable(workload));

    return front->device.lost || front->complaint[0] != '\0' || (!more && front->in_flight == 0);
}

bool workload_good(const struct workload *workload)
{
    return !workload->failed && !workload->front->device.lost && workload->front->complaint[0] == '\0';
}

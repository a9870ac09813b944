/* SPDX-License-Identifier: MIT */
/*
 * A list of segments is fetched when the head of its request was found good, and once: what is checked is used. It is not kept in the journal. A
 * successor that executes the request again fetches it again, as it does the data: the guest owes both until it is answered. One that changes
 * the list meanwhile gets what it asks for, within its own disk and its own memory, and one answer all the same.
 */
#include "intake.h"

#include <ring/back.h>

#include "discard.h"

/* A batch takes no more requests when it has so many segments: one turn moves not much more data than one of direct requests does. */
#define SEGMENTS_ENOUGH (INTAKE_MAX * BLKIF_DIRECT_SEGMENTS)

static enum disk_op disk_op_of(enum blkif_code code)
{
    switch (code) {
    case BLKIF_CODE_READ:
        return DISK_READ;
    case BLKIF_CODE_WRITE:
        return DISK_WRITE;
    case BLKIF_CODE_DISCARD:
        return DISK_DISCARD;
    default:
        return DISK_FLUSH; /* the validator lets nothing else through but barriers, which begin with one */
    }
}

static enum blkback_counted_op counted_op_of(const struct blkif_job *job)
{
    switch (job->code) {
    case BLKIF_CODE_READ:
        return BLKBACK_COUNTED_READ;
    case BLKIF_CODE_DISCARD:
        return BLKBACK_COUNTED_DISCARD;
    default:
        return job->length > 0 ? BLKBACK_COUNTED_WRITE : BLKBACK_COUNTED_FLUSH;
    }
}

void intake_resized(struct intake *intake, const struct disk *disk)
{
    struct disk_info info;

    disk_get_info(disk, &info);
    intake->limits.sectors = info.size / BLKIF_SECTOR_SIZE;
}

struct blkif_limits intake_limits(const struct disk_info *disk, bool discard, unsigned indirect)
{
    return (struct blkif_limits){
        .sectors = disk->size / BLKIF_SECTOR_SIZE,
        .read_only = disk->read_only,
        .flush = !disk->read_only,
        .barrier = !disk->read_only,
        .discard = discard && !disk->read_only && disk->discard_granularity > 0,
        .indirect_segments = (uint16_t)indirect,
    };
}

void intake_init(struct intake *intake)
{
    STAILQ_INIT(&intake->waiting);
    intake->count = intake->segments = 0;
}

bool intake_waits(const struct intake *intake)
{
    return !STAILQ_EMPTY(&intake->waiting);
}

bool intake_has_room(const struct intake *intake)
{
    return !intake_waits(intake) && intake->count < INTAKE_MAX && intake->segments < SEGMENTS_ENOUGH;
}

bool intake_is_barrier(const struct ring_request *request, void *intake)
{
    return ((struct intake *)intake)->limits.barrier && blkif_code_of(request->bytes) == BLKIF_CODE_BARRIER;
}

void intake_add(struct intake *intake, const struct ring_request *request, bool replayed)
{
    struct arrival *arrival = &intake->arrivals[intake->count++];
    struct blkif_message *message = &arrival->message;

    arrival->slot = &intake->slots[request->index];
    arrival->replayed = replayed;
    arrival->list = NULL;
    blkif_decode(intake->abi, request->bytes, message);
    arrival->slot->id = message->id;
    arrival->slot->response_code = blkif_response_code(message);
    arrival->slot->fault = BLKIF_FAULT_NONE;
    arrival->slot->empty = false;
    arrival->slot->barrier = intake_is_barrier(request, intake);
    if (message->code == BLKIF_CODE_INDIRECT &&
        blkif_indirect_pages(message, &intake->limits, &arrival->slot->fault) == 0)
        return;
    intake->segments += message->segment_count < BLKIF_INDIRECT_SEGMENTS ? message->segment_count : 0;
}

/* Fetches the lists of all indirect requests; one that cannot be had refuses its request. */
static void fetch_lists(struct intake *intake)
{
    unsigned count = 0;

    for (unsigned i = 0; i < intake->count; i++) {
        struct arrival *arrival = &intake->arrivals[i];
        if (arrival->message.code != BLKIF_CODE_INDIRECT || arrival->slot->fault != BLKIF_FAULT_NONE)
            continue;
        arrival->list = &intake->lists[count++];
        *arrival->list =
            (struct memory_list){.gref = arrival->message.indirect_grefs[0], .count = arrival->message.segment_count};
    }
    if (count == 0)
        return;
    memory_fetch_lists(intake->memory, intake->lists, count);
    for (unsigned i = 0; i < intake->count; i++) {
        struct arrival *arrival = &intake->arrivals[i];
        if (arrival->list != NULL && arrival->list->failed)
            arrival->slot->fault = BLKIF_FAULT_GRANT;
    }
}

/* Fills in the request's job and extents, or why it is refused. */
static void check(struct intake *intake, const struct arrival *arrival)
{
    const struct memory_list *list = arrival->list;
    const struct blkif_message *message = &arrival->message;
    struct blkif_segment many[BLKIF_INDIRECT_SEGMENTS];
    const struct blkif_segment *segments = message->segments;
    struct slot *slot = arrival->slot;

    if (list != NULL) {
        blkif_segments_decode(list->bytes, list->count, many);
        segments = many;
    }
    memory_prepare(intake->memory, (unsigned)(slot - intake->slots), &slot->data,
                   list != NULL ? list->count : BLKIF_DIRECT_SEGMENTS);
    slot->fault = blkif_validate(message, segments, &intake->limits, &slot->job, slot->data.extents);
    if (slot->fault == BLKIF_FAULT_NONE)
        slot->fault = discard_judge(&slot->job, intake->discard_secure);
    if (slot->fault != BLKIF_FAULT_NONE)
        return;

    slot->drive.io.op = disk_op_of(slot->job.code);
    slot->counted = counted_op_of(&slot->job);
    if (!arrival->replayed) {
        intake->counters->requests[slot->counted]++;
        intake->counters->requests_indirect += list != NULL;
        intake->counters->requests_barrier += slot->barrier;
    }
    slot->drive.io.offset = slot->drive.io.op == DISK_FLUSH ? 0 : slot->job.offset;
    if (slot->barrier)
        barrier_first(&slot->step, &slot->drive.io);
    slot->data.extent_count = slot->job.extent_count;
    slot->empty = slot->drive.io.op == DISK_DISCARD && !discard_begin(&slot->job, &slot->drive.io);
}

/* Returns false when it has to wait. */
static bool bind(struct intake *intake, struct slot *slot)
{
    if (!memory_bind(intake->memory, (unsigned)(slot - intake->slots), &slot->data))
        return false;
    slot->drive.io.iov = slot->data.iov;
    slot->drive.io.iov_count = slot->data.iov_count;
    return true;
}

unsigned intake_resume(struct intake *intake, struct slot **ret_slots)
{
    unsigned count = 0;

    while (count < INTAKE_MAX && intake_waits(intake)) {
        struct slot *slot = STAILQ_FIRST(&intake->waiting);
        if (!bind(intake, slot))
            break;
        STAILQ_REMOVE_HEAD(&intake->waiting, entry);
        ret_slots[count++] = slot;
    }
    return count;
}

unsigned intake_accept(struct intake *intake, struct slot **ret_slots, unsigned count)
{
    fetch_lists(intake);
    for (unsigned i = 0; i < intake->count; i++) {
        struct slot *slot = intake->arrivals[i].slot;
        if (slot->fault == BLKIF_FAULT_NONE)
            check(intake, &intake->arrivals[i]);
        /* What comes behind one that waits, waits behind it. */
        if (slot->fault == BLKIF_FAULT_NONE && !slot->empty && (intake_waits(intake) || !bind(intake, slot)))
            STAILQ_INSERT_TAIL(&intake->waiting, slot, entry);
        else
            ret_slots[count++] = slot;
    }
    intake->count = intake->segments = 0;
    return count;
}

/* SPDX-License-Identifier: MIT */
/*
 * From what a guest asked for to what is safe to do: the only way from a blkif_message to a blkif_job.
 *
 * The order of the checks is fixed, so that each bad request has one reason: the operation, the disk's mode, the number
 * of segments, each segment, the range on the disk. Quantities of the guest are compared with what is left, never added
 * to each other.
 */
#include <ring/blkif.h>

static const char *const fault_names[] = {
    [BLKIF_FAULT_NONE] = "none",
    [BLKIF_FAULT_OPERATION] = "operation",
    [BLKIF_FAULT_SEGMENT_COUNT] = "segment-count",
    [BLKIF_FAULT_SEGMENT] = "segment",
    [BLKIF_FAULT_RANGE] = "range",
    [BLKIF_FAULT_READ_ONLY] = "read-only",
    [BLKIF_FAULT_GRANT] = "grant",
    [BLKIF_FAULT_IO] = "io",
};
_Static_assert(sizeof fault_names / sizeof fault_names[0] == BLKIF_FAULTS, "each fault has a name");

const char *blkif_fault_name(enum blkif_fault fault)
{
    return fault_names[fault];
}

enum blkif_status blkif_fault_status(enum blkif_fault fault)
{
    switch (fault) {
    case BLKIF_FAULT_NONE:
        return BLKIF_STATUS_OKAY;
    case BLKIF_FAULT_OPERATION:
        return BLKIF_STATUS_UNSUPPORTED;
    default:
        return BLKIF_STATUS_ERROR;
    }
}

/* The operation, and whether this disk does it. */
static enum blkif_fault check_operation(const struct blkif_message *message, const struct blkif_limits *limits)
{
    bool known;
    switch (message->code) {
    case BLKIF_CODE_READ:
    case BLKIF_CODE_WRITE:
        known = true;
        break;
    case BLKIF_CODE_BARRIER:
        known = limits->barrier;
        break;
    case BLKIF_CODE_FLUSH:
        known = limits->flush;
        break;
    case BLKIF_CODE_DISCARD:
        known = limits->discard;
        break;
    case BLKIF_CODE_INDIRECT:
        known =
            limits->indirect_segments > 0 && (message->inner == BLKIF_CODE_READ || message->inner == BLKIF_CODE_WRITE);
        break;
    default:
        known = false;
    }
    if (!known)
        return BLKIF_FAULT_OPERATION;
    if (limits->read_only && blkif_response_code(message) != BLKIF_CODE_READ)
        return BLKIF_FAULT_READ_ONLY;
    return BLKIF_FAULT_NONE;
}

static enum blkif_fault check_segment_count(const struct blkif_message *message, const struct blkif_limits *limits)
{
    unsigned least = 1, most = BLKIF_DIRECT_SEGMENTS;
    switch (message->code) {
    case BLKIF_CODE_BARRIER:
        least = 0;
        break;
    case BLKIF_CODE_FLUSH: /* carries no data: refused rather than lost */
        least = 0;
        most = 0;
        break;
    case BLKIF_CODE_INDIRECT:
        most = limits->indirect_segments;
        break;
    default:
        break;
    }
    if (message->segment_count < least || message->segment_count > most)
        return BLKIF_FAULT_SEGMENT_COUNT;
    return BLKIF_FAULT_NONE;
}

/* Sets the sectors all segments cover: at most 8 each, so the sum cannot wrap. */
static enum blkif_fault check_segments(const struct blkif_segment *segments, unsigned count, uint64_t *ret_sectors)
{
    uint64_t sectors = 0;
    for (unsigned i = 0; i < count; i++) {
        if (segments[i].first_sector > segments[i].last_sector || segments[i].last_sector >= BLKIF_SECTORS_PER_PAGE)
            return BLKIF_FAULT_SEGMENT;
        sectors += segments[i].last_sector - segments[i].first_sector + 1u;
    }
    *ret_sectors = sectors;
    return BLKIF_FAULT_NONE;
}

static enum blkif_fault check_range(uint64_t sector, uint64_t sectors, const struct blkif_limits *limits)
{
    if (sector > limits->sectors || sectors > limits->sectors - sector)
        return BLKIF_FAULT_RANGE;
    return BLKIF_FAULT_NONE;
}

static enum blkif_fault validate_discard(const struct blkif_message *message, const struct blkif_limits *limits,
                                         struct blkif_job *ret_job)
{
    enum blkif_fault fault = check_range(message->sector, message->discard_sectors, limits);
    if (fault == BLKIF_FAULT_NONE)
        *ret_job = (struct blkif_job){
            .code = BLKIF_CODE_DISCARD,
            .offset = message->sector * BLKIF_SECTOR_SIZE,
            .length = message->discard_sectors * BLKIF_SECTOR_SIZE,
            .secure = message->discard_flag & 1,
        };
    return fault;
}

enum blkif_fault blkif_validate(const struct blkif_message *message, const struct blkif_segment *segments,
                                const struct blkif_limits *limits, struct blkif_job *ret_job,
                                struct blkif_extent *ret_extents)
{
    enum blkif_fault fault = check_operation(message, limits);
    if (fault != BLKIF_FAULT_NONE)
        return fault;
    if (message->code == BLKIF_CODE_DISCARD)
        return validate_discard(message, limits, ret_job);

    uint64_t sectors = 0;
    fault = check_segment_count(message, limits);
    if (fault == BLKIF_FAULT_NONE)
        fault = check_segments(segments, message->segment_count, &sectors);
    if (fault == BLKIF_FAULT_NONE && sectors > 0) /* a bare flush or barrier has no place on the disk */
        fault = check_range(message->sector, sectors, limits);
    if (fault != BLKIF_FAULT_NONE)
        return fault;

    for (unsigned i = 0; i < message->segment_count; i++)
        ret_extents[i] = (struct blkif_extent){
            .gref = segments[i].gref,
            .offset = (uint16_t)(segments[i].first_sector * BLKIF_SECTOR_SIZE),
            .length = (uint16_t)((segments[i].last_sector - segments[i].first_sector + 1u) * BLKIF_SECTOR_SIZE),
        };

    *ret_job = (struct blkif_job){
        .code = (enum blkif_code)blkif_response_code(message),
        .offset = sectors > 0 ? message->sector * BLKIF_SECTOR_SIZE : 0,
        .length = sectors * BLKIF_SECTOR_SIZE,
        .extent_count = message->segment_count,
    };
    return BLKIF_FAULT_NONE;
}

unsigned blkif_indirect_pages(const struct blkif_message *message, const struct blkif_limits *limits,
                              enum blkif_fault *ret_fault)
{
    enum blkif_fault fault = check_operation(message, limits);
    if (fault == BLKIF_FAULT_NONE)
        fault = check_segment_count(message, limits);
    if (fault != BLKIF_FAULT_NONE) {
        *ret_fault = fault;
        return 0;
    }
    return (message->segment_count + BLKIF_SEGMENTS_PER_PAGE - 1) / BLKIF_SEGMENTS_PER_PAGE;
}

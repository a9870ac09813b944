/* SPDX-License-Identifier: MIT */
/*
 * The block protocol: any bytes decode, encode back to the same fields, and pass the validator only as something that
 * stays within the disk and within each page. The first byte: ABI and what is offered; then two of limits, a request,
 * the segments of an indirect page.
 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <ring/blkif.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_job(const struct blkif_message *message, const struct blkif_segment *segments,
                      const struct blkif_limits *limits, const struct blkif_job *job,
                      const struct blkif_extent *extents)
{
    uint64_t length = 0;
    assert(!limits->read_only || job->code == BLKIF_CODE_READ);
    assert(job->code != BLKIF_CODE_INDIRECT);
    assert(job->offset % BLKIF_SECTOR_SIZE == 0 && job->length % BLKIF_SECTOR_SIZE == 0);
    assert(job->offset / BLKIF_SECTOR_SIZE <= limits->sectors);
    assert(job->length / BLKIF_SECTOR_SIZE <= limits->sectors - job->offset / BLKIF_SECTOR_SIZE);
    if (job->length > 0)
        assert(job->offset / BLKIF_SECTOR_SIZE == message->sector);

    assert(job->extent_count <=
           (message->code == BLKIF_CODE_INDIRECT ? limits->indirect_segments : BLKIF_DIRECT_SEGMENTS));
    for (unsigned i = 0; i < job->extent_count; i++) {
        assert(extents[i].gref == segments[i].gref);
        assert(extents[i].length >= BLKIF_SECTOR_SIZE && extents[i].length % BLKIF_SECTOR_SIZE == 0);
        assert(extents[i].offset % BLKIF_SECTOR_SIZE == 0 && extents[i].offset + extents[i].length <= RING_PAGE_SIZE);
        length += extents[i].length;
    }
    if (job->code != BLKIF_CODE_DISCARD)
        assert(job->length == length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t input[3 + RING_REQUEST_MAX + RING_PAGE_SIZE] = {0};
    memcpy(input, data, size < sizeof input ? size : sizeof input);

    enum blkif_abi abi = input[0] % BLKIF_ABIS;
    struct blkif_limits limits = {
        .sectors = UINT64_C(1) << input[1] % 56,
        .read_only = input[0] & 0x10,
        .flush = input[0] & 0x20,
        .barrier = input[0] & 0x40,
        .discard = input[0] & 0x80,
        .indirect_segments = input[2],
    };

    struct blkif_message message, again;
    uint8_t bytes[RING_REQUEST_MAX];
    memcpy(bytes, input + 3, sizeof bytes);
    blkif_decode(abi, bytes, &message);
    blkif_encode(abi, &message, bytes);
    assert(memcmp(bytes, input + 3, sizeof bytes) == 0);
    memset(&again, 0x5a, sizeof again);
    blkif_decode(abi, bytes, &again);
    assert(again.code == message.code && again.id == message.id && again.sector == message.sector &&
           again.handle == message.handle);
    assert(memcmp(again.segments, message.segments, sizeof again.segments) == 0);

    struct blkif_segment indirect[BLKIF_SEGMENTS_PER_PAGE], *segments = message.segments;
    enum blkif_fault fault = BLKIF_FAULT_NONE;
    if (message.code == BLKIF_CODE_INDIRECT) {
        unsigned count = blkif_indirect_pages(&message, &limits, &fault);
        assert(count == (fault == BLKIF_FAULT_NONE ? 1 : 0));
        blkif_segments_decode(input + 3 + RING_REQUEST_MAX, BLKIF_SEGMENTS_PER_PAGE, indirect);
        segments = indirect;
    }

    struct blkif_job job;
    struct blkif_extent extents[BLKIF_INDIRECT_SEGMENTS];
    enum blkif_fault verdict = blkif_validate(&message, segments, &limits, &job, extents);
    assert(verdict < BLKIF_FAULTS && (fault == BLKIF_FAULT_NONE || verdict == fault));
    if (verdict == BLKIF_FAULT_NONE)
        check_job(&message, segments, &limits, &job, extents);

    uint64_t id;
    uint8_t code;
    int16_t status;
    uint8_t response[RING_RESPONSE_MAX];
    blkif_response_encode(abi, message.id, blkif_response_code(&message), (int16_t)blkif_fault_status(verdict),
                          response);
    blkif_response_decode(abi, response, &id, &code, &status);
    assert(id == message.id && code == blkif_response_code(&message) && status <= 0);
    return 0;
}

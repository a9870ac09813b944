/* SPDX-License-Identifier: MIT */
/* See describe.h: numbers for the operator, taken from bytes that may say anything. */
#include "describe.h"

#include <stdio.h>

void describe_request(enum blkif_abi abi, const struct ring_request *request, struct blkback_request *ret_request)
{
    struct blkif_message message;

    blkif_decode(abi, request->bytes, &message);
    *ret_request = (struct blkback_request){
        .id = message.id, .sector = message.sector, .code = message.code, .attempts = request->crashes};
    if (message.code == BLKIF_CODE_INDIRECT) { /* its list is the guest's, and not looked at for this */
        ret_request->code = message.inner;
        ret_request->segments = message.segment_count;
    }
    if (message.code == BLKIF_CODE_DISCARD)
        ret_request->sectors = message.discard_sectors < UINT32_MAX ? (uint32_t)message.discard_sectors : UINT32_MAX;
    if (message.code != BLKIF_CODE_READ && message.code != BLKIF_CODE_WRITE && message.code != BLKIF_CODE_BARRIER)
        return;
    for (unsigned i = 0; i < message.segment_count && i < BLKIF_DIRECT_SEGMENTS; i++) {
        const struct blkif_segment *segment = &message.segments[i];
        if (segment->first_sector <= segment->last_sector)
            ret_request->sectors += (uint32_t)(segment->last_sector - segment->first_sector) + 1;
    }
}

void describe_impossible(const struct ring_back *ring, unsigned queue, char *ret_reason, size_t size)
{
    struct ring_indices indices;

    ring_back_indices(ring, &indices);
    snprintf(ret_reason, size,
             "the guest's request producer %u of queue %u is impossible: %u requests were read, %u answered, of a ring "
             "of %u",
             indices.req_prod, queue, indices.req_cons, indices.rsp_prod, ring->layout.slots);
}

void describe_indices(const struct ring_back *ring, struct blkback_queue_counters *counters)
{
    struct ring_indices indices;

    ring_back_indices(ring, &indices);
    counters->req_prod = indices.req_prod;
    counters->req_event = indices.req_event;
    counters->rsp_prod = indices.rsp_prod;
    counters->rsp_event = indices.rsp_event;
    counters->req_cons = indices.req_cons;
    counters->in_flight = indices.in_flight;
}

/* SPDX-License-Identifier: MIT */
/*
 * Records of a capture's stream, from and to bytes.
 */
#include "capture_stream.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct layout {
    uint32_t type, direction;
    uint64_t number;
    uint32_t length, follow;
};
_Static_assert(sizeof(struct layout) == CAPTURE_RECORD_SIZE, "no padding");

void capture_record_encode(const struct capture_record *record, uint8_t ret_bytes[CAPTURE_RECORD_SIZE])
{
    const struct layout layout = {
        .type = htobe32(record->type),
        .direction = htobe32(record->direction),
        .number = htobe64(record->number),
        .length = htobe32(record->length),
        .follow = htobe32(record->follow),
    };

    memcpy(ret_bytes, &layout, sizeof(layout));
}

static bool is_possible(const struct capture_record *record)
{
    switch (record->type) {
    case CAPTURE_FRAME:
        return (record->direction == CAPTURE_SENT || record->direction == CAPTURE_RECEIVED) &&
               record->length <= CAPTURE_FRAME_MAX && record->follow <= record->length;
    case CAPTURE_DROPPED:
        return record->direction == 0 && record->length == 0 && record->follow == 0;
    case CAPTURE_END:
        return record->direction == 0 && record->number == 0 && record->length == 0 &&
               record->follow <= CAPTURE_REASON_MAX;
    default:
        return false;
    }
}

int capture_record_decode(const uint8_t bytes[CAPTURE_RECORD_SIZE], struct capture_record *ret_record)
{
    struct layout layout;

    memcpy(&layout, bytes, sizeof(layout));
    const struct capture_record record = {
        .type = be32toh(layout.type),
        .direction = be32toh(layout.direction),
        .number = be64toh(layout.number),
        .length = be32toh(layout.length),
        .follow = be32toh(layout.follow),
    };
    if (!is_possible(&record))
        return -EPROTO;
    *ret_record = record;
    return 0;
}

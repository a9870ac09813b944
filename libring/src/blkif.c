/* SPDX-License-Identifier: MIT */
/*
 * The block protocol's bytes and their native form.
 *
 * A request starts with its operation, which says what follows. Each ABI aligns 64-bit fields in its own way, which
 * moves everything behind the first four bytes (source: struct blkif_request, blkif_request_discard,
 * blkif_request_indirect in xen/io/blkif.h):
 *
 *   direct     operation:8 segments:8 handle:16          id:64 sector:64 { gref:32 first:8 last:8 pad:16 } * 11
 *   discard    operation:8 flag:8     handle:16          id:64 sector:64 sectors:64
 *   indirect   operation:8 inner:8    segments:16        id:64 sector:64 handle:16 pad:16 gref:32 * 8
 *   response   id:64 operation:8 pad:8 status:16
 *
 * Both ends run on one machine: bytes are in its order.
 */
#include <errno.h>
#include <string.h>

#include <ring/blkif.h>

/* The response's bytes that carry a field: all but byte 9 and what follows the status. */
#define RESPONSE_MASK 0xdffu

struct abi {
    const char *name;
    uint8_t id, sector, rest; /* offsets; `rest` is what follows the sector */
    uint32_t request_size, response_size;
};

static const struct abi abis[BLKIF_ABIS] = {
    [BLKIF_ABI_X86_32] = {"x86_32-abi", .id = 4, .sector = 12, .rest = 20, .request_size = 108, .response_size = 12},
    [BLKIF_ABI_X86_64] = {"x86_64-abi", .id = 8, .sector = 16, .rest = 24, .request_size = 112, .response_size = 16},
    [BLKIF_ABI_ARM] = {"arm-abi", .id = 8, .sector = 16, .rest = 24, .request_size = 112, .response_size = 16},
};

static uint16_t get_u16(const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint32_t get_u32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint64_t get_u64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

enum blkif_abi blkif_abi_native(void)
{
#if defined(__i386__)
    return BLKIF_ABI_X86_32;
#elif defined(__x86_64__)
    return BLKIF_ABI_X86_64;
#elif defined(__arm__) || defined(__aarch64__)
    return BLKIF_ABI_ARM;
#else
#error "no block ABI is defined for this processor"
#endif
}

const char *blkif_abi_name(enum blkif_abi abi)
{
    return abis[abi].name;
}

int blkif_abi_parse(const char *name, enum blkif_abi *ret_abi)
{
    for (enum blkif_abi abi = 0; abi < BLKIF_ABIS; abi++)
        if (strcmp(name, abis[abi].name) == 0) {
            *ret_abi = abi;
            return 0;
        }
    return -EINVAL;
}

struct ring_layout blkif_layout(enum blkif_abi abi, unsigned order)
{
    /* As many slots as fit, rounded down to a power of two: __CONST_RING_SIZE in xen/io/ring.h. */
    uint32_t fit = ((RING_PAGE_SIZE << order) - RING_HEADER_SIZE) / abis[abi].request_size;
    uint32_t slots = 1;
    while (slots <= fit / 2)
        slots *= 2;

    return (struct ring_layout){
        .slots = slots,
        .slot_size = abis[abi].request_size,
        .request_size = abis[abi].request_size,
        .response_size = abis[abi].response_size,
        .response_mask = RESPONSE_MASK,
    };
}

static unsigned direct_segments(const struct blkif_message *message)
{
    return message->segment_count < BLKIF_DIRECT_SEGMENTS ? message->segment_count : BLKIF_DIRECT_SEGMENTS;
}

uint8_t blkif_code_of(const void *bytes)
{
    return *(const uint8_t *)bytes;
}

void blkif_decode(enum blkif_abi abi, const void *bytes, struct blkif_message *ret_message)
{
    const uint8_t *head = bytes;
    const uint8_t *rest = head + abis[abi].rest;

    *ret_message = (struct blkif_message){
        .code = head[0],
        .id = get_u64(head + abis[abi].id),
        .sector = get_u64(head + abis[abi].sector),
    };
    switch (head[0]) {
    case BLKIF_CODE_DISCARD:
        ret_message->discard_flag = head[1];
        ret_message->handle = get_u16(head + 2);
        ret_message->discard_sectors = get_u64(rest);
        break;
    case BLKIF_CODE_INDIRECT:
        ret_message->inner = head[1];
        ret_message->segment_count = get_u16(head + 2);
        ret_message->handle = get_u16(rest);
        for (unsigned i = 0; i < BLKIF_INDIRECT_PAGES; i++)
            ret_message->indirect_grefs[i] = get_u32(rest + 4 + 4 * (size_t)i);
        break;
    default:
        ret_message->segment_count = head[1];
        ret_message->handle = get_u16(head + 2);
        blkif_segments_decode(rest, direct_segments(ret_message), ret_message->segments);
    }
}

void blkif_encode(enum blkif_abi abi, const struct blkif_message *message, void *ret_bytes)
{
    uint8_t *head = ret_bytes;
    uint8_t *rest = head + abis[abi].rest;

    head[0] = message->code;
    memcpy(head + abis[abi].id, &message->id, sizeof message->id);
    memcpy(head + abis[abi].sector, &message->sector, sizeof message->sector);
    switch (message->code) {
    case BLKIF_CODE_DISCARD:
        head[1] = message->discard_flag;
        memcpy(head + 2, &message->handle, sizeof message->handle);
        memcpy(rest, &message->discard_sectors, sizeof message->discard_sectors);
        break;
    case BLKIF_CODE_INDIRECT:
        head[1] = message->inner;
        memcpy(head + 2, &message->segment_count, sizeof message->segment_count);
        memcpy(rest, &message->handle, sizeof message->handle);
        memcpy(rest + 4, message->indirect_grefs, sizeof message->indirect_grefs);
        break;
    default:
        head[1] = (uint8_t)message->segment_count;
        memcpy(head + 2, &message->handle, sizeof message->handle);
        blkif_segments_encode(message->segments, direct_segments(message), rest);
    }
}

void blkif_segments_decode(const void *bytes, unsigned count, struct blkif_segment *ret_segments)
{
    const uint8_t *from = bytes;
    for (unsigned i = 0; i < count; i++, from += BLKIF_SEGMENT_SIZE)
        ret_segments[i] =
            (struct blkif_segment){.gref = get_u32(from), .first_sector = from[4], .last_sector = from[5]};
}

void blkif_segments_encode(const struct blkif_segment *segments, unsigned count, void *ret_bytes)
{
    uint8_t *to = ret_bytes;
    for (unsigned i = 0; i < count; i++, to += BLKIF_SEGMENT_SIZE) {
        memcpy(to, &segments[i].gref, sizeof segments[i].gref);
        to[4] = segments[i].first_sector;
        to[5] = segments[i].last_sector;
    }
}

void blkif_response_encode(enum blkif_abi abi, uint64_t id, uint8_t code, int16_t status, void *ret_bytes)
{
    uint8_t *bytes = ret_bytes;
    memset(bytes, 0, abis[abi].response_size);
    memcpy(bytes, &id, sizeof id);
    bytes[8] = code;
    memcpy(bytes + 10, &status, sizeof status);
}

void blkif_response_decode(enum blkif_abi abi, const void *bytes, uint64_t *ret_id, uint8_t *ret_code,
                           int16_t *ret_status)
{
    (void)abi; /* the fields stand at the same place in all of them; only the size differs */
    const uint8_t *from = bytes;
    *ret_id = get_u64(from);
    *ret_code = from[8];
    *ret_status = (int16_t)get_u16(from + 10);
}

uint8_t blkif_response_code(const struct blkif_message *message)
{
    return message->code == BLKIF_CODE_INDIRECT ? message->inner : message->code;
}

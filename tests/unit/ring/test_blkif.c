/* SPDX-License-Identifier: MIT */
/*
 * The block codec against vectors written by hand, against Xen's own structs, and against itself; the validator against
 * every fault.
 */
#include "rig.h"

#include <errno.h>

#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xen/io/blkif.h>
#include <xen/io/protocols.h>

#include <ring/blkif.h>

#include "xen_abi.h"

_Static_assert(BLKIF_CODE_READ == BLKIF_OP_READ && BLKIF_CODE_WRITE == BLKIF_OP_WRITE &&
                   BLKIF_CODE_BARRIER == BLKIF_OP_WRITE_BARRIER && BLKIF_CODE_FLUSH == BLKIF_OP_FLUSH_DISKCACHE &&
                   BLKIF_CODE_DISCARD == BLKIF_OP_DISCARD && BLKIF_CODE_INDIRECT == BLKIF_OP_INDIRECT,
               "operations");
_Static_assert(BLKIF_STATUS_OKAY == BLKIF_RSP_OKAY && BLKIF_STATUS_ERROR == BLKIF_RSP_ERROR &&
                   BLKIF_STATUS_UNSUPPORTED == BLKIF_RSP_EOPNOTSUPP,
               "statuses");
_Static_assert(BLKIF_DIRECT_SEGMENTS == BLKIF_MAX_SEGMENTS_PER_REQUEST &&
                   BLKIF_INDIRECT_PAGES == BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST,
               "limits");
_Static_assert(sizeof(struct blkif_request) <= RING_REQUEST_MAX && sizeof(struct blkif_response) <= RING_RESPONSE_MAX,
               "room");

/* ---- Layouts. ---------------------------------------------------------------------------------------------------- */

static const struct xen_abi xen_abi_native = XEN_ABI;

static const struct xen_abi *xen_abi_of(enum blkif_abi abi)
{
    return abi == BLKIF_ABI_X86_32 ? &xen_abi_x86_32 : &xen_abi_native;
}

static void layouts_are_xens(void **state)
{
    (void)state;
    for (enum blkif_abi abi = 0; abi < BLKIF_ABIS; abi++) {
        const struct xen_abi *xen = xen_abi_of(abi);
        for (unsigned order = 0; order <= BLKIF_RING_ORDER_MAX; order++) {
            struct ring_layout layout = blkif_layout(abi, order);
            assert_int_equal(layout.slot_size, xen->request_size);
            assert_int_equal(layout.request_size, xen->request_size);
            assert_int_equal(layout.response_size, xen->response_size);
            assert_int_equal(layout.response_mask, 0xff | 1u << xen->response_operation | 3u << xen->response_status);
            assert_int_equal(layout.slots, 32u << order);
        }
        assert_int_equal(blkif_layout(abi, 0).slots, xen->slots_of_a_page);
        assert_int_equal(blkif_layout(abi, 4).slots, xen->slots_of_16_pages);
    }
}

static void names_are_xens(void **state)
{
    (void)state;
    enum blkif_abi abi = BLKIF_ABIS;
    assert_string_equal(blkif_abi_name(BLKIF_ABI_X86_32), XEN_IO_PROTO_ABI_X86_32);
    assert_string_equal(blkif_abi_name(BLKIF_ABI_X86_64), XEN_IO_PROTO_ABI_X86_64);
    assert_string_equal(blkif_abi_name(BLKIF_ABI_ARM), XEN_IO_PROTO_ABI_ARM);
    assert_string_equal(blkif_abi_name(blkif_abi_native()), XEN_IO_PROTO_ABI_NATIVE);
    for (enum blkif_abi each = 0; each < BLKIF_ABIS; each++) {
        assert_int_equal(blkif_abi_parse(blkif_abi_name(each), &abi), 0);
        assert_int_equal(abi, each);
    }
    abi = BLKIF_ABIS;
    assert_int_equal(blkif_abi_parse("x86_64", &abi), -EINVAL);
    assert_int_equal(blkif_abi_parse("", &abi), -EINVAL);
    assert_int_equal(abi, BLKIF_ABIS);
}

/* ---- Vectors. ---------------------------------------------------------------------------------------------------- */

struct vector {
    enum blkif_abi abi;
    const char *hex; /* spaces for the eye, .. for padding */
    struct blkif_message message;
};

static const struct vector vectors[] = {
    {BLKIF_ABI_X86_64,
     "01 02 0201 ........ efcdab8967452301 0807060504030201"
     " 44332211 00 07 .... 88776655 03 04 ....",
     {.code = 1,
      .segment_count = 2,
      .handle = 0x102,
      .id = 0x0123456789abcdef,
      .sector = 0x0102030405060708,
      .segments = {{0x11223344, 0, 7}, {0x55667788, 3, 4}}}},
    {BLKIF_ABI_ARM,
     "00 01 0201 ........ efcdab8967452301 0807060504030201 44332211 ff fe ....",
     {.code = 0,
      .segment_count = 1,
      .handle = 0x102,
      .id = 0x0123456789abcdef,
      .sector = 0x0102030405060708,
      .segments = {{0x11223344, 255, 254}}}},
    {BLKIF_ABI_X86_32,
     "01 02 0201 efcdab8967452301 0807060504030201 44332211 00 07 .... 88776655 03 04 ....",
     {.code = 1,
      .segment_count = 2,
      .handle = 0x102,
      .id = 0x0123456789abcdef,
      .sector = 0x0102030405060708,
      .segments = {{0x11223344, 0, 7}, {0x55667788, 3, 4}}}},
    {BLKIF_ABI_X86_64, "03 00 0000 ........ 0100000000000000 0000000000000000", {.code = 3, .id = 1}},
    {BLKIF_ABI_X86_32, "02 00 0000 0100000000000000 ffffffffffffffff", {.code = 2, .id = 1, .sector = UINT64_MAX}},
    {BLKIF_ABI_X86_64,
     "05 01 0300 ........ 0200000000000000 1000000000000000 efbeadde00000000",
     {.code = 5, .discard_flag = 1, .handle = 3, .id = 2, .sector = 16, .discard_sectors = 0xdeadbeef}},
    {BLKIF_ABI_X86_32,
     "05 00 0300 0200000000000000 1000000000000000 efbeadde01000000",
     {.code = 5, .handle = 3, .id = 2, .sector = 16, .discard_sectors = 0x1deadbeef}},
    {BLKIF_ABI_X86_64,
     "06 00 0001 ........ 0300000000000000 2000000000000000 0900 ...."
     " 01000000 02000000 03000000 04000000 05000000 06000000 07000000 08000000",
     {.code = 6,
      .inner = 0,
      .segment_count = 256,
      .handle = 9,
      .id = 3,
      .sector = 32,
      .indirect_grefs = {1, 2, 3, 4, 5, 6, 7, 8}}},
    {BLKIF_ABI_X86_32,
     "06 01 2000 0300000000000000 2000000000000000 0900 ...."
     " 01000000 02000000 03000000 04000000 05000000 06000000 07000000 08000000",
     {.code = 6,
      .inner = 1,
      .segment_count = 32,
      .handle = 9,
      .id = 3,
      .sector = 32,
      .indirect_grefs = {1, 2, 3, 4, 5, 6, 7, 8}}},
    {BLKIF_ABI_X86_64, "c8 00 0500 ........ 0400000000000000 0000000000000000", {.code = 200, .handle = 5, .id = 4}},
};

/* Writes a vector over `bytes`; padding keeps what was there. */
static void vector_write(const char *hex, uint8_t *bytes)
{
    for (; *hex; hex += 2) {
        while (*hex == ' ')
            hex++;
        if (*hex == '.') {
            bytes++;
            continue;
        }
        char pair[3] = {hex[0], hex[1], 0};
        *bytes++ = (uint8_t)strtoul(pair, NULL, 16);
    }
}

static void assert_message_equal(const struct blkif_message *a, const struct blkif_message *b)
{
    assert_int_equal(a->code, b->code);
    assert_int_equal(a->inner, b->inner);
    assert_int_equal(a->handle, b->handle);
    assert_int_equal(a->segment_count, b->segment_count);
    assert_int_equal(a->discard_flag, b->discard_flag);
    assert_int_equal(a->id, b->id);
    assert_int_equal(a->sector, b->sector);
    assert_int_equal(a->discard_sectors, b->discard_sectors);
    for (unsigned i = 0; i < BLKIF_DIRECT_SEGMENTS; i++) {
        assert_int_equal(a->segments[i].gref, b->segments[i].gref);
        assert_int_equal(a->segments[i].first_sector, b->segments[i].first_sector);
        assert_int_equal(a->segments[i].last_sector, b->segments[i].last_sector);
    }
    for (unsigned i = 0; i < BLKIF_INDIRECT_PAGES; i++)
        assert_int_equal(a->indirect_grefs[i], b->indirect_grefs[i]);
}

static void vectors_decode(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint8_t bytes[RING_REQUEST_MAX];
        struct blkif_message message;
        memset(bytes, 0xee, sizeof bytes); /* what no field names must not matter */
        memset(&message, 0xee, sizeof message);
        vector_write(vectors[i].hex, bytes);
        blkif_decode(vectors[i].abi, bytes, &message);
        assert_message_equal(&message, &vectors[i].message);
    }
}

static void vectors_encode(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint8_t expected[RING_REQUEST_MAX], bytes[RING_REQUEST_MAX];
        memset(expected, 0xee, sizeof expected);
        memset(bytes, 0xee, sizeof bytes);
        vector_write(vectors[i].hex, expected);
        blkif_encode(vectors[i].abi, &vectors[i].message, bytes);
        assert_memory_equal(bytes, expected, sizeof bytes);
    }
}

/* More segments claimed than a request holds: all eleven are decoded, the claim is kept. */
static void claims_beyond_the_request_are_kept(void **state)
{
    (void)state;
    uint8_t bytes[RING_REQUEST_MAX];
    struct blkif_message message;
    memset(bytes, 0xff, sizeof bytes);
    bytes[0] = BLKIF_CODE_WRITE;
    for (enum blkif_abi abi = 0; abi < BLKIF_ABIS; abi++) {
        blkif_decode(abi, bytes, &message);
        assert_int_equal(message.segment_count, 255);
        assert_int_equal(message.segments[10].gref, 0xffffffff);
        assert_int_equal(message.segments[10].last_sector, 255);
    }
}

/* Each field, written where Xen's struct has it, is read back. */
static void fields_stand_where_xen_has_them(void **state)
{
    (void)state;
    for (enum blkif_abi abi = 0; abi < BLKIF_ABIS; abi++) {
        const struct xen_abi *xen = xen_abi_of(abi);
        uint8_t bytes[RING_REQUEST_MAX] = {0};
        struct blkif_message message;

        bytes[xen->segments] = 11;
        bytes[xen->handle] = 0x21;
        bytes[xen->id + 7] = 0x31;
        bytes[xen->sector + 7] = 0x41;
        for (size_t i = 0; i < 11; i++) {
            bytes[xen->segment + i * xen->segment_size + 3] = (uint8_t)(0x51 + i);
            bytes[xen->segment + i * xen->segment_size + xen->segment_first] = (uint8_t)(0x61 + i);
            bytes[xen->segment + i * xen->segment_size + xen->segment_last] = (uint8_t)(0x71 + i);
        }
        blkif_decode(abi, bytes, &message);
        assert_true(message.segment_count == 11 && message.handle == 0x21);
        assert_true(message.id == UINT64_C(0x31) << 56 && message.sector == UINT64_C(0x41) << 56);
        for (unsigned i = 0; i < 11; i++)
            assert_true(message.segments[i].gref == (0x51 + i) << 24 && message.segments[i].first_sector == 0x61 + i &&
                        message.segments[i].last_sector == 0x71 + i);

        memset(bytes, 0, sizeof bytes);
        bytes[0] = BLKIF_OP_DISCARD;
        bytes[xen->discard_flag] = 1;
        bytes[xen->discard_handle] = 2;
        bytes[xen->discard_id] = 3;
        bytes[xen->discard_sector] = 4;
        bytes[xen->discard_count] = 5;
        blkif_decode(abi, bytes, &message);
        assert_true(message.discard_flag == 1 && message.handle == 2 && message.id == 3 && message.sector == 4 &&
                    message.discard_sectors == 5);

        memset(bytes, 0, sizeof bytes);
        bytes[0] = BLKIF_OP_INDIRECT;
        bytes[xen->indirect_inner] = 1;
        bytes[xen->indirect_segments] = 2;
        bytes[xen->indirect_id] = 3;
        bytes[xen->indirect_sector] = 4;
        bytes[xen->indirect_handle] = 5;
        bytes[xen->indirect_grefs + 7 * 4] = 6;
        blkif_decode(abi, bytes, &message);
        assert_true(message.inner == 1 && message.segment_count == 2 && message.id == 3 && message.sector == 4 &&
                    message.handle == 5 && message.indirect_grefs[7] == 6);
    }
}

static void random_message(uint64_t *seed, struct blkif_message *ret_message)
{
    static const uint8_t codes[] = {0, 1, 2, 3, 5, 6, 4, 7, 255};
    struct blkif_message message = {.code = codes[rig_below(seed, sizeof codes)],
                                    .id = rig_random(seed),
                                    .sector = rig_random(seed),
                                    .handle = (uint16_t)rig_random(seed)};
    if (message.code == BLKIF_CODE_DISCARD) {
        message.discard_flag = (uint8_t)rig_random(seed);
        message.discard_sectors = rig_random(seed);
    } else if (message.code == BLKIF_CODE_INDIRECT) {
        message.inner = (uint8_t)rig_random(seed);
        message.segment_count = (uint16_t)rig_random(seed);
        for (unsigned i = 0; i < BLKIF_INDIRECT_PAGES; i++)
            message.indirect_grefs[i] = (uint32_t)rig_random(seed);
    } else {
        message.segment_count = (uint8_t)rig_below(seed, 14);
        for (unsigned i = 0; i < BLKIF_DIRECT_SEGMENTS && i < message.segment_count; i++)
            message.segments[i] = (struct blkif_segment){(uint32_t)rig_random(seed), (uint8_t)rig_random(seed),
                                                         (uint8_t)rig_random(seed)};
    }
    *ret_message = message;
}

static void what_is_encoded_decodes_to_the_same(void **state)
{
    (void)state;
    uint64_t seed = rig_seed();
    for (unsigned i = 0; i < 30000; i++) {
        struct blkif_message sent, got;
        uint8_t bytes[RING_REQUEST_MAX];
        enum blkif_abi abi = i % BLKIF_ABIS;
        memset(bytes, (int)i, sizeof bytes);
        random_message(&seed, &sent);
        blkif_encode(abi, &sent, bytes);
        blkif_decode(abi, bytes, &got);
        assert_message_equal(&got, &sent);
    }
}

static void segments_of_an_indirect_page_round_trip(void **state)
{
    (void)state;
    struct blkif_segment sent[BLKIF_SEGMENTS_PER_PAGE], got[BLKIF_SEGMENTS_PER_PAGE];
    uint8_t page[RING_PAGE_SIZE];
    uint64_t seed = rig_seed();
    for (unsigned i = 0; i < BLKIF_SEGMENTS_PER_PAGE; i++)
        sent[i] = (struct blkif_segment){(uint32_t)rig_random(&seed), (uint8_t)i, (uint8_t)(i + 1)};
    memset(page, 0xee, sizeof page);
    blkif_segments_encode(sent, BLKIF_SEGMENTS_PER_PAGE, page);
    blkif_segments_decode(page, BLKIF_SEGMENTS_PER_PAGE, got);
    for (unsigned i = 0; i < BLKIF_SEGMENTS_PER_PAGE; i++) {
        assert_true(got[i].gref == sent[i].gref && got[i].first_sector == sent[i].first_sector &&
                    got[i].last_sector == sent[i].last_sector);
        assert_true(page[8 * i + 6] == 0xee && page[8 * i + 7] == 0xee);
    }
    static const uint8_t golden[8] = {0x44, 0x33, 0x22, 0x11, 2, 5, 0xaa, 0xbb};
    blkif_segments_decode(golden, 1, got);
    assert_true(got[0].gref == 0x11223344 && got[0].first_sector == 2 && got[0].last_sector == 5);
}

static void responses_encode_and_decode(void **state)
{
    (void)state;
    static const uint8_t golden[16] = {8, 7, 6, 5, 4, 3, 2, 1, 1, 0, 0xfe, 0xff, 0, 0, 0, 0};
    for (enum blkif_abi abi = 0; abi < BLKIF_ABIS; abi++) {
        uint8_t bytes[20];
        uint64_t id = 0;
        uint8_t code = 0;
        int16_t status = 0;
        size_t size = blkif_layout(abi, 0).response_size;
        memset(bytes, 0xee, sizeof bytes);
        blkif_response_encode(abi, 0x0102030405060708, BLKIF_CODE_WRITE, BLKIF_STATUS_UNSUPPORTED, bytes);
        assert_memory_equal(bytes, golden, size);
        assert_int_equal(bytes[size], 0xee);
        blkif_response_decode(abi, bytes, &id, &code, &status);
        assert_true(id == 0x0102030405060708 && code == 1 && status == -2);
    }
}

static void an_indirect_request_is_answered_by_its_inner_operation(void **state)
{
    (void)state;
    assert_int_equal(blkif_response_code(&(struct blkif_message){.code = 6, .inner = 1}), 1);
    assert_int_equal(blkif_response_code(&(struct blkif_message){.code = 6, .inner = 77}), 77);
    assert_int_equal(blkif_response_code(&(struct blkif_message){.code = 5, .inner = 1}), 5);
}

/* ---- Validation. ------------------------------------------------------------------------------------------------- */

static const struct blkif_limits all_offered = {
    .sectors = 1000, .flush = true, .barrier = true, .discard = true, .indirect_segments = 32};

/* Validates with outputs filled with a pattern; on a fault they must keep it. */
static enum blkif_fault validate(const struct blkif_message *message, const struct blkif_limits *limits,
                                 struct blkif_job *ret_job, struct blkif_extent ret_extents[BLKIF_INDIRECT_SEGMENTS])
{
    static struct blkif_segment many[1 << 16]; /* as many as can be claimed, all of them good */
    for (unsigned i = 0; i < 1 << 16 && many[i].last_sector == 0; i++)
        many[i] = (struct blkif_segment){i, 0, 7};
    const struct blkif_segment *segments = message->code == BLKIF_CODE_INDIRECT ? many : message->segments;

    static uint8_t pattern[BLKIF_INDIRECT_SEGMENTS * sizeof(struct blkif_extent)];
    memset(pattern, 0x5a, sizeof pattern);
    memset(ret_extents, 0x5a, sizeof pattern);
    memset(ret_job, 0x5a, sizeof *ret_job);
    enum blkif_fault fault = blkif_validate(message, segments, limits, ret_job, ret_extents);
    if (fault != BLKIF_FAULT_NONE) {
        assert_memory_equal(ret_extents, pattern, sizeof pattern);
        assert_memory_equal(ret_job, pattern, sizeof *ret_job);
    }
    return fault;
}

static struct blkif_message direct(uint8_t code, uint64_t sector, uint16_t count)
{
    struct blkif_message message = {.code = code, .sector = sector, .segment_count = count};
    for (unsigned i = 0; i < BLKIF_DIRECT_SEGMENTS; i++)
        message.segments[i] = (struct blkif_segment){100 + i, 0, 7};
    return message;
}

static enum blkif_fault fault_of(struct blkif_message message, struct blkif_limits limits)
{
    struct blkif_job job;
    struct blkif_extent extents[BLKIF_INDIRECT_SEGMENTS];
    return validate(&message, &limits, &job, extents);
}

static void a_good_request_becomes_extents(void **state)
{
    (void)state;
    struct blkif_job job;
    struct blkif_extent extents[BLKIF_INDIRECT_SEGMENTS];
    struct blkif_message message = direct(BLKIF_CODE_WRITE, 10, 3);
    message.segments[1] = (struct blkif_segment){7, 3, 3};
    message.segments[2] = (struct blkif_segment){8, 2, 7};
    assert_int_equal(validate(&message, &all_offered, &job, extents), BLKIF_FAULT_NONE);
    assert_int_equal(job.code, BLKIF_CODE_WRITE);
    assert_int_equal(job.offset, 5120);
    assert_int_equal(job.length, (8 + 1 + 6) * 512);
    assert_int_equal(job.extent_count, 3);
    assert_true(extents[0].gref == 100 && extents[0].offset == 0 && extents[0].length == 4096);
    assert_true(extents[1].gref == 7 && extents[1].offset == 1536 && extents[1].length == 512);
    assert_true(extents[2].gref == 8 && extents[2].offset == 1024 && extents[2].length == 3072);
}

static void unknown_and_unoffered_operations_are_unsupported(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 256; code++) {
        bool known = code <= 3 || code == 5 || code == 6, basic = code <= 1;
        struct blkif_message message = direct((uint8_t)code, 0, code == BLKIF_CODE_FLUSH ? 0 : 1);
        assert_int_equal(fault_of(message, all_offered), known ? BLKIF_FAULT_NONE : BLKIF_FAULT_OPERATION);
        assert_int_equal(fault_of(message, (struct blkif_limits){.sectors = 1000}),
                         basic ? BLKIF_FAULT_NONE : BLKIF_FAULT_OPERATION);
    }
    for (unsigned inner = 0; inner < 256; inner++) {
        struct blkif_message message = {.code = BLKIF_CODE_INDIRECT, .inner = (uint8_t)inner, .segment_count = 1};
        assert_int_equal(fault_of(message, all_offered), inner <= 1 ? BLKIF_FAULT_NONE : BLKIF_FAULT_OPERATION);
    }
}

static void a_read_only_disk_is_only_read(void **state)
{
    (void)state;
    struct blkif_limits limits = all_offered;
    limits.read_only = true;
    assert_int_equal(fault_of(direct(BLKIF_CODE_READ, 0, 1), limits), BLKIF_FAULT_NONE);
    assert_int_equal(fault_of(direct(BLKIF_CODE_WRITE, 0, 1), limits), BLKIF_FAULT_READ_ONLY);
    assert_int_equal(fault_of(direct(BLKIF_CODE_BARRIER, 0, 0), limits), BLKIF_FAULT_READ_ONLY);
    assert_int_equal(fault_of(direct(BLKIF_CODE_FLUSH, 0, 0), limits), BLKIF_FAULT_READ_ONLY);
    assert_int_equal(fault_of(direct(BLKIF_CODE_DISCARD, 0, 0), limits), BLKIF_FAULT_READ_ONLY);
    struct blkif_message message = {.code = BLKIF_CODE_INDIRECT, .inner = BLKIF_CODE_WRITE, .segment_count = 1};
    assert_int_equal(fault_of(message, limits), BLKIF_FAULT_READ_ONLY);
    message.inner = BLKIF_CODE_READ;
    assert_int_equal(fault_of(message, limits), BLKIF_FAULT_NONE);
}

static void segment_counts_are_bounded(void **state)
{
    (void)state;
    for (uint16_t count = 0; count < 256; count++) {
        enum blkif_fault expected = count <= 11 ? BLKIF_FAULT_NONE : BLKIF_FAULT_SEGMENT_COUNT;
        assert_int_equal(fault_of(direct(BLKIF_CODE_READ, 0, count), all_offered),
                         count == 0 ? BLKIF_FAULT_SEGMENT_COUNT : expected);
        assert_int_equal(fault_of(direct(BLKIF_CODE_BARRIER, 0, count), all_offered), expected);
        assert_int_equal(fault_of(direct(BLKIF_CODE_FLUSH, 0, count), all_offered),
                         count == 0 ? BLKIF_FAULT_NONE : BLKIF_FAULT_SEGMENT_COUNT);
    }
    struct blkif_message message = {.code = BLKIF_CODE_INDIRECT};
    static const uint16_t counts[] = {0, 1, 32, 33, 512, 4097, 0xffff};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        message.segment_count = counts[i];
        assert_int_equal(fault_of(message, all_offered),
                         i == 1 || i == 2 ? BLKIF_FAULT_NONE : BLKIF_FAULT_SEGMENT_COUNT);
    }
}

static void segments_stay_within_their_page(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++)
        for (unsigned last = 0; last < 256; last += last < 10 ? 1 : 49) {
            struct blkif_message message = direct(BLKIF_CODE_READ, 0, 11);
            message.segments[10] = (struct blkif_segment){1, (uint8_t)first, (uint8_t)last};
            assert_int_equal(fault_of(message, all_offered),
                             first <= last && last < 8 ? BLKIF_FAULT_NONE : BLKIF_FAULT_SEGMENT);
        }
}

static void ranges_stay_on_the_disk(void **state)
{
    (void)state;
    static const struct {
        uint64_t sector, disk;
        enum blkif_fault fault;
    } cases[] = {
        {992, 1000, BLKIF_FAULT_NONE},
        {993, 1000, BLKIF_FAULT_RANGE},
        {1000, 1000, BLKIF_FAULT_RANGE},
        {1001, 1000, BLKIF_FAULT_RANGE},
        {0, 7, BLKIF_FAULT_RANGE},
        {0, 8, BLKIF_FAULT_NONE},
        {0, 0, BLKIF_FAULT_RANGE},
        {UINT64_MAX, 1000, BLKIF_FAULT_RANGE},
        {UINT64_MAX - 7, 1000, BLKIF_FAULT_RANGE},
        {UINT64_MAX - 6, 1000, BLKIF_FAULT_RANGE},
        {UINT64_C(1) << 55, 1000, BLKIF_FAULT_RANGE}, /* its offset in bytes wraps to 0 */
        {(UINT64_C(1) << 55) - 8, UINT64_C(1) << 55, BLKIF_FAULT_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct blkif_limits limits = all_offered;
        limits.sectors = cases[i].disk;
        assert_int_equal(fault_of(direct(BLKIF_CODE_READ, cases[i].sector, 1), limits), cases[i].fault);

        struct blkif_message discard = {.code = BLKIF_CODE_DISCARD, .sector = cases[i].sector, .discard_sectors = 8};
        assert_int_equal(fault_of(discard, limits), cases[i].fault);
    }
    struct blkif_message discard = {.code = BLKIF_CODE_DISCARD, .sector = 8, .discard_sectors = UINT64_MAX - 7};
    assert_int_equal(fault_of(discard, all_offered), BLKIF_FAULT_RANGE);
    discard.discard_sectors = UINT64_MAX;
    assert_int_equal(fault_of(discard, all_offered), BLKIF_FAULT_RANGE);
}

static void discards_become_ranges(void **state)
{
    (void)state;
    struct blkif_job job;
    struct blkif_extent extents[BLKIF_INDIRECT_SEGMENTS];
    struct blkif_message message = {
        .code = BLKIF_CODE_DISCARD, .sector = 8, .discard_sectors = 992, .discard_flag = 0xff};
    assert_int_equal(validate(&message, &all_offered, &job, extents), BLKIF_FAULT_NONE);
    assert_true(job.code == BLKIF_CODE_DISCARD && job.offset == 4096 && job.length == 992 * 512 &&
                job.extent_count == 0 && job.secure);
    message.discard_flag = 0xfe;
    message.discard_sectors = 0;
    assert_int_equal(validate(&message, &all_offered, &job, extents), BLKIF_FAULT_NONE);
    assert_true(job.length == 0 && !job.secure);
}

static void a_bare_flush_or_barrier_has_no_place(void **state)
{
    (void)state;
    for (uint8_t code = BLKIF_CODE_BARRIER; code <= BLKIF_CODE_FLUSH; code++) {
        struct blkif_job job;
        struct blkif_extent extents[BLKIF_INDIRECT_SEGMENTS];
        struct blkif_message message = direct(code, UINT64_MAX, 0);
        assert_int_equal(validate(&message, &all_offered, &job, extents), BLKIF_FAULT_NONE);
        assert_true(job.code == (enum blkif_code)code && job.offset == 0 && job.length == 0 && job.extent_count == 0);
    }
}

static void a_barrier_may_write_and_a_flush_may_not(void **state)
{
    (void)state;
    struct blkif_job job;
    struct blkif_extent extents[BLKIF_INDIRECT_SEGMENTS];
    struct blkif_message message = direct(BLKIF_CODE_BARRIER, 16, 2);
    assert_int_equal(validate(&message, &all_offered, &job, extents), BLKIF_FAULT_NONE);
    assert_true(job.code == BLKIF_CODE_BARRIER && job.offset == 8192 && job.length == 8192 && job.extent_count == 2);
    assert_int_equal(fault_of(direct(BLKIF_CODE_FLUSH, 16, 2), all_offered), BLKIF_FAULT_SEGMENT_COUNT);
}

static void indirect_requests_tell_their_pages(void **state)
{
    (void)state;
    struct blkif_limits limits = all_offered;
    enum blkif_fault fault = BLKIF_FAULT_NONE;
    struct blkif_message message = {.code = BLKIF_CODE_INDIRECT, .inner = BLKIF_CODE_WRITE, .segment_count = 32};
    assert_int_equal(blkif_indirect_pages(&message, &limits, &fault), 1);
    limits.indirect_segments = BLKIF_SEGMENTS_PER_PAGE * BLKIF_INDIRECT_PAGES;
    message.segment_count = BLKIF_SEGMENTS_PER_PAGE + 1;
    assert_int_equal(blkif_indirect_pages(&message, &limits, &fault), 2);
    message.segment_count = limits.indirect_segments;
    assert_int_equal(blkif_indirect_pages(&message, &limits, &fault), BLKIF_INDIRECT_PAGES);
    assert_int_equal(fault, BLKIF_FAULT_NONE);

    message.segment_count = 0;
    assert_int_equal(blkif_indirect_pages(&message, &limits, &fault), 0);
    assert_int_equal(fault, BLKIF_FAULT_SEGMENT_COUNT);
    message.inner = BLKIF_CODE_FLUSH;
    assert_int_equal(blkif_indirect_pages(&message, &limits, &fault), 0);
    assert_int_equal(fault, BLKIF_FAULT_OPERATION);
}

static void faults_have_names_and_statuses(void **state)
{
    (void)state;
    for (enum blkif_fault fault = 0; fault < BLKIF_FAULTS; fault++) {
        assert_non_null(blkif_fault_name(fault));
        for (enum blkif_fault other = 0; other < fault; other++)
            assert_string_not_equal(blkif_fault_name(fault), blkif_fault_name(other));
    }
    assert_string_equal(blkif_fault_name(BLKIF_FAULT_SEGMENT_COUNT), "segment-count");
    assert_int_equal(blkif_fault_status(BLKIF_FAULT_NONE), BLKIF_RSP_OKAY);
    assert_int_equal(blkif_fault_status(BLKIF_FAULT_OPERATION), BLKIF_RSP_EOPNOTSUPP);
    assert_int_equal(blkif_fault_status(BLKIF_FAULT_GRANT), BLKIF_RSP_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts_are_xens),
        cmocka_unit_test(names_are_xens),
        cmocka_unit_test(vectors_decode),
        cmocka_unit_test(vectors_encode),
        cmocka_unit_test(claims_beyond_the_request_are_kept),
        cmocka_unit_test(fields_stand_where_xen_has_them),
        cmocka_unit_test(what_is_encoded_decodes_to_the_same),
        cmocka_unit_test(segments_of_an_indirect_page_round_trip),
        cmocka_unit_test(responses_encode_and_decode),
        cmocka_unit_test(an_indirect_request_is_answered_by_its_inner_operation),
        cmocka_unit_test(a_good_request_becomes_extents),
        cmocka_unit_test(unknown_and_unoffered_operations_are_unsupported),
        cmocka_unit_test(a_read_only_disk_is_only_read),
        cmocka_unit_test(segment_counts_are_bounded),
        cmocka_unit_test(segments_stay_within_their_page),
        cmocka_unit_test(ranges_stay_on_the_disk),
        cmocka_unit_test(discards_become_ranges),
        cmocka_unit_test(a_bare_flush_or_barrier_has_no_place),
        cmocka_unit_test(a_barrier_may_write_and_a_flush_may_not),
        cmocka_unit_test(indirect_requests_tell_their_pages),
        cmocka_unit_test(faults_have_names_and_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

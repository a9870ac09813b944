/* SPDX-License-Identifier: MIT */
/*
 * Checksums of random frames against a sum made a word at a time; and random TCP streams, cut into segments and put together
 * again. Each run prints its seed.
 */
#include "offload_rig.h"

#include <errno.h>

#define CHECKSUMS 10000u
#define STREAMS   1000u

static uint8_t frame[FRAME_MAX];

static void checksums_come_out(void **state)
{
    (void)state;
    uint64_t seed = rig_seed();
    for (unsigned i = 0; i < CHECKSUMS; i++) {
        const struct shape shape = random_shape(&seed, rig_below(&seed, 2), i % 16 ? 2000 : 65000);
        const size_t size = make_frame(&shape, &seed, frame);
        if (rig_below(&seed, 8) == 0)
            memset(frame + payload_of(&shape), rig_below(&seed, 2) ? 0xff : 0,
                   shape.payload); /* many carries, or none */
        /* At any address. */
        const size_t skew = rig_below(&seed, 8);
        uint8_t *exact = malloc(skew + size);
        assert_non_null(exact);
        memcpy(exact + skew, frame, size);
        assert_int_equal(offload_checksum(exact + skew, size), OFFLOAD_FAULT_NONE);
        assert_sums(&shape, exact + skew, size);
        /* And nothing else is changed. */
        const size_t field = l4_of(&shape) + field_of(&shape);
        assert_memory_equal(exact + skew, frame, field);
        assert_memory_equal(exact + skew + field + 2, frame + field + 2, size - field - 2);
        free(exact);
    }
}

/* A sum that comes out as zero: to UDP, that is the absence of one. */
static void zero_is_never_written(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (unsigned i = 0; i < 4; i++) {
        const struct shape shape = {.version = i & 1 ? 4 : 6, .udp = i & 2, .payload = 2};
        const size_t size = make_frame(&shape, &seed, frame), field = l4_of(&shape) + field_of(&shape);
        put16(frame + size - 2, 0);
        put16(frame + field, 0);
        const size_t covered = size - l4_of(&shape);
        put16(frame + size - 2, ~slow_sum(slow_pseudo(&shape, frame, covered), frame + l4_of(&shape), covered));
        assert_int_equal(offload_checksum(frame, size), OFFLOAD_FAULT_NONE);
        assert_int_equal(get16(frame + field), 0xffff);
        assert_sums(&shape, frame, size);
    }
}

/* All segments of `frame` are what they are to be: headers but for what must differ, and the payload in its order. */
static void expect_segments(const struct shape *shape, size_t size, uint16_t gso_size)
{
    struct netif_meta meta = {.csum_blank = true, .gso_size = gso_size};
    meta.gso = shape->version == 4 ? NETIF_GSO_TCPV4 : NETIF_GSO_TCPV6;
    uint8_t *exact = copy_exactly(frame, size);
    struct offload_segments segments;
    assert_int_equal(offload_segment_init(&segments, exact, size, &meta), OFFLOAD_FAULT_NONE);
    assert_int_equal(segments.count, shape->payload == 0 ? 1 : (shape->payload + gso_size - 1) / gso_size);

    const size_t l3 = l3_of(shape), l4 = l4_of(shape), headers = payload_of(shape);
    size_t seen = 0, largest = 0;
    for (uint32_t i = 0; i < segments.count; i++) {
        assert_int_equal(segments.done, i);
        const bool last = i + 1 == segments.count;
        const size_t bytes = last ? shape->payload - seen : gso_size;
        uint8_t *segment = malloc(headers + bytes);
        assert_non_null(segment);
        assert_int_equal(offload_segment_next(&segments, segment, headers + bytes - 1), -ENOBUFS);
        assert_int_equal(offload_segment_next(&segments, segment, headers + bytes), headers + bytes);
        assert_sums(shape, segment, headers + bytes);
        assert_memory_equal(segment + headers, frame + headers + seen, bytes);
        assert_int_equal(get32(segment + l4 + 4), (uint32_t)(get32(frame + l4 + 4) + seen));
        const unsigned cleared = (last ? 0 : 0x09) | (i == 0 ? 0 : 0x80);
        assert_int_equal(segment[l4 + 13], frame[l4 + 13] & ~cleared);
        if (shape->version == 4)
            assert_int_equal(get16(segment + l3 + 4), (get16(frame + l3 + 4) + i) & 0xffff);

        /* The rest is the frame's. */
        uint8_t expected[512];
        memcpy(expected, frame, headers);
        if (shape->version == 4) {
            memcpy(expected + l3 + 2, segment + l3 + 2, 4);
            memcpy(expected + l3 + 10, segment + l3 + 10, 2);
        } else {
            memcpy(expected + l3 + 4, segment + l3 + 4, 2);
        }
        memcpy(expected + l4 + 4, segment + l4 + 4, 4);
        expected[l4 + 13] = segment[l4 + 13];
        memcpy(expected + l4 + 16, segment + l4 + 16, 2);
        assert_memory_equal(segment, expected, headers);
        seen += bytes;
        largest = headers + bytes > largest ? headers + bytes : largest;
        free(segment);
    }
    assert_int_equal(seen, shape->payload);
    assert_int_equal(largest, segments.size_max);
    assert_int_equal(offload_segment_next(&segments, NULL, 0), 0);
    assert_memory_equal(exact, frame, size);
    free(exact);
}

static void streams_come_together_again(void **state)
{
    (void)state;
    uint64_t seed = rig_seed();
    for (unsigned i = 0; i < STREAMS; i++) {
        const struct shape shape = random_shape(&seed, false, i % 8 ? 5000 : 65000);
        const size_t size = make_frame(&shape, &seed, frame);
        expect_segments(&shape, size, (uint16_t)(1 + rig_below(&seed, i % 8 ? 9000 : 1460) + (i % 8 ? 0 : 200)));
    }
}

static void edges_of_segmentation(void **state)
{
    (void)state;
    uint64_t seed = 2;
    struct shape shape = {.version = 4};
    size_t size = make_frame(&shape, &seed, frame);
    expect_segments(&shape, size, 1448); /* no payload at all */
    shape.payload = 300;
    size = make_frame(&shape, &seed, frame);
    memset(frame + l4_of(&shape) + 4, 0xff, 4); /* the sequence number wraps, */
    memset(frame + 14 + 4, 0xff, 2);            /* and so does the id */
    put16(frame + 14 + 10, 0);
    put16(frame + 14 + 10, ~slow_sum(0, frame + 14, 20));
    frame[l4_of(&shape) + 13] = 0xff; /* every flag */
    expect_segments(&shape, size, 1);
    expect_segments(&shape, size, 100);
    expect_segments(&shape, size, 299);
    expect_segments(&shape, size, 300);
    expect_segments(&shape, size, 301);
    expect_segments(&shape, size, 65535);
    shape.payload = 65495; /* the longest there is */
    size = make_frame(&shape, &seed, frame);
    expect_segments(&shape, size, 1448);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_come_out),
        cmocka_unit_test(zero_is_never_written),
        cmocka_unit_test(streams_come_together_again),
        cmocka_unit_test(edges_of_segmentation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * What the tests of offload share: frames whose places are known because they were made here, and a checksum as RFC 1071
 * writes it down, a word at a time. Nothing of libring's is used for either.
 */
#ifndef TESTS_UNIT_RING_OFFLOAD_RIG_H
#define TESTS_UNIT_RING_OFFLOAD_RIG_H

#include "rig.h"

#include <ring/offload.h>

#define FRAME_MAX (65535u + 14 + 8 + 40)

/* What a frame is made of. All lengths are in bytes. */
struct shape {
    unsigned version;   /* 4 or 6 */
    bool udp;           /* else TCP */
    unsigned tags;      /* of VLANs */
    size_t options;     /* in IPv4's header, a multiple of 4; behind IPv6's, for the destination, a multiple of 8 */
    size_t tcp_options; /* a multiple of 4 */
    size_t payload;
};

/* Of each kind one, at least. */
static const struct shape shapes[] = {
    {.version = 4, .payload = 101},
    {.version = 6, .payload = 100},
    {.version = 4, .udp = true, .payload = 33},
    {.version = 6, .udp = true},
    {.version = 4, .tags = 1, .options = 40, .tcp_options = 40, .payload = 1},
    {.version = 6, .tags = 2, .options = 24, .tcp_options = 12, .payload = 900},
    {.version = 6, .tags = 2, .udp = true, .options = 216, .payload = 5},
};
#define SHAPES (sizeof shapes / sizeof shapes[0])

static inline void put16(uint8_t *bytes, size_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static inline unsigned get16(const uint8_t *bytes)
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

static inline uint32_t get32(const uint8_t *bytes)
{
    return (uint32_t)get16(bytes) << 16 | get16(bytes + 2);
}

static inline size_t l3_of(const struct shape *shape)
{
    return 14 + 4 * (size_t)shape->tags;
}

static inline size_t l4_of(const struct shape *shape)
{
    return l3_of(shape) + (shape->version == 4 ? 20u : 40u) + shape->options;
}

static inline size_t payload_of(const struct shape *shape)
{
    return l4_of(shape) + (shape->udp ? 8 : 20 + shape->tcp_options);
}

static inline size_t field_of(const struct shape *shape)
{
    return shape->udp ? 6 : 16;
}

/* The sum of big-endian words, carries added back in, from `sum` on. */
static inline unsigned slow_sum(unsigned sum, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        sum += i % 2 == 0 ? (unsigned)bytes[i] << 8 : bytes[i];
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/* The pseudo header's sum, for so many bytes of TCP or UDP. */
static inline unsigned slow_pseudo(const struct shape *shape, const uint8_t *frame, size_t size)
{
    const uint8_t *packet = frame + l3_of(shape);
    const uint8_t rest[4] = {0, shape->udp ? 17 : 6, (uint8_t)(size >> 8), (uint8_t)size};
    const unsigned sum = shape->version == 4 ? slow_sum(0, packet + 12, 8) : slow_sum(0, packet + 8, 32);
    return slow_sum(sum, rest, 4);
}

/* IPv4's header is right, and so is IP's length, for a frame of `size` bytes; and TCP's or UDP's sum comes out. */
static inline void assert_sums(const struct shape *shape, const uint8_t *frame, size_t size)
{
    const uint8_t *packet = frame + l3_of(shape);
    const size_t l4_size = size - l4_of(shape);
    if (shape->version == 4) {
        assert_int_equal(slow_sum(0, packet, 20 + shape->options), 0xffff);
        assert_int_equal(get16(packet + 2), size - l3_of(shape));
    } else {
        assert_int_equal(get16(packet + 4), size - l3_of(shape) - 40);
    }
    if (shape->udp)
        assert_int_equal(get16(frame + l4_of(shape) + 4), l4_size);
    assert_int_equal(slow_sum(slow_pseudo(shape, frame, l4_size), frame + l4_of(shape), l4_size), 0xffff);
}

/* Makes one of random content, the TCP or UDP checksum included, with all else right. Returns its size. */
static inline size_t make_frame(const struct shape *shape, uint64_t *seed, uint8_t *frame)
{
    const size_t size = payload_of(shape) + shape->payload;
    assert_true(size <= FRAME_MAX);
    for (size_t i = 0; i < size; i++)
        frame[i] = (uint8_t)rig_random(seed);
    memcpy(frame, "\2\0\0\0\0\2\2\0\0\0\0\1", 12);
    for (unsigned tag = 0; tag < shape->tags; tag++) {
        put16(frame + 12 + 4 * (size_t)tag, tag + 1 < shape->tags ? 0x88a8 : 0x8100);
        put16(frame + 14 + 4 * (size_t)tag, 7 + tag);
    }
    uint8_t *packet = frame + l3_of(shape);
    put16(packet - 2, shape->version == 4 ? 0x0800 : 0x86dd);
    const uint8_t protocol = shape->udp ? 17 : 6;
    if (shape->version == 4) {
        packet[0] = (uint8_t)(0x40 | (20 + shape->options) / 4);
        put16(packet + 2, size - l3_of(shape));
        put16(packet + 6, 0x4000);
        packet[8] = 64;
        packet[9] = protocol;
        packet[12] = packet[16] = 10;
        memset(packet + 20, 1, shape->options); /* no operation */
        put16(packet + 10, 0);
        put16(packet + 10, ~slow_sum(0, packet, 20 + shape->options));
    } else {
        put16(packet, 0x6000);
        put16(packet + 4, size - l3_of(shape) - 40);
        packet[6] = shape->options ? 60 : protocol;
        packet[7] = 64;
        packet[8] = packet[24] = 0xfd;
        if (shape->options) {
            packet[40] = protocol;
            packet[41] = (uint8_t)(shape->options / 8 - 1);
            memset(packet + 42, 0, shape->options - 2); /* padding of one byte each */
        }
    }
    uint8_t *l4 = frame + l4_of(shape);
    if (shape->udp) {
        put16(l4 + 4, 8 + shape->payload);
    } else {
        l4[12] = (uint8_t)((20 + shape->tcp_options) / 4 << 4);
        memset(l4 + 20, 1, shape->tcp_options);
    }
    return size;
}

/* A copy that ends where its memory ends. */
static inline uint8_t *copy_exactly(const uint8_t *frame, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    if (size)
        memcpy(copy, frame, size);
    return copy;
}

/* Of any shape that offload handles, with a payload below `payload_limit`. */
static inline struct shape random_shape(uint64_t *seed, bool udp, uint32_t payload_limit)
{
    struct shape shape = {.version = rig_below(seed, 2) ? 4 : 6, .udp = udp, .tags = rig_below(seed, 3)};
    if (rig_below(seed, 3) == 0)
        shape.options = shape.version == 4 ? 4 * (size_t)rig_below(seed, 11) : 8 * (size_t)rig_below(seed, 28);
    if (!udp && rig_below(seed, 2))
        shape.tcp_options = 4 * (size_t)rig_below(seed, 11);
    shape.payload = rig_below(seed, payload_limit);
    return shape;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The virtio-net header against Linux's own, and what becomes of a frame and its flags on the way to a tap and back.
 */
#include "offload_rig.h"

#include <assert.h>

#include <linux/virtio_net.h>

static uint8_t frame[FRAME_MAX + 64];

/* ---- The virtio-net header. -------------------------------------------------------------------------------------- */

static_assert(OFFLOAD_VIRTIO_SIZE == sizeof(struct virtio_net_hdr) &&
                  OFFLOAD_VIRTIO_SIZE_MAX == sizeof(struct virtio_net_hdr_mrg_rxbuf),
              "sizes");
static_assert(OFFLOAD_VIRTIO_NEEDS_CSUM == VIRTIO_NET_HDR_F_NEEDS_CSUM &&
                  OFFLOAD_VIRTIO_DATA_VALID == VIRTIO_NET_HDR_F_DATA_VALID,
              "flags");
static_assert(OFFLOAD_VIRTIO_GSO_NONE == VIRTIO_NET_HDR_GSO_NONE && OFFLOAD_VIRTIO_GSO_ECN == VIRTIO_NET_HDR_GSO_ECN &&
                  OFFLOAD_VIRTIO_GSO_TCPV4 == VIRTIO_NET_HDR_GSO_TCPV4 &&
                  OFFLOAD_VIRTIO_GSO_TCPV6 == VIRTIO_NET_HDR_GSO_TCPV6,
              "kinds of segmentation");

static void the_header_is_linuxs(void **state)
{
    (void)state;
    const struct offload_virtio header = {.flags = 1,
                                          .gso_type = 0x84,
                                          .hdr_len = 0x0203,
                                          .gso_size = 0x0405,
                                          .csum_start = 0x0607,
                                          .csum_offset = 0x0809,
                                          .num_buffers = 0x0a0b};
    uint8_t bytes[OFFLOAD_VIRTIO_SIZE_MAX + 1];
    memset(bytes, 0xee, sizeof bytes);
    offload_virtio_encode(&header, OFFLOAD_VIRTIO_SIZE_MAX, bytes);
    assert_int_equal(bytes[12], 0xee);
    struct virtio_net_hdr_mrg_rxbuf theirs;
    memcpy(&theirs, bytes, sizeof theirs);
    assert_int_equal(theirs.hdr.flags, 1);
    assert_int_equal(theirs.hdr.gso_type, 0x84);
    assert_int_equal(theirs.hdr.hdr_len, 0x0203);
    assert_int_equal(theirs.hdr.gso_size, 0x0405);
    assert_int_equal(theirs.hdr.csum_start, 0x0607);
    assert_int_equal(theirs.hdr.csum_offset, 0x0809);
    assert_int_equal(theirs.num_buffers, 0x0a0b);

    struct offload_virtio again;
    offload_virtio_decode(bytes, OFFLOAD_VIRTIO_SIZE_MAX, &again);
    assert_memory_equal(&again, &header, sizeof header);
    memset(bytes, 0xee, sizeof bytes);
    offload_virtio_encode(&header, OFFLOAD_VIRTIO_SIZE, bytes);
    assert_int_equal(bytes[10], 0xee);
    offload_virtio_decode(bytes, OFFLOAD_VIRTIO_SIZE, &again);
    assert_int_equal(again.csum_offset, 0x0809);
    assert_int_equal(again.num_buffers, 0);
}

static void faults_have_names(void **state)
{
    (void)state;
    for (enum offload_fault fault = OFFLOAD_FAULT_NONE; fault < OFFLOAD_FAULTS; fault++)
        assert_true(strlen(offload_fault_name(fault)) > 2);
}

/* ---- To a tap, and back. ----------------------------------------------------------------------------------------- */

/* Both in memory that ends where the frame ends; what they did to it is in `frame` again. */
static enum offload_fault to_virtio(size_t size, const struct netif_meta *meta, struct offload_virtio *ret_header)
{
    memset(ret_header, 0xaa, sizeof *ret_header);
    struct offload_virtio untouched = *ret_header;
    uint8_t *exact = copy_exactly(frame, size);
    const enum offload_fault fault = offload_to_virtio(exact, size, meta, ret_header);
    memcpy(frame, exact, size);
    free(exact);
    if (fault != OFFLOAD_FAULT_NONE)
        assert_memory_equal(ret_header, &untouched, sizeof untouched);
    return fault;
}

static enum offload_fault from_virtio(size_t size, const struct offload_virtio *header, struct netif_meta *ret_meta)
{
    memset(ret_meta, 0xaa, sizeof *ret_meta);
    struct netif_meta untouched;
    memcpy(&untouched, ret_meta, sizeof untouched);
    uint8_t *exact = copy_exactly(frame, size);
    const enum offload_fault fault = offload_from_virtio(exact, size, header, ret_meta);
    memcpy(frame, exact, size);
    free(exact);
    if (fault != OFFLOAD_FAULT_NONE)
        assert_memory_equal(ret_meta, &untouched, sizeof untouched);
    return fault;
}

static void assert_pseudo_sum(const struct shape *shape, size_t size)
{
    const size_t l4 = l4_of(shape);
    const unsigned sum = slow_pseudo(shape, frame, size - l4), found = get16(frame + l4 + field_of(shape));
    assert_int_equal(found % 0xffff, sum % 0xffff); /* 0 and 0xffff are one number */
}

static void a_frame_with_its_checksum_is_left_alone(void **state)
{
    (void)state;
    struct offload_virtio header;
    struct netif_meta meta = {.hashed = true, .hash = 5};
    memset(frame, 0x5a, 14); /* of any kind */
    assert_int_equal(to_virtio(14, &meta, &header), OFFLOAD_FAULT_NONE);
    assert_memory_equal(&header, &(struct offload_virtio){0}, sizeof header);
    assert_int_equal(from_virtio(14, &header, &meta), OFFLOAD_FAULT_NONE);
    assert_false(meta.csum_blank || meta.data_validated || meta.hashed || meta.gso != NETIF_GSO_NONE);
    meta.data_validated = true;
    assert_int_equal(to_virtio(14, &meta, &header), OFFLOAD_FAULT_NONE);
    assert_memory_equal(&header, &(struct offload_virtio){.flags = OFFLOAD_VIRTIO_DATA_VALID}, sizeof header);
    assert_int_equal(from_virtio(14, &header, &meta), OFFLOAD_FAULT_NONE);
    assert_true(meta.data_validated && !meta.csum_blank);
}

static void a_blank_checksum_has_its_place_told(void **state)
{
    (void)state;
    uint64_t seed = 6;
    for (size_t i = 0; i < SHAPES; i++) {
        const struct shape *shape = &shapes[i];
        const size_t size = make_frame(shape, &seed, frame);
        struct offload_virtio header;
        struct netif_meta meta = {.csum_blank = true, .data_validated = true};
        assert_int_equal(to_virtio(size, &meta, &header), OFFLOAD_FAULT_NONE);
        assert_pseudo_sum(shape, size);
        assert_int_equal(header.flags, OFFLOAD_VIRTIO_NEEDS_CSUM);
        assert_int_equal(header.csum_start, l4_of(shape));
        assert_int_equal(header.csum_offset, field_of(shape));
        assert_true(header.hdr_len >= l4_of(shape) + field_of(shape) + 2 && header.hdr_len <= size);
        assert_int_equal(header.gso_type, 0);

        put16(frame + l4_of(shape) + field_of(shape), 0xdead);
        assert_int_equal(from_virtio(size, &header, &meta), OFFLOAD_FAULT_NONE);
        assert_pseudo_sum(shape, size);
        assert_true(meta.csum_blank && meta.data_validated);

        assert_int_equal(offload_checksum(frame, size), OFFLOAD_FAULT_NONE);
        assert_sums(shape, frame, size);
    }
}

static void a_frame_to_segment_has_its_size_told(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (unsigned version = 4; version <= 6; version += 2)
        for (unsigned blank = 0; blank <= 1; blank++) {
            const struct shape shape = {.version = version, .options = 8, .tcp_options = 12, .payload = 60000};
            const size_t size = make_frame(&shape, &seed, frame);
            uint8_t *flags = frame + l4_of(&shape) + 13;
            *flags = 0xff;
            struct offload_virtio header;
            struct netif_meta meta = {.csum_blank = blank, .gso_size = 1448};
            meta.gso = version == 4 ? NETIF_GSO_TCPV4 : NETIF_GSO_TCPV6;
            assert_int_equal(to_virtio(size, &meta, &header), OFFLOAD_FAULT_NONE);
            assert_int_equal(header.gso_type & OFFLOAD_VIRTIO_GSO_ECN, OFFLOAD_VIRTIO_GSO_ECN);
            *flags = 0x7f; /* without CWR */
            assert_int_equal(to_virtio(size, &meta, &header), OFFLOAD_FAULT_NONE);
            assert_pseudo_sum(&shape, size);
            assert_int_equal(header.flags, OFFLOAD_VIRTIO_NEEDS_CSUM);
            assert_int_equal(header.gso_type, version == 4 ? OFFLOAD_VIRTIO_GSO_TCPV4 : OFFLOAD_VIRTIO_GSO_TCPV6);
            assert_int_equal(header.gso_size, 1448);
            assert_int_equal(header.hdr_len, payload_of(&shape));
            assert_int_equal(header.csum_start, l4_of(&shape));

            if (!blank)
                header = (struct offload_virtio){.gso_type = header.gso_type, .gso_size = header.gso_size};
            header.gso_type |= OFFLOAD_VIRTIO_GSO_ECN;
            put16(frame + l4_of(&shape) + 16, 0xdead);
            const enum netif_gso gso = meta.gso;
            assert_int_equal(from_virtio(size, &header, &meta), OFFLOAD_FAULT_NONE);
            assert_pseudo_sum(&shape, size);
            assert_int_equal(meta.gso, gso);
            assert_int_equal(meta.gso_size, 1448);
            assert_true(meta.csum_blank && meta.data_validated && !meta.hashed);
        }
}

/* Front ends may leave IP's length out of what is to be segmented, or have it wrong. */
static void a_length_that_does_not_count_is_mended(void **state)
{
    (void)state;
    uint64_t seed = 8;
    for (unsigned version = 4; version <= 6; version += 2) {
        const struct shape shape = {.version = version, .options = 16, .payload = 3000};
        struct netif_meta meta = {.csum_blank = true, .gso_size = 1000};
        meta.gso = version == 4 ? NETIF_GSO_TCPV4 : NETIF_GSO_TCPV6;
        static const uint16_t lengths[] = {0, 1, 1040, 65535};
        for (size_t i = 0; i < 4; i++) {
            const size_t size = make_frame(&shape, &seed, frame);
            struct offload_virtio header;
            put16(frame + 14 + (version == 4 ? 2 : 4), lengths[i]);
            assert_int_equal(to_virtio(size, &meta, &header), OFFLOAD_FAULT_NONE);
            assert_pseudo_sum(&shape, size);
            put16(frame + 14 + (version == 4 ? 2 : 4), lengths[i]);
            assert_int_equal(from_virtio(size, &header, &meta), OFFLOAD_FAULT_NONE);
            struct netif_meta plain = {.csum_blank = true}; /* to look at what it left */
            assert_int_equal(to_virtio(size, &plain, &header), OFFLOAD_FAULT_NONE);
            assert_int_equal(offload_checksum(frame, size), OFFLOAD_FAULT_NONE);
            assert_sums(&shape, frame, size);
        }
    }
}

static void one_segment_is_a_plain_frame(void **state)
{
    (void)state;
    uint64_t seed = 9;
    const struct shape shape = {.version = 4, .payload = 100};
    size_t size = make_frame(&shape, &seed, frame);
    struct offload_virtio header;
    struct netif_meta meta = {.gso = NETIF_GSO_TCPV4, .gso_size = 100};
    assert_int_equal(to_virtio(size, &meta, &header), OFFLOAD_FAULT_NONE);
    assert_int_equal(header.gso_type, 0);
    assert_int_equal(header.flags, OFFLOAD_VIRTIO_NEEDS_CSUM);
    header.gso_type = OFFLOAD_VIRTIO_GSO_TCPV4;
    header.gso_size = 100;
    assert_int_equal(from_virtio(size, &header, &meta), OFFLOAD_FAULT_NONE);
    assert_int_equal(meta.gso, NETIF_GSO_NONE);
    assert_true(meta.csum_blank);
    /* One byte more, and it is two. */
    header.gso_size = 99;
    assert_int_equal(from_virtio(size, &header, &meta), OFFLOAD_FAULT_NONE);
    assert_int_equal(meta.gso, NETIF_GSO_TCPV4);
    /* A length left out is put in, for one as for many. */
    put16(frame + 16, 0);
    meta = (struct netif_meta){.gso = NETIF_GSO_TCPV4, .gso_size = 100};
    assert_int_equal(to_virtio(size, &meta, &header), OFFLOAD_FAULT_NONE);
    assert_int_equal(get16(frame + 16), size - 14);
    assert_int_equal(slow_sum(0, frame + 14, 20), 0xffff);
    /* Padding does not become payload, nor is it summed up. */
    memset(frame + size, 0x77, 6);
    meta.gso_size = 200;
    assert_int_equal(to_virtio(size + 6, &meta, &header), OFFLOAD_FAULT_NONE);
    assert_int_equal(header.flags, OFFLOAD_VIRTIO_DATA_VALID);
    assert_sums(&shape, frame, size);
}

static void padding_has_the_checksum_filled_in(void **state)
{
    (void)state;
    uint64_t seed = 10;
    for (size_t i = 0; i < SHAPES; i++) {
        const struct shape *shape = &shapes[i];
        const size_t size = make_frame(shape, &seed, frame);
        memset(frame + size, 0x77, 9);
        struct offload_virtio header;
        struct netif_meta meta = {.csum_blank = true};
        assert_int_equal(to_virtio(size + 9, &meta, &header), OFFLOAD_FAULT_NONE);
        assert_int_equal(header.flags, OFFLOAD_VIRTIO_DATA_VALID);
        assert_sums(shape, frame, size);
        put16(frame + l4_of(shape) + field_of(shape), 0xdead);
        header = (struct offload_virtio){.flags = OFFLOAD_VIRTIO_NEEDS_CSUM,
                                         .csum_start = (uint16_t)l4_of(shape),
                                         .csum_offset = (uint16_t)field_of(shape)};
        assert_int_equal(from_virtio(size + 9, &header, &meta), OFFLOAD_FAULT_NONE);
        assert_true(!meta.csum_blank && meta.data_validated);
        assert_sums(shape, frame, size);
    }
}

/* The checksum inside a tunnel, of which Xen's form cannot tell: IPv4 in UDP. */
static void another_checksum_is_filled_in(void **state)
{
    (void)state;
    uint64_t seed = 11;
    const struct shape outer = {.version = 4, .udp = true, .payload = 200};
    const size_t size = make_frame(&outer, &seed, frame);
    struct offload_virtio header = {.flags = OFFLOAD_VIRTIO_NEEDS_CSUM, .csum_start = 101, .csum_offset = 30};
    struct netif_meta meta;
    assert_int_equal(from_virtio(size, &header, &meta), OFFLOAD_FAULT_NONE);
    assert_true(!meta.csum_blank && !meta.data_validated);
    uint8_t rest[256];
    memcpy(rest, frame + 101, size - 101);
    const unsigned found = get16(rest + 30);
    make_frame(&outer, &(uint64_t){11}, frame); /* as it was */
    memcpy(rest, frame + 101, size - 101);
    assert_int_equal(found, ~slow_sum(0, rest, size - 101) & 0xffff);

    header.csum_start = (uint16_t)(size - 2); /* the last place there is */
    header.csum_offset = 0;
    assert_int_equal(from_virtio(size, &header, &meta), OFFLOAD_FAULT_NONE);
    static const uint16_t bad[][2] = {{240, 1}, {241, 0}, {242, 0}, {243, 0}, {0, 241}, {65535, 65535}, {2, 65535}};
    assert_int_equal(size, 242);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        header.csum_start = bad[i][0];
        header.csum_offset = bad[i][1];
        assert_int_equal(from_virtio(size, &header, &meta), OFFLOAD_FAULT_VIRTIO);
    }
}

/* What only the sender can know, its last destination, is taken from the sum that it left. */
static void a_routed_packet_keeps_its_pseudo_sum(void **state)
{
    (void)state;
    uint64_t seed = 12;
    const struct shape shape = {.version = 6, .options = 24, .payload = 2000};
    const size_t size = make_frame(&shape, &seed, frame), l4 = l4_of(&shape);
    frame[14 + 6] = 43;
    frame[54 + 3] = 1;
    put16(frame + l4 + 16, 0x1234);
    struct offload_virtio header;
    struct netif_meta meta = {.csum_blank = true};
    assert_int_equal(to_virtio(size, &meta, &header), OFFLOAD_FAULT_NONE);
    assert_int_equal(header.csum_start, l4);
    assert_int_equal(get16(frame + l4 + 16), 0x1234);
    meta.gso = NETIF_GSO_TCPV6;
    meta.gso_size = 1000;
    assert_int_equal(to_virtio(size, &meta, &header), OFFLOAD_FAULT_NONE);
    assert_int_equal(get16(frame + l4 + 16), 0x1234);
    meta.csum_blank = false;
    assert_int_equal(to_virtio(size, &meta, &header), OFFLOAD_FAULT_HEADERS);
    struct offload_segments segments;
    assert_int_equal(offload_segment_init(&segments, frame, size, &meta), OFFLOAD_FAULT_HEADERS);

    const unsigned sum = ~slow_sum(0, frame + l4, size - l4) & 0xffff;
    assert_int_equal(offload_checksum(frame, size), OFFLOAD_FAULT_NONE);
    assert_int_equal(get16(frame + l4 + 16), sum);
}

/* ---- What is refused. -------------------------------------------------------------------------------------------- */

/* With a blank checksum, and to be filled in here, this frame is refused for this reason. */
static void refuse_blank(size_t size, enum offload_fault expected)
{
    struct offload_virtio header;
    const struct netif_meta meta = {.csum_blank = true};
    uint8_t *before = copy_exactly(frame, size);
    assert_int_equal(to_virtio(size, &meta, &header), expected);
    assert_int_equal(offload_checksum(frame, size), expected);
    assert_memory_equal(frame, before, size);
    free(before);
}

static void a_checksum_that_is_none_is_refused(void **state)
{
    (void)state;
    uint64_t seed = 13;
    const struct shape tcp = {.version = 4, .payload = 10}, udp = {.version = 6, .udp = true, .payload = 10};
    size_t size = make_frame(&tcp, &seed, frame);
    refuse_blank(53, OFFLOAD_FAULT_HEADERS); /* TCP's header is cut */
    refuse_blank(33, OFFLOAD_FAULT_PROTOCOL);
    refuse_blank(size - 1, OFFLOAD_FAULT_LENGTH);
    put16(frame + 16, 39); /* a packet too short for TCP's header */
    refuse_blank(size, OFFLOAD_FAULT_LENGTH);
    put16(frame + 16, 0);
    refuse_blank(size, OFFLOAD_FAULT_LENGTH);
    put16(frame + 16, 40);
    frame[14] = 0x4f; /* options past the end */
    refuse_blank(size, OFFLOAD_FAULT_HEADERS);
    frame[14] = 0x45;
    frame[23] = 1; /* ICMP */
    refuse_blank(size, OFFLOAD_FAULT_PROTOCOL);
    frame[23] = 6;
    put16(frame + 20, 0x2000);
    refuse_blank(size, OFFLOAD_FAULT_FRAGMENT);
    put16(frame + 12, 0x0806);
    refuse_blank(size, OFFLOAD_FAULT_PROTOCOL);

    size = make_frame(&udp, &seed, frame);
    refuse_blank(61, OFFLOAD_FAULT_HEADERS);
    static const uint16_t lengths[] = {0, 7, 19, 65535};
    for (size_t i = 0; i < 4; i++) {
        put16(frame + 58, lengths[i]);
        refuse_blank(size, OFFLOAD_FAULT_LENGTH);
    }
    put16(frame + 58, 8); /* less than IP's is padding in a packet */
    assert_int_equal(offload_checksum(frame, size), OFFLOAD_FAULT_NONE);
    assert_int_equal(slow_sum(slow_pseudo(&udp, frame, 8), frame + 54, 8), 0xffff);
}

static void refuse_gso(size_t size, enum netif_gso gso, uint16_t gso_size, enum offload_fault expected)
{
    struct offload_virtio header;
    const struct netif_meta meta = {.csum_blank = true, .gso = gso, .gso_size = gso_size};
    struct netif_meta back;
    uint8_t *before = copy_exactly(frame, size);
    assert_int_equal(to_virtio(size, &meta, &header), expected);
    struct offload_segments segments;
    assert_int_equal(offload_segment_init(&segments, frame, size, &meta), expected);
    header = (struct offload_virtio){
        .gso_type = gso == NETIF_GSO_TCPV4 ? OFFLOAD_VIRTIO_GSO_TCPV4 : OFFLOAD_VIRTIO_GSO_TCPV6, .gso_size = gso_size};
    assert_int_equal(from_virtio(size, &header, &back), expected);
    assert_memory_equal(frame, before, size);
    free(before);
}

static void segmentation_that_cannot_be_is_refused(void **state)
{
    (void)state;
    uint64_t seed = 14;
    const struct shape tcp = {.version = 4, .tcp_options = 12, .payload = 3000};
    const struct shape udp = {.version = 6, .udp = true, .payload = 3000};
    size_t size = make_frame(&tcp, &seed, frame);
    refuse_gso(size, NETIF_GSO_TCPV4, 0, OFFLOAD_FAULT_GSO);
    refuse_gso(size, NETIF_GSO_TCPV6, 1000, OFFLOAD_FAULT_PROTOCOL);
    refuse_gso(payload_of(&tcp) - 1, NETIF_GSO_TCPV4, 1000, OFFLOAD_FAULT_HEADERS);
    frame[34 + 12] = 0x40; /* a header shorter than a header */
    refuse_gso(size, NETIF_GSO_TCPV4, 1000, OFFLOAD_FAULT_HEADERS);
    frame[34 + 12] = 0x50;
    put16(frame + 20, 0x2000);
    refuse_gso(size, NETIF_GSO_TCPV4, 1000, OFFLOAD_FAULT_FRAGMENT);
    size = make_frame(&udp, &seed, frame);
    refuse_gso(size, NETIF_GSO_TCPV6, 1000, OFFLOAD_FAULT_PROTOCOL);
    /* Longer than IP can be. */
    const struct shape long4 = {.version = 4, .payload = 65496}, long6 = {.version = 6, .payload = 65516};
    size = make_frame(&long4, &seed, frame);
    refuse_gso(size, NETIF_GSO_TCPV4, 1000, OFFLOAD_FAULT_LENGTH);
    size = make_frame(&long6, &seed, frame);
    refuse_gso(size, NETIF_GSO_TCPV6, 1000, OFFLOAD_FAULT_LENGTH);
}

static void a_taps_header_is_not_believed(void **state)
{
    (void)state;
    uint64_t seed = 15;
    const struct shape shape = {.version = 4, .payload = 3000};
    const size_t size = make_frame(&shape, &seed, frame);
    struct netif_meta meta;
    static const struct {
        struct offload_virtio header;
        enum offload_fault fault;
    } bad[] = {
        {{.flags = 4}, OFFLOAD_FAULT_VIRTIO},
        {{.flags = 0x80}, OFFLOAD_FAULT_VIRTIO},
        {{.gso_type = 2, .gso_size = 1000}, OFFLOAD_FAULT_GSO},
        {{.gso_type = VIRTIO_NET_HDR_GSO_UDP, .gso_size = 1000}, OFFLOAD_FAULT_GSO},
        {{.gso_type = 5, .gso_size = 1000}, OFFLOAD_FAULT_GSO}, /* UDP_L4, of later headers */
        {{.gso_type = OFFLOAD_VIRTIO_GSO_ECN, .gso_size = 1000}, OFFLOAD_FAULT_GSO},
        {{.gso_type = 0xff, .gso_size = 1000}, OFFLOAD_FAULT_GSO},
        {{.flags = 1, .gso_type = 1, .gso_size = 1000, .csum_start = 35, .csum_offset = 16}, OFFLOAD_FAULT_VIRTIO},
        {{.flags = 1, .gso_type = 1, .gso_size = 1000, .csum_start = 34, .csum_offset = 6}, OFFLOAD_FAULT_VIRTIO},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(from_virtio(size, &bad[i].header, &meta), bad[i].fault);
    const struct offload_virtio good = {
        .flags = 1, .gso_type = 1, .gso_size = 1000, .csum_start = 34, .csum_offset = 16};
    assert_int_equal(from_virtio(size, &good, &meta), OFFLOAD_FAULT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_header_is_linuxs),
        cmocka_unit_test(faults_have_names),
        cmocka_unit_test(a_frame_with_its_checksum_is_left_alone),
        cmocka_unit_test(a_blank_checksum_has_its_place_told),
        cmocka_unit_test(a_frame_to_segment_has_its_size_told),
        cmocka_unit_test(a_length_that_does_not_count_is_mended),
        cmocka_unit_test(one_segment_is_a_plain_frame),
        cmocka_unit_test(padding_has_the_checksum_filled_in),
        cmocka_unit_test(another_checksum_is_filled_in),
        cmocka_unit_test(a_routed_packet_keeps_its_pseudo_sum),
        cmocka_unit_test(a_checksum_that_is_none_is_refused),
        cmocka_unit_test(segmentation_that_cannot_be_is_refused),
        cmocka_unit_test(a_taps_header_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

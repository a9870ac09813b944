/* SPDX-License-Identifier: MIT */
/* Where a frame's headers are found: in whole frames and in cut ones, behind tags, options and extensions. */
#include "offload_rig.h"

static uint8_t frame[FRAME_MAX];

static struct offload_headers parse(size_t size)
{
    struct offload_headers headers;
    uint8_t *exact = copy_exactly(frame, size);
    offload_parse(exact, size, &headers);
    free(exact);
    return headers;
}

static void headers_are_found_in_what_is_there(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (size_t i = 0; i < SHAPES; i++) {
        const struct shape *shape = &shapes[i];
        const size_t size = make_frame(shape, &seed, frame);
        const size_t fixed = l4_of(shape) + (shape->udp ? 8 : 20), ip = l3_of(shape) + (shape->version == 4 ? 20 : 40);
        for (size_t cut = 0; cut <= size; cut++) {
            const struct offload_headers headers = parse(cut);
            assert_int_equal(headers.version, cut < ip ? 0 : shape->version);
            if (cut >= ip)
                assert_int_equal(headers.l3, l3_of(shape));
            assert_int_equal(headers.l4, cut < l4_of(shape) ? 0 : l4_of(shape));
            assert_int_equal(headers.protocol, cut < l4_of(shape) ? 0 : shape->udp ? 17 : 6);
            assert_int_equal(headers.transport, cut < fixed  ? OFFLOAD_TRANSPORT_NONE
                                                : shape->udp ? OFFLOAD_TRANSPORT_UDP
                                                             : OFFLOAD_TRANSPORT_TCP);
            assert_false(headers.fragment || headers.routed);
        }
    }
}

static void what_is_no_ip_has_no_headers(void **state)
{
    (void)state;
    uint64_t seed = 2;
    const struct shape v4 = {.version = 4}, v6 = {.version = 6};
    size_t size = make_frame(&v4, &seed, frame);
    put16(frame + 12, 0x0806); /* ARP */
    assert_int_equal(parse(size).version, 0);
    put16(frame + 12, 0x86dd); /* the other's version */
    assert_int_equal(parse(size).version, 0);
    size = make_frame(&v6, &seed, frame);
    put16(frame + 12, 0x0800);
    assert_int_equal(parse(size).version, 0);
    const struct shape three = {.version = 4, .tags = 3};
    size = make_frame(&three, &seed, frame);
    assert_int_equal(parse(size).version, 0);
    size = make_frame(&v4, &seed, frame);
    frame[14] = 0x44; /* a header shorter than a header */
    assert_int_equal(parse(size).version, 4);
    assert_int_equal(parse(size).l4, 0);
    frame[14] = 0x45;
    frame[14 + 9] = 1; /* ICMP */
    assert_int_equal(parse(size).protocol, 1);
    assert_int_equal(parse(size).l4, 34);
    assert_int_equal(parse(size).transport, OFFLOAD_TRANSPORT_NONE);
}

static void fragments_are_seen(void **state)
{
    (void)state;
    uint64_t seed = 3;
    const struct shape v4 = {.version = 4, .payload = 9}, v6 = {.version = 6, .options = 8, .payload = 9};
    static const uint16_t fields[] = {0x2000, 0x0001, 0x1fff};
    size_t size = make_frame(&v4, &seed, frame);
    for (size_t i = 0; i < 3; i++) {
        put16(frame + 14 + 6, fields[i]);
        assert_true(parse(size).fragment);
        assert_int_equal(parse(size).transport, OFFLOAD_TRANSPORT_NONE);
    }

    size = make_frame(&v6, &seed, frame);
    frame[14 + 6] = 44;
    put16(frame + 54 + 2, 0); /* the only one: as good as none, Windows sends such */
    assert_false(parse(size).fragment);
    assert_int_equal(parse(size).l4, 62);
    assert_int_equal(parse(size).transport, OFFLOAD_TRANSPORT_TCP);
    put16(frame + 54 + 2, 1); /* the first of more */
    assert_true(parse(size).fragment);
    assert_int_equal(parse(size).transport, OFFLOAD_TRANSPORT_NONE);
    put16(frame + 54 + 2, 8); /* not the first: what follows is no header, whatever it looks like */
    frame[54] = 60;
    assert_true(parse(size).fragment);
    assert_int_equal(parse(size).protocol, 60);
    assert_int_equal(parse(size).l4, 62);
}

static void extension_headers_are_stepped_over(void **state)
{
    (void)state;
    uint64_t seed = 4;
    const struct shape shape = {.version = 6, .options = 8 + 16 + 24 + 8, .payload = 50};
    const size_t size = make_frame(&shape, &seed, frame);
    uint8_t *packet = frame + 14;
    packet[6] = 0; /* hops, 8 bytes */
    packet[40] = 43;
    packet[41] = 0;
    packet[48] = 51; /* routing, 16 bytes, at its end */
    packet[49] = 1;
    packet[51] = 0;
    packet[64] = 60; /* authentication, 24 bytes */
    packet[65] = 4;
    packet[88] = 6; /* for the destination, 8 bytes */
    packet[89] = 0;
    assert_int_equal(parse(size).l4, l4_of(&shape));
    assert_int_equal(parse(size).transport, OFFLOAD_TRANSPORT_TCP);
    assert_false(parse(size).routed);
    packet[51] = 1; /* one more stop */
    assert_true(parse(size).routed);
    packet[88] = 59; /* nothing follows */
    assert_int_equal(parse(size).transport, OFFLOAD_TRANSPORT_NONE);
    packet[89] = 255; /* past the end */
    assert_int_equal(parse(size).l4, 0);
}

/* However many there are, and however long. */
static void chains_of_headers_end(void **state)
{
    (void)state;
    uint64_t seed = 5;
    struct shape shape = {.version = 6, .options = OFFLOAD_IP_HEADERS_MAX - 40, .payload = 3000};
    size_t size = make_frame(&shape, &seed, frame);
    for (size_t place = 54; place < l4_of(&shape); place += 8)
        put16(frame + place, place + 8 < l4_of(&shape) ? 60 << 8 : 6 << 8);
    assert_int_equal(parse(size).l4, l4_of(&shape));
    shape.options += 8;
    size = make_frame(&shape, &seed, frame);
    assert_int_equal(parse(size).l4, 0);
    for (size_t place = 54; place < size; place += 8)
        put16(frame + place, 60 << 8);
    assert_int_equal(parse(size).l4, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_found_in_what_is_there),
        cmocka_unit_test(what_is_no_ip_has_no_headers),
        cmocka_unit_test(fragments_are_seen),
        cmocka_unit_test(extension_headers_are_stepped_over),
        cmocka_unit_test(chains_of_headers_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

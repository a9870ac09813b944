/* SPDX-License-Identifier: MIT */
/*
 * The Toeplitz hash against the vectors that Microsoft publishes for receive side scaling ("Verifying the RSS Hash
 * Calculation"), in whole frames; which type of hash applies; and which queue follows.
 */
#include "rig.h"

#include <arpa/inet.h>
#include <errno.h>

#include <ring/netif_hash.h>

#define FRAME_MAX 128u

static const uint8_t published_key[NETIF_HASH_KEY_MAX] = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

struct vector {
    const char *destination, *source;
    uint16_t destination_port, source_port;
    uint32_t plain, tcp;
};

static const struct vector ipv4_vectors[] = {
    {"161.142.100.80", "66.9.149.187", 1766, 2794, 0x323e8fc2, 0x51ccc178},
    {"65.69.140.83", "199.92.111.2", 4739, 14230, 0xd718262a, 0xc626b0ea},
    {"12.22.207.184", "24.19.198.95", 38024, 12898, 0xd2d0a5de, 0x5c2b394a},
    {"209.142.163.6", "38.27.205.30", 2217, 48228, 0x82989176, 0xafc7327f},
    {"202.188.127.2", "153.39.163.191", 1303, 44251, 0x5d1809c5, 0x10e828a2},
};
static const struct vector ipv6_vectors[] = {
    {"3ffe:2501:200:3::1", "3ffe:2501:200:1fff::7", 1766, 2794, 0x2cc18cd5, 0x40207d3d},
    {"ff02::1", "3ffe:501:8::260:97ff:fe40:efab", 4739, 14230, 0x0f0c461c, 0xdde51bbf},
    {"fe80::200:f8ff:fe21:67cf", "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 38024, 44251, 0x4b61e985, 0x02d1feef},
};

static void put_be16(uint8_t *bytes, unsigned value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

/* A frame with `options` bytes in its IPv4 header. Returns its size, up to the ports. */
static size_t make_ipv4(const struct vector *vector, unsigned options, uint8_t frame[FRAME_MAX])
{
    memset(frame, 0, FRAME_MAX);
    put_be16(frame + 12, 0x0800);
    uint8_t *packet = frame + 14;
    packet[0] = (uint8_t)(0x40 | (20 + options) / 4);
    packet[9] = 6;
    assert_int_equal(inet_pton(AF_INET, vector->source, packet + 12), 1);
    assert_int_equal(inet_pton(AF_INET, vector->destination, packet + 16), 1);
    memset(packet + 20, 1, options);
    put_be16(packet + 20 + options, vector->source_port);
    put_be16(packet + 22 + options, vector->destination_port);
    return 14 + 24 + options;
}

static size_t make_ipv6(const struct vector *vector, uint8_t frame[FRAME_MAX])
{
    memset(frame, 0, FRAME_MAX);
    put_be16(frame + 12, 0x86dd);
    uint8_t *packet = frame + 14;
    packet[0] = 0x60;
    packet[6] = 6;
    assert_int_equal(inet_pton(AF_INET6, vector->source, packet + 8), 1);
    assert_int_equal(inet_pton(AF_INET6, vector->destination, packet + 24), 1);
    put_be16(packet + 40, vector->source_port);
    put_be16(packet + 42, vector->destination_port);
    return 14 + 44;
}

static struct netif_hash make_hash(uint32_t types)
{
    struct netif_hash hash = {.algorithm = NETIF_HASH_TOEPLITZ, .types = types, .queues = 4};
    memcpy(hash.key, published_key, sizeof hash.key);
    return hash;
}

/* The frame lies in memory that ends where it ends. */
static void expect(const struct netif_hash *hash, const uint8_t *frame, size_t size, int type, uint32_t value)
{
    enum netif_hash_type ret_type = 99;
    uint32_t ret_value = 0xaaaaaaaa;
    uint8_t *exact = malloc(size ? size : 1);
    assert_non_null(exact);
    memcpy(exact, frame, size);
    assert_int_equal(netif_hash_frame(hash, exact, size, &ret_type, &ret_value), type >= 0);
    assert_int_equal(ret_type, type >= 0 ? type : 99);
    assert_int_equal(ret_value, type >= 0 ? value : 0xaaaaaaaa);
    free(exact);
}

static void hashes_are_the_published_ones(void **state)
{
    (void)state;
    uint8_t frame[FRAME_MAX];
    const struct netif_hash all = make_hash(NETIF_HASH_TYPES_ALL);
    const struct netif_hash plain = make_hash(1u << NETIF_HASH_IPV4 | 1u << NETIF_HASH_IPV6);
    for (size_t i = 0; i < sizeof ipv4_vectors / sizeof ipv4_vectors[0]; i++) {
        const size_t size = make_ipv4(&ipv4_vectors[i], 0, frame);
        expect(&all, frame, size, NETIF_HASH_IPV4_TCP, ipv4_vectors[i].tcp);
        expect(&plain, frame, size, NETIF_HASH_IPV4, ipv4_vectors[i].plain);
    }
    for (size_t i = 0; i < sizeof ipv6_vectors / sizeof ipv6_vectors[0]; i++) {
        const size_t size = make_ipv6(&ipv6_vectors[i], frame);
        expect(&all, frame, size, NETIF_HASH_IPV6_TCP, ipv6_vectors[i].tcp);
        expect(&plain, frame, size, NETIF_HASH_IPV6, ipv6_vectors[i].plain);
    }
}

static void without_a_key_every_hash_is_zero(void **state)
{
    (void)state;
    uint8_t frame[FRAME_MAX];
    struct netif_hash hash = make_hash(NETIF_HASH_TYPES_ALL);
    memset(hash.key, 0, sizeof hash.key);
    const size_t size = make_ipv4(&ipv4_vectors[0], 0, frame);
    expect(&hash, frame, size, NETIF_HASH_IPV4_TCP, 0);
}

static void the_most_specific_type_that_applies(void **state)
{
    (void)state;
    uint8_t frame[FRAME_MAX];
    const struct vector *v4 = &ipv4_vectors[0], *v6 = &ipv6_vectors[0];
    const struct netif_hash all = make_hash(NETIF_HASH_TYPES_ALL);
    const struct netif_hash tcp = make_hash(1u << NETIF_HASH_IPV4_TCP | 1u << NETIF_HASH_IPV6_TCP);
    struct netif_hash none = make_hash(NETIF_HASH_TYPES_ALL);

    size_t size = make_ipv4(v4, 12, frame); /* options before the ports */
    expect(&all, frame, size, NETIF_HASH_IPV4_TCP, v4->tcp);
    frame[14 + 9] = 17; /* UDP */
    expect(&all, frame, size, NETIF_HASH_IPV4, v4->plain);
    expect(&tcp, frame, size, -1, 0);

    size = make_ipv4(v4, 0, frame);
    static const uint16_t fragments[] = {0x2000, 0x0001, 0x1fff};
    for (size_t i = 0; i < 3; i++) {
        put_be16(frame + 14 + 6, fragments[i]);
        expect(&all, frame, size, NETIF_HASH_IPV4, v4->plain);
        expect(&tcp, frame, size, -1, 0);
    }
    put_be16(frame + 14 + 6, 0x4000); /* "do not fragment" is none */
    expect(&all, frame, size, NETIF_HASH_IPV4_TCP, v4->tcp);
    frame[14] = 0x44; /* a header shorter than a header */
    expect(&all, frame, size, NETIF_HASH_IPV4, v4->plain);
    frame[14] = 0x65; /* a version that is not its protocol's */
    expect(&all, frame, size, -1, 0);

    size = make_ipv6(v6, frame);
    frame[14 + 6] = 44; /* a fragment header */
    expect(&all, frame, size, NETIF_HASH_IPV6, v6->plain);
    expect(&tcp, frame, size, -1, 0);
    frame[14] = 0x40;
    expect(&all, frame, size, -1, 0);

    size = make_ipv6(v6, frame);
    none.algorithm = NETIF_HASH_NONE;
    expect(&none, frame, size, -1, 0);
    none = make_hash(0);
    expect(&none, frame, size, -1, 0);
    put_be16(frame + 12, 0x0806); /* ARP */
    expect(&all, frame, size, -1, 0);
}

static void tags_are_looked_behind(void **state)
{
    (void)state;
    uint8_t plain[FRAME_MAX], tagged[FRAME_MAX + 12];
    const struct netif_hash all = make_hash(NETIF_HASH_TYPES_ALL);
    const size_t size = make_ipv4(&ipv4_vectors[1], 0, plain);
    for (unsigned tags = 0; tags <= 3; tags++) {
        memcpy(tagged, plain, 12);
        for (unsigned i = 0; i < tags; i++)
            memcpy(tagged + 12 + 4 * (size_t)i, i + 1 < tags ? "\x88\xa8\0\7" : "\x81\0\0\7", 4);
        memcpy(tagged + 12 + 4 * (size_t)tags, plain + 12, size - 12);
        expect(&all, tagged, size + 4 * (size_t)tags, tags <= 2 ? NETIF_HASH_IPV4_TCP : -1, ipv4_vectors[1].tcp);
    }
}

/* Cut anywhere, a frame has the hash of what is left of it, or none. */
static void short_frames_are_not_read_past_their_end(void **state)
{
    (void)state;
    uint8_t frame[FRAME_MAX];
    const struct netif_hash all = make_hash(NETIF_HASH_TYPES_ALL);
    size_t size = make_ipv4(&ipv4_vectors[2], 0, frame);
    for (size_t cut = 0; cut <= size; cut++)
        expect(&all, frame, cut,
               cut < 34     ? -1
               : cut < size ? NETIF_HASH_IPV4
                            : NETIF_HASH_IPV4_TCP,
               cut < size ? ipv4_vectors[2].plain : ipv4_vectors[2].tcp);
    size = make_ipv6(&ipv6_vectors[2], frame);
    for (size_t cut = 0; cut <= size; cut++)
        expect(&all, frame, cut,
               cut < 54     ? -1
               : cut < size ? NETIF_HASH_IPV6
                            : NETIF_HASH_IPV6_TCP,
               cut < size ? ipv6_vectors[2].plain : ipv6_vectors[2].tcp);
    put_be16(frame + 12, 0x8100);
    for (size_t cut = 0; cut < 18; cut++)
        expect(&all, frame, cut, -1, 0);
}

static void a_queue_follows_from_the_table_or_by_division(void **state)
{
    (void)state;
    struct netif_hash hash = make_hash(NETIF_HASH_TYPES_ALL);
    for (uint32_t value = 0; value < 9; value++)
        assert_int_equal(netif_hash_queue(&hash, value), value % 4);
    hash.mapping_size = 3;
    hash.mapping[0] = 3;
    hash.mapping[1] = 1;
    hash.mapping[2] = 1;
    assert_int_equal(netif_hash_queue(&hash, 0), 3);
    assert_int_equal(netif_hash_queue(&hash, 0xffffffff), 3); /* divisible by 3 */
    assert_int_equal(netif_hash_queue(&hash, 4), 1);
}

static void memory_of_another_process_is_checked(void **state)
{
    (void)state;
    struct netif_hash hash = make_hash(NETIF_HASH_TYPES_ALL);
    hash.mapping_size = NETIF_HASH_MAPPING_MAX;
    hash.mapping[127] = 3;
    assert_int_equal(netif_hash_check(&hash, 4), 0);
    assert_int_equal(netif_hash_check(&hash, 3), -EBADMSG);
    hash.mapping[127] = 4;
    assert_int_equal(netif_hash_check(&hash, 4), -EBADMSG);
    hash.mapping_size = 127;
    assert_int_equal(netif_hash_check(&hash, 4), 0);
    hash.mapping[127] = 3;
    memset(hash.key, 0, sizeof hash.key); /* what an entry too many would be */
    hash.mapping_size = 129;
    assert_int_equal(netif_hash_check(&hash, 4), -EBADMSG);
    hash = make_hash(NETIF_HASH_TYPES_ALL + 1);
    assert_int_equal(netif_hash_check(&hash, 4), -EBADMSG);
    hash = make_hash(0);
    hash.algorithm = 2;
    assert_int_equal(netif_hash_check(&hash, 4), -EBADMSG);
    hash = (struct netif_hash){0};
    assert_int_equal(netif_hash_check(&hash, 0), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_the_published_ones),
        cmocka_unit_test(without_a_key_every_hash_is_zero),
        cmocka_unit_test(the_most_specific_type_that_applies),
        cmocka_unit_test(tags_are_looked_behind),
        cmocka_unit_test(short_frames_are_not_read_past_their_end),
        cmocka_unit_test(a_queue_follows_from_the_table_or_by_division),
        cmocka_unit_test(memory_of_another_process_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

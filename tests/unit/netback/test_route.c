/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "netback/worker/route.h"

#define QUEUES 4u

static const uint8_t key[NETIF_HASH_KEY_MAX] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static struct netback_connection connection;
static struct netback_tuning tuning;
static struct netback_state guest; /* what it has agreed on */
static struct route route;
static uint8_t bytes[NETIF_RX_LENGTH_MAX];
static struct frame frame;

/* IPv4 and TCP, or IPv6 and TCP, without checksums that anybody looks at. */
static void make(unsigned version, uint32_t length, uint16_t flow)
{
    const size_t l4 = version == 4 ? 34 : 54;
    const uint32_t carried = length - (version == 4 ? 14 : 54);

    memset(bytes, 0, sizeof bytes);
    memset(&frame, 0, sizeof frame);
    frame.bytes = bytes;
    frame.length = length;
    bytes[0] = 2;
    bytes[12] = version == 4 ? 8 : 0x86;
    bytes[13] = version == 4 ? 0 : 0xdd;
    bytes[14] = version == 4 ? 0x45 : 0x60;
    bytes[version == 4 ? 16 : 18] = (uint8_t)(carried >> 8);
    bytes[version == 4 ? 17 : 19] = (uint8_t)carried;
    bytes[version == 4 ? 23 : 20] = 6;
    bytes[l4] = (uint8_t)(flow >> 8);
    bytes[l4 + 1] = (uint8_t)flow;
    bytes[l4 + 12] = 0x50;
}

static void begin(uint32_t queues, bool one_source, uint32_t features)
{
    connection = (struct netback_connection){.queue_count = queues, .features = features};
    tuning = (struct netback_tuning){0};
    memset(&guest, 0, sizeof guest);
    guest.hash.queues = queues;
    route_init(&route, &connection, &tuning, &guest, one_source, key);
}

static unsigned go(unsigned source)
{
    unsigned queue = 99;

    assert_int_equal(route_frame(&route, source, &frame, &queue), 0);
    assert_true(queue < connection.queue_count);
    return queue;
}

static unsigned refused(void)
{
    unsigned queue = 99;
    const unsigned drop = route_frame(&route, 0, &frame, &queue);

    assert_int_equal(queue, 99);
    return drop - 1;
}

static void a_source_of_its_own_serves_its_queue(void **state)
{
    (void)state;
    begin(QUEUES, false, NETBACK_FEATURES_ALL);
    assert_true(route_is_fixed(&route));
    make(4, 100, 1);
    for (unsigned source = 0; source < QUEUES; source++)
        assert_int_equal(go(source), source);
    assert_false(frame.meta.hashed);
}

static void one_source_is_spread_by_flow(void **state)
{
    unsigned used = 0;

    (void)state;
    begin(QUEUES, true, NETBACK_FEATURES_ALL);
    assert_false(route_is_fixed(&route));
    for (uint16_t flow = 0; flow < 100; flow++) {
        make(flow % 2 ? 4 : 6, 100, flow);
        const unsigned queue = go(0);
        assert_int_equal(go(0), queue);
        assert_false(frame.meta.hashed); /* the guest knows nothing of it */
        used |= 1u << queue;
    }
    assert_int_equal(used, (1u << QUEUES) - 1);
    begin(1, true, NETBACK_FEATURES_ALL);
    assert_true(route_is_fixed(&route));
}

static void the_guests_hash_comes_first(void **state)
{
    (void)state;
    begin(QUEUES, false, NETBACK_FEATURES_ALL);
    guest.hash.algorithm = NETIF_HASH_TOEPLITZ;
    guest.hash.types = NETIF_HASH_TYPES_ALL;
    guest.hash.mapping_size = 1;
    guest.hash.mapping[0] = 3;
    assert_false(route_is_fixed(&route));
    make(4, 100, 1);
    assert_int_equal(go(1), 3);
    assert_true(frame.meta.hashed);
    bytes[12] = 0x77; /* no IP: the table's first entry */
    assert_int_equal(go(1), 3);
    assert_false(frame.meta.hashed);
    guest.hash.mapping_size = 0;
    assert_int_equal(go(1), 0);
}

static void multicasts_only_when_asked_for(void **state)
{
    (void)state;
    begin(1, false, NETBACK_FEATURES_ALL);
    make(4, 100, 1);
    bytes[0] = 1;
    assert_int_equal(go(0), 0);
    tuning.multicast_control = 1;
    assert_int_equal(refused(), NETBACK_RX_DROP_MULTICAST);
}

static void a_checksum_is_left_to_who_takes_that(void **state)
{
    static const struct {
        uint32_t features;
        unsigned version;
        bool stays;
    } cases[] = {
        {0, 4, false},
        {0, 6, false},
        {NETBACK_TAKES_CSUM_IPV4, 4, true},
        {NETBACK_TAKES_CSUM_IPV4, 6, false},
        {NETBACK_TAKES_CSUM_IPV6, 4, false},
        {NETBACK_TAKES_CSUM_IPV6, 6, true},
        {NETBACK_TAKES_CSUM_IPV4 | NETBACK_TAKES_CSUM_IPV6, 4, true},
        {NETBACK_TAKES_CSUM_IPV4 | NETBACK_TAKES_CSUM_IPV6, 6, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(1, false, cases[i].features);
        make(cases[i].version, 100, 1);
        frame.meta.csum_blank = true;
        assert_int_equal(go(0), 0);
        assert_int_equal(frame.meta.csum_blank, cases[i].stays);
        const size_t field = cases[i].version == 4 ? 50 : 70;
        assert_int_equal(bytes[field] == 0 && bytes[field + 1] == 0, cases[i].stays);
    }
    begin(1, false, 0);
    make(4, 100, 1);
    bytes[23] = 1; /* ICMP has none that could be blank */
    frame.meta.csum_blank = true;
    assert_int_equal(refused(), NETBACK_RX_DROP_OFFLOAD);
}

static void segments_are_made_for_who_takes_none(void **state)
{
    const uint32_t takes = NETBACK_TAKES_SG | NETBACK_TAKES_CSUM_IPV4 | NETBACK_TAKES_GSO_TCPV4;

    (void)state;
    begin(1, false, takes);
    make(4, 20054, 1);
    frame.meta.gso = NETIF_GSO_TCPV4;
    frame.meta.gso_size = 1000;
    frame.meta.csum_blank = true;
    assert_int_equal(go(0), 0);
    assert_false(frame.cut);
    assert_int_equal(frame.meta.gso, NETIF_GSO_TCPV4);

    begin(1, false, takes & ~(uint32_t)NETBACK_TAKES_GSO_TCPV4);
    assert_int_equal(go(0), 0);
    assert_true(frame.cut);
    assert_int_equal(frame.segments.count, 20);

    begin(1, false, takes & ~(uint32_t)NETBACK_TAKES_SG); /* one page each */
    assert_int_equal(go(0), 0);
    assert_true(frame.cut);
    frame.meta.gso_size = 5000;
    assert_int_equal(refused(), NETBACK_RX_DROP_LARGE);
    frame.meta.gso_size = 10; /* 2000 of them */
    assert_int_equal(refused(), NETBACK_RX_DROP_OFFLOAD);
}

static void what_is_too_large_is_dropped(void **state)
{
    (void)state;
    begin(1, false, 0);
    make(4, RING_PAGE_SIZE, 1);
    assert_int_equal(go(0), 0);
    make(4, RING_PAGE_SIZE + 1, 1);
    assert_int_equal(refused(), NETBACK_RX_DROP_LARGE);
    begin(1, false, NETBACK_TAKES_SG);
    assert_int_equal(go(0), 0);
    frame.length = NETIF_LENGTH_MIN - 1;
    assert_int_equal(refused(), NETBACK_RX_DROP_OFFLOAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_of_its_own_serves_its_queue), cmocka_unit_test(one_source_is_spread_by_flow),
        cmocka_unit_test(the_guests_hash_comes_first),          cmocka_unit_test(multicasts_only_when_asked_for),
        cmocka_unit_test(a_checksum_is_left_to_who_takes_that), cmocka_unit_test(segments_are_made_for_who_takes_none),
        cmocka_unit_test(what_is_too_large_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

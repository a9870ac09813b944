/* SPDX-License-Identifier: MIT */
/*
 * The way of frames through a bridge, with ports that only note what they were given.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <bridge/switch.h>

#define PORTS 4u

struct noting_port {
    struct bridge_port port;
    unsigned puts, flushes;
    struct netif_meta meta;
    uint32_t length;
    int answer;
};

static struct bridge bridge;
static struct noting_port ports[PORTS];

static int note_put(struct bridge_port *port, const struct netif_meta *meta, const uint8_t *frame, uint32_t length)
{
    struct noting_port *noting = (struct noting_port *)port;

    (void)frame;
    if (noting->answer < 0)
        return noting->answer;
    noting->puts++;
    noting->meta = *meta;
    noting->length = length;
    return 0;
}

static void note_flush(struct bridge_port *port)
{
    ((struct noting_port *)port)->flushes++;
}

static const struct switch_ops ops = {note_put, note_flush};
static const uint8_t key[FDB_KEY_SIZE];
static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static const uint8_t *mac_of(size_t number)
{
    static uint8_t macs[PORTS + 1][6];

    memcpy(macs[number], "\x00\x16\x3e\x00\x00", 5);
    macs[number][5] = (uint8_t)number;
    return macs[number];
}

static int setup(void **state)
{
    const struct fdb_limits limits = {.entries_max = 64, .per_port_max = 16, .ageing = 300000};

    (void)state;
    if (switch_init(&bridge, "lan", key, &limits) < 0)
        return -1;
    memset(ports, 0, sizeof(ports));
    for (size_t i = 0; i < PORTS; i++) {
        ports[i].port.ops = &ops;
        ports[i].port.filter.any_mac = true;
        snprintf(ports[i].port.name, sizeof(ports[i].port.name), "vif%zu.0", i);
        if (switch_port_add(&bridge, &ports[i].port) < 0)
            return -1;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < PORTS; i++)
        switch_port_remove(&ports[i].port);
    switch_fini(&bridge);
    return 0;
}

static void send_at(size_t from, const uint8_t *to, const uint8_t *source, uint32_t length, int64_t now)
{
    static const struct netif_meta plain;
    uint8_t frame[128] = {0};

    memcpy(frame, to, 6);
    memcpy(frame + 6, source, 6);
    frame[12] = 0x88; /* of no protocol anybody looks into */
    frame[13] = 0xb5;
    switch_frame(&ports[from].port, &plain, frame, length, now);
}

static void send(size_t from, const uint8_t *to)
{
    send_at(from, to, mac_of(from), 60, 0);
}

static void expect_puts(unsigned a, unsigned b, unsigned c, unsigned d)
{
    const unsigned wanted[PORTS] = {a, b, c, d};

    for (size_t i = 0; i < PORTS; i++) {
        assert_int_equal(ports[i].puts, wanted[i]);
        ports[i].puts = 0;
    }
}

static void floods_then_learns(void **state)
{
    (void)state;
    send(0, mac_of(1));
    expect_puts(0, 1, 1, 1);
    send(1, mac_of(0));
    expect_puts(1, 0, 0, 0);
    send(0, mac_of(1));
    expect_puts(0, 1, 0, 0);
    send(0, broadcast);
    expect_puts(0, 1, 1, 1);
    assert_int_equal(ports[0].port.counters.flooded, 2);
    assert_int_equal(ports[0].port.counters.frames_in, 3);
    assert_int_equal(ports[0].port.counters.bytes_in, 180);
    assert_int_equal(ports[0].port.counters.frames_out, 1);
    assert_int_equal(bridge.counters.frames_in, 4);
    assert_int_equal(bridge.counters.frames_out, 8);
}

static void forgets_with_time(void **state)
{
    (void)state;
    send_at(1, broadcast, mac_of(1), 60, 0);
    expect_puts(1, 0, 1, 1);
    send_at(0, mac_of(1), mac_of(0), 60, 299999);
    expect_puts(0, 1, 0, 0);
    send_at(0, mac_of(1), mac_of(0), 60, 300000);
    expect_puts(0, 1, 1, 1);
}

static void flushes_once_a_batch(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10; i++)
        send(0, broadcast);
    assert_int_equal(ports[1].flushes, 0);
    switch_flush(&bridge);
    switch_flush(&bridge);
    assert_int_equal(ports[0].flushes, 0);
    for (size_t i = 1; i < PORTS; i++)
        assert_int_equal(ports[i].flushes, 1);
}

/* A frame costs as much of its port's turn as there is to copy. */
static void a_turn_counts_receivers(void **state)
{
    static const struct netif_meta plain;
    uint8_t frame[100] = {0};

    (void)state;
    memcpy(frame, broadcast, 6);
    memcpy(frame + 6, mac_of(0), 6);
    assert_int_equal(switch_frame(&ports[0].port, &plain, frame, sizeof(frame), 0), 300);
    ports[3].port.group = ports[0].port.group = 7;
    assert_int_equal(switch_frame(&ports[0].port, &plain, frame, sizeof(frame), 0), 200);
    send(1, broadcast);
    memcpy(frame, mac_of(1), 6);
    assert_int_equal(switch_frame(&ports[0].port, &plain, frame, sizeof(frame), 0), 100);
    frame[6] = 1; /* from a group: dropped, but looked at */
    assert_int_equal(switch_frame(&ports[0].port, &plain, frame, sizeof(frame), 0), 100);
}

static void groups_are_isolated(void **state)
{
    (void)state;
    ports[0].port.group = ports[1].port.group = 7;
    ports[2].port.group = 8;
    send(1, broadcast);
    expect_puts(0, 0, 1, 1);
    send(0, mac_of(1)); /* known, and not to be reached */
    expect_puts(0, 0, 0, 0);
    assert_int_equal(ports[0].port.counters.drops[DROP_ISOLATED], 1);
    send(2, mac_of(1));
    expect_puts(0, 1, 0, 0);
    send(3, broadcast);
    expect_puts(1, 1, 1, 0);
    send(0, broadcast);
    expect_puts(0, 0, 1, 1);
}

static void a_full_port_stalls_nobody(void **state)
{
    (void)state;
    ports[1].answer = -ENOSPC;
    ports[2].answer = -EPROTO;
    send(0, broadcast);
    expect_puts(0, 0, 0, 1);
    assert_int_equal(ports[1].port.counters.drops[DROP_NO_ROOM], 1);
    assert_int_equal(ports[2].port.counters.drops[DROP_FAILED], 1);
    assert_int_equal(bridge.counters.drops[DROP_NO_ROOM], 1);
    switch_flush(&bridge);
    assert_int_equal(ports[1].flushes, 1); /* what was put into it before may be why it is full */
    ports[1].answer = 0;
    ports[3].port.closed = true;
    send(0, broadcast);
    expect_puts(0, 1, 0, 0);
}

static void nobody_is_somebody_else(void **state)
{
    struct filter filter = {.any_mac = false};

    (void)state;
    memcpy(filter.mac, mac_of(0), 6);
    assert_int_equal(switch_port_change(&ports[0].port, &filter, 0), 0);
    send(1, mac_of(0)); /* known without having sent */
    expect_puts(1, 0, 0, 0);
    send_at(0, broadcast, mac_of(1), 60, 0);
    expect_puts(0, 0, 0, 0);
    assert_int_equal(ports[0].port.counters.drops[DROP_SPOOFED_MAC], 1);
    send(2, mac_of(1));
    expect_puts(0, 1, 0, 0);
    send_at(3, broadcast, mac_of(0), 60, 0); /* from a port that may send from any, but not from this */
    expect_puts(0, 0, 0, 0);
    assert_int_equal(ports[3].port.counters.drops[DROP_SPOOFED_MAC], 1);
    send(1, mac_of(0));
    expect_puts(1, 0, 0, 0);
}

static void own(size_t port, size_t number)
{
    struct filter filter = {.any_mac = false};

    memcpy(filter.mac, mac_of(number), 6);
    assert_int_equal(switch_port_change(&ports[port].port, &filter, 0), 0);
}

/* Who may send from one address only has no other, and is not shown what is for others. */
static void a_guest_does_not_see_what_is_for_others(void **state)
{
    (void)state;
    own(0, 0);
    own(1, 1);
    send(0, mac_of(PORTS)); /* unknown */
    expect_puts(0, 0, 1, 1);
    send(3, mac_of(PORTS));
    expect_puts(0, 0, 1, 0);
    send(3, broadcast);
    expect_puts(1, 1, 1, 0);
    send(3, mac_of(1));
    expect_puts(0, 1, 0, 0);
    own(2, 1); /* it migrates to its own host: nothing is lost when one of the two goes */
    send(3, mac_of(1));
    expect_puts(0, 1, 0, 0);
    own(1, PORTS);
    send(3, mac_of(1));
    expect_puts(0, 0, 1, 0);
}

static void nonsense_goes_nowhere(void **state)
{
    static const uint8_t nobody[6];
    static const uint8_t reserved[6] = {0x01, 0x80, 0xc2, 0, 0, 0x0f};
    static const uint8_t not_reserved[6] = {0x01, 0x80, 0xc2, 0, 0, 0x10};

    (void)state;
    send_at(0, broadcast, mac_of(0), 13, 0);
    send_at(0, broadcast, broadcast, 60, 0);
    send_at(0, broadcast, nobody, 60, 0);
    send(0, reserved);
    expect_puts(0, 0, 0, 0);
    assert_int_equal(ports[0].port.counters.drops[DROP_RUNT], 1);
    assert_int_equal(ports[0].port.counters.drops[DROP_MALFORMED], 2);
    assert_int_equal(ports[0].port.counters.drops[DROP_RESERVED], 1);
    assert_int_equal(fdb_count(bridge.fdb), 0);
    send(0, not_reserved);
    expect_puts(0, 1, 1, 1);
    send_at(0, broadcast, mac_of(0), 14, 0);
    expect_puts(0, 1, 1, 1);
    send(0, mac_of(0));
    expect_puts(0, 0, 0, 0);
    assert_int_equal(ports[0].port.counters.drops[DROP_NO_PORT], 1);
}

static void metadata_crosses(void **state)
{
    const struct netif_meta meta = {
        .csum_blank = true, .gso = NETIF_GSO_TCPV6, .gso_size = 1440, .hashed = true, .hash = 5};
    static uint8_t frame[65535];

    (void)state;
    memcpy(frame, broadcast, 6);
    memcpy(frame + 6, mac_of(0), 6);
    switch_frame(&ports[0].port, &meta, frame, sizeof(frame), 0);
    assert_int_equal(ports[1].length, sizeof(frame));
    assert_true(ports[1].meta.csum_blank && ports[1].meta.hashed);
    assert_int_equal(ports[1].meta.gso, NETIF_GSO_TCPV6);
    assert_int_equal(ports[1].meta.gso_size, 1440);
    assert_int_equal(ports[1].meta.hash, 5);
}

static void a_bomb_is_defused(void **state)
{
    struct netif_meta meta = {.gso = NETIF_GSO_TCPV4, .gso_size = SWITCH_GSO_SIZE_MIN - 1};
    static uint8_t frame[65535];

    (void)state;
    memcpy(frame, broadcast, 6);
    memcpy(frame + 6, mac_of(0), 6);
    switch_frame(&ports[0].port, &meta, frame, sizeof(frame), 0);
    expect_puts(0, 0, 0, 0);
    assert_int_equal(ports[0].port.counters.drops[DROP_MALFORMED], 1);
    meta.gso_size++;
    switch_frame(&ports[0].port, &meta, frame, sizeof(frame), 0);
    expect_puts(0, 1, 1, 1);
}

static void a_flood_of_macs_hurts_its_port_only(void **state)
{
    (void)state;
    for (size_t i = 1; i < PORTS; i++)
        send(i, broadcast);
    expect_puts(3, 2, 2, 2);
    for (unsigned i = 0; i < 10000; i++) {
        const uint8_t source[6] = {2, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i};
        send_at(0, mac_of(1), source, 60, 0);
    }
    expect_puts(0, 10000, 0, 0); /* nothing was flooded: who is where is known still */
    assert_int_equal(ports[0].port.fdb.count, 16);
    assert_int_equal(ports[0].port.fdb.displaced, 10000 - 16);
    send(1, mac_of(2));
    expect_puts(0, 0, 1, 0);
}

static void a_removed_port_is_forgotten(void **state)
{
    (void)state;
    send(1, broadcast);
    switch_port_remove(&ports[1].port); /* also while it is dirty */
    send(1 + 1, mac_of(1));
    expect_puts(2, 0, 1, 2);
    switch_flush(&bridge);
    assert_int_equal(ports[1].flushes, 0);
    assert_int_equal(switch_port_add(&bridge, &ports[1].port), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(floods_then_learns, setup, teardown),
        cmocka_unit_test_setup_teardown(forgets_with_time, setup, teardown),
        cmocka_unit_test_setup_teardown(flushes_once_a_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(a_turn_counts_receivers, setup, teardown),
        cmocka_unit_test_setup_teardown(groups_are_isolated, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_port_stalls_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_is_somebody_else, setup, teardown),
        cmocka_unit_test_setup_teardown(a_guest_does_not_see_what_is_for_others, setup, teardown),
        cmocka_unit_test_setup_teardown(nonsense_goes_nowhere, setup, teardown),
        cmocka_unit_test_setup_teardown(metadata_crosses, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bomb_is_defused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flood_of_macs_hurts_its_port_only, setup, teardown),
        cmocka_unit_test_setup_teardown(a_removed_port_is_forgotten, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

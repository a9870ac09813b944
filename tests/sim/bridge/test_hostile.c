/* SPDX-License-Identifier: MIT */
/*
 * Ports that do what they should not: each spoils its own, the others keep working, and the counters tell who it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <supervise/channel.h>
#include <supervise/rundir.h>

#include "rig.h"

/* Where the indices of a frame ring are (libring/src/frame.c). */
#define HEAD 0u
#define TAIL 64u

static struct peer *bad, *good, *other;

static int setup(void **state)
{
    (void)state;
    rig_start("[bridge lan]\nentries-max = 128\nentries-per-port-max = 64\n");
    bad = rig_peer(1, "lan");
    good = rig_peer(2, "lan");
    other = rig_peer(3, "lan");
    assert_int_equal(peer_attach(good), 0);
    assert_int_equal(peer_attach(other), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_stop();
    return 0;
}

/* Both ways, between the two that did nothing wrong. */
static void the_others_work(void)
{
    for (uint8_t i = 1; i < 100; i++) {
        peer_send(good, other->mac, good->mac, i);
        peer_expect(other, i);
        peer_send(other, good->mac, other->mac, i);
        peer_expect(good, i);
    }
}

static void drain(struct peer *peer)
{
    static uint8_t frame[FRAME_LENGTH_MAX];
    struct netif_meta meta;
    uint32_t length;

    while (frame_consumer_get(&peer->in, &meta, frame, &length) > 0)
        ;
    if (frame_consumer_release(&peer->in))
        port_bell_ring(peer->fds[1]);
}

static void a_flood_of_macs(void **state)
{
    const unsigned frames = 20000;

    (void)state;
    bad->attach.flags = PORT_ANY_MAC;
    assert_int_equal(peer_attach(bad), 0);
    for (unsigned i = 0; i < frames; i++) {
        static const struct netif_meta plain;
        uint8_t frame[60] = {0};
        memcpy(frame, good->mac, 6);
        memcpy(frame + 6, (const uint8_t[]){2, 0, 0, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}, 6);
        while (!peer_put(bad, &plain, frame, sizeof(frame)))
            peer_kick(bad);
        if (i % 64 == 0) {
            peer_kick(bad);
            drain(good);
        }
    }
    peer_kick(bad);
    rig_await_port_number("lan", "vif1.0", "counters.in.frames", frames);
    drain(good);
    drain(other);
    assert_int_equal(rig_port_number("lan", "vif1.0", "entries"), 64);
    assert_int_equal(rig_port_number("lan", "vif1.0", "displaced"), frames - 64);
    assert_int_equal(rig_port_number("lan", "vif2.0", "displaced"), 0);
    assert_int_equal(rig_port_number("lan", "vif1.0", "counters.flooded"), 0);
    the_others_work();
    assert_int_equal(rig_port_number("lan", "vif2.0", "counters.flooded"), 0); /* nobody was forgotten */
}

static void somebody_elses_mac(void **state)
{
    (void)state;
    assert_int_equal(peer_attach(bad), 0);
    for (unsigned i = 0; i < 50; i++)
        peer_send(bad, other->mac, good->mac, 1);
    rig_await_port_number("lan", "vif1.0", "counters.drops.spoofed_mac", 50);
    assert_string_equal(rig_fdb_port("lan", good->mac), "vif2.0");
    peer_expect_nothing(other);
    the_others_work();
    assert_int_equal(rig_port_number("lan", "vif2.0", "counters.drops.spoofed_mac"), 0);
}

static void a_mac_from_a_port_that_may_use_any(void **state)
{
    (void)state;
    bad->attach.flags = PORT_ANY_MAC;
    assert_int_equal(peer_attach(bad), 0);
    peer_send(bad, other->mac, good->mac, 1);
    rig_await_port_number("lan", "vif1.0", "counters.drops.spoofed_mac", 1);
    assert_string_equal(rig_fdb_port("lan", good->mac), "vif2.0");
    peer_expect_nothing(other);
    the_others_work();
}

static void send_arp(struct peer *peer, const uint8_t *sender_mac, uint8_t sender)
{
    static const struct netif_meta plain;
    uint8_t frame[60] = {0};

    memcpy(frame, broadcast, 6);
    memcpy(frame + 6, peer->mac, 6);
    memcpy(frame + 12, (const uint8_t[]){8, 6, 0, 1, 8, 0, 6, 4, 0, 2}, 10);
    memcpy(frame + 22, sender_mac, 6);
    memcpy(frame + 28, (const uint8_t[]){10, 0, 0, sender}, 4);
    memcpy(frame + 38, (const uint8_t[]){10, 0, 0, 9}, 4);
    assert_true(peer_put(peer, &plain, frame, sizeof(frame)));
    peer_kick(peer);
}

static void send_ip(struct peer *peer, uint8_t source)
{
    static const struct netif_meta plain;
    uint8_t frame[60] = {0};

    memcpy(frame, broadcast, 6);
    memcpy(frame + 6, peer->mac, 6);
    memcpy(frame + 12, (const uint8_t[]){8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, source, 10, 0, 0, 9},
           22);
    assert_true(peer_put(peer, &plain, frame, sizeof(frame)));
    peer_kick(peer);
}

/* "That address is mine", in IPv6. */
static void send_advertisement(struct peer *peer, uint8_t target)
{
    static const struct netif_meta plain;
    uint8_t frame[86] = {0};

    memcpy(frame, broadcast, 6);
    memcpy(frame + 6, peer->mac, 6);
    memcpy(frame + 12, (const uint8_t[]){0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255, 0xfd}, 11);
    frame[37] = 5; /* its own source */
    frame[54] = 136;
    frame[62] = 0xfd;
    frame[77] = target;
    frame[78] = 2;
    frame[79] = 1;
    memcpy(frame + 80, peer->mac, 6);
    assert_true(peer_put(peer, &plain, frame, sizeof(frame)));
    peer_kick(peer);
}

static void somebody_elses_address(void **state)
{
    static uint8_t frame[FRAME_LENGTH_MAX];
    struct netif_meta meta;

    (void)state;
    bad->attach.address_count = 2;
    bad->attach.addresses[0] = (struct port_address){.family = 4, .prefix = 32, .bytes = {10, 0, 0, 5}};
    bad->attach.addresses[1] = (struct port_address){.family = 6, .prefix = 128, .bytes = {0xfd, [15] = 5}};
    assert_int_equal(peer_attach(bad), 0);
    send_ip(bad, 6);
    send_arp(bad, bad->mac, 6);
    send_advertisement(bad, 6);
    rig_await_port_number("lan", "vif1.0", "counters.drops.spoofed_ip", 3);
    send_arp(bad, good->mac, 5);
    rig_await_port_number("lan", "vif1.0", "counters.drops.spoofed_mac", 1);
    peer_expect_nothing(other);
    send_ip(bad, 5);
    send_arp(bad, bad->mac, 5);
    send_advertisement(bad, 5);
    for (unsigned i = 0; i < 3; i++) {
        peer_receive(other, &meta, frame);
        peer_receive(good, &meta, frame);
        assert_memory_equal(frame + 6, bad->mac, 6);
    }
    the_others_work();
}

static void store(struct peer *peer, uint32_t ring, uint32_t place, uint32_t add)
{
    uint32_t *word = (uint32_t *)(void *)(peer->memory + ring + place);

    __atomic_store_n(word, __atomic_load_n(word, __ATOMIC_ACQUIRE) + add, __ATOMIC_RELEASE);
}

/* The port is closed, its client is told and can have a new one. */
static void is_closed(const char *reason)
{
    peer_await_failed(bad);
    assert_int_equal(bad->error, -EPROTO);
    assert_non_null(strstr(bad->reason, reason));
    assert_string_equal(rig_port_text("lan", "vif1.0", "state"), "closed");
    assert_non_null(strstr(rig_port_text("lan", "vif1.0", "reason"), reason));
    the_others_work();
    for (unsigned i = 0; i < PORT_FDS; i++)
        close(bad->fds[i]);
    port_memory_unmap(bad->memory, bad->capacity);
    bad->fds[0] = -1;
    drain(good);
    assert_int_equal(peer_attach(bad), 0);
    peer_send(bad, good->mac, bad->mac, 77);
    peer_expect(good, 77);
}

static void an_impossible_index_of_what_it_sends(void **state)
{
    (void)state;
    assert_int_equal(peer_attach(bad), 0);
    store(bad, PORT_RING_IN, HEAD, bad->capacity + 4);
    port_bell_ring(bad->fds[1]);
    is_closed("what it sends");
    assert_int_equal(rig_port_number("lan", "vif1.0", "counters.drops.malformed"), 1);
}

static void an_index_between_words(void **state)
{
    (void)state;
    assert_int_equal(peer_attach(bad), 0);
    store(bad, PORT_RING_IN, HEAD, 2);
    port_bell_ring(bad->fds[1]);
    is_closed("what it sends");
}

static void a_record_longer_than_it_is(void **state)
{
    (void)state;
    assert_int_equal(peer_attach(bad), 0);
    memset(bad->memory + PORT_RING_IN + FRAME_HEADER_SIZE, 0xff, 64);
    store(bad, PORT_RING_IN, HEAD, 64);
    port_bell_ring(bad->fds[1]);
    is_closed("what it sends");
}

static void an_impossible_index_of_what_it_receives(void **state)
{
    static const struct netif_meta plain;
    static uint8_t frame[60000];

    (void)state;
    assert_int_equal(peer_attach(bad), 0);
    peer_send(bad, broadcast, bad->mac, 1);
    peer_expect(good, 1);
    store(bad, (uint32_t)port_ring_out(bad->capacity), TAIL, 0x40000000);
    memcpy(frame, bad->mac, 6);
    memcpy(frame + 6, good->mac, 6);
    for (unsigned i = 0; i < 40; i++) { /* until it looks at the index, when the ring is full */
        while (!peer_put(good, &plain, frame, sizeof(frame)))
            peer_kick(good);
        peer_kick(good);
    }
    drain(other);
    is_closed("what it receives");
}

static void a_port_that_never_drains(void **state)
{
    static const struct netif_meta plain;
    static uint8_t frame[60000];
    long dropped;

    (void)state;
    assert_int_equal(peer_attach(bad), 0);
    for (unsigned i = 0; i < 100; i++) { /* to all: the ring holds 17 of these */
        memcpy(frame, broadcast, 6);
        memcpy(frame + 6, good->mac, 6);
        frame[14] = (uint8_t)i;
        while (!peer_put(good, &plain, frame, sizeof(frame)))
            peer_kick(good);
        peer_kick(good);
        struct netif_meta meta;
        static uint8_t received[FRAME_LENGTH_MAX];
        assert_int_equal(peer_receive(other, &meta, received), sizeof(frame));
        assert_int_equal(received[14], i);
    }
    dropped = rig_port_number("lan", "vif1.0", "counters.drops.no_room");
    assert_in_range(dropped, 80, 84);
    assert_int_equal(rig_port_number("lan", "vif3.0", "counters.drops.no_room"), 0);
    the_others_work();
    drain(bad); /* and when it does, it is served again */
    peer_send(good, bad->mac, good->mac, 5);
    peer_expect(bad, 5);
    assert_string_equal(rig_port_text("lan", "vif1.0", "state"), "open");
}

/* A bell that takes no more must not make the bridge wait. */
static void a_bell_that_is_full(void **state)
{
    const uint64_t most = UINT64_MAX - 1;

    (void)state;
    assert_int_equal(peer_attach(bad), 0);
    port_bell_clear(bad->fds[2]);
    assert_int_equal(write(bad->fds[2], &most, sizeof(most)), sizeof(most));
    port_bell_clear(bad->fds[1]);
    assert_int_equal(write(bad->fds[1], &most, sizeof(most)), sizeof(most));
    peer_send(good, broadcast, good->mac, 1);
    peer_expect(other, 1);
    the_others_work();
}

/* Nor one that was made to wait for its reader. */
static void a_bell_that_blocks(void **state)
{
    const uint64_t most = UINT64_MAX - 1;

    (void)state;
    assert_int_equal(peer_attach(bad), 0);
    port_bell_clear(bad->fds[2]);
    assert_int_equal(write(bad->fds[2], &most, sizeof(most)), sizeof(most));
    assert_int_equal(fcntl(bad->fds[2], F_SETFL, 0), 0);
    peer_send(good, broadcast, good->mac, 1);
    peer_expect(other, 1);
    is_closed("its bell was made to block");
}

/* Rings its bell without end, with nothing to say. */
static void a_bell_that_never_stops(void **state)
{
    (void)state;
    assert_int_equal(peer_attach(bad), 0);
    for (unsigned i = 0; i < 20000; i++)
        port_bell_ring(bad->fds[1]);
    the_others_work();
}

/* A guest can have its port made, broken and refused again and again: the log has so much of that, not all. */
static void a_port_that_comes_and_goes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        strcpy(bad->attach.bridge, "lan");
        assert_int_equal(peer_attach(bad), 0);
        store(bad, PORT_RING_IN, HEAD, 2);
        port_bell_ring(bad->fds[1]);
        peer_await_failed(bad);
        peer_detach(bad);
        strcpy(bad->attach.bridge, "nowhere");
        assert_int_equal(peer_attach(bad), -ENOENT);
    }
    assert_true(rig_logged("vif1.0 closed: ") > 0);
    assert_true(rig_logged("vif1.0: not attached: ") > 0);
    assert_in_range(rig_logged("vif1.0"), 2, 100); /* of 400 */
    the_others_work();
}

/* Asks for ports and reads no answer. */
static void a_client_that_does_not_listen(void **state)
{
    struct port_message message = bad->attach;
    int dir = rundir_open(rig_run_dir());
    int connection = channel_connect(dir, BRIDGE_PORT_SOCKET);
    unsigned sent = 0;

    (void)state;
    assert_true(connection >= 0);
    for (unsigned quiet = 0; quiet < 100;) {
        int err = channel_send(connection, &message, sizeof(message), NULL, 0);
        assert_true(err == 0 || err == -EAGAIN || err == -EPIPE);
        sent += err == 0;
        if (err == -EPIPE)
            break;
        quiet = err == 0 ? 0 : quiet + 1;
        if (err == -EAGAIN)
            usleep(1000);
    }
    assert_true(sent > 10);
    the_others_work();
    close(connection);
    close(dir);
    assert_int_equal(peer_attach(bad), 0); /* the good client has its turn again */
    the_others_work();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_flood_of_macs, setup, teardown),
        cmocka_unit_test_setup_teardown(somebody_elses_mac, setup, teardown),
        cmocka_unit_test_setup_teardown(a_mac_from_a_port_that_may_use_any, setup, teardown),
        cmocka_unit_test_setup_teardown(somebody_elses_address, setup, teardown),
        cmocka_unit_test_setup_teardown(an_impossible_index_of_what_it_sends, setup, teardown),
        cmocka_unit_test_setup_teardown(an_index_between_words, setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_longer_than_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(an_impossible_index_of_what_it_receives, setup, teardown),
        cmocka_unit_test_setup_teardown(a_port_that_never_drains, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bell_that_is_full, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bell_that_blocks, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bell_that_never_stops, setup, teardown),
        cmocka_unit_test_setup_teardown(a_port_that_comes_and_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_that_does_not_listen, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * tapbridged ends, in order or not, and comes back: with its table, its ports, and what was in their rings. And its configuration changes while it
 * runs.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig.h"

static const uint8_t wanderer[6] = {2, 1, 1, 1, 1, 1};
static struct peer *one, *two, *three;

static int setup(void **state)
{
    (void)state;
    rig_start("[bridge lan]\n");
    one = rig_peer(1, "lan");
    two = rig_peer(2, "lan");
    three = rig_peer(3, "lan");
    one->attach.flags = PORT_ANY_MAC;
    assert_int_equal(peer_attach(one), 0);
    assert_int_equal(peer_attach(two), 0);
    assert_int_equal(peer_attach(three), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_stop();
    return 0;
}

static void await_all_back(void)
{
    peer_await_attached(one, 2);
    peer_await_attached(two, 2);
    peer_await_attached(three, 2);
}

static bool bell_rings(void *arg)
{
    struct pollfd one_bell = {.fd = ((const struct peer *)arg)->fds[2], .events = POLLIN};

    return poll(&one_bell, 1, 0) == 1;
}

static void learn_wanderer(void)
{
    peer_send(one, broadcast, wanderer, 1);
    peer_expect(two, 1);
    peer_expect(three, 1);
    assert_string_equal(rig_fdb_port("lan", wanderer), "vif1.0");
}

static void knows_wanderer(void)
{
    peer_send(two, wanderer, two->mac, 2);
    peer_expect(one, 2);
    peer_expect_nothing(three);
    assert_int_equal(rig_port_number("lan", "vif2.0", "counters.flooded"), 0);
}

static void in_order(void **state)
{
    (void)state;
    learn_wanderer();
    rig_restart(SIGTERM);
    await_all_back();
    knows_wanderer();
}

static bool is_saved(void *arg)
{
    char path[256];

    (void)arg;
    snprintf(path, sizeof(path), "%s/tapbridged/lan", rig_run_dir());
    FILE *file = fopen(path, "r");
    long size = -1;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0)
        size = ftell(file);
    if (file != NULL)
        fclose(file);
    return size > 16; /* more than a header */
}

static void killed(void **state)
{
    (void)state;
    learn_wanderer();
    rig_await(is_saved, NULL, "the table to be saved");
    rig_restart(SIGKILL);
    await_all_back();
    knows_wanderer();
}

/* What is sent while there is no bridge waits in the rings, as far as there is room. */
static void frames_wait(void **state)
{
    (void)state;
    learn_wanderer();
    rig_end(SIGKILL);
    peer_send(one, two->mac, one->mac, 7);
    peer_send(two, wanderer, two->mac, 8);
    rig_begin();
    await_all_back();
    peer_expect(two, 7);
    peer_expect(one, 8);
}

/* A frame for a port that comes back later than others is not taken before that has; unless its client never says that these were all. */
static void frames_wait_for_all_ports(void **state)
{
    (void)state;
    learn_wanderer();
    for (unsigned settled = 1; settled <= 2; settled++) {
        rig_end(SIGKILL);
        rig_client_free();
        peer_send(one, two->mac, one->mac, 7);
        two->wanted = false;
        rig_begin();
        rig_client_new();
        peer_await_attached(one, settled + 1);
        assert_int_equal(peer_attach(two), 0);
        assert_int_equal(rig_port_number("lan", "vif1.0", "counters.in.frames"), 0);
        if (settled == 1)
            rig_client_settle();
        peer_expect(two, 7);
    }
}

/* The one before may have died between an index and its event, at either end of either ring. */
static void events_that_died_are_sent(void **state)
{
    static const struct netif_meta plain;
    struct frame_producer dead;
    struct netif_meta meta;
    uint8_t frame[60] = {0};
    uint32_t length;

    (void)state;
    learn_wanderer();
    assert_int_equal(frame_consumer_get(&two->in, &meta, frame, &length), 0);
    assert_false(frame_consumer_rearm(&two->in)); /* two sleeps */
    rig_end(SIGKILL);
    /* What one sent, and no bell. */
    peer_send(one, two->mac, one->mac, 7);
    port_bell_clear(one->fds[1]);
    /* What the bridge had sent to two, and no bell. */
    uint8_t *ring = two->memory + port_ring_out(two->capacity);
    assert_int_equal(frame_producer_attach(&dead, ring, frame_size(two->capacity), two->capacity), 0);
    memcpy(frame, two->mac, 6);
    memcpy(frame + 6, one->mac, 6);
    frame[14] = 6;
    assert_int_equal(frame_producer_put(&dead, &plain, frame, sizeof(frame)), 0);
    frame_producer_publish(&dead);
    port_bell_clear(two->fds[2]);
    rig_begin();
    await_all_back();
    rig_await(bell_rings, two, "the bell of what came before");
    peer_expect(two, 6);
    peer_expect(two, 7);
}

/* The same with nothing under way: whoever sleeps is woken once. */
static void who_sleeps_is_woken(void **state)
{
    (void)state;
    learn_wanderer();
    assert_false(frame_consumer_rearm(&two->in));
    rig_end(SIGKILL);
    port_bell_clear(two->fds[2]);
    rig_begin();
    await_all_back();
    rig_await(bell_rings, two, "a port to be woken");
}

/* Killed again and again under traffic: a frame may be lost or come twice, but never is another one, and in the end all works. */
static void killed_under_load(void **state)
{
    static uint8_t frame[FRAME_LENGTH_MAX];
    static const struct netif_meta plain;

    (void)state;
    for (unsigned round = 0; round < 10; round++) {
        one->attached = two->attached = three->attached = 0;
        for (unsigned i = 0; i < 2000; i++) {
            struct netif_meta meta;
            uint32_t length;
            uint8_t sent[100] = {0};
            memcpy(sent, two->mac, 6);
            memcpy(sent + 6, one->mac, 6);
            memset(sent + 14, (int)(i % 251), sizeof(sent) - 14);
            peer_put(one, &plain, sent, sizeof(sent));
            peer_kick(one);
            if (i == 1000)
                rig_end(SIGKILL);
            int got = frame_consumer_get(&two->in, &meta, frame, &length);
            assert_true(got >= 0);
            if (got > 0) {
                assert_int_equal(length, sizeof(sent));
                for (uint32_t at = 15; at < length; at++)
                    assert_int_equal(frame[at], frame[14]);
            }
            if (frame_consumer_release(&two->in))
                port_bell_ring(two->fds[1]);
        }
        rig_begin();
        peer_await_attached(one, 1);
        peer_await_attached(two, 1);
        peer_await_attached(three, 1);
    }
    /* The last of it, then one that is known. */
    peer_send(one, two->mac, one->mac, 99);
    struct netif_meta meta;
    while (peer_receive(two, &meta, frame) != 60)
        ;
    assert_int_equal(frame[14], 99);
}

static void another_table_is_of_no_use(void **state)
{
    char path[256];

    (void)state;
    learn_wanderer();
    rig_end(SIGTERM);
    snprintf(path, sizeof(path), "%s/tapbridged/lan", rig_run_dir());
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    fseek(file, 16 + 8, SEEK_SET);
    fputc(0xff, file); /* a multicast address */
    fclose(file);
    rig_begin();
    await_all_back();
    assert_int_equal(rig_logged("the saved table is of no use"), 1);
    assert_string_equal(rig_fdb_port("lan", wanderer), "");
    learn_wanderer();
    knows_wanderer();
}

/* The entries of a port that does not come back at once wait for it, also over another restart. */
static void entries_wait_for_their_port(void **state)
{
    (void)state;
    learn_wanderer();
    one->wanted = false;
    rig_restart(SIGTERM);
    peer_await_attached(two, 2);
    assert_string_equal(rig_fdb_port("lan", wanderer), "");
    rig_restart(SIGTERM);
    peer_await_attached(two, 3);
    assert_int_equal(peer_attach(one), 0);
    assert_string_equal(rig_fdb_port("lan", wanderer), "vif1.0");
    knows_wanderer();
}

static void the_configuration_changes(void **state)
{
    struct peer *late = rig_peer(4, "new");

    (void)state;
    learn_wanderer();
    assert_int_equal(peer_attach(late), -ENOENT);
    rig_reload("[bridge lan]\nisolated = yes\n[bridge new]\n");
    await_all_back(); /* clients are hung up on when bridges come or go */
    assert_int_equal(peer_attach(late), 0);
    peer_send(two, broadcast, two->mac, 3);
    rig_await_port_number("lan", "vif2.0", "counters.in.frames", 1);
    peer_expect_nothing(one);
    assert_string_equal(rig_port_text("lan", "vif2.0", "group"), "isolated");
}

static void a_wrong_configuration_changes_nothing(void **state)
{
    (void)state;
    learn_wanderer();
    rig_reload_wrong("[bridge lan]\nisolated = maybe\n", "isolated: 'maybe' is neither yes nor no");
    rig_reload_wrong("[bridge .]\n", "[bridge .]: not a name");
    rig_reload_wrong("[bridge lan]\ntaps = a/b\n", "taps: 'a/b': not a list of names of devices");
    knows_wanderer();
    rig_reload("[bridge lan]\nageing = 1000\nentries-max = 100\n");
    knows_wanderer();
}

static void a_bridge_goes(void **state)
{
    (void)state;
    rig_reload("[bridge other]\n");
    peer_await_failed(one); /* refused: there is no such bridge */
    assert_int_equal(one->error, -ENOENT);
    rig_reload("[bridge lan]\n");
    assert_int_equal(peer_attach(one), 0);
    assert_int_equal(peer_attach(two), 0);
    assert_int_equal(peer_attach(three), 0);
    learn_wanderer(); /* with the memory they had */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(killed, setup, teardown),
        cmocka_unit_test_setup_teardown(frames_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(frames_wait_for_all_ports, setup, teardown),
        cmocka_unit_test_setup_teardown(events_that_died_are_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(who_sleeps_is_woken, setup, teardown),
        cmocka_unit_test_setup_teardown(killed_under_load, setup, teardown),
        cmocka_unit_test_setup_teardown(another_table_is_of_no_use, setup, teardown),
        cmocka_unit_test_setup_teardown(entries_wait_for_their_port, setup, teardown),
        cmocka_unit_test_setup_teardown(the_configuration_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_configuration_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bridge_goes, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

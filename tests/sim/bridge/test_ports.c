/* SPDX-License-Identifier: MIT */
/*
 * Shared-memory ports of tapbridged: learning, flooding, isolation, segments of 64 KiB; attaching and detaching.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <supervise/channel.h>
#include <supervise/rundir.h>

#include "rig.h"

static struct peer *peers[4]; /* 1, 2, 3 */

static int setup(void **state)
{
    rig_start("[bridge lan]\n[bridge quiet]\nisolated = yes\n");
    (void)state;
    for (unsigned i = 1; i <= 3; i++)
        peers[i] = rig_peer(i, "lan");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_stop();
    return 0;
}

static void attach_all(void)
{
    for (unsigned i = 1; i <= 3; i++)
        assert_int_equal(peer_attach(peers[i]), 0);
}

static void frames_find_their_way(void **state)
{
    static const uint8_t nobody[6] = {2, 9, 9, 9, 9, 9};

    (void)state;
    peers[3]->attach.flags = PORT_ANY_MAC;
    attach_all();
    peer_send(peers[1], broadcast, peers[1]->mac, 1);
    peer_expect(peers[2], 1);
    peer_expect(peers[3], 1);
    peer_send(peers[1], peers[2]->mac, peers[1]->mac, 2);
    peer_expect(peers[2], 2);
    peer_send(peers[2], nobody, peers[2]->mac, 3); /* unknown: to all that may have it behind them */
    peer_expect(peers[3], 3);
    peer_expect_nothing(peers[1]);
    peer_expect_nothing(peers[2]);
    assert_int_equal(rig_port_number("lan", "vif2.0", "counters.flooded"), 1);
    assert_int_equal(rig_port_number("lan", "vif1.0", "counters.in.frames"), 2);
    assert_int_equal(rig_port_number("lan", "vif1.0", "counters.in.bytes"), 120);
    assert_int_equal(rig_port_number("lan", "vif1.0", "counters.out.frames"), 0);
    assert_string_equal(rig_fdb_port("lan", peers[2]->mac), "vif2.0");
}

/* A port that may send from any address: a router, another bridge. */
static void addresses_are_learnt_and_move(void **state)
{
    static const uint8_t wanderer[6] = {2, 1, 1, 1, 1, 1};

    (void)state;
    peers[1]->attach.flags = peers[2]->attach.flags = PORT_ANY_MAC;
    attach_all();
    peer_send(peers[1], broadcast, wanderer, 1);
    peer_expect(peers[3], 1);
    assert_string_equal(rig_fdb_port("lan", wanderer), "vif1.0");
    peer_send(peers[3], wanderer, peers[3]->mac, 2);
    peer_expect(peers[2], 1);
    peer_expect(peers[1], 2);
    peer_expect_nothing(peers[2]);
    peer_send(peers[2], broadcast, wanderer, 3);
    peer_expect(peers[3], 3);
    assert_string_equal(rig_fdb_port("lan", wanderer), "vif2.0");
    peer_send(peers[3], wanderer, peers[3]->mac, 4);
    peer_expect(peers[2], 4);
}

static void a_large_segment_crosses_whole(void **state)
{
    const struct netif_meta meta = {.csum_blank = true,
                                    .data_validated = true,
                                    .gso = NETIF_GSO_TCPV4,
                                    .gso_size = 1448,
                                    .hashed = true,
                                    .hash = 0x1234};
    static uint8_t frame[FRAME_LENGTH_MAX], received[FRAME_LENGTH_MAX];
    struct netif_meta got;

    (void)state;
    attach_all();
    memcpy(frame, peers[2]->mac, 6);
    memcpy(frame + 6, peers[1]->mac, 6);
    frame[12] = 8;
    for (uint32_t i = 14; i < 65535; i++)
        frame[i] = (uint8_t)(i * 7 + i / 256);
    for (unsigned i = 0; i < 100; i++) { /* the rings turn many times */
        while (!peer_put(peers[1], &meta, frame, 65535))
            ;
        peer_kick(peers[1]);
        memset(received, 0, 65535);
        assert_int_equal(peer_receive(peers[2], &got, received), 65535);
        assert_memory_equal(received, frame, 65535);
        assert_true(got.csum_blank && got.data_validated && got.hashed);
        assert_int_equal(got.gso, NETIF_GSO_TCPV4);
        assert_int_equal(got.gso_size, 1448);
        assert_int_equal(got.hash, 0x1234);
    }
    peer_expect_nothing(peers[3]);
}

static void groups_do_not_meet(void **state)
{
    (void)state;
    peers[1]->attach.group = peers[2]->attach.group = 5;
    attach_all();
    peer_send(peers[1], broadcast, peers[1]->mac, 1);
    peer_expect(peers[3], 1);
    peer_expect_nothing(peers[2]);
    peer_send(peers[1], peers[2]->mac, peers[1]->mac, 2);
    peer_send(peers[1], peers[3]->mac, peers[1]->mac, 3);
    peer_expect(peers[3], 3);
    peer_expect_nothing(peers[2]);
    assert_int_equal(rig_port_number("lan", "vif1.0", "counters.drops.isolated"), 1);
    peers[2]->attach.group = 0; /* it may change its mind */
    assert_int_equal(peer_attach(peers[2]), 0);
    peer_send(peers[1], peers[2]->mac, peers[1]->mac, 4);
    peer_expect(peers[2], 4);
}

static void an_isolated_bridge_isolates(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 3; i++)
        strcpy(peers[i]->attach.bridge, "quiet");
    attach_all();
    peer_send(peers[1], broadcast, peers[1]->mac, 1);
    rig_await_port_number("quiet", "vif1.0", "counters.in.frames", 1);
    peer_expect_nothing(peers[2]);
    peer_expect_nothing(peers[3]);
    assert_string_equal(rig_port_text("quiet", "vif1.0", "group"), "isolated");
}

/* One that sends to many has a shorter turn: another one's frame comes through before its 256th. */
static void a_turn_ends_sooner_with_many_receivers(void **state)
{
    static const struct netif_meta plain;
    static uint8_t frame[FRAME_LENGTH_MAX];
    struct netif_meta meta;
    unsigned before = 0;

    (void)state;
    attach_all();
    for (unsigned i = 4; i <= 20; i++)
        assert_int_equal(peer_attach(rig_peer(i, "lan")), 0);
    for (unsigned i = 1; i <= 2; i++) { /* both are heard, and asleep again, or about to */
        peer_send(peers[i], peers[3]->mac, peers[i]->mac, 1);
        peer_expect(peers[3], 1);
    }
    assert_int_equal(kill(rig_pid(), SIGSTOP), 0);
    memcpy(frame, broadcast, 6);
    memcpy(frame + 6, peers[1]->mac, 6);
    for (unsigned i = 0; i < 300; i++)
        assert_true(peer_put(peers[1], &plain, frame, 1000));
    peer_kick(peers[1]);
    peer_send(peers[2], peers[3]->mac, peers[2]->mac, 2);
    assert_int_equal(kill(rig_pid(), SIGCONT), 0);
    while (peer_receive(peers[3], &meta, frame) == 1000)
        before++;
    assert_int_equal(frame[14], 2);
    assert_in_range(before, 0, 200); /* of 19 times 1000 bytes a turn has 56 */
}

static void bridges_are_apart(void **state)
{
    struct peer *outside = rig_peer(9, "quiet");

    (void)state;
    peers[2]->attach.flags = outside->attach.flags = PORT_ANY_MAC;
    attach_all();
    assert_int_equal(peer_attach(outside), 0);
    peer_send(peers[1], outside->mac, peers[1]->mac, 1);
    peer_expect(peers[2], 1);
    peer_expect_nothing(outside);
}

static void a_wrong_wish_is_refused(void **state)
{
    struct peer *lost = rig_peer(7, "nowhere"), *broken = rig_peer(8, "lan");

    (void)state;
    attach_all();
    assert_int_equal(peer_attach(lost), -ENOENT);
    assert_string_equal(lost->reason, "there is no bridge nowhere");
    /* Memory that is another port's bell. */
    assert_int_equal(port_memory_make(1u << 20, broken->fds), 0);
    int memory = broken->fds[0];
    broken->fds[0] = dup(broken->fds[1]);
    broken->capacity = 1u << 20;
    broken->memory = NULL;
    assert_int_equal(peer_attach(broken), -EINVAL);
    close(broken->fds[0]);
    broken->fds[0] = memory;
    assert_int_equal(peer_attach(broken), 0); /* its own it may bring */
    assert_int_equal(port_memory_map(memory, 1u << 20, (void **)&broken->memory), 0);
    assert_int_equal(
        frame_consumer_attach(&broken->in, broken->memory + port_ring_out(1u << 20), frame_size(1u << 20), 1u << 20),
        0);
    peer_send(peers[1], broken->mac, peers[1]->mac, 1);
    peer_expect(broken, 1);
}

static void a_detached_port_is_gone(void **state)
{
    (void)state;
    peers[3]->attach.flags = PORT_ANY_MAC;
    attach_all();
    peer_detach(peers[2]);
    assert_string_equal(rig_fdb_port("lan", peers[2]->mac), "");
    peer_send(peers[1], peers[2]->mac, peers[1]->mac, 1);
    peer_expect(peers[3], 1);
    assert_int_equal(rig_port_number("lan", "vif2.0", "entries"), -1);
    peer_detach(peers[2]); /* no harm */
    assert_int_equal(peer_attach(peers[2]), 0);
    peer_send(peers[1], peers[2]->mac, peers[1]->mac, 2);
    peer_expect(peers[2], 2);
}

/* The client restarts: it presents one port, keeps another for itself, and has forgotten the third. */
static void a_client_comes_back(void **state)
{
    (void)state;
    attach_all();
    rig_client_free();
    peer_send(peers[1], peers[2]->mac, peers[1]->mac, 1); /* nobody controls them: they serve */
    peer_expect(peers[2], 1);
    for (unsigned i = 0; i < PORT_FDS; i++)
        close(peers[3]->fds[i]);
    port_memory_unmap(peers[3]->memory, peers[3]->capacity);
    peers[3]->fds[0] = -1;
    peers[3]->wanted = false;
    peers[1]->attached = peers[2]->attached = 0;
    rig_client_new();
    peer_await_attached(peers[1], 1);
    peer_await_attached(peers[2], 1);
    peer_send(peers[1], peers[2]->mac, peers[1]->mac, 2);
    peer_expect(peers[2], 2);
    assert_int_equal(rig_port_number("lan", "vif1.0", "counters.in.frames"), 2); /* the same port */
    assert_int_equal(peer_attach(peers[1]), 0);
    assert_int_equal(rig_port_number("lan", "vif3.0", "entries"), 0); /* it may present it still */
    rig_client_settle();
    assert_int_equal(peer_attach(peers[1]), 0); /* answered after the client said that it has presented all */
    assert_int_equal(rig_port_number("lan", "vif3.0", "entries"), -1);
}

/* What cannot be taken up is closed, not removed: its client has it still, and may try again. */
static void a_port_that_is_refused_keeps_its_place(void **state)
{
    int fds[PORT_FDS];

    (void)state;
    attach_all();
    rig_client_free();
    memcpy(fds, peers[1]->fds, sizeof(fds));
    assert_int_equal(port_memory_make(peers[1]->capacity, peers[1]->fds), 0);
    assert_int_equal(pwrite(peers[1]->fds[0], "\xff", 1, PORT_RING_IN), 1); /* the index of what it sends */
    peers[1]->error = 0;
    rig_client_new();
    rig_client_settle();
    peer_await_failed(peers[1]);
    assert_int_equal(peers[1]->error, -EPROTO);
    assert_int_equal(peer_attach(peers[2]), 0); /* by now it is settled */
    assert_string_equal(rig_port_text("lan", "vif1.0", "state"), "closed");
    for (unsigned i = 0; i < PORT_FDS; i++)
        close(peers[1]->fds[i]);
    memcpy(peers[1]->fds, fds, sizeof(fds));
    assert_int_equal(peer_attach(peers[1]), 0);
    assert_string_equal(rig_port_text("lan", "vif1.0", "state"), "open");
    peer_send(peers[1], peers[2]->mac, peers[1]->mac, 2);
    peer_expect(peers[2], 2);
}

static void another_version_is_hung_up_on(void **state)
{
    struct port_message message;
    int dir = rundir_open(rig_run_dir());
    int connection = channel_connect(dir, BRIDGE_PORT_SOCKET);
    int fds[CHANNEL_FDS_MAX];
    unsigned fd_count;
    ssize_t got;

    (void)state;
    assert_true(connection >= 0);
    assert_int_equal(port_message_make(PORT_ATTACH, "vif1.0", &message), 0);
    message.version++;
    assert_int_equal(channel_send(connection, &message, sizeof(message), NULL, 0), 0);
    while ((got = channel_receive(connection, &message, sizeof(message), fds, &fd_count)) == -EAGAIN)
        usleep(1000);
    assert_int_equal(got, 0);
    close(connection);
    connection = channel_connect(dir, BRIDGE_PORT_SOCKET);
    assert_int_equal(channel_send(connection, "junk", 4, NULL, 0), 0);
    while ((got = channel_receive(connection, &message, sizeof(message), fds, &fd_count)) == -EAGAIN)
        usleep(1000);
    assert_int_equal(got, 0);
    close(connection);
    close(dir);
    attach_all(); /* the good client is back */
    assert_int_equal(rig_logged("another version"), 2);
}

/* Of root's capabilities one is left, and there is no way to others. */
static void privileges_are_given_up(void **state)
{
    char path[64], line[128], seen[512] = "";

    (void)state;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)rig_pid());
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "CapPrm:", 7) == 0 || strncmp(line, "CapEff:", 7) == 0 ||
            strncmp(line, "NoNewPrivs:", 11) == 0)
            strcat(seen, line);
    fclose(file);
    assert_string_equal(seen, "CapPrm:\t0000000000001000\nCapEff:\t0000000000001000\nNoNewPrivs:\t1\n");
}

static void two_bridges_of_one_run_directory_are_one_too_many(void **state)
{
    char command[512];

    (void)state;
    snprintf(command, sizeof(command), "%s --config=/dev/null --run-dir=%s 2>/dev/null", TAPBRIDGED, rig_run_dir());
    assert_int_not_equal(system(command), 0);
    attach_all();
}

/* What `ringctl bridge ARGUMENTS` prints, and its exit status. */
static int ringctl(const char *arguments, char *ret_text, size_t size)
{
    char command[512];
    snprintf(command, sizeof(command), "%s bridge %s --socket=%s/tapbridged.sock 2>&1", RINGCTL, arguments,
             rig_run_dir());
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    ret_text[fread(ret_text, 1, size - 1, pipe)] = '\0';
    return WEXITSTATUS(pclose(pipe));
}

static void ringctl_tells(void **state)
{
    char text[8192];

    (void)state;
    attach_all();
    peer_send(peers[1], peers[1]->mac, peers[2]->mac, 1); /* spoofed */
    peer_send(peers[1], broadcast, peers[1]->mac, 1);
    peer_expect(peers[2], 1);
    assert_int_equal(ringctl("list", text, sizeof(text)), 0);
    assert_non_null(strstr(text, "lan "));
    assert_non_null(strstr(text, "quiet "));
    assert_int_equal(ringctl("ports lan", text, sizeof(text)), 0);
    assert_non_null(strstr(text, "vif1.0           memory open   -         00:16:3e:00:00:01"));
    assert_int_equal(ringctl("show lan", text, sizeof(text)), 0);
    assert_non_null(strstr(text, "port vif1.0\n"));
    assert_non_null(strstr(text, "  dropped: spoofed_mac   1\n"));
    assert_int_equal(ringctl("fdb lan", text, sizeof(text)), 0);
    assert_non_null(strstr(text, "00:16:3e:00:00:01 vif1.0           its own\n"));
    assert_int_equal(ringctl("fdb lan --json", text, sizeof(text)), 0);
    assert_non_null(strstr(text, "\"mac\": \"00:16:3e:00:00:02\""));
    assert_int_equal(ringctl("show nowhere", text, sizeof(text)), 4);
    assert_int_equal(ringctl("list lan", text, sizeof(text)), 2);
    assert_int_equal(ringctl("show", text, sizeof(text)), 2);
    assert_int_equal(ringctl("eat lan", text, sizeof(text)), 2);
}

static void metrics_name_the_port(void **state)
{
    char command[256], text[16384];

    (void)state;
    attach_all();
    peer_send(peers[1], peers[1]->mac, peers[2]->mac, 1);
    rig_await_port_number("lan", "vif1.0", "counters.drops.spoofed_mac", 1);
    snprintf(command, sizeof(command), "curl -s --unix-socket %s/tapbridged.sock http://x/metrics", rig_run_dir());
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    text[fread(text, 1, sizeof(text) - 1, pipe)] = '\0';
    assert_int_equal(pclose(pipe), 0);
    assert_non_null(
        strstr(text, "ringback_port_drops_total{bridge=\"lan\",port=\"vif1.0\",reason=\"spoofed_mac\"} 1\n"));
    assert_non_null(
        strstr(text, "ringback_port_drops_total{bridge=\"lan\",port=\"vif2.0\",reason=\"spoofed_mac\"} 0\n"));
    assert_non_null(strstr(text, "ringback_bridge_entries{bridge=\"lan\"} 0\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frames_find_their_way, setup, teardown),
        cmocka_unit_test_setup_teardown(addresses_are_learnt_and_move, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_segment_crosses_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(groups_do_not_meet, setup, teardown),
        cmocka_unit_test_setup_teardown(an_isolated_bridge_isolates, setup, teardown),
        cmocka_unit_test_setup_teardown(a_turn_ends_sooner_with_many_receivers, setup, teardown),
        cmocka_unit_test_setup_teardown(bridges_are_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_wish_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_detached_port_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_port_that_is_refused_keeps_its_place, setup, teardown),
        cmocka_unit_test_setup_teardown(another_version_is_hung_up_on, setup, teardown),
        cmocka_unit_test_setup_teardown(ringctl_tells, setup, teardown),
        cmocka_unit_test_setup_teardown(metrics_name_the_port, setup, teardown),
        cmocka_unit_test_setup_teardown(privileges_are_given_up, setup, teardown),
        cmocka_unit_test_setup_teardown(two_bridges_of_one_run_directory_are_one_too_many, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

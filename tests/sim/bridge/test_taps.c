/* SPDX-License-Identifier: MIT */
/*
 * Taps as ports: the host's end of each is a packet socket on it. In a network of the test's own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig.h"

static const uint8_t host[6] = {2, 5, 5, 5, 5, 1}, host_too[6] = {2, 5, 5, 5, 5, 2};
static struct peer *guest, *neighbour;
static uint8_t buffer[FRAME_LENGTH_MAX];

/* ---- The host's end of a tap. ------------------------------------------------------------------------------------- */

static int open_socket(const char *tap)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    const int yes = 1;
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

    assert_true(fd >= 0);
    address.sll_ifindex = (int)if_nametoindex(tap);
    assert_true(address.sll_ifindex > 0);
    assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &yes, sizeof(yes)), 0);
    assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes)), 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void host_send(int fd, const struct virtio_net_hdr *header, const uint8_t *frame, size_t length)
{
    const struct iovec parts[] = {{(void *)(uintptr_t)header, sizeof(*header)}, {(void *)(uintptr_t)frame, length}};

    assert_int_equal(writev(fd, parts, 2), (ssize_t)(sizeof(*header) + length));
}

/* The next frame; its length. */
static uint32_t host_receive(int fd, struct virtio_net_hdr *ret_header, uint8_t *ret_frame)
{
    const struct iovec parts[] = {{ret_header, sizeof(*ret_header)}, {ret_frame, FRAME_LENGTH_MAX}};
    struct pollfd one = {.fd = fd, .events = POLLIN};

    if (poll(&one, 1, LIMIT_MS) <= 0)
        fail_msg("waited %d ms for a frame at the host", LIMIT_MS);
    ssize_t got = readv(fd, parts, 2);
    assert_true(got > (ssize_t)sizeof(*ret_header));
    return (uint32_t)got - (uint32_t)sizeof(*ret_header);
}

static void host_send_small(int fd, const uint8_t *to, const uint8_t *from, uint8_t mark)
{
    static const struct virtio_net_hdr plain;
    uint8_t frame[60] = {0};

    memcpy(frame, to, 6);
    memcpy(frame + 6, from, 6);
    frame[12] = 0x88;
    frame[13] = 0xb5;
    frame[14] = mark;
    host_send(fd, &plain, frame, sizeof(frame));
}

static void host_expect(int fd, uint8_t mark)
{
    struct virtio_net_hdr header;

    assert_int_equal(host_receive(fd, &header, buffer), 60);
    assert_int_equal(buffer[14], mark);
}

static void host_expect_nothing(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&one, 1, 0), 0);
}

/* TCP over IPv4, `length` bytes in all, with a blank checksum. */
static void make_segment(uint8_t *frame, const uint8_t *to, const uint8_t *from, uint32_t length)
{
    const uint32_t ip = length - 14;

    for (uint32_t i = 54; i < length; i++)
        frame[i] = (uint8_t)(i * 5);
    memcpy(frame, to, 6);
    memcpy(frame + 6, from, 6);
    memcpy(frame + 12,
           (const uint8_t[]){8,  0, 0x45, 0, (uint8_t)(ip >> 8), (uint8_t)ip, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1,
                             10, 0, 0,    2},
           22);
    memcpy(frame + 34, (const uint8_t[]){0, 80, 4, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0}, 20);
    uint32_t sum = 0;
    for (unsigned i = 14; i < 34; i += 2)
        sum += (uint32_t)frame[i] << 8 | frame[i + 1];
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    frame[24] = (uint8_t)(~sum >> 8);
    frame[25] = (uint8_t)~sum;
}

/* ---- The tests. --------------------------------------------------------------------------------------------------- */

static int setup(void **state)
{
    (void)state;
    rig_start("[bridge lan]\ntaps = rbtap0\nuplinks = rbup0 rbup1\n");
    guest = rig_peer(1, "lan");
    neighbour = rig_peer(2, "lan");
    assert_int_equal(peer_attach(guest), 0);
    assert_int_equal(peer_attach(neighbour), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_stop();
    return 0;
}

static void a_tap_is_a_port(void **state)
{
    int tap = open_socket("rbtap0");

    (void)state;
    assert_string_equal(rig_port_text("lan", "rbtap0", "state"), "open");
    peer_send(guest, broadcast, guest->mac, 1);
    host_expect(tap, 1);
    peer_expect(neighbour, 1);
    host_send_small(tap, guest->mac, host, 2);
    peer_expect(guest, 2);
    peer_expect_nothing(neighbour);
    assert_string_equal(rig_fdb_port("lan", host), "rbtap0");
    peer_send(guest, host, guest->mac, 3);
    host_expect(tap, 3);
    peer_expect_nothing(neighbour);
    host_send_small(tap, broadcast, guest->mac, 4); /* nobody outside is a guest */
    rig_await_port_number("lan", "rbtap0", "counters.drops.spoofed_mac", 1);
    peer_expect_nothing(neighbour);
    close(tap);
}

static void uplinks_make_no_loop(void **state)
{
    int first = open_socket("rbup0"), second = open_socket("rbup1"), tap = open_socket("rbtap0");

    (void)state;
    host_send_small(first, broadcast, host, 1);
    host_expect(tap, 1);
    peer_expect(guest, 1);
    host_expect_nothing(second);
    host_send_small(second, host, host_too, 2); /* known to be at the other one */
    rig_await_port_number("lan", "rbup1", "counters.drops.isolated", 1);
    host_expect_nothing(first);
    host_expect_nothing(tap);
    host_send_small(tap, host_too, host, 3);
    host_expect(second, 3);
    assert_string_equal(rig_port_text("lan", "rbup0", "group"), "uplinks");
    close(first);
    close(second);
    close(tap);
}

static void a_large_segment_goes_out_whole(void **state)
{
    static uint8_t frame[FRAME_LENGTH_MAX];
    const struct netif_meta meta = {.csum_blank = true, .gso = NETIF_GSO_TCPV4, .gso_size = 1448};
    struct virtio_net_hdr header;
    int tap = open_socket("rbtap0");

    (void)state;
    host_send_small(tap, broadcast, host, 1);
    peer_expect(guest, 1);
    make_segment(frame, host, guest->mac, 65000);
    assert_true(peer_put(guest, &meta, frame, 65000));
    peer_kick(guest);
    assert_int_equal(host_receive(tap, &header, buffer), 65000);
    assert_int_equal(header.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
    assert_int_equal(header.gso_size, 1448);
    assert_true(header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
    assert_memory_equal(buffer + 54, frame + 54, 65000 - 54);
    close(tap);
}

static void a_large_segment_comes_in_whole(void **state)
{
    static uint8_t frame[FRAME_LENGTH_MAX];
    const struct virtio_net_hdr header = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                          .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                          .hdr_len = 54,
                                          .gso_size = 1448,
                                          .csum_start = 34,
                                          .csum_offset = 16};
    struct netif_meta meta;
    int tap = open_socket("rbtap0");

    (void)state;
    make_segment(frame, guest->mac, host, 60000);
    host_send(tap, &header, frame, 60000);
    assert_int_equal(peer_receive(guest, &meta, buffer), 60000);
    assert_int_equal(meta.gso, NETIF_GSO_TCPV4);
    assert_int_equal(meta.gso_size, 1448);
    assert_memory_equal(buffer + 54, frame + 54, 60000 - 54);
    close(tap);
}

/* What says that it is a segment and is none harms nobody. */
static void nonsense_is_not_given_to_a_tap(void **state)
{
    static uint8_t frame[5000];
    const struct netif_meta meta = {.csum_blank = true, .gso = NETIF_GSO_TCPV6, .gso_size = 1000};
    int tap = open_socket("rbtap0");

    (void)state;
    memcpy(frame, broadcast, 6);
    memcpy(frame + 6, guest->mac, 6);
    frame[12] = 0x88;
    frame[13] = 0xb5;
    assert_true(peer_put(guest, &meta, frame, sizeof(frame)));
    peer_kick(guest);
    rig_await_port_number("lan", "rbtap0", "counters.drops.failed", 1);
    host_expect_nothing(tap);
    peer_send(guest, broadcast, guest->mac, 2);
    host_expect(tap, 2);
    close(tap);
}

static void set_up(const char *tap, bool up)
{
    struct ifreq request = {.ifr_flags = 0};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", tap);
    assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
    request.ifr_flags = (short)(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    close(fd);
}

static void a_tap_that_is_down_stalls_nobody(void **state)
{
    (void)state;
    set_up("rbtap0", false);
    peer_send(guest, broadcast, guest->mac, 1);
    peer_expect(neighbour, 1);
    rig_await_port_number("lan", "rbtap0", "counters.drops.failed", 1);
    set_up("rbtap0", true);
    int tap = open_socket("rbtap0");
    peer_send(guest, broadcast, guest->mac, 2);
    host_expect(tap, 2);
    close(tap);
}

static bool tap_is_there(void *arg)
{
    return strcmp(rig_port_text("lan", arg, "state"), "open") == 0 && if_nametoindex(arg) != 0;
}

static void a_tap_that_is_deleted_is_made_again(void **state)
{
    static char name[] = "rbtap0";

    (void)state;
    assert_int_equal(system("ip link delete rbtap0"), 0);
    peer_send(guest, broadcast, guest->mac, 1);
    peer_expect(neighbour, 1);
    rig_await(tap_is_there, name, "the tap to be made again");
    int tap = open_socket(name);
    peer_send(guest, broadcast, guest->mac, 2);
    host_expect(tap, 2);
    close(tap);
}

/* Taps outlive the daemon, with all that is configured on them; what they learnt too. */
static void a_restart_keeps_taps(void **state)
{
    int tap = open_socket("rbtap0");

    (void)state;
    host_send_small(tap, broadcast, host, 1);
    peer_expect(guest, 1);
    peer_expect(neighbour, 1);
    rig_restart(SIGTERM);
    peer_await_attached(guest, 2);
    peer_await_attached(neighbour, 2);
    peer_send(guest, host, guest->mac, 2);
    host_expect(tap, 2);
    peer_expect_nothing(neighbour);
    close(tap);
}

static void taps_come_and_go_by_configuration(void **state)
{
    static char name[] = "rbtap1";

    (void)state;
    rig_reload("[bridge lan]\ntaps = rbtap1\n");
    assert_true(tap_is_there(name));
    assert_string_equal(rig_port_text("lan", "rbtap0", "state"), "");
    int left = open_socket("rbtap0"), tap = open_socket(name);
    peer_send(guest, broadcast, guest->mac, 1);
    host_expect(tap, 1);
    host_expect_nothing(left);
    close(left);
    close(tap);
}

static void a_device_that_is_no_tap_is_refused(void **state)
{
    (void)state;
    rig_reload("[bridge lan]\ntaps = rbtap0 lo\n");
    assert_string_equal(rig_port_text("lan", "lo", "state"), "closed");
    assert_int_equal(rig_logged("tap lo: lan: "), 1);
    peer_send(guest, broadcast, guest->mac, 1);
    peer_expect(neighbour, 1);
}

/* ---- Ports that never run dry. ------------------------------------------------------------------------------------ */

/* Where the indices of a frame ring are (libring/src/frame.c), and how long frames are whose records fill it without a rest. */
#define HEAD   0u
#define TAIL   64u
#define LENGTH (64u - FRAME_OVERHEAD)

static pid_t pourer;

static int setup_busy(void **state)
{
    (void)state;
    rig_start("[tapbridge]\nring-size = 16M\n[bridge lan]\ntaps = rbtap0\n");
    guest = rig_peer(1, "lan");
    neighbour = rig_peer(2, "lan");
    assert_int_equal(peer_attach(guest), 0);
    assert_int_equal(peer_attach(neighbour), 0);
    return 0;
}

static int teardown_busy(void **state)
{
    if (pourer > 0) {
        assert_int_equal(kill(pourer, SIGKILL), 0);
        assert_int_equal(waitpid(pourer, NULL, 0), pourer);
    }
    return teardown(state);
}

/* Fills the ring with frames of one size. */
static void fill(struct peer *from, const struct peer *to)
{
    static const struct netif_meta plain;
    uint8_t frame[LENGTH] = {0};

    memcpy(frame, to->mac, 6);
    memcpy(frame + 6, from->mac, 6);
    frame[12] = 0x88;
    frame[13] = 0xb5;
    while (peer_put(from, &plain, frame, sizeof(frame)))
        ;
}

/* The same frames once more, as soon as there is room for any. */
static void pour(const struct peer *peer)
{
    const uint32_t *tail = (const uint32_t *)(const void *)(peer->memory + PORT_RING_IN + TAIL);
    uint32_t *head = (uint32_t *)(void *)(peer->memory + PORT_RING_IN + HEAD);

    __atomic_store_n(head, __atomic_load_n(tail, __ATOMIC_ACQUIRE) + peer->capacity, __ATOMIC_RELEASE);
}

static void nobody_is_shut_out_by_busy_ports(void **state)
{
    struct peer *quiet = rig_peer(3, "lan");
    int tap = open_socket("rbtap0");

    (void)state;
    fill(guest, neighbour);
    fill(neighbour, guest);
    pourer = fork();
    assert_true(pourer >= 0);
    if (pourer == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            pour(guest);
            pour(neighbour);
        }
    }
    peer_kick(guest);
    peer_kick(neighbour);
    rig_await_port_number("lan", "vif1.0", "counters.in.frames", 1);
    rig_await_port_number("lan", "vif2.0", "counters.in.frames", 1);
    assert_int_equal(peer_attach(quiet), 0);
    host_send_small(tap, quiet->mac, host, 1);
    peer_expect(quiet, 1);
    peer_send(quiet, host, quiet->mac, 2);
    host_expect(tap, 2);
    long seen = rig_port_number("lan", "vif1.0", "counters.in.frames");
    rig_await_port_number("lan", "vif1.0", "counters.in.frames", seen + 1);
    rig_end(SIGTERM);
    close(tap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_tap_is_a_port, setup, teardown),
        cmocka_unit_test_setup_teardown(uplinks_make_no_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_segment_goes_out_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_segment_comes_in_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(nonsense_is_not_given_to_a_tap, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tap_that_is_down_stalls_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tap_that_is_deleted_is_made_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_restart_keeps_taps, setup, teardown),
        cmocka_unit_test_setup_teardown(taps_come_and_go_by_configuration, setup, teardown),
        cmocka_unit_test_setup_teardown(a_device_that_is_no_tap_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_is_shut_out_by_busy_ports, setup_busy, teardown_busy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

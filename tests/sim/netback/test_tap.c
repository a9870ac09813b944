/* SPDX-License-Identifier: MIT */
/*
 * A card whose port is a tap of the kernel's, in a network namespace of the test's own: what the kernel makes of the headers, and of a tap
 * that is down, or removed.
 */
#include "rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct netif_meta plain;
static struct card card;
static uint8_t bytes[NETIF_RX_LENGTH_MAX], read_bytes[NETIF_RX_LENGTH_MAX];
static int wire; /* a socket that sees, and sends to, what the tap's device carries */
static ssize_t read_length;

static int open_tap(void)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE, .ifr_name = "vif1.0"};
    int size = NETBACK_TAP_HEADER_SIZE, fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) {
        fprintf(stderr, "no tap devices here: %s\n", strerror(errno));
        exit(77);
    }
    assert_int_equal(ioctl(fd, TUNSETVNETHDRSZ, &size), 0);
    assert_int_equal(ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6), 0);
    return fd;
}

static void set_up(bool up)
{
    char command[64];

    snprintf(command, sizeof command, "ip link set vif1.0 mtu 1500 %s", up ? "up" : "down");
    assert_int_equal(system(command), 0);
}

static void open_wire(void)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    int on = 1;

    address.sll_ifindex = (int)if_nametoindex("vif1.0");
    wire = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
    assert_true(wire >= 0);
    assert_int_equal(setsockopt(wire, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on), 0);
    assert_int_equal(setsockopt(wire, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on), 0);
    assert_int_equal(bind(wire, (struct sockaddr *)&address, sizeof address), 0);
}

static int open_host(void **state)
{
    if (unshare(CLONE_NEWNET) < 0) {
        fprintf(stderr, "no network namespaces here: %s\n", strerror(errno));
        exit(77);
    }
    return rig_open(state);
}

/* A frame of ours on the wire, behind a header as the tap has it, but without num_buffers; others (IPv6's router solicitations) are passed over. */
static bool wire_has(void *arg)
{
    const uint32_t *number = arg;

    while ((read_length = recv(wire, read_bytes, sizeof read_bytes, 0)) > 0)
        if (read_length >= 10 + 64 && memcmp(read_bytes + 10, bytes, 6) == 0 &&
            frame_number(read_bytes + 10) == *number)
            return true;
    return false;
}

static bool guest_has(void *arg)
{
    const uint32_t *number = arg;
    const struct card_queue *queue = &card.queues[0];

    for (uint32_t i = 0; i < queue->received; i++)
        if (queue->log[i] == *number)
            return true;
    return false;
}

static void send_on_wire(const struct offload_virtio *header, uint32_t length)
{
    uint8_t whole[10 + NETIF_RX_LENGTH_MAX];

    offload_virtio_encode(header, 10, whole);
    memcpy(whole + 10, bytes, length);
    assert_int_equal(send(wire, whole, 10 + length, 0), 10 + length);
}

static void a_tap_carries_what_it_can(void **state)
{
    const struct netif_meta gso = {
        .csum_blank = true, .data_validated = true, .gso = NETIF_GSO_TCPV4, .gso_size = 1448};
    const struct offload_virtio none = {0};
    struct offload_virtio header;
    uint32_t number = 77;

    (void)state;
    rig_start(0);
    card_make(0, NETBACK_PORT_TAP, 1, &card);
    close(card.port[0]);
    close(card.far[0]);
    card.far[0] = 0;
    card.port[0] = open_tap();
    set_up(true);
    open_wire();
    assert_int_equal(card_connect(&card, false, false), 0);
    card.queues[0].keep_posting = true;
    card_post(&card, 0, NETIF_RING_SLOTS);

    frame_make(bytes, 1000, number, 1, false);
    assert_true(card_send(&card, 0, bytes, 1000, 400, &plain));
    rig_until("a frame on the wire", wire_has, &number);
    assert_int_equal(read_length, 10 + 1000);
    assert_memory_equal(read_bytes + 10, bytes, 1000);
    send_on_wire(&none, 1000);
    rig_until("a frame for the guest", guest_has, &number);

    number++; /* a large one, both ways, stays in one piece */
    frame_make(bytes, 60000, number, 1, true);
    assert_true(card_send(&card, 0, bytes, 60000, 4096, &gso));
    rig_until("a large frame on the wire", wire_has, &number);
    assert_int_equal(read_length, 10 + 60000);
    offload_virtio_decode(read_bytes, 10, &header);
    assert_int_equal(header.gso_type, OFFLOAD_VIRTIO_GSO_TCPV4);
    assert_int_equal(header.gso_size, 1448);
    send_on_wire(&header, 60000);
    rig_until("a large frame for the guest", guest_has, &number);
    assert_int_equal(card.queues[0].last.length, 60000);
    assert_int_equal(card.queues[0].last.meta.gso, NETIF_GSO_TCPV4);

    set_up(false); /* then nothing goes, and nobody minds */
    number++;
    frame_make(bytes, 64, number, 1, false);
    assert_true(card_send(&card, 0, bytes, 64, 4096, &plain));
    while (!card_is_answered(&card))
        rig_step();
    assert_true(card.counters->queues[0].tx_drops[NETBACK_TX_DROP_PORT] > 0);
    set_up(true);
    number++;
    frame_make(bytes, 64, number, 1, false);
    assert_true(card_send(&card, 0, bytes, 64, 4096, &plain));
    rig_until("a frame on the wire that is up again", wire_has, &number);

    rig_kill(); /* the tap is kept: nothing is lost of what comes meanwhile */
    number++;
    frame_make(bytes, 64, number, 1, false);
    send_on_wire(&none, 64);
    rig_start(0);
    assert_int_equal(card_connect(&card, true, false), 0);
    rig_until("a frame that came while nobody served", guest_has, &number);

    struct netback_message message;
    assert_int_equal(system("ip link del vif1.0"), 0);
    rig_hear(BACKEND_FAILED, &message, NULL, NULL);
    card_disconnect(&card);
    card_free(&card);
    close(wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_tap_carries_what_it_can, rig_end_worker),
    };

    return cmocka_run_group_tests(tests, open_host, rig_close);
}

/* SPDX-License-Identifier: MIT */
/*
 * Frames through a card, both ways.
 */
#include "rig.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bridge/port.h>
#include <ring/frame.h>
#include <ring/netif_ctrl.h>
#include <xendev/event_channel.h>

static const struct netif_meta plain;
static struct card card;
static uint8_t bytes[NETIF_RX_LENGTH_MAX];
static struct got got;
static struct offload_virtio header;

static void begin(enum netback_port port, unsigned queues, uint32_t poll_time_us)
{
    rig_start(poll_time_us);
    card_make(0, port, queues, &card);
}

static void end(void)
{
    for (unsigned i = 0; i < card.order.connection.queue_count; i++)
        assert_false(card.queues[i].broken);
    card_disconnect(&card);
    card_free(&card);
    rig_kill();
}

struct wish {
    unsigned queue;
    uint32_t received;
};

static bool has_received(void *arg)
{
    const struct wish *wish = arg;

    return card.queues[wish->queue].received >= wish->received;
}

static void until_received(unsigned queue, uint32_t count)
{
    struct wish wish = {.queue = queue, .received = count};

    rig_until("a frame for the guest", has_received, &wish);
}

static bool far_has_read(void *arg)
{
    return far_read(&card, *(unsigned *)arg, &got, &header);
}

static void until_far_read(unsigned queue)
{
    rig_until("a frame from the guest", far_has_read, &queue);
}

static bool all_answered(void *arg)
{
    (void)arg;
    return card_is_answered(&card);
}

static void until_answered(void)
{
    rig_until("answers to all the guest sent", all_answered, NULL);
}

static void one_each_way(uint32_t length, uint32_t number)
{
    frame_make(bytes, length, number, 1, false);
    if (length <= NETIF_LENGTH_MAX) {
        assert_true(card_send(&card, 0, bytes, length, 4096, &plain));
        until_far_read(0);
        assert_int_equal(got.length, length);
        assert_memory_equal(got.bytes, bytes, length);
        until_answered();
    }
    const uint32_t before = card.queues[0].received;
    assert_true(far_write(&card, 0, bytes, length, NULL));
    until_received(0, before + 1);
    assert_int_equal(card.queues[0].last.length, length);
    assert_memory_equal(card.queues[0].last.bytes, bytes, length);
}

static void frames_arrive_as_they_were_sent(void **state)
{
    static const uint32_t lengths[] = {64, 65, 1514, 4095, 4096, 4097, 9014, 65535, NETIF_RX_LENGTH_MAX};

    (void)state;
    begin(NETBACK_PORT_TAP, 1, 0);
    assert_int_equal(card_connect(&card, false, false), 0);
    card.queues[0].keep_posting = true;
    card_post(&card, 0, NETIF_RING_SLOTS);
    for (uint32_t round = 0; round < 3; round++)
        for (uint32_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
            one_each_way(lengths[i], round * 100 + i);
    assert_int_equal(card.counters->queues[0].tx_packets, 3 * 8);
    assert_int_equal(card.counters->queues[0].rx_packets, 3 * 9);
    assert_int_equal(card.queues[0].errors, 0);
    end();
}

static void what_was_sent_before_it_connected_is_found(void **state)
{
    (void)state;
    begin(NETBACK_PORT_TAP, 1, 0);
    frame_make(bytes, 100, 1, 1, false);
    assert_true(card_send(&card, 0, bytes, 100, 4096, &plain)); /* its event goes nowhere */
    assert_true(far_write(&card, 0, bytes, 100, NULL));
    card_post(&card, 0, 10);
    assert_int_equal(card_connect(&card, false, false), 0);
    until_far_read(0);
    until_answered();
    until_received(0, 1);
    end();
}

static void a_rush_is_neither_lost_nor_out_of_order(void **state)
{
    const uint32_t count = 3000;
    uint32_t sent = 0, read = 0, written = 0;

    (void)state;
    begin(NETBACK_PORT_TAP, 1, 100);
    assert_int_equal(card_connect(&card, false, false), 0);
    card.queues[0].keep_posting = true;
    card_post(&card, 0, NETIF_RING_SLOTS);
    while (read < count || card.queues[0].received < count) {
        for (; sent < read + 40 && sent < count; sent++) { /* more, and the port drops some */
            frame_make(bytes, 64 + sent % 1400, sent, 1, false);
            if (!card_send(&card, 0, bytes, 64 + sent % 1400, 700, &plain))
                break;
        }
        for (unsigned i = 0; i < 50 && written < count; i++, written++) {
            frame_make(bytes, 64 + written % 1400, written, 1, false);
            if (!far_write(&card, 0, bytes, 64 + written % 1400, NULL))
                break;
        }
        while (far_read(&card, 0, &got, &header))
            assert_int_equal(frame_number(got.bytes), read++);
        rig_step();
    }
    until_answered();
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(card.queues[0].log[i], i);
    end();
}

static void blank_checksums_and_segments_pass_both_ways(void **state)
{
    const struct netif_meta blank = {.csum_blank = true, .data_validated = true};
    const struct netif_meta gso = {
        .csum_blank = true, .data_validated = true, .gso = NETIF_GSO_TCPV4, .gso_size = 1448};

    (void)state;
    begin(NETBACK_PORT_TAP, 1, 0);
    assert_int_equal(card_connect(&card, false, false), 0);
    card_post(&card, 0, 100);

    frame_make(bytes, 1000, 1, 1, true);
    assert_true(card_send(&card, 0, bytes, 1000, 4096, &blank));
    until_far_read(0);
    assert_int_equal(header.flags, OFFLOAD_VIRTIO_NEEDS_CSUM);
    assert_int_equal(header.csum_start, 34);
    assert_int_equal(header.csum_offset, 16);
    assert_int_equal(header.gso_type, OFFLOAD_VIRTIO_GSO_NONE);
    assert_true(far_write(&card, 0, got.bytes, got.length, &header));
    until_received(0, 1);
    assert_true(card.queues[0].last.meta.csum_blank);

    frame_make(bytes, 60000, 2, 1, true);
    assert_true(card_send(&card, 0, bytes, 60000, 4096, &gso));
    until_far_read(0);
    assert_int_equal(header.gso_type, OFFLOAD_VIRTIO_GSO_TCPV4);
    assert_int_equal(header.gso_size, 1448);
    assert_true(far_write(&card, 0, got.bytes, got.length, &header));
    until_received(0, 2);
    assert_int_equal(card.queues[0].last.length, 60000);
    assert_int_equal(card.queues[0].last.meta.gso, NETIF_GSO_TCPV4);
    assert_int_equal(card.queues[0].last.meta.gso_size, 1448);
    assert_int_equal(card.counters->queues[0].tx_gso, 1);
    until_answered();
    end();
}

/* A guest that takes nothing of the kind gets whole frames, in pages of one. */
static void what_a_guest_does_not_take_is_done_for_it(void **state)
{
    const struct offload_virtio gso = {.flags = OFFLOAD_VIRTIO_NEEDS_CSUM,
                                       .gso_type = OFFLOAD_VIRTIO_GSO_TCPV4,
                                       .gso_size = 1000,
                                       .csum_start = 34,
                                       .csum_offset = 16};
    const struct offload_virtio blank = {.flags = OFFLOAD_VIRTIO_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16};

    (void)state;
    begin(NETBACK_PORT_TAP, 1, 0);
    card.order.connection.features = NETBACK_RX_NOTIFY;
    assert_int_equal(card_connect(&card, false, false), 0);
    card.queues[0].keep_posting = true;
    card_post(&card, 0, NETIF_RING_SLOTS);

    frame_make(bytes, 600, 7, 1, true);
    assert_true(far_write(&card, 0, bytes, 600, &blank));
    until_received(0, 1);
    frame_make(bytes, 600, 7, 1, false);
    assert_false(card.queues[0].last.meta.csum_blank);
    assert_memory_equal(card.queues[0].last.bytes, bytes, 600);

    frame_make(bytes, 54 + 50 * 1000, 8, 1, true);
    assert_true(far_write(&card, 0, bytes, 54 + 50 * 1000, &gso));
    until_received(0, 51);
    struct got *last = &card.queues[0].last;
    assert_int_equal(last->length, 54 + 1000);
    assert_int_equal(last->meta.gso, NETIF_GSO_NONE);
    assert_memory_equal(last->bytes + 54, bytes + 54 + 49 * 1000, 1000);
    const uint8_t sum[2] = {last->bytes[50], last->bytes[51]};
    assert_int_equal(offload_checksum(last->bytes, last->length), OFFLOAD_FAULT_NONE);
    assert_memory_equal(sum, last->bytes + 50, 2); /* it was right */

    frame_make(bytes, 5000, 9, 1, false); /* it has no place for this */
    assert_true(far_write(&card, 0, bytes, 5000, NULL));
    frame_make(bytes, 64, 10, 1, false);
    assert_true(far_write(&card, 0, bytes, 64, NULL));
    until_received(0, 52);
    assert_int_equal(card.counters->queues[0].rx_drops[NETBACK_RX_DROP_LARGE], 1);
    end();
}

static void each_queue_serves_its_own(void **state)
{
    (void)state;
    begin(NETBACK_PORT_TAP, CARD_QUEUES, 0);
    assert_int_equal(card_connect(&card, false, false), 0);
    for (unsigned i = 0; i < CARD_QUEUES; i++) {
        card.queues[i].keep_posting = true;
        card_post(&card, i, NETIF_RING_SLOTS);
    }
    for (uint32_t round = 0; round < 20; round++)
        for (unsigned i = 0; i < CARD_QUEUES; i++) {
            frame_make(bytes, 500, round * 10 + i, (uint16_t)round, false);
            assert_true(card_send(&card, i, bytes, 500, 200, &plain));
            until_far_read(i);
            assert_int_equal(frame_number(got.bytes), round * 10 + i);
            assert_true(far_write(&card, i, bytes, 500, NULL));
            until_received(i, round + 1);
            assert_int_equal(frame_number(card.queues[i].last.bytes), round * 10 + i);
        }
    until_answered();
    end();
}

/* Asks over the control ring, and waits for the answer. */
static bool has_answer(void *arg)
{
    return card.ctrl_answers >= *(uint32_t *)arg;
}

static void ask(uint16_t type, uint32_t first, uint32_t second, uint32_t third)
{
    const struct netif_ctrl_request request = {.id = 1, .type = type, .data = {first, second, third}};
    uint8_t slot[RING_REQUEST_MAX];
    uint32_t due = card.ctrl_answers + 1;

    netif_ctrl_request_encode(&request, slot);
    assert_int_equal(ring_front_request(&card.ctrl, slot), 0);
    if (ring_front_publish(&card.ctrl))
        xendev_channel_notify(card.ctrl_channel);
    rig_until("an answer on the control ring", has_answer, &due);
}

static void the_guests_hash_chooses_the_queue(void **state)
{
    struct netif_hash hash = {.algorithm = NETIF_HASH_TOEPLITZ, .types = NETIF_HASH_TYPES_ALL, .queues = CARD_QUEUES};
    uint32_t expected[CARD_QUEUES] = {0}, used = 0;

    (void)state;
    begin(NETBACK_PORT_TAP, CARD_QUEUES, 0);
    assert_int_equal(card_connect(&card, false, false), 0);
    for (unsigned i = 0; i < CARD_QUEUES; i++) {
        card.queues[i].keep_posting = true;
        card_post(&card, i, NETIF_RING_SLOTS);
    }
    for (unsigned i = 0; i < NETIF_HASH_KEY_MAX; i++)
        hash.key[i] = card.queues[0].tx_pages[i] = (uint8_t)(i * 37 + 5);
    ask(NETIF_CTRL_SET_HASH_ALGORITHM, NETIF_HASH_TOEPLITZ, 0, 0);
    ask(NETIF_CTRL_SET_HASH_FLAGS, NETIF_HASH_TYPES_ALL, 0, 0);
    ask(NETIF_CTRL_SET_HASH_KEY, card.queues[0].tx_grefs[0], NETIF_HASH_KEY_MAX, 0);
    for (unsigned round = 0; round < 2; round++) {
        for (uint16_t flow = 0; flow < 40; flow++) {
            enum netif_hash_type type;
            uint32_t value = 0;
            frame_make(bytes, 200, flow, flow, false);
            assert_true(netif_hash_frame(&hash, bytes, 200, &type, &value));
            const unsigned queue = netif_hash_queue(&hash, value);
            used |= 1u << queue;
            assert_true(far_write(&card, 0, bytes, 200, NULL));
            until_received(queue, ++expected[queue]);
            assert_true(card.queues[queue].last.meta.hashed);
            assert_int_equal(card.queues[queue].last.meta.hash, value);
            assert_memory_equal(card.queues[queue].last.bytes, bytes, 200);
        }
        if (round == 1)
            break;
        rig_kill(); /* what was agreed on outlives the worker */
        rig_start(0);
        assert_int_equal(card_connect(&card, true, false), 0);
    }
    assert_int_equal(used, (1u << CARD_QUEUES) - 1);
    end();
}

static void multicasts_are_those_asked_for(void **state)
{
    const struct netif_meta join = {.multicast = NETIF_MULTICAST_ADD, .address = {1, 0, 0x5e, 0, 0, 7}};

    (void)state;
    begin(NETBACK_PORT_TAP, 1, 0);
    card.order.tuning.multicast_control = 1;
    assert_int_equal(card_connect(&card, false, false), 0);
    card_post(&card, 0, 100);
    assert_true(card_send(&card, 0, NULL, 0, 4096, &join));
    until_answered();
    assert_int_equal(card.queues[0].errors, 0);
    for (uint8_t last = 6; last < 9; last++) {
        frame_make(bytes, 64, last, 1, false);
        memcpy(bytes, join.address, sizeof join.address);
        bytes[5] = last;
        assert_true(far_write(&card, 0, bytes, 64, NULL));
    }
    frame_make(bytes, 64, 99, 1, false);
    memset(bytes, 0xff, 6);
    assert_true(far_write(&card, 0, bytes, 64, NULL));
    until_received(0, 2);
    assert_int_equal(card.queues[0].log[0], 7);
    assert_int_equal(card.queues[0].log[1], 99);
    assert_int_equal(card.counters->queues[0].rx_drops[NETBACK_RX_DROP_MULTICAST], 2);

    card.order.tuning.multicast_control = 0; /* from now on all of them */
    card_tune(&card);
    bytes[0] = 3;
    assert_true(far_write(&card, 0, bytes, 64, NULL));
    until_received(0, 3);
    end();
}

static void a_rate_makes_the_guest_wait_and_loses_nothing(void **state)
{
    const uint32_t count = 40;
    uint32_t read = 0;

    (void)state;
    begin(NETBACK_PORT_TAP, 1, 0);
    card.order.tuning.rate_bytes = 200000;
    card.order.tuning.rate_us = 20000;
    assert_int_equal(card_connect(&card, false, false), 0);
    for (uint32_t sent = 0; read < count;) {
        frame_make(bytes, 30000, sent, 1, false);
        if (sent < count && card_send(&card, 0, bytes, 30000, 4096, &plain))
            sent++;
        while (far_read(&card, 0, &got, &header))
            assert_int_equal(frame_number(got.bytes), read++);
        rig_step();
    }
    until_answered();
    assert_true(card.counters->queues[0].tx_waits > 0);

    card.order.tuning.rate_bytes = 1; /* a window that never ends, as far as this test goes */
    card.order.tuning.rate_us = 4000000000;
    card_tune(&card);
    for (uint32_t sent = 0; sent < 5; sent++) { /* more than the burst */
        frame_make(bytes, 30000, count + sent, 1, false);
        assert_true(card_send(&card, 0, bytes, 30000, 4096, &plain));
    }
    for (unsigned i = 0; i < 500; i++)
        rig_step();
    assert_false(card_is_answered(&card));
    card.order.tuning.rate_bytes = 0;
    card_tune(&card);
    for (; read < count + 5; read++) {
        until_far_read(0);
        assert_int_equal(frame_number(got.bytes), read);
    }
    until_answered();
    end();
}

/* ---- A port of the switch. ------------------------------------------------------------------------------------------- */

static struct frame_consumer bridge_in;
static struct frame_producer bridge_out;

static bool bridge_sleeps; /* until its bell rings */

static bool bridge_has_read(void *arg)
{
    uint64_t count;

    (void)arg;
    if (bridge_sleeps && read(card.port[1], &count, sizeof count) < 0)
        return false;
    bridge_sleeps = false;
    do {
        if (frame_consumer_get(&bridge_in, &got.meta, got.bytes, &got.length) == 1)
            return true;
    } while (frame_consumer_rearm(&bridge_in));
    bridge_sleeps = true;
    return false;
}

static void bridge_write(uint32_t length, const struct netif_meta *meta)
{
    assert_int_equal(frame_producer_put(&bridge_out, meta, bytes, length), 0);
    if (frame_producer_publish(&bridge_out))
        port_bell_ring(card.port[2]);
}

static void *bridge_attach(uint32_t capacity)
{
    void *memory;

    assert_int_equal(port_memory_map(card.port[0], capacity, &memory), 0);
    assert_int_equal(
        frame_consumer_attach(&bridge_in, (uint8_t *)memory + PORT_RING_IN, frame_size(capacity), capacity), 0);
    assert_int_equal(
        frame_producer_attach(&bridge_out, (uint8_t *)memory + port_ring_out(capacity), frame_size(capacity), capacity),
        0);
    bridge_sleeps = false;
    return memory;
}

static void frames_go_through_the_switch(void **state)
{
    const struct netif_meta gso = {.csum_blank = true, .gso = NETIF_GSO_TCPV4, .gso_size = 1000};
    const uint32_t capacity = 1u << 20;

    (void)state;
    begin(NETBACK_PORT_SWITCH, 2, 50);
    card.order.connection.features &= ~(uint32_t)NETBACK_TAKES_GSO_TCPV4;
    void *memory = bridge_attach(capacity);
    assert_int_equal(card_connect(&card, false, false), 0);
    for (unsigned i = 0; i < 2; i++) {
        card.queues[i].keep_posting = true;
        card_post(&card, i, NETIF_RING_SLOTS);
    }
    for (uint32_t i = 0; i < 300; i++) {
        frame_make(bytes, 5000, i, (uint16_t)i, true);
        const uint32_t before = card.queues[0].received + card.queues[1].received;
        assert_true(card_send(&card, i % 2, bytes, 5000, 4096, &gso));
        rig_until("a frame in the switch", bridge_has_read, NULL);
        frame_consumer_release(&bridge_in);
        assert_int_equal(got.length, 5000);
        assert_int_equal(got.meta.gso, NETIF_GSO_TCPV4);
        bridge_write(5000, &gso);
        while (card.queues[0].received + card.queues[1].received < before + 5) { /* 4946 bytes, by 1000 */
            rig_step();
        }
    }
    assert_true(card.queues[0].received > 0 && card.queues[1].received > 0); /* spread by a hash of the worker's own */
    until_answered();
    port_memory_unmap(memory, capacity);
    end();
}

static uint32_t flood_sent, flood_end;

/* Sends what the guest's ring has room for, on its second queue. */
static void flood(void)
{
    for (; flood_sent < flood_end; flood_sent++) {
        frame_make(bytes, 5000, flood_sent, 1, false);
        if (!card_send(&card, 1, bytes, 5000, 4096, &plain))
            return;
    }
}

static bool flood_has_filled_the_switch(void *arg)
{
    (void)arg;
    flood();
    return card.counters->queues[1].tx_packets >= 190; /* of 209, when room for the largest frame is kept */
}

static bool flood_has_come(void *arg)
{
    flood();
    return bridge_has_read(arg);
}

/* Frames for which its ring has no room stay on the guest's, whichever queue they are of, until it has read. */
static void a_slow_switch_makes_the_guest_wait(void **state)
{
    const uint32_t capacity = 1u << 20;

    (void)state;
    begin(NETBACK_PORT_SWITCH, 2, 0);
    void *memory = bridge_attach(capacity);
    assert_int_equal(card_connect(&card, false, false), 0);
    flood_sent = 0;
    flood_end = 1000;
    rig_until("frames to fill the switch", flood_has_filled_the_switch, NULL);
    for (uint32_t read = 0; read < flood_end; read++) {
        rig_until("a frame in the switch", flood_has_come, NULL);
        assert_int_equal(frame_number(got.bytes), read);
        if (frame_consumer_release(&bridge_in))
            port_bell_ring(card.port[2]);
    }
    until_answered();
    assert_int_equal(card.counters->queues[1].tx_drops[NETBACK_TX_DROP_PORT], 0);
    port_memory_unmap(memory, capacity);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(frames_arrive_as_they_were_sent, rig_end_worker),
        cmocka_unit_test_teardown(what_was_sent_before_it_connected_is_found, rig_end_worker),
        cmocka_unit_test_teardown(a_rush_is_neither_lost_nor_out_of_order, rig_end_worker),
        cmocka_unit_test_teardown(blank_checksums_and_segments_pass_both_ways, rig_end_worker),
        cmocka_unit_test_teardown(what_a_guest_does_not_take_is_done_for_it, rig_end_worker),
        cmocka_unit_test_teardown(each_queue_serves_its_own, rig_end_worker),
        cmocka_unit_test_teardown(the_guests_hash_chooses_the_queue, rig_end_worker),
        cmocka_unit_test_teardown(multicasts_are_those_asked_for, rig_end_worker),
        cmocka_unit_test_teardown(a_rate_makes_the_guest_wait_and_loses_nothing, rig_end_worker),
        cmocka_unit_test_teardown(frames_go_through_the_switch, rig_end_worker),
        cmocka_unit_test_teardown(a_slow_switch_makes_the_guest_wait, rig_end_worker),
    };

    return cmocka_run_group_tests(tests, rig_open, rig_close);
}

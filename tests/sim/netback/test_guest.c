/* SPDX-License-Identifier: MIT */
/*
 * Guests that break the protocol, that take nothing, or send what cannot be sent: they harm themselves.
 */
#include "rig.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ring/netif.h>
#include <xendev/event_channel.h>

#define FLOOD 2000u /* frames */

static const struct netif_meta plain;
static struct card card, other;
static uint8_t bytes[NETIF_RX_LENGTH_MAX];
static struct got got;
static struct offload_virtio header;

static void begin(void)
{
    rig_start(0);
    card_make(0, NETBACK_PORT_TAP, 1, &card);
}

static void end(void)
{
    card_disconnect(&card);
    card_free(&card);
    rig_kill();
}

static bool all_answered(void *arg)
{
    return card_is_answered(arg);
}

static bool far_has_read(void *arg)
{
    return far_read(arg, 0, &got, &header);
}

struct wish {
    const struct card *card;
    uint32_t received;
};

static bool has_received(void *arg)
{
    const struct wish *wish = arg;

    return wish->card->queues[0].received >= wish->received;
}

static void until_received(const struct card *at, uint32_t count)
{
    struct wish wish = {.card = at, .received = count};

    rig_until("a frame for the guest", has_received, &wish);
}

static void both_ways_once(struct card *at, uint32_t number)
{
    const uint32_t before = at->queues[0].received;

    frame_make(bytes, 200, number, 1, false);
    card_post(at, 0, 1);
    assert_true(card_send(at, 0, bytes, 200, 4096, &plain));
    rig_until("a frame from the guest", far_has_read, at);
    assert_int_equal(frame_number(got.bytes), number);
    assert_true(far_write(at, 0, bytes, 200, NULL));
    until_received(at, before + 1);
    rig_until("answers to all the guest sent", all_answered, at);
}

/* ---- What cannot be understood. -------------------------------------------------------------------------------------- */

static void write_slot(uint32_t place, const struct netif_tx_request_slot *slot)
{
    netif_tx_request_encode(slot, card.queues[0].tx_ring + RING_HEADER_SIZE + place * (size_t)12);
}

static void produce(uint32_t req_prod)
{
    memcpy(card.queues[0].tx_ring, &req_prod, sizeof req_prod);
    xendev_channel_notify(card.queues[0].channels[0]);
}

static void a_producer_too_far(void)
{
    produce(NETIF_RING_SLOTS + 1);
}

static void a_packet_without_an_end(void)
{
    write_slot(0, &(struct netif_tx_request_slot){
                      .gref = card.queues[0].tx_grefs[0], .flags = NETIF_TX_MORE_DATA, .size = 100});
    produce(1);
}

static void a_piece_that_leaves_its_page(void)
{
    write_slot(0, &(struct netif_tx_request_slot){.gref = card.queues[0].tx_grefs[0], .offset = 4000, .size = 97});
    produce(1);
}

static void an_extra_that_there_is_none(void)
{
    write_slot(0, &(struct netif_tx_request_slot){
                      .gref = card.queues[0].tx_grefs[0], .flags = NETIF_TX_EXTRA_INFO, .size = 100});
    memset(card.queues[0].tx_ring + RING_HEADER_SIZE + 12, 0x77, 8);
    produce(2);
}

static void a_receive_producer_too_far(void)
{
    const uint32_t req_prod = 0x80000000;

    memcpy(card.queues[0].rx_ring, &req_prod, sizeof req_prod);
    xendev_channel_notify(card.queues[0].channels[0]);
}

static void a_control_producer_too_far(void)
{
    const uint32_t req_prod = 129;

    memcpy(card.ctrl_ring, &req_prod, sizeof req_prod);
    xendev_channel_notify(card.ctrl_channel);
}

static void a_broken_ring_ends_that_card_only(void **state)
{
    static const struct {
        void (*harm)(void);
        const char *reason;
    } cases[] = {
        {a_producer_too_far, "transmit ring of queue 0: producer"},
        {a_packet_without_an_end, "transmit ring of queue 0: cut-short"},
        {a_piece_that_leaves_its_page, "transmit ring of queue 0: page"},
        {an_extra_that_there_is_none, "transmit ring of queue 0: extra"},
        {a_receive_producer_too_far, "receive ring of queue 0: producer"},
        {a_control_producer_too_far, "control ring: producer"},
    };
    struct netback_message message;

    (void)state;
    rig_start(0);
    card_make(7, NETBACK_PORT_TAP, 1, &other);
    assert_int_equal(card_connect(&other, false, false), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        card_make(0, NETBACK_PORT_TAP, 1, &card);
        assert_int_equal(card_connect(&card, false, false), 0);
        both_ways_once(&other, (uint32_t)i);
        cases[i].harm();
        rig_hear(BACKEND_FAILED, &message, NULL, NULL);
        assert_int_equal(message.head.devid, 0);
        assert_string_equal(message.head.reason, cases[i].reason);
        both_ways_once(&other, (uint32_t)i + 100);
        card_disconnect(&card);
        card_free(&card);
    }
    card_disconnect(&other);
    card_free(&other);
    rig_kill();
}

/* ---- What is refused. ------------------------------------------------------------------------------------------------ */

static void what_is_wrong_in_itself_is_answered_and_dropped(void **state)
{
    const struct netif_meta blank = {.csum_blank = true};
    struct netif_meta bomb = {.csum_blank = true, .data_validated = true, .gso = NETIF_GSO_TCPV4, .gso_size = 47};

    (void)state;
    begin();
    assert_int_equal(card_connect(&card, false, false), 0);
    const uint32_t good = card.queues[0].tx_grefs[0];

    card.queues[0].tx_grefs[0] = 30000; /* not granted */
    frame_make(bytes, 200, 1, 1, false);
    assert_true(card_send(&card, 0, bytes, 200, 4096, &plain));
    rig_until("an answer to a bad reference", all_answered, &card);
    card.queues[0].tx_grefs[0] = good;
    assert_int_equal(card.queues[0].errors, 1);
    assert_int_equal(card.counters->queues[0].tx_faults[NETIF_FAULT_GRANT], 1);

    assert_true(card_send(&card, 0, bytes, 13, 4096, &plain));
    rig_until("an answer to a runt", all_answered, &card);
    assert_int_equal(card.queues[0].errors, 2);

    memset(bytes + 12, 0, 2); /* no IP packet, and yet a blank checksum */
    assert_true(card_send(&card, 0, bytes, 200, 4096, &blank));
    rig_until("an answer to a checksum of nothing", all_answered, &card);
    assert_int_equal(card.queues[0].errors, 3);
    assert_int_equal(card.counters->queues[0].tx_drops[NETBACK_TX_DROP_OFFLOAD], 1);

    frame_make(bytes, 4000, 2, 1, true); /* to be cut into segments that are too small */
    assert_true(card_send(&card, 0, bytes, 4000, 4096, &bomb));
    rig_until("an answer to a packet of small segments", all_answered, &card);
    assert_int_equal(card.queues[0].errors, 4);
    assert_int_equal(card.counters->queues[0].tx_drops[NETBACK_TX_DROP_OFFLOAD], 2);

    assert_false(far_read(&card, 0, &got, &header));
    bomb.gso_size = 48;
    assert_true(card_send(&card, 0, bytes, 4000, 4096, &bomb));
    rig_until("a packet of segments that are not", far_has_read, &card);
    both_ways_once(&card, 9);
    end();
}

static void a_page_that_cannot_be_written_is_one_frame_less(void **state)
{
    (void)state;
    begin();
    assert_int_equal(card_connect(&card, false, false), 0);
    const uint32_t good = card.queues[0].rx_grefs[0];
    card.queues[0].rx_grefs[0] = 30000;
    card_post(&card, 0, 1);
    card.queues[0].rx_grefs[0] = good;
    card_post(&card, 0, 5);
    frame_make(bytes, 200, 1, 1, false);
    assert_true(far_write(&card, 0, bytes, 200, NULL));
    frame_make(bytes, 200, 2, 1, false);
    assert_true(far_write(&card, 0, bytes, 200, NULL));
    until_received(&card, 1);
    assert_int_equal(card.queues[0].log[0], 2);
    assert_int_equal(card.queues[0].failed, 1);
    assert_int_equal(card.counters->queues[0].rx_drops[NETBACK_RX_DROP_GRANT], 1);
    end();
}

/* ---- What is not taken. ---------------------------------------------------------------------------------------------- */

static bool wrote_all(void *arg)
{
    frame_make(bytes, 200, 0, 1, false);
    while (*(uint32_t *)arg > 0 && far_write(&card, 0, bytes, 200, NULL))
        --*(uint32_t *)arg;
    return *(uint32_t *)arg == 0;
}

static uint64_t dropped(enum netback_rx_drop reason)
{
    return card.counters->queues[0].rx_drops[reason];
}

static bool has_dropped(void *arg)
{
    (void)arg;
    return dropped(NETBACK_RX_DROP_STALLED) >= FLOOD;
}

static void a_guest_that_takes_nothing_has_stalled(void **state)
{
    struct netback_message message;
    uint32_t flood = FLOOD;

    (void)state;
    begin();
    card.order.tuning.rx_drain_ms = 50;
    card.order.tuning.rx_stall_ms = 200;
    assert_int_equal(card_connect(&card, false, false), 0);
    both_ways_once(&card, 1);
    frame_make(bytes, 200, 2, 1, false);
    assert_true(far_write(&card, 0, bytes, 200, NULL));
    rig_hear(NETBACK_CARRIER, &message, NULL, NULL);
    assert_int_equal(message.carrier.on, 0);
    assert_int_equal(card.counters->carrier, 0);
    assert_int_equal(card.counters->queues[0].rx_stalls, 1);

    rig_until("a flood", wrote_all, &flood); /* which is dropped as it comes */
    rig_until("all of it dropped", has_dropped, NULL);
    assert_int_equal(card.counters->queues[0].rx_waiting, 0);
    frame_make(bytes, 200, 3, 1, false);
    assert_true(card_send(&card, 0, bytes, 200, 4096, &plain)); /* it may send all the while */
    rig_until("a frame from the guest", far_has_read, &card);

    card_post(&card, 0, 1);
    rig_hear(NETBACK_CARRIER, &message, NULL, NULL);
    assert_int_equal(message.carrier.on, 1);
    both_ways_once(&card, 4);
    end();
}

/* XSA-392: one page where two are needed. */
static void a_guest_that_takes_too_little_has_stalled(void **state)
{
    struct netback_message message;

    (void)state;
    begin();
    card.order.tuning.rx_stall_ms = 200;
    assert_int_equal(card_connect(&card, false, false), 0);
    card_post(&card, 0, 1);
    frame_make(bytes, 5000, 1, 1, false);
    assert_true(far_write(&card, 0, bytes, 5000, NULL));
    rig_hear(NETBACK_CARRIER, &message, NULL, NULL);
    assert_int_equal(message.carrier.on, 0);
    card_post(&card, 0, 1);
    rig_hear(NETBACK_CARRIER, &message, NULL, NULL);
    assert_int_equal(message.carrier.on, 1);
    both_ways_once(&card, 2);
    end();
}

static bool has_waited_too_long(void *arg)
{
    (void)arg;
    return dropped(NETBACK_RX_DROP_FULL) > 0;
}

/* Nothing is dropped of what comes before the guest posts, for a while; nor does it need to tell. */
static void frames_wait_for_a_guest_that_says_nothing(void **state)
{
    (void)state;
    begin();
    card.order.connection.features &= ~(uint32_t)NETBACK_RX_NOTIFY;
    card.order.tuning = (struct netback_tuning){.rx_drain_ms = UINT32_MAX}; /* no other reason to look */
    assert_int_equal(card_connect(&card, false, false), 0);
    for (uint32_t i = 0; i < 80; i++) { /* more than wait in the worker */
        frame_make(bytes, 200, i, 1, false);
        assert_true(far_write(&card, 0, bytes, 200, NULL));
    }
    for (unsigned i = 0; i < 100; i++)
        rig_step();
    for (uint16_t id = 0; id < 100; id++)
        assert_int_equal(netif_front_rx_post(&card.queues[0].rx, id, card.queues[0].rx_grefs[id]), 0);
    card.queues[0].posted = 100;
    ring_front_publish(&card.queues[0].rx.ring); /* and no event */
    until_received(&card, 80);
    for (uint32_t i = 0; i < 80; i++)
        assert_int_equal(card.queues[0].log[i], i);
    end();
}

/* One that does is asked to, and nobody looks otherwise. */
static void frames_wait_for_a_guest_that_tells(void **state)
{
    (void)state;
    begin();
    card.order.tuning = (struct netback_tuning){.rx_drain_ms = UINT32_MAX};
    assert_int_equal(card_connect(&card, false, false), 0);
    card_post(&card, 0, 1);
    frame_make(bytes, 5000, 1, 1, false);
    assert_true(far_write(&card, 0, bytes, 5000, NULL));
    for (unsigned i = 0; i < 100; i++)
        rig_step();
    card_post(&card, 0, 1);
    until_received(&card, 1);
    both_ways_once(&card, 2);
    end();
}

static void what_waits_too_long_is_dropped(void **state)
{
    (void)state;
    begin();
    card.order.tuning.rx_drain_ms = 100;
    assert_int_equal(card_connect(&card, false, false), 0);
    frame_make(bytes, 200, 1, 1, false);
    assert_true(far_write(&card, 0, bytes, 200, NULL));
    rig_until("a frame dropped", has_waited_too_long, NULL);
    assert_int_equal(card.queues[0].received, 0);
    assert_int_equal(card.counters->carrier, 1);
    both_ways_once(&card, 2);
    assert_int_equal(card.queues[0].log[0], 2);
    end();
}

static void a_port_that_goes_away_is_told(void **state)
{
    struct netback_message message;

    (void)state;
    begin();
    assert_int_equal(card_connect(&card, false, false), 0);
    both_ways_once(&card, 1);
    close(card.far[0]);
    card.far[0] = 0;
    rig_hear(BACKEND_FAILED, &message, NULL, NULL);
    assert_string_equal(message.head.reason, "port of queue 0: No such device");
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_broken_ring_ends_that_card_only, rig_end_worker),
        cmocka_unit_test_teardown(what_is_wrong_in_itself_is_answered_and_dropped, rig_end_worker),
        cmocka_unit_test_teardown(a_page_that_cannot_be_written_is_one_frame_less, rig_end_worker),
        cmocka_unit_test_teardown(a_guest_that_takes_nothing_has_stalled, rig_end_worker),
        cmocka_unit_test_teardown(a_guest_that_takes_too_little_has_stalled, rig_end_worker),
        cmocka_unit_test_teardown(frames_wait_for_a_guest_that_says_nothing, rig_end_worker),
        cmocka_unit_test_teardown(frames_wait_for_a_guest_that_tells, rig_end_worker),
        cmocka_unit_test_teardown(what_waits_too_long_is_dropped, rig_end_worker),
        cmocka_unit_test_teardown(a_port_that_goes_away_is_told, rig_end_worker),
    };

    return cmocka_run_group_tests(tests, rig_open, rig_close);
}

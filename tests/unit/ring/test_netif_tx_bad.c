/* SPDX-License-Identifier: MIT */
/*
 * The transmit ring before a guest that breaks its rules, one after the other. What is refused is always followed by a
 * packet that is not, unless the device is lost.
 */
#include "netif_rig.h"

#define MORE  NETIF_TX_MORE_DATA
#define EXTRA NETIF_TX_EXTRA_INFO

/* ---- Bad packets: dropped, and the device stays. ----------------------------------------------------------------- */

static void drop_too_many(struct tx_rig *rig, unsigned more)
{
    tx_rig_put(rig, 0, 1000, MORE);
    for (unsigned i = 0; i < more; i++)
        tx_rig_put(rig, 0, 10, i + 1 < more ? MORE : 0);
}

static void drop_19_more(struct tx_rig *rig)
{
    drop_too_many(rig, NETIF_TX_MORE_MAX + 1);
}

static void drop_20_more(struct tx_rig *rig)
{
    drop_too_many(rig, NETIF_TX_MORE_FATAL);
}

static void drop_larger_piece(struct tx_rig *rig)
{
    tx_rig_put(rig, 0, 100, MORE);
    tx_rig_put(rig, 0, 60, MORE);
    tx_rig_put(rig, 0, 41, 0);
}

static void drop_overflown_total(struct tx_rig *rig) /* 17 pages: their sum in 16 bits is one page */
{
    tx_rig_put(rig, 0, 4096, MORE);
    for (unsigned i = 0; i < 16; i++)
        tx_rig_put(rig, 0, 4096, i < 15 ? MORE : 0);
}

static void drop_runt(struct tx_rig *rig)
{
    tx_rig_put(rig, 4090, 13, 0);
}

static void drop_short_first_leaves_page(struct tx_rig *rig)
{
    tx_rig_put(rig, 4090, 13 + 50, MORE);
    tx_rig_put(rig, 0, 50, 0);
}

static void drop_empty_first_leaves_page(struct tx_rig *rig)
{
    tx_rig_put(rig, 4097, 50, MORE);
    tx_rig_put(rig, 0, 50, 0);
}

static void drop_runt_of_bad_segments(struct tx_rig *rig)
{
    tx_rig_put(rig, 0, 13, EXTRA);
    tx_rig_put_gso(rig, 0, NETIF_GSO_TCPV4, 0);
}

static void drop_larger_piece_of_bad_segments(struct tx_rig *rig)
{
    tx_rig_put(rig, 0, 100, EXTRA | MORE);
    tx_rig_put_gso(rig, 1448, 3, 0);
    tx_rig_put(rig, 0, 101, 0);
}

static void drop_add_with_data_and_bad_segments(struct tx_rig *rig)
{
    tx_rig_put(rig, 0, 100, EXTRA | MORE);
    tx_rig_put_gso(rig, 0, NETIF_GSO_TCPV4, NETIF_EXTRA_MORE);
    tx_rig_put_extra(rig, (struct netif_extra_slot){NETIF_EXTRA_MULTICAST_ADD, 0, .address = {1}});
    tx_rig_put(rig, 0, 50, 0);
}

static void drop_add_and_del(struct tx_rig *rig)
{
    tx_rig_put(rig, 0, 0, EXTRA);
    tx_rig_put_extra(rig, (struct netif_extra_slot){NETIF_EXTRA_MULTICAST_ADD, NETIF_EXTRA_MORE, .address = {1}});
    tx_rig_put_extra(rig, (struct netif_extra_slot){NETIF_EXTRA_MULTICAST_DEL, 0, .address = {1}});
}

static void drop_add_with_data(struct tx_rig *rig)
{
    tx_rig_put(rig, 0, 100, EXTRA | MORE);
    tx_rig_put_extra(rig, (struct netif_extra_slot){NETIF_EXTRA_MULTICAST_ADD, 0, .address = {1}});
    tx_rig_put(rig, 0, 50, 0);
}

static void a_bad_packet_is_dropped_and_the_next_one_is_served(void **state)
{
    (void)state;
    static const struct {
        void (*put)(struct tx_rig *rig);
        enum netif_fault fault;
        unsigned slots;
        uint32_t extras;
    } rows[] = {
        {drop_19_more, NETIF_FAULT_SLOTS, 20, 0},
        {drop_20_more, NETIF_FAULT_SLOTS, 21, 0},
        {drop_larger_piece, NETIF_FAULT_SIZE, 3, 0},
        {drop_overflown_total, NETIF_FAULT_SIZE, 17, 0},
        {drop_runt, NETIF_FAULT_RUNT, 1, 0},
        {drop_add_and_del, NETIF_FAULT_MULTICAST, 3, 6},
        {drop_add_with_data, NETIF_FAULT_MULTICAST, 3, 2},
        {drop_short_first_leaves_page, NETIF_FAULT_RUNT, 2, 0},
        {drop_empty_first_leaves_page, NETIF_FAULT_RUNT, 2, 0},
        {drop_runt_of_bad_segments, NETIF_FAULT_RUNT, 2, 2},
        {drop_larger_piece_of_bad_segments, NETIF_FAULT_SIZE, 3, 2},
        {drop_add_with_data_and_bad_segments, NETIF_FAULT_MULTICAST, 4, 6},
    };
    struct tx_rig rig;
    tx_rig_init(&rig, RIG_START);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct netif_packet packet;
        const uint16_t id = rig.next_id;
        rows[i].put(&rig);
        ring_front_publish(&rig.front.ring);
        assert_int_equal(netif_tx_next(&rig.back, &packet), 1);
        assert_int_equal(packet.fault, rows[i].fault);
        assert_int_equal(packet.slots, rows[i].slots);
        assert_int_equal(packet.piece_count, 0);
        assert_int_equal(packet.length, 0);
        assert_true(meta_equal(&packet.meta, &(struct netif_meta){0}));
        assert_int_equal(netif_tx_next(&rig.back, &packet), 0);
        netif_tx_answer(&rig.back, NETIF_STATUS_ERROR);
        tx_rig_expect_answers(&rig, id, rows[i].slots, rows[i].extras, NETIF_STATUS_ERROR);
        tx_rig_expect_service(&rig);
    }
    tx_rig_fini(&rig);
}

/* ---- Worse: the device must go. ---------------------------------------------------------------------------------- */

static void fatal_promised_slot(struct tx_rig *rig)
{
    tx_rig_put(rig, 0, 100, MORE);
    tx_rig_put(rig, 0, 50, MORE);
}

static void fatal_promised_extra(struct tx_rig *rig)
{
    tx_rig_put(rig, 0, 100, EXTRA);
}

static void fatal_promised_second_extra(struct tx_rig *rig)
{
    tx_rig_put(rig, 0, 100, EXTRA);
    tx_rig_put_gso(rig, 1448, NETIF_GSO_TCPV4, NETIF_EXTRA_MORE);
}

static void fatal_21_more(struct tx_rig *rig)
{
    drop_too_many(rig, NETIF_TX_MORE_FATAL + 1);
}

static void fatal_first_leaves_page(struct tx_rig *rig)
{
    tx_rig_put(rig, 4000, 97, 0);
}

static void fatal_rest_leaves_page(struct tx_rig *rig)
{
    tx_rig_put(rig, 4000, 97 + 50, MORE);
    tx_rig_put(rig, 0, 50, 0);
}

static void fatal_piece_leaves_page(struct tx_rig *rig)
{
    tx_rig_put(rig, 0, 1000, MORE);
    tx_rig_put(rig, 4047, 50, 0);
}

static void fatal_empty_piece_leaves_page(struct tx_rig *rig)
{
    tx_rig_put(rig, 0, 1000, MORE);
    tx_rig_put(rig, 4097, 0, 0);
}

static void fatal_dropped_piece_leaves_page(struct tx_rig *rig)
{
    tx_rig_put(rig, 0, 100, MORE);
    tx_rig_put(rig, 0, 200, MORE);
    tx_rig_put(rig, 65535, 65535, 0);
}

static void fatal_extra_none(struct tx_rig *rig)
{
    tx_rig_put(rig, 0, 100, EXTRA);
    tx_rig_put_extra(rig, (struct netif_extra_slot){.type = 0});
}

static void fatal_extra_unknown(struct tx_rig *rig)
{
    tx_rig_put(rig, 0, 100, EXTRA);
    tx_rig_put_extra(rig, (struct netif_extra_slot){.type = 6});
}

static void fatal_extra_doubled(struct tx_rig *rig)
{
    tx_rig_put(rig, 0, 100, EXTRA);
    tx_rig_put_gso(rig, 1448, NETIF_GSO_TCPV4, NETIF_EXTRA_MORE);
    tx_rig_put_gso(rig, 1448, NETIF_GSO_TCPV4, 0);
}

static void fatal_extra_xdp_doubled(struct tx_rig *rig)
{
    tx_rig_put(rig, 0, 100, EXTRA);
    tx_rig_put_extra(rig, (struct netif_extra_slot){NETIF_EXTRA_XDP, NETIF_EXTRA_MORE, .address = {0, 1}});
    tx_rig_put_extra(rig, (struct netif_extra_slot){NETIF_EXTRA_XDP, 0, .address = {0, 1}});
}

static void fatal_short_first_leaves_page(struct tx_rig *rig)
{
    tx_rig_put(rig, 4083, 14 + 50, MORE);
    tx_rig_put(rig, 0, 50, 0);
}

static void fatal_gso_size(struct tx_rig *rig)
{
    tx_rig_put(rig, 0, 100, EXTRA);
    tx_rig_put_gso(rig, 0, NETIF_GSO_TCPV4, 0);
}

static void fatal_gso_type(struct tx_rig *rig)
{
    tx_rig_put(rig, 0, 100, EXTRA);
    tx_rig_put_gso(rig, 1448, 3, 0);
}

static void fatal_gso_none(struct tx_rig *rig)
{
    tx_rig_put(rig, 0, 100, EXTRA);
    tx_rig_put_gso(rig, 1448, NETIF_GSO_NONE, 0);
}

static void fatal_multicast_leaves_page(struct tx_rig *rig)
{
    tx_rig_put(rig, 0, 100, EXTRA | MORE);
    tx_rig_put_extra(rig, (struct netif_extra_slot){NETIF_EXTRA_MULTICAST_ADD, 0, .address = {1}});
    tx_rig_put(rig, 4096, 50, 0);
}

static void what_cannot_be_understood_is_fatal(void **state)
{
    (void)state;
    static const struct {
        void (*put)(struct tx_rig *rig);
        enum netif_fault fault;
    } rows[] = {
        {fatal_promised_slot, NETIF_FAULT_CUT_SHORT},
        {fatal_promised_extra, NETIF_FAULT_CUT_SHORT},
        {fatal_promised_second_extra, NETIF_FAULT_CUT_SHORT},
        {fatal_21_more, NETIF_FAULT_ENDLESS},
        {fatal_first_leaves_page, NETIF_FAULT_PAGE},
        {fatal_rest_leaves_page, NETIF_FAULT_PAGE},
        {fatal_short_first_leaves_page, NETIF_FAULT_PAGE},
        {fatal_piece_leaves_page, NETIF_FAULT_PAGE},
        {fatal_empty_piece_leaves_page, NETIF_FAULT_PAGE},
        {fatal_dropped_piece_leaves_page, NETIF_FAULT_PAGE},
        {fatal_multicast_leaves_page, NETIF_FAULT_PAGE},
        {fatal_extra_none, NETIF_FAULT_EXTRA},
        {fatal_extra_unknown, NETIF_FAULT_EXTRA},
        {fatal_extra_doubled, NETIF_FAULT_EXTRA},
        {fatal_extra_xdp_doubled, NETIF_FAULT_EXTRA},
        {fatal_gso_size, NETIF_FAULT_GSO},
        {fatal_gso_type, NETIF_FAULT_GSO},
        {fatal_gso_none, NETIF_FAULT_GSO},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tx_rig rig;
        struct netif_packet packet;
        tx_rig_init(&rig, RIG_START);
        tx_rig_expect_service(&rig);
        tx_rig_put(&rig, 0, 60, 0); /* a good one before: it can still be answered */
        rows[i].put(&rig);
        ring_front_publish(&rig.front.ring);
        assert_int_equal(netif_tx_next(&rig.back, &packet), 1);
        memset(&packet, 0xaa, sizeof packet);
        const struct netif_packet untouched = packet;
        for (unsigned again = 0; again < 3; again++) {
            assert_int_equal(netif_tx_next(&rig.back, &packet), -EPROTO);
            assert_int_equal(netif_tx_fatal(&rig.back), rows[i].fault);
            assert_memory_equal(&packet, &untouched, sizeof packet);
        }
        netif_tx_answer(&rig.back, NETIF_STATUS_OKAY);
        tx_rig_fini(&rig);
    }
}

/* XSA-39. */
static void an_impossible_producer_is_fatal(void **state)
{
    (void)state;
    static const uint32_t jumps[] = {NETIF_RING_SLOTS + 1, 0x7fffffff, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
        struct tx_rig rig;
        struct netif_packet packet;
        tx_rig_init(&rig, RIG_START);
        tx_rig_expect_service(&rig);
        const uint32_t producer = RIG_START + 1 + jumps[i];
        memcpy(rig.memory.pages + RIG_REQ_PROD, &producer, sizeof producer);
        assert_int_equal(netif_tx_next(&rig.back, &packet), -EPROTO);
        assert_int_equal(netif_tx_fatal(&rig.back), NETIF_FAULT_PRODUCER);
        tx_rig_fini(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_packet_is_dropped_and_the_next_one_is_served),
        cmocka_unit_test(what_cannot_be_understood_is_fatal),
        cmocka_unit_test(an_impossible_producer_is_fatal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

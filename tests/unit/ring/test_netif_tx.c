/* SPDX-License-Identifier: MIT */
/*
 * The transmit ring: what a back end makes of good packets, and what the front end of our own guests puts there. Bad ones
 * are in test_netif_tx_bad.c.
 */
#include "netif_rig.h"

#define MORE  NETIF_TX_MORE_DATA
#define EXTRA NETIF_TX_EXTRA_INFO

/* ---- The codec. -------------------------------------------------------------------------------------------------- */

static void slots_are_xens(void **state)
{
    (void)state;
    static const uint8_t request[12] = {0x44, 0x33, 0x22, 0x11, 0x02, 0x01, 0x0d, 0x00, 0x66, 0x55, 0x88, 0x77};
    struct netif_tx_request_slot slot;
    uint8_t bytes[RING_REQUEST_MAX];
    netif_tx_request_decode(request, &slot);
    assert_int_equal(slot.gref, 0x11223344);
    assert_int_equal(slot.offset, 0x102);
    assert_int_equal(slot.flags, 0xd);
    assert_int_equal(slot.id, 0x5566);
    assert_int_equal(slot.size, 0x7788);
    netif_tx_request_encode(&slot, bytes);
    assert_memory_equal(bytes, request, sizeof request);

    static const uint8_t response[4] = {0x66, 0x55, 0xfe, 0xff};
    struct netif_tx_response_slot answer;
    netif_tx_response_decode(response, &answer);
    assert_int_equal(answer.id, 0x5566);
    assert_int_equal(answer.status, NETIF_STATUS_DROPPED);
    netif_tx_response_encode(&answer, bytes);
    assert_memory_equal(bytes, response, sizeof response);

    static const uint8_t gso[8] = {1, 1, 0xa8, 0x05, 2, 0, 0, 0}, hash[8] = {4, 0, 3, 1, 0x44, 0x33, 0x22, 0x11},
                         multicast[8] = {3, 1, 0x33, 0x33, 0, 0, 0, 1};
    struct netif_extra_slot extra;
    netif_extra_decode(gso, &extra);
    assert_int_equal(extra.type, NETIF_EXTRA_GSO);
    assert_int_equal(extra.flags, NETIF_EXTRA_MORE);
    assert_int_equal(extra.gso.size, 1448);
    assert_int_equal(extra.gso.type, NETIF_GSO_TCPV6);
    netif_extra_encode(&extra, bytes);
    assert_memory_equal(bytes, gso, sizeof gso);
    netif_extra_decode(hash, &extra);
    assert_int_equal(extra.hash.type, NETIF_HASH_IPV6_TCP);
    assert_int_equal(extra.hash.algorithm, NETIF_HASH_TOEPLITZ);
    assert_int_equal(extra.hash.value, 0x11223344);
    netif_extra_encode(&extra, bytes);
    assert_memory_equal(bytes, hash, sizeof hash);
    netif_extra_decode(multicast, &extra);
    assert_int_equal(extra.type, NETIF_EXTRA_MULTICAST_DEL);
    assert_memory_equal(extra.address, multicast + 2, 6);
    netif_extra_encode(&extra, bytes);
    assert_memory_equal(bytes, multicast, sizeof multicast);

    const struct ring_layout layout = netif_tx_layout();
    assert_int_equal(layout.slots, 256);
    assert_int_equal(layout.slot_size, 12);
    assert_int_equal(layout.request_size, 12);
    assert_int_equal(layout.response_size, 4);
    assert_int_equal(layout.response_mask, 0xf);
}

static void each_fault_has_a_name_and_a_rank(void **state)
{
    (void)state;
    unsigned fatal = 0;
    for (enum netif_fault fault = 0; fault < NETIF_FAULTS; fault++) {
        for (enum netif_fault other = 0; other < fault; other++)
            assert_string_not_equal(netif_fault_name(fault), netif_fault_name(other));
        fatal += netif_fault_fatal(fault);
    }
    assert_int_equal(fatal, 6);
    assert_false(netif_fault_fatal(NETIF_FAULT_NONE));
    assert_false(netif_fault_fatal(NETIF_FAULT_SLOTS));
    assert_string_equal(netif_fault_name(NETIF_FAULT_CUT_SHORT), "cut-short");
}

/* ---- Good packets. ----------------------------------------------------------------------------------------------- */

static void pieces_add_up_to_the_first_slots_size(void **state)
{
    (void)state;
    struct tx_rig rig;
    struct netif_packet packet;
    tx_rig_init(&rig, RIG_START);
    rig.next_id = 5;
    tx_rig_put(&rig, 4000, 4096 + 100 + 96, MORE | NETIF_TX_CSUM_BLANK);
    tx_rig_put(&rig, 0, 4096, MORE);
    tx_rig_put(&rig, 3996, 100, 0);
    ring_front_publish(&rig.front.ring);

    assert_int_equal(netif_tx_next(&rig.back, &packet), 1);
    assert_int_equal(packet.fault, NETIF_FAULT_NONE);
    assert_int_equal(packet.length, 4292);
    assert_int_equal(packet.slots, 3);
    assert_int_equal(packet.crashes, 0);
    assert_true(packet.meta.csum_blank && !packet.meta.data_validated && !packet.meta.hashed);
    assert_int_equal(packet.meta.gso, NETIF_GSO_NONE);
    static const struct netif_piece pieces[] = {{1005, 4000, 96}, {1006, 0, 4096}, {1007, 3996, 100}};
    assert_int_equal(packet.piece_count, 3);
    assert_memory_equal(packet.pieces, pieces, sizeof pieces);
    assert_int_equal(netif_tx_next(&rig.back, &packet), 0);

    netif_tx_answer(&rig.back, NETIF_STATUS_OKAY);
    tx_rig_expect_answers(&rig, 5, 3, 0, NETIF_STATUS_OKAY);
    tx_rig_expect_service(&rig);
    tx_rig_fini(&rig);
}

static void extras_are_heeded_and_answered_with_null(void **state)
{
    (void)state;
    struct tx_rig rig;
    struct netif_packet packet;
    tx_rig_init(&rig, RIG_START);
    rig.next_id = 0;
    tx_rig_put(&rig, 0, 4000, EXTRA | MORE | NETIF_TX_CSUM_BLANK | NETIF_TX_DATA_VALIDATED);
    tx_rig_put_gso(&rig, 1448, NETIF_GSO_TCPV4, NETIF_EXTRA_MORE);
    tx_rig_put_extra(&rig, (struct netif_extra_slot){NETIF_EXTRA_HASH, 0,
                                                     .hash = {NETIF_HASH_IPV4_TCP, NETIF_HASH_TOEPLITZ, 0x01020304}});
    tx_rig_put(&rig, 0, 2000, 0);
    tx_rig_put(&rig, 0, 60, EXTRA);
    tx_rig_put_extra(&rig,
                     (struct netif_extra_slot){NETIF_EXTRA_HASH, 0, .hash = {0, 9, 1}}); /* no algorithm of ours */
    tx_rig_put(&rig, 0, 60, EXTRA);
    tx_rig_put_extra(&rig, (struct netif_extra_slot){NETIF_EXTRA_HASH, 0, .hash = {4, NETIF_HASH_TOEPLITZ, 1}});
    tx_rig_put(&rig, 0, 60, EXTRA);
    tx_rig_put_extra(&rig, (struct netif_extra_slot){NETIF_EXTRA_XDP, 0, .address = {0, 1}}); /* headroom: of no use */
    ring_front_publish(&rig.front.ring);

    assert_int_equal(netif_tx_next(&rig.back, &packet), 1);
    assert_int_equal(packet.length, 4000);
    assert_int_equal(packet.slots, 4);
    assert_int_equal(packet.piece_count, 2);
    assert_true(meta_equal(&packet.meta, &(struct netif_meta){.csum_blank = true,
                                                              .data_validated = true,
                                                              .gso = NETIF_GSO_TCPV4,
                                                              .gso_size = 1448,
                                                              .hashed = true,
                                                              .hash_type = NETIF_HASH_IPV4_TCP,
                                                              .hash = 0x01020304}));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(netif_tx_next(&rig.back, &packet), 1);
        assert_int_equal(packet.fault, NETIF_FAULT_NONE);
        assert_true(meta_equal(&packet.meta, &(struct netif_meta){0}));
    }
    for (int i = 0; i < 4; i++)
        netif_tx_answer(&rig.back, NETIF_STATUS_DROPPED);
    tx_rig_expect_answers(&rig, 0, 10, 1u << 1 | 1u << 2 | 1u << 5 | 1u << 7 | 1u << 9, NETIF_STATUS_DROPPED);
    tx_rig_expect_service(&rig);
    tx_rig_fini(&rig);
}

static void a_filter_changes_by_a_packet_of_nothing(void **state)
{
    (void)state;
    struct tx_rig rig;
    struct netif_packet packet;
    tx_rig_init(&rig, RIG_START);
    rig.next_id = 0;
    for (uint8_t type = NETIF_EXTRA_MULTICAST_ADD; type <= NETIF_EXTRA_MULTICAST_DEL; type++) {
        const uint16_t id = rig.next_id;
        tx_rig_put(&rig, 0, 0, EXTRA);
        tx_rig_put_extra(&rig, (struct netif_extra_slot){type, 0, .address = {1, 0, 0x5e, 0, 0, type}});
        ring_front_publish(&rig.front.ring);
        assert_int_equal(netif_tx_next(&rig.back, &packet), 1);
        assert_int_equal(packet.fault, NETIF_FAULT_NONE);
        assert_int_equal(packet.meta.multicast,
                         type == NETIF_EXTRA_MULTICAST_ADD ? NETIF_MULTICAST_ADD : NETIF_MULTICAST_DEL);
        assert_int_equal(packet.meta.address[5], type);
        assert_int_equal(packet.length, 0);
        assert_int_equal(packet.piece_count, 0);
        netif_tx_answer(&rig.back, NETIF_STATUS_OKAY);
        tx_rig_expect_answers(&rig, id, 2, 2, NETIF_STATUS_OKAY);
    }
    tx_rig_expect_service(&rig);
    tx_rig_fini(&rig);
}

/* XSA-448. */
static void empty_pieces_are_answered_and_never_touched(void **state)
{
    (void)state;
    struct tx_rig rig;
    struct netif_packet packet;
    tx_rig_init(&rig, RIG_START);
    for (unsigned empty = 0; empty < 8; empty++) { /* bit n: piece n */
        uint16_t size[3], id = rig.next_id;
        unsigned total = 0, count = 0;
        for (unsigned i = 0; i < 3; i++)
            total += size[i] = empty >> i & 1 ? 0 : 20;
        for (unsigned i = 0; i < 3; i++)
            tx_rig_put(&rig, size[i] ? 10 : 4096, (uint16_t)(i == 0 ? total : size[i]), i < 2 ? MORE : 0);
        ring_front_publish(&rig.front.ring);

        assert_int_equal(netif_tx_next(&rig.back, &packet), 1);
        assert_int_equal(packet.fault, empty == 7 ? NETIF_FAULT_RUNT : NETIF_FAULT_NONE);
        assert_int_equal(packet.length, total);
        for (unsigned i = 0; i < 3; i++)
            if (size[i]) {
                assert_int_equal(packet.pieces[count].gref, 1000u + id + i);
                assert_int_equal(packet.pieces[count++].length, 20);
            }
        assert_int_equal(packet.piece_count, count);
        netif_tx_answer(&rig.back, NETIF_STATUS_ERROR);
        tx_rig_expect_answers(&rig, id, 3, 0, NETIF_STATUS_ERROR);
    }
    tx_rig_fini(&rig);
}

/* XSA-432, XSA-423: 1 to 21 slots, each of one size, between the guest's header in 1-byte slots and whole pages. */
static void any_number_of_slots_of_any_size(void **state)
{
    (void)state;
    struct tx_rig rig;
    struct netif_packet packet;
    tx_rig_init(&rig, RIG_START);
    for (unsigned size = 0; size <= RING_PAGE_SIZE; size += size < 64 ? 1 : 63)
        for (unsigned count = 1; count <= 1 + NETIF_TX_MORE_FATAL; count++) {
            const unsigned total = count * size;
            const uint16_t id = rig.next_id;
            for (unsigned i = 0; i < count; i++)
                tx_rig_put(&rig, (uint16_t)(RING_PAGE_SIZE - size), (uint16_t)(i == 0 ? total : size),
                           i + 1 < count ? MORE : 0);
            ring_front_publish(&rig.front.ring);

            enum netif_fault expected = NETIF_FAULT_NONE;
            if (total % 65536 < NETIF_LENGTH_MIN)
                expected = NETIF_FAULT_RUNT;
            if (total > NETIF_LENGTH_MAX)
                expected = NETIF_FAULT_SIZE;
            if (count > 1 + NETIF_TX_MORE_MAX && expected != NETIF_FAULT_SIZE)
                expected = NETIF_FAULT_SLOTS;
            assert_int_equal(netif_tx_next(&rig.back, &packet), 1);
            assert_int_equal(packet.fault, expected);
            assert_int_equal(packet.slots, count);
            uint32_t sum = 0;
            for (unsigned i = 0; i < packet.piece_count; i++)
                sum += packet.pieces[i].length;
            assert_int_equal(sum, expected == NETIF_FAULT_NONE ? total : 0);
            assert_int_equal(packet.length, sum);
            netif_tx_answer(&rig.back, NETIF_STATUS_OKAY);
            tx_rig_expect_answers(&rig, id, count, 0, NETIF_STATUS_OKAY);
        }
    tx_rig_expect_service(&rig);
    tx_rig_fini(&rig);
}

/* ---- Memory. ----------------------------------------------------------------------------------------------------- */

/* XSA-155: what is checked is used. XSA-216: the rest of a slot stays the guest's. */
static void the_ring_is_read_once_and_answered_by_the_byte(void **state)
{
    (void)state;
    struct tx_rig rig;
    struct netif_packet packet;
    tx_rig_init(&rig, RIG_START);
    rig.next_id = 0x4142;
    tx_rig_put(&rig, 0, 60, 0);
    ring_front_publish(&rig.front.ring);
    assert_int_equal(netif_tx_next(&rig.back, &packet), 1);
    memset(rig.memory.pages + RING_HEADER_SIZE, 0x5a, RING_PAGE_SIZE - RING_HEADER_SIZE);
    assert_int_equal(packet.length, 60);
    netif_tx_answer(&rig.back, NETIF_STATUS_ERROR);
    ring_back_publish(&rig.back.ring);

    const uint8_t *slot = netif_rig_slot(&rig.memory, RIG_START, 12);
    assert_memory_equal(slot, ((uint8_t[]){0x42, 0x41, 0xff, 0xff}), 4);
    for (const uint8_t *byte = rig.memory.pages + RING_HEADER_SIZE; byte < rig.memory.pages + RING_PAGE_SIZE; byte++)
        assert_true((byte >= slot && byte < slot + 4) || *byte == 0x5a);
    tx_rig_fini(&rig);
}

static void answer_nothing(void *back)
{
    netif_tx_answer(back, NETIF_STATUS_OKAY);
}

static void an_answer_to_nothing_aborts(void **state)
{
    (void)state;
    struct tx_rig rig;
    struct netif_packet packet;
    tx_rig_init(&rig, RIG_START);
    assert_int_equal(WTERMSIG(netif_rig_status_after(answer_nothing, &rig.back)), SIGABRT);
    tx_rig_put(&rig, 0, 100, MORE); /* and no more */
    ring_front_publish(&rig.front.ring);
    assert_int_equal(netif_tx_next(&rig.back, &packet), -EPROTO);
    assert_int_equal(WTERMSIG(netif_rig_status_after(answer_nothing, &rig.back)), SIGABRT);
    tx_rig_fini(&rig);
}

/* ---- The front end. ---------------------------------------------------------------------------------------------- */

static void a_front_end_sends_only_what_a_ring_can_carry(void **state)
{
    (void)state;
    struct tx_rig rig;
    struct netif_piece pieces[256] = {{1, 0, 4096}, {2, 0, 4096}};
    uint16_t ids[256];
    const struct netif_meta none = {0}, add = {.multicast = NETIF_MULTICAST_ADD};
    tx_rig_init(&rig, RIG_START);
    for (uint16_t i = 0; i < 256; i++) {
        ids[i] = i;
        pieces[i] = (struct netif_piece){i, 0, 4096};
    }
    assert_int_equal(netif_front_tx_send(&rig.front, pieces, ids, 0, &none), -EINVAL);
    assert_int_equal(netif_front_tx_send(&rig.front, pieces, ids, 16, &none), -EINVAL); /* 64 KiB */
    assert_int_equal(netif_front_tx_send(&rig.front, pieces, ids, 256, &none), -EINVAL);
    assert_int_equal(netif_front_tx_send(&rig.front, pieces, ids, 1, &add), -EINVAL);
    assert_int_equal(netif_front_tx_send(&rig.front, pieces, ((uint16_t[]){3, 3}), 2, &none), -EINVAL);
    assert_int_equal(netif_front_tx_send(&rig.front, pieces, ((uint16_t[]){256}), 1, &none), -EINVAL);
    assert_int_equal(netif_front_tx_send(&rig.front, &(struct netif_piece){1, 1, 4096}, ids, 1, &none), -EINVAL);
    assert_int_equal(ring_front_room(&rig.front.ring), NETIF_RING_SLOTS);

    for (uint16_t i = 0; i < 255; i++)
        assert_int_equal(netif_front_tx_send(&rig.front, pieces, ids + i, 1, &none), 0);
    assert_int_equal(netif_front_tx_send(&rig.front, pieces, ids + 3, 1, &none), -EINVAL);  /* in use */
    assert_int_equal(netif_front_tx_send(&rig.front, pieces, ids + 255, 0, &add), -ENOSPC); /* needs two */
    assert_int_equal(netif_front_tx_send(&rig.front, pieces, ids + 255, 1, &none), 0);
    tx_rig_fini(&rig);
}

/* Answers the only slot with these bytes. */
static int collect_forged(uint16_t id, int16_t status)
{
    struct tx_rig rig;
    enum netif_status ret_status;
    uint16_t ret_id;
    tx_rig_init(&rig, RIG_START);
    assert_int_equal(
        netif_front_tx_send(&rig.front, &(struct netif_piece){1, 0, 60}, ((uint16_t[]){7}), 1, &(struct netif_meta){0}),
        0);
    ring_front_publish(&rig.front.ring);
    netif_tx_response_encode(&(struct netif_tx_response_slot){id, status}, netif_rig_slot(&rig.memory, RIG_START, 12));
    const uint32_t producer = RIG_START + 1;
    memcpy(rig.memory.pages + RIG_RSP_PROD, &producer, sizeof producer);
    int rc = netif_front_tx_collect(&rig.front, &ret_id, &ret_status);
    assert_true(rc < 0 || (ret_id == id && ret_status == status));
    tx_rig_fini(&rig);
    return rc;
}

static void a_front_end_refuses_answers_to_what_it_did_not_send(void **state)
{
    (void)state;
    assert_int_equal(collect_forged(7, NETIF_STATUS_OKAY), 1);
    assert_int_equal(collect_forged(7, NETIF_STATUS_ERROR), 1);
    assert_int_equal(collect_forged(8, NETIF_STATUS_OKAY), -EPROTO);
    assert_int_equal(collect_forged(256, NETIF_STATUS_OKAY), -EPROTO);
    assert_int_equal(collect_forged(7, NETIF_STATUS_NULL), -EPROTO);
    assert_int_equal(collect_forged(7, 2), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_xens),
        cmocka_unit_test(each_fault_has_a_name_and_a_rank),
        cmocka_unit_test(pieces_add_up_to_the_first_slots_size),
        cmocka_unit_test(extras_are_heeded_and_answered_with_null),
        cmocka_unit_test(a_filter_changes_by_a_packet_of_nothing),
        cmocka_unit_test(empty_pieces_are_answered_and_never_touched),
        cmocka_unit_test(any_number_of_slots_of_any_size),
        cmocka_unit_test(the_ring_is_read_once_and_answered_by_the_byte),
        cmocka_unit_test(an_answer_to_nothing_aborts),
        cmocka_unit_test(a_front_end_sends_only_what_a_ring_can_carry),
        cmocka_unit_test(a_front_end_refuses_answers_to_what_it_did_not_send),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

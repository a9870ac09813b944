/* SPDX-License-Identifier: MIT */
/* The receive ring: packets over the pages a guest posts, and what the front end of our own guests makes of them. */
#include "netif_rig.h"

#define GREF 5000u /* of the page with id 0 */

static const struct netif_meta plain = {0};
static const struct netif_meta rich = {.csum_blank = true,
                                       .data_validated = true,
                                       .gso = NETIF_GSO_TCPV6,
                                       .gso_size = 1440,
                                       .hashed = true,
                                       .hash_type = NETIF_HASH_IPV6_TCP,
                                       .hash = 0xfeedf00d};

/* Posts `count` pages, with ids from `first`. */
static void post(struct rx_rig *rig, uint16_t first, unsigned count)
{
    for (uint16_t id = first; id < first + count; id++)
        assert_int_equal(netif_front_rx_post(&rig->front, id, GREF + id), 0);
    ring_front_publish(&rig->front.ring);
}

/* One plain packet passes, on a page posted for it. */
static void expect_service(struct rx_rig *rig, uint16_t id)
{
    struct netif_lay lay;
    struct netif_received received;
    post(rig, id, 1);
    assert_int_equal(netif_rx_fill(&rig->back), 1);
    assert_int_equal(netif_rx_lay(&rig->back, 60, &plain, &lay), 0);
    assert_int_equal(lay.pieces[0].gref, GREF + id);
    netif_rx_finish(&rig->back, &lay);
    ring_back_publish(&rig->back.ring);
    assert_int_equal(netif_front_rx_collect(&rig->front, &received), 1);
    assert_int_equal(received.length, 60);
    assert_int_equal(received.pieces[0].id, id);
}

static void slots_are_xens(void **state)
{
    (void)state;
    static const uint8_t request[8] = {0x66, 0x55, 0, 0, 0x44, 0x33, 0x22, 0x11};
    struct netif_rx_request_slot slot;
    uint8_t bytes[RING_RESPONSE_MAX];
    netif_rx_request_decode(request, &slot);
    assert_int_equal(slot.id, 0x5566);
    assert_int_equal(slot.gref, 0x11223344);
    netif_rx_request_encode(&slot, bytes);
    assert_memory_equal(bytes, request, sizeof request);

    static const uint8_t response[8] = {0x66, 0x55, 2, 1, 0xd, 0, 0xff, 0xff};
    struct netif_rx_response_slot answer;
    netif_rx_response_decode(response, &answer);
    assert_int_equal(answer.id, 0x5566);
    assert_int_equal(answer.offset, 0x102);
    assert_int_equal(answer.flags, 0xd);
    assert_int_equal(answer.status, -1);
    netif_rx_response_encode(&answer, bytes);
    assert_memory_equal(bytes, response, sizeof response);

    const struct ring_layout layout = netif_rx_layout();
    assert_int_equal(layout.slots, 256);
    assert_int_equal(layout.slot_size, 8);
    assert_int_equal(layout.request_size, 8);
    assert_int_equal(layout.response_size, 8);
    assert_int_equal(layout.response_mask, 0xff);
}

static void a_packet_fills_page_after_page(void **state)
{
    (void)state;
    struct rx_rig rig;
    struct netif_lay lay;
    struct netif_received received;
    rx_rig_init(&rig, RIG_START);
    post(&rig, 10, 6);
    assert_int_equal(netif_rx_fill(&rig.back), 6);
    assert_int_equal(netif_rx_fill(&rig.back), 0);
    assert_int_equal(netif_rx_room(&rig.back), 6);
    assert_int_equal(netif_rx_need(2 * 4096 + 1, &rich), 5);
    assert_int_equal(netif_rx_lay(&rig.back, 2 * 4096 + 1, &rich, &lay), 0);
    assert_int_equal(netif_rx_room(&rig.back), 1);
    static const struct netif_piece pieces[] = {{GREF + 10, 0, 4096}, {GREF + 13, 0, 4096}, {GREF + 14, 0, 1}};
    assert_int_equal(lay.piece_count, 3);
    assert_memory_equal(lay.pieces, pieces, sizeof pieces);
    netif_rx_finish(&rig.back, &lay);
    ring_back_publish(&rig.back.ring);

    assert_int_equal(netif_front_rx_collect(&rig.front, &received), 1);
    assert_true(meta_equal(&received.meta, &rich));
    assert_false(received.failed);
    assert_int_equal(received.length, 2 * 4096 + 1);
    assert_int_equal(received.piece_count, 3);
    assert_int_equal(received.pieces[0].id, 10);
    assert_int_equal(received.pieces[1].id, 13);
    assert_int_equal(received.pieces[2].id, 14);
    assert_int_equal(received.pieces[2].length, 1);
    assert_int_equal(received.spare_count, 2);
    assert_int_equal(received.spare[0], 11);
    assert_int_equal(received.spare[1], 12);
    assert_int_equal(netif_front_rx_collect(&rig.front, &received), 0);
    rx_rig_fini(&rig);
}

/* The bytes on the ring, since Linux reads them and not our front end. */
static void answers_stand_in_the_places_of_their_requests(void **state)
{
    (void)state;
    struct rx_rig rig;
    struct netif_lay lay;
    rx_rig_init(&rig, RIG_START);
    post(&rig, 0, 4);
    assert_int_equal(netif_rx_fill(&rig.back), 4);
    assert_int_equal(netif_rx_lay(&rig.back, 4097, &rich, &lay), 0);
    lay.failed = 2;
    netif_rx_finish(&rig.back, &lay);
    ring_back_publish(&rig.back.ring);
    static const uint8_t expected[4][8] = {
        {0, 0, 0, 0, 0x0f, 0, 0x00, 0x10},    /* all flags, 4096 */
        {1, 1, 0xa0, 0x05, 2, 0, 0, 0},       /* GSO, more */
        {4, 0, 3, 1, 0x0d, 0xf0, 0xed, 0xfe}, /* hash, Toeplitz */
        {3, 0, 0, 0, 0, 0, 0xff, 0xff},       /* could not be copied */
    };
    for (uint32_t i = 0; i < 4; i++)
        assert_memory_equal(netif_rig_slot(&rig.memory, RIG_START + i, 8), expected[i], 8);

    struct netif_received received;
    assert_int_equal(netif_front_rx_collect(&rig.front, &received), 1);
    assert_true(received.failed);
    expect_service(&rig, 9);
    rx_rig_fini(&rig);
}

static void need_counts_pages_and_extras(void **state)
{
    (void)state;
    const struct netif_meta gso = {.gso = NETIF_GSO_TCPV4, .gso_size = 1}, hashed = {.hashed = true};
    assert_int_equal(netif_rx_need(1, &plain), 1);
    assert_int_equal(netif_rx_need(4096, &plain), 1);
    assert_int_equal(netif_rx_need(4097, &plain), 2);
    assert_int_equal(netif_rx_need(4096, &gso), 2);
    assert_int_equal(netif_rx_need(4096, &hashed), 2);
    assert_int_equal(netif_rx_need(65536 + 14, &rich), 19);
}

static void what_finds_no_room_waits_and_nothing_is_taken(void **state)
{
    (void)state;
    struct rx_rig rig;
    struct netif_lay lay;
    rx_rig_init(&rig, RIG_START);
    post(&rig, 0, 1);
    assert_int_equal(netif_rx_fill(&rig.back), 1);
    assert_int_equal(netif_rx_lay(&rig.back, 4097, &plain, &lay), -ENOBUFS);
    assert_int_equal(netif_rx_lay(&rig.back, 0, &plain, &lay), -EMSGSIZE);
    assert_int_equal(netif_rx_lay(&rig.back, NETIF_RX_LENGTH_MAX + 1, &plain, &lay), -EMSGSIZE);
    assert_int_equal(netif_rx_room(&rig.back), 1);

    /* XSA-392: judged, and woken, by what is needed. */
    assert_false(netif_rx_rearm(&rig.back, 3));
    assert_int_equal(netif_front_rx_post(&rig.front, 1, GREF + 1), 0);
    assert_false(ring_front_publish(&rig.front.ring));
    assert_false(netif_rx_rearm(&rig.back, 3));
    assert_int_equal(netif_front_rx_post(&rig.front, 2, GREF + 2), 0);
    assert_true(ring_front_publish(&rig.front.ring));
    assert_true(netif_rx_rearm(&rig.back, 3));
    assert_int_equal(netif_rx_fill(&rig.back), 2);
    assert_int_equal(netif_rx_room(&rig.back), 3);
    assert_false(netif_rx_rearm(&rig.back, 2)); /* there is enough: the next one, then */
    post(&rig, 3, 1);
    assert_true(netif_rx_rearm(&rig.back, 2));
    assert_int_equal(netif_rx_fill(&rig.back), 1);

    assert_int_equal(netif_rx_lay(&rig.back, 4097, &plain, &lay), 0);
    netif_rx_finish(&rig.back, &lay);
    rx_rig_fini(&rig);
}

static void the_largest_packet_passes(void **state)
{
    (void)state;
    struct rx_rig rig;
    struct netif_lay lay;
    struct netif_received received;
    rx_rig_init(&rig, RIG_START);
    post(&rig, 0, 256);
    assert_int_equal(netif_front_rx_post(&rig.front, 0, 0), -ENOSPC);
    assert_int_equal(netif_rx_fill(&rig.back), 256);
    assert_int_equal(netif_rx_lay(&rig.back, 17 * 4096 + 1, &plain, &lay), -EMSGSIZE);
    for (unsigned i = 0; i < 13; i++) {
        assert_int_equal(netif_rx_lay(&rig.back, NETIF_RX_LENGTH_MAX, &rich, &lay), 0);
        assert_int_equal(lay.piece_count, 17); /* Linux drops 18 of which the first is full */
        netif_rx_finish(&rig.back, &lay);
    }
    assert_int_equal(netif_rx_lay(&rig.back, NETIF_RX_LENGTH_MAX, &plain, &lay), -ENOBUFS);
    ring_back_publish(&rig.back.ring);
    for (unsigned i = 0; i < 13; i++) {
        assert_int_equal(netif_front_rx_collect(&rig.front, &received), 1);
        assert_int_equal(received.length, NETIF_RX_LENGTH_MAX);
        assert_int_equal(received.piece_count, NETIF_RX_PIECES_MAX);
    }
    rx_rig_fini(&rig);
}

static void an_impossible_producer_is_refused(void **state)
{
    (void)state;
    static const uint32_t jumps[] = {NETIF_RING_SLOTS + 1, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
        struct rx_rig rig;
        rx_rig_init(&rig, RIG_START);
        const uint32_t producer = RIG_START + jumps[i];
        memcpy(rig.memory.pages + RIG_REQ_PROD, &producer, sizeof producer);
        assert_int_equal(netif_rx_fill(&rig.back), -EPROTO);
        rx_rig_fini(&rig);
    }
}

static void the_ring_is_read_once(void **state)
{
    (void)state;
    struct rx_rig rig;
    struct netif_lay lay;
    rx_rig_init(&rig, RIG_START);
    post(&rig, 0x42, 1);
    assert_int_equal(netif_rx_fill(&rig.back), 1);
    memset(rig.memory.pages + RING_HEADER_SIZE, 0x5a, RING_PAGE_SIZE - RING_HEADER_SIZE);
    assert_int_equal(netif_rx_lay(&rig.back, 60, &plain, &lay), 0);
    assert_int_equal(lay.pieces[0].gref, GREF + 0x42);
    netif_rx_finish(&rig.back, &lay);
    ring_back_publish(&rig.back.ring);
    assert_memory_equal(netif_rig_slot(&rig.memory, RIG_START, 8), ((uint8_t[]){0x42, 0, 0, 0, 0, 0, 60, 0}), 8);
    rx_rig_fini(&rig);
}

/* Pages that wait for packets are not in flight for long: they go back. */
static void a_drained_ring_is_taken_over_with_its_pages(void **state)
{
    (void)state;
    struct rx_rig rig;
    struct netif_lay lay;
    struct netif_received received;
    rx_rig_init(&rig, RIG_START);
    post(&rig, 0, 20); /* over the wrap */
    assert_int_equal(netif_rx_fill(&rig.back), 20);
    assert_int_equal(netif_rx_lay(&rig.back, 5000, &plain, &lay), 0);
    assert_int_equal(netif_rx_drain(&rig.back), -EBUSY);
    netif_rx_finish(&rig.back, &lay);
    assert_int_equal(netif_rx_drain(&rig.back), -EBUSY);
    ring_back_publish(&rig.back.ring);
    assert_int_equal(netif_rx_drain(&rig.back), 0);
    assert_int_equal(netif_rx_room(&rig.back), 0);

    /* It may go on itself. */
    ring_back_undrain(&rig.back.ring);
    assert_int_equal(netif_rx_fill(&rig.back), 18);
    assert_int_equal(netif_rx_lay(&rig.back, 60, &plain, &lay), 0);
    assert_int_equal(lay.pieces[0].gref, GREF + 2);
    netif_rx_finish(&rig.back, &lay);
    ring_back_publish(&rig.back.ring);
    assert_int_equal(netif_rx_drain(&rig.back), 0);

    /* Or another, with a journal that knows nothing. */
    memset(&rig.back, 0xee, sizeof rig.back);
    memset(rig.memory.journal, 0, rig.memory.journal_size);
    ring_journal_head_drained(RIG_GENERATION, (struct ring_journal_head *)rig.memory.journal);
    assert_int_equal(netif_rx_recover(&rig.back, rig.memory.pages, RING_PAGE_SIZE, rig.memory.journal,
                                      rig.memory.journal_size, RIG_GENERATION, false),
                     0);
    assert_int_equal(netif_rx_fill(&rig.back), 17);
    for (uint32_t id = 3; id < 20; id++) {
        assert_int_equal(netif_rx_lay(&rig.back, 60, &plain, &lay), 0);
        assert_int_equal(lay.pieces[0].gref, GREF + id);
        netif_rx_finish(&rig.back, &lay);
    }
    ring_back_publish(&rig.back.ring);
    for (unsigned i = 0; i < 19; i++)
        assert_int_equal(netif_front_rx_collect(&rig.front, &received), 1);
    expect_service(&rig, 30);
    rx_rig_fini(&rig);
}

/* A killed process's answers stand in the slots of pages that its successor gives back. */
static void pages_given_back_by_a_successor_are_the_guests(void **state)
{
    (void)state;
    for (unsigned other = 0; other < 2; other++) {
        struct rx_rig rig;
        struct netif_lay lay;
        struct netif_received received;
        rx_rig_init(&rig, RIG_START);
        post(&rig, 0, 20);
        assert_int_equal(netif_rx_fill(&rig.back), 20);
        assert_int_equal(netif_rx_lay(&rig.back, 4 * RING_PAGE_SIZE, &rich, &lay), 0);
        netif_rx_finish(&rig.back, &lay);

        const struct netif_rig *memory = &rig.memory;
        memset(&rig.back, 0xee, sizeof rig.back); /* not published */
        assert_int_equal(netif_rx_recover(&rig.back, memory->pages, RING_PAGE_SIZE, memory->journal,
                                          memory->journal_size, RIG_GENERATION, false),
                         0);
        assert_int_equal(netif_rx_room(&rig.back), 20);
        assert_int_equal(netif_rx_drain(&rig.back), 0);
        if (other) {
            memset(memory->journal, 0, memory->journal_size);
            assert_int_equal(netif_rx_attach(&rig.back, memory->pages, RING_PAGE_SIZE, memory->journal,
                                             memory->journal_size, RIG_GENERATION + 1),
                             0);
        } else {
            ring_back_undrain(&rig.back.ring);
        }
        assert_int_equal(netif_rx_fill(&rig.back), 20);
        for (uint32_t id = 0; id < 20; id++) {
            assert_int_equal(netif_rx_lay(&rig.back, 60, &plain, &lay), 0);
            assert_int_equal(lay.pieces[0].gref, GREF + id);
            netif_rx_finish(&rig.back, &lay);
        }
        ring_back_publish(&rig.back.ring);
        for (uint32_t id = 0; id < 20; id++) {
            assert_int_equal(netif_front_rx_collect(&rig.front, &received), 1);
            assert_int_equal(received.pieces[0].id, id);
        }
        expect_service(&rig, 30);
        rx_rig_fini(&rig);
    }
}

static void unconsume_nothing(void *back)
{
    ring_back_unconsume(back, 0);
}

static void unconsume_beyond(void *back)
{
    ring_back_unconsume(back, NETIF_RING_SLOTS);
}

static void giving_back_what_was_not_taken_aborts(void **state)
{
    (void)state;
    struct rx_rig rig;
    rx_rig_init(&rig, RIG_START);
    assert_int_equal(WTERMSIG(netif_rig_status_after(unconsume_nothing, &rig.back.ring)), SIGABRT);
    assert_int_equal(WTERMSIG(netif_rig_status_after(unconsume_beyond, &rig.back.ring)), SIGABRT);
    rx_rig_fini(&rig);
}

struct wrong_finish {
    struct rx_rig *rig;
    struct netif_lay *lay;
};

static void finish_wrong(void *argument)
{
    struct wrong_finish *wrong = argument;
    netif_rx_finish(&wrong->rig->back, wrong->lay);
}

static void finishing_out_of_order_aborts(void **state)
{
    (void)state;
    struct rx_rig rig;
    struct netif_lay one, two;
    rx_rig_init(&rig, RIG_START);
    post(&rig, 0, 2);
    netif_rx_fill(&rig.back);
    assert_int_equal(netif_rx_lay(&rig.back, 60, &plain, &one), 0);
    assert_int_equal(netif_rx_lay(&rig.back, 60, &plain, &two), 0);
    assert_int_equal(WTERMSIG(netif_rig_status_after(finish_wrong, &(struct wrong_finish){&rig, &two})), SIGABRT);
    netif_rx_finish(&rig.back, &one);
    assert_int_equal(WTERMSIG(netif_rig_status_after(finish_wrong, &(struct wrong_finish){&rig, &one})), SIGABRT);
    netif_rx_finish(&rig.back, &two);
    rx_rig_fini(&rig);
}

/* ---- The front end: forged answers. ------------------------------------------------------------------------------ */

struct forged {
    struct netif_rx_response_slot first;
    struct netif_extra_slot extra;
    struct netif_rx_response_slot second;
    unsigned count; /* of slots published */
};

/* Pages 0, 1 and 2 were posted; answers them. The extra goes second when the first announces it. */
static int collect_forged(const struct forged *forged)
{
    struct rx_rig rig;
    struct netif_received received;
    rx_rig_init(&rig, RIG_START);
    post(&rig, 0, 3);
    uint32_t place = RIG_START;
    netif_rx_response_encode(&forged->first, netif_rig_slot(&rig.memory, place++, 8));
    if (forged->first.flags & NETIF_RX_EXTRA_INFO)
        netif_extra_encode(&forged->extra, netif_rig_slot(&rig.memory, place++, 8));
    netif_rx_response_encode(&forged->second, netif_rig_slot(&rig.memory, place, 8));
    const uint32_t producer = RIG_START + forged->count;
    memcpy(rig.memory.pages + RIG_RSP_PROD, &producer, sizeof producer);
    int rc = netif_front_rx_collect(&rig.front, &received);
    rx_rig_fini(&rig);
    return rc;
}

static void a_front_end_refuses_what_no_back_end_sends(void **state)
{
    (void)state;
    const struct netif_rx_response_slot whole = {0, 0, 0, 60};
    const struct netif_rx_response_slot more = {0, 0, NETIF_RX_MORE_DATA, 60};
    const struct netif_rx_response_slot extra = {0, 0, NETIF_RX_EXTRA_INFO, 60};
    const struct forged rows[] = {
        {{1, 0, 0, 60}, {0}, whole, 1},                                       /* another page's id */
        {{0, 4000, 0, 97}, {0}, whole, 1},                                    /* leaves the page */
        {more, {0}, whole, 1},                                                /* half a packet */
        {more, {0}, {2, 0, 0, 60}, 2},                                        /* the second one's id */
        {extra, {0}, whole, 1},                                               /* the extra is missing */
        {extra, {.type = 0}, whole, 2},                                       /* an extra of no type */
        {extra, {NETIF_EXTRA_MULTICAST_ADD, 0, .address = {1}}, whole, 2},    /* not in this direction */
        {extra, {NETIF_EXTRA_GSO, 0, .gso = {0, 1}}, whole, 2},               /* segments of nothing */
        {extra, {NETIF_EXTRA_GSO, 0, .gso = {1, 3}}, whole, 2},               /* an unknown kind */
        {extra, {NETIF_EXTRA_HASH, 0, .hash = {4, 1, 0}}, whole, 2},          /* of an unknown type */
        {extra, {NETIF_EXTRA_HASH, 0, .hash = {0, 2, 0}}, whole, 2},          /* by an unknown algorithm */
        {extra, {NETIF_EXTRA_GSO, NETIF_EXTRA_MORE, .gso = {1, 1}}, whole, 2} /* another is promised */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(collect_forged(&rows[i]), -EPROTO);

    assert_int_equal(collect_forged(&(struct forged){whole, {0}, whole, 1}), 1);
    assert_int_equal(collect_forged(&(struct forged){more, {0}, {1, 0, 0, 60}, 2}), 1);
    assert_int_equal(collect_forged(&(struct forged){extra, {NETIF_EXTRA_GSO, 0, .gso = {1, 1}}, whole, 2}), 1);
    assert_int_equal(collect_forged(&(struct forged){whole, {0}, whole, 4}), -EPROTO); /* more than was posted */
}

static void a_front_end_takes_18_pieces_and_no_more(void **state)
{
    (void)state;
    for (unsigned count = 18; count <= 19; count++) {
        struct rx_rig rig;
        struct netif_received received;
        rx_rig_init(&rig, RIG_START);
        post(&rig, 0, count);
        for (uint16_t i = 0; i < count; i++)
            netif_rx_response_encode(
                &(struct netif_rx_response_slot){i, 0, i + 1u < count ? NETIF_RX_MORE_DATA : 0, 60},
                netif_rig_slot(&rig.memory, RIG_START + i, 8));
        const uint32_t producer = RIG_START + count;
        memcpy(rig.memory.pages + RIG_RSP_PROD, &producer, sizeof producer);
        assert_int_equal(netif_front_rx_collect(&rig.front, &received), count == 18 ? 1 : -EPROTO);
        rx_rig_fini(&rig);
    }
}

static void a_front_end_counts_extras(void **state)
{
    (void)state;
    struct rx_rig rig;
    struct netif_received received;
    rx_rig_init(&rig, RIG_START);
    post(&rig, 0, 256);
    netif_rx_response_encode(&(struct netif_rx_response_slot){0, 0, NETIF_RX_EXTRA_INFO, 60},
                             netif_rig_slot(&rig.memory, RIG_START, 8));
    for (uint32_t i = 1; i < 256; i++)
        netif_extra_encode(&(struct netif_extra_slot){NETIF_EXTRA_GSO, i < 255, .gso = {1, 1}},
                           netif_rig_slot(&rig.memory, RIG_START + i, 8));
    const uint32_t producer = RIG_START + 256;
    memcpy(rig.memory.pages + RIG_RSP_PROD, &producer, sizeof producer);
    assert_int_equal(netif_front_rx_collect(&rig.front, &received), -EPROTO);
    assert_int_equal(rig.front.ring.rsp_cons, RIG_START + 1 + NETIF_EXTRAS_MAX);
    rx_rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_xens),
        cmocka_unit_test(a_packet_fills_page_after_page),
        cmocka_unit_test(answers_stand_in_the_places_of_their_requests),
        cmocka_unit_test(need_counts_pages_and_extras),
        cmocka_unit_test(what_finds_no_room_waits_and_nothing_is_taken),
        cmocka_unit_test(the_largest_packet_passes),
        cmocka_unit_test(an_impossible_producer_is_refused),
        cmocka_unit_test(the_ring_is_read_once),
        cmocka_unit_test(a_drained_ring_is_taken_over_with_its_pages),
        cmocka_unit_test(pages_given_back_by_a_successor_are_the_guests),
        cmocka_unit_test(giving_back_what_was_not_taken_aborts),
        cmocka_unit_test(finishing_out_of_order_aborts),
        cmocka_unit_test(a_front_end_refuses_what_no_back_end_sends),
        cmocka_unit_test(a_front_end_takes_18_pieces_and_no_more),
        cmocka_unit_test(a_front_end_counts_extras),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

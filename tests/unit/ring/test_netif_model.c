/* SPDX-License-Identifier: MIT */
/*
 * Random packets through front end and back end of a network device, both ways, against what was put in; then guests
 * that write anything anywhere. The back end dies between two calls now and then, and a successor recovers: each slot is
 * answered once, packets that were not answered come again, those that were on their way to the guest are lost. Each
 * run prints its seed.
 */
#include "netif_rig.h"

#define LIVES 40u
#define STEPS 1500u

static struct netif_meta random_meta(uint64_t *seed, bool with_multicast)
{
    struct netif_meta meta = {
        .csum_blank = rig_below(seed, 2),
        .data_validated = rig_below(seed, 2),
        .hashed = rig_below(seed, 4) == 0,
        .hash_type = rig_below(seed, 4),
        .hash = (uint32_t)rig_random(seed),
    };
    if (rig_below(seed, 3) == 0) {
        meta.gso = NETIF_GSO_TCPV4 + rig_below(seed, 2);
        meta.gso_size = (uint16_t)(1 + rig_below(seed, 65535));
    }
    if (with_multicast && rig_below(seed, 16) == 0) {
        meta.multicast = NETIF_MULTICAST_ADD + rig_below(seed, 2);
        for (unsigned i = 0; i < NETIF_ADDRESS_LEN; i++)
            meta.address[i] = (uint8_t)rig_random(seed);
    }
    return meta;
}

/* ---- Transmit. --------------------------------------------------------------------------------------------------- */

/* What was sent, until it is answered. */
struct sent {
    struct netif_meta meta;
    uint32_t count, length;
    struct netif_piece pieces[NETIF_TX_PIECES_MAX];
    uint16_t ids[NETIF_TX_PIECES_MAX];
    enum netif_status status;
};

struct tx_model {
    struct tx_rig rig;
    uint64_t seed;
    struct sent sent[NETIF_RING_SLOTS];                     /* by order: a queue */
    uint32_t sent_count, shown, taken, answered, published; /* free-running: packets */
    uint32_t free_count;
    uint16_t free_ids[NETIF_RING_SLOTS];
    bool awaited[NETIF_RING_SLOTS]; /* ids answered by the back end, not read by the front end */
    enum netif_status awaited_status[NETIF_RING_SLOTS];
    unsigned long slots;
    unsigned deaths;
};

static uint32_t ids_of(const struct sent *sent)
{
    return sent->meta.multicast == NETIF_MULTICAST_NONE ? sent->count : 1;
}

static void tx_send(struct tx_model *model)
{
    struct sent *sent = &model->sent[model->sent_count % NETIF_RING_SLOTS];
    *sent = (struct sent){.meta = random_meta(&model->seed, true)};
    const bool multicast = sent->meta.multicast != NETIF_MULTICAST_NONE;
    uint32_t pieces = multicast ? 0 : 1 + rig_below(&model->seed, rig_below(&model->seed, 4) ? 3 : NETIF_TX_PIECES_MAX);
    const uint32_t ids = multicast ? 1 : pieces;
    if (ids > model->free_count)
        return;

    for (uint32_t i = 0; i < pieces; i++) {
        uint16_t length = (uint16_t)rig_below(&model->seed, rig_below(&model->seed, 2) ? 4097 : 200);
        if (sent->length + length > NETIF_LENGTH_MAX || rig_below(&model->seed, 8) == 0)
            length = 0;
        if (i == 0 && length < NETIF_LENGTH_MIN)
            length = NETIF_LENGTH_MIN;
        sent->pieces[i] = (struct netif_piece){(uint32_t)rig_random(&model->seed),
                                               (uint16_t)rig_below(&model->seed, 4097u - length), length};
        sent->length += length;
    }
    for (uint32_t i = 0; i < ids; i++)
        sent->ids[i] = model->free_ids[model->free_count - 1 - i];
    sent->count = pieces;

    const uint32_t extras = (sent->meta.gso != NETIF_GSO_NONE) + (uint32_t)sent->meta.hashed + (uint32_t)multicast;
    const bool fits = ring_front_room(&model->rig.front.ring) >= ids + extras;
    const int rc = netif_front_tx_send(&model->rig.front, sent->pieces, sent->ids, pieces, &sent->meta);
    assert_int_equal(rc, fits ? 0 : -ENOSPC);
    if (rc == 0) {
        model->free_count -= ids;
        model->sent_count++;
        model->slots += ids + extras;
    }
}

static void tx_take(struct tx_model *model)
{
    struct netif_packet packet;
    const int rc = netif_tx_next(&model->rig.back, &packet);
    assert_int_equal(rc, model->taken != model->shown);
    if (rc == 0)
        return;
    const struct sent *sent = &model->sent[model->taken++ % NETIF_RING_SLOTS];
    assert_int_equal(packet.fault, NETIF_FAULT_NONE);
    assert_true(meta_equal(&packet.meta, &sent->meta));
    assert_int_equal(packet.length, sent->length);
    uint32_t count = 0;
    for (uint32_t i = 0; i < sent->count; i++)
        if (sent->pieces[i].length > 0) {
            assert_true(count < packet.piece_count);
            assert_memory_equal(&packet.pieces[count++], &sent->pieces[i], sizeof sent->pieces[i]);
        }
    assert_int_equal(packet.piece_count, count);
}

static void tx_answer(struct tx_model *model)
{
    if (model->answered == model->taken)
        return;
    struct sent *sent = &model->sent[model->answered++ % NETIF_RING_SLOTS];
    sent->status = -(int)rig_below(&model->seed, 3);
    netif_tx_answer(&model->rig.back, sent->status);
    for (uint32_t i = 0; i < ids_of(sent); i++) {
        assert_false(model->awaited[sent->ids[i]]);
        model->awaited[sent->ids[i]] = true;
        model->awaited_status[sent->ids[i]] = sent->status;
    }
}

static void tx_collect(struct tx_model *model)
{
    uint16_t id;
    enum netif_status status;
    int rc;
    while ((rc = netif_front_tx_collect(&model->rig.front, &id, &status)) == 1) {
        assert_true(model->awaited[id]);
        assert_int_equal(status, model->awaited_status[id]);
        model->awaited[id] = false;
        model->free_ids[model->free_count++] = id;
    }
    assert_int_equal(rc, 0);
}

/* Nothing of the back end's memory survives. What it had not published comes again; the front end saw none of it. */
static void tx_die(struct tx_model *model)
{
    for (; model->answered != model->published; model->answered--) {
        const struct sent *sent = &model->sent[(model->answered - 1) % NETIF_RING_SLOTS];
        for (uint32_t i = 0; i < ids_of(sent); i++)
            model->awaited[sent->ids[i]] = false;
    }
    model->taken = model->published;
    memset(&model->rig.back, 0xee, sizeof model->rig.back);
    assert_int_equal(netif_tx_recover(&model->rig.back, model->rig.memory.pages, RING_PAGE_SIZE,
                                      model->rig.memory.journal, model->rig.memory.journal_size, RIG_GENERATION,
                                      rig_below(&model->seed, 2)),
                     0);
    model->deaths++;
}

/* Publishes what is answered, and reads it. */
static void tx_publish(struct tx_model *model)
{
    ring_back_publish(&model->rig.back.ring);
    model->published = model->answered;
    tx_collect(model);
}

static void what_a_guest_sends_arrives(void **state)
{
    (void)state;
    uint64_t seed = rig_seed();
    unsigned long packets = 0, slots = 0, deaths = 0;
    static struct tx_model model;
    for (unsigned life = 0; life < LIVES; life++) {
        model = (struct tx_model){.seed = rig_random(&seed), .free_count = NETIF_RING_SLOTS};
        for (uint16_t i = 0; i < NETIF_RING_SLOTS; i++)
            model.free_ids[i] = i;
        tx_rig_init(&model.rig, life % 2 ? RIG_START : (uint32_t)rig_random(&seed));
        for (unsigned step = 0; step < STEPS; step++)
            switch (rig_below(&model.seed, 10)) {
            case 0 ... 2:
                tx_send(&model);
                break;
            case 3:
                ring_front_publish(&model.rig.front.ring);
                model.shown = model.sent_count;
                break;
            case 4 ... 5:
                tx_take(&model);
                break;
            case 6:
                tx_answer(&model);
                break;
            case 7 ... 8:
                tx_publish(&model);
                break;
            default:
                if (rig_below(&model.seed, 4) == 0)
                    tx_die(&model);
            }

        ring_front_publish(&model.rig.front.ring);
        model.shown = model.sent_count;
        while (model.taken != model.shown)
            tx_take(&model);
        while (model.answered != model.taken)
            tx_answer(&model);
        tx_publish(&model);
        assert_int_equal(model.free_count, NETIF_RING_SLOTS);
        assert_int_equal(ring_front_room(&model.rig.front.ring), NETIF_RING_SLOTS);
        packets += model.sent_count;
        slots += model.slots;
        deaths += model.deaths;
        tx_rig_fini(&model.rig);
    }
    print_message("%lu packets over %lu slots, %lu deaths\n", packets, slots, deaths);
    assert_true(packets > LIVES && deaths > LIVES);
}

/* A peer that writes over slots and indices. Packets that come out keep what is promised of any; answers go out by as
 * many slots as were taken. */
static void scribble(uint8_t *pages, uint64_t *seed)
{
    static const uint32_t jumps[] = {1, 2, 20, 256, 257, 0x80000000, 0xffffffff};
    if (rig_below(seed, 6) == 0) {
        uint32_t index;
        uint8_t *place = pages + 4 * (size_t)rig_below(seed, 4);
        memcpy(&index, place, sizeof index);
        index += jumps[rig_below(seed, 7)];
        memcpy(place, &index, sizeof index);
        return;
    }
    for (unsigned i = 0; i < 4; i++)
        pages[RING_HEADER_SIZE + rig_below(seed, RING_PAGE_SIZE - RING_HEADER_SIZE)] =
            (uint8_t)(rig_below(seed, 2) ? rig_below(seed, 16) : rig_random(seed));
}

static void check_packet(const struct netif_packet *packet)
{
    uint32_t length = 0;
    assert_false(netif_fault_fatal(packet->fault));
    assert_true(packet->slots >= 1 && packet->slots <= 1 + NETIF_EXTRAS_MAX + NETIF_TX_MORE_FATAL);
    assert_true(packet->piece_count <= NETIF_TX_PIECES_MAX);
    for (uint32_t i = 0; i < packet->piece_count; i++) {
        assert_true(packet->pieces[i].length > 0);
        assert_true((uint32_t)packet->pieces[i].offset + packet->pieces[i].length <= RING_PAGE_SIZE);
        length += packet->pieces[i].length;
    }
    assert_int_equal(packet->length, length);
    assert_true(packet->meta.gso == NETIF_GSO_NONE || packet->meta.gso_size > 0);
    if (packet->fault == NETIF_FAULT_NONE && packet->meta.multicast == NETIF_MULTICAST_NONE)
        assert_true(length >= NETIF_LENGTH_MIN && length <= NETIF_LENGTH_MAX);
    else
        assert_int_equal(length, 0);
}

static void put_hostile_request(struct tx_rig *rig, uint64_t *seed, unsigned flags, uint32_t size)
{
    const uint32_t rare = rig_below(seed, 100);
    uint8_t bytes[RING_REQUEST_MAX];
    netif_tx_request_encode(
        &(struct netif_tx_request_slot){
            .gref = (uint32_t)rig_random(seed),
            .offset = (uint16_t)(rare == 0 ? rig_random(seed) : rig_below(seed, 100)),
            .flags = (uint16_t)(rare == 1 ? rig_random(seed) : flags),
            .size = (uint16_t)(rare == 2 ? rig_random(seed) : size),
        },
        bytes);
    (void)ring_front_request(&rig->front.ring, bytes);
}

/* Something like a packet: most are right, each rule is broken now and then. */
static void put_hostile_packet(struct tx_rig *rig, uint64_t *seed)
{
    uint32_t extras = rig_below(seed, 3) ? 0 : 1 + rig_below(seed, 2);
    const uint32_t more = rig_below(seed, 6) ? rig_below(seed, 4) : 16 + rig_below(seed, 6),
                   size = rig_below(seed, 200);
    put_hostile_request(rig, seed, (more ? NETIF_TX_MORE_DATA : 0u) | (extras ? NETIF_TX_EXTRA_INFO : 0u),
                        more * size + rig_below(seed, 300));
    for (; extras > 0; extras--) {
        uint8_t bytes[RING_REQUEST_MAX] = {0};
        struct netif_extra_slot extra = {.type = (uint8_t)(rig_below(seed, 40) ? 1 + rig_below(seed, 5) : 6),
                                         .flags = extras > 1 ? NETIF_EXTRA_MORE : 0};
        if (extra.type == NETIF_EXTRA_GSO) {
            extra.gso.size = (uint16_t)rig_below(seed, 40);
            extra.gso.type = (uint8_t)(1 + rig_below(seed, 2));
        }
        netif_extra_encode(&extra, bytes);
        (void)ring_front_request(&rig->front.ring, bytes);
    }
    for (uint32_t i = 0; i < more; i++)
        put_hostile_request(rig, seed, i + 1 < more ? NETIF_TX_MORE_DATA : 0, size);
}

static void a_guest_that_lies_in_slots_harms_nobody(void **state)
{
    (void)state;
    uint64_t seed = rig_seed();
    unsigned long faults[NETIF_FAULTS] = {0};
    for (unsigned life = 0; life < 4000; life++) {
        struct tx_rig rig;
        struct netif_packet packet;
        uint8_t bytes[RING_REQUEST_MAX];
        tx_rig_init(&rig, RIG_START);
        int rc = 0;
        for (unsigned step = 0; step < 60 && rc >= 0; step++) {
            for (uint32_t i = rig_below(&seed, 4); i > 0; i--)
                put_hostile_packet(&rig, &seed);
            ring_front_publish(&rig.front.ring);
            if (rig_below(&seed, 16) == 0)
                scribble(rig.memory.pages, &seed);
            uint32_t taken = 0;
            while ((rc = netif_tx_next(&rig.back, &packet)) == 1) {
                check_packet(&packet);
                faults[packet.fault]++;
                taken++;
                assert_true(taken <= NETIF_RING_SLOTS);
            }
            for (; taken > 0; taken--)
                netif_tx_answer(&rig.back, NETIF_STATUS_OKAY);
            ring_back_publish(&rig.back.ring);
            while (ring_front_consume(&rig.front.ring, bytes) == 1)
                ;
        }
        if (rc < 0)
            faults[netif_tx_fatal(&rig.back)]++;
        tx_rig_fini(&rig);
    }
    for (enum netif_fault fault = 0; fault < NETIF_FAULT_GRANT; fault++)
        print_message("%s %lu%s", netif_fault_name(fault), faults[fault], fault + 1 < NETIF_FAULT_GRANT ? ", " : "\n");
    for (enum netif_fault fault = 0; fault < NETIF_FAULT_GRANT; fault++)
        assert_true(faults[fault] > 0);
}

/* ---- Receive. ---------------------------------------------------------------------------------------------------- */

struct rx_model {
    struct rx_rig rig;
    uint64_t seed;
    uint32_t free_count;
    uint16_t free_ids[NETIF_RING_SLOTS];
    struct netif_lay lays[NETIF_RING_SLOTS]; /* a queue */
    uint32_t lengths[NETIF_RING_SLOTS];
    uint32_t laid, finished, shown, received; /* free-running: packets */
    uint32_t posted;                          /* published and not laid over */
    unsigned deaths;
};

static uint32_t gref_of(uint16_t id)
{
    return 0xabc00000u | id;
}

static void rx_post(struct rx_model *model)
{
    for (uint32_t i = rig_below(&model->seed, 60); i > 0 && model->free_count > 0; i--) {
        const uint16_t id = model->free_ids[--model->free_count];
        assert_int_equal(netif_front_rx_post(&model->rig.front, id, gref_of(id)), 0);
        model->posted++;
    }
    ring_front_publish(&model->rig.front.ring);
    assert_true(netif_rx_fill(&model->rig.back) >= 0);
    assert_int_equal(netif_rx_room(&model->rig.back), model->posted);
}

static void rx_lay(struct rx_model *model)
{
    struct netif_lay *lay = &model->lays[model->laid % NETIF_RING_SLOTS];
    const struct netif_meta meta = random_meta(&model->seed, false);
    const uint32_t length = 1 + rig_below(&model->seed, rig_below(&model->seed, 4) ? 3000 : NETIF_RX_LENGTH_MAX);
    const uint32_t need = netif_rx_need(length, &meta);
    const int rc = netif_rx_lay(&model->rig.back, length, &meta, lay);
    assert_int_equal(rc, need <= model->posted ? 0 : -ENOBUFS);
    if (rc < 0)
        return;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < lay->piece_count; i++)
        sum += lay->pieces[i].length;
    assert_int_equal(sum, length);
    if (rig_below(&model->seed, 8) == 0)
        lay->failed = 1u << rig_below(&model->seed, lay->piece_count);
    model->lengths[model->laid++ % NETIF_RING_SLOTS] = length;
    model->posted -= need;
}

static void rx_finish(struct rx_model *model)
{
    if (model->finished != model->laid)
        netif_rx_finish(&model->rig.back, &model->lays[model->finished++ % NETIF_RING_SLOTS]);
}

static void rx_collect(struct rx_model *model)
{
    struct netif_received received;
    for (; model->received != model->shown; model->received++) {
        const struct netif_lay *lay = &model->lays[model->received % NETIF_RING_SLOTS];
        assert_int_equal(netif_front_rx_collect(&model->rig.front, &received), 1);
        assert_true(meta_equal(&received.meta, &lay->meta));
        assert_int_equal(received.failed, lay->failed != 0);
        assert_int_equal(received.piece_count, lay->piece_count);
        if (!received.failed)
            assert_int_equal(received.length, model->lengths[model->received % NETIF_RING_SLOTS]);
        for (uint32_t i = 0; i < received.piece_count; i++) {
            assert_int_equal(gref_of(received.pieces[i].id), lay->pieces[i].gref);
            assert_int_equal(received.pieces[i].offset, 0);
            if (!(lay->failed >> i & 1))
                assert_int_equal(received.pieces[i].length, lay->pieces[i].length);
            model->free_ids[model->free_count++] = received.pieces[i].id;
        }
        for (uint32_t i = 0; i < received.spare_count; i++)
            model->free_ids[model->free_count++] = received.spare[i];
    }
    assert_int_equal(netif_front_rx_collect(&model->rig.front, &received), 0);
}

/* Packets that were not published are lost, their pages are not. */
static void rx_die(struct rx_model *model)
{
    for (; model->laid != model->shown; model->laid--)
        model->posted += model->lays[(model->laid - 1) % NETIF_RING_SLOTS].slots;
    model->finished = model->laid;
    memset(&model->rig.back, 0xee, sizeof model->rig.back);
    assert_int_equal(netif_rx_recover(&model->rig.back, model->rig.memory.pages, RING_PAGE_SIZE,
                                      model->rig.memory.journal, model->rig.memory.journal_size, RIG_GENERATION,
                                      rig_below(&model->seed, 2)),
                     0);
    assert_int_equal(netif_rx_room(&model->rig.back), model->posted);
    model->deaths++;
}

static void what_is_laid_for_a_guest_arrives(void **state)
{
    (void)state;
    uint64_t seed = rig_seed();
    unsigned long packets = 0, deaths = 0;
    static struct rx_model model;
    for (unsigned life = 0; life < LIVES; life++) {
        model = (struct rx_model){.seed = rig_random(&seed), .free_count = NETIF_RING_SLOTS};
        for (uint16_t i = 0; i < NETIF_RING_SLOTS; i++)
            model.free_ids[i] = i;
        rx_rig_init(&model.rig, life % 2 ? RIG_START : (uint32_t)rig_random(&seed));
        for (unsigned step = 0; step < STEPS; step++)
            switch (rig_below(&model.seed, 7)) {
            case 0:
                rx_post(&model);
                break;
            case 1 ... 2:
                rx_lay(&model);
                break;
            case 3 ... 4:
                rx_finish(&model);
                break;
            case 5:
                ring_back_publish(&model.rig.back.ring);
                model.shown = model.finished;
                rx_collect(&model);
                break;
            default:
                if (rig_below(&model.seed, 8) == 0)
                    rx_die(&model);
            }
        packets += model.received;
        deaths += model.deaths;
        rx_rig_fini(&model.rig);
    }
    print_message("%lu packets, %lu deaths\n", packets, deaths);
    assert_true(packets > LIVES && deaths > LIVES);
}

static void a_guest_that_lies_about_its_pages_harms_nobody(void **state)
{
    (void)state;
    uint64_t seed = rig_seed();
    unsigned refused = 0, laid = 0;
    for (unsigned life = 0; life < 2000; life++) {
        struct rx_rig rig;
        struct netif_lay lay;
        rx_rig_init(&rig, RIG_START);
        for (unsigned step = 0; step < 60; step++) {
            for (uint32_t i = rig_below(&seed, 8); i > 0; i--)
                (void)netif_front_rx_post(&rig.front, (uint16_t)rig_random(&seed), (uint32_t)rig_random(&seed));
            ring_front_publish(&rig.front.ring);
            if (rig_below(&seed, 16) == 0)
                scribble(rig.memory.pages, &seed);
            const int rc = netif_rx_fill(&rig.back);
            assert_true(netif_rx_room(&rig.back) <= NETIF_RING_SLOTS);
            if (rc < 0) {
                assert_int_equal(rc, -EPROTO);
                refused++;
                break;
            }
            const struct netif_meta meta = random_meta(&seed, false);
            while (netif_rx_lay(&rig.back, 1 + rig_below(&seed, 9000), &meta, &lay) == 0) {
                netif_rx_finish(&rig.back, &lay);
                laid++;
            }
            ring_back_publish(&rig.back.ring);
            netif_rx_rearm(&rig.back, 1 + rig_below(&seed, 20));
            struct netif_received received;
            while (netif_front_rx_collect(&rig.front, &received) == 1)
                assert_true(received.length <= NETIF_RX_LENGTH_MAX);
        }
        rx_rig_fini(&rig);
    }
    print_message("%u laid, %u refused\n", laid, refused);
    assert_true(laid > 0 && refused > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_guest_sends_arrives),
        cmocka_unit_test(a_guest_that_lies_in_slots_harms_nobody),
        cmocka_unit_test(what_is_laid_for_a_guest_arrives),
        cmocka_unit_test(a_guest_that_lies_about_its_pages_harms_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

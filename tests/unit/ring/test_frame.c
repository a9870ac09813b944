/* SPDX-License-Identifier: MIT */
/*
 * The frame ring: one behaviour a test; then random lives against a model, first of two honest ends, then of each end
 * against one that writes anything anywhere.
 */
#include "netif_rig.h"

#include <ring/frame.h>

#define CAPACITY FRAME_CAPACITY_MIN

/* Places in the memory (src/frame.c). */
#define HEAD       0u
#define ROOM_EVENT 4u
#define TAIL       64u
#define DATA_EVENT 68u

static const struct netif_meta plain = {0};

struct frame_rig {
    uint8_t *memory;
    struct frame_producer producer;
    struct frame_consumer consumer;
};

static void frame_rig_attach(struct frame_rig *rig)
{
    assert_int_equal(frame_producer_attach(&rig->producer, rig->memory, frame_size(CAPACITY), CAPACITY), 0);
    assert_int_equal(frame_consumer_attach(&rig->consumer, rig->memory, frame_size(CAPACITY), CAPACITY), 0);
}

/* The buffer ends where the guard page begins. */
static void frame_rig_init(struct frame_rig *rig, uint32_t start)
{
    const size_t mapped = CAPACITY + RING_PAGE_SIZE;
    rig->memory = rig_map(mapped) + mapped - frame_size(CAPACITY);
    assert_int_equal(frame_format(rig->memory, frame_size(CAPACITY), CAPACITY, start), 0);
    frame_rig_attach(rig);
}

static void frame_rig_fini(struct frame_rig *rig)
{
    const size_t mapped = CAPACITY + RING_PAGE_SIZE;
    rig_unmap(rig->memory - (mapped - frame_size(CAPACITY)), mapped);
}

/* The events that each new end owes the other. */
static void frame_rig_settle(struct frame_rig *rig)
{
    assert_true(frame_producer_publish(&rig->producer));
    assert_true(frame_consumer_release(&rig->consumer));
}

static uint32_t get_index(const struct frame_rig *rig, size_t place)
{
    uint32_t value;
    memcpy(&value, rig->memory + place, sizeof value);
    return value;
}

static void set_index(struct frame_rig *rig, size_t place, uint32_t value)
{
    memcpy(rig->memory + place, &value, sizeof value);
}

/* A frame's bytes follow from its number. */
static void fill(uint8_t *bytes, uint32_t length, uint32_t number)
{
    for (uint32_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)((number + i) * 2654435761u >> 24);
}

static void put(struct frame_rig *rig, uint32_t length, uint32_t number)
{
    uint8_t bytes[FRAME_LENGTH_MAX];
    fill(bytes, length, number);
    assert_int_equal(frame_producer_put(&rig->producer, &plain, bytes, length), 0);
}

static void expect_frame(struct frame_rig *rig, uint32_t length, uint32_t number)
{
    static uint8_t bytes[FRAME_LENGTH_MAX], expected[FRAME_LENGTH_MAX];
    struct netif_meta meta;
    uint32_t ret_length;
    assert_int_equal(frame_consumer_get(&rig->consumer, &meta, bytes, &ret_length), 1);
    assert_int_equal(ret_length, length);
    fill(expected, length, number);
    assert_memory_equal(bytes, expected, length);
}

static void expect(struct frame_rig *rig, int rc)
{
    static uint8_t bytes[FRAME_LENGTH_MAX];
    struct netif_meta meta;
    uint32_t length = 77;
    assert_int_equal(frame_consumer_get(&rig->consumer, &meta, bytes, &length), rc);
    assert_int_equal(length, 77);
}

static void impossible_memory_is_refused(void **state)
{
    (void)state;
    static _Alignas(64) uint8_t memory[FRAME_HEADER_SIZE + FRAME_CAPACITY_MIN + 64];
    const size_t size = frame_size(CAPACITY);
    struct frame_producer producer;
    assert_int_equal(frame_format(memory, size, CAPACITY, 0), 0);
    assert_int_equal(frame_format(memory, size, CAPACITY, 2), -EINVAL);
    assert_int_equal(frame_format(memory, size - 1, CAPACITY, 0), -EINVAL);
    assert_int_equal(frame_format(memory + 4, size, CAPACITY, 0), -EINVAL);
    assert_int_equal(frame_format(memory, SIZE_MAX, CAPACITY / 2, 0), -EINVAL);
    assert_int_equal(frame_format(memory, SIZE_MAX, CAPACITY + 4, 0), -EINVAL);
    assert_int_equal(frame_format(memory, SIZE_MAX, 2 * FRAME_CAPACITY_MAX, 0), -EINVAL);
    assert_int_equal(frame_producer_attach(&producer, memory, size - 1, CAPACITY), -EINVAL);
    assert_int_equal(frame_producer_attach(&producer, memory, size, CAPACITY), 0);
}

static void impossible_indices_are_refused_at_attach(void **state)
{
    (void)state;
    static const struct {
        uint32_t head, tail;
        int rc;
    } rows[] = {
        {0, 0, 0},       {CAPACITY, 0, 0}, {8, 0xfffffff8, 0}, {CAPACITY + 4, 0, -EPROTO},
        {0, 4, -EPROTO}, {6, 4, -EPROTO},  {6, 2, -EPROTO},    {0x80000000, 0, -EPROTO},
    };
    struct frame_rig rig;
    frame_rig_init(&rig, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set_index(&rig, HEAD, rows[i].head);
        set_index(&rig, TAIL, rows[i].tail);
        assert_int_equal(frame_producer_attach(&rig.producer, rig.memory, frame_size(CAPACITY), CAPACITY), rows[i].rc);
        assert_int_equal(frame_consumer_attach(&rig.consumer, rig.memory, frame_size(CAPACITY), CAPACITY), rows[i].rc);
    }
    frame_rig_fini(&rig);
}

/* At every place around the buffer's end, and around the end of the indices. */
static void frames_pass_from_any_start(void **state)
{
    (void)state;
    struct frame_rig rig;
    frame_rig_init(&rig, 0);
    for (uint32_t near = 0; near <= 80; near += 4)
        for (unsigned wrap = 0; wrap < 2; wrap++) {
            assert_int_equal(frame_format(rig.memory, frame_size(CAPACITY), CAPACITY, (wrap ? 0 : CAPACITY) - near), 0);
            frame_rig_attach(&rig);
            for (uint32_t number = 0; number < 6; number++)
                put(&rig, 1 + number * 13, number);
            expect(&rig, 0); /* not yet published */
            frame_producer_publish(&rig.producer);
            for (uint32_t number = 0; number < 6; number++)
                expect_frame(&rig, 1 + number * 13, number);
            expect(&rig, 0);
            frame_consumer_release(&rig.consumer);
            assert_int_equal(get_index(&rig, TAIL), get_index(&rig, HEAD));
        }
    frame_rig_fini(&rig);
}

static void what_is_said_of_a_frame_goes_with_it(void **state)
{
    (void)state;
    static const struct netif_meta metas[] = {
        {.csum_blank = true},
        {.data_validated = true},
        {.gso = NETIF_GSO_TCPV4, .gso_size = 1},
        {.csum_blank = true, .gso = NETIF_GSO_TCPV6, .gso_size = 65535},
        {.hashed = true, .hash_type = NETIF_HASH_IPV6_TCP, .hash = 0xfeedf00d},
        {.hashed = true},
        {.csum_blank = true,
         .data_validated = true,
         .gso = NETIF_GSO_TCPV4,
         .gso_size = 1448,
         .hashed = true,
         .hash_type = NETIF_HASH_IPV4_TCP,
         .hash = 1},
        {0},
    };
    struct frame_rig rig;
    static uint8_t bytes[FRAME_LENGTH_MAX];
    frame_rig_init(&rig, RIG_START);
    for (size_t i = 0; i < sizeof metas / sizeof metas[0]; i++)
        assert_int_equal(frame_producer_put(&rig.producer, &metas[i], bytes, 60), 0);
    frame_producer_publish(&rig.producer);
    for (size_t i = 0; i < sizeof metas / sizeof metas[0]; i++) {
        struct netif_meta meta;
        uint32_t length;
        assert_int_equal(frame_consumer_get(&rig.consumer, &meta, bytes, &length), 1);
        assert_true(meta_equal(&meta, &metas[i]));
    }
    frame_rig_fini(&rig);
}

static void a_full_ring_takes_no_more_until_room_is_released(void **state)
{
    (void)state;
    struct frame_rig rig;
    static uint8_t bytes[FRAME_LENGTH_MAX + 1];
    uint32_t count = 0;
    frame_rig_init(&rig, RIG_START);
    assert_int_equal(frame_producer_put(&rig.producer, &plain, bytes, 0), -EMSGSIZE);
    assert_int_equal(frame_producer_put(&rig.producer, &plain, bytes, FRAME_LENGTH_MAX + 1), -EMSGSIZE);
    for (; frame_producer_put(&rig.producer, &plain, bytes, 1012) == 0; count++)
        ;
    assert_int_equal(count, CAPACITY / 1024); /* to the last byte */
    assert_int_equal(frame_producer_put(&rig.producer, &plain, bytes, 1), -ENOSPC);
    frame_producer_publish(&rig.producer);

    struct netif_meta meta;
    uint32_t length;
    assert_int_equal(frame_consumer_get(&rig.consumer, &meta, bytes, &length), 1);
    assert_int_equal(frame_producer_put(&rig.producer, &plain, bytes, 1), -ENOSPC); /* read, not released */
    frame_consumer_release(&rig.consumer);
    assert_int_equal(frame_producer_put(&rig.producer, &plain, bytes, 1013), -ENOSPC);
    assert_int_equal(frame_producer_put(&rig.producer, &plain, bytes, 1012), 0);
    frame_rig_fini(&rig);
}

static void the_largest_frame_passes(void **state)
{
    (void)state;
    struct frame_rig rig;
    frame_rig_init(&rig, RIG_START);
    for (uint32_t number = 0; number < 10; number++) {
        put(&rig, FRAME_LENGTH_MAX, number);
        frame_producer_publish(&rig.producer);
        expect_frame(&rig, FRAME_LENGTH_MAX, number);
        frame_consumer_release(&rig.consumer);
    }
    frame_rig_fini(&rig);
}

static void events_are_for_who_sleeps(void **state)
{
    (void)state;
    struct frame_rig rig;
    frame_rig_init(&rig, RIG_START);
    frame_rig_settle(&rig);
    put(&rig, 60, 0);
    assert_true(frame_producer_publish(&rig.producer));  /* a new consumer sleeps */
    assert_false(frame_producer_publish(&rig.producer)); /* nothing new */
    put(&rig, 60, 1);
    assert_false(frame_producer_publish(&rig.producer)); /* it has been woken */
    expect_frame(&rig, 60, 0);
    assert_true(frame_consumer_rearm(&rig.consumer)); /* there is one more */
    expect_frame(&rig, 60, 1);
    assert_false(frame_consumer_rearm(&rig.consumer));
    put(&rig, 60, 2);
    assert_true(frame_producer_publish(&rig.producer));
    expect_frame(&rig, 60, 2);
    assert_false(frame_consumer_release(&rig.consumer)); /* nobody waits for room */
    assert_false(frame_consumer_release(&rig.consumer));

    frame_rig_fini(&rig);
}

/* Of records of 1024 bytes, three must go: for one of 2048 and a word, and for one of three times 1024. */
static void room_is_told_of_when_there_is_enough(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {2048 + 4 - FRAME_OVERHEAD, 3072 - FRAME_OVERHEAD};
    for (unsigned i = 0; i < 2; i++) {
        struct frame_rig rig;
        frame_rig_init(&rig, RIG_START);
        frame_rig_settle(&rig);
        for (uint32_t number = 0; number < CAPACITY / 1024; number++)
            put(&rig, 1012, number);
        frame_producer_publish(&rig.producer);
        for (uint32_t number = 0; number < 3; number++) {
            assert_false(frame_producer_rearm(&rig.producer, lengths[i]));
            expect_frame(&rig, 1012, number);
            assert_int_equal(frame_consumer_release(&rig.consumer), number == 2);
        }
        assert_true(frame_producer_rearm(&rig.producer, lengths[i]));
        put(&rig, lengths[i], 0);
        frame_rig_fini(&rig);
    }
}

static void a_successor_takes_up_where_the_other_died(void **state)
{
    (void)state;
    struct frame_rig rig;
    frame_rig_init(&rig, RIG_START);
    put(&rig, 100, 1);
    put(&rig, 101, 2);
    frame_producer_publish(&rig.producer);
    put(&rig, 102, 3); /* not published: lost */
    expect_frame(&rig, 100, 1);
    frame_consumer_release(&rig.consumer);
    expect_frame(&rig, 101, 2); /* not released: read again */
    frame_rig_attach(&rig);
    put(&rig, 103, 4);
    frame_producer_publish(&rig.producer);
    expect_frame(&rig, 101, 2);
    expect_frame(&rig, 103, 4);
    expect(&rig, 0);
    frame_rig_fini(&rig);
}

/* Each end dies after it moved its index, and before the other one heard of it. */
static void a_successor_owes_the_event_that_the_other_did_not_send(void **state)
{
    (void)state;
    struct frame_rig rig;
    const size_t size = frame_size(CAPACITY);
    frame_rig_init(&rig, RIG_START);
    frame_rig_settle(&rig);
    assert_false(frame_consumer_rearm(&rig.consumer));
    put(&rig, 60, 0);
    set_index(&rig, HEAD, rig.producer.head); /* the first store of a publication */
    for (unsigned again = 0; again < 2; again++) {
        assert_int_equal(frame_producer_attach(&rig.producer, rig.memory, size, CAPACITY), 0);
        if (again)
            put(&rig, 60, 1);
        assert_true(frame_producer_publish(&rig.producer)); /* with nothing new, and with something; not sent either */
        assert_false(frame_producer_publish(&rig.producer));
    }
    expect_frame(&rig, 60, 0);
    expect_frame(&rig, 60, 1);
    assert_false(frame_consumer_release(&rig.consumer));

    for (uint32_t number = 0; number < CAPACITY / 1024; number++)
        put(&rig, 1012, number);
    frame_producer_publish(&rig.producer);
    assert_false(frame_producer_rearm(&rig.producer, 1012));
    for (uint32_t number = 0; number + 1 < CAPACITY / 1024; number++)
        expect_frame(&rig, 1012, number);
    set_index(&rig, TAIL, rig.consumer.tail); /* the first store of a release */
    for (unsigned again = 0; again < 2; again++) {
        assert_int_equal(frame_consumer_attach(&rig.consumer, rig.memory, size, CAPACITY), 0);
        if (again)
            expect_frame(&rig, 1012, CAPACITY / 1024 - 1);
        assert_true(frame_consumer_release(&rig.consumer));
        assert_false(frame_consumer_release(&rig.consumer));
    }
    frame_rig_fini(&rig);
}

/* ---- The other end lies. ----------------------------------------------------------------------------------------- */

static void a_consumer_refuses_what_no_producer_writes(void **state)
{
    (void)state;
    static const struct {
        uint32_t head, length, flags;
        int rc;
    } rows[] = {
        {64, 50, 0, 1},
        {64, 52, 0, 1},
        {64, 53, 0, -EPROTO}, /* longer than what is there */
        {64, 0, 0, -EPROTO},
        {64, UINT32_MAX, 0, -EPROTO},
        {64, 0xfffffff4, 0, -EPROTO}, /* wraps with its overhead */
        {CAPACITY, FRAME_LENGTH_MAX, 0, 1},
        {CAPACITY, FRAME_LENGTH_MAX + 1, 0, -EPROTO},
        {8, 1, 0, -EPROTO}, /* less than a record */
        {66, 1, 0, -EPROTO},
        {CAPACITY + 4, 1, 0, -EPROTO},
        {0x80000000, 1, 0, -EPROTO},
        {0xfffffffc, 1, 0, -EPROTO},
        {64, 50, 0x8, -EPROTO},
        {64, 50, 0x40, -EPROTO},
        {64, 50, 0x400, -EPROTO},
        {64, 50, 0x30 | 1u << 16, -EPROTO}, /* a kind of segmentation there is not */
        {64, 50, 0x10, -EPROTO},            /* segments of nothing */
        {64, 50, 1u << 16, -EPROTO},        /* of no kind */
        {64, 50, 0x20 | 0xffffu << 16 | 0x307, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct frame_rig rig;
        struct netif_meta meta;
        static uint8_t bytes[FRAME_LENGTH_MAX];
        uint32_t length = 77;
        frame_rig_init(&rig, 0);
        set_index(&rig, FRAME_HEADER_SIZE, rows[i].length);
        set_index(&rig, FRAME_HEADER_SIZE + 4, rows[i].flags);
        set_index(&rig, HEAD, rows[i].head);
        assert_int_equal(frame_consumer_get(&rig.consumer, &meta, bytes, &length), rows[i].rc);
        assert_int_equal(length, rows[i].rc == 1 ? rows[i].length : 77);
        frame_rig_fini(&rig);
    }
}

static void an_index_taken_back_is_refused(void **state)
{
    (void)state;
    struct frame_rig rig;
    frame_rig_init(&rig, 0);
    put(&rig, 52, 1);
    put(&rig, 52, 2);
    frame_producer_publish(&rig.producer);
    expect_frame(&rig, 52, 1);
    expect_frame(&rig, 52, 2);
    set_index(&rig, FRAME_HEADER_SIZE + 128, 10); /* something like a frame stands there */
    set_index(&rig, HEAD, 64);
    expect(&rig, -EPROTO);
    set_index(&rig, HEAD, CAPACITY + 64); /* over what was not released */
    expect(&rig, -EPROTO);
    frame_rig_fini(&rig);
}

static void a_producer_refuses_an_impossible_consumer(void **state)
{
    (void)state;
    static const uint32_t tails[] = {CAPACITY + 4, 0x80000000, 0xfffffffc, 2};
    static uint8_t bytes[1012];
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        struct frame_rig rig;
        frame_rig_init(&rig, 0);
        while (frame_producer_put(&rig.producer, &plain, bytes, sizeof bytes) == 0)
            ;
        frame_producer_publish(&rig.producer);
        set_index(&rig, TAIL, tails[i]);
        assert_int_equal(frame_producer_put(&rig.producer, &plain, bytes, sizeof bytes), -EPROTO);
        frame_rig_fini(&rig);
    }
}

/* ---- Random lives. ----------------------------------------------------------------------------------------------- */

static uint32_t random_length(uint64_t *seed)
{
    switch (rig_below(seed, 16)) {
    case 0:
        return FRAME_LENGTH_MAX - rig_below(seed, 8);
    case 1 ... 3:
        return 1 + rig_below(seed, 20000);
    default:
        return 1 + rig_below(seed, 200);
    }
}

#define WAITING_MAX 16384u

static void two_honest_ends_follow_the_model(void **state)
{
    (void)state;
    static uint32_t waiting[WAITING_MAX]; /* lengths of frames in the ring */
    static uint8_t bytes[FRAME_LENGTH_MAX];
    uint64_t seed = rig_seed();
    unsigned long passed = 0, full = 0, deaths = 0;
    for (unsigned life = 0; life < 30; life++) {
        struct frame_rig rig;
        uint32_t put_count = 0, shown = 0, got = 0, released = 0, used = 0; /* frames; bytes */
        bool consumer_sleeps = false;
        frame_rig_init(&rig, life % 3 ? RIG_START : (uint32_t)rig_random(&seed) & ~3u);
        for (unsigned step = 0; step < 3000; step++) {
            const uint32_t choice = rig_below(&seed, 64);
            if (choice < 28) {
                const uint32_t length = random_length(&seed), record = FRAME_OVERHEAD + (length + 3) / 4 * 4;
                fill(bytes, length, put_count);
                int rc = frame_producer_put(&rig.producer, &plain, bytes, length);
                assert_int_equal(rc, used + record <= CAPACITY ? 0 : -ENOSPC);
                full += rc < 0;
                if (rc == 0) {
                    waiting[put_count++ % WAITING_MAX] = length;
                    used += record;
                }
            } else if (choice < 36) {
                const bool wake = frame_producer_publish(&rig.producer);
                shown = put_count;
                assert_true(wake || !consumer_sleeps || got == shown);
                consumer_sleeps = consumer_sleeps && !wake;
            } else if (choice < 56) {
                if (got == shown) {
                    expect(&rig, 0);
                } else {
                    expect_frame(&rig, waiting[got % WAITING_MAX], got);
                    got++;
                }
            } else if (choice < 60) {
                frame_consumer_release(&rig.consumer);
                for (; released != got; released++)
                    used -= FRAME_OVERHEAD + (waiting[released % WAITING_MAX] + 3) / 4 * 4;
            } else if (choice < 62) {
                consumer_sleeps = !frame_consumer_rearm(&rig.consumer);
                assert_int_equal(consumer_sleeps, got == shown);
            } else if (choice == 62) { /* both die */
                frame_rig_attach(&rig);
                for (; put_count != shown; put_count--)
                    used -= FRAME_OVERHEAD + (waiting[(put_count - 1) % WAITING_MAX] + 3) / 4 * 4;
                got = released;
                deaths++;
            } else { /* the producer dies, and what it showed the consumer does not hear of */
                frame_producer_publish(&rig.producer);
                shown = put_count;
                assert_int_equal(frame_producer_attach(&rig.producer, rig.memory, frame_size(CAPACITY), CAPACITY), 0);
                deaths++;
            }
        }
        passed += got;
        frame_rig_fini(&rig);
    }
    print_message("%lu frames, %lu found no room, %lu deaths\n", passed, full, deaths);
    assert_true(passed > 0 && full > 0 && deaths > 0);
}

static void scribble(struct frame_rig *rig, uint64_t *seed)
{
    static const uint32_t jumps[] = {4, 8, 12, 64, CAPACITY, CAPACITY + 4, 0x80000000, 0xfffffffc, 1};
    static const size_t places[] = {HEAD, TAIL, ROOM_EVENT, DATA_EVENT};
    if (rig_below(seed, 4) == 0) {
        const size_t place = places[rig_below(seed, 4)];
        set_index(rig, place, get_index(rig, place) + jumps[rig_below(seed, 9)]);
    } else {
        const uint32_t near = (rig->consumer.tail + 4 * rig_below(seed, 40)) % CAPACITY;
        set_index(rig, FRAME_HEADER_SIZE + near,
                  rig_below(seed, 2) ? rig_below(seed, 300) : (uint32_t)rig_random(seed));
    }
}

static void a_hostile_other_end_harms_nobody(void **state)
{
    (void)state;
    static uint8_t bytes[FRAME_LENGTH_MAX];
    uint64_t seed = rig_seed();
    unsigned long passed = 0, refused_get = 0, refused_put = 0;
    for (unsigned life = 0; life < 1500; life++) {
        struct frame_rig rig;
        int rc = 0;
        frame_rig_init(&rig, RIG_START);
        for (unsigned step = 0; step < 100 && rc != -EPROTO; step++) {
            if (rig_below(&seed, 12) == 0)
                scribble(&rig, &seed);
            for (uint32_t i = rig_below(&seed, 4); i > 0 && rc != -EPROTO; i--) {
                const struct netif_meta meta = {.csum_blank = true};
                rc = frame_producer_put(&rig.producer, &meta, bytes, random_length(&seed));
                assert_true(rc == 0 || rc == -ENOSPC || rc == -EPROTO);
                refused_put += rc == -EPROTO;
            }
            frame_producer_publish(&rig.producer);
            frame_producer_rearm(&rig.producer, random_length(&seed));

            struct netif_meta meta;
            uint32_t length, bytes_read = 0;
            while (rc != -EPROTO && (rc = frame_consumer_get(&rig.consumer, &meta, bytes, &length)) == 1) {
                assert_true(length > 0 && length <= FRAME_LENGTH_MAX);
                assert_true(meta.gso <= NETIF_GSO_TCPV6 && (meta.gso == NETIF_GSO_NONE) == (meta.gso_size == 0));
                bytes_read += length + FRAME_OVERHEAD;
                assert_true(bytes_read <= CAPACITY);
                passed++;
            }
            assert_true(rc == 0 || rc == -EPROTO);
            refused_get += rc == -EPROTO;
            frame_consumer_release(&rig.consumer);
            frame_consumer_rearm(&rig.consumer);
        }
        frame_rig_fini(&rig);
    }
    print_message("%lu passed, %lu refused by consumers, %lu by producers\n", passed, refused_get, refused_put);
    assert_true(passed > 0 && refused_get > 0 && refused_put > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(impossible_memory_is_refused),
        cmocka_unit_test(impossible_indices_are_refused_at_attach),
        cmocka_unit_test(frames_pass_from_any_start),
        cmocka_unit_test(what_is_said_of_a_frame_goes_with_it),
        cmocka_unit_test(a_full_ring_takes_no_more_until_room_is_released),
        cmocka_unit_test(the_largest_frame_passes),
        cmocka_unit_test(events_are_for_who_sleeps),
        cmocka_unit_test(room_is_told_of_when_there_is_enough),
        cmocka_unit_test(a_successor_takes_up_where_the_other_died),
        cmocka_unit_test(a_successor_owes_the_event_that_the_other_did_not_send),
        cmocka_unit_test(a_consumer_refuses_what_no_producer_writes),
        cmocka_unit_test(an_index_taken_back_is_refused),
        cmocka_unit_test(a_producer_refuses_an_impossible_consumer),
        cmocka_unit_test(two_honest_ends_follow_the_model),
        cmocka_unit_test(a_hostile_other_end_harms_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

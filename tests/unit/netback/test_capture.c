/* SPDX-License-Identifier: MIT */
/*
 * A capture's ring from a worker, which may be hostile; and its records, to a client.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "netback/worker/capture.h"

static uint8_t bytes[FRAME_LENGTH_MAX];

/* ---- Records. ---- */

static void a_record_comes_back(void **state)
{
    const struct capture_record record = {CAPTURE_FRAME, CAPTURE_RECEIVED, 0x0102030405060708, 1514, 60};
    static const uint8_t wanted[CAPTURE_RECORD_SIZE] = {0, 0, 0, 1, 0, 0, 0,    2,    1, 2, 3, 4,
                                                        5, 6, 7, 8, 0, 0, 0x05, 0xea, 0, 0, 0, 60};
    struct capture_record found;
    (void)state;
    capture_record_encode(&record, bytes);
    assert_memory_equal(bytes, wanted, sizeof(wanted));
    assert_int_equal(capture_record_decode(bytes, &found), 0);
    assert_memory_equal(&found, &record, sizeof(record));
}

static void impossible_records_are_refused(void **state)
{
    static const struct {
        struct capture_record record;
        int result;
    } cases[] = {
        {{CAPTURE_FRAME, CAPTURE_SENT, 0, CAPTURE_FRAME_MAX, CAPTURE_FRAME_MAX}, 0},
        {{CAPTURE_FRAME, CAPTURE_SENT, 0, CAPTURE_FRAME_MAX + 1, 0}, -EPROTO},
        {{CAPTURE_FRAME, CAPTURE_SENT, 0, 60, 61}, -EPROTO},
        {{CAPTURE_FRAME, 0, 0, 60, 60}, -EPROTO},
        {{CAPTURE_FRAME, 3, 0, 60, 60}, -EPROTO},
        {{CAPTURE_DROPPED, 0, UINT64_MAX, 0, 0}, 0},
        {{CAPTURE_DROPPED, 1, 1, 0, 0}, -EPROTO},
        {{CAPTURE_DROPPED, 0, 1, 0, 1}, -EPROTO},
        {{CAPTURE_DROPPED, 0, 1, 1, 0}, -EPROTO},
        {{CAPTURE_END, 0, 0, 0, CAPTURE_REASON_MAX}, 0},
        {{CAPTURE_END, 0, 0, 0, CAPTURE_REASON_MAX + 1}, -EPROTO},
        {{CAPTURE_END, 0, 1, 0, 0}, -EPROTO},
        {{0, 0, 0, 0, 0}, -EPROTO},
        {{4, 0, 0, 0, 0}, -EPROTO},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct capture_record found = {.type = 77};
        capture_record_encode(&cases[i].record, bytes);
        assert_int_equal(capture_record_decode(bytes, &found), cases[i].result);
        assert_int_equal(found.type, cases[i].result == 0 ? cases[i].record.type : 77);
    }
}

static void impossible_heads_are_refused(void **state)
{
    static const struct {
        struct capture_head head;
        uint32_t size; /* of what was read */
        int result;
    } cases[] = {
        {{1, 100, CAPTURE_SENT}, CAPTURE_HEAD_SIZE + 100, 0},
        {{1, 100, CAPTURE_RECEIVED}, CAPTURE_HEAD_SIZE, 0},
        {{1, 100, CAPTURE_SENT}, CAPTURE_HEAD_SIZE + 101, -EPROTO},
        {{1, 0, CAPTURE_SENT}, CAPTURE_HEAD_SIZE, 0},
        {{1, 0, CAPTURE_SENT}, CAPTURE_HEAD_SIZE + 1, -EPROTO},
        {{1, 100, CAPTURE_SENT}, CAPTURE_HEAD_SIZE - 1, -EPROTO},
        {{1, 100, CAPTURE_SENT}, 1, -EPROTO},
        {{1, 100, 0}, CAPTURE_HEAD_SIZE + 100, -EPROTO},
        {{1, 100, 3}, CAPTURE_HEAD_SIZE + 100, -EPROTO},
        {{1, FRAME_LENGTH_MAX, CAPTURE_SENT}, CAPTURE_HEAD_SIZE + 100, 0},
        {{1, FRAME_LENGTH_MAX + 1, CAPTURE_SENT}, CAPTURE_HEAD_SIZE + 100, -EPROTO},
        {{1, UINT32_MAX, CAPTURE_SENT}, CAPTURE_HEAD_SIZE + 100, -EPROTO},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct capture_head found = {.length = 77};
        memcpy(bytes, &cases[i].head, sizeof(cases[i].head));
        assert_int_equal(capture_head_decode(bytes, cases[i].size, &found), cases[i].result);
        assert_int_equal(found.length, cases[i].result == 0 ? cases[i].head.length : 77);
    }
}

/* ---- The ring. ---- */

struct fixture {
    struct capture worker;
    struct capture_shared *shared;
    struct frame_consumer reader;
    int memory, bell;
};

static int setup(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.memory = capture_memory_make(), .bell = eventfd(0, EFD_NONBLOCK)};
    assert_true(fixture.memory >= 0);
    assert_int_equal(capture_memory_map(fixture.memory, &fixture.shared), 0);
    assert_int_equal(frame_consumer_attach(&fixture.reader, capture_memory_ring(fixture.shared),
                                           frame_size(CAPTURE_CAPACITY), CAPTURE_CAPACITY),
                     0);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    capture_end(&fixture->worker);
    capture_memory_unmap(fixture->shared);
    close(fixture->memory);
    close(fixture->bell);
    return 0;
}

static bool rang(const struct fixture *fixture)
{
    uint64_t count;
    return read(fixture->bell, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

static void begin(struct fixture *fixture, uint32_t snaplen)
{
    capture_begin(&fixture->worker, dup(fixture->memory), dup(fixture->bell), snaplen);
    assert_true(capture_is_on(&fixture->worker));
    rang(fixture);
}

static void put(struct fixture *fixture, uint32_t length, uint8_t filling)
{
    static uint8_t place[CAPTURE_HEAD_SIZE + FRAME_LENGTH_MAX];
    const struct netif_meta meta = {.csum_blank = true};
    memset(place + CAPTURE_HEAD_SIZE, filling, length);
    capture_frame(&fixture->worker, CAPTURE_SENT, place + CAPTURE_HEAD_SIZE, length, &meta);
}

/* The next frame must be that one, cut to `captured`. */
static void get(struct fixture *fixture, uint32_t length, uint32_t captured, uint8_t filling)
{
    struct netif_meta meta;
    struct capture_head head;
    uint32_t size;
    assert_int_equal(frame_consumer_get(&fixture->reader, &meta, bytes, &size), 1);
    assert_int_equal(capture_head_decode(bytes, size, &head), 0);
    assert_int_equal(head.length, length);
    assert_int_equal(head.direction, CAPTURE_SENT);
    assert_int_equal(size, CAPTURE_HEAD_SIZE + captured);
    assert_int_equal(bytes[CAPTURE_HEAD_SIZE], filling);
    assert_int_equal(bytes[size - 1], filling);
    assert_true(meta.csum_blank);
    (void)frame_consumer_release(&fixture->reader);
}

static void frames_are_cut(void **state)
{
    struct fixture *fixture = *state;
    begin(fixture, 100);
    put(fixture, 60, 1);
    put(fixture, 100, 2);
    put(fixture, 101, 3);
    capture_flush(&fixture->worker);
    get(fixture, 60, 60, 1);
    get(fixture, 100, 100, 2);
    get(fixture, 101, 100, 3);
    begin(fixture, UINT32_MAX); /* in place of the other */
    put(fixture, FRAME_LENGTH_MAX, 4);
    capture_flush(&fixture->worker);
    get(fixture, FRAME_LENGTH_MAX, CAPTURE_LENGTH_MAX, 4);
}

static void the_bell_is_rung_for_who_sleeps(void **state)
{
    struct fixture *fixture = *state;
    begin(fixture, 100);
    assert_false(frame_consumer_rearm(&fixture->reader));
    put(fixture, 60, 1);
    assert_false(rang(fixture));
    capture_flush(&fixture->worker);
    assert_true(rang(fixture));
    put(fixture, 60, 2);
    capture_flush(&fixture->worker);
    assert_false(rang(fixture));
}

static void what_finds_no_room_is_counted(void **state)
{
    struct fixture *fixture = *state;
    const unsigned fit = CAPTURE_CAPACITY / (FRAME_OVERHEAD + CAPTURE_HEAD_SIZE + 1000);
    begin(fixture, UINT32_MAX);
    for (unsigned i = 0; i < fit + 3; i++)
        put(fixture, 1000, (uint8_t)i);
    capture_flush(&fixture->worker);
    assert_int_equal(fixture->shared->dropped, 3);
    get(fixture, 1000, 1000, 0);
    put(fixture, 1000, 77);
    capture_flush(&fixture->worker);
    assert_int_equal(fixture->shared->dropped, 3);
    for (unsigned i = 1; i < fit; i++)
        get(fixture, 1000, 1000, (uint8_t)i);
    get(fixture, 1000, 1000, 77);
}

static void a_successor_goes_on(void **state)
{
    struct fixture *fixture = *state;
    begin(fixture, 100);
    put(fixture, 60, 1);
    capture_flush(&fixture->worker);
    put(fixture, 60, 2); /* and died */
    fixture->shared->dropped = 5;
    capture_begin(&fixture->worker, dup(fixture->memory), dup(fixture->bell), 100);
    assert_true(rang(fixture));
    put(fixture, 60, 3);
    capture_flush(&fixture->worker);
    get(fixture, 60, 60, 1);
    get(fixture, 60, 60, 3);
    assert_int_equal(fixture->shared->dropped, 5);
}

static void an_impossible_ring_is_no_capture(void **state)
{
    struct fixture *fixture = *state;
    uint32_t *indices = capture_memory_ring(fixture->shared);
    begin(fixture, 100);
    indices[16] = 0x80000000; /* the reader's: it has read what was never written */
    for (unsigned i = 0; i < CAPTURE_CAPACITY / 64 && capture_is_on(&fixture->worker); i++)
        put(fixture, 100, 1);
    assert_false(capture_is_on(&fixture->worker));
    capture_flush(&fixture->worker);
    indices[0] = 0;
    capture_begin(&fixture->worker, dup(fixture->memory), dup(fixture->bell), 100);
    assert_false(capture_is_on(&fixture->worker));
    indices[16] = 0;
    begin(fixture, 100);
}

static void memory_that_can_shrink_is_refused(void **state)
{
    struct fixture *fixture = *state;
    int other = memfd_create("other", MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(other, CAPTURE_RING + (off_t)frame_size(CAPTURE_CAPACITY)), 0);
    assert_int_equal(ftruncate(fixture->memory, 4096), -1);
    capture_begin(&fixture->worker, other, dup(fixture->bell), 100);
    assert_false(capture_is_on(&fixture->worker));
    begin(fixture, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_comes_back),
        cmocka_unit_test(impossible_records_are_refused),
        cmocka_unit_test(impossible_heads_are_refused),
        cmocka_unit_test_setup_teardown(frames_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(the_bell_is_rung_for_who_sleeps, setup, teardown),
        cmocka_unit_test_setup_teardown(what_finds_no_room_is_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_successor_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(an_impossible_ring_is_no_capture, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_that_can_shrink_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

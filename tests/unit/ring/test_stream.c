/* SPDX-License-Identifier: MIT */
/* Byte streams: one behaviour a test. */
#include "rig.h"

#include <errno.h>

#include <ring/stream.h>

#define SIZE 16u

struct pipe {
    uint8_t before[16];
    uint8_t buffer[SIZE];
    uint8_t after[16];
    _Atomic uint32_t producer, consumer;
    struct ring_stream stream;
};

static void pipe_init(struct pipe *pipe, uint32_t start)
{
    memset(pipe, 0xee, sizeof *pipe);
    pipe->producer = start;
    pipe->consumer = start;
    pipe->stream = (struct ring_stream){pipe->buffer, SIZE, &pipe->producer, &pipe->consumer};
}

static void pipe_check(const struct pipe *pipe)
{
    for (unsigned i = 0; i < 16; i++)
        assert_true(pipe->before[i] == 0xee && pipe->after[i] == 0xee);
}

static void bytes_arrive_in_order_around_the_wrap(void **state)
{
    (void)state;
    struct pipe pipe;
    pipe_init(&pipe, RIG_START + 5);
    for (unsigned round = 0; round < 40; round++) {
        char got[12] = {0};
        assert_int_equal(ring_stream_write(&pipe.stream, "hello, ring", 11), 11);
        assert_int_equal(ring_stream_read(&pipe.stream, got, sizeof got), 11);
        assert_string_equal(got, "hello, ring");
    }
    pipe_check(&pipe);
}

static void a_full_buffer_takes_what_fits(void **state)
{
    (void)state;
    struct pipe pipe;
    char got[32];
    pipe_init(&pipe, RIG_START);
    assert_int_equal(ring_stream_read(&pipe.stream, got, sizeof got), 0);
    assert_int_equal(ring_stream_write(&pipe.stream, "0123456789abcdefgh", 18), SIZE);
    assert_int_equal(ring_stream_write(&pipe.stream, "x", 1), 0);
    assert_int_equal(ring_stream_read(&pipe.stream, got, 3), 3);
    assert_int_equal(ring_stream_write(&pipe.stream, "ghijk", 5), 3);
    assert_int_equal(ring_stream_read(&pipe.stream, got + 3, sizeof got - 3), SIZE);
    assert_memory_equal(got, "0123456789abcdefghi", 19);
    pipe_check(&pipe);
}

static void nothing_to_move_moves_nothing(void **state)
{
    (void)state;
    struct pipe pipe;
    pipe_init(&pipe, RIG_START);
    assert_int_equal(ring_stream_write(&pipe.stream, NULL, 0), 0);
    assert_int_equal(ring_stream_read(&pipe.stream, NULL, 0), 0);
    assert_int_equal(ring_stream_write(&pipe.stream, "a", 1), 1);
}

static void impossible_indices_are_refused(void **state)
{
    (void)state;
    struct pipe pipe;
    char got[32] = {0};
    static const uint32_t ahead[] = {SIZE + 1, 0x7fffffff, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < sizeof ahead / sizeof ahead[0]; i++) {
        pipe_init(&pipe, RIG_START);
        *pipe.stream.producer = RIG_START + ahead[i];
        assert_int_equal(ring_stream_write(&pipe.stream, "abc", 3), -EPROTO);
        assert_int_equal(ring_stream_read(&pipe.stream, got, sizeof got), -EPROTO);
        *pipe.stream.producer = RIG_START;
        assert_int_equal(ring_stream_write(&pipe.stream, "abc", 3), 3);
        assert_int_equal(ring_stream_read(&pipe.stream, got, sizeof got), 3);
        pipe_check(&pipe);
    }
}

static void random_pieces_make_the_same_stream(void **state)
{
    (void)state;
    struct pipe pipe;
    uint64_t seed = rig_seed();
    uint8_t sent = 0, received = 0;
    pipe_init(&pipe, RIG_START);
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t bytes[24];
        uint32_t size = rig_below(&seed, sizeof bytes + 1);
        if (rig_below(&seed, 2)) {
            for (uint32_t k = 0; k < size; k++)
                bytes[k] = (uint8_t)(sent + k);
            sent = (uint8_t)(sent + ring_stream_write(&pipe.stream, bytes, size));
        } else {
            ssize_t count = ring_stream_read(&pipe.stream, bytes, size);
            for (ssize_t k = 0; k < count; k++)
                assert_int_equal(bytes[k], received++);
        }
        assert_int_equal((uint8_t)(sent - received), pipe.producer - pipe.consumer);
    }
    pipe_check(&pipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_arrive_in_order_around_the_wrap), cmocka_unit_test(a_full_buffer_takes_what_fits),
        cmocka_unit_test(nothing_to_move_moves_nothing),         cmocka_unit_test(impossible_indices_are_refused),
        cmocka_unit_test(random_pieces_make_the_same_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Both ends of a frame ring at once, on two processors, each asleep whenever the protocol allows it: a frame read before
 * it was written shows in its bytes, and a wake-up that is lost leaves both asleep.
 */
#include "rig.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <ring/frame.h>

#define FRAMES   60000u
#define CAPACITY FRAME_CAPACITY_MIN
#define HANG_MS  120000

struct ends {
    uint8_t *memory;
    int data_event, room_event;
    unsigned consumer_slept, producer_slept;
};

static void notify(int event)
{
    uint64_t one = 1;
    if (write(event, &one, sizeof one) != sizeof one)
        abort();
}

static void await(int event, const char *what)
{
    uint64_t count;
    struct pollfd wait = {.fd = event, .events = POLLIN};
    if (poll(&wait, 1, HANG_MS) != 1) {
        print_message("waited for %s\n", what);
        abort();
    }
    if (read(event, &count, sizeof count) != sizeof count)
        abort();
}

static uint32_t length_of(uint32_t number)
{
    return number % 64 == 0 ? 1 + number % FRAME_LENGTH_MAX : 4 + number % 1500;
}

static void *consume(void *argument)
{
    struct ends *ends = argument;
    static uint8_t bytes[FRAME_LENGTH_MAX];
    struct frame_consumer consumer;
    if (frame_consumer_attach(&consumer, ends->memory, frame_size(CAPACITY), CAPACITY) < 0)
        abort();
    for (uint32_t number = 0; number < FRAMES;) {
        struct netif_meta meta;
        uint32_t length;
        int rc;
        while ((rc = frame_consumer_get(&consumer, &meta, bytes, &length)) == 1) {
            if (length != length_of(number) || bytes[0] != (uint8_t)number || bytes[length - 1] != (uint8_t)number ||
                meta.hash != number)
                abort();
            number++;
            if (number % 8 == 0 && frame_consumer_release(&consumer))
                notify(ends->room_event);
        }
        if (rc < 0)
            abort();
        if (frame_consumer_release(&consumer))
            notify(ends->room_event);
        if (number < FRAMES && !frame_consumer_rearm(&consumer)) {
            ends->consumer_slept++;
            await(ends->data_event, "a frame");
        }
    }
    return NULL;
}

static void no_wake_up_is_lost_and_no_frame_read_early(void **state)
{
    (void)state;
    static uint8_t bytes[FRAME_LENGTH_MAX];
    struct ends ends = {.data_event = eventfd(0, 0), .room_event = eventfd(0, 0)};
    struct frame_producer producer;
    pthread_t thread;
    uint64_t seed = rig_seed();
    const size_t mapped = CAPACITY + RING_PAGE_SIZE;
    ends.memory = rig_map(mapped);
    assert_int_equal(frame_format(ends.memory, mapped, CAPACITY, RIG_START), 0);
    assert_int_equal(frame_producer_attach(&producer, ends.memory, mapped, CAPACITY), 0);
    assert_int_equal(pthread_create(&thread, NULL, consume, &ends), 0);

    for (uint32_t number = 0; number < FRAMES;) {
        const uint32_t length = length_of(number);
        const struct netif_meta meta = {.hashed = true, .hash = number};
        memset(bytes, (uint8_t)number, length);
        int rc = frame_producer_put(&producer, &meta, bytes, length);
        assert_true(rc == 0 || rc == -ENOSPC);
        number += rc == 0;
        if (rc == 0 && number < FRAMES && rig_below(&seed, 8) > 0)
            continue; /* more in this batch */
        if (frame_producer_publish(&producer))
            notify(ends.data_event);
        if (rc < 0 && !frame_producer_rearm(&producer, length)) {
            ends.producer_slept++;
            await(ends.room_event, "room for a frame");
        }
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    print_message("%u frames, the consumer slept %u times, the producer %u\n", FRAMES, ends.consumer_slept,
                  ends.producer_slept);
    close(ends.data_event);
    close(ends.room_event);
    rig_unmap(ends.memory, mapped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_wake_up_is_lost_and_no_frame_read_early)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

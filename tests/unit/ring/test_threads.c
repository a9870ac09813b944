/* SPDX-License-Identifier: MIT */
/*
 * Both ends at once, on two processors, each asleep whenever the protocol allows it: a request or response read before it was written
 * shows in its seal, and a lost wake-up leaves both asleep until the test runner's limit.
 */
#include "rig.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define REQUESTS 100000u

struct ends {
    struct rig rig;
    int back_event, front_event;
    unsigned sleeps;
};

static void notify(int event)
{
    uint64_t one = 1;
    if (write(event, &one, sizeof one) != sizeof one)
        abort();
}

static void await(int event)
{
    uint64_t count;
    if (read(event, &count, sizeof count) != sizeof count)
        abort();
}

static void *serve(void *argument)
{
    struct ends *ends = argument;
    struct ring_request request;
    for (uint64_t served = 0; served < REQUESTS;) {
        while (ring_back_consume(&ends->rig.back, &request) == 1) {
            uint64_t id[2];
            memcpy(id, request.bytes, sizeof id);
            if (id[0] != served || id[1] != ~id[0])
                abort();
            ring_back_respond(&ends->rig.back, request.index, &id[1]);
            served++;
        }
        if (ring_back_publish(&ends->rig.back))
            notify(ends->front_event);
        if (served < REQUESTS && !ring_back_rearm(&ends->rig.back)) {
            ends->sleeps++;
            await(ends->back_event);
        }
    }
    return NULL;
}

static void no_wake_up_is_lost_and_no_slot_read_early(void **state)
{
    (void)state;
    struct ends ends = {.back_event = eventfd(0, 0), .front_event = eventfd(0, 0)};
    pthread_t thread;
    uint64_t seed = rig_seed(), sent = 0, received = 0;
    rig_init(&ends.rig, rig_layout(8), RIG_START);
    assert_int_equal(pthread_create(&thread, NULL, serve, &ends), 0);

    while (received < REQUESTS) {
        uint32_t room = ring_front_room(&ends.rig.front);
        uint32_t batch = received == sent ? 1 + rig_below(&seed, room) : rig_below(&seed, room + 1);
        for (; batch > 0 && sent < REQUESTS; batch--, sent++) {
            uint64_t request[2] = {sent, ~sent};
            assert_int_equal(ring_front_request(&ends.rig.front, request), 0);
        }
        if (ring_front_publish(&ends.rig.front))
            notify(ends.back_event);
        uint64_t seal;
        while (ring_front_consume(&ends.rig.front, &seal) == 1)
            assert_true(seal == ~received++);
        if (received < sent && !ring_front_rearm(&ends.rig.front))
            await(ends.front_event);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    print_message("%u requests, the back end slept %u times\n", REQUESTS, ends.sleeps);
    close(ends.back_event);
    close(ends.front_event);
    rig_fini(&ends.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_wake_up_is_lost_and_no_slot_read_early)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

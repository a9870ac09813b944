/* SPDX-License-Identifier: MIT */
/*
 * Both ends at once, on two processors.
 *
 * In the first test each sleeps whenever the protocol allows it: a request or response read before it was written shows
 * in its seal. In the second one end publishes in the very moment the other goes to sleep, over and over: one of them
 * must notice. With a mere release store in shared_index_publish() that fails within a second, where there are two
 * processors to fail it.
 */
#include "rig.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
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

/* ---- One publishes while the other goes to sleep. ---------------------------------------------------------------- */

#define ROUNDS 200000u
#define SECONDS \
    30 /* after which fewer rounds are enough: two threads in step take long when others want the processors */

struct race {
    struct rig rig;
    _Atomic uint32_t arrived; /* counts both threads' steps */
    bool found;               /* by the back end: what its rearm or publish said */
    bool last;                /* set by the front end within the last round */
};

/* Waits for the other thread at the end of step `step`, both counted. */
static void meet(struct race *race, uint32_t step)
{
    atomic_fetch_add(&race->arrived, 1);
    for (unsigned spins = 0; atomic_load(&race->arrived) < 2 * step; spins++)
        if (spins % 1024 == 1023)
            sched_yield();
}

static void *race_back(void *argument)
{
    struct race *race = argument;
    struct ring_request request;
    for (uint32_t round = 0; !race->last; round++) {
        meet(race, 4 * round + 1);
        race->found = ring_back_rearm(&race->rig.back);
        meet(race, 4 * round + 2);
        if (ring_back_consume(&race->rig.back, &request) != 1)
            abort();
        ring_back_respond(&race->rig.back, request.index, request.bytes);
        meet(race, 4 * round + 3);
        race->found = ring_back_publish(&race->rig.back);
        meet(race, 4 * round + 4);
    }
    return NULL;
}

static void one_of_both_notices(void **state)
{
    (void)state;
    static struct race race;
    pthread_t thread;
    uint64_t request[2] = {0}, response;
    uint32_t missed = 0, round;
    const time_t end = time(NULL) + SECONDS;
    rig_init(&race.rig, rig_layout(8), RIG_START);
    assert_int_equal(pthread_create(&thread, NULL, race_back, &race), 0);

    for (round = 0; !race.last; round++) {
        ring_front_request(&race.rig.front, request);
        meet(&race, 4 * round + 1);
        bool told = ring_front_publish(&race.rig.front);
        meet(&race, 4 * round + 2);
        missed += !told && !race.found;
        meet(&race, 4 * round + 3);
        race.last = round + 1 == ROUNDS || time(NULL) > end;
        bool found = ring_front_rearm(&race.rig.front);
        meet(&race, 4 * round + 4);
        missed += !found && !race.found;
        ring_front_consume(&race.rig.front, &response);
    }
    pthread_join(thread, NULL);
    print_message("%u rounds\n", round);
    assert_int_equal(missed, 0);
    rig_fini(&race.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_wake_up_is_lost_and_no_slot_read_early),
                                       cmocka_unit_test(one_of_both_notices)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

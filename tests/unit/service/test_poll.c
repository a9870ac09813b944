/* SPDX-License-Identifier: MIT */
/*
 * Watching an idle ring, on a clock of our own: what is worth watching is watched, the rest is not, and no pattern of requests makes the process
 * spend more than its budget.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/worker/poll.h"

#define LOOK_NS UINT64_C(200) /* one look */
#define US      UINT64_C(1000)
#define SECOND  UINT64_C(1000000000)

static const struct poll_limits half = {.time_ns = 100 * US, .percent = 50};

struct run {
    struct poll_budget budget;
    struct poll_wait wait;
    uint64_t now;
    uint64_t watched_ns;
    unsigned hits, misses, slept;
};

static struct run start(const struct poll_limits *limits)
{
    struct run run = {.now = 5 * SECOND};

    poll_budget_init(&run.budget, limits, run.now);
    return run;
}

/* One wait of `length_ns`: watched as long as the controller wants, then slept. */
static void wait_for(struct run *run, uint64_t length_ns)
{
    const uint64_t due = run->now + length_ns;
    bool watching = poll_wait_begin(&run->wait, &run->budget, run->now) > 0;

    while (watching && run->now < due) {
        run->now += LOOK_NS;
        run->watched_ns += LOOK_NS;
        if (run->now < due && !poll_wait_goes_on(&run->wait, &run->budget, LOOK_NS, run->now)) {
            watching = false;
            run->misses++;
        }
    }
    if (watching)
        run->hits++;
    else
        run->slept++;
    if (run->now < due)
        run->now = due;
    poll_wait_end(&run->wait, &run->budget, watching, run->now);
}

static void short_waits_are_watched(void **state)
{
    struct run run = start(&half);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        wait_for(&run, 4 * US);
        run.now += 20 * US; /* work */
    }
    assert_in_range(run.hits, 990, 1000);
}

static void an_idle_disk_is_not_watched(void **state)
{
    struct run run = start(&half);

    (void)state;
    for (int i = 0; i < 10; i++)
        wait_for(&run, 50 * US);
    run.watched_ns = 0;
    for (int i = 0; i < 1000; i++)
        wait_for(&run, 10 * US * 1000);
    /* Time halves with each: less than two of the longest in all. */
    assert_in_range(run.watched_ns, 0, 2 * half.time_ns);
    uint64_t before = run.watched_ns;
    wait_for(&run, SECOND);
    assert_int_equal(run.watched_ns, before);
}

static void off_is_off(void **state)
{
    static const struct poll_limits off[] = {{.time_ns = 0, .percent = 100}, {.time_ns = 100 * US, .percent = 0}};

    (void)state;
    for (int which = 0; which < 2; which++) {
        struct run run = start(&off[which]);
        for (int i = 0; i < 1000; i++)
            wait_for(&run, 3 * US);
        assert_int_equal(run.watched_ns, 0);
    }
}

static void it_begins_again_when_waits_are_short_again(void **state)
{
    struct run run = start(&half);

    (void)state;
    for (int i = 0; i < 100; i++)
        wait_for(&run, SECOND / 10);
    for (int i = 0; i < 100; i++) {
        wait_for(&run, 4 * US);
        run.now += 20 * US;
    }
    assert_in_range(run.hits, 90, 100);
}

/* What watching may cost over a time: the share, what was saved up before, and for each success what sleeping would have. The look that found
 * something is work. */
static void assert_within_budget(const struct run *run, uint64_t since_ns)
{
    uint64_t share = (run->now - since_ns + POLL_BUDGET_WINDOW_NS) / 100 * run->budget.limits.percent;

    assert_true(run->watched_ns <= share + (uint64_t)run->hits * (POLL_SLEEP_COST_NS + LOOK_NS) + half.time_ns);
}

static void no_guest_makes_us_pass_the_budget(void **state)
{
    static const uint64_t rhythms[] = {6, 20, 45, 49, 51, 90, 99, 101, 150};
    static const unsigned percents[] = {1, 10, 50, 100};

    (void)state;
    for (size_t p = 0; p < sizeof(percents) / sizeof(percents[0]); p++) {
        const struct poll_limits limits = {.time_ns = 100 * US, .percent = percents[p]};
        for (size_t r = 0; r < sizeof(rhythms) / sizeof(rhythms[0]); r++) {
            struct run run = start(&limits);
            uint64_t since = run.now;
            while (run.now - since < SECOND / 4)
                wait_for(&run, rhythms[r] * US);
            assert_within_budget(&run, since);
        }
        /* And one that makes us expect what does not come. */
        struct run run = start(&limits);
        uint64_t since = run.now;
        while (run.now - since < SECOND / 4) {
            wait_for(&run, 49 * US);
            wait_for(&run, 101 * US);
        }
        assert_within_budget(&run, since);
    }
}

static void a_budget_used_up_comes_back(void **state)
{
    static const struct poll_limits tenth = {.time_ns = 100 * US, .percent = 10};
    struct run run = start(&tenth);

    (void)state;
    for (uint64_t since = run.now; run.now - since < SECOND / 4;)
        wait_for(&run, 50 * US);
    assert_true(run.slept > run.hits);
    run.now += SECOND;
    unsigned hits = run.hits;
    for (int i = 0; i < 100; i++)
        wait_for(&run, 50 * US);
    assert_in_range(run.hits - hits, 90 - POLL_SKIPS_MAX, 100);
}

/* A peer that cannot go on while we watch, as if there were one processor for both: its request comes as soon as we sleep. */
static void a_peer_we_keep_from_running_is_left_alone(void **state)
{
    struct run run = start(&half);

    (void)state;
    for (int i = 0; i < 10000; i++) {
        bool watching = poll_wait_begin(&run.wait, &run.budget, run.now) > 0;
        while (watching) {
            run.now += LOOK_NS;
            run.watched_ns += LOOK_NS;
            watching = poll_wait_goes_on(&run.wait, &run.budget, LOOK_NS, run.now);
        }
        run.now += 3 * US;
        poll_wait_end(&run.wait, &run.budget, false, run.now);
    }
    assert_true(run.watched_ns / 10000 < 2 * US);
}

/* An event without a request ends no wait, so a second poll_wait_begin() must not come; work that comes ends it once. */
static void a_wait_ends_once(void **state)
{
    struct run run = start(&half);

    (void)state;
    wait_for(&run, 10 * US);
    struct poll_wait before = run.wait;
    poll_wait_end(&run.wait, &run.budget, true, run.now + SECOND);
    assert_memory_equal(&before, &run.wait, sizeof(before));
}

static void a_stopped_process_does_not_pay_for_ever(void **state)
{
    struct run run = start(&half);

    (void)state;
    poll_budget_spend(&run.budget, 3600 * SECOND);
    assert_false(poll_budget_allows(&run.budget, run.now));
    run.now += SECOND / 5;
    assert_true(poll_budget_allows(&run.budget, run.now));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_waits_are_watched),
        cmocka_unit_test(an_idle_disk_is_not_watched),
        cmocka_unit_test(off_is_off),
        cmocka_unit_test(it_begins_again_when_waits_are_short_again),
        cmocka_unit_test(no_guest_makes_us_pass_the_budget),
        cmocka_unit_test(a_budget_used_up_comes_back),
        cmocka_unit_test(a_peer_we_keep_from_running_is_left_alone),
        cmocka_unit_test(a_wait_ends_once),
        cmocka_unit_test(a_stopped_process_does_not_pay_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

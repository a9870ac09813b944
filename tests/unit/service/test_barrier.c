/* SPDX-License-Identifier: MIT */
/*
 * Write barriers among the queues of a disk: none begins before all is quiet, nothing is taken while one is up, nobody sleeps who could go on; and
 * its steps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blkback/worker/barrier.h"

#define QUEUES 3u

struct queue {
    struct barrier_member member;
    unsigned woken;
};

static struct barrier barrier;
static struct queue queues[QUEUES];

static void on_wake(void *arg)
{
    ((struct queue *)arg)->woken++;
}

static int setup(void **state)
{
    (void)state;
    barrier_init(&barrier);
    memset(queues, 0, sizeof(queues));
    for (unsigned i = 0; i < QUEUES; i++) {
        queues[i].member.wake = on_wake;
        queues[i].member.arg = &queues[i];
        barrier_join(&barrier, &queues[i].member);
    }
    return 0;
}

static void nothing_is_taken_while_one_is_up(void **state)
{
    (void)state;
    barrier_update(&queues[1].member, true);
    assert_false(barrier_is_up(&queues[0].member));
    barrier_raise(&queues[0].member, 1);
    for (unsigned i = 0; i < QUEUES; i++)
        assert_true(barrier_is_up(&queues[i].member));
    assert_false(barrier_may_begin(&queues[0].member));
    assert_false(barrier_may_begin(&queues[1].member));

    /* Those that are through wake whom they held up, and nobody else. */
    barrier_update(&queues[1].member, true);
    assert_int_equal(queues[0].woken, 0);
    barrier_update(&queues[1].member, false);
    assert_true(queues[0].woken == 1 && queues[2].woken == 0);
    assert_true(barrier_may_begin(&queues[0].member));
    barrier_begin(&queues[0].member);
    barrier_update(&queues[0].member, true);
    for (unsigned i = 0; i < QUEUES; i++)
        assert_true(barrier_is_up(&queues[i].member) && !barrier_may_begin(&queues[i].member));

    barrier_lower(&queues[0].member);
    barrier_update(&queues[0].member, false);
    assert_true(queues[1].woken == 1 && queues[2].woken == 1);
    assert_false(barrier_is_up(&queues[1].member));
}

static void its_own_requests_hold_it_up_too(void **state)
{
    (void)state;
    barrier_update(&queues[0].member, true);
    barrier_raise(&queues[0].member, 1);
    assert_false(barrier_may_begin(&queues[0].member));
    barrier_update(&queues[0].member, false);
    assert_true(barrier_may_begin(&queues[0].member));
}

static void those_of_a_journal_begin_one_after_the_other(void **state)
{
    (void)state;
    barrier_raise(&queues[0].member, 2);
    barrier_raise(&queues[1].member, 1);
    assert_true(barrier_may_begin(&queues[0].member));
    for (unsigned i = 0; i < 2; i++) {
        barrier_begin(&queues[0].member);
        assert_false(barrier_may_begin(&queues[0].member));
        assert_false(barrier_may_begin(&queues[1].member));
        queues[1].woken = 0;
        barrier_lower(&queues[0].member);
        assert_int_equal(queues[1].woken, 1);
    }
    assert_true(barrier_is_up(&queues[2].member));
    barrier_begin(&queues[1].member);
    barrier_lower(&queues[1].member);
    assert_false(barrier_is_up(&queues[2].member));
}

static void who_leaves_holds_nobody_up(void **state)
{
    (void)state;
    barrier_update(&queues[1].member, true);
    barrier_raise(&queues[0].member, 1);
    barrier_raise(&queues[1].member, 1);
    barrier_leave(&queues[1].member);
    barrier_leave(&queues[1].member);
    assert_int_equal(queues[0].woken, 1);
    assert_true(barrier_may_begin(&queues[0].member));
    barrier_begin(&queues[0].member);
    barrier_leave(&queues[0].member);
    assert_int_equal(queues[2].woken, 2);
    assert_false(barrier_is_up(&queues[2].member));
}

static void data_is_written_between_two_flushes(void **state)
{
    (void)state;
    const struct blkif_job job = {.code = BLKIF_CODE_BARRIER, .offset = 8192, .length = 512}, empty = {.offset = 0};
    struct disk_io io = {.offset = 1};
    enum barrier_step step;

    barrier_first(&step, &io);
    assert_true(io.op == DISK_FLUSH && io.offset == 0);
    assert_true(barrier_next(&job, &step, &io));
    assert_true(io.op == DISK_WRITE && io.offset == 8192);
    assert_true(barrier_next(&job, &step, &io));
    assert_true(io.op == DISK_FLUSH && io.offset == 0);
    assert_false(barrier_next(&job, &step, &io));

    barrier_first(&step, &io);
    assert_false(barrier_next(&empty, &step, &io));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_is_taken_while_one_is_up, setup),
        cmocka_unit_test_setup(its_own_requests_hold_it_up_too, setup),
        cmocka_unit_test_setup(those_of_a_journal_begin_one_after_the_other, setup),
        cmocka_unit_test_setup(who_leaves_holds_nobody_up, setup),
        cmocka_unit_test(data_is_written_between_two_flushes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

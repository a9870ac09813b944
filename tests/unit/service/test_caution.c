/* SPDX-License-Identifier: MIT */
/*
 * After a crash: one suspect at a time, of all queues of a worker, and who waits is woken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blkback/worker/caution.h"

struct queue {
    struct caution_member member;
    unsigned suspects;
    unsigned crashes;
    unsigned woken;
};

static struct caution caution;
static struct queue queues[3];

static void on_wake(void *arg)
{
    struct queue *queue = arg;

    queue->woken++;
}

static int setup(void **state)
{
    (void)state;
    caution = (struct caution){0};
    LIST_INIT(&caution.members);
    memset(queues, 0, sizeof(queues));
    for (unsigned i = 0; i < 3; i++) {
        queues[i].member.wake = on_wake;
        queues[i].member.arg = &queues[i];
        caution_join(&caution, &queues[i].member);
    }
    return 0;
}

static void update(struct queue *queue)
{
    caution_update(&queue->member, queue->suspects > 0, queue->crashes);
}

static void without_suspects_nobody_waits(void **state)
{
    (void)state;
    queues[0].member.executing = 32;
    update(&queues[0]);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(caution_ask(&queues[i].member), CAUTION_NONE);
    queues[0].member.executing = 0;
    update(&queues[0]);
    assert_int_equal(queues[1].woken, 0);
}

static void a_suspect_is_alone(void **state)
{
    (void)state;
    queues[1].member.executing = 2;
    update(&queues[1]);
    queues[0].suspects = 1;
    update(&queues[0]);
    /* What was begun is waited for; nothing is begun. */
    assert_int_equal(caution_ask(&queues[0].member), CAUTION_WAIT);
    assert_int_equal(caution_ask(&queues[1].member), CAUTION_WAIT);
    assert_int_equal(caution_ask(&queues[2].member), CAUTION_WAIT);
    queues[1].member.executing = 1;
    update(&queues[1]);
    assert_int_equal(queues[0].woken, 0);
    queues[1].member.executing = 0;
    update(&queues[1]);
    assert_int_equal(queues[0].woken, 1);
    assert_int_equal(caution_ask(&queues[0].member), CAUTION_ALONE);
    assert_int_equal(caution_ask(&queues[1].member), CAUTION_WAIT);

    queues[0].member.executing = 1;
    update(&queues[0]);
    assert_int_equal(caution_ask(&queues[0].member), CAUTION_WAIT);
    queues[0].member.executing = 0;
    queues[0].suspects = 0;
    queues[1].woken = queues[2].woken = 0;
    update(&queues[0]);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(caution_ask(&queues[i].member), CAUTION_NONE);
    assert_true(queues[1].woken == 1 && queues[2].woken == 1);
}

static void suspects_of_two_queues_take_turns(void **state)
{
    (void)state;
    queues[0].suspects = queues[1].suspects = 1;
    update(&queues[0]);
    update(&queues[1]);
    assert_int_equal(caution_ask(&queues[0].member), CAUTION_ALONE);
    queues[0].member.executing = 1;
    update(&queues[0]);
    assert_int_equal(caution_ask(&queues[1].member), CAUTION_WAIT);
    queues[0].member.executing = 0;
    queues[0].suspects = 0;
    update(&queues[0]);
    assert_true(queues[1].woken > 0);
    assert_int_equal(caution_ask(&queues[1].member), CAUTION_ALONE);
    assert_int_equal(caution_ask(&queues[0].member), CAUTION_WAIT);
}

static void the_fewest_crashes_go_first(void **state)
{
    (void)state;
    queues[0].suspects = queues[1].suspects = queues[2].suspects = 2;
    queues[0].crashes = 3;
    queues[1].crashes = 1;
    queues[2].crashes = 2;
    for (unsigned i = 0; i < 3; i++)
        update(&queues[i]);
    assert_int_equal(caution_ask(&queues[0].member), CAUTION_WAIT);
    assert_int_equal(caution_ask(&queues[1].member), CAUTION_ALONE);
    assert_int_equal(caution_ask(&queues[2].member), CAUTION_WAIT);
    /* Its next one saw as many as another's: either may go, and who waited is woken. */
    queues[2].woken = 0;
    queues[1].crashes = 2;
    update(&queues[1]);
    assert_true(queues[2].woken > 0);
    assert_int_equal(caution_ask(&queues[0].member), CAUTION_WAIT);
    assert_int_equal(caution_ask(&queues[1].member), CAUTION_ALONE);
    assert_int_equal(caution_ask(&queues[2].member), CAUTION_ALONE);
    queues[0].woken = 0;
    queues[1].suspects = queues[2].suspects = 0;
    update(&queues[1]);
    caution_leave(&queues[2].member);
    assert_true(queues[0].woken > 0);
    assert_int_equal(caution_ask(&queues[0].member), CAUTION_ALONE);
}

static void who_leaves_holds_nobody_up(void **state)
{
    (void)state;
    queues[0].suspects = queues[1].suspects = 1;
    queues[0].member.executing = 1;
    update(&queues[0]);
    update(&queues[1]);
    assert_int_equal(caution_ask(&queues[1].member), CAUTION_WAIT);
    queues[1].woken = 0;
    caution_leave(&queues[0].member);
    caution_leave(&queues[0].member);
    assert_true(queues[1].woken > 0);
    assert_int_equal(caution_ask(&queues[1].member), CAUTION_ALONE);
    caution_leave(&queues[1].member);
    assert_true(queues[2].woken > 0);
    assert_int_equal(caution_ask(&queues[2].member), CAUTION_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(without_suspects_nobody_waits, setup),
        cmocka_unit_test_setup(a_suspect_is_alone, setup),
        cmocka_unit_test_setup(suspects_of_two_queues_take_turns, setup),
        cmocka_unit_test_setup(the_fewest_crashes_go_first, setup),
        cmocka_unit_test_setup(who_leaves_holds_nobody_up, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "netback/worker/stall.h"

static void a_guest_that_is_sent_nothing_does_not_stall(void **state)
{
    struct stall stall = {0};

    (void)state;
    assert_false(stall_check(&stall, 1, UINT64_MAX));
    assert_false(stall_room(&stall, 0));
}

static void it_stalls_once_when_its_time_is_over(void **state)
{
    struct stall stall = {0};

    (void)state;
    stall_wait(&stall, 2, 100);
    assert_false(stall_check(&stall, 50, 149));
    stall_wait(&stall, 1, 149); /* the next frame: the clock goes on */
    assert_true(stall_check(&stall, 50, 150));
    assert_true(stall.stalled);
    assert_false(stall_check(&stall, 50, 1000));
}

static void never_when_there_is_no_limit(void **state)
{
    struct stall stall = {0};

    (void)state;
    stall_wait(&stall, 1, 0);
    assert_false(stall_check(&stall, 0, UINT64_MAX));
}

static void less_room_than_is_needed_is_none(void **state)
{
    struct stall stall = {0};

    (void)state;
    stall_wait(&stall, 2, 0);
    assert_false(stall_room(&stall, 1));
    assert_true(stall_check(&stall, 50, 50));
    assert_false(stall_room(&stall, 1));
    assert_true(stall.stalled);
    assert_true(stall_room(&stall, 2));
    assert_false(stall.stalled);
    assert_false(stall_room(&stall, 2)); /* said once */
}

static void a_frame_given_stops_the_clock(void **state)
{
    struct stall stall = {0};

    (void)state;
    stall_wait(&stall, 1, 0);
    assert_false(stall_given(&stall));
    stall_wait(&stall, 1, 40);
    assert_false(stall_check(&stall, 50, 60));
    assert_true(stall_check(&stall, 50, 90));
    assert_true(stall_given(&stall));
    assert_false(stall_given(&stall));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_that_is_sent_nothing_does_not_stall),
        cmocka_unit_test(it_stalls_once_when_its_time_is_over),
        cmocka_unit_test(never_when_there_is_no_limit),
        cmocka_unit_test(less_room_than_is_needed_is_none),
        cmocka_unit_test(a_frame_given_stops_the_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "netback/worker/rate.h"

#define MS 1000000u

static struct rate rate;

static void no_limit_is_none(void **state)
{
    (void)state;
    rate = (struct rate){0};
    rate_set(&rate, 0, 50000, 5);
    assert_int_equal(rate_take(&rate, 65535, 6), 0);
    rate_set(&rate, 1000, 0, 7);
    assert_int_equal(rate_take(&rate, 65535, 8), 0);
}

static void a_window_gives_what_it_says(void **state)
{
    (void)state;
    rate = (struct rate){0};
    rate_set(&rate, 200000, 50000, 0);
    for (unsigned window = 0; window < 5; window++) {
        const uint64_t now = (uint64_t)window * 50 * MS + 7;
        assert_int_equal(rate_take(&rate, 60000, now), 0);
        assert_int_equal(rate_take(&rate, 60000, now), 0);
        assert_int_equal(rate_take(&rate, 60000, now), 0);
        assert_int_equal(rate_take(&rate, 20000, now), 0);
        assert_int_equal(rate_take(&rate, 1, now + 10), 50 * MS - 17); /* to the next window */
        assert_int_equal(rate_take(&rate, 1, now + 50 * MS - 8), 1);
    }
}

/* A limit below the largest packet lets it pass all the same, after as many windows as it takes. */
static void a_small_limit_blocks_nothing_for_ever(void **state)
{
    (void)state;
    rate = (struct rate){0};
    rate_set(&rate, 100, 1000, 0);
    assert_int_equal(rate_take(&rate, 65535, 0), 655 * MS);
    assert_int_equal(rate_take(&rate, 65535, 654 * MS), MS);
    assert_int_equal(rate_take(&rate, 65535, 655 * MS), 0);
    assert_int_equal(rate_take(&rate, 100, 655 * MS), MS);
}

static void what_is_saved_is_bounded(void **state)
{
    (void)state;
    rate = (struct rate){0};
    rate_set(&rate, 1000, 1000, 0);
    const uint64_t late = (uint64_t)3600 * 1000 * MS;
    for (unsigned taken = 0; taken < RATE_BURST_MIN; taken += 1024)
        assert_int_equal(rate_take(&rate, 1024, late), 0);
    assert_true(rate_take(&rate, 1024, late) > 0);

    rate = (struct rate){0};
    rate_set(&rate, 1000000, 1000, 0);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(rate_take(&rate, 50000, late), 0);
    assert_true(rate_take(&rate, 1, late) > 0);
}

static void any_number_is_a_limit(void **state)
{
    (void)state;
    rate = (struct rate){0};
    rate_set(&rate, UINT64_MAX, UINT32_MAX, 0);
    assert_int_equal(rate_take(&rate, 65535, UINT64_MAX / 2), 0);
    assert_int_equal(rate_take(&rate, 65535, UINT64_MAX), 0);
    rate_set(&rate, 1, UINT32_MAX, 0);
    assert_true(rate_take(&rate, 65535, 1) > 0);
}

/* Setting what is set already takes nothing away and gives nothing. */
static void a_limit_that_stays_stays(void **state)
{
    (void)state;
    rate = (struct rate){0};
    rate_set(&rate, 1000, 1000, 0);
    assert_int_equal(rate_take(&rate, 1000, 1), 0);
    rate_set(&rate, 1000, 1000, 2);
    assert_true(rate_take(&rate, 1, 3) > 0);
    rate_set(&rate, 2000, 1000, 4);
    assert_int_equal(rate_take(&rate, 2000, 5), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_limit_is_none),
        cmocka_unit_test(a_window_gives_what_it_says),
        cmocka_unit_test(a_small_limit_blocks_nothing_for_ever),
        cmocka_unit_test(what_is_saved_is_bounded),
        cmocka_unit_test(any_number_is_a_limit),
        cmocka_unit_test(a_limit_that_stays_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The token bucket, by a clock of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <backend/worker/bucket.h>

#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)

static struct bucket bucket;

static int new_bucket(void **state)
{
    (void)state;
    bucket = (struct bucket){0};
    return 0;
}

/* Takes so much if there is credit for it. Returns how long to wait, with nothing taken. */
static uint64_t take(uint32_t cost, uint64_t now)
{
    const uint64_t wait = bucket_wait(&bucket, cost, now);

    if (wait == 0)
        bucket_take(&bucket, cost);
    return wait;
}

static void no_limit_is_none(void **state)
{
    (void)state;
    assert_int_equal(take(65535, 6), 0);
    bucket_set(&bucket, 0, 50 * MS, 0, 5);
    assert_int_equal(take(65535, 6), 0);
    bucket_set(&bucket, 1000, 0, 0, 7);
    assert_int_equal(take(65535, 8), 0);
    bucket_set_rate(&bucket, 0, 0, 9);
    assert_int_equal(take(65535, 10), 0);
    assert_int_equal(take(UINT32_MAX, 10), 0);
}

static void a_window_gives_what_it_says(void **state)
{
    (void)state;
    bucket_set(&bucket, 200000, 50 * MS, 0, 0);
    for (unsigned window = 0; window < 5; window++) {
        const uint64_t now = window * 50 * MS + 7;
        assert_int_equal(take(60000, now), 0);
        assert_int_equal(take(60000, now), 0);
        assert_int_equal(take(60000, now), 0);
        assert_int_equal(take(20000, now), 0);
        assert_int_equal(take(1, now + 10), 50 * MS - 17); /* to the next window */
        assert_int_equal(take(1, now + 50 * MS - 8), 1);
    }
}

/* A limit below what is asked for lets it pass all the same, after as many windows as it takes. */
static void a_small_limit_blocks_nothing_for_ever(void **state)
{
    (void)state;
    bucket_set(&bucket, 100, MS, 131072, 0);
    assert_int_equal(take(65535, 0), 655 * MS);
    assert_int_equal(take(65535, 654 * MS), MS);
    assert_int_equal(take(65535, 655 * MS), 0);
    assert_int_equal(take(100, 655 * MS), MS);
}

/* What costs more than any burst is paid for afterwards. */
static void a_debt_is_waited_for(void **state)
{
    (void)state;
    bucket_set(&bucket, 100, MS, 100, 0);
    assert_int_equal(bucket_wait(&bucket, 1, 0), 0);
    bucket_take(&bucket, 1000); /* 900 are owed */
    assert_int_equal(bucket_wait(&bucket, 1, 0), 10 * MS);
    assert_int_equal(bucket_wait(&bucket, 1, 9 * MS), MS);
    assert_int_equal(bucket_wait(&bucket, 1, 10 * MS), 0);
    bucket_take(&bucket, 100);
    assert_int_equal(bucket_wait(&bucket, 1, 10 * MS), MS);
}

static void what_is_kept_is_bounded(void **state)
{
    const uint64_t late = 3600 * SECOND;

    (void)state;
    bucket_set(&bucket, 1000, MS, 131072, 0);
    for (unsigned taken = 0; taken < 131072; taken += 1024)
        assert_int_equal(take(1024, late), 0);
    assert_true(take(1024, late) > 0);

    bucket_set(&bucket, 1000000, MS, 131072, 0); /* a burst below the amount of a window is that amount */
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(take(50000, late), 0);
    assert_true(take(1, late) > 0);
}

static void any_number_is_a_limit(void **state)
{
    (void)state;
    bucket_set(&bucket, UINT64_MAX, UINT64_C(4294967295000), UINT64_MAX, 0);
    assert_int_equal(take(65535, UINT64_MAX / 2), 0);
    assert_int_equal(take(UINT32_MAX, UINT64_MAX), 0);
    bucket_set_rate(&bucket, UINT64_MAX, UINT64_MAX, 0);
    assert_int_equal(take(UINT32_MAX, UINT64_MAX), 0);

    bucket_set(&bucket, 1, UINT64_C(4294967295000), 0, 0);
    bucket_take(&bucket, UINT32_MAX);
    const uint64_t wait = bucket_wait(&bucket, UINT32_MAX, 1);
    assert_true(wait > 0 && wait <= 3600 * SECOND);
}

/* A clock that was read before the limit was set gives nothing. */
static void an_earlier_time_is_no_later_one(void **state)
{
    (void)state;
    bucket_set(&bucket, 1000, MS, 5000, 100 * MS);
    assert_int_equal(take(1000, 100 * MS), 0);
    assert_int_equal(take(1, 99 * MS), 2 * MS);
}

/* Setting what is set already takes nothing away and gives nothing. */
static void a_limit_that_stays_stays(void **state)
{
    (void)state;
    bucket_set(&bucket, 1000, MS, 5000, 0);
    assert_int_equal(take(1000, 1), 0);
    bucket_set(&bucket, 1000, MS, 5000, 2);
    assert_true(take(1, 3) > 0);
    bucket_set(&bucket, 1000, MS, 9000, 4); /* nor does another burst give anything now... */
    assert_true(take(1, 5) > 0);
    assert_int_equal(bucket_wait(&bucket, 9000, SECOND), 0);
    bucket_set(&bucket, 1000, MS, 2000, SECOND); /* ...or leave more than it allows */
    assert_int_equal(take(2000, SECOND), 0);
    assert_true(take(1, SECOND) > 0);
}

static void a_change_forgets_debts(void **state)
{
    (void)state;
    bucket_set(&bucket, 1, MS, 1, 0);
    bucket_take(&bucket, UINT32_MAX);
    assert_true(take(1, SECOND) > 1000 * SECOND);
    bucket_set(&bucket, 2000, MS, 2000, SECOND);
    assert_int_equal(take(2000, SECOND), 0);
    assert_int_equal(take(1, SECOND), MS);
    bucket_set(&bucket, 0, 0, 0, SECOND);
    assert_int_equal(take(UINT32_MAX, SECOND), 0);
}

/* How many units of `cost` pass in so long when somebody takes whatever he may, and comes `late` after he was told to. */
static uint64_t passed(uint32_t cost, uint64_t seconds, uint64_t late)
{
    uint64_t now = 0, count = 0, wait;

    while (now < seconds * SECOND) {
        wait = bucket_wait(&bucket, 1, now);
        if (wait == 0) {
            bucket_take(&bucket, cost);
            count += cost;
        } else {
            now += wait + late;
        }
    }
    return count;
}

/* A rate a second is kept, within what a burst and one more request make, by a user that is woken late, too. */
static void rates_a_second_are_kept(void **state)
{
    static const uint64_t rates[] = {1, 2, 3, 7, 100, 999, 3000, 70001, 333333, 999999, 1000001, 1000499, 98765432};

    (void)state;
    for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        const uint64_t due = 10 * rates[i], slack = due / 2000 + rates[i] / 100 + 2;
        const uint32_t costs[] = {1, rates[i] > 1000000 ? 4096 : 2};
        for (unsigned c = rates[i] > 1000000; c < 2; c++) {
            bucket = (struct bucket){0};
            bucket_set_rate(&bucket, rates[i], 1, 0);
            const uint64_t count = passed(costs[c], 10, MS);
            if (count + slack + costs[c] < due || count > due + slack + costs[c])
                fail_msg("%llu a second, %u at once: %llu in 10 s", (unsigned long long)rates[i], costs[c],
                         (unsigned long long)count);
        }
    }
}

/* What goes at once after a pause. */
static uint64_t burst_of(uint64_t per_second, uint64_t burst)
{
    uint64_t count = 0;

    bucket = (struct bucket){0};
    bucket_set_rate(&bucket, per_second, burst, 0);
    while (bucket_wait(&bucket, 1, 3600 * SECOND) == 0) {
        bucket_take(&bucket, 1);
        count++;
    }
    return count;
}

static void a_burst_is_a_tenth_of_a_second_or_what_is_said(void **state)
{
    (void)state;
    assert_int_equal(burst_of(1000, 0), 100);
    assert_int_equal(burst_of(1000, 3000), 3000);
    assert_int_equal(burst_of(1000, 5), 10); /* a hundredth at least */
    assert_int_equal(burst_of(5, 0), 1);
    assert_int_equal(burst_of(2000000, 0), 200000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(no_limit_is_none, new_bucket),
        cmocka_unit_test_setup(a_window_gives_what_it_says, new_bucket),
        cmocka_unit_test_setup(a_small_limit_blocks_nothing_for_ever, new_bucket),
        cmocka_unit_test_setup(a_debt_is_waited_for, new_bucket),
        cmocka_unit_test_setup(what_is_kept_is_bounded, new_bucket),
        cmocka_unit_test_setup(any_number_is_a_limit, new_bucket),
        cmocka_unit_test_setup(an_earlier_time_is_no_later_one, new_bucket),
        cmocka_unit_test_setup(a_limit_that_stays_stays, new_bucket),
        cmocka_unit_test_setup(a_change_forgets_debts, new_bucket),
        cmocka_unit_test_setup(rates_a_second_are_kept, new_bucket),
        cmocka_unit_test_setup(a_burst_is_a_tenth_of_a_second_or_what_is_said, new_bucket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "bucket.h"

#define SECOND_NS   UINT64_C(1000000000)
#define AMOUNT_MAX  ((uint64_t)INT64_MAX / 2) /* so that nothing overflows, whatever was asked for */
#define WAIT_MAX_NS (3600 * SECOND_NS)

static uint64_t at_most(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

static uint64_t at_least(uint64_t value, uint64_t least)
{
    return value > least ? value : least;
}

void bucket_set(struct bucket *bucket, uint64_t amount, uint64_t window_ns, uint64_t burst, uint64_t now_ns)
{
    amount = window_ns == 0 ? 0 : at_most(amount, AMOUNT_MAX);
    burst = at_least(at_most(burst, AMOUNT_MAX), amount);
    if (amount != bucket->amount || (amount != 0 && window_ns != bucket->window_ns)) {
        *bucket = (struct bucket){.amount = amount, .window_ns = window_ns, .filled_ns = now_ns};
        bucket->credit = (int64_t)amount;
    }
    bucket->burst = burst;
    if (bucket->credit > (int64_t)burst)
        bucket->credit = (int64_t)burst;
}

void bucket_set_rate(struct bucket *bucket, uint64_t per_second, uint64_t burst, uint64_t now_ns)
{
    uint64_t amount = 0, window_ns = 0;

    per_second = at_most(per_second, AMOUNT_MAX);
    if (per_second > 1000000) {
        amount = (per_second + 500) / 1000;
        window_ns = SECOND_NS / 1000;
    } else if (per_second > 0) {
        amount = 1;
        window_ns = (SECOND_NS + per_second / 2) / per_second;
    }
    bucket_set(bucket, amount, window_ns, bucket_burst(per_second, burst), now_ns);
}

static void fill(struct bucket *bucket, uint64_t now_ns)
{
    const uint64_t room = (uint64_t)((int64_t)bucket->burst - bucket->credit);
    const uint64_t windows = now_ns > bucket->filled_ns ? (now_ns - bucket->filled_ns) / bucket->window_ns : 0;

    if (windows == 0)
        return;
    bucket->filled_ns += windows * bucket->window_ns;
    /* Compared before it is multiplied: a limit can be any number. */
    if (windows > room / bucket->amount)
        bucket->credit = (int64_t)bucket->burst;
    else
        bucket->credit += (int64_t)(windows * bucket->amount);
}

uint64_t bucket_wait(struct bucket *bucket, uint32_t need, uint64_t now_ns)
{
    if (bucket->amount == 0)
        return 0;
    fill(bucket, now_ns);
    if (bucket->credit >= (int64_t)need)
        return 0;
    const uint64_t missing = (uint64_t)((int64_t)need - bucket->credit);
    const uint64_t windows = (missing + bucket->amount - 1) / bucket->amount;
    if (windows > WAIT_MAX_NS / bucket->window_ns)
        return WAIT_MAX_NS;
    return bucket->filled_ns + windows * bucket->window_ns - now_ns;
}

void bucket_take(struct bucket *bucket, uint32_t cost)
{
    if (bucket->amount != 0)
        bucket->credit -= cost;
}

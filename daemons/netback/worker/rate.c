/* SPDX-License-Identifier: MIT */
#include "rate.h"

void rate_set(struct rate *rate, uint64_t bytes, uint32_t window_us, uint64_t now_ns)
{
    const uint64_t limit = window_us == 0 ? 0 : bytes, window_ns = UINT64_C(1000) * window_us;

    if (limit == rate->bytes && (limit == 0 || window_ns == rate->window_ns))
        return;
    *rate = (struct rate){.bytes = limit, .window_ns = window_ns, .credit = limit, .filled_ns = now_ns};
}

static void fill(struct rate *rate, uint64_t now_ns)
{
    const uint64_t burst = rate->bytes > RATE_BURST_MIN ? rate->bytes : RATE_BURST_MIN;
    const uint64_t windows = (now_ns - rate->filled_ns) / rate->window_ns;

    if (windows == 0)
        return;
    rate->filled_ns += windows * rate->window_ns;
    /* Compared before it is multiplied: a limit can be any number. */
    if (rate->credit >= burst || windows > (burst - rate->credit) / rate->bytes)
        rate->credit = burst;
    else
        rate->credit += windows * rate->bytes;
}

uint64_t rate_take(struct rate *rate, uint32_t length, uint64_t now_ns)
{
    if (rate->bytes == 0)
        return 0;
    fill(rate, now_ns);
    if (rate->credit >= length) {
        rate->credit -= length;
        return 0;
    }
    const uint64_t windows = (length - rate->credit + rate->bytes - 1) / rate->bytes;
    return rate->filled_ns + windows * rate->window_ns - now_ns;
}

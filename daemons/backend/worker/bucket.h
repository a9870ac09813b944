/* SPDX-License-Identifier: MIT */
/*
 * How much may be done in a time: a token bucket. Numbers in, decisions out.
 *
 * So many units are credited at the beginning of each window; what is not used is kept, up to the burst. Who wants to do something asks whether
 * there is credit enough, and pays when it is done. It may pay more than it asked for: then there is a debt, and it waits until that is settled. So
 * what is larger than any burst passes, too, and the rate holds all the same.
 */
#ifndef BACKEND_WORKER_BUCKET_H
#define BACKEND_WORKER_BUCKET_H

#include <stdint.h>

/* Zeroed: there is no limit. */
struct bucket {
    uint64_t amount; /* credited each window; 0: no limit */
    uint64_t window_ns;
    uint64_t burst;     /* the most that is kept; at least `amount` */
    int64_t credit;     /* below 0: a debt */
    uint64_t filled_ns; /* when the current window began */
};

/* Sets the limit, or changes it: then a window begins, with nothing kept and no debt. One that stays as it is keeps both. `amount` or `window_ns` 0:
 * there is none. */
void bucket_set(struct bucket *bucket, uint64_t amount, uint64_t window_ns, uint64_t burst, uint64_t now_ns);

/* What is kept of so many units a second when `burst` is asked for, 0 standing for a tenth of a second's worth: a hundredth at least, so that a timer
 * that is late by milliseconds does not lower the rate; and not nothing. */
static inline uint64_t bucket_burst(uint64_t per_second, uint64_t burst)
{
    const uint64_t least = per_second < 100 ? 1 : per_second / 100;

    if (burst == 0)
        burst = per_second / 10;
    return burst < least ? least : burst;
}

/* As bucket_set(), by units a second, in windows as short as they can be without an error of more than 0.05 %; `burst` as above. */
void bucket_set_rate(struct bucket *bucket, uint64_t per_second, uint64_t burst, uint64_t now_ns);

/* Returns 0: there is credit for `need`, at most the burst; or after how many nanoseconds to ask again. */
uint64_t bucket_wait(struct bucket *bucket, uint32_t need, uint64_t now_ns);

/* Pays. */
void bucket_take(struct bucket *bucket, uint32_t cost);

#endif

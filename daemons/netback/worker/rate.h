/* SPDX-License-Identifier: MIT */
/*
 * How fast a guest may send. Numbers in, decisions out.
 *
 * As with Linux's back end: so many bytes are credited at the beginning of each window; what is not used is kept, but for no more than
 * one window's worth, or RATE_BURST_MIN if that is more, so that the largest packet passes whatever the limit is.
 */
#ifndef NETBACK_WORKER_RATE_H
#define NETBACK_WORKER_RATE_H

#include <stdint.h>

#define RATE_BURST_MIN 131072u /* bytes */

struct rate {
    uint64_t bytes; /* each window; 0: no limit */
    uint64_t window_ns;
    uint64_t credit;
    uint64_t filled_ns; /* when the current window began */
};

/* Sets the limit, or changes it: then a window begins. Either 0: there is none. */
void rate_set(struct rate *rate, uint64_t bytes, uint32_t window_us, uint64_t now_ns);

/* Takes a packet of this length, at most RATE_BURST_MIN, into account. Returns 0; or after how many nanoseconds, with nothing taken, to ask again. */
uint64_t rate_take(struct rate *rate, uint32_t length, uint64_t now_ns);

#endif

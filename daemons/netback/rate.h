/* SPDX-License-Identifier: MIT */
/*
 * How much a guest may send, as a toolstack writes it: the key `rate` of the back end's directory, "BYTES,MICROSECONDS". libxl makes it of
 * vif = [ "rate=10Mb/s@50ms" ].
 */
#ifndef NETBACK_RATE_H
#define NETBACK_RATE_H

#include <stdint.h>

struct rate {
    uint64_t bytes; /* in each window of... */
    uint32_t us;    /* ...microseconds; 0: there is no limit */
};

#define RATE_WINDOW_MAX_US 10000000u /* a longer one would stop a guest for as long */

/* Returns 0; -EINVAL for anything else than two numbers; -ERANGE for a window or an amount that is impossible. "0,0", or either 0, is no limit. */
int rate_parse(const char *text, struct rate *ret_rate);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Rates as xl takes them and as xenstore has them.
 *
 * Source: xl-network-configuration(5): RATE is "10Mb/s" or "250KB/s@20ms", in units of 1000, of bits (b) or bytes (B) a second, b or B alone or
 * after K, M or G; the interval in us, ms or s, which is meant when nothing is said; 50 ms when there is none. xenstore's `rate` is "BYTES,USECS": so
 * many bytes may be sent in each interval.
 */
#ifndef RINGCTL_RATE_H
#define RINGCTL_RATE_H

#include <stdint.h>

struct rate {
    uint64_t bytes;     /* in each window */
    uint32_t window_us; /* never 0 */
};

/* Reads xl's form. Returns 0; -EINVAL: it is no rate; -ERANGE: a part of it is zero, or too large to be counted. */
int rate_parse(const char *text, struct rate *ret_rate);

/* For people: "10Mb/s", four digits of it. */
#define RATE_TEXT_SIZE 32
void rate_format(const struct rate *rate, char ret_text[RATE_TEXT_SIZE]);

#endif

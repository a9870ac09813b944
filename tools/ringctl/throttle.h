/* SPDX-License-Identifier: MIT */
/*
 * The limits of a disk, as they are told on the command line and as xenstore has them.
 */
#ifndef RINGCTL_THROTTLE_H
#define RINGCTL_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "ringctl.h"

enum throttle_kind { THROTTLE_REQUESTS, THROTTLE_BYTES, THROTTLE_KINDS };

/* One of the two. */
struct throttle_limit {
    bool told;       /* to be changed */
    bool configured; /* what the daemon's configuration says is to hold */
    uint64_t value;  /* a second; 0: none */
    uint64_t burst;  /* 0: what the daemon thinks fit */
};

#define THROTTLE_MAX ((uint64_t)INT64_MAX / 2)

/* Reads `word`, "none", "default" or NULL, and what was given with it. RINGCTL_OK, or RINGCTL_USAGE after saying why. */
enum ringctl_exit throttle_parse(const char *word, const struct ringctl_throttle_options *given,
                                 struct throttle_limit ret_limits[THROTTLE_KINDS]);

/* Reads a number of bytes from 1 on, with K, M, G or T, that was given with `option`. The same. */
enum ringctl_exit throttle_parse_bytes(const char *option, const char *text, uint64_t *ret_bytes);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Why something failed, for people.
 */
#ifndef NETBACK_REASON_H
#define NETBACK_REASON_H

#include <stdio.h>

struct reason {
    char text[256]; /* one line, no full stop */
};

/* Fills it, and is the value given. */
#define reason_fail(reason, err, ...) (snprintf((reason)->text, sizeof((reason)->text), __VA_ARGS__), (err))

#endif

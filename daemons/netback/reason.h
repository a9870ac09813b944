/* SPDX-License-Identifier: MIT */
/*
 * Fills in why something cannot be, and is the error given: return reason_fail(error, -EINVAL, "...");
 */
#ifndef NETBACK_REASON_H
#define NETBACK_REASON_H

#include <stdio.h>

#include <backend/kind.h>

#define reason_fail(error, err, ...) (snprintf((error)->text, sizeof((error)->text), __VA_ARGS__), (err))

#endif

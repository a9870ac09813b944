/* SPDX-License-Identifier: MIT */
/*
 * A limit that cannot be read is none, as with other back ends: a guest must not be without a network for a misspelt number. It is logged.
 */
#include "rate.h"

#include <errno.h>
#include <stdlib.h>

/* A decimal number, up to `end`; moves *text behind that. */
static int parse_number(const char **text, char end, uint64_t *ret_number)
{
    char *after;

    if (**text < '0' || **text > '9')
        return -EINVAL;
    errno = 0;
    *ret_number = strtoull(*text, &after, 10);
    if (errno != 0)
        return -ERANGE;
    if (*after != end)
        return -EINVAL;
    *text = after + (end != '\0');
    return 0;
}

int rate_parse(const char *text, struct rate *ret_rate)
{
    uint64_t bytes, us;
    int err = parse_number(&text, ',', &bytes);

    if (err == 0)
        err = parse_number(&text, '\0', &us);
    if (err == 0 && us > RATE_WINDOW_MAX_US)
        err = -ERANGE;
    if (err < 0)
        return err;
    *ret_rate = (struct rate){.bytes = bytes, .us = (uint32_t)us};
    if (bytes == 0 || us == 0)
        *ret_rate = (struct rate){0};
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "rate.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RATE_WINDOW_DEFAULT_US 50000u
#define US_PER_SECOND          1000000u

/* Reads digits, and moves *text behind them. As in xl, no number is above 32 bits. */
static int rate_parse_number(const char **text, uint64_t *ret_number)
{
    char *end;
    if (!isdigit((unsigned char)**text))
        return -EINVAL;
    errno = 0;
    unsigned long long number = strtoull(*text, &end, 10);
    *text = end;
    if (errno != 0 || number == 0 || number > UINT32_MAX)
        return -ERANGE;
    *ret_number = number;
    return 0;
}

/* Reads "10Mb/s". */
static int rate_parse_speed(const char **text, uint64_t *ret_bytes)
{
    static const char units[] = "KMG";
    uint64_t bytes = 0;
    int result = rate_parse_number(text, &bytes);
    if (result == -EINVAL)
        return result;
    const char *unit = **text != '\0' ? strchr(units, **text) : NULL;
    for (const char *each = units; unit != NULL && each <= unit; each++)
        bytes *= 1000;
    if (unit != NULL)
        (*text)++;
    if (strncmp(*text, "b/s", 3) != 0 && strncmp(*text, "B/s", 3) != 0)
        return -EINVAL;
    *ret_bytes = **text == 'b' ? bytes / 8 : bytes;
    *text += 3;
    return result;
}

/* Reads "20ms". */
static int rate_parse_window(const char **text, uint64_t *ret_us)
{
    uint64_t us = 0;
    int result = rate_parse_number(text, &us);
    if (result == -EINVAL)
        return result;
    char unit = **text;
    if (unit == 'm' || unit == 'u')
        (*text)++;
    if (**text == 's')
        (*text)++;
    us *= unit == 'u' ? 1 : unit == 'm' ? 1000 : US_PER_SECOND;
    if (us > UINT32_MAX)
        return -ERANGE;
    *ret_us = us;
    return result;
}

int rate_parse(const char *text, struct rate *ret_rate)
{
    uint64_t speed = 0;
    uint64_t window_us = RATE_WINDOW_DEFAULT_US;
    int result = rate_parse_speed(&text, &speed);
    int window_result = 0;
    if (result != -EINVAL && *text == '@') {
        text++;
        window_result = rate_parse_window(&text, &window_us);
    }
    if (result == -EINVAL || window_result == -EINVAL || *text != '\0')
        return -EINVAL;
    if (result < 0 || window_result < 0 || speed > UINT64_MAX / window_us)
        return -ERANGE;
    uint64_t bytes = speed * window_us / US_PER_SECOND;
    if (bytes == 0)
        return -ERANGE;
    ret_rate->bytes = bytes;
    ret_rate->window_us = (uint32_t)window_us;
    return 0;
}

void rate_format(const struct rate *rate, char ret_text[RATE_TEXT_SIZE])
{
    static const char *const units[] = {"", "K", "M", "G"};
    double bits = (double)rate->bytes * 8 * US_PER_SECOND / rate->window_us;
    size_t unit = 0;
    for (; bits >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
        bits /= 1000;
    snprintf(ret_text, RATE_TEXT_SIZE, bits < 1000 ? "%.4g%sb/s" : "%.0f%sb/s", bits, units[unit]);
}

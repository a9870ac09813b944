/* SPDX-License-Identifier: MIT */
#include "throttle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A number from 1 on; of bytes, with K, M, G or T. Returns 0, -EINVAL or -ERANGE. */
static int parse_number(const char *text, bool bytes, uint64_t *ret_number)
{
    static const char units[] = "KMGT";
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return -EINVAL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    const int overflow = errno;
    const char *unit = bytes && *end != '\0' ? strchr(units, *end) : NULL;
    const unsigned shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
    if (end[unit != NULL] != '\0')
        return -EINVAL;
    if (overflow != 0 || number == 0 || number > THROTTLE_MAX >> shift)
        return -ERANGE;
    *ret_number = (uint64_t)number << shift;
    return 0;
}

static enum ringctl_exit read_number(const char *option, const char *text, bool bytes, uint64_t *ret_number)
{
    int result = parse_number(text, bytes, ret_number);
    if (result == -ERANGE)
        return ringctl_fail(RINGCTL_USAGE, "--%s: '%s' is too small or too large", option, text);
    if (result < 0)
        return ringctl_fail(RINGCTL_USAGE, "--%s: '%s' is no number%s", option, text,
                            bytes ? " of bytes as 500000, 64K or 10M" : "");
    return RINGCTL_OK;
}

enum ringctl_exit throttle_parse_bytes(const char *option, const char *text, uint64_t *ret_bytes)
{
    return read_number(option, text, true, ret_bytes);
}

static enum ringctl_exit read_limit(const char *option, const char *text, const char *burst_option, const char *burst,
                                    bool bytes, struct throttle_limit *ret_limit)
{
    struct throttle_limit limit = {.told = text != NULL};
    enum ringctl_exit status = RINGCTL_OK;
    if (text == NULL || strcmp(text, "none") == 0)
        limit.value = 0;
    else if (strcmp(text, "default") == 0)
        limit.configured = true;
    else
        status = read_number(option, text, bytes, &limit.value);
    if (status != RINGCTL_OK)
        return status;
    if (burst != NULL && limit.value == 0)
        return ringctl_fail(RINGCTL_USAGE, "--%s needs a number for --%s", burst_option, option);
    if (burst != NULL)
        status = read_number(burst_option, burst, bytes, &limit.burst);
    if (status == RINGCTL_OK)
        *ret_limit = limit;
    return status;
}

enum ringctl_exit throttle_parse(const char *word, const struct ringctl_throttle_options *given,
                                 struct throttle_limit ret_limits[THROTTLE_KINDS])
{
    struct ringctl_throttle_options all = {.iops = word, .bandwidth = word};
    const bool options =
        given->iops != NULL || given->iops_burst != NULL || given->bandwidth != NULL || given->bandwidth_burst != NULL;
    if (word != NULL && strcmp(word, "none") != 0 && strcmp(word, "default") != 0)
        return ringctl_fail(RINGCTL_USAGE, "'%s' is neither none nor default", word);
    if (word != NULL && options)
        return ringctl_fail(RINGCTL_USAGE, "'%s' is said of both limits: it takes none of their options", word);
    if (word == NULL && !options)
        return ringctl_fail(RINGCTL_USAGE, "which limit? See 'ringctl throttle --help'");
    if (word == NULL)
        all = *given;
    enum ringctl_exit status =
        read_limit("iops", all.iops, "iops-burst", all.iops_burst, false, &ret_limits[THROTTLE_REQUESTS]);
    if (status == RINGCTL_OK)
        status = read_limit("bandwidth", all.bandwidth, "bandwidth-burst", all.bandwidth_burst, true,
                            &ret_limits[THROTTLE_BYTES]);
    return status;
}

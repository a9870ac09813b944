/* SPDX-License-Identifier: MIT */
/*
 * Strict parsing: a number is digits and nothing else, a size has at most one unit.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

void options_die(const char *format, ...)
{
    va_list ap;

    fputs("simguest: ", stderr);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(EXIT_USAGE);
}

/* The number a text starts with; `ret_rest` is what follows. */
static uint64_t leading_number(const char *name, const char *value, const char **ret_rest)
{
    char *rest;

    errno = 0;
    uint64_t number = strtoull(value, &rest, 10);
    if (rest == value || *value == '-' || *value == '+' || errno != 0)
        options_die("%s: '%s' is not a number", name, value);
    *ret_rest = rest;
    return number;
}

uint64_t options_number(const char *name, const char *value, uint64_t min, uint64_t max)
{
    const char *rest;
    uint64_t number = leading_number(name, value, &rest);

    if (*rest != '\0')
        options_die("%s: '%s' is not a number", name, value);
    if (number < min || number > max)
        options_die("%s: %" PRIu64 " is not in %" PRIu64 "..%" PRIu64, name, number, min, max);
    return number;
}

static uint64_t leading_size(const char *name, const char *value, const char **ret_rest)
{
    static const char units[] = "kmgt";
    uint64_t size = leading_number(name, value, ret_rest);

    for (unsigned i = 0; units[i] != '\0'; i++) {
        if ((**ret_rest | 0x20) == units[i]) {
            unsigned shift = 10 * (i + 1);
            if (size > UINT64_MAX >> shift)
                options_die("%s: '%s' is too large", name, value);
            size <<= shift;
            ++*ret_rest;
            break;
        }
    }
    if (size % BLKIF_SECTOR_SIZE != 0)
        options_die("%s: '%s' is not a multiple of %u bytes", name, value, BLKIF_SECTOR_SIZE);
    return size;
}

uint64_t options_size(const char *name, const char *value)
{
    const char *rest;
    uint64_t size = leading_size(name, value, &rest);

    if (*rest != '\0')
        options_die("%s: '%s' is not a size", name, value);
    return size;
}

void options_size_range(const char *name, const char *value, uint64_t *ret_min, uint64_t *ret_max)
{
    const char *rest;
    uint64_t most = (uint64_t)BLKIF_INDIRECT_SEGMENTS * BLKIF_SECTORS_PER_PAGE * BLKIF_SECTOR_SIZE;
    uint64_t min = leading_size(name, value, &rest);
    uint64_t max = *rest == '-' ? options_size(name, rest + 1) : min;

    if ((*rest != '-' && *rest != '\0') || min == 0 || min > max || max > most)
        options_die("%s: '%s' is not a size, or MIN-MAX, of 512 to %" PRIu64 " bytes", name, value, most);
    *ret_min = min;
    *ret_max = max;
}

uint32_t options_devid(const char *value)
{
    return (uint32_t)options_number("DEVID", value, 0, UINT32_MAX);
}

static enum blkfront_habit parse_habit(const char *value)
{
    static const char *const names[] = {
        [BLKFRONT_LINUX] = "linux", [BLKFRONT_MINIOS] = "minios", [BLKFRONT_GRUB] = "grub"};

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], value) == 0)
            return (enum blkfront_habit)i;
    }
    options_die("--as: '%s' is not linux, minios or grub", value);
}

static enum blkif_abi parse_abi(const char *value)
{
    char name[32];
    enum blkif_abi abi;

    snprintf(name, sizeof name, "%s-abi", value);
    if (blkif_abi_parse(name, &abi) < 0)
        options_die("--abi: '%s' is not x86_32, x86_64 or arm", value);
    return abi;
}

static bool parse_yes(const char *name, const char *value)
{
    if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
        options_die("%s: '%s' is not yes or no", name, value);
    return strcmp(value, "yes") == 0;
}

void options_front_take(struct options_front *options, int key, const char *value, const char *usage)
{
    switch (key) {
    case OPTION_AS:
        options->habit = parse_habit(value);
        break;
    case OPTION_ABI:
        options->abi = parse_abi(value);
        break;
    case OPTION_ORDER:
        options->order = (unsigned)options_number("--order", value, 0, BLKIF_RING_ORDER_MAX);
        break;
    case OPTION_DEPTH:
        options->depth = (unsigned)options_number("--depth", value, 1, RING_SLOTS_MAX);
        break;
    case OPTION_DISK_QUEUES:
        options->queues = (unsigned)options_number("--queues", value, 1, BLKFRONT_QUEUES_MAX);
        break;
    case OPTION_SEGMENTS:
        options->segments =
            (unsigned)options_number("--segments", value, BLKIF_DIRECT_SEGMENTS, BLKIF_INDIRECT_SEGMENTS);
        break;
    case OPTION_LIMIT:
        options->limit = (unsigned)options_number("--limit", value, 1, 86400);
        break;
    case OPTION_PERSISTENT:
        options->not_persistent = !parse_yes("--persistent", value);
        break;
    case OPTION_HELP:
        fputs(usage, stdout);
        exit(EXIT_SUCCESS);
    default:
        fputs(usage, stderr);
        exit(EXIT_USAGE);
    }
}

struct blkfront_config options_front_config(const struct options_front *options, uint32_t devid, unsigned pages)
{
    return (struct blkfront_config){.devid = devid,
                                    .habit = options->habit,
                                    .abi = options->abi,
                                    .queues = options->queues,
                                    .order = options->order,
                                    .depth = options->depth,
                                    .pages = pages,
                                    .segments = options->segments,
                                    .persistent = !options->not_persistent};
}

void options_front_check_size(const struct options_front *options, const char *name, uint64_t size)
{
    if (size > (uint64_t)options->segments * BLKIF_SECTORS_PER_PAGE * BLKIF_SECTOR_SIZE)
        options_die("%s: %" PRIu64 " bytes take more than %u segments: see --segments", name, size, options->segments);
}

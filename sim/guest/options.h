/* SPDX-License-Identifier: MIT */
/*
 * The command line: what every command takes, and values with units. A wrong one ends the program with a message and status 2.
 */
#ifndef GUEST_OPTIONS_H
#define GUEST_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include "blkfront.h"

#define EXIT_USAGE 2

/* What every command that has a front end takes. */
struct options_front {
    enum blkfront_habit habit;
    enum blkif_abi abi;
    unsigned order;
    unsigned depth;
    unsigned queues;
    unsigned segments;
    unsigned limit; /* seconds */
    bool not_persistent;
};

#define OPTIONS_FRONT_DEFAULT                                                                               \
    {                                                                                                       \
        .abi = blkif_abi_native(), .depth = 32, .queues = 1, .segments = BLKIF_DIRECT_SEGMENTS, .limit = 60 \
    }

enum options_front_key {
    OPTION_AS = 0x100,
    OPTION_ABI,
    OPTION_ORDER,
    OPTION_DEPTH,
    OPTION_SEGMENTS,
    OPTION_DISK_QUEUES,
    OPTION_LIMIT,
    OPTION_PERSISTENT,
    OPTION_HELP,
    OPTION_OWN /* a command's own options start here */
};

/* To stand in the table of each command. */
/* clang-format off */
#define OPTIONS_FRONT \
    {"as", required_argument, NULL, OPTION_AS}, \
    {"abi", required_argument, NULL, OPTION_ABI}, \
    {"order", required_argument, NULL, OPTION_ORDER}, \
    {"depth", required_argument, NULL, OPTION_DEPTH}, \
    {"queues", required_argument, NULL, OPTION_DISK_QUEUES}, \
    {"segments", required_argument, NULL, OPTION_SEGMENTS}, \
    {"limit", required_argument, NULL, OPTION_LIMIT}, \
    {"persistent", required_argument, NULL, OPTION_PERSISTENT}, \
    {"help", no_argument, NULL, OPTION_HELP}
/* clang-format on */

#define OPTIONS_FRONT_USAGE                                                                                            \
    "  --as linux|minios|grub  whose habits the front end has (linux)\n"                                               \
    "  --abi ABI               x86_32, x86_64 or arm (native)\n"                                                       \
    "  --order N               ring of 2^N pages, 0..4 (0)\n"                                                          \
    "  --depth N               requests in flight (32)\n"                                                              \
    "  --queues N              rings, 1..8, if offered; the depth is of all (1)\n"                                     \
    "  --segments N            of a request at most, 11..256; with more than 11, if offered, they are indirect (11)\n" \
    "  --limit S               seconds to wait for any one thing (60)\n"                                               \
    "  --persistent yes|no     whether it agrees to persistent grants (yes)\n"                                         \
    "  --help                  this text\n"

/* Takes one of OPTIONS_FRONT; --help, and anything else, shows `usage` and ends. */
void options_front_take(struct options_front *options, int key, const char *value, const char *usage);
/* A front end's configuration with these options and `pages` of data for each request. */
struct blkfront_config options_front_config(const struct options_front *options, uint32_t devid, unsigned pages);
/* Ends the program when requests of `size` bytes have more pages than segments. */
void options_front_check_size(const struct options_front *options, const char *name, uint64_t size);

/* A number in min..max. */
uint64_t options_number(const char *name, const char *value, uint64_t min, uint64_t max);
/* Bytes, with K, M, G; a multiple of 512. */
uint64_t options_size(const char *name, const char *value);
/* "MIN-MAX" or one size. */
void options_size_range(const char *name, const char *value, uint64_t *ret_min, uint64_t *ret_max);
/* A device's number. */
uint32_t options_devid(const char *value);

void options_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif

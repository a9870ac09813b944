/* SPDX-License-Identifier: MIT */
/*
 * Strings out of xenstore, made into values. Pure; every one of these strings may be a guest's.
 */
#ifndef XENDEV_SRC_PARSE_H
#define XENDEV_SRC_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xendev/xenbus.h>

/* Domain ids from here on are Xen's own (DOMID_FIRST_RESERVED of xen/xen.h). */
#define PARSE_DOMID_LIMIT 0x7ff0u

/* The longest front end path taken from a back end's directory, its terminator included. */
#define PARSE_PATH_SIZE 256

/* Decimal digits and nothing else, `max` at most. 0, -EINVAL, -ERANGE. */
int parse_decimal(const char *text, uint64_t max, uint64_t *ret_value);

/* A state, XENBUS_UNKNOWN for anything that is none. NULL is taken. */
enum xenbus_state parse_state(const char *text);

/* A number as part of a path: decimal, without leading zeros, so that each device has one path. */
bool parse_path_number(const char *text, size_t length, uint32_t max, uint32_t *ret_value);

/* What is changed when `path` did, seen from a watch on `root` ("/local/domain/0/backend/vbd"). */
struct parse_bus_path {
    enum {
        PARSE_BUS_ALL,    /* root itself or above, or one domain's directory: look at everything */
        PARSE_BUS_DEVICE, /* a device */
        PARSE_BUS_OTHER   /* nothing of ours */
    } what;
    uint32_t domid; /* with PARSE_BUS_DEVICE */
    uint32_t devid;
    const char *key; /* below the device's directory; "" for the directory itself; points into `path` */
};
struct parse_bus_path parse_bus_path(const char *root, const char *path);

/* Whether `path` may be the front end of a device of `domid`: /local/domain/DOMID/device/KIND/NAME, of plain
 * characters, not too long. */
bool parse_front_path_valid(const char *path, uint32_t domid);

/* Copies what is fit for a domain's identity (letters, digits, '-'), or returns false: empty, too long, other
 * characters. */
bool parse_identity(const char *text, size_t size, char *ret_identity);

/* Copies `reason` for xenstore and the operator's eyes: cut to size, control characters replaced. */
void parse_reason(const char *reason, size_t size, char *ret_reason);

#endif

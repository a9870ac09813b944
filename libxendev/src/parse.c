/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: each function looks at one string and either accepts all of it or refuses it. Nothing is
 * trimmed, guessed or partly taken: what a front end wrote is taken only in the one form every front end writes.
 */
#include "parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

int parse_decimal(const char *text, uint64_t max, uint64_t *ret_value)
{
    if (*text == '\0')
        return -EINVAL;

    uint64_t value = 0;
    bool too_large = false;
    for (; *text != '\0'; text++) {
        if (!is_digit(*text))
            return -EINVAL;
        uint64_t digit = (uint64_t)(*text - '0');
        if (digit > max || value > (max - digit) / 10)
            too_large = true;
        else
            value = value * 10 + digit;
    }
    if (too_large)
        return -ERANGE;
    *ret_value = value;
    return 0;
}

enum xenbus_state parse_state(const char *text)
{
    if (text == NULL || text[0] <= '0' || text[0] >= '0' + XENBUS_STATES || text[1] != '\0')
        return XENBUS_UNKNOWN;
    return (enum xenbus_state)(text[0] - '0');
}

bool parse_path_number(const char *text, size_t length, uint32_t max, uint32_t *ret_value)
{
    char digits[11]; /* UINT32_MAX has ten */

    if (length == 0 || length >= sizeof(digits) || (text[0] == '0' && length > 1))
        return false;
    memcpy(digits, text, length);
    digits[length] = '\0';

    uint64_t value;
    if (parse_decimal(digits, max, &value) < 0)
        return false;
    *ret_value = (uint32_t)value;
    return true;
}

struct parse_bus_path parse_bus_path(const char *root, const char *path)
{
    struct parse_bus_path result = {.what = PARSE_BUS_OTHER, .key = ""};

    size_t root_length = strlen(root);
    if (strncmp(path, root, root_length) != 0) {
        /* A directory above ours came or went. */
        size_t length = strlen(path);
        if (length < root_length && strncmp(path, root, length) == 0)
            result.what = PARSE_BUS_ALL;
        return result;
    }

    const char *at = path + root_length;
    if (*at == '\0') {
        result.what = PARSE_BUS_ALL;
        return result;
    }
    if (*at++ != '/')
        return result;

    size_t length = strcspn(at, "/");
    if (!parse_path_number(at, length, PARSE_DOMID_LIMIT - 1, &result.domid))
        return result;
    at += length;
    if (*at == '\0') {
        result.what = PARSE_BUS_ALL;
        return result;
    }

    length = strcspn(++at, "/");
    if (!parse_path_number(at, length, UINT32_MAX, &result.devid))
        return result;
    at += length;
    result.what = PARSE_BUS_DEVICE;
    result.key = *at == '/' ? at + 1 : at;
    return result;
}

bool parse_front_path_valid(const char *path, uint32_t domid)
{
    char prefix[64];
    int prefix_length = snprintf(prefix, sizeof(prefix), "/local/domain/%u/device/", domid);

    if (strlen(path) >= PARSE_PATH_SIZE || strncmp(path, prefix, (size_t)prefix_length) != 0)
        return false;

    unsigned names = 0;
    size_t length = 0; /* of the name so far */
    for (const char *at = path + prefix_length;; at++) {
        if (is_letter(*at) || is_digit(*at) || *at == '-' || *at == '_') {
            length++;
            continue;
        }
        if (length == 0 || (*at != '/' && *at != '\0'))
            return false;
        names++;
        length = 0;
        if (*at == '\0')
            return names == 2;
    }
}

bool parse_identity(const char *text, size_t size, char *ret_identity)
{
    size_t length = strlen(text);

    if (length == 0 || length >= size)
        return false;
    for (const char *at = text; *at != '\0'; at++) {
        if (!is_letter(*at) && !is_digit(*at) && *at != '-')
            return false;
    }
    memcpy(ret_identity, text, length + 1);
    return true;
}

void parse_reason(const char *reason, size_t size, char *ret_reason)
{
    size_t length = 0;

    for (; length + 1 < size && reason[length] != '\0'; length++) {
        unsigned char c = (unsigned char)reason[length];
        ret_reason[length] = (char)(c < 0x20 || c == 0x7f ? '?' : c);
    }
    ret_reason[length] = '\0';
}

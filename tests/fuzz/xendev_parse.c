/* SPDX-License-Identifier: MIT */
/*
 * Every decoder of a xenstore string, on any string: what one accepts has the properties its users rely on.
 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_numbers(const char *text)
{
    uint64_t value, smaller;
    char again[24];

    if (parse_decimal(text, UINT64_MAX, &value) == 0) {
        const char *digits = text + strspn(text, "0");
        snprintf(again, sizeof(again), "%llu", (unsigned long long)value);
        assert(strcmp(*digits != '\0' ? digits : "0", again) == 0);
        if (parse_decimal(text, 1000, &smaller) == 0)
            assert(smaller == value && value <= 1000);
        else
            assert(value > 1000);
    }
    assert(parse_state(text) < XENBUS_STATES);
}

static void check_paths(const char *text)
{
    static const char root[] = "/local/domain/0/backend/vbd";
    char path[8192], canonical[64];

    struct parse_bus_path seen = parse_bus_path(root, text);
    assert(seen.what != PARSE_BUS_DEVICE || strncmp(text, root, strlen(root)) == 0);

    snprintf(path, sizeof(path), "%s/%s", root, text);
    seen = parse_bus_path(root, path);
    if (seen.what == PARSE_BUS_DEVICE) {
        int length = snprintf(canonical, sizeof(canonical), "%s/%u/%u", root, seen.domid, seen.devid);
        assert(strncmp(path, canonical, (size_t)length) == 0); /* each device has one path */
        assert(seen.domid < PARSE_DOMID_LIMIT);
    }

    snprintf(path, sizeof(path), "/local/domain/3/device/%s", text);
    if (parse_front_path_valid(path, 3))
        assert(strlen(path) < PARSE_PATH_SIZE && strstr(path, "..") == NULL && strstr(path, "//") == NULL);
    assert(!parse_front_path_valid(path, 4));
}

static void check_copies(const char *text)
{
    char identity[40], reason[32];

    if (parse_identity(text, sizeof(identity), identity))
        assert(strcmp(identity, text) == 0 && strpbrk(identity, "/.") == NULL && identity[0] != '\0');
    parse_reason(text, sizeof(reason), reason);
    for (const char *at = reason; *at != '\0'; at++)
        assert((unsigned char)*at >= 0x20);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4096)
        return 0;
    char *text = strndup((const char *)data, size);
    if (text == NULL)
        return 0;
    check_numbers(text);
    check_paths(text);
    check_copies(text);
    free(text);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * `ringctl resize`: a disk becomes larger under its guest.
 */
#include "ringctl.h"

#include <stdint.h>
#include <stdio.h>

#include "daemon.h"
#include "vhd.h"
#include "wish.h"

struct resizing {
    struct wish wish;
    uint64_t size; /* bytes */
};

static enum ringctl_exit judge(void *arg, const json_t *device, bool *ret_done)
{
    const struct resizing *resizing = arg;
    const char *error = json_string_value(json_object_get(device, "resize_error"));
    const json_int_t size = json_integer_value(json_object_get(device, "size"));
    *ret_done = size >= 0 && (uint64_t)size >= resizing->size;
    if (error != NULL && !*ret_done)
        return ringctl_fail(RINGCTL_REFUSED, "%s keeps its size: %s", resizing->wish.text, error);
    if (*ret_done && resizing->wish.options->json)
        daemon_print(device);
    else if (*ret_done)
        printf("%s has %" JSON_INTEGER_FORMAT " bytes\n", resizing->wish.text, size);
    return RINGCTL_OK;
}

enum ringctl_exit ringctl_resize(const struct ringctl_options *options, const char *text, const char *size)
{
    struct resizing resizing;
    json_t *answer;
    uint64_t bytes;
    enum ringctl_exit status = vhd_parse_size(size, &bytes);
    if (status == RINGCTL_OK)
        status = wish_open(&resizing.wish, options, text, "it has no size");
    if (status != RINGCTL_OK)
        return status;
    resizing.size = bytes;
    status = wish_say(&resizing.wish, "resize", json_pack("{s:I}", "size", (json_int_t)bytes), &answer);
    if (status != RINGCTL_OK)
        return status;
    json_decref(answer);
    status = wish_await(&resizing.wish, options->timeout, judge, &resizing);
    if (status == RINGCTL_TIMEOUT)
        return ringctl_fail(status, "%s was not made larger within %u s; the daemon goes on trying", text,
                            options->timeout);
    return status;
}

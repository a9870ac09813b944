/* SPDX-License-Identifier: MIT */
/*
 * `ringctl coalesce`: an image is given what its parents hold, under its guest.
 */
#include "ringctl.h"

#include <stdint.h>
#include <stdio.h>

#include "daemon.h"
#include "throttle.h"
#include "vhd.h"
#include "wish.h"

static enum ringctl_exit judge(void *arg, const json_t *device, bool *ret_done)
{
    const struct wish *wish = arg;
    const json_t *under_way = json_object_get(device, "coalesce");
    const char *error = json_string_value(json_object_get(device, "coalesce_error"));
    if (json_is_object(under_way)) {
        const json_int_t done = json_integer_value(json_object_get(under_way, "done"));
        const json_int_t size = json_integer_value(json_object_get(under_way, "size"));
        if (done < size)
            vhd_progress("copying", (uint64_t)done, (uint64_t)size);
        return RINGCTL_OK;
    }
    vhd_progress_end();
    if (error != NULL)
        return ringctl_fail(RINGCTL_REFUSED, "%s was not coalesced: %s", wish->text, error);
    if (json_array_size(json_object_get(device, "parents")) > 0)
        return ringctl_fail(RINGCTL_REFUSED, "%s was not coalesced: that was cancelled, or its connection ended",
                            wish->text);
    *ret_done = true;
    if (wish->options->json)
        daemon_print(device);
    else
        printf("%s needs no parent any more\n", wish->text);
    return RINGCTL_OK;
}

static json_t *make_body(const struct ringctl_options *options, uint64_t limit)
{
    if (options->cancel)
        return json_pack("{s:b}", "cancel", 1);
    return json_pack("{s:I}", "limit", (json_int_t)limit);
}

enum ringctl_exit ringctl_coalesce(const struct ringctl_options *options, const char *text)
{
    struct wish wish;
    json_t *answer;
    uint64_t limit = 0;
    enum ringctl_exit status = RINGCTL_OK;
    if (options->cancel && (options->background || options->limit != NULL))
        return ringctl_fail(RINGCTL_USAGE, "--cancel stands alone");
    if (options->limit != NULL)
        status = throttle_parse_bytes("limit", options->limit, &limit);
    if (status == RINGCTL_OK)
        status = wish_open(&wish, options, text, "it has no image");
    if (status == RINGCTL_OK)
        status = wish_say(&wish, "coalesce", make_body(options, limit), &answer);
    if (status != RINGCTL_OK)
        return status;
    if (options->json && (options->cancel || options->background))
        daemon_print(answer);
    json_decref(answer);
    return options->cancel || options->background ? RINGCTL_OK : wish_await(&wish, 0, judge, &wish);
}

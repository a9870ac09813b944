/* SPDX-License-Identifier: MIT */
/*
 * `ringctl resize`: a disk becomes larger under its guest. The daemon takes the wish and goes on by itself; its report tells how that ends.
 */
#include "ringctl.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "class.h"
#include "daemon.h"
#include "domain.h"
#include "vhd.h"

struct resizing {
    const struct ringctl_options *options;
    const char *text; /* the device, as given */
    struct target target;
    uint64_t size; /* bytes */
    char path[80]; /* of the device, at the daemon */
    char missing[128];
};

static enum ringctl_exit wish(const struct resizing *resizing)
{
    char path[96];
    char body[64];
    int stream;
    snprintf(path, sizeof(path), "%s/resize", resizing->path);
    snprintf(body, sizeof(body), "{\"size\": %" PRIu64 "}", resizing->size);
    enum ringctl_exit status =
        daemon_ask_stream(resizing->options, resizing->target.class, path, body, resizing->missing, &stream);
    if (status == RINGCTL_OK)
        close(stream); /* what it says beside "yes" we know */
    return status;
}

/* Looks once. Returns RINGCTL_OK with `ret_done`, or why not. */
static enum ringctl_exit look(const struct resizing *resizing, bool *ret_done)
{
    json_t *device = NULL;
    enum ringctl_exit status =
        daemon_ask(resizing->options, resizing->target.class, "GET", resizing->path, resizing->missing, &device);
    if (status != RINGCTL_OK)
        return status;
    const char *error = json_string_value(json_object_get(device, "resize_error"));
    const json_int_t size = json_integer_value(json_object_get(device, "size"));
    *ret_done = size >= 0 && (uint64_t)size >= resizing->size;
    if (error != NULL && !*ret_done)
        status = ringctl_fail(RINGCTL_REFUSED, "%s keeps its size: %s", resizing->text, error);
    else if (*ret_done && resizing->options->json)
        daemon_print(device);
    else if (*ret_done)
        printf("%s has %" JSON_INTEGER_FORMAT " bytes\n", resizing->text, size);
    json_decref(device);
    return status;
}

static enum ringctl_exit await(const struct resizing *resizing)
{
    const struct timespec pause = {.tv_nsec = 50000000};
    const unsigned looks = resizing->options->timeout * 20;
    enum ringctl_exit status = RINGCTL_OK;
    bool done = false;
    for (unsigned i = 0; status == RINGCTL_OK && !done && i < looks; i++) {
        if (i > 0)
            nanosleep(&pause, NULL);
        status = look(resizing, &done);
    }
    if (status == RINGCTL_OK && !done)
        return ringctl_fail(RINGCTL_TIMEOUT, "%s was not made larger within %u s; the daemon goes on trying",
                            resizing->text, resizing->options->timeout);
    return status;
}

enum ringctl_exit ringctl_resize(const struct ringctl_options *options, const char *text, const char *size)
{
    struct resizing resizing = {.options = options, .text = text};
    char label[TARGET_LABEL_SIZE];
    enum ringctl_exit status = target_parse(text, &resizing.target);
    if (status == RINGCTL_OK && resizing.target.class->id != CLASS_DISK)
        return ringctl_fail(RINGCTL_USAGE, "'%s' is a network card: it has no size", text);
    if (status == RINGCTL_OK)
        status = vhd_parse_size(size, &resizing.size);
    if (status == RINGCTL_OK)
        status = target_find(NULL, &resizing.target);
    if (status != RINGCTL_OK)
        return status;
    target_label(&resizing.target, label);
    snprintf(resizing.path, sizeof(resizing.path), "/v1/devices/%u/%u", resizing.target.domid, resizing.target.devid);
    snprintf(resizing.missing, sizeof(resizing.missing), "the daemon serves no %s to domain %u", label,
             resizing.target.domid);
    status = wish(&resizing);
    return status == RINGCTL_OK ? await(&resizing) : status;
}

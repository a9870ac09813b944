/* SPDX-License-Identifier: MIT */
#include "wish.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "class.h"
#include "daemon.h"

#define LOOKS_A_SECOND 20

enum ringctl_exit wish_open(struct wish *wish, const struct ringctl_options *options, const char *text,
                            const char *why_not)
{
    char label[TARGET_LABEL_SIZE];
    *wish = (struct wish){.options = options, .text = text};
    enum ringctl_exit status = target_parse(text, &wish->target);
    if (status == RINGCTL_OK && wish->target.class->id != CLASS_DISK)
        return ringctl_fail(RINGCTL_USAGE, "'%s' is a network card: %s", text, why_not);
    if (status == RINGCTL_OK)
        status = target_find(NULL, &wish->target);
    if (status != RINGCTL_OK)
        return status;
    target_label(&wish->target, label);
    snprintf(wish->path, sizeof(wish->path), "/v1/devices/%u/%u", wish->target.domid, wish->target.devid);
    snprintf(wish->missing, sizeof(wish->missing), "the daemon serves no %s to domain %u", label, wish->target.domid);
    return RINGCTL_OK;
}

enum ringctl_exit wish_say(const struct wish *wish, const char *verb, json_t *body, json_t **ret_answer)
{
    char path[128];
    int stream;
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
    json_decref(body);
    snprintf(path, sizeof(path), "%s/%s", wish->path, verb);
    enum ringctl_exit status =
        daemon_ask_stream(wish->options, wish->target.class, path, text == NULL ? "" : text, wish->missing, &stream);
    free(text);
    if (status != RINGCTL_OK)
        return status;
    *ret_answer = json_loadfd(stream, 0, NULL);
    close(stream);
    return *ret_answer == NULL ? ringctl_fail(RINGCTL_NO_DAEMON, "the daemon ended before it had answered")
                               : RINGCTL_OK;
}

enum ringctl_exit wish_await(const struct wish *wish, unsigned seconds,
                             enum ringctl_exit (*judge)(void *arg, const json_t *device, bool *ret_done), void *arg)
{
    const struct timespec pause = {.tv_nsec = 1000000000 / LOOKS_A_SECOND};
    bool done = false;
    for (unsigned i = 0; seconds == 0 || i < seconds * LOOKS_A_SECOND; i++) {
        json_t *device = NULL;
        if (i > 0)
            nanosleep(&pause, NULL);
        enum ringctl_exit status =
            daemon_ask(wish->options, wish->target.class, "GET", wish->path, wish->missing, &device);
        if (status == RINGCTL_OK) {
            status = judge(arg, device, &done);
            json_decref(device);
        }
        if (status != RINGCTL_OK || done)
            return status;
    }
    return RINGCTL_TIMEOUT;
}

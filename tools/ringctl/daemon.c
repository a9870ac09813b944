/* SPDX-License-Identifier: MIT */
/*
 * What may come of a request to a daemon, in words and as an exit status.
 */
#include "daemon.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client.h"

static const char *daemon_socket(const struct ringctl_options *options, const struct device_class *class)
{
    return options->socket != NULL ? options->socket : class->socket;
}

/* Says what came of a request, unless it is 200. Takes the body over, of which there is none when the status is below zero. */
static enum ringctl_exit daemon_explain(const char *socket, const struct device_class *class, int status,
                                        const char *missing, json_t *body)
{
    if (status == -ENOENT || status == -ECONNREFUSED || status == -ECONNRESET || status == -EPIPE)
        return ringctl_fail(RINGCTL_NO_DAEMON, "no daemon serves %s: is %s running?", socket, class->daemon);
    if (status == -ETIMEDOUT)
        return ringctl_fail(RINGCTL_TIMEOUT, "the daemon at %s does not answer", socket);
    if (status == -EBADMSG)
        return ringctl_fail(RINGCTL_REFUSED, "what answers at %s is not a daemon of ringback", socket);
    if (status < 0)
        return ringctl_fail(RINGCTL_REFUSED, "%s: %s", socket, strerror(-status));
    if (status == 404) {
        json_decref(body);
        return ringctl_fail(RINGCTL_NO_DEVICE, "%s", missing);
    }
    if (status != 200) {
        const char *error = json_string_value(json_object_get(body, "error"));
        ringctl_fail(RINGCTL_REFUSED, "the daemon says: %s", error != NULL ? error : "(no reason)");
        json_decref(body);
        return RINGCTL_REFUSED;
    }
    return RINGCTL_OK;
}

enum ringctl_exit daemon_ask(const struct ringctl_options *options, const struct device_class *class,
                             const char *method, const char *path, const char *missing, json_t **ret_body)
{
    const char *socket = daemon_socket(options, class);
    json_t *body = NULL;
    int answer = client_request(socket, method, path, &body);
    enum ringctl_exit status = daemon_explain(socket, class, answer, missing, body);
    if (status == RINGCTL_OK)
        *ret_body = body;
    return status;
}

enum ringctl_exit daemon_ask_stream(const struct ringctl_options *options, const struct device_class *class,
                                    const char *path, const char *body, const char *missing, int *ret_fd)
{
    const char *socket = daemon_socket(options, class);
    json_t *refusal = NULL;
    int answer = client_request_stream(socket, "POST", path, body, ret_fd, &refusal);
    return daemon_explain(socket, class, answer, missing, refusal);
}

enum ringctl_exit daemon_check(const struct ringctl_options *options, const struct device_class *class)
{
    json_t *body = NULL;
    enum ringctl_exit status = daemon_ask(options, class, "GET", "/v1/status", "the daemon has no status", &body);
    if (status == RINGCTL_OK)
        json_decref(body);
    return status;
}

void daemon_print(const json_t *body)
{
    json_dumpf(body, stdout, JSON_INDENT(2));
    putchar('\n');
}

/* SPDX-License-Identifier: MIT */
/*
 * `ringctl list`, `ringctl show` and `ringctl resume`: what the daemon says about its devices, and what it is told to do with one.
 */
#include "show.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "domain.h"
#include "render.h"
#include "vdev.h"

/* Asks the daemon. Returns RINGCTL_OK with a body to free; another status after saying why, which for a `path` the
 * daemon does not know is `missing`. */
static enum ringctl_exit show_ask(const struct ringctl_options *options, const char *method, const char *path,
                                  const char *missing, json_t **ret_body)
{
    json_t *body;
    int status = client_request(options->socket, method, path, &body);
    if (status == -ENOENT || status == -ECONNREFUSED || status == -ECONNRESET || status == -EPIPE)
        return ringctl_fail(RINGCTL_NO_DAEMON, "no daemon serves %s: is %s running?", options->socket, options->daemon);
    if (status == -ETIMEDOUT)
        return ringctl_fail(RINGCTL_TIMEOUT, "the daemon at %s does not answer", options->socket);
    if (status == -EBADMSG)
        return ringctl_fail(RINGCTL_REFUSED, "what answers at %s is not a daemon of ringback", options->socket);
    if (status < 0)
        return ringctl_fail(RINGCTL_REFUSED, "%s: %s", options->socket, strerror(-status));
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
    *ret_body = body;
    return RINGCTL_OK;
}

enum ringctl_exit show_get(const struct ringctl_options *options, const char *path, const char *missing,
                           json_t **ret_body)
{
    return show_ask(options, "GET", path, missing, ret_body);
}

enum ringctl_exit show_check_daemon(const struct ringctl_options *options)
{
    json_t *body = NULL;
    enum ringctl_exit status = show_get(options, "/v1/status", "the daemon has no status", &body);
    if (status == RINGCTL_OK)
        json_decref(body);
    return status;
}

void show_json(const json_t *value)
{
    json_dumpf(value, stdout, JSON_INDENT(2));
    putchar('\n');
}

enum ringctl_exit ringctl_list(const struct ringctl_options *options)
{
    json_t *body = NULL;
    enum ringctl_exit status = show_get(options, "/v1/devices", "the daemon has no devices", &body);
    if (status != RINGCTL_OK)
        return status;
    if (options->json)
        show_json(body);
    else
        render_table(json_object_get(body, "devices"), stdout);
    json_decref(body);
    return RINGCTL_OK;
}

/* Asks about the device `target`, at its path with `tail`. */
static enum ringctl_exit show_ask_device(const struct ringctl_options *options, const char *method, const char *target,
                                         const char *tail, json_t **ret_body)
{
    uint32_t domid;
    uint32_t devid;
    enum ringctl_exit status = domain_find_device(NULL, target, &domid, &devid);
    if (status != RINGCTL_OK)
        return status;

    char path[64];
    char name[VDEV_NAME_SIZE];
    char missing[128];
    vdev_name(devid, name);
    snprintf(path, sizeof(path), "/v1/devices/%u/%u%s", domid, devid, tail);
    snprintf(missing, sizeof(missing), "the daemon serves no disk %s (%u) to domain %u", name, devid, domid);
    return show_ask(options, method, path, missing, ret_body);
}

enum ringctl_exit ringctl_show(const struct ringctl_options *options, const char *target)
{
    json_t *device = NULL;
    enum ringctl_exit status = show_ask_device(options, "GET", target, "", &device);
    if (status != RINGCTL_OK)
        return status;
    if (options->json)
        show_json(device);
    else
        render_device(device, stdout);
    json_decref(device);
    return RINGCTL_OK;
}

enum ringctl_exit ringctl_resume(const struct ringctl_options *options, const char *target)
{
    json_t *answer = NULL;
    enum ringctl_exit status = show_ask_device(options, "POST", target, "/resume", &answer);
    if (status != RINGCTL_OK)
        return status;
    if (options->json)
        show_json(answer);
    else
        printf("%s is tried again\n", target);
    json_decref(answer);
    return RINGCTL_OK;
}

/* SPDX-License-Identifier: MIT */
/*
 * `ringctl bridge`: what tapbridged says of its bridges.
 */
#include <stdio.h>
#include <stdbool.h>
#include <string.h>

#include "daemon.h"
#include "render_bridge.h"

/* Whom to ask. */
static const struct device_class tapbridged = {.daemon = "tapbridged", .socket = "/run/ringback/tapbridged.sock"};

static const struct {
    const char *what;
    const char *path; /* behind the bridge's, or of all */
    bool named;
    void (*render)(const json_t *body, FILE *stream);
} views[] = {
    {"list", "", false, render_bridges},
    {"show", "", true, render_bridge},
    {"ports", "", true, render_ports},
    {"fdb", "/fdb", true, render_fdb},
};

enum ringctl_exit ringctl_bridge(const struct ringctl_options *options, const char *what, const char *name)
{
    char path[128], missing[128];
    json_t *body = NULL;
    size_t view = 0;

    while (view < sizeof(views) / sizeof(views[0]) && strcmp(views[view].what, what) != 0)
        view++;
    if (view == sizeof(views) / sizeof(views[0]))
        return ringctl_fail(RINGCTL_USAGE, "'%s' is none of list, show, ports, fdb", what);
    if (views[view].named != (name != NULL))
        return ringctl_fail(RINGCTL_USAGE, views[view].named ? "'%s' needs the name of a bridge" : "'%s' takes no name",
                            what);
    if (name != NULL && (strlen(name) > 64 || strpbrk(name, "/%?#") != NULL))
        return ringctl_fail(RINGCTL_USAGE, "'%s' is no name of a bridge", name);
    snprintf(path, sizeof(path), "/v1/bridges%s%s%s", name != NULL ? "/" : "", name != NULL ? name : "",
             views[view].path);
    snprintf(missing, sizeof(missing), "there is no bridge %s", name != NULL ? name : "");
    enum ringctl_exit status = daemon_ask(options, &tapbridged, "GET", path, missing, &body);
    if (status != RINGCTL_OK)
        return status;
    if (options->json)
        daemon_print(body);
    else
        views[view].render(body, stdout);
    json_decref(body);
    return RINGCTL_OK;
}

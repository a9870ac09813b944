/* SPDX-License-Identifier: MIT */
/*
 * `ringctl snapshot`: what is on a disk is kept, under its guest.
 */
#include "ringctl.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "wish.h"

struct snapshotting {
    struct wish wish;
    const char *file; /* where the content will be */
};

/* A name alone is one beside the image; of a path the folder must be there, and is told as it is. */
static enum ringctl_exit find_file(const char *file, char ret_path[PATH_MAX])
{
    char folder[PATH_MAX], real[PATH_MAX];
    const char *slash = strrchr(file, '/');
    const char *name = slash == NULL ? file : slash + 1;
    if (name[0] == '\0' || strlen(file) >= PATH_MAX)
        return ringctl_fail(RINGCTL_USAGE, "'%s' is no name for a file", file);
    if (slash == NULL) {
        snprintf(ret_path, PATH_MAX, "%s", file);
        return RINGCTL_OK;
    }
    snprintf(folder, sizeof(folder), "%.*s", (int)(slash == file ? 1 : slash - file), file);
    if (realpath(folder, real) == NULL)
        return ringctl_fail(RINGCTL_REFUSED, "cannot find the folder of %s: %s", file, strerror(errno));
    if (snprintf(ret_path, PATH_MAX, "%s/%s", strcmp(real, "/") == 0 ? "" : real, name) >= PATH_MAX)
        return ringctl_fail(RINGCTL_USAGE, "the path is too long");
    return RINGCTL_OK;
}

static enum ringctl_exit judge(void *arg, const json_t *device, bool *ret_done)
{
    const struct snapshotting *snapshotting = arg;
    const struct wish *wish = &snapshotting->wish;
    const char *error = json_string_value(json_object_get(device, "snapshot_error"));
    const char *parent = json_string_value(json_array_get(json_object_get(device, "parents"), 0));
    const char *activity = json_string_value(json_object_get(device, "activity"));
    if (json_is_object(json_object_get(device, "snapshot")))
        return RINGCTL_OK; /* it is under way */
    if (error != NULL)
        return ringctl_fail(RINGCTL_REFUSED, "%s has no snapshot: %s", wish->text, error);
    if (activity == NULL || strcmp(activity, "connected") != 0)
        return RINGCTL_OK;
    if (parent == NULL || strcmp(parent, snapshotting->file) != 0)
        return ringctl_fail(RINGCTL_REFUSED,
                            "%s has no snapshot: the daemon, or the guest's connection, ended meanwhile", wish->text);
    *ret_done = true;
    if (wish->options->json)
        daemon_print(device);
    else
        printf("what was on %s is in %s\n", wish->text, parent);
    return RINGCTL_OK;
}

enum ringctl_exit ringctl_snapshot(const struct ringctl_options *options, const char *text, const char *file)
{
    struct snapshotting snapshotting;
    char path[PATH_MAX];
    json_t *answer;
    enum ringctl_exit status = wish_open(&snapshotting.wish, options, text, "it has no content");
    if (status == RINGCTL_OK)
        status = find_file(file, path);
    if (status == RINGCTL_OK)
        status = wish_say(&snapshotting.wish, "snapshot", json_pack("{s:s}", "file", path), &answer);
    if (status != RINGCTL_OK)
        return status;
    snapshotting.file = json_string_value(json_object_get(answer, "file"));
    if (snapshotting.file == NULL)
        status = ringctl_fail(RINGCTL_REFUSED, "the daemon does not say where the content will be");
    else
        status = wish_await(&snapshotting.wish, options->timeout, judge, &snapshotting);
    if (status == RINGCTL_TIMEOUT)
        ringctl_fail(status, "the snapshot of %s was not made within %u s; the daemon goes on trying", text,
                     options->timeout);
    json_decref(answer);
    return status;
}

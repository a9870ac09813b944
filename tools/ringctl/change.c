/* SPDX-License-Identifier: MIT */
#include "change.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <event2/event.h>
#include <xendev/xenbus.h>

#include "daemon.h"

void change_end(struct change *change, enum ringctl_exit status)
{
    change->status = status;
    event_base_loopbreak(change->base);
}

static void change_lost(void *arg)
{
    struct change *change = arg;
    if (change->reason == NULL)
        change->reason = strdup("the connection to xenstore broke");
    change_end(change, RINGCTL_REFUSED);
}

enum ringctl_exit change_open(struct change *change)
{
    const struct device_class *class = change->target.class;
    enum ringctl_exit status = daemon_check(change->options, class);
    if (status != RINGCTL_OK)
        return status;
    change->kind = change->options->kind != NULL ? change->options->kind : class->kind;
    change->base = event_base_new();
    int result = change->base != NULL ? xendev_store_open(change->base, change_lost, change, &change->store) : -ENOMEM;
    if (result < 0)
        return ringctl_fail(RINGCTL_REFUSED, "cannot reach xenstore: %s", strerror(-result));
    return target_find(change->store, &change->target);
}

void change_close(struct change *change)
{
    xendev_store_close(change->store);
    if (change->base != NULL)
        event_base_free(change->base);
    free(change->reason);
}

enum ringctl_exit change_check_domain(const struct change *change)
{
    if (xendev_domain_exists(change->store, change->target.domid) != 1)
        return ringctl_fail(RINGCTL_NO_DEVICE, "there is no domain %u", change->target.domid);
    return RINGCTL_OK;
}

void change_name(struct change *change)
{
    target_name(&change->target, change->name);
    target_label(&change->target, change->label);
    snprintf(change->path, sizeof(change->path), "/local/domain/0/backend/%.24s/%u/%u", change->kind,
             change->target.domid, change->target.devid);
}

enum ringctl_exit change_wait(struct change *change, void (*changed)(void *arg, const char *path))
{
    struct xendev_watch *watch;
    change->status = RINGCTL_TIMEOUT;
    int result = xendev_watch_add(change->store, change->path, changed, change, &watch);
    if (result < 0)
        return ringctl_fail(RINGCTL_REFUSED, "cannot watch %s: %s", change->path, strerror(-result));
    const struct timeval limit = {.tv_sec = (time_t)change->options->timeout};
    event_base_loopexit(change->base, &limit);
    event_base_dispatch(change->base);
    xendev_watch_remove(watch);
    return change->status;
}

static void change_daemon_spoke(void *arg, const char *path)
{
    (void)path;
    struct change *change = arg;
    char *status;
    if (xendev_store_read(change->store, XENDEV_NO_TXN, change->path, "ringback-status", &status) < 0)
        return;
    if (strcmp(status, "ready") == 0) {
        change_end(change, RINGCTL_OK);
    } else if (strcmp(status, "error") == 0 && change->reason == NULL) {
        if (xendev_store_read(change->store, XENDEV_NO_TXN, change->path, "ringback-error", &change->reason) < 0)
            change->reason = NULL;
        change_end(change, RINGCTL_REFUSED);
    }
    free(status);
}

enum ringctl_exit change_wait_ready(struct change *change)
{
    return change_wait(change, change_daemon_spoke);
}

void change_undo(const struct change *change)
{
    xendev_toolstack_forget(change->store, change->kind, change->target.domid, change->target.devid);
}

void change_print(const struct change *change, json_t *more, const char *sentence, ...)
{
    if (change->options->json) {
        json_t *body = json_pack("{s:I, s:I, s:s}", "domid", (json_int_t)change->target.domid, "devid",
                                 (json_int_t)change->target.devid, "name", change->name);
        if (more != NULL)
            json_object_update(body, more);
        json_dumpf(body, stdout, JSON_INDENT(2));
        json_decref(body);
    } else {
        va_list args;
        va_start(args, sentence);
        vprintf(sentence, args);
        va_end(args);
    }
    putchar('\n');
    json_decref(more);
}

/* SPDX-License-Identifier: MIT */
/*
 * `ringctl attach` and `ringctl detach`: what xl does, through xenstore.
 *
 * attach creates the two directories of a device with the keys libxl writes, but for `script`: without it the daemon
 * waits for no hotplug script. The daemon then says in the back end's directory whether the disk can be served,
 * `ringback-status` = ready or error, the latter with the reason in `ringback-error`. A device that cannot be served is
 * removed again.
 *
 * detach asks the back end to close and removes what is left when it has.
 */
#include "ringctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <event2/event.h>
#include <jansson.h>
#include <xendev/store.h>
#include <xendev/xenbus.h>

#include "domain.h"
#include "show.h"
#include "vdev.h"

struct attach {
    const struct ringctl_options *options;
    struct event_base *base;
    struct xendev_store *store;
    uint32_t domid;
    uint32_t devid;
    char name[VDEV_NAME_SIZE];
    char path[96];            /* the back end's directory */
    enum ringctl_exit status; /* RINGCTL_TIMEOUT until the wait is over */
    char *reason;             /* why it was refused, or NULL */
};

static void attach_end(struct attach *attach, enum ringctl_exit status)
{
    attach->status = status;
    event_base_loopbreak(attach->base);
}

static void attach_lost(void *arg)
{
    struct attach *attach = arg;
    attach->reason = strdup("the connection to xenstore broke");
    attach_end(attach, RINGCTL_REFUSED);
}

static enum ringctl_exit attach_open(struct attach *attach)
{
    enum ringctl_exit status = show_check_daemon(attach->options);
    if (status != RINGCTL_OK)
        return status;
    attach->base = event_base_new();
    int result = attach->base != NULL ? xendev_store_open(attach->base, attach_lost, attach, &attach->store) : -ENOMEM;
    if (result < 0)
        return ringctl_fail(RINGCTL_REFUSED, "cannot reach xenstore: %s", strerror(-result));
    return RINGCTL_OK;
}

static void attach_close(struct attach *attach)
{
    xendev_store_close(attach->store);
    if (attach->base != NULL)
        event_base_free(attach->base);
    free(attach->reason);
}

static void attach_name(struct attach *attach)
{
    vdev_name(attach->devid, attach->name);
    snprintf(attach->path, sizeof(attach->path), "/local/domain/0/backend/%.24s/%u/%u", attach->options->kind,
             attach->domid, attach->devid);
}

/* Turns the loop until `changed` ends it, at most --timeout seconds. Returns the status it ended with. */
static enum ringctl_exit attach_wait(struct attach *attach, void (*changed)(void *arg, const char *path))
{
    struct xendev_watch *watch;
    attach->status = RINGCTL_TIMEOUT;
    int result = xendev_watch_add(attach->store, attach->path, changed, attach, &watch);
    if (result < 0)
        return ringctl_fail(RINGCTL_REFUSED, "cannot watch %s: %s", attach->path, strerror(-result));
    const struct timeval limit = {.tv_sec = (time_t)attach->options->timeout};
    event_base_loopexit(attach->base, &limit);
    event_base_dispatch(attach->base);
    xendev_watch_remove(watch);
    return attach->status;
}

static void attach_print(const struct attach *attach, const char *done)
{
    if (!attach->options->json) {
        printf("disk %s (%u) %s domain %u\n", attach->name, attach->devid, done, attach->domid);
        return;
    }
    json_t *body = json_pack("{s:I, s:I, s:s}", "domid", (json_int_t)attach->domid, "devid", (json_int_t)attach->devid,
                             "name", attach->name);
    json_dumpf(body, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(body);
}

/* ---- Attach. ---------------------------------------------------------------------------------------------------- */

static void attach_changed(void *arg, const char *path)
{
    (void)path;
    struct attach *attach = arg;
    char *status;
    if (xendev_store_read(attach->store, XENDEV_NO_TXN, attach->path, "ringback-status", &status) < 0)
        return;
    if (strcmp(status, "ready") == 0) {
        attach_end(attach, RINGCTL_OK);
    } else if (strcmp(status, "error") == 0 && attach->reason == NULL) {
        if (xendev_store_read(attach->store, XENDEV_NO_TXN, attach->path, "ringback-error", &attach->reason) < 0)
            attach->reason = NULL;
        attach_end(attach, RINGCTL_REFUSED);
    }
    free(status);
}

static enum ringctl_exit attach_create(const struct attach *attach, const char *source)
{
    char virtual_device[16];
    snprintf(virtual_device, sizeof(virtual_device), "%u", attach->devid);
    const char *const backend_keys[] = {
        "params",      source,       "removable",      "0",   "bootable",      "1",
        "dev",         attach->name, "type",           "phy", "mode",          attach->options->read_only ? "r" : "w",
        "device-type", "disk",       "discard-enable", "0",   "specification", "xen",
        NULL};
    const char *const frontend_keys[] = {"virtual-device", virtual_device, "device-type", "disk", NULL};
    int result = xendev_toolstack_attach(attach->store, attach->options->kind, attach->domid, attach->devid,
                                         backend_keys, frontend_keys);
    if (result == -EEXIST)
        return ringctl_fail(RINGCTL_REFUSED, "domain %u has a disk %s (%u) already", attach->domid, attach->name,
                            attach->devid);
    if (result < 0)
        return ringctl_fail(RINGCTL_REFUSED, "cannot write the device to xenstore: %s", strerror(-result));
    return RINGCTL_OK;
}

static enum ringctl_exit attach_disk(struct attach *attach, const char *domain, const char *device, const char *source)
{
    enum ringctl_exit status = domain_parse_device(device, &attach->devid);
    if (status == RINGCTL_OK)
        status = attach_open(attach);
    if (status == RINGCTL_OK)
        status = domain_find(attach->store, domain, &attach->domid);
    if (status != RINGCTL_OK)
        return status;
    attach_name(attach);
    if (xendev_domain_exists(attach->store, attach->domid) != 1)
        return ringctl_fail(RINGCTL_NO_DEVICE, "there is no domain %u", attach->domid);
    status = attach_create(attach, source);
    if (status != RINGCTL_OK)
        return status;

    status = attach_wait(attach, attach_changed);
    if (status == RINGCTL_OK) {
        attach_print(attach, "attached to");
        return RINGCTL_OK;
    }
    xendev_toolstack_forget(attach->store, attach->options->kind, attach->domid, attach->devid);
    if (status == RINGCTL_TIMEOUT)
        return ringctl_fail(status, "the daemon did not take %s within %u s; removed it again", source,
                            attach->options->timeout);
    return ringctl_fail(status, "refused: %s", attach->reason != NULL ? attach->reason : "no reason given");
}

enum ringctl_exit ringctl_attach(const struct ringctl_options *options, const char *domain, const char *device,
                                 const char *source)
{
    struct attach attach = {.options = options};
    enum ringctl_exit status = attach_disk(&attach, domain, device, source);
    attach_close(&attach);
    return status;
}

/* ---- Detach. ---------------------------------------------------------------------------------------------------- */

static void detach_changed(void *arg, const char *path)
{
    (void)path;
    struct attach *attach = arg;
    uint32_t state;
    int result = xendev_store_read_u32(attach->store, XENDEV_NO_TXN, attach->path, "state", &state);
    if (result == -ENOENT || (result == 0 && state == XENBUS_CLOSED))
        attach_end(attach, RINGCTL_OK);
}

static enum ringctl_exit detach_disk(struct attach *attach, const char *target)
{
    enum ringctl_exit status = attach_open(attach);
    if (status == RINGCTL_OK)
        status = domain_find_device(attach->store, target, &attach->domid, &attach->devid);
    if (status != RINGCTL_OK)
        return status;
    attach_name(attach);

    int result = xendev_toolstack_detach(attach->store, attach->options->kind, attach->domid, attach->devid);
    if (result == -ENOENT)
        return ringctl_fail(RINGCTL_NO_DEVICE, "domain %u has no disk %s (%u)", attach->domid, attach->name,
                            attach->devid);
    if (result < 0)
        return ringctl_fail(RINGCTL_REFUSED, "cannot ask for the detach in xenstore: %s", strerror(-result));

    status = attach_wait(attach, detach_changed);
    if (status == RINGCTL_TIMEOUT)
        return ringctl_fail(status, "the guest did not let go of %s within %u s; it will be detached when it does",
                            attach->name, attach->options->timeout);
    if (status != RINGCTL_OK)
        return ringctl_fail(status, "%s", attach->reason != NULL ? attach->reason : "failed");
    result = xendev_toolstack_forget(attach->store, attach->options->kind, attach->domid, attach->devid);
    if (result < 0)
        return ringctl_fail(RINGCTL_REFUSED, "cannot remove the device from xenstore: %s", strerror(-result));
    attach_print(attach, "detached from");
    return RINGCTL_OK;
}

enum ringctl_exit ringctl_detach(const struct ringctl_options *options, const char *target)
{
    struct attach attach = {.options = options};
    enum ringctl_exit status = detach_disk(&attach, target);
    attach_close(&attach);
    return status;
}

/* SPDX-License-Identifier: MIT */
/*
 * `ringctl attach disk` and `ringctl detach`: what xl does, through xenstore.
 *
 * attach creates the two directories of a device with the keys libxl writes, but for `script`: without it the daemon
 * waits for no hotplug script. The daemon then says in the back end's directory whether the disk can be served,
 * `ringback-status` = ready or error, the latter with the reason in `ringback-error`. A device that cannot be served is
 * removed again.
 *
 * detach asks the back end to close, has a card's hotplug script take back what it did, and removes what is left.
 */
#include "ringctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xendev/xenbus.h>

#include "change.h"
#include "hotplug.h"

/* ---- Attach. ---------------------------------------------------------------------------------------------------- */

static enum ringctl_exit attach_create(const struct change *change, const char *source)
{
    char virtual_device[16];
    const char *discard = change->options->read_only || change->options->no_discard ? "0" : "1";
    snprintf(virtual_device, sizeof(virtual_device), "%u", change->target.devid);
    const char *const backend_keys[] = {
        "params",      source,       "removable",      "0",     "bootable",      "1",
        "dev",         change->name, "type",           "phy",   "mode",          change->options->read_only ? "r" : "w",
        "device-type", "disk",       "discard-enable", discard, "specification", "xen",
        NULL};
    const char *const frontend_keys[] = {"virtual-device", virtual_device, "device-type", "disk", NULL};
    int result = xendev_toolstack_attach(change->store, change->kind, change->target.domid, change->target.devid,
                                         backend_keys, frontend_keys);
    if (result == -EEXIST)
        return ringctl_fail(RINGCTL_REFUSED, "domain %u has a %s already", change->target.domid, change->label);
    if (result < 0)
        return ringctl_fail(RINGCTL_REFUSED, "cannot write the device to xenstore: %s", strerror(-result));
    return RINGCTL_OK;
}

static enum ringctl_exit attach_disk(struct change *change, const char *source)
{
    enum ringctl_exit status = change_open(change);
    if (status == RINGCTL_OK)
        status = change_check_domain(change);
    if (status != RINGCTL_OK)
        return status;
    change_name(change);
    status = attach_create(change, source);
    if (status != RINGCTL_OK)
        return status;

    status = change_wait_ready(change);
    if (status == RINGCTL_OK) {
        change_print(change, NULL, "%s attached to domain %u", change->label, change->target.domid);
        return RINGCTL_OK;
    }
    change_undo(change);
    if (status == RINGCTL_TIMEOUT)
        return ringctl_fail(status, "the daemon did not take %s within %u s; removed it again", source,
                            change->options->timeout);
    return ringctl_fail(status, "refused: %s", change->reason != NULL ? change->reason : "no reason given");
}

enum ringctl_exit ringctl_attach_disk(const struct ringctl_options *options, const char *domain, const char *device,
                                      const char *source)
{
    struct change change = {.options = options};
    enum ringctl_exit status = target_set(domain, &device_classes[CLASS_DISK], &change.target);
    if (status == RINGCTL_OK)
        status = domain_parse_disk(device, &change.target.devid);
    if (status == RINGCTL_OK)
        status = attach_disk(&change, source);
    change_close(&change);
    return status;
}

/* ---- Detach. ---------------------------------------------------------------------------------------------------- */

static void detach_changed(void *arg, const char *path)
{
    (void)path;
    struct change *change = arg;
    uint32_t state;
    int result = xendev_store_read_u32(change->store, XENDEV_NO_TXN, change->path, "state", &state);
    if (result == -ENOENT || (result == 0 && state == XENBUS_CLOSED))
        change_end(change, RINGCTL_OK);
}

/* The card's script, if one was run for it, takes back what it did. That it fails is told, and no more: the card is gone. */
static void detach_script(const struct change *change)
{
    char said[HOTPLUG_SAID_SIZE];
    char *script;
    if (change->target.class->id != CLASS_CARD ||
        xendev_store_read(change->store, XENDEV_NO_TXN, change->path, "script", &script) < 0)
        return;
    if (script[0] != '\0' &&
        hotplug_run(script, "offline", change->kind, change->target.domid, change->target.devid, false, said) < 0)
        ringctl_fail(RINGCTL_OK, "%s offline %s; the card is detached all the same", script, said);
    free(script);
}

static enum ringctl_exit detach_device(struct change *change)
{
    enum ringctl_exit status = change_open(change);
    if (status != RINGCTL_OK)
        return status;
    change_name(change);

    int result = xendev_toolstack_detach(change->store, change->kind, change->target.domid, change->target.devid);
    if (result == -ENOENT)
        return ringctl_fail(RINGCTL_NO_DEVICE, "domain %u has no %s", change->target.domid, change->label);
    if (result < 0)
        return ringctl_fail(RINGCTL_REFUSED, "cannot ask for the detach in xenstore: %s", strerror(-result));

    status = change_wait(change, detach_changed);
    if (status == RINGCTL_TIMEOUT)
        return ringctl_fail(status, "the guest did not let go of %s within %u s; it will be detached when it does",
                            change->name, change->options->timeout);
    if (status != RINGCTL_OK)
        return ringctl_fail(status, "%s", change->reason != NULL ? change->reason : "failed");
    detach_script(change);
    result = xendev_toolstack_forget(change->store, change->kind, change->target.domid, change->target.devid);
    if (result < 0)
        return ringctl_fail(RINGCTL_REFUSED, "cannot remove the device from xenstore: %s", strerror(-result));
    change_print(change, NULL, "%s detached from domain %u", change->label, change->target.domid);
    return RINGCTL_OK;
}

enum ringctl_exit ringctl_detach(const struct ringctl_options *options, const char *target)
{
    struct change change = {.options = options};
    enum ringctl_exit status = target_parse(target, &change.target);
    if (status == RINGCTL_OK)
        status = detach_device(&change);
    change_close(&change);
    return status;
}

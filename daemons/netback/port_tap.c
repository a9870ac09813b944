/* SPDX-License-Identifier: MIT */
/*
 * The tap is there, by the name that the toolstack's script expects, before the front end is told anything (InitWait), and stays until the card is
 * gone. Its queues are opened for one connection. Only then has it a carrier, and its bridge begins to forward, at once or after a
 * while; Connected has to wait for that, or the guest's first frames would be lost (the start-of-day race of docs/PROTOCOL.md). One that is
 * resumed was Connected, and is not held up.
 *
 * With `vifname` it is the script that renames the tap, and one of Xen's fails when there is a device of that name already. So the tap is made by its first
 * name, noted by both, and looked for by both.
 */
#include "port.h"

#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <backend/guest.h>
#include <backend/serve.h>
#include <service/log.h>

#include "leftover.h"
#include "naming.h"
#include "netback.h"
#include "netdev.h"
#include "reason.h"
#include "tap.h"
#include "vif.h"
#include "waiting.h"

/* ---- Names. -------------------------------------------------------------------------------------------------------------------- */

static bool is_own(const struct vif *vif, const char *name)
{
    return leftover_is_of(vif_netback(vif)->taps_dir, name, vif->device.guest->name, vif->device.devid);
}

/* What the tap is called now, or is to be called when it is made: as scripts expect it, until one has renamed it. */
static void name_now(const struct vif *vif, bool for_script, char ret_name[TAP_NAME_SIZE])
{
    char first[TAP_NAME_SIZE];
    const char *last = vif->card.netdev;
    bool is_first;

    naming_first(vif, first);
    is_first = (if_nametoindex(first) != 0 && is_own(vif, first)) || (for_script && if_nametoindex(last) == 0);
    snprintf(ret_name, TAP_NAME_SIZE, "%s", is_first ? first : last);
}

static int note(const struct vif *vif, const char *name)
{
    return leftover_note(vif_netback(vif)->taps_dir, name, vif->device.guest->name, vif->device.devid);
}

/* ---- Making and removing. ------------------------------------------------------------------------------------------------------ */

/* Makes the tap, or finds it as it was noted; `ret_name` is what it is called, also after a failure. Returns 0, or -errno with the reason. */
static int make(struct vif *vif, bool for_script, char ret_name[TAP_NAME_SIZE], struct backend_error *ret_error)
{
    const int taps_dir = vif_netback(vif)->taps_dir;
    const char *last = vif->card.netdev;
    bool noted;
    int err;

    name_now(vif, for_script, ret_name);
    noted = leftover_is_noted(taps_dir, ret_name);
    if (!noted && if_nametoindex(ret_name) != 0) /* not even when it is such a tap as ours are */
        return reason_fail(ret_error, -EEXIST, "there is a network device %s that is not ours", ret_name);
    err = note(vif, ret_name);
    if (err == 0 && strcmp(ret_name, last) != 0) /* it is to be known as ours when it is called so */
        err = note(vif, last);
    if (err < 0)
        return reason_fail(ret_error, err, "tap %s cannot be recorded: %s", ret_name, strerror(-err));
    err = tap_make(ret_name, ret_error);
    if (err < 0 && (!noted || err == -EEXIST)) {
        (void)leftover_forget(taps_dir, ret_name);
        if (if_nametoindex(last) == 0)
            (void)leftover_forget(taps_dir, last);
    }
    return err;
}

static void prepare(struct vif *vif)
{
    struct backend_error error;
    char name[TAP_NAME_SIZE];
    int err = make(vif, true, name, &error);

    if (err == -EEXIST) {
        naming_is_taken(vif, name, error.text);
        return;
    }
    waiting_end(vif);
    if (err < 0)
        device_give_up(&vif->device, err, "%s", error.text);
    else
        device_offer(&vif->device);
}

static void remove_tap(struct vif *vif, const char *name)
{
    int err = tap_remove(name);

    if (err == 0)
        err = leftover_forget(vif_netback(vif)->taps_dir, name);
    if (err < 0)
        log_error(&vif->device.log, "tap %s cannot be removed: %s", name, strerror(-err));
}

static void discard(struct vif *vif)
{
    const char *last = vif->card.netdev;
    char first[TAP_NAME_SIZE];

    vif_close_fds(vif);
    naming_first(vif, first);
    if (strcmp(first, last) != 0 && is_own(vif, first)) {
        /* It was never renamed, and what bears the other name by now is somebody else's. */
        if (if_nametoindex(first) != 0 && is_own(vif, last))
            (void)leftover_forget(vif_netback(vif)->taps_dir, last);
        remove_tap(vif, first);
    }
    if (is_own(vif, last)) /* else it never had one */
        remove_tap(vif, last);
}

static struct tap_offload offload_of(const struct netback_connection *connection)
{
    /* The kernel knows one flag for the checksums of IPv4 and IPv6: the worker fills in those that the guest does not take. */
    return (struct tap_offload){
        .checksum = (connection->features & (NETBACK_TAKES_CSUM_IPV4 | NETBACK_TAKES_CSUM_IPV6)) != 0,
        .tso4 = (connection->features & NETBACK_TAKES_GSO_TCPV4) != 0,
        .tso6 = (connection->features & NETBACK_TAKES_GSO_TCPV6) != 0,
    };
}

/* Goes on when frames that leave by the tap go on. */
static void check_forwards(struct vif *vif)
{
    struct netdev netdev;
    char name[TAP_NAME_SIZE];
    int err;

    name_now(vif, false, name);
    err = netdev_get(vif_netback(vif)->netdevs, name, &netdev);

    if (err < 0) {
        waiting_end(vif);
        vif_close_fds(vif);
        device_give_up(&vif->device, err, "nothing is known of tap %s: %s", name, strerror(-err));
    } else if (netdev_forwards(&netdev)) {
        waiting_end(vif);
        serve_acquired(&vif->device);
    } else if (vif->step != VIF_STEP_FORWARDING) {
        waiting_begin(vif, VIF_STEP_FORWARDING);
        log_info(&vif->device.log, "waits for %s: %s", name,
                 !netdev.up        ? "it is down"
                 : !netdev.running ? "it has no carrier"
                                   : "its bridge does not forward yet");
    }
}

static void acquire(struct vif *vif)
{
    struct device *device = &vif->device;
    struct tap_offload offload = offload_of(&vif->connection);
    const bool resumed = device->state == DEVICE_RESUMING;
    struct backend_error error;
    char name[TAP_NAME_SIZE];
    bool was_there;
    int err;

    vif_close_fds(vif);
    name_now(vif, false, name);
    was_there = if_nametoindex(name) != 0;
    err = make(vif, false, name, &error); /* somebody may have removed it */
    if (err == 0)
        err = tap_open(name, vif->connection.queue_count, vif->fds, &error);
    if (err < 0) {
        device_give_up(device, err, "%s", error.text);
        return;
    }
    vif->fd_count = vif->connection.queue_count;
    err = tap_set_offload(vif->fds[0], &offload);
    if (err < 0) {
        vif_close_fds(vif);
        device_give_up(device, err, "tap %s cannot be set up: %s", name, strerror(-err));
    } else if (resumed) {
        if (!was_there)
            log_error(
                &device->log,
                "%s had vanished and was made anew: its guest has no network until it is put into its bridge again",
                name);
        serve_acquired(device);
    } else {
        check_forwards(vif);
    }
}

static bool held_is_own(const struct vif *vif, const int *fds, unsigned fd_count)
{
    char name[TAP_NAME_SIZE];

    if (fd_count != vif->connection.queue_count)
        return false;
    name_now(vif, false, name);
    for (unsigned i = 0; i < fd_count; i++) {
        if (!tap_is_queue(fds[i], name))
            return false;
    }
    return true;
}

static void set_carrier(struct vif *vif, bool on)
{
    int err = vif->fd_count > 0 ? tap_set_carrier(vif->fds[0], on) : 0;

    if (err < 0)
        log_warning(&vif->device.log, "the carrier of %s cannot be set: %s", vif->card.netdev, strerror(-err));
}

const struct port_kind port_tap = {
    .number = NETBACK_PORT_TAP,
    .name = "tap",
    .prepare = prepare,
    .acquire = acquire,
    .let_go = vif_close_fds,
    .discard = discard,
    .held_is_own = held_is_own,
    .netdevs_changed = check_forwards,
    .set_carrier = set_carrier,
};

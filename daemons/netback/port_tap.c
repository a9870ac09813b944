/* SPDX-License-Identifier: MIT */
/*
 * The tap is there, by the name that the toolstack's script expects, before the front end is told anything (InitWait), and stays until the card is
 * gone. Its queues are opened for one connection. Only then has it a carrier, and its bridge begins to forward, at once or after a
 * while; Connected has to wait for that, or the guest's first frames would be lost (the start-of-day race of docs/PROTOCOL.md). One that is
 * resumed was Connected, and is not held up.
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
#include "netback.h"
#include "netdev.h"
#include "reason.h"
#include "tap.h"
#include "vif.h"
#include "waiting.h"

/* Makes the tap, or finds it as it was noted. Returns 0, or -errno with the reason. */
static int make(struct vif *vif, struct backend_error *ret_error)
{
    const int taps_dir = vif_netback(vif)->taps_dir;
    const char *name = vif->card.netdev;
    const bool noted = leftover_is_noted(taps_dir, name);
    int err;

    if (!noted && if_nametoindex(name) != 0) /* not even when it is such a tap as ours are */
        return reason_fail(ret_error, -EEXIST, "there is a network device %s that is not ours", name);
    err = leftover_note(taps_dir, name, vif->device.guest->name, vif->device.devid);
    if (err < 0)
        return reason_fail(ret_error, err, "tap %s cannot be recorded: %s", name, strerror(-err));
    err = tap_make(name, ret_error);
    if (err < 0 && (!noted || err == -EEXIST))
        (void)leftover_forget(taps_dir, name);
    return err;
}

static void prepare(struct vif *vif)
{
    struct backend_error error;
    int err = make(vif, &error);

    if (err == -EEXIST) {
        vif_name_is_taken(vif, error.text);
        return;
    }
    waiting_end(vif);
    if (err < 0)
        device_give_up(&vif->device, err, "%s", error.text);
    else
        device_offer(&vif->device);
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
    int err = netdev_get(vif_netback(vif)->netdevs, vif->card.netdev, &netdev);

    if (err < 0) {
        waiting_end(vif);
        vif_close_fds(vif);
        device_give_up(&vif->device, err, "nothing is known of tap %s: %s", vif->card.netdev, strerror(-err));
    } else if (netdev_forwards(&netdev)) {
        waiting_end(vif);
        serve_acquired(&vif->device);
    } else if (vif->step != VIF_STEP_FORWARDING) {
        waiting_begin(vif, VIF_STEP_FORWARDING);
        log_info(&vif->device.log, "waits for %s: %s", vif->card.netdev,
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
    const bool was_there = if_nametoindex(vif->card.netdev) != 0;
    struct backend_error error;
    int err;

    vif_close_fds(vif);
    err = make(vif, &error); /* somebody may have removed it */
    if (err == 0)
        err = tap_open(vif->card.netdev, vif->connection.queue_count, vif->fds, &error);
    if (err < 0) {
        device_give_up(device, err, "%s", error.text);
        return;
    }
    vif->fd_count = vif->connection.queue_count;
    err = tap_set_offload(vif->fds[0], &offload);
    if (err < 0) {
        vif_close_fds(vif);
        device_give_up(device, err, "tap %s cannot be set up: %s", vif->card.netdev, strerror(-err));
    } else if (resumed) {
        if (!was_there)
            log_error(
                &device->log,
                "%s had vanished and was made anew: its guest has no network until it is put into its bridge again",
                vif->card.netdev);
        serve_acquired(device);
    } else {
        check_forwards(vif);
    }
}

static void discard(struct vif *vif)
{
    const int taps_dir = vif_netback(vif)->taps_dir;
    int err;

    vif_close_fds(vif);
    if (!leftover_is_of(taps_dir, vif->card.netdev, vif->device.guest->name, vif->device.devid))
        return; /* it never had one */
    err = tap_remove(vif->card.netdev);
    if (err == 0)
        err = leftover_forget(taps_dir, vif->card.netdev);
    if (err < 0)
        log_error(&vif->device.log, "tap %s cannot be removed: %s", vif->card.netdev, strerror(-err));
}

static bool held_is_own(const struct vif *vif, const int *fds, unsigned fd_count)
{
    if (fd_count != vif->connection.queue_count)
        return false;
    for (unsigned i = 0; i < fd_count; i++) {
        if (!tap_is_queue(fds[i], vif->card.netdev))
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

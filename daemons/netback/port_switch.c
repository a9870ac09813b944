/* SPDX-License-Identifier: MIT */
/*
 * The port is asked for before the front end is told anything (InitWait), so that a bridge that there is not is told to whoever attaches the card. It
 * forwards as soon as it is there. It is given up when a connection ends, with whatever frames are left in it, and made anew for the next.
 *
 * Its memory lives as long as somebody holds it: we, the worker and tapbridged. Whoever is restarted gets it from another: tapbridged from us, we
 * from the worker. If we and the worker die together, the card gets a new one, and loses what frames were in the old.
 */
#include "port_switch.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <backend/serve.h>
#include <service/log.h>
#include <supervise/rundir.h>

#include "port.h"
#include "switch.h"
#include "vif.h"
#include "waiting.h"

bool port_switch_is_wanted(const struct vif *vif)
{
    return vif->port == &port_switch && (vif->fd_count > 0 || vif->step == VIF_STEP_ATTACHING);
}

bool port_switch_is_refused(const struct vif *vif)
{
    return vif->port_refused;
}

void port_switch_close(const int fds[PORT_FDS])
{
    for (unsigned i = 0; i < PORT_FDS; i++)
        close(fds[i]);
}

static void attach(struct vif *vif)
{
    waiting_begin(vif, VIF_STEP_ATTACHING);
    switch_attach(vif);
}

/* The port is there: what waited for it goes on. */
static void go_on(struct vif *vif)
{
    struct device *device = &vif->device;
    const bool resized = vif->connection.capacity != vif->capacity;
    int err = 0;

    waiting_end(vif);
    if (device->state == DEVICE_PREPARING) {
        device_offer(device);
        return;
    }
    vif->connection.capacity = vif->capacity;
    if (device->state == DEVICE_RESUMING && resized)
        err = rundir_write(device->dir, DEVICE_CONNECTION_FILE, &vif->connection, sizeof(vif->connection));
    if (err < 0)
        device_give_up(device, err, "the run directory cannot be used: %s", strerror(-err));
    else
        serve_acquired(device);
}

static void acquire(struct vif *vif)
{
    if (vif->fd_count > 0)
        go_on(vif);
    else
        attach(vif);
}

void port_switch_attached(struct vif *vif, uint32_t capacity, const int fds[PORT_FDS])
{
    vif->port_refused = false;
    if (vif->fd_count > 0) { /* it was presented again: they are the same */
        port_switch_close(fds);
        return;
    }
    memcpy(vif->fds, fds, PORT_FDS * sizeof(fds[0]));
    vif->fd_count = PORT_FDS;
    vif->capacity = capacity;
    go_on(vif);
}

void port_switch_refused(struct vif *vif, int error, const char *reason)
{
    if (vif->fd_count == 0) {
        waiting_end(vif);
        device_give_up(&vif->device, error, "tapbridged: %s", reason);
        return;
    }
    /* It was presented again: its guest keeps the card, for the bridge may come back. */
    if (!vif->port_refused)
        log_error(&vif->device.log, "tapbridged refuses its port on %s: %s", vif->card.bridge, reason);
    if (error == -EPROTO || error == -EINVAL) { /* no other time either */
        port_switch_failed(vif, reason);
        return;
    }
    vif->port_refused = true;
    switch_attach_later(vif);
}

static void let_go(struct vif *vif)
{
    vif->port_refused = false;
    if (vif->fd_count == 0 && vif->port_asked == NULL)
        return;
    vif_close_fds(vif);
    switch_detach(vif);
}

void port_switch_failed(struct vif *vif, const char *reason)
{
    let_go(vif);
    vif_port_failed(vif, reason);
}

static bool held_is_own(const struct vif *vif, const int *fds, unsigned fd_count)
{
    return fd_count == PORT_FDS && port_memory_check(fds, vif->connection.capacity) == 0;
}

static void claimed(struct vif *vif)
{
    vif->capacity = vif->connection.capacity;
    switch_attach(vif);
}

const struct port_kind port_switch = {
    .number = NETBACK_PORT_SWITCH,
    .name = "switch",
    .prepare = acquire,
    .acquire = acquire,
    .let_go = let_go,
    .discard = let_go,
    .held_is_own = held_is_own,
    .claimed = claimed,
};

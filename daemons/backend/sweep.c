/* SPDX-License-Identifier: MIT */
/*
 * What is left of guests and devices that are gone is removed; the others' workers are adopted, and serve on. What is in doubt is kept, and looked at
 * again until all that was found has shown up on the bus or is gone: only then is it settled.
 *
 * So it is with those that are only found in the run directory, if there is no connection to xenstored, or xenstore knows no back end at all: they
 * are taken over by what is recorded, and looked at with the next connection.
 */
#include "sweep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include <service/log.h>
#include <supervise/rundir.h>
#include <xendev/store.h>

#include "adopt.h"
#include "backend.h"
#include "device.h"
#include "effects.h"
#include "guest.h"
#include "kind.h"

/* How often what was found is looked at until all of it has shown up or is gone; and while xenstore knows of nothing. */
static const struct timeval settle_period = {.tv_sec = 10};
static const struct timeval empty_period = {.tv_sec = 1};

/* ---- With xenstore. ---------------------------------------------------------------------------------------------------------- */

/* Whether xenstore names a back end of any kind. If not, there may be no guests; or xenstored has died, and its content with it, which proves
 * no guest's end. */
static bool store_knows_backends(const struct backend *backend)
{
    char **kinds;

    if (xendev_store_list(backend->store, XENDEV_NO_TXN, "/local/domain/0/backend", &kinds) < 0)
        return false;
    free(kinds);
    return true;
}

/* Whether the device has shown up as one of another life of that domain id. */
static bool device_is_of_another(const struct backend *backend, const char *guest_name, uint32_t domid, uint32_t devid)
{
    const struct guest *guest;
    const struct device *device;

    LIST_FOREACH (guest, &backend->guests, entry) {
        if (guest->domid != domid || strcmp(guest->name, guest_name) == 0)
            continue;
        device = guest_device(guest, devid);
        if (device != NULL && device->backend != NULL)
            return true;
    }
    return false;
}

bool sweep_device_is_alive(const struct backend *backend, const char *guest_name, uint32_t devid)
{
    const char *identity;
    char path[128];
    char *front;
    uint32_t domid;
    int err;

    if (rundir_guest_parse(guest_name, &domid, &identity) < 0 || xendev_domain_exists(backend->store, domid) == 0)
        return false;
    snprintf(path, sizeof(path), "/local/domain/0/backend/%s/%u/%u", backend->config->device_kind, domid, devid);
    err = xendev_store_read(backend->store, XENDEV_NO_TXN, path, "frontend", &front);
    if (err == 0)
        free(front);
    return err != -ENOENT && !device_is_of_another(backend, guest_name, domid, devid);
}

static int sweep_device(void *arg, int dir, const char *name)
{
    struct guest *guest = arg;
    uint32_t devid;

    if (rundir_device_parse(name, &devid) < 0 || guest_device(guest, devid) != NULL)
        return 0;
    if (sweep_device_is_alive(guest->backend, guest->name, devid))
        guest->expected++;
    else
        rundir_remove(dir, name);
    return 0;
}

/* Lets go of the devices that went while xenstore was away. */
static void retire_devices(struct guest *guest)
{
    struct device *device, *next;

    for (device = LIST_FIRST(&guest->devices); device != NULL; device = next) {
        next = LIST_NEXT(device, entry);
        if (device->backend == NULL && !device->gone &&
            !sweep_device_is_alive(guest->backend, guest->name, device->devid))
            effect_retire(device);
    }
}

/* Takes over a guest's run directory and its worker; both go when the guest has no devices. */
static int sweep_guest(void *arg, int dir, const char *name)
{
    struct backend *backend = arg;
    const char *identity;
    struct guest *guest;
    uint32_t domid;
    int err;

    (void)dir;
    if (rundir_guest_parse(name, &domid, &identity) < 0) {
        log_warning(NULL, "%s in the run directory is nothing of ours", name);
        return 0;
    }
    err = guest_get(backend, domid, name, &guest);
    if (err < 0) { /* the others are served all the same */
        log_error(NULL, "what was left of guest %s cannot be taken over: %s", name, strerror(-err));
        return 0;
    }
    guest->expected = 1; /* keeps it while it is looked at */
    retire_devices(guest);
    guest->expected = 0;
    if (rundir_each(guest->dir, sweep_device, guest) < 0)
        guest->expected++; /* it is looked at again */
    adopt_sweep(guest);
    guest_release(guest);
    return 0;
}

/* ---- Without. ---------------------------------------------------------------------------------------------------------------- */

static int load_device(void *arg, int dir, const char *name)
{
    struct guest *guest = arg;
    uint32_t devid;
    bool recorded;
    int sub, err;

    if (rundir_device_parse(name, &devid) < 0 || guest_device(guest, devid) != NULL)
        return 0;
    sub = rundir_find(dir, name);
    if (sub < 0)
        return 0;
    recorded = device_is_recorded(sub);
    close(sub);
    err = recorded ? effect_load(guest, devid) : 0;
    if (err < 0)
        log_error(&guest->log, "%s %s cannot be taken over: %s", guest->backend->kind->noun, name, strerror(-err));
    return 0;
}

/* Takes over a guest's worker, and the devices that were connected, by what is recorded; all stays until xenstore is there to say more. */
static int load_guest(void *arg, int dir, const char *name)
{
    struct backend *backend = arg;
    const char *identity;
    struct guest *guest;
    uint32_t domid;
    int err;

    (void)dir;
    if (rundir_guest_parse(name, &domid, &identity) < 0)
        return 0; /* sweep_guest() tells of it */
    err = guest_get(backend, domid, name, &guest);
    if (err < 0) { /* it is tried again with every connection, so the log is limited */
        log_error(&backend->store_log, "without it, what was left of guest %s cannot be taken over: %s", name,
                  strerror(-err));
        return 0;
    }
    if (rundir_each(guest->dir, load_device, guest) < 0)
        log_error(&guest->log, "its run directory cannot be read");
    guest->expected = 1; /* it is counted when it can be */
    return 0;
}

void sweep_load(struct backend *backend)
{
    if (rundir_each(backend->run_dir, load_guest, backend) < 0)
        log_error(NULL, "the run directory cannot be read");
}

/* ---- Both. -------------------------------------------------------------------------------------------------------------------- */

/* Devices of the guest that were there, and of which xenstore has not said whether they still are. */
static unsigned count_missing(const struct guest *guest)
{
    const struct device *device;
    unsigned missing = guest->expected;

    LIST_FOREACH (device, &guest->devices, entry)
        missing += device->backend == NULL;
    return missing;
}

bool sweep_is_settled(const struct backend *backend)
{
    const struct guest *guest;

    LIST_FOREACH (guest, &backend->guests, entry) {
        if (count_missing(guest) > 0)
            return false;
    }
    return backend->swept;
}

int sweep_run(struct backend *backend)
{
    int err;

    backend->swept = store_knows_backends(backend);
    if (!backend->swept) {
        sweep_load(backend);
        event_add(backend->settle_timer, &empty_period);
        return 0;
    }
    err = rundir_each(backend->run_dir, sweep_guest, backend);
    if (err == 0 && backend->kind->sweep != NULL)
        err = backend->kind->sweep(backend);
    if (err < 0)
        log_error(NULL, "the run directories cannot be read: %s", strerror(-err));
    if (err < 0 || !sweep_is_settled(backend))
        event_add(backend->settle_timer, &settle_period);
    return err;
}

static void log_missing(struct guest *guest, unsigned missing)
{
    const struct backend_kind *kind = guest->backend->kind;

    if (kind->is_exclusive)
        log_warning(&guest->log, "%u of the %ss that were there are still not to be seen; new %ss wait for them",
                    missing, kind->noun, kind->noun);
    else
        log_warning(&guest->log, "%u of the %ss that were there are still not to be seen", missing, kind->noun);
}

static void on_settle_timer(evutil_socket_t fd, short what, void *arg)
{
    struct backend *backend = arg;
    struct guest *guest;

    (void)fd;
    (void)what;
    (void)sweep_run(backend);
    if (!backend->swept)
        return; /* nobody knows */
    LIST_FOREACH (guest, &backend->guests, entry) {
        const unsigned missing = count_missing(guest);
        if (missing > 0)
            log_missing(guest, missing);
    }
}

int sweep_open(struct backend *backend)
{
    backend->settle_timer = evtimer_new(backend->base, on_settle_timer, backend);
    return backend->settle_timer == NULL ? -ENOMEM : 0;
}

void sweep_close(struct backend *backend)
{
    if (backend->settle_timer != NULL)
        event_free(backend->settle_timer);
    backend->settle_timer = NULL;
}

void sweep_stop(struct backend *backend)
{
    if (backend->settle_timer != NULL)
        event_del(backend->settle_timer);
    backend->swept = false;
}

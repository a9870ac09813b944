/* SPDX-License-Identifier: MIT */
/*
 * The supervisor as a whole.
 *
 * It holds nothing that is not in files or in xenstore, so it may end at any instruction. A start is always the same: what was left of guests
 * and disks that are gone is removed; the others' workers are adopted, and serve on; then xenstore is
 * followed. What is in doubt is kept, and looked at again until all that was found has shown up on the bus or is gone: only then is it
 * settled.
 *
 * When the connection to xenstored is lost, guests, workers and devices stay as they are, without a bus: a worker that dies is succeeded all the
 * same. So it is with those that are only found in the run directory, if there is no connection at our start, or xenstore knows no back end at
 * all. With the next connection they are looked at as at a start: those that are gone are let go of, the others meet their back ends on the new
 * bus (effects.c).
 */
#include "blkback.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include <service/log.h>
#include <service/notify.h>
#include <service/service.h>
#include <supervise/rundir.h>
#include <supervise/worker.h>
#include <xendev/store.h>
#include <xendev/xenbus.h>

#include "adopt.h"
#include "device.h"
#include "effects.h"
#include "guest.h"
#include "mappings.h"
#include "protocol.h"
#include "replace.h"
#include "report.h"

#define RUN_DIR "blkback"

static const struct timeval reconnect_period = {.tv_sec = 1};
/* How often what was found at start is looked at until all of it has shown up or is gone. */
static const struct timeval settle_period = {.tv_sec = 10};

/* ---- What is left of earlier times. ---------------------------------------------------------------------------------------- */

/* Whether xenstore names a back end of any kind. If not, there may be no guests; or xenstored has died, and its content with it, which proves
 * no guest's end. */
static bool store_knows_backends(const struct blkback *blkback)
{
    char **kinds;

    if (xendev_store_list(blkback->store, XENDEV_NO_TXN, "/local/domain/0/backend", &kinds) < 0)
        return false;
    free(kinds);
    return true;
}

/* Whether the disk has shown up as one of another life of that domain id. */
static bool device_is_of_another(const struct blkback *blkback, const char *guest_name, uint32_t domid, uint32_t devid)
{
    const struct guest *guest;
    const struct device *device;

    LIST_FOREACH (guest, &blkback->guests, entry) {
        if (guest->domid != domid || strcmp(guest->name, guest_name) == 0)
            continue;
        device = guest_device(guest, devid);
        if (device != NULL && device->backend != NULL)
            return true;
    }
    return false;
}

/* Whether that guest lives and has that disk. A doubt is a yes: whose the node is shows when the bus has taken it in. */
static bool device_is_alive(const struct blkback *blkback, const char *guest_name, uint32_t devid)
{
    const char *identity;
    char path[128];
    char *front;
    uint32_t domid;
    int err;

    if (rundir_guest_parse(guest_name, &domid, &identity) < 0 || xendev_domain_exists(blkback->store, domid) == 0)
        return false;
    snprintf(path, sizeof(path), "/local/domain/0/backend/%s/%u/%u", blkback->config.kind, domid, devid);
    err = xendev_store_read(blkback->store, XENDEV_NO_TXN, path, "frontend", &front);
    if (err == 0)
        free(front);
    return err != -ENOENT && !device_is_of_another(blkback, guest_name, domid, devid);
}

static int sweep_device(void *arg, int dir, const char *name)
{
    struct guest *guest = arg;
    uint32_t devid;

    if (rundir_device_parse(name, &devid) < 0 || guest_device(guest, devid) != NULL)
        return 0;
    if (device_is_alive(guest->blkback, guest->name, devid))
        guest->expected++;
    else
        rundir_remove(dir, name);
    return 0;
}

/* Lets go of the disks that went while xenstore was away. */
static void retire_devices(struct guest *guest)
{
    struct device *device, *next;

    for (device = LIST_FIRST(&guest->devices); device != NULL; device = next) {
        next = LIST_NEXT(device, entry);
        if (device->backend == NULL && !device->gone && !device_is_alive(guest->blkback, guest->name, device->devid))
            effect_retire(device);
    }
}

/* Takes over a guest's run directory and its worker; both go when the guest has no disks. */
static int sweep_guest(void *arg, int dir, const char *name)
{
    struct blkback *blkback = arg;
    const char *identity;
    struct guest *guest;
    uint32_t domid;
    int err;

    (void)dir;
    if (rundir_guest_parse(name, &domid, &identity) < 0) {
        log_warning(NULL, "%s in the run directory is nothing of ours", name);
        return 0;
    }
    err = guest_get(blkback, domid, name, &guest);
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
        log_error(&guest->log, "disk %s cannot be taken over: %s", name, strerror(-err));
    return 0;
}

/* Takes over a guest's worker, and the disks that were connected, by what is recorded; all stays until xenstore is there to say more. */
static int load_guest(void *arg, int dir, const char *name)
{
    struct blkback *blkback = arg;
    const char *identity;
    struct guest *guest;
    uint32_t domid;
    int err;

    (void)dir;
    if (rundir_guest_parse(name, &domid, &identity) < 0)
        return 0; /* sweep_guest() tells of it */
    err = guest_get(blkback, domid, name, &guest);
    if (err < 0) { /* it is tried again with every connection, so the log is limited */
        log_error(&blkback->store_log, "without it, what was left of guest %s cannot be taken over: %s", name,
                  strerror(-err));
        return 0;
    }
    if (rundir_each(guest->dir, load_device, guest) < 0)
        log_error(&guest->log, "its run directory cannot be read");
    guest->expected = 1; /* it is counted when it can be */
    return 0;
}

static void load_guests(struct blkback *blkback)
{
    if (rundir_each(blkback->run_dir, load_guest, blkback) < 0)
        log_error(NULL, "the run directory cannot be read");
}

/* Removes the RAM disk of a guest or device that is gone: "GUEST-DEVID". */
static int sweep_ram(void *arg, int dir, const char *name)
{
    const struct blkback *blkback = arg;
    char guest_name[RUNDIR_NAME_SIZE];
    const char *dash = strrchr(name, '-');
    uint32_t devid;

    if (dash == NULL || (size_t)(dash - name) >= sizeof(guest_name) || rundir_device_parse(dash + 1, &devid) < 0)
        return 0;
    memcpy(guest_name, name, (size_t)(dash - name));
    guest_name[dash - name] = '\0';
    if (!device_is_alive(blkback, guest_name, devid))
        rundir_remove(dir, name);
    return 0;
}

/* Disks of the guest that were there, and of which xenstore has not said whether they still are. */
static unsigned count_missing(const struct guest *guest)
{
    const struct device *device;
    unsigned missing = guest->expected;

    LIST_FOREACH (device, &guest->devices, entry)
        missing += device->backend == NULL;
    return missing;
}

bool blkback_is_settled(const struct blkback *blkback)
{
    const struct guest *guest;

    LIST_FOREACH (guest, &blkback->guests, entry) {
        if (count_missing(guest) > 0)
            return false;
    }
    return blkback->swept;
}

/* Removes what is left of guests and disks that are gone, and looks again later while some have neither gone nor shown up. */
static int sweep(struct blkback *blkback)
{
    int err;

    blkback->swept = store_knows_backends(blkback);
    if (!blkback->swept) {
        load_guests(blkback);
        event_add(blkback->settle_timer, &reconnect_period);
        return 0;
    }
    err = rundir_each(blkback->run_dir, sweep_guest, blkback);
    if (err == 0)
        err = rundir_each(blkback->ram_dir, sweep_ram, blkback);
    if (err < 0)
        log_error(NULL, "the run directories cannot be read: %s", strerror(-err));
    if (err < 0 || !blkback_is_settled(blkback))
        event_add(blkback->settle_timer, &settle_period);
    return err;
}

static void on_settle_timer(evutil_socket_t fd, short what, void *arg)
{
    struct blkback *blkback = arg;
    struct guest *guest;

    (void)fd;
    (void)what;
    (void)sweep(blkback);
    if (!blkback->swept)
        return; /* nobody knows */
    LIST_FOREACH (guest, &blkback->guests, entry) {
        const unsigned missing = count_missing(guest);
        if (missing > 0)
            log_warning(&guest->log,
                        "%u of the disks that were there are still not to be seen; new disks wait for them", missing);
    }
}

/* ---- xenstore. --------------------------------------------------------------------------------------------------------------- */

/* Lets go of xenstore; guests and their workers are cared for without it. */
static void leave_store(struct blkback *blkback)
{
    struct device *device;
    struct guest *guest;

    if (blkback->settle_timer != NULL)
        event_del(blkback->settle_timer);
    blkback->swept = false;
    LIST_FOREACH (guest, &blkback->guests, entry) {
        LIST_FOREACH (device, &guest->devices, entry)
            effect_leave(device);
    }
    xendev_bus_close(blkback->bus);
    blkback->bus = NULL;
    xendev_store_close(blkback->store);
    blkback->store = NULL;
}

/* Forgets all that is known of guests; their workers serve on. */
static void leave_guests(struct blkback *blkback)
{
    struct guest *guest;

    replace_stop(blkback);
    while ((guest = LIST_FIRST(&blkback->guests)) != NULL) {
        while (!LIST_EMPTY(&guest->devices))
            device_forget(LIST_FIRST(&guest->devices));
        guest_free(guest);
    }
    leave_store(blkback);
    worker_pool_free(blkback->pool);
    blkback->pool = NULL;
}

static void on_store_lost(void *arg)
{
    struct blkback *blkback = arg;

    log_error(&blkback->store_log, "connection lost; guests are served on, the rest waits for it");
    event_add(blkback->reconnect_timer, &(const struct timeval){0});
}

static void on_spare_trouble(void *arg, const char *reason)
{
    struct blkback *blkback = arg;

    log_error(&blkback->spare_log, "%s", reason);
}

static int make_workers(struct blkback *blkback)
{
    const struct worker_pool_params pool = {.program = blkback->config.worker,
                                            .program_fd = blkback->worker,
                                            .message_size = sizeof(struct blkback_message),
                                            .trouble = on_spare_trouble,
                                            .arg = blkback};
    int err = worker_pool_new(blkback->base, &pool, &blkback->pool);

    if (err < 0)
        log_error(NULL, "%s cannot be started: %s", blkback->config.worker, strerror(-err));
    return err;
}

static int follow_store(struct blkback *blkback)
{
    int err = xendev_store_open(blkback->base, on_store_lost, blkback, &blkback->store);

    if (err < 0) {
        log_error(&blkback->store_log, "no connection: %s", strerror(-err));
        return err;
    }
    err = sweep(blkback);
    if (err < 0)
        return err;
    if (!blkback->swept)
        log_info(&blkback->store_log,
                 "no back end is known; what earlier times left is not touched before there is one");
    err = xendev_bus_open(blkback->store, blkback->config.kind, &effect_ops, blkback, &blkback->bus);
    if (err < 0) {
        log_error(NULL, "backend/%s cannot be followed: %s", blkback->config.kind, strerror(-err));
        return err;
    }
    replace_consider(blkback);
    return 0;
}

/* Goes on without xenstore, and tries again soon. */
static void miss_store(struct blkback *blkback, const struct timeval *delay)
{
    leave_store(blkback);
    load_guests(blkback);
    event_add(blkback->reconnect_timer, delay);
}

/* Away from the callback of the store that is closed here. */
static void on_reconnect(evutil_socket_t fd, short what, void *arg)
{
    struct blkback *blkback = arg;

    (void)fd;
    (void)what;
    if (blkback->store != NULL) { /* lost just now */
        miss_store(blkback, &(const struct timeval){0});
        return;
    }
    if (follow_store(blkback) < 0) {
        miss_store(blkback, &reconnect_period);
        return;
    }
    log_info(&blkback->store_log, "connected again");
}

/* ---- Start and stop. ----------------------------------------------------------------------------------------------------------- */

static int open_directories(struct blkback *blkback)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", service_run_dir(blkback->service), RUN_DIR);
    blkback->run_dir = rundir_open(path);
    if (blkback->run_dir < 0) {
        log_error(NULL, "%s cannot be used: %s", path, strerror(-blkback->run_dir));
        return blkback->run_dir;
    }
    blkback->ram_dir = rundir_open(blkback->config.ram_dir);
    if (blkback->ram_dir < 0) {
        log_error(NULL, "%s cannot be used: %s", blkback->config.ram_dir, strerror(-blkback->ram_dir));
        return blkback->ram_dir;
    }
    blkback->budget = mappings_open(service_run_dir(blkback->service), (uint32_t)blkback->config.grant_budget);
    if (blkback->budget < 0) {
        log_error(NULL, "%s cannot be used: %s", service_run_dir(blkback->service), strerror(-blkback->budget));
        return blkback->budget;
    }
    return 0;
}

/* An upgrade unpacks another program under our feet, which is for the supervisor that is started then. */
static int open_worker(struct blkback *blkback)
{
    int err;

    blkback->worker = open(blkback->config.worker, O_RDONLY | O_CLOEXEC);
    if (blkback->worker >= 0)
        return 0;
    err = -errno;
    log_error(NULL, "%s cannot be opened: %s", blkback->config.worker, strerror(-err));
    return err;
}

int blkback_start(struct service *service, void *arg)
{
    struct blkback *blkback = arg;
    int err;

    blkback->service = service;
    blkback->base = service_base(service);
    blkback->run_dir = blkback->ram_dir = blkback->worker = blkback->budget = -1;
    LIST_INIT(&blkback->guests);
    log_source_init(&blkback->spare_log, "spare worker");
    log_source_init(&blkback->store_log, "xenstore");
    blkback->reconnect_timer = evtimer_new(blkback->base, on_reconnect, blkback);
    blkback->settle_timer = evtimer_new(blkback->base, on_settle_timer, blkback);
    err = blkback->reconnect_timer == NULL || blkback->settle_timer == NULL ? -ENOMEM : 0;
    if (err == 0)
        err = replace_open(blkback);
    if (err == 0)
        err = open_worker(blkback);
    if (err == 0)
        err = open_directories(blkback);
    if (err == 0)
        err = report_open(blkback, service_control(service));
    if (err == 0)
        err = make_workers(blkback);
    if (err == 0)
        err = follow_store(blkback);
    if (err < 0 && blkback->pool != NULL && (blkback->store == NULL || err == -ENOTCONN)) {
        miss_store(blkback, &reconnect_period);
        err = 0;
    }
    if (err < 0)
        blkback_stop(blkback);
    return err;
}

bool blkback_goes_on(void *arg)
{
    const struct blkback *blkback = arg;
    char *value;
    int err;

    if (blkback->store == NULL)
        return true; /* it is tried for again and again; a new process could do no more */
    err = xendev_store_read(blkback->store, XENDEV_NO_TXN, "/local/domain/0", "domid", &value);
    if (err == 0)
        free(value);
    return err == 0 || err == -ENOENT;
}

void blkback_stop(void *arg)
{
    struct blkback *blkback = arg;

    leave_guests(blkback);
    replace_close(blkback);
    if (blkback->settle_timer != NULL)
        event_free(blkback->settle_timer);
    if (blkback->reconnect_timer != NULL)
        event_free(blkback->reconnect_timer);
    if (blkback->budget >= 0)
        close(blkback->budget);
    if (blkback->ram_dir >= 0)
        close(blkback->ram_dir);
    if (blkback->run_dir >= 0)
        close(blkback->run_dir);
    if (blkback->worker >= 0)
        close(blkback->worker);
}

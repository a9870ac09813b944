/* SPDX-License-Identifier: MIT */
/*
 * The supervisor as a whole.
 *
 * It holds nothing that is not in files or in xenstore, so it may end at any instruction. A start is always the same: what was left of earlier times
 * is removed or taken over (sweep.c); then xenstore is followed.
 *
 * When the connection to xenstored is lost, guests, workers and devices stay as they are, without a bus: a worker that dies is succeeded all the
 * same. With the next connection they are looked at as at a start: those that are gone are let go of, the others meet their back ends on the new
 * bus (effects.c).
 */
#include "backend.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include <service/log.h>
#include <service/service.h>
#include <supervise/rundir.h>
#include <supervise/worker.h>
#include <xendev/store.h>
#include <xendev/xenbus.h>

#include "device.h"
#include "effects.h"
#include "guest.h"
#include "kind.h"
#include "replace.h"
#include "report.h"
#include "sweep.h"

static const struct timeval reconnect_period = {.tv_sec = 1};

/* ---- xenstore. --------------------------------------------------------------------------------------------------------------- */

/* Lets go of xenstore; guests and their workers are cared for without it. */
static void leave_store(struct backend *backend)
{
    sweep_stop(backend);
    for (struct device *device = device_first(backend); device != NULL; device = device_next(device))
        effect_leave(device);
    xendev_bus_close(backend->bus);
    backend->bus = NULL;
    xendev_store_close(backend->store);
    backend->store = NULL;
}

/* Forgets all that is known of guests; their workers serve on. */
static void leave_guests(struct backend *backend)
{
    struct guest *guest;

    replace_stop(backend);
    while ((guest = LIST_FIRST(&backend->guests)) != NULL) {
        while (!LIST_EMPTY(&guest->devices))
            device_forget(LIST_FIRST(&guest->devices));
        guest_free(guest);
    }
    leave_store(backend);
    worker_pool_free(backend->pool);
    backend->pool = NULL;
}

static void on_store_lost(void *arg)
{
    struct backend *backend = arg;

    log_error(&backend->store_log, "connection lost; guests are served on, the rest waits for it");
    event_add(backend->reconnect_timer, &(const struct timeval){0});
}

static void on_spare_trouble(void *arg, const char *reason)
{
    struct backend *backend = arg;

    log_error(&backend->spare_log, "%s", reason);
}

static int make_workers(struct backend *backend)
{
    const struct worker_pool_params pool = {.program = backend->config->worker,
                                            .program_fd = backend->worker,
                                            .message_size = backend->kind->message_size,
                                            .trouble = on_spare_trouble,
                                            .arg = backend};
    int err = worker_pool_new(backend->base, &pool, &backend->pool);

    if (err < 0)
        log_error(NULL, "%s cannot be started: %s", backend->config->worker, strerror(-err));
    return err;
}

static int follow_store(struct backend *backend)
{
    int err = xendev_store_open(backend->base, on_store_lost, backend, &backend->store);

    if (err < 0) {
        log_error(&backend->store_log, "no connection: %s", strerror(-err));
        return err;
    }
    err = sweep_run(backend);
    if (err < 0)
        return err;
    if (!backend->swept)
        log_info(&backend->store_log,
                 "no back end is known; what earlier times left is not touched before there is one");
    err = xendev_bus_open(backend->store, backend->config->device_kind, &effect_ops, backend, &backend->bus);
    if (err < 0) {
        log_error(NULL, "backend/%s cannot be followed: %s", backend->config->device_kind, strerror(-err));
        return err;
    }
    replace_consider(backend);
    return 0;
}

/* Goes on without xenstore, and tries again soon. */
static void miss_store(struct backend *backend, const struct timeval *delay)
{
    leave_store(backend);
    sweep_load(backend);
    event_add(backend->reconnect_timer, delay);
}

/* Away from the callback of the store that is closed here. */
static void on_reconnect(evutil_socket_t fd, short what, void *arg)
{
    struct backend *backend = arg;

    (void)fd;
    (void)what;
    if (backend->store != NULL) { /* lost just now */
        miss_store(backend, &(const struct timeval){0});
        return;
    }
    if (follow_store(backend) < 0) {
        miss_store(backend, &reconnect_period);
        return;
    }
    log_info(&backend->store_log, "connected again");
}

/* ---- Start and stop. ----------------------------------------------------------------------------------------------------------- */

static int open_directory(struct backend *backend)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", service_run_dir(backend->service), backend->kind->run_dir);
    backend->run_dir = rundir_open(path);
    if (backend->run_dir >= 0)
        return 0;
    log_error(NULL, "%s cannot be used: %s", path, strerror(-backend->run_dir));
    return backend->run_dir;
}

/* An upgrade unpacks another program under our feet, which is for the supervisor that is started then. */
static int open_worker(struct backend *backend)
{
    int err;

    backend->worker = open(backend->config->worker, O_RDONLY | O_CLOEXEC);
    if (backend->worker >= 0)
        return 0;
    err = -errno;
    log_error(NULL, "%s cannot be opened: %s", backend->config->worker, strerror(-err));
    return err;
}

/* All that is only memory. */
static int make_parts(struct backend *backend)
{
    const char *noun = backend->kind->noun;
    int err;

    snprintf(backend->unwanted, sizeof(backend->unwanted), "ended: its guest has no %s left", noun);
    snprintf(backend->not_let_go, sizeof(backend->not_let_go), "killed because it did not let go of a %s", noun);
    backend->order = calloc(1, backend->kind->message_size);
    backend->reconnect_timer = evtimer_new(backend->base, on_reconnect, backend);
    err = backend->order == NULL || backend->reconnect_timer == NULL ? -ENOMEM : 0;
    if (err == 0)
        err = sweep_open(backend);
    if (err == 0)
        err = replace_open(backend);
    return err;
}

int backend_start(struct backend *backend, const struct backend_kind *kind, const struct backend_config *config,
                  struct service *service)
{
    int err;

    *backend = (struct backend){
        .kind = kind, .config = config, .service = service, .base = service_base(service), .run_dir = -1, .worker = -1};
    LIST_INIT(&backend->guests);
    log_source_init(&backend->spare_log, "spare worker");
    log_source_init(&backend->store_log, "xenstore");
    err = make_parts(backend);
    if (err == 0)
        err = open_worker(backend);
    if (err == 0)
        err = open_directory(backend);
    if (err == 0)
        err = report_open(backend, service_control(service));
    if (err == 0)
        err = make_workers(backend);
    if (err == 0)
        err = follow_store(backend);
    if (err < 0 && backend->pool != NULL && (backend->store == NULL || err == -ENOTCONN)) {
        miss_store(backend, &reconnect_period);
        err = 0;
    }
    if (err < 0)
        backend_stop(backend);
    return err;
}

bool backend_goes_on(const struct backend *backend)
{
    char *value;
    int err;

    if (backend->store == NULL)
        return true; /* it is tried for again and again; a new process could do no more */
    err = xendev_store_read(backend->store, XENDEV_NO_TXN, "/local/domain/0", "domid", &value);
    if (err == 0)
        free(value);
    return err == 0 || err == -ENOENT;
}

void backend_stop(struct backend *backend)
{
    leave_guests(backend);
    replace_close(backend);
    sweep_close(backend);
    if (backend->reconnect_timer != NULL)
        event_free(backend->reconnect_timer);
    free(backend->order);
    if (backend->run_dir >= 0)
        close(backend->run_dir);
    if (backend->worker >= 0)
        close(backend->worker);
}

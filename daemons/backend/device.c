/* SPDX-License-Identifier: MIT */
/*
 * A device's life as xenbus has it: made with the first effect, described here, moved by effects.c, served by serve.c.
 */
#include "device.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <supervise/rundir.h>

#include "adopt.h"
#include "backend.h"
#include "guest.h"
#include "kind.h"
#include "serve.h"

/* The first device of these guests, from `guest` on. */
static struct device *first_from(const struct guest *guest)
{
    while (guest != NULL && LIST_EMPTY(&guest->devices))
        guest = LIST_NEXT(guest, entry);
    return guest == NULL ? NULL : LIST_FIRST(&guest->devices);
}

struct device *device_first(const struct backend *backend)
{
    return first_from(LIST_FIRST(&backend->guests));
}

struct device *device_next(const struct device *device)
{
    struct device *next = LIST_NEXT(device, entry);

    return next != NULL ? next : first_from(LIST_NEXT(device->guest, entry));
}

const char *device_activity(const struct device *device)
{
    static const char *const names[] = {"idle",      "adopting", "preparing",  "acquiring",     "attaching",
                                        "connected", "resuming", "recovering", "disconnecting", "parked"};
    static_assert(sizeof(names) / sizeof(names[0]) == DEVICE_STATES, "one name a state");

    if (device->state == DEVICE_PREPARING || device->state == DEVICE_ACQUIRING || device->state == DEVICE_RESUMING)
        return device_kind(device)->activity(device);
    return names[device->state];
}

struct backend *device_backend(const struct device *device)
{
    return device->guest->backend;
}

const struct backend_kind *device_kind(const struct device *device)
{
    return device_backend(device)->kind;
}

struct xendev_store *device_store(const struct device *device)
{
    return device_backend(device)->store;
}

/* ---- Ends of effects. ----------------------------------------------------------------------------------------------------- */

void device_succeed(struct device *device)
{
    device->effect = false;
    device->deaths = 0;
    if (device->backend != NULL)
        xendev_backend_done(device->backend, 0, NULL);
}

/* `device->failure` says why. */
static void give_up(struct device *device, int err)
{
    log_error(&device->log, "%s", device->failure);
    device_remove_file(device, DEVICE_CONNECTION_FILE);
    device_kind(device)->let_go(device);
    device->state = DEVICE_IDLE;
    device->deaths = 0;
    if (device->effect) {
        device->effect = false;
        xendev_backend_done(device->backend, err, device->failure);
    } else if (device->backend != NULL) {
        xendev_backend_fail(device->backend, device->failure);
    }
}

void device_give_up(struct device *device, int err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    /* clang 14 does not see the line above. NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    vsnprintf(device->failure, sizeof(device->failure), format, args);
    va_end(args);
    give_up(device, err);
}

/* A worker's words, which may have no end. */
static void note_reason(struct device *device, const char reason[BACKEND_REASON_SIZE])
{
    snprintf(device->failure, sizeof(device->failure), "%.*s", BACKEND_REASON_SIZE, reason);
}

void device_refuse(struct device *device, const struct backend_head *message)
{
    note_reason(device, message->reason);
    give_up(device, message->result);
}

void device_fail(struct device *device, const char reason[BACKEND_REASON_SIZE])
{
    note_reason(device, reason);
    log_error(&device->log, "%s", device->failure);
    if (device->backend != NULL)
        xendev_backend_fail(device->backend, device->failure);
}

void device_offer(struct device *device)
{
    int err = device_kind(device)->offer(device);

    device->state = DEVICE_IDLE;
    if (err < 0)
        device_give_up(device, err, "xenstore: %s", strerror(-err));
    else
        device_succeed(device);
}

/* ---- What is kept of it. -------------------------------------------------------------------------------------------------- */

void device_remove_file(struct device *device, const char *name)
{
    int err = rundir_remove(device->dir, name);

    if (err < 0)
        log_error(&device->log, "%s cannot be removed: %s", name, strerror(-err));
}

bool device_is_recorded(int device_dir)
{
    return faccessat(device_dir, DEVICE_CONNECTION_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void device_set_crashed(struct device *device, bool crashed)
{
    int err = 0;

    if (crashed)
        err = rundir_write(device->dir, DEVICE_CRASHED_FILE, "", 0);
    else if (device->crashed)
        device_remove_file(device, DEVICE_CRASHED_FILE);
    device->crashed = crashed;
    if (err < 0)
        log_warning(&device->log, "the next supervisor may not hold the crash against its requests: %s",
                    strerror(-err));
}

void device_load_restarts(int device_dir, struct device_restarts *ret_restarts)
{
    if (rundir_read(device_dir, RESTARTS_FILE, ret_restarts, sizeof(*ret_restarts)) < 0 ||
        ret_restarts->version != RESTARTS_VERSION) /* none yet, or of another version */
        *ret_restarts = (struct device_restarts){.version = RESTARTS_VERSION, .recovery_ms = -1};
}

void device_count_restart(struct device *device)
{
    device->restarts.count++;
    device_save_restarts(device);
}

void device_save_restarts(struct device *device)
{
    int err = rundir_write(device->dir, RESTARTS_FILE, &device->restarts, sizeof(device->restarts));

    if (err < 0)
        log_warning(&device->log, "the next supervisor will not know of its restarts: %s", strerror(-err));
}

/* ---- Coming and going. ----------------------------------------------------------------------------------------------------------------- */

static void device_free(struct device *device)
{
    serve_forget(device);
    LIST_REMOVE(device, entry);
    device_kind(device)->fini(device);
    close(device->dir);
    free(device);
}

/* `backend` may be NULL. */
static int device_new(struct guest *guest, uint32_t devid, struct xendev_backend *backend, struct device **ret_device)
{
    const struct backend_kind *kind = guest->backend->kind;
    char name[RUNDIR_NAME_SIZE];
    struct device *device = calloc(1, kind->device_size);
    int err;

    if (device == NULL)
        return -ENOMEM;
    rundir_device_name(devid, name);
    if (guest->expected > 0 && faccessat(guest->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        guest->expected--;
    device->dir = rundir_enter(guest->dir, name);
    if (device->dir < 0) {
        err = device->dir;
        free(device);
        return err;
    }
    device->guest = guest;
    device->backend = backend;
    device->devid = devid;
    device->connection = (void *)((char *)device + kind->connection_offset);
    LIST_INSERT_HEAD(&guest->devices, device, entry);
    log_source_init(&device->log, "%s %" PRIu32 "/%" PRIu32, guest->backend->config->device_kind, guest->domid, devid);
    device->crashed = faccessat(device->dir, DEVICE_CRASHED_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    device_load_restarts(device->dir, &device->restarts);
    parking_load(device);
    err = kind->init(device);
    if (err < 0) {
        device_free(device);
        return err;
    }
    *ret_device = device;
    return 0;
}

int device_load(struct guest *guest, uint32_t devid, struct device **ret_device)
{
    return device_new(guest, devid, NULL, ret_device);
}

struct device *device_get(struct xendev_backend *backend)
{
    struct backend *owner = xendev_bus_owner(xendev_backend_bus(backend));
    const uint32_t domid = xendev_backend_domid(backend), devid = xendev_backend_devid(backend);
    struct device *device = xendev_backend_data(backend);
    char identity[XENDEV_IDENTITY_SIZE];
    char name[RUNDIR_NAME_SIZE];
    struct guest *guest = NULL;
    int err;

    if (device != NULL)
        return device;
    err = xendev_domain_identity(owner->store, domid, identity);
    if (err == 0)
        err = rundir_guest_name(domid, identity, name);
    if (err == 0)
        err = guest_get(owner, domid, name, &guest);
    if (err == 0) {
        device = guest_device(guest, devid);
        err = device == NULL ? device_new(guest, devid, backend, &device) : 0;
    }
    if (device == NULL) {
        log_error(NULL, "%s cannot be served: %s", xendev_backend_path(backend), strerror(-err));
        if (guest != NULL)
            guest_release(guest);
        return NULL;
    }
    device->backend = backend;
    device->gone = false;
    if (owner->kind->meet != NULL)
        owner->kind->meet(device);
    xendev_backend_set_data(backend, device);
    return device;
}

void device_release(struct device *device)
{
    struct guest *guest = device->guest;
    char name[RUNDIR_NAME_SIZE];

    device_kind(device)->discard(device);
    rundir_device_name(device->devid, name);
    rundir_remove(guest->dir, name);
    log_info(&device->log, "gone");
    device_free(device);
    adopt_sweep(guest);
    guest_release(guest);
}

void device_forget(struct device *device)
{
    if (device->backend != NULL)
        xendev_backend_set_data(device->backend, NULL);
    device_free(device);
}

/* ---- What xenbus says. ---------------------------------------------------------------------------------------------------- */

enum xenbus_state device_own_state(const struct device *device)
{
    return device->backend != NULL ? xendev_backend_state(device->backend) : XENBUS_UNKNOWN;
}

enum xenbus_state device_front_state(const struct device *device)
{
    return device->backend != NULL ? xendev_backend_front_state(device->backend) : XENBUS_UNKNOWN;
}

bool device_is_wanted(const struct device *device)
{
    const enum xenbus_state own = device_own_state(device);
    const enum xenbus_state front = device_front_state(device);
    const bool closing = own == XENBUS_CLOSING || front == XENBUS_CLOSING;

    if (front != XENBUS_INITIALISED && front != XENBUS_CONNECTED && front != XENBUS_CLOSING)
        return false;
    /* A closing front end uses what it was connected to until it is closed. */
    return own != XENBUS_UNKNOWN && (device->state == DEVICE_RECOVERING || !closing);
}

const char *device_last_error(const struct device *device)
{
    if (device->backend != NULL)
        return xendev_backend_error(device->backend);
    return device->failure[0] != '\0' ? device->failure : NULL;
}

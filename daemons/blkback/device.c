/* SPDX-License-Identifier: MIT */
/*
 * A disk's life as xenbus has it: made with the first effect, opened and described here, served by serve.c, forgotten with release.
 */
#include "device.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <event2/event.h>

#include <ring/back.h>

#include "adopt.h"
#include "blkback.h"
#include "frontend.h"
#include "guest.h"
#include "offer.h"
#include "opening.h"
#include "record.h"
#include "serve.h"

const char *device_state_name(enum device_state state)
{
    static const char *const names[] = {"idle",      "adopting",  "opening",   "checking",   "waiting-for-image",
                                        "measuring", "attaching", "connected", "recovering", "disconnecting",
                                        "parked"};
    static_assert(sizeof(names) / sizeof(names[0]) == DEVICE_STATES, "one name a state");

    return names[state];
}

void device_ram_name(const char *guest_name, uint32_t devid, char ret_name[DEVICE_RAM_NAME_SIZE])
{
    static_assert(DEVICE_RAM_NAME_SIZE >= RUNDIR_NAME_SIZE + sizeof("-4294967295"), "room for both parts");

    snprintf(ret_name, DEVICE_RAM_NAME_SIZE, "%s-%" PRIu32, guest_name, devid);
}

/* ---- Ends of effects. ----------------------------------------------------------------------------------------------------- */

void device_succeed(struct device *device)
{
    device->effect = false;
    device->deaths = 0;
    xendev_backend_done(device->backend, 0, NULL);
}

void device_close_image(struct device *device)
{
    if (device->image_fd < 0)
        return;
    /* The worker's copy may live on for a moment, in an io_uring the kernel is taking apart; the next user need not wait for that. */
    flock(device->image_fd, LOCK_UN);
    close(device->image_fd);
    device->image_fd = -1;
}

void device_remove_file(struct device *device, const char *name)
{
    int err = rundir_remove(device->dir, name);

    if (err < 0)
        log_error(&device->log, "%s cannot be removed: %s", name, strerror(-err));
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

void device_give_up(struct device *device, int err, const char *format, ...)
{
    char reason[DEVICE_REASON_SIZE];
    va_list args;

    va_start(args, format);
    /* clang 14 does not see the line above. NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    log_error(&device->log, "%s", reason);
    device_remove_file(device, DEVICE_CONNECTION_FILE);
    device_close_image(device);
    device->state = DEVICE_IDLE;
    device->deaths = 0;
    if (device->effect) {
        device->effect = false;
        xendev_backend_done(device->backend, err, reason);
    } else {
        xendev_backend_fail(device->backend, reason);
    }
}

void device_offer(struct device *device)
{
    int err = offer_features(device);

    if (err < 0)
        device_give_up(device, err, "xenstore: %s", strerror(-err));
    else
        device_succeed(device);
}

/* ---- The image. ------------------------------------------------------------------------------------------------------------- */

static int read_image(struct device *device, bool script_done, struct disk_error *ret_error)
{
    const struct blkback *blkback = device->guest->blkback;
    char name[DEVICE_RAM_NAME_SIZE];
    char path[PATH_MAX];

    device_ram_name(device->guest->name, device->devid, name);
    snprintf(path, sizeof(path), "%s/%s", blkback->config.ram_dir, name);
    return image_read(blkback->store, xendev_backend_path(device->backend), path, script_done, &device->image,
                      ret_error);
}

static void on_opened(void *arg, int fd, const struct disk_error *error)
{
    struct device *device = arg;

    device->opening = NULL;
    device->state = DEVICE_IDLE;
    if (fd < 0) {
        device_give_up(device, fd, "%s", error->text);
        return;
    }
    device->image_fd = fd;
    device->opened(device);
}

/* Opens the image as it will be used; then comes `opened`. A RAM disk is made for a new connection only: one that is resumed without its
 * content must not go on with zeros. */
static void open_image(struct device *device, void (*opened)(struct device *device))
{
    struct disk_source *source = &device->image.source;
    int err;

    source->create = opened != serve_resume;
    device_close_image(device);
    device->state = DEVICE_OPENING;
    device->opened = opened;
    err = opening_start(device->guest->blkback->base, source, device->image.read_only, on_opened, device,
                        &device->opening);
    if (err < 0)
        device_give_up(device, err, "%s cannot be opened: %s", source->path, strerror(-err));
}

/* The image can be opened as it will be used: has the worker look at it, in a way that cannot change it. */
static void check_image(struct device *device)
{
    struct disk_error error;

    if (!device->image.read_only) {
        device_close_image(device);
        device->image_fd = disk_source_open(&device->image.source, true, &error);
        if (device->image_fd < 0) {
            device_give_up(device, device->image_fd, "%s", error.text);
            return;
        }
    }
    /* What somebody writes to (the source of a migration, most likely) cannot be judged now; connect looks at it again. */
    if (disk_source_lock(device->image_fd, true) == -EWOULDBLOCK) {
        log_info(&device->log, "%s is in use elsewhere; it is looked at later", device->image.source.path);
        device_close_image(device);
        device_offer(device);
        return;
    }
    serve_check(device);
}

/* ---- What xenbus wants. ----------------------------------------------------------------------------------------------------------------- */

static void device_free(struct device *device)
{
    serve_forget(device);
    LIST_REMOVE(device, entry);
    opening_cancel(device->opening);
    if (device->image_fd >= 0)
        close(device->image_fd);
    image_fini(&device->image);
    if (device->lock_timer != NULL)
        event_free(device->lock_timer);
    if (device->dir >= 0)
        close(device->dir);
    free(device);
}

static int device_new(struct guest *guest, struct xendev_backend *backend, struct device **ret_device)
{
    const struct blkback *blkback = guest->blkback;
    char name[RUNDIR_NAME_SIZE];
    struct device *device = calloc(1, sizeof(*device));
    struct disk_error unused;
    int err = 0;

    if (device == NULL)
        return -ENOMEM;
    device->guest = guest;
    device->backend = backend;
    device->devid = xendev_backend_devid(backend);
    device->image_fd = -1;
    LIST_INSERT_HEAD(&guest->devices, device, entry);
    log_source_init(&device->log, "%s %" PRIu32 "/%" PRIu32, blkback->config.kind, guest->domid, device->devid);
    rundir_device_name(device->devid, name);
    if (guest->expected > 0 && faccessat(guest->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        guest->expected--;
    device->dir = rundir_enter(guest->dir, name);
    if (device->dir < 0)
        err = device->dir;
    if (err == 0 && rundir_read(device->dir, RESTARTS_FILE, &device->restarts, sizeof(device->restarts)) < 0)
        device->restarts = (struct device_restarts){.recovery_ms = -1}; /* none yet */
    if (err == 0)
        parking_load(device);
    device->crashed = guest->found_crashed;
    if (err == 0 && guest->found_dead && faccessat(device->dir, DEVICE_CONNECTION_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        device_count_restart(device); /* it was connected then */
    device->lock_timer = evtimer_new(blkback->base, serve_on_lock_timer, device);
    if (err == 0 && device->lock_timer == NULL)
        err = -ENOMEM;
    if (err < 0) {
        device_free(device);
        return err;
    }
    /* For reports, until prepare or connect look at it: it may have been closed under a predecessor, or by one. */
    (void)read_image(device, true, &unused);
    offer_read_back(device);
    *ret_device = device;
    return 0;
}

/* The device of a back end, made when it is new, with its guest. NULL when that is impossible; the reason is logged. */
static struct device *device_get(struct xendev_backend *backend)
{
    struct blkback *blkback = xendev_bus_owner(xendev_backend_bus(backend));
    const uint32_t domid = xendev_backend_domid(backend);
    struct device *device = xendev_backend_data(backend);
    char identity[XENDEV_IDENTITY_SIZE];
    char name[RUNDIR_NAME_SIZE];
    struct guest *guest = NULL;
    int err;

    if (device != NULL)
        return device;
    err = xendev_domain_identity(blkback->store, domid, identity);
    if (err == 0)
        err = rundir_guest_name(domid, identity, name);
    if (err == 0)
        err = guest_get(blkback, domid, name, &guest);
    if (err == 0)
        err = device_new(guest, backend, &device);
    if (err < 0) {
        log_error(NULL, "%s cannot be served: %s", xendev_backend_path(backend), strerror(-err));
        if (guest != NULL)
            guest_release(guest);
        return NULL;
    }
    xendev_backend_set_data(backend, device);
    return device;
}

static const char no_device[] = "out of memory or files";

static void op_resume(struct xendev_backend *backend);
static void op_disconnect(struct xendev_backend *backend);

/* Whether an effect has to wait for the worker of an earlier supervisor: to say what it holds, or to let go of what it may not hold. */
static bool has_to_wait(struct device *device, void (*effect)(struct xendev_backend *backend))
{
    struct held *held = adopt_find(device->guest, device->devid);
    bool waits = device->guest->unknown;

    if (!waits && held != NULL && effect != op_resume && effect != op_disconnect)
        adopt_let_go(device->guest, held);
    waits = waits || (held != NULL && held->leaving);
    if (waits) {
        device->wanted = effect;
        device->state = DEVICE_ADOPTING;
    }
    return waits;
}

void device_go_on(struct device *device)
{
    void (*const effect)(struct xendev_backend * backend) = device->wanted;

    if (effect == NULL)
        return;
    device->wanted = NULL;
    device->state = DEVICE_IDLE;
    effect(device->backend);
}

static void op_prepare(struct xendev_backend *backend)
{
    struct device *device = device_get(backend);
    struct disk_error error;
    int err;

    if (device == NULL) {
        xendev_backend_done(backend, -ENOMEM, no_device);
        return;
    }
    if (has_to_wait(device, op_prepare))
        return;
    device->effect = true;
    /* Of a supervisor that died before it wrote Connected, or of a disk that was removed and made anew under one that was dead. */
    device_remove_file(device, DEVICE_CONNECTION_FILE);
    parking_end(device);
    err = read_image(device, false, &error);
    if (err == 0 && device->image.by_script) {
        device_offer(device); /* the image is looked at when the script has made it */
        return;
    }
    if (err < 0) {
        device_give_up(device, err, "%s", error.text);
        return;
    }
    open_image(device, check_image);
}

/* What the front end says of its ring, and what the image is. */
static int read_both(struct device *device, struct blkback_connection *ret_connection, struct disk_error *ret_error)
{
    const struct blkback *blkback = device->guest->blkback;
    int err = frontend_read(blkback->store, xendev_backend_front(device->backend), ret_connection, ret_error);

    if (err == 0 && ret_connection->persistent != 0)
        ret_connection->persistent = (uint32_t)blkback->config.persistent_grants;
    return err < 0 ? err : read_image(device, true, ret_error);
}

static void op_connect(struct xendev_backend *backend)
{
    struct device *device = xendev_backend_data(backend);
    struct disk_error error;
    int err;

    if (device == NULL) { /* prepare had no memory for it */
        xendev_backend_done(backend, -ENOMEM, no_device);
        return;
    }
    device->effect = true;
    err = read_both(device, &device->connection, &error);
    if (err < 0) {
        device_give_up(device, err, "%s", error.text);
        return;
    }
    open_image(device, serve_connect);
}

/* The record is of another version: when nothing is in flight it is made anew, from what the front end says of its ring. */
static int renew_connection(struct device *device, const struct blkback_connection *recorded,
                            struct disk_error *ret_error)
{
    struct blkback_connection connection;
    uint32_t journal_version;
    int err;

    if (record_judge(device->dir, recorded->generation, &journal_version) != RING_JOURNAL_DRAINED) {
        snprintf(ret_error->text, sizeof(ret_error->text),
                 "its connection was recorded by version %" PRIu32
                 " with requests in flight, and this is %s, which knows %u: "
                 "it cannot be continued",
                 recorded->version, RINGBACK_VERSION, BLKBACK_CONNECTION_VERSION);
        return -EPROTONOSUPPORT;
    }
    err = read_both(device, &connection, ret_error);
    if (err < 0)
        return err;
    connection.generation = recorded->generation;
    connection.image = serve_image(device);
    err = rundir_write(device->dir, DEVICE_CONNECTION_FILE, &connection, sizeof(connection));
    if (err < 0) {
        snprintf(ret_error->text, sizeof(ret_error->text), "its connection cannot be recorded: %s", strerror(-err));
        return err;
    }
    device->connection = connection;
    return 0;
}

/* Reads the record of the connection, and what image it is to. */
static int load_connection(struct device *device, struct disk_error *ret_error)
{
    struct blkback_connection connection;
    int err = record_load(device->dir, &connection);

    if (err == -EPROTONOSUPPORT)
        return renew_connection(device, &connection, ret_error);
    if (err < 0) {
        snprintf(ret_error->text, sizeof(ret_error->text), "it was connected, but there is no record of how: %s",
                 strerror(-err));
        return err;
    }
    err = read_image(device, true, ret_error);
    if (err < 0)
        return err;
    if (strcmp(connection.image.kind, disk_kind_name(device->image.source.kind)) != 0 ||
        connection.image.read_only != device->image.read_only) {
        snprintf(ret_error->text, sizeof(ret_error->text), "it was connected with another kind of disk or mode");
        return -EINVAL;
    }
    device->connection = connection;
    return 0;
}

static void op_resume(struct xendev_backend *backend)
{
    struct device *device = device_get(backend);
    struct disk_error error;
    int err;

    if (device == NULL) {
        xendev_backend_done(backend, -ENOMEM, no_device);
        return;
    }
    if (has_to_wait(device, op_resume))
        return;
    device->effect = true;
    err = load_connection(device, &error);
    if (err == -ENOENT && xendev_backend_state(backend) == XENBUS_CLOSING) {
        device->effect = false; /* an earlier supervisor had disconnected it and not yet said so */
        xendev_backend_done(backend, err, error.text);
        return;
    }
    if (err < 0) {
        device_give_up(device, err, "%s", error.text);
        return;
    }
    if (!serve_adopt(device))
        open_image(device, serve_resume);
}

static void op_disconnect(struct xendev_backend *backend)
{
    struct device *device = device_get(backend); /* new when it was found closing: a worker may serve it still */

    if (device == NULL) {
        xendev_backend_done(backend, 0, NULL);
        return;
    }
    if (has_to_wait(device, op_disconnect))
        return;
    device->effect = false;
    serve_disconnect(device);
}

static void op_release(struct xendev_backend *backend)
{
    struct device *device = xendev_backend_data(backend);
    char ram_name[DEVICE_RAM_NAME_SIZE];
    char name[RUNDIR_NAME_SIZE];
    struct guest *guest;

    if (device == NULL)
        return;
    guest = device->guest;
    device_ram_name(guest->name, device->devid, ram_name);
    rundir_remove(guest->blkback->ram_dir, ram_name);
    rundir_device_name(device->devid, name);
    rundir_remove(guest->dir, name);
    log_info(&device->log, "gone");
    device_free(device);
    adopt_sweep(guest);
    guest_release(guest);
}

void device_forget(struct device *device)
{
    xendev_backend_set_data(device->backend, NULL);
    device_free(device);
}

const struct xendev_backend_ops device_ops = {
    .prepare = op_prepare,
    .connect = op_connect,
    .resume = op_resume,
    .disconnect = op_disconnect,
    .release = op_release,
};

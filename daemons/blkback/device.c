/* SPDX-License-Identifier: MIT */
/*
 * A disk's life as xenbus has it: made with the first effect, opened and described here, moved by effects.c, served by serve.c.
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

#include "adopt.h"
#include "blkback.h"
#include "guest.h"
#include "lock.h"
#include "offer.h"
#include "opening.h"
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
    if (device->backend != NULL)
        xendev_backend_done(device->backend, 0, NULL);
}

void device_cancel_opening(struct device *device)
{
    opening_cancel(device->opening);
    device->opening = NULL;
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

void device_remove_ram(struct device *device)
{
    char name[DEVICE_RAM_NAME_SIZE];
    int err;

    device_ram_name(device->guest->name, device->devid, name);
    err = rundir_remove(device->guest->blkback->ram_dir, name);
    if (err < 0)
        log_error(&device->log, "RAM disk %s cannot be removed: %s", name, strerror(-err));
}

int device_save_image(struct device *device, uint64_t generation)
{
    device->image.generation = generation;
    return image_save(device->dir, DEVICE_IMAGE_FILE, &device->image);
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

void device_give_up(struct device *device, int err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    /* clang 14 does not see the line above. NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    vsnprintf(device->failure, sizeof(device->failure), format, args);
    va_end(args);
    log_error(&device->log, "%s", device->failure);
    device_remove_file(device, DEVICE_CONNECTION_FILE);
    device_close_image(device);
    device->state = DEVICE_IDLE;
    device->deaths = 0;
    if (device->effect) {
        device->effect = false;
        xendev_backend_done(device->backend, err, device->failure);
    } else if (device->backend != NULL) {
        xendev_backend_fail(device->backend, device->failure);
    }
}

void device_fail(struct device *device, const char *reason)
{
    log_error(&device->log, "%s", reason);
    snprintf(device->failure, sizeof(device->failure), "%s", reason);
    if (device->backend != NULL)
        xendev_backend_fail(device->backend, device->failure);
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

int device_read_image(struct device *device, bool script_done, struct disk_error *ret_error)
{
    const struct blkback *blkback = device->guest->blkback;
    char name[DEVICE_RAM_NAME_SIZE];
    char path[PATH_MAX];

    device_ram_name(device->guest->name, device->devid, name);
    snprintf(path, sizeof(path), "%s/%s", blkback->config.ram_dir, name);
    if (device->backend == NULL) {
        if (image_load(device->dir, DEVICE_IMAGE_FILE, path, &device->image) < 0) {
            snprintf(ret_error->text, sizeof(ret_error->text), "xenstore is away");
            return -ENOTCONN;
        }
        return 0;
    }
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

void device_open_image(struct device *device, void (*opened)(struct device *device))
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

void device_check_image(struct device *device)
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

/* ---- Coming and going. ----------------------------------------------------------------------------------------------------------------- */

static void device_free(struct device *device)
{
    serve_forget(device);
    LIST_REMOVE(device, entry);
    device_cancel_opening(device);
    if (device->image_fd >= 0)
        close(device->image_fd);
    image_fini(&device->image);
    if (device->lock_timer != NULL)
        event_free(device->lock_timer);
    if (device->dir >= 0)
        close(device->dir);
    free(device);
}

/* `backend` may be NULL. */
static int device_new(struct guest *guest, uint32_t devid, struct xendev_backend *backend, struct device **ret_device)
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
    device->devid = devid;
    device->image_fd = -1;
    LIST_INSERT_HEAD(&guest->devices, device, entry);
    log_source_init(&device->log, "%s %" PRIu32 "/%" PRIu32, blkback->config.kind, guest->domid, device->devid);
    rundir_device_name(device->devid, name);
    if (guest->expected > 0 && faccessat(guest->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        guest->expected--;
    device->dir = rundir_enter(guest->dir, name);
    if (device->dir < 0)
        err = device->dir;
    if (err == 0) {
        device->crashed = faccessat(device->dir, DEVICE_CRASHED_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
        device_load_restarts(device->dir, &device->restarts);
        parking_load(device);
    }
    device->lock_timer = evtimer_new(blkback->base, lock_on_timer, device);
    if (err == 0 && device->lock_timer == NULL)
        err = -ENOMEM;
    if (err < 0) {
        device_free(device);
        return err;
    }
    /* For reports, until prepare or connect look at it: it may have been closed under a predecessor, or by one. */
    (void)device_read_image(device, true, &unused);
    if (backend != NULL)
        offer_read_back(device);
    *ret_device = device;
    return 0;
}

int device_load(struct guest *guest, uint32_t devid, struct device **ret_device)
{
    return device_new(guest, devid, NULL, ret_device);
}

struct device *device_get(struct xendev_backend *backend)
{
    struct blkback *blkback = xendev_bus_owner(xendev_backend_bus(backend));
    const uint32_t domid = xendev_backend_domid(backend), devid = xendev_backend_devid(backend);
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
    if (device->sectors == 0)
        offer_read_back(device); /* it was loaded without */
    xendev_backend_set_data(backend, device);
    return device;
}

void device_release(struct device *device)
{
    struct guest *guest = device->guest;
    char name[RUNDIR_NAME_SIZE];

    device_remove_ram(device);
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

const char *device_last_error(const struct device *device)
{
    if (device->backend != NULL)
        return xendev_backend_error(device->backend);
    return device->failure[0] != '\0' ? device->failure : NULL;
}

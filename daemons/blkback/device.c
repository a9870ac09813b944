/* SPDX-License-Identifier: MIT */
/*
 * The life of a disk, seen from the supervisor:
 *
 *                prepare                     connect
 *      IDLE -----------------> CHECKING     IDLE --------> LOCKING --(free)--> MEASURING --(answer)--> ATTACHING --(answer)--> CONNECTED
 *       ^                         |                                                                                            |
 *       +--------(answer)---------+         resume: IDLE --+                                              (the worker ends)     |
 *                                                          v                                                                    |
 *                                                      RECOVERING <-------------------------------------------------------------+
 *                                                          +-----------(a successor answers)------------> CONNECTED
 *
 *      any --disconnect--> DISCONNECTING --(answer, or no worker is left)--> IDLE
 *
 * The run directory of a device holds `connection` (struct blkback_connection), `journal` and `counters`. `connection` is there exactly as
 * long as the device can be recovered: written before the worker first hears of the ring, removed before any state but Connected can be
 * written. A worker that ends on the way up changes nothing: its successor is asked the same, and a ring that nobody saw Connected is
 * attached afresh. Only a device that was Connected is recovered, from what is recorded and never from what the guest can edit.
 */
#include "device.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include <ring/back.h>
#include <xen/io/blkif.h>

#include "blkback.h"
#include "counters.h"
#include "frontend.h"
#include "guest.h"

#define CONNECTION_FILE "connection"
#define JOURNAL_FILE    "journal"
#define COUNTERS_FILE   "counters"

/* How often a lock is tried that somebody else holds. */
static const struct timeval lock_period = {.tv_usec = 50000};

/* Workers a device may use up while it is being opened, before it is given up. */
#define DEATHS_MAX 3u

/* No disk is larger: offsets in bytes must fit 63 bits. */
#define SECTORS_MAX ((uint64_t)INT64_MAX / DISK_SECTOR_SIZE)

const char *device_state_name(enum device_state state)
{
    static const char *const names[] = {"idle",      "checking",  "waiting-for-image", "measuring",
                                        "attaching", "connected", "recovering",        "disconnecting"};
    static_assert(sizeof(names) / sizeof(names[0]) == DEVICE_STATES, "one name a state");

    return names[state];
}

void device_ram_name(const char *guest_name, uint32_t devid, char ret_name[DEVICE_RAM_NAME_SIZE])
{
    static_assert(DEVICE_RAM_NAME_SIZE >= RUNDIR_NAME_SIZE + sizeof("-4294967295"), "room for both parts");

    snprintf(ret_name, DEVICE_RAM_NAME_SIZE, "%s-%" PRIu32, guest_name, devid);
}

/* ---- Ends of effects. ----------------------------------------------------------------------------------------------------- */

/* Ends the effect under way with success. */
static void succeed(struct device *device)
{
    device->effect = false;
    device->deaths = 0;
    xendev_backend_done(device->backend, 0, NULL);
}

static void close_image(struct device *device)
{
    if (device->image_fd >= 0)
        close(device->image_fd);
    device->image_fd = -1;
}

static void remove_file(struct device *device, const char *name)
{
    int err = rundir_remove(device->dir, name);

    if (err < 0)
        log_error(&device->log, "%s cannot be removed: %s", name, strerror(-err));
}

/* The device cannot go on, and no worker holds anything of it. */
static void give_up(struct device *device, int err, const char *reason)
{
    log_error(&device->log, "%s", reason);
    remove_file(device, CONNECTION_FILE);
    close_image(device);
    device->state = DEVICE_IDLE;
    device->deaths = 0;
    if (device->effect) {
        device->effect = false;
        xendev_backend_done(device->backend, err, reason);
    } else {
        xendev_backend_fail(device->backend, reason);
    }
}

__attribute__((format(printf, 4, 5))) static void give_up_because(struct device *device, int err,
                                                                  struct disk_error *room, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(room->text, sizeof(room->text), format, args);
    va_end(args);
    give_up(device, err, room->text);
}

/* ---- What the worker is told. ----------------------------------------------------------------------------------------------- */

static void tell(struct device *device, enum blkback_message_type type, struct blkback_message *message, const int *fds,
                 unsigned fd_count)
{
    message->version = BLKBACK_PROTOCOL_VERSION;
    message->type = type;
    message->devid = device->devid;
    device->told = true;
    guest_tell(device->guest, message, fds, fd_count);
}

static struct blkback_image worker_image(const struct device *device)
{
    struct blkback_image image = {.read_only = device->image.read_only};

    snprintf(image.kind, sizeof(image.kind), "%s", disk_kind_name(device->image.source.kind));
    return image;
}

static void tell_check(struct device *device)
{
    struct blkback_message message = {.check = worker_image(device)};

    tell(device, BLKBACK_CHECK, &message, &device->image_fd, 1);
}

static size_t journal_size(const struct blkback_connection *connection)
{
    const struct ring_layout layout = blkif_layout((enum blkif_abi)connection->abi, connection->ring_order);

    return ring_journal_size(&layout);
}

/* A number no connection ever had. */
static int make_generation(uint64_t *ret_generation)
{
    uint64_t generation = 0;

    while (generation == 0) {
        if (getrandom(&generation, sizeof(generation), 0) != (ssize_t)sizeof(generation))
            return -EIO;
    }
    *ret_generation = generation;
    return 0;
}

/* Tells the worker to connect, with the journal given. Takes the journal over. */
static int tell_connect(struct device *device, int journal, bool recover)
{
    struct blkback_message message = {.connect = {.connection = device->connection, .recover = recover}};
    int counters = rundir_file(device->dir, COUNTERS_FILE, sizeof(struct blkback_counters));

    if (counters < 0) /* new, or what the worker left is useless: count from zero */
        counters = rundir_create(device->dir, COUNTERS_FILE, sizeof(struct blkback_counters));
    if (counters < 0) {
        close(journal);
        return counters;
    }
    const int fds[] = {device->image_fd, journal, counters};
    tell(device, BLKBACK_CONNECT, &message, fds, sizeof(fds) / sizeof(fds[0]));
    close(counters);
    close(journal);
    return 0;
}

/* Begins a connection: a generation and a journal of its own, recorded before the worker hears of it. */
static void attach(struct device *device)
{
    struct disk_error error;
    int journal = -1;
    int err;

    device->state = DEVICE_ATTACHING;
    device->connection.image = worker_image(device);
    err = make_generation(&device->connection.generation);
    if (err == 0) {
        journal = rundir_create(device->dir, JOURNAL_FILE, journal_size(&device->connection));
        err = journal < 0 ? journal : 0;
    }
    if (err == 0)
        err = rundir_write(device->dir, CONNECTION_FILE, &device->connection, sizeof(device->connection));
    if (err == 0)
        err = tell_connect(device, journal, false);
    else if (journal >= 0)
        close(journal);
    if (err < 0)
        give_up_because(device, err, &error, "the run directory cannot be used: %s", strerror(-err));
}

/* Continues a recorded connection. */
static void recover(struct device *device)
{
    struct disk_error error;
    int journal = rundir_file(device->dir, JOURNAL_FILE, journal_size(&device->connection));
    int err = journal < 0 ? journal : tell_connect(device, journal, true);

    if (err < 0)
        give_up_because(device, err, &error, "the run directory cannot be used: %s", strerror(-err));
}

/* ---- The image. ------------------------------------------------------------------------------------------------------------- */

/* While a lock is waited for nobody else can end the effect: looks whether the connection is still wanted. A closing front end uses what
 * it was connected to until it is closed. */
static bool is_wanted(const struct device *device)
{
    const enum xenbus_state own = xendev_backend_state(device->backend);
    const enum xenbus_state front = xendev_backend_front_state(device->backend);
    const bool closing = own == XENBUS_CLOSING || front == XENBUS_CLOSING;

    if (front != XENBUS_INITIALISED && front != XENBUS_CONNECTED && front != XENBUS_CLOSING)
        return false;
    return own != XENBUS_UNKNOWN && (device->state == DEVICE_RECOVERING || !closing);
}

static void on_locked(struct device *device)
{
    const bool served = device->guest->state == GUEST_SERVED;

    if (device->state == DEVICE_LOCKING)
        device->state = DEVICE_MEASURING;
    if (served && device->state == DEVICE_MEASURING)
        tell_check(device);
    else if (served && device->state == DEVICE_RECOVERING)
        recover(device);
}

/* Goes on if the image is ours, else tries again later. */
static void lock(struct device *device)
{
    struct disk_error error;
    int err;

    event_del(device->lock_timer);
    err = disk_source_lock(device->image_fd, device->image.read_only);

    if (err == -EWOULDBLOCK && device->effect && !is_wanted(device)) {
        give_up(device, -ECANCELED, "no longer wanted while its image was in use elsewhere");
    } else if (err == -EWOULDBLOCK) {
        if (!device->lock_missed)
            log_warning(&device->log, "waits for %s, which somebody else uses", device->image.source.path);
        device->lock_missed = true;
        event_add(device->lock_timer, &lock_period);
    } else if (err < 0) {
        give_up_because(device, err, &error, "%s cannot be locked: %s", device->image.source.path, strerror(-err));
    } else {
        if (device->lock_missed)
            log_info(&device->log, "has %s now", device->image.source.path);
        device->lock_missed = false;
        on_locked(device);
    }
}

static void on_lock_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    lock(arg);
}

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

/* Opens the image as it will be used. */
static int open_image(struct device *device, struct disk_error *ret_error)
{
    int fd;

    close_image(device);
    fd = disk_source_open(&device->image.source, device->image.read_only, ret_error);
    if (fd < 0)
        return fd;
    device->image_fd = fd;
    return 0;
}

/* Opens the image so that a look at it cannot change it, after seeing that it can be opened as it will be used. */
static int open_image_to_check(struct device *device, struct disk_error *ret_error)
{
    int err = open_image(device, ret_error);

    if (err < 0 || device->image.read_only)
        return err;
    close_image(device);
    device->image_fd = disk_source_open(&device->image.source, true, ret_error);
    return device->image_fd < 0 ? device->image_fd : 0;
}

/* ---- xenstore. ---------------------------------------------------------------------------------------------------------------- */

/* Ends prepare: writes what is offered to every front end, before it writes its part. */
static void offer(struct device *device)
{
    struct disk_error error;
    int err = xendev_store_write(device->guest->blkback->store, XENDEV_NO_TXN, xendev_backend_path(device->backend),
                                 "max-ring-page-order", "%u", BLKIF_RING_ORDER_MAX);

    if (err < 0)
        give_up_because(device, err, &error, "xenstore: %s", strerror(-err));
    else
        succeed(device);
}

static int write_number(struct xendev_store *store, xendev_txn txn, const struct device *device, const char *key,
                        uint64_t value)
{
    return xendev_store_write(store, txn, xendev_backend_path(device->backend), key, "%" PRIu64, value);
}

/* What the disk is, before Connected. */
static int write_disk(struct xendev_store *store, xendev_txn txn, void *arg)
{
    const struct device *device = arg;
    const bool writable = !device->image.read_only;
    int err = write_number(store, txn, device, "feature-flush-cache", writable);

    if (err == 0)
        err = write_number(store, txn, device, "feature-barrier", 0);
    if (err == 0)
        err = write_number(store, txn, device, "sectors", device->sectors);
    if (err == 0)
        err = write_number(store, txn, device, "info", writable ? 0 : VDISK_READONLY);
    if (err == 0)
        err = write_number(store, txn, device, "sector-size", device->sector_size);
    if (err == 0)
        err = write_number(store, txn, device, "physical-sector-size", device->physical_sector_size);
    return err;
}

/* What write_disk() wrote, for a device found Connected. */
static void read_disk(struct device *device)
{
    struct xendev_store *store = device->guest->blkback->store;
    const char *path = xendev_backend_path(device->backend);

    /* For reports only: what cannot be read stays 0. */
    (void)xendev_store_read_u64(store, XENDEV_NO_TXN, path, "sectors", &device->sectors);
    (void)xendev_store_read_u32(store, XENDEV_NO_TXN, path, "sector-size", &device->sector_size);
    (void)xendev_store_read_u32(store, XENDEV_NO_TXN, path, "physical-sector-size", &device->physical_sector_size);
}

/* ---- What the worker answers. --------------------------------------------------------------------------------------------------- */

static bool is_sector_size(uint32_t size)
{
    return size >= DISK_SECTOR_SIZE && (size & (size - 1)) == 0;
}

static int on_checked(struct device *device, const struct blkback_message *message)
{
    if (device->state != DEVICE_CHECKING && device->state != DEVICE_MEASURING)
        return -EPROTO;
    if (message->result == 0 &&
        (message->checked.sectors > SECTORS_MAX || !is_sector_size(message->checked.sector_size) ||
         !is_sector_size(message->checked.physical_sector_size)))
        return -EPROTO;
    device->told = false;
    if (message->result < 0) {
        give_up(device, message->result, message->error.text);
        return 0;
    }
    device->sectors = message->checked.sectors;
    device->sector_size = message->checked.sector_size;
    device->physical_sector_size = message->checked.physical_sector_size;
    if (device->state == DEVICE_MEASURING) {
        attach(device);
        return 0;
    }
    close_image(device);
    device->state = DEVICE_IDLE;
    offer(device);
    return 0;
}

static void on_attached(struct device *device)
{
    int err = xendev_store_transact(device->guest->blkback->store, write_disk, device);

    device->state = DEVICE_CONNECTED;
    if (err < 0) { /* the worker is told to let go when the failure makes its way to disconnect */
        log_error(&device->log, "xenstore: %s", strerror(-err));
        device->effect = false;
        xendev_backend_done(device->backend, err, "xenstore cannot be written");
        return;
    }
    log_info(&device->log, "connected: %s, %" PRIu64 " bytes%s, ring of %u pages", device->image.spec,
             device->sectors * DISK_SECTOR_SIZE, device->image.read_only ? ", read-only" : "",
             1u << device->connection.ring_order);
    succeed(device);
}

static void on_recovered(struct device *device)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    device->recovery_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - device->guest->died_ms;
    device->state = DEVICE_CONNECTED;
    log_info(&device->log, "recovered by worker %d, %" PRId64 " ms after its predecessor's end",
             worker_pid(device->guest->worker), device->recovery_ms);
    if (device->effect)
        succeed(device);
}

static int on_connected(struct device *device, const struct blkback_message *message)
{
    if (device->state == DEVICE_DISCONNECTING)
        return 0; /* overtaken */
    if (device->state != DEVICE_ATTACHING && device->state != DEVICE_RECOVERING)
        return -EPROTO;
    if (message->result < 0) {
        device->told = false;
        give_up(device, message->result, message->error.text);
    } else if (device->state == DEVICE_ATTACHING) {
        on_attached(device);
    } else {
        on_recovered(device);
    }
    return 0;
}

static int on_failed(struct device *device, const struct blkback_message *message)
{
    if (device->state == DEVICE_DISCONNECTING)
        return 0;
    if (device->state != DEVICE_CONNECTED)
        return -EPROTO;
    log_error(&device->log, "%s", message->error.text);
    xendev_backend_fail(device->backend, message->error.text);
    return 0;
}

static void finish_disconnect(struct device *device)
{
    close_image(device);
    remove_file(device, JOURNAL_FILE);
    device->state = DEVICE_IDLE;
    device->told = false;
    xendev_backend_done(device->backend, 0, NULL);
}

int device_answered(struct device *device, struct blkback_message *message)
{
    message->error.text[sizeof(message->error.text) - 1] = '\0';
    if (!device->told || message->result > 0)
        return -EPROTO;
    switch (message->type) {
    case BLKBACK_CHECKED:
        return on_checked(device, message);
    case BLKBACK_CONNECTED:
        return on_connected(device, message);
    case BLKBACK_FAILED:
        return on_failed(device, message);
    case BLKBACK_DISCONNECTED:
        if (device->state != DEVICE_DISCONNECTING)
            return -EPROTO;
        finish_disconnect(device);
        return 0;
    default:
        return -EPROTO;
    }
}

/* ---- Workers come and go. ----------------------------------------------------------------------------------------------------------- */

void device_served(struct device *device)
{
    switch (device->state) {
    case DEVICE_CHECKING:
    case DEVICE_MEASURING:
        tell_check(device);
        break;
    case DEVICE_ATTACHING:
        attach(device);
        break;
    case DEVICE_RECOVERING:
        lock(device); /* the image may still be open by a worker of an earlier supervisor */
        break;
    default:
        break;
    }
}

void device_unserved(struct device *device, const char *reason)
{
    struct disk_error error;

    device->told = false;
    switch (device->state) {
    case DEVICE_CHECKING:
    case DEVICE_MEASURING:
    case DEVICE_ATTACHING:
        if (++device->deaths >= DEATHS_MAX)
            give_up_because(device, -EIO, &error, "its worker ended again and again while opening %s: %s",
                            device->image.source.path, reason);
        break;
    case DEVICE_CONNECTED:
        device->state = DEVICE_RECOVERING;
        device->restarts++;
        break;
    case DEVICE_RECOVERING:
        device->restarts++;
        break;
    default:
        break;
    }
}

void device_fenced(struct device *device)
{
    if (device->state == DEVICE_DISCONNECTING)
        finish_disconnect(device);
}

/* ---- What xenbus wants. ----------------------------------------------------------------------------------------------------------------- */

static void device_free(struct device *device)
{
    LIST_REMOVE(device, entry);
    close_image(device);
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
    int err = 0;

    if (device == NULL)
        return -ENOMEM;
    device->guest = guest;
    device->backend = backend;
    device->devid = xendev_backend_devid(backend);
    device->image_fd = -1;
    device->recovery_ms = -1;
    LIST_INSERT_HEAD(&guest->devices, device, entry);
    if (guest->expected > 0)
        guest->expected--;
    log_source_init(&device->log, "%s %" PRIu32 "/%" PRIu32, blkback->config.kind, guest->domid, device->devid);
    rundir_device_name(device->devid, name);
    device->dir = rundir_enter(guest->dir, name);
    if (device->dir < 0)
        err = device->dir;
    device->lock_timer = evtimer_new(blkback->base, on_lock_timer, device);
    if (err == 0 && device->lock_timer == NULL)
        err = -ENOMEM;
    if (err < 0) {
        device_free(device);
        return err;
    }
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

static void op_prepare(struct xendev_backend *backend)
{
    struct device *device = device_get(backend);
    struct disk_error error;
    int err;

    if (device == NULL) {
        xendev_backend_done(backend, -ENOMEM, no_device);
        return;
    }
    device->effect = true;
    err = read_image(device, false, &error);
    if (err == 0 && device->image.by_script) {
        offer(device); /* the image is looked at when the script has made it */
        return;
    }
    if (err == 0)
        err = open_image_to_check(device, &error);
    if (err < 0) {
        give_up(device, err, error.text);
        return;
    }
    /* What somebody writes to (the source of a migration, most likely) cannot be judged now; connect looks at it again. */
    if (disk_source_lock(device->image_fd, true) == -EWOULDBLOCK) {
        log_info(&device->log, "%s is in use elsewhere; it is looked at later", device->image.source.path);
        close_image(device);
        offer(device);
        return;
    }
    device->state = DEVICE_CHECKING;
    if (device->guest->state == GUEST_SERVED)
        tell_check(device);
}

static void op_connect(struct xendev_backend *backend)
{
    struct device *device = xendev_backend_data(backend);
    struct disk_error error;
    int err;

    if (device ==
        NULL) { /* prepare failed for want of memory; it is not connected then, but that is not ours to rely on */
        xendev_backend_done(backend, -ENOMEM, no_device);
        return;
    }
    device->effect = true;
    err = frontend_read(device->guest->blkback->store, xendev_backend_front(backend), &device->connection, &error);
    if (err == 0)
        err = read_image(device, true, &error);
    if (err == 0)
        err = open_image(device, &error);
    if (err < 0) {
        give_up(device, err, error.text);
        return;
    }
    device->state = DEVICE_LOCKING;
    lock(device);
}

/* Reads the record of the connection and opens its image. */
static int load_connection(struct device *device, struct disk_error *ret_error)
{
    struct blkback_connection connection;
    int err = rundir_read(device->dir, CONNECTION_FILE, &connection, sizeof(connection));

    if (err == 0 && !frontend_connection_is_valid(&connection))
        err = -EBADMSG;
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
    return open_image(device, ret_error);
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
    device->effect = true;
    err = load_connection(device, &error);
    if (err == -ENOENT && xendev_backend_state(backend) == XENBUS_CLOSING) {
        device->effect = false; /* an earlier supervisor had disconnected it and not yet said so */
        xendev_backend_done(backend, err, error.text);
        return;
    }
    if (err < 0) {
        give_up(device, err, error.text);
        return;
    }
    read_disk(device);
    device->state = DEVICE_RECOVERING;
    if (device->guest->state == GUEST_SERVED)
        device_served(device);
}

static void op_disconnect(struct xendev_backend *backend)
{
    struct device *device = device_get(backend); /* new when it was found closing: a worker may serve it still */

    if (device == NULL) {
        xendev_backend_done(backend, 0, NULL);
        return;
    }
    remove_file(device, CONNECTION_FILE);
    event_del(device->lock_timer);
    device->effect = false;
    device->state = DEVICE_DISCONNECTING;
    if (device->told) {
        struct blkback_message message = {0};
        tell(device, BLKBACK_DISCONNECT, &message, NULL, 0);
    } else if (device->guest->state == GUEST_SERVED || device->guest->state == GUEST_WAITING) {
        finish_disconnect(device);
    }
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

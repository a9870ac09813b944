/* SPDX-License-Identifier: MIT */
/*
 * How a worker comes to serve a disk:
 *
 *                prepare                     connect
 *      IDLE -----------------> CHECKING     IDLE --------> LOCKING --(free)--> MEASURING --(answer)--> ATTACHING --(answer)--> CONNECTED
 *       ^                         |                                                                                            |
 *       +--------(answer)---------+         resume: IDLE --+                                              (the worker ends)     |
 *                                                          v                                                                    |
 *                                                      RECOVERING <-------------------------------------------------------------+
 *                                                          +-----------(a successor answers)------------> CONNECTED
 *                                                          |                                                   |
 *                                                          +--(it was parked)--> PARKED <--(the worker cannot)-+
 *                                                          ^                       |
 *                                                          +------(resume)---------+
 *
 *      any --disconnect--> DISCONNECTING --(answer, or no worker is left)--> IDLE
 *      IDLE --any of these, while it is not known what an earlier supervisor's worker holds--> ADOPTING --(known)--> as above, or
 *      IDLE --resume, and that worker serves it as recorded--> CONNECTED
 *
 * The run directory of a device holds `connection` (struct blkback_connection), `journal` and `counters`. `connection` is there exactly as
 * long as the device can be recovered: written before the worker first hears of the ring, removed before any state but Connected can be
 * written. A worker that ends on the way up changes nothing: its successor is asked the same, and a ring that nobody saw Connected is
 * attached afresh. Only a device that was Connected is recovered, from what is recorded and never from what the guest can edit.
 */
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include <ring/back.h>

#include "adopt.h"
#include "blkback.h"
#include "counters.h"
#include "device.h"
#include "effects.h"
#include "guest.h"
#include "lock.h"
#include "offer.h"
#include "record.h"

/* A worker that owes an answer for so long is replaced. Opening an image and waiting for its disk take part of it. A worker does one thing
 * after the other: the time of an order begins when the ones before it are answered. */
static const struct timeval answer_limit = {.tv_sec = 20};

/* Workers a device may use up while it is being opened, before it is given up. */
#define DEATHS_MAX 3u

/* No disk is larger: offsets in bytes must fit 63 bits. */
#define SECTORS_MAX ((uint64_t)INT64_MAX / DISK_SECTOR_SIZE)

/* ---- What the worker is told. ----------------------------------------------------------------------------------------------- */

static void expect_no_answer(struct device *device)
{
    struct guest *guest = device->guest;
    const bool was_first = TAILQ_FIRST(&guest->asked) == device;

    if (!device->asked)
        return;
    device->asked = false;
    TAILQ_REMOVE(&guest->asked, device, asked_entry);
    if (TAILQ_EMPTY(&guest->asked))
        event_del(guest->answer_timer);
    else if (was_first)
        event_add(guest->answer_timer, &answer_limit);
}

static void expect_answer(struct device *device)
{
    struct guest *guest = device->guest;

    expect_no_answer(device); /* the last order counts */
    device->asked = true;
    TAILQ_INSERT_TAIL(&guest->asked, device, asked_entry);
    if (TAILQ_FIRST(&guest->asked) == device)
        event_add(guest->answer_timer, &answer_limit);
}

static void tell(struct device *device, uint32_t type, struct blkback_message *message, const int *fds,
                 unsigned fd_count)
{
    message->head.version = BLKBACK_PROTOCOL_VERSION;
    message->head.type = type;
    message->head.devid = device->devid;
    device->told = true;
    expect_answer(device);
    guest_tell(device->guest, message, fds, fd_count);
}

/* No answer is due any more; `holds`: the worker still holds something of the device. */
static void answered(struct device *device, bool holds)
{
    expect_no_answer(device);
    device->told = holds;
}

struct blkback_image serve_image(const struct device *device)
{
    struct blkback_image image = {.read_only = device->image.read_only};

    snprintf(image.kind, sizeof(image.kind), "%s", disk_kind_name(device->image.source.kind));
    return image;
}

static void tell_check(struct device *device)
{
    struct blkback_message message = {.check = serve_image(device)};

    tell(device, BLKBACK_CHECK, &message, &device->image_fd, 1);
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
    struct blkback_message message = {
        .connect = {.connection = device->connection,
                    .recover = recover,
                    .crashed = device->crashed,
                    .pardon = device->pardon,
                    .attempts_max = (uint32_t)device->guest->blkback->config.attempts_max}};
    int counters = rundir_file(device->dir, DEVICE_COUNTERS_FILE, sizeof(struct blkback_counters));

    if (counters < 0) /* new, or what the worker left is useless: count from zero */
        counters = rundir_create(device->dir, DEVICE_COUNTERS_FILE, sizeof(struct blkback_counters));
    if (counters < 0) {
        close(journal);
        return counters;
    }
    const int fds[] = {device->image_fd, journal, counters};
    tell(device, BACKEND_CONNECT, &message, fds, sizeof(fds) / sizeof(fds[0]));
    close(counters);
    close(journal);
    return 0;
}

/* Begins a connection: a generation and a journal of its own, recorded before the worker hears of it. */
static void attach(struct device *device)
{
    int journal = -1;
    int err;

    device->state = DEVICE_ATTACHING;
    device_set_crashed(device, false);
    device->connection.image = serve_image(device);
    err = make_generation(&device->connection.generation);
    if (err == 0) {
        journal = record_make_journal(device->dir, &device->connection);
        err = journal < 0 ? journal : 0;
    }
    if (err == 0)
        err = device_save_image(device, device->connection.generation);
    if (err == 0)
        err = rundir_write(device->dir, DEVICE_CONNECTION_FILE, &device->connection, sizeof(device->connection));
    if (err == 0)
        err = tell_connect(device, journal, false);
    else if (journal >= 0)
        close(journal);
    if (err < 0)
        device_give_up(device, err, "the run directory cannot be used: %s", strerror(-err));
}

/* Continues a recorded connection. */
static void recover(struct device *device)
{
    uint32_t version = 0;
    int journal = record_open_journal(device->dir, &device->connection, &version);
    int err = journal < 0 ? journal : tell_connect(device, journal, true);

    if (err == -EPROTONOSUPPORT)
        device_give_up(device, err,
                       "requests in flight are in a journal of version %" PRIu32
                       ", and this is %s, which knows %" PRIu32 ": they cannot be continued",
                       version, RINGBACK_VERSION, ring_journal_version());
    else if (err == -EBADMSG || err == -ENOENT)
        device_give_up(device, err, "it was connected, but its journal is missing or damaged");
    else if (err < 0)
        device_give_up(device, err, "the run directory cannot be used: %s", strerror(-err));
}

/* Leaves it alone, as it was found. */
static void park_again(struct device *device)
{
    device->state = DEVICE_PARKED;
    log_info(&device->log, "is still parked");
    if (device->effect)
        device_succeed(device);
}

/* ---- The image. ------------------------------------------------------------------------------------------------------------- */

void serve_locked(struct device *device)
{
    const bool served = device->guest->state == GUEST_SERVED;

    if (device->state == DEVICE_LOCKING)
        device->state = DEVICE_MEASURING;
    if (served && device->state == DEVICE_MEASURING)
        tell_check(device);
    else if (served && device->state == DEVICE_RECOVERING && parking_is_due(device))
        park_again(device);
    else if (served && device->state == DEVICE_RECOVERING)
        recover(device);
}

void serve_on_answer_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    guest_replace_worker(arg, "killed because it did not answer");
}

void serve_forget(struct device *device)
{
    expect_no_answer(device);
}

/* ---- What the worker answers. --------------------------------------------------------------------------------------------------- */

static bool is_sector_size(uint32_t size)
{
    return size >= DISK_SECTOR_SIZE && (size & (size - 1)) == 0;
}

static int on_checked(struct device *device, const struct blkback_message *message)
{
    if (device->state == DEVICE_DISCONNECTING)
        return 0; /* overtaken */
    if (device->state != DEVICE_CHECKING && device->state != DEVICE_MEASURING)
        return -EPROTO;
    if (message->head.result == 0 &&
        (message->checked.sectors > SECTORS_MAX || !is_sector_size(message->checked.sector_size) ||
         !is_sector_size(message->checked.physical_sector_size)))
        return -EPROTO;
    answered(device, false);
    if (message->head.result < 0) {
        device_give_up(device, message->head.result, "%s", message->head.reason);
        return 0;
    }
    device->sectors = message->checked.sectors;
    device->sector_size = message->checked.sector_size;
    device->physical_sector_size = message->checked.physical_sector_size;
    if (device->state == DEVICE_MEASURING) {
        attach(device);
        return 0;
    }
    device_close_image(device);
    device->state = DEVICE_IDLE;
    device_offer(device);
    return 0;
}

static void on_attached(struct device *device)
{
    int err = offer_disk(device);

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
    device_succeed(device);
}

static void on_recovered(struct device *device, const struct blkback_suspects *suspects)
{
    const pid_t worker = worker_pid(device->guest->worker);
    const int64_t died_ms = device->guest->died_ms;
    struct timespec now;

    parking_suspect(device, suspects);
    device_set_crashed(device, false);
    if (device->pardon) { /* what passed since some worker's death is no measure of anything */
        device->state = DEVICE_CONNECTED;
        parking_end(device);
        log_info(&device->log, "served again by worker %d", worker);
        if (device->effect)
            device_succeed(device);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    device->restarts.recovery_ms = died_ms == 0 ? -1 : (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - died_ms;
    device_save_restarts(device);
    device->state = DEVICE_CONNECTED;
    if (died_ms == 0)
        log_info(&device->log, "recovered by worker %d", worker);
    else
        log_info(&device->log, "recovered by worker %d, %" PRId64 " ms after its predecessor's end", worker,
                 device->restarts.recovery_ms);
    if (device->effect)
        device_succeed(device);
}

static int on_connected(struct device *device, const struct blkback_message *message)
{
    if (device->state == DEVICE_DISCONNECTING)
        return 0; /* overtaken */
    if (device->state != DEVICE_ATTACHING && device->state != DEVICE_RECOVERING)
        return -EPROTO;
    answered(device, message->head.result == 0);
    if (message->head.result < 0) {
        device_give_up(device, message->head.result, "%s", message->head.reason);
    } else if (device->state == DEVICE_ATTACHING) {
        on_attached(device);
    } else {
        on_recovered(device, &message->suspects);
    }
    return 0;
}

static int on_failed(struct device *device, const struct blkback_message *message)
{
    if (device->state == DEVICE_DISCONNECTING)
        return 0;
    if (device->state != DEVICE_CONNECTED)
        return -EPROTO;
    device_fail(device, message->head.reason);
    return 0;
}

static int on_parked(struct device *device, const struct blkback_message *message)
{
    if (device->state == DEVICE_DISCONNECTING)
        return 0;
    if (device->state != DEVICE_CONNECTED)
        return -EPROTO;
    answered(device, false);
    device->state = DEVICE_PARKED;
    parking_begin(device, &message->parked);
    return 0;
}

static void finish_disconnect(struct device *device)
{
    answered(device, false);
    device_close_image(device);
    device_remove_file(device, DEVICE_JOURNAL_FILE);
    parking_end(device);
    device->state = DEVICE_IDLE;
    device->deaths = 0;
    effect_let_go(device);
}

int serve_answered(struct device *device, struct blkback_message *message)
{
    if (message->head.result < 0 || message->head.type == BACKEND_FAILED)
        message->head.reason[sizeof(message->head.reason) - 1] = '\0';
    if (!device->told || message->head.result > 0)
        return -EPROTO;
    switch (message->head.type) {
    case BLKBACK_CHECKED:
        return on_checked(device, message);
    case BACKEND_CONNECTED:
        return on_connected(device, message);
    case BACKEND_FAILED:
        return on_failed(device, message);
    case BACKEND_PARKED:
        return on_parked(device, message);
    case BACKEND_DISCONNECTED:
        if (device->state != DEVICE_DISCONNECTING)
            return -EPROTO;
        finish_disconnect(device);
        return 0;
    default:
        return -EPROTO;
    }
}

/* ---- Workers come and go. ----------------------------------------------------------------------------------------------------------- */

void serve_begin(struct device *device)
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
        lock_image(device); /* the image may still be open by a worker of an earlier supervisor */
        break;
    default:
        break;
    }
}

void serve_end(struct device *device, bool died, bool crashed)
{
    answered(device, false);
    switch (device->state) {
    case DEVICE_CHECKING:
    case DEVICE_MEASURING:
    case DEVICE_ATTACHING:
        device->deaths += died;
        break;
    case DEVICE_IDLE:
    case DEVICE_ADOPTING: /* it may have been served by one of an earlier supervisor */
        if (!device_is_recorded(device->dir) || parking_is_recorded(device->dir))
            break;
        if (crashed)
            device_set_crashed(device, true);
        if (died)
            device_count_restart(device);
        break;
    case DEVICE_CONNECTED:
        device_set_crashed(device, crashed);
        /* fall through */
    case DEVICE_RECOVERING: /* nothing was executed, so what is to be said of the one before stays */
        device->state = DEVICE_RECOVERING;
        if (died)
            device_count_restart(device);
        break;
    default:
        break;
    }
}

void serve_fenced(struct device *device)
{
    if (device->state == DEVICE_DISCONNECTING)
        finish_disconnect(device);
    else if (device->deaths >= DEATHS_MAX)
        device_give_up(device, -EIO, "its worker ended again and again while opening %s: %s", device->image.source.path,
                       device->guest->restarts.last_death);
}

/* ---- What xenbus wants. ----------------------------------------------------------------------------------------------------------------- */

void serve_check(struct device *device)
{
    device->state = DEVICE_CHECKING;
    if (device->guest->state == GUEST_SERVED)
        tell_check(device);
}

void serve_connect(struct device *device)
{
    device->state = DEVICE_LOCKING;
    lock_image(device);
}

/* Whether that is the image of the recorded connection, as far as it can be told: its path may name another file by now. */
static bool is_own_image(const struct device *device, const struct held *held)
{
    const int mode = fcntl(held->image_fd, F_GETFL) & O_ACCMODE;

    return held->generation == device->connection.generation && mode == (device->image.read_only ? O_RDONLY : O_RDWR) &&
           disk_source_lock(held->image_fd, device->image.read_only) == 0;
}

bool serve_adopt(struct device *device)
{
    struct held *held = adopt_find(device->guest, device->devid);
    char reason[BACKEND_REASON_SIZE];
    bool failed;

    if (held == NULL)
        return false;
    if (!is_own_image(device, held)) {
        guest_replace_worker(device->guest, "killed because it held something else than is recorded");
        return false;
    }
    failed = held->failed;
    memcpy(reason, held->reason, sizeof(reason));
    device_close_image(device);
    device->image_fd = adopt_claim(device->guest, held);
    device->state = DEVICE_CONNECTED;
    device->told = true;
    device_set_crashed(device, false);
    parking_end(device); /* an earlier supervisor may have died between resuming it and hearing of it */
    log_info(&device->log, "served on by worker %d", worker_pid(device->guest->worker));
    device_succeed(device);
    if (failed)
        device_fail(device, reason);
    return true;
}

void serve_resume(struct device *device)
{
    device->state = DEVICE_RECOVERING;
    if (device->guest->state == GUEST_SERVED)
        lock_image(device);
}

void serve_disconnect(struct device *device)
{
    struct held *held = adopt_find(device->guest, device->devid);
    struct blkback_message message = {0};

    device_remove_file(device, DEVICE_CONNECTION_FILE);
    device_cancel_opening(device);
    lock_stop(device);
    device->state = DEVICE_DISCONNECTING;
    if (held != NULL) { /* an earlier supervisor had it connected */
        device_close_image(device);
        device->image_fd = adopt_claim(device->guest, held);
        device->told = true;
    }
    if (device->told && device->guest->state == GUEST_SERVED)
        tell(device, BACKEND_DISCONNECT, &message, NULL, 0);
    else if (device->guest->state == GUEST_SERVED || device->guest->state == GUEST_WAITING)
        finish_disconnect(device);
    /* Else the worker is on its way out, or a dead one's last I/O may be under way: serve_fenced() goes on. */
}

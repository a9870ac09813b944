/* SPDX-License-Identifier: MIT */
/*
 * How a worker comes to serve a device:
 *
 *      IDLE --prepare--> PREPARING --(offered)--> IDLE
 *
 *      IDLE --connect--> ACQUIRING --(acquired)--> ATTACHING --(answer)--> CONNECTED
 *                                                                              |
 *                                                                       (the worker ends)
 *                                                                              v
 *      IDLE --resume---> RESUMING ---(acquired)----------------------------> RECOVERING --(secured, a successor answers)--> CONNECTED
 *                                                                              |  ^                                          |
 *                                                               (it was parked)|  |(resume)                                  |
 *                                                                              v  |                                          |
 *                                                                             PARKED <-------------(the worker cannot)-------+
 *
 *      any --disconnect--> DISCONNECTING --(answer, or no worker is left)--> IDLE
 *      IDLE --any of these, while it is not known what an earlier supervisor's worker holds--> ADOPTING --(known)--> as above, or
 *      IDLE --resume, and that worker serves it as recorded--> CONNECTED
 *
 * In PREPARING, ACQUIRING and RESUMING the kind is at work, and what it does may have steps of its own; the worker has a part in them when the kind
 * asks it something. A worker that ends on the way up changes nothing: its successor is asked the same, and rings that nobody saw Connected are
 * attached afresh. Only a device that was Connected is recovered, from what is recorded and never from what the guest can edit.
 *
 * The run directory of a device holds `connection` (which begins with struct backend_connection), `journal` and `counters`. `connection` is there
 * exactly as long as the device can be recovered: written before the worker first hears of the rings, removed before any state but Connected can
 * be written.
 */
#include "serve.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <event2/event.h>

#include <ring/back.h>
#include <supervise/rundir.h>

#include "adopt.h"
#include "clock.h"
#include "device.h"
#include "effects.h"
#include "guest.h"
#include "kind.h"
#include "record.h"

/* A worker that owes an answer for so long is replaced. Opening an image and waiting for its disk, for one, take part of it. A worker does one thing
 * after the other: the time of an order begins when the ones before it are answered. */
static const struct timeval answer_limit = {.tv_sec = 20};

/* Workers a device may use up while it is being opened, before it is given up. */
#define DEATHS_MAX 3u

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

void serve_tell(struct device *device, uint32_t type, struct backend_head *message, const int *fds, unsigned fd_count)
{
    message->type = type;
    message->devid = device->devid;
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

void serve_replied(struct device *device, bool holds)
{
    answered(device, holds);
    device->asking = false;
}

void serve_ask(struct device *device)
{
    device->asking = true;
    if (device->guest->state == GUEST_SERVED)
        device_kind(device)->ask(device);
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

/* Tells the worker to connect, with the journals given. Takes them over. */
static int tell_connect(struct device *device, int journal, bool recover)
{
    const struct backend_kind *kind = device_kind(device);
    struct serve_order order = {.recover = recover, .journal = journal};

    order.counters = rundir_file(device->dir, DEVICE_COUNTERS_FILE, kind->counters_size);
    if (order.counters < 0) /* new, or what the worker left is useless: count from zero */
        order.counters = rundir_create(device->dir, DEVICE_COUNTERS_FILE, kind->counters_size);
    if (order.counters >= 0) {
        kind->connect(device, &order);
        close(order.counters);
    }
    close(journal);
    return order.counters < 0 ? order.counters : 0;
}

/* Begins a connection: a generation and journals of its own, recorded before the worker hears of it. */
static void attach(struct device *device)
{
    const struct backend_kind *kind = device_kind(device);
    int journal = -1;
    int err;

    device->state = DEVICE_ATTACHING;
    device_set_crashed(device, false);
    err = make_generation(&device->connection->generation);
    if (err == 0) {
        journal = record_make_journal(kind, device->dir, device->connection);
        err = journal < 0 ? journal : 0;
    }
    if (err == 0)
        err = kind->record(device, device->connection);
    if (err == 0)
        err = rundir_write(device->dir, DEVICE_CONNECTION_FILE, device->connection, kind->connection_size);
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
    int journal = record_open_journal(device_kind(device), device->dir, device->connection, &version);
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

/* ---- What the kind has got hold of. ------------------------------------------------------------------------------------------ */

/* Of what is recovered: it may still be in use by a worker of an earlier supervisor. */
static void secure(struct device *device)
{
    const struct backend_kind *kind = device_kind(device);

    if (kind->secure != NULL)
        kind->secure(device);
    else
        serve_secured(device);
}

void serve_acquired(struct device *device)
{
    if (device->state == DEVICE_RESUMING) {
        serve_recover(device);
        return;
    }
    device->state = DEVICE_ATTACHING;
    if (device->guest->state == GUEST_SERVED)
        attach(device); /* else serve_begin() does */
}

void serve_secured(struct device *device)
{
    if (device->state != DEVICE_RECOVERING || device->guest->state != GUEST_SERVED)
        return;
    if (parking_is_due(device))
        park_again(device);
    else
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

static void on_attached(struct device *device, const struct backend_head *message)
{
    int err = device_kind(device)->connected(device, message);

    device->state = DEVICE_CONNECTED;
    if (err < 0) { /* the worker is told to let go when the failure makes its way to disconnect */
        log_error(&device->log, "xenstore: %s", strerror(-err));
        device->effect = false;
        xendev_backend_done(device->backend, err, "xenstore cannot be written");
        return;
    }
    device_succeed(device);
}

static void on_recovered(struct device *device, const struct backend_head *message)
{
    const struct backend_kind *kind = device_kind(device);
    const pid_t worker = worker_pid(device->guest->worker);
    const int64_t died_ms = device->guest->died_ms;

    if (kind->recovered != NULL)
        kind->recovered(device, message);
    device_set_crashed(device, false);
    if (device->pardon) { /* what passed since some worker's death is no measure of anything */
        device->state = DEVICE_CONNECTED;
        parking_end(device);
        log_info(&device->log, "served again by worker %d", worker);
        if (device->effect)
            device_succeed(device);
        return;
    }
    device->restarts.recovery_ms = died_ms == 0 ? -1 : clock_now_ms() - died_ms;
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

static int on_connected(struct device *device, const struct backend_head *message)
{
    if (device->state == DEVICE_DISCONNECTING)
        return 0; /* overtaken */
    if (device->state != DEVICE_ATTACHING && device->state != DEVICE_RECOVERING)
        return -EPROTO;
    answered(device, message->result == 0);
    if (message->result < 0)
        device_refuse(device, message);
    else if (device->state == DEVICE_ATTACHING)
        on_attached(device, message);
    else
        on_recovered(device, message);
    return 0;
}

static int on_failed(struct device *device, const struct backend_head *message)
{
    if (device->state == DEVICE_DISCONNECTING)
        return 0;
    if (device->state != DEVICE_CONNECTED)
        return -EPROTO;
    device_fail(device, message->reason);
    return 0;
}

static int on_parked(struct device *device, const struct backend_head *message)
{
    if (device->state == DEVICE_DISCONNECTING)
        return 0;
    if (device->state != DEVICE_CONNECTED || device_kind(device)->parked == NULL)
        return -EPROTO;
    answered(device, false);
    device->state = DEVICE_PARKED;
    device_kind(device)->parked(device, message);
    return 0;
}

static void finish_disconnect(struct device *device)
{
    answered(device, false);
    device_kind(device)->let_go(device);
    device_remove_file(device, DEVICE_JOURNAL_FILE);
    parking_end(device);
    device->state = DEVICE_IDLE;
    device->deaths = 0;
    effect_let_go(device);
}

int serve_answered(struct device *device, const struct backend_head *message)
{
    const struct backend_kind *kind = device_kind(device);

    if (!device->told || message->result > 0)
        return -EPROTO;
    switch (message->type) {
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
        return message->type < BACKEND_OWN || kind->message == NULL ? -EPROTO : kind->message(device, message);
    }
}

/* ---- Workers come and go. ----------------------------------------------------------------------------------------------------------- */

void serve_begin(struct device *device)
{
    switch (device->state) {
    case DEVICE_PREPARING:
    case DEVICE_ACQUIRING:
        if (device->asking)
            device_kind(device)->ask(device);
        break;
    case DEVICE_ATTACHING:
        attach(device);
        break;
    case DEVICE_RECOVERING:
        secure(device);
        break;
    default:
        break;
    }
}

void serve_end(struct device *device, bool died, bool crashed)
{
    answered(device, false);
    switch (device->state) {
    case DEVICE_PREPARING:
    case DEVICE_ACQUIRING:
        device->deaths += died && device->asking;
        break;
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
        device_give_up(device, -EIO, "its worker ended again and again while opening %s: %s",
                       device_kind(device)->subject(device), device->guest->restarts.last_death);
}

/* ---- What xenbus wants. ----------------------------------------------------------------------------------------------------------------- */

void serve_connect(struct device *device)
{
    device->asking = false;
    device->state = DEVICE_ACQUIRING;
    device_kind(device)->acquire(device);
}

/* Whether that is what the recorded connection is served with, as far as it can be told. */
static bool is_own(const struct device *device, const struct held *held)
{
    return held->generation == device->connection->generation &&
           device_kind(device)->held_is_own(device, held->fds, held->fd_count);
}

bool serve_adopt(struct device *device)
{
    struct held *held = adopt_find(device->guest, device->devid);
    char reason[BACKEND_REASON_SIZE];
    bool failed;

    if (held == NULL)
        return false;
    if (!is_own(device, held)) {
        guest_replace_worker(device->guest, "killed because it held something else than is recorded");
        return false;
    }
    failed = held->failed;
    memcpy(reason, held->reason, sizeof(reason));
    adopt_claim(device, held);
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
    device->state = DEVICE_RESUMING;
    device_kind(device)->acquire(device);
}

void serve_recover(struct device *device)
{
    device->state = DEVICE_RECOVERING;
    if (device->guest->state == GUEST_SERVED)
        secure(device);
}

void serve_disconnect(struct device *device)
{
    struct held *held = adopt_find(device->guest, device->devid);

    device_remove_file(device, DEVICE_CONNECTION_FILE);
    device_kind(device)->cancel(device);
    device->state = DEVICE_DISCONNECTING;
    if (held != NULL) { /* an earlier supervisor had it connected */
        adopt_claim(device, held);
        device->told = true;
    }
    if (device->told && device->guest->state == GUEST_SERVED) {
        expect_answer(device);
        guest_order(device->guest, BACKEND_DISCONNECT, device->devid);
    } else if (device->guest->state == GUEST_SERVED || device->guest->state == GUEST_WAITING) {
        finish_disconnect(device);
    }
    /* Else the worker is on its way out, or a dead one's last I/O may be under way: serve_fenced() goes on. */
}

/* SPDX-License-Identifier: MIT */
/*
 * The succession of a guest's workers.
 *
 *      (new guest) ---------------------------------------------------+
 *           | a worker is recorded                                    | none is
 *           v                                                         v
 *      ADOPTING --(cannot be reached, or does not answer)-> ENDING -> FENCED --(last I/O over)--> WAITING --(delay over)--> SERVED
 *       |   |  |                                              (ended)  ^ ^                         ^                        |  |
 *       |   |  +--(of another version)--> OUTDATED --+                 | |                         +--(none can be had)-----+  |
 *       |   |                                        v   (ended)       | |                                                     |
 *       |   |                                    DRAINING -------------+ +---------------------(it has ended)------------------+
 *       |   |                                        ^                                                                         |
 *       |   |                                        +--------------------(of another build, and its turn has come)------------+
 *       |   +--------------------------------------------------------------------------------(it has told what it holds)---> SERVED
 *       +--(it has ended)--> FENCED
 *
 *   ADOPTING   The worker of an earlier supervisor serves on; it is greeted, then says what it holds (adopt.c). The devices wait for that.
 *   OUTDATED   Its channel or journals are of another version than ours: it can be drained, and nothing else. It serves on until its turn.
 *   DRAINING   It answers what is in flight, marks its journals drained and ends; the successor begins with nothing in flight.
 *   ENDING     It was killed instead, and its journals are recovered.
 *   FENCED     No process; the FIFO tells when the kernel has let go of the dead one's io_urings.
 *   WAITING    The timer runs: at once normally, later when workers die young (struct worker_backoff).
 *   SERVED     The worker is recorded in the run directory *before* it learns whom it serves, so that no supervisor can miss it.
 *              The record goes when its end is accounted for, so that none does so again; only then is the next one's report file made.
 *
 * Whatever is asked of a worker has a limit in time; one that exceeds it is killed, and recovered from. But for draining one of another version: its
 * journals may be of no use to us.
 *
 * A guest without devices is removed on leaving FENCED, the one point where nothing of it can be in use any more.
 */
#include "guest.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include <ring/back.h>
#include <supervise/fence.h>

#include "adopt.h"
#include "backend.h"
#include "clock.h"
#include "device.h"
#include "effects.h"
#include "kind.h"
#include "record.h"
#include "replace.h"
#include "serve.h"

#define RETRY_MS 1000

/* How long a worker may take to greet and to say what it holds; and to answer what is in flight. What is behind a device can be slow. */
static const struct timeval adopt_limit = {.tv_sec = 20};
static const struct timeval drain_limit = {.tv_sec = 60};

static void guest_fence(struct guest *guest);

const char *guest_state_name(enum guest_state state)
{
    static const char *const names[] = {"adopting", "outdated", "draining", "ending-orphan",
                                        "fenced",   "waiting",  "served"};
    static_assert(sizeof(names) / sizeof(names[0]) == GUEST_STATES, "one name a state");

    return names[state];
}

static bool is_wanted(const struct guest *guest)
{
    return guest->expected > 0 || !LIST_EMPTY(&guest->devices);
}

/* Removes all of it; it is freed. */
static void guest_remove(struct guest *guest)
{
    int err = rundir_remove(guest->backend->run_dir, guest->name);

    if (err < 0)
        log_warning(&guest->log, "run directory %s cannot be removed: %s", guest->name, strerror(-err));
    guest_free(guest);
}

/* ---- A worker's life. ---------------------------------------------------------------------------------------------------- */

struct device *guest_device(const struct guest *guest, uint32_t devid)
{
    struct device *device;

    LIST_FOREACH (device, &guest->devices, entry) {
        if (device->devid == devid)
            return device;
    }
    return NULL;
}

/* What the worker holds is known, or does not matter any more: what the devices waited for can be done. */
static void let_devices_go_on(struct guest *guest)
{
    struct device *device, *next;

    guest->unknown = false;
    for (device = LIST_FIRST(&guest->devices); device != NULL; device = next) {
        next = LIST_NEXT(device, entry);
        effect_go_on(device);
    }
}

static void adopted(struct guest *guest)
{
    event_del(guest->limit_timer);
    guest->state = GUEST_SERVED;
    log_info(&guest->log, "adopted worker %d%s%s", worker_pid(guest->worker), guest->outdated ? " of version " : "",
             guest->outdated ? guest->build : "");
    let_devices_go_on(guest);
    adopt_sweep(guest);
    if (guest->outdated)
        replace_consider(guest->backend);
}

/* A message about a device that only the worker knows. */
static int on_held_message(struct guest *guest, const struct backend_head *message)
{
    struct held *held = adopt_find(guest, message->devid);
    struct device *device = guest_device(guest, message->devid);
    int err;

    if (message->type >= BACKEND_OWN) /* of no use to whoever claims it later */
        return 0;
    if (message->type == BACKEND_FAILED) {
        adopt_fail(held, message);
        return 0;
    }
    if (message->type == BACKEND_PARKED) { /* its journal tells that again to whoever claims it */
        if (!held->leaving)
            adopt_drop(guest, held);
        return 0;
    }
    err = message->type == BACKEND_DISCONNECTED ? adopt_left(guest, message->devid) : -EPROTO;
    if (err == 0 && device != NULL)
        effect_go_on(device);
    return err;
}

static int take_message(struct guest *guest, const struct backend_head *message, const int *fds, unsigned fd_count)
{
    const bool is_ours = message->version == guest->backend->kind->protocol_version;
    struct device *device = guest_device(guest, message->devid);

    if (is_ours && message->type == BACKEND_HELD && guest->state == GUEST_ADOPTING)
        return adopt_report(guest, message, fds, fd_count);
    for (unsigned i = 0; i < fd_count; i++)
        close(fds[i]);
    if (fd_count > 0 || !is_ours)
        return -EPROTO;
    if (guest->state == GUEST_ADOPTING) {
        if (message->type != BACKEND_HELD_ALL)
            return -EPROTO;
        adopted(guest);
        return 0;
    }
    if (adopt_find(guest, message->devid) != NULL)
        return on_held_message(guest, message);
    return device == NULL ? -EPROTO : serve_answered(device, message);
}

static void on_message(void *arg, const void *bytes, const int *fds, unsigned fd_count)
{
    struct guest *guest = arg;

    if (take_message(guest, bytes, fds, fd_count) < 0)
        worker_kill(guest->worker, "killed for an impossible message");
}

static void count_restart(struct guest *guest, const char *reason)
{
    struct guest_restarts *restarts = &guest->restarts;
    int err;

    restarts->count++;
    memset(restarts->last_death, 0, sizeof(restarts->last_death));
    snprintf(restarts->last_death, sizeof(restarts->last_death), "%s", reason);
    err = rundir_write(guest->dir, RESTARTS_FILE, restarts, sizeof(*restarts));
    if (err < 0)
        log_warning(&guest->log, "the next supervisor will not know of it: %s", strerror(-err));
}

/* Accounts the end of the worker: whether it is a death, and if so how long its successor has to wait. */
static bool account_end(struct guest *guest, const char *reason)
{
    const pid_t pid = worker_pid(guest->worker);

    guest->died_ms = guest->ending ? guest->died_ms : clock_now_ms();
    guest->delay_ms = 0;
    if (guest->ending || guest->state == GUEST_ENDING)
        return false;
    if (guest->state == GUEST_DRAINING && record_is_drained(guest->backend->kind, guest->dir)) {
        log_info(&guest->log, "worker %d of version %s has drained; replacing it", pid, guest->build);
        return false;
    }
    guest->delay_ms = worker_backoff_delay(&guest->backoff, guest->died_ms - guest->served_ms);
    log_warning(&guest->log, "worker %s; replacing it", reason);
    count_restart(guest, reason);
    return true;
}

/* The worker's end is told of wherever it has to be. */
static void accounted(struct guest *guest)
{
    int err = rundir_worker_remove(guest->dir);

    if (err < 0)
        log_warning(&guest->log, "its worker's end may be counted again: %s", strerror(-err));
}

static void on_gone(void *arg, const char *reason)
{
    struct guest *guest = arg;
    struct device *device;
    const bool died = account_end(guest, reason);
    const bool crashed = !guest->ending && death_examine(guest, worker_crashed(guest->worker), reason);

    guest->worker = NULL;
    if (guest->unknown || guest->state == GUEST_ENDING || !SLIST_EMPTY(&guest->held))
        death_note(guest, died, crashed);
    guest->ending = guest->outdated = false;
    event_del(guest->limit_timer);
    adopt_forget(guest);
    LIST_FOREACH (device, &guest->devices, entry)
        serve_end(device, died, crashed);
    accounted(guest);
    guest_fence(guest);
    let_devices_go_on(guest);
}

/* The worker has not done in time what it was asked. */
static void on_limit(evutil_socket_t fd, short what, void *arg)
{
    struct guest *guest = arg;

    (void)fd;
    (void)what;
    worker_kill(guest->worker, guest->state == GUEST_ADOPTING   ? "killed because it did not answer a new supervisor"
                               : guest->state == GUEST_DRAINING ? "killed because it did not drain"
                                                                : guest->backend->not_let_go);
}

static void wait_ms(struct guest *guest, int64_t delay_ms)
{
    const struct timeval delay = {.tv_sec = delay_ms / 1000, .tv_usec = delay_ms % 1000 * 1000};

    guest->state = GUEST_WAITING;
    event_add(guest->timer, &delay);
}

/* Gives the worker its guest. */
static int introduce(struct guest *guest)
{
    int fds[BACKEND_SERVE_FDS];
    int err = 0;

    fds[BACKEND_SERVE_FENCE] = fence_writer(guest->fence);
    fds[BACKEND_SERVE_LISTENER] = channel_listen(guest->dir, RUNDIR_CHANNEL);
    /* Before it is recorded: its predecessor's report is not its own. */
    fds[BACKEND_SERVE_CRASH] = death_prepare(guest);
    for (int i = 0; i < BACKEND_SERVE_FDS && err == 0; i++)
        err = fds[i] < 0 ? fds[i] : 0;
    if (err == 0)
        err = rundir_worker_write(guest->dir, worker_pid(guest->worker));
    if (err == 0)
        err = guest->backend->kind->serve(guest, fds);
    for (int i = 0; i < BACKEND_SERVE_FDS; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    return err;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct guest *guest = arg;
    const struct worker_user user = {.message = on_message, .gone = on_gone, .arg = guest};
    struct device *device, *next;
    int err;

    (void)fd;
    (void)what;
    err = worker_take(guest->backend->pool, &user, &guest->worker);
    if (err < 0) {
        log_error(&guest->log, "no worker can be started: %s", strerror(-err));
        wait_ms(guest, RETRY_MS);
        return;
    }
    guest->state = GUEST_SERVED;
    guest->served_ms = clock_now_ms();
    snprintf(guest->build, sizeof(guest->build), "%s", RINGBACK_VERSION);
    err = introduce(guest);
    if (err < 0) {
        log_error(&guest->log, "worker %d cannot be told to serve: %s", worker_pid(guest->worker), strerror(-err));
        worker_kill(guest->worker, "killed before it served");
        return;
    }
    log_debug(&guest->log, "served by worker %d", worker_pid(guest->worker));
    for (device = LIST_FIRST(&guest->devices); device != NULL; device = next) {
        next = LIST_NEXT(device, entry);
        serve_begin(device);
    }
}

int guest_say(struct guest *guest, struct backend_head *message, const int *fds, unsigned fd_count)
{
    message->version = guest->backend->kind->protocol_version;
    return worker_send(guest->worker, message, fds, fd_count);
}

void guest_tell(struct guest *guest, struct backend_head *message, const int *fds, unsigned fd_count)
{
    int err = guest_say(guest, message, fds, fd_count);

    if (err == -EAGAIN)
        worker_kill(guest->worker, "killed because it did not listen");
    /* One that has ended is replaced when its end is noticed, and the successor is told everything. */
}

void guest_order(struct guest *guest, uint32_t type, uint32_t devid)
{
    struct backend_head *message = guest->backend->order;

    *message = (struct backend_head){.type = type, .devid = devid};
    guest_tell(guest, message, NULL, 0);
}

void guest_replace_worker(struct guest *guest, const char *why)
{
    if (guest->state == GUEST_SERVED)
        worker_kill(guest->worker, why);
}

/* ---- Between workers. ------------------------------------------------------------------------------------------------------ */

static void on_fence_passed(void *arg)
{
    struct guest *guest = arg;
    struct device *device, *next;

    if (guest->backend->kind->guest_fenced != NULL)
        guest->backend->kind->guest_fenced(guest);
    for (device = LIST_FIRST(&guest->devices); device != NULL; device = next) {
        next = LIST_NEXT(device, entry);
        serve_fenced(device);
    }
    if (is_wanted(guest))
        wait_ms(guest, guest->delay_ms);
    else
        guest_remove(guest);
}

static void guest_fence(struct guest *guest)
{
    guest->state = GUEST_FENCED;
    if (fence_wait(guest->fence, on_fence_passed, guest) < 0)
        log_error(&guest->log, "out of memory; it stays without a worker");
}

/* The worker that is recorded ended while no supervisor ran, or there was none. */
static void orphan_gone(struct guest *guest, bool was_recorded)
{
    char unseen[GUEST_REASON_SIZE];
    bool crashed, died;

    if (was_recorded) {
        snprintf(unseen, sizeof(unseen), "ended while no %s ran; how is not known", guest->backend->kind->daemon);
        crashed = death_examine(guest, false, NULL);
        died = crashed || !record_is_drained(guest->backend->kind, guest->dir);
        if (died)
            count_restart(guest, crashed ? guest->death.reason : unseen);
        death_note(guest, died, crashed);
        accounted(guest);
    }
    guest_fence(guest);
}

/* ---- The worker of an earlier supervisor. ------------------------------------------------------------------------------------- */

static void order(struct guest *guest, enum greeting_order what)
{
    struct greeting greeting;

    greeting_make(what, guest->backend->kind->protocol_version, ring_journal_version(), RINGBACK_VERSION, &greeting);
    worker_order(guest->worker, &greeting);
}

static void on_greeted(void *arg, const struct greeting *hello)
{
    struct guest *guest = arg;
    const uint32_t channel_version = guest->backend->kind->protocol_version;

    memcpy(guest->build, hello->build, sizeof(guest->build));
    guest->outdated = strcmp(hello->build, RINGBACK_VERSION) != 0;
    if (hello->channel_version == channel_version && hello->journal_version == ring_journal_version()) {
        order(guest, GREETING_ADOPT);
        return;
    }
    log_info(&guest->log,
             "worker %d of version %s speaks channel %u, journal %u, and we, %s, %u and %u: it is to be drained",
             worker_pid(guest->worker), guest->build, hello->channel_version, hello->journal_version, RINGBACK_VERSION,
             channel_version, ring_journal_version());
    event_del(guest->limit_timer);
    guest->outdated = true;
    guest->state = GUEST_OUTDATED;
    replace_consider(guest->backend);
}

void guest_drain(struct guest *guest)
{
    const bool is_foreign = guest->state == GUEST_OUTDATED;

    guest->replacing = true;
    guest->state = GUEST_DRAINING;
    if (is_foreign) { /* without a limit: what it has in flight may be in a journal that only it can read */
        order(guest, GREETING_DRAIN);
        return;
    }
    event_add(guest->limit_timer, &drain_limit);
    guest_order(guest, BACKEND_DRAIN, 0);
}

/* Greets the worker an earlier supervisor left, if there is one; one that cannot be reached is ended. */
static int meet_orphan(struct guest *guest)
{
    const struct worker_user user = {.greeted = on_greeted, .message = on_message, .gone = on_gone, .arg = guest};
    pid_t pid;
    int pidfd = rundir_worker_open(guest->dir, &pid);
    int channel, err;

    if (pidfd == -ENOENT || pidfd == -ESRCH || pidfd == -EBADMSG) {
        orphan_gone(guest, pidfd != -ENOENT);
        return 0;
    }
    if (pidfd < 0)
        return pidfd;
    channel = channel_connect(guest->dir, RUNDIR_CHANNEL);
    err = worker_adopt(guest->backend->pool, pid, pidfd, channel, &user, &guest->worker);
    if (err < 0)
        return err;
    guest->served_ms = clock_now_ms();
    if (channel < 0) {
        log_info(&guest->log, "worker %d cannot be reached (%s): taking over from it", pid, strerror(-channel));
        guest->state = GUEST_ENDING;
        worker_kill(guest->worker, "killed because it could not be reached");
        return 0;
    }
    guest->state = GUEST_ADOPTING;
    guest->unknown = true;
    event_add(guest->limit_timer, &adopt_limit);
    return 0;
}

/* ---- Coming and going. ------------------------------------------------------------------------------------------------------ */

static void load_restarts(struct guest *guest)
{
    struct guest_restarts *restarts = &guest->restarts;

    if (rundir_read(guest->dir, RESTARTS_FILE, restarts, sizeof(*restarts)) < 0 ||
        restarts->version != RESTARTS_VERSION) /* none yet, or of another version */
        *restarts = (struct guest_restarts){.version = RESTARTS_VERSION};
    restarts->last_death[GUEST_REASON_SIZE - 1] = '\0';
}

static int guest_new(struct backend *backend, uint32_t domid, const char *name, struct guest **ret_guest)
{
    struct guest *guest = calloc(1, backend->kind->guest_size);
    int err = 0;

    if (guest == NULL)
        return -ENOMEM;
    guest->backend = backend;
    guest->domid = domid;
    guest->dir = -1;
    snprintf(guest->name, sizeof(guest->name), "%s", name);
    LIST_INIT(&guest->devices);
    SLIST_INIT(&guest->held);
    TAILQ_INIT(&guest->asked);
    LIST_INSERT_HEAD(&backend->guests, guest, entry);
    log_source_init(&guest->log, "guest %u", domid);

    guest->timer = evtimer_new(backend->base, on_timer, guest);
    guest->answer_timer = evtimer_new(backend->base, serve_on_answer_timer, guest);
    guest->limit_timer = evtimer_new(backend->base, on_limit, guest);
    if (guest->timer == NULL || guest->answer_timer == NULL || guest->limit_timer == NULL)
        err = -ENOMEM;
    if (err == 0) {
        guest->dir = rundir_enter(backend->run_dir, name);
        err = guest->dir < 0 ? guest->dir : 0;
    }
    if (err == 0 && backend->kind->guest_init != NULL)
        err = backend->kind->guest_init(guest);
    if (err == 0) {
        load_restarts(guest);
        death_load(guest);
    }
    if (err == 0)
        err = fence_open(backend->base, guest->dir, RUNDIR_FENCE, &guest->fence);
    if (err == 0)
        err = meet_orphan(guest);
    if (err < 0) {
        guest_free(guest);
        return err;
    }
    *ret_guest = guest;
    return 0;
}

int guest_get(struct backend *backend, uint32_t domid, const char *name, struct guest **ret_guest)
{
    struct guest *guest;

    LIST_FOREACH (guest, &backend->guests, entry) {
        if (strcmp(guest->name, name) == 0) {
            *ret_guest = guest;
            return 0;
        }
    }
    return guest_new(backend, domid, name, ret_guest);
}

void guest_release(struct guest *guest)
{
    if (is_wanted(guest))
        return;
    if (guest->worker != NULL) {
        guest->ending = true;
        worker_kill(guest->worker, guest->backend->unwanted);
    } else if (guest->state == GUEST_WAITING) {
        guest_remove(guest);
    }
}

void guest_free(struct guest *guest)
{
    LIST_REMOVE(guest, entry);
    adopt_forget(guest);
    if (guest->limit_timer != NULL)
        event_free(guest->limit_timer);
    fence_close(guest->fence);
    if (guest->answer_timer != NULL)
        event_free(guest->answer_timer);
    if (guest->timer != NULL)
        event_free(guest->timer);
    if (guest->dir >= 0)
        close(guest->dir);
    free(guest);
}

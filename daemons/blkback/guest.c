/* SPDX-License-Identifier: MIT */
/*
 * The succession of a guest's workers.
 *
 *      (new guest) --------------------------+
 *           | a worker is recorded           | none is
 *           v                                v
 *      ORPHANED --(it has ended)---------> FENCED --(last I/O over)--> WAITING --(delay over)--> SERVED
 *                                            ^                            ^                        |
 *                                            |                            +--(none can be had)-----+
 *                                            +------------------(it has ended)---------------------+
 *
 *   ORPHANED   The process was killed; it is not our child, so its pidfd tells its end.
 *   FENCED     No process; the FIFO tells when the kernel has let go of the dead one's io_urings.
 *   WAITING    The timer runs: at once normally, later when workers die young (struct worker_backoff).
 *   SERVED     The worker is recorded in the run directory *before* it learns whom it serves, so that no supervisor can miss it.
 *
 * A guest without devices is removed on leaving FENCED, the one point where nothing of it can be in use any more.
 */
#include "guest.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include <supervise/fence.h>

#include "blkback.h"
#include "device.h"
#include "serve.h"

#define RETRY_MS 1000

static void guest_fence(struct guest *guest);

const char *guest_state_name(enum guest_state state)
{
    static const char *const names[] = {"ending-orphan", "fenced", "waiting", "served"};
    static_assert(sizeof(names) / sizeof(names[0]) == GUEST_STATES, "one name a state");

    return names[state];
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_wanted(const struct guest *guest)
{
    return guest->expected > 0 || !LIST_EMPTY(&guest->devices);
}

/* Removes all of it; it is freed. */
static void guest_remove(struct guest *guest)
{
    const struct blkback *blkback = guest->blkback;
    int err = rundir_remove(blkback->run_dir, guest->name);

    if (err < 0)
        log_warning(&guest->log, "run directory %s cannot be removed: %s", guest->name, strerror(-err));
    guest_free(guest);
}

/* ---- A worker's life. ---------------------------------------------------------------------------------------------------- */

static struct device *find_device(struct guest *guest, uint32_t devid)
{
    struct device *device;

    LIST_FOREACH (device, &guest->devices, entry) {
        if (device->devid == devid)
            return device;
    }
    return NULL;
}

static void on_message(void *arg, const void *bytes, const int *fds, unsigned fd_count)
{
    struct guest *guest = arg;
    struct blkback_message message;
    struct device *device;

    for (unsigned i = 0; i < fd_count; i++)
        close(fds[i]);
    memcpy(&message, bytes, sizeof(message));
    device = find_device(guest, message.devid);
    if (fd_count > 0 || message.version != BLKBACK_PROTOCOL_VERSION || device == NULL ||
        serve_answered(device, &message) < 0)
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

static void on_gone(void *arg, const char *reason)
{
    struct guest *guest = arg;
    struct device *device;

    guest->worker = NULL;
    guest->delay_ms = 0;
    if (!guest->ending) {
        guest->died_ms = now_ms();
        guest->delay_ms = worker_backoff_delay(&guest->backoff, guest->died_ms - guest->served_ms);
        log_warning(&guest->log, "worker %s; replacing it", reason);
        count_restart(guest, reason);
    }
    guest->ending = false;
    LIST_FOREACH (device, &guest->devices, entry)
        serve_end(device);
    guest_fence(guest);
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
    const struct blkback_config *config = &guest->blkback->config;
    const struct blkback_message message = {.version = BLKBACK_PROTOCOL_VERSION,
                                            .type = BLKBACK_SERVE,
                                            .serve = {.domid = guest->domid,
                                                      .poll_time_us = (uint32_t)config->poll_time,
                                                      .poll_percent = (uint32_t)config->poll_budget}};
    int err = rundir_worker_write(guest->dir, worker_pid(guest->worker));
    int fence;

    if (err < 0)
        return err;
    fence = fence_writer(guest->fence);
    if (fence < 0)
        return fence;
    err = worker_send(guest->worker, &message, &fence, 1);
    close(fence);
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
    err = worker_take(guest->blkback->pool, &user, &guest->worker);
    if (err < 0) {
        log_error(&guest->log, "no worker can be started: %s", strerror(-err));
        wait_ms(guest, RETRY_MS);
        return;
    }
    guest->state = GUEST_SERVED;
    guest->served_ms = now_ms();
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

void guest_tell(struct guest *guest, const struct blkback_message *message, const int *fds, unsigned fd_count)
{
    int err = worker_send(guest->worker, message, fds, fd_count);

    if (err == -EAGAIN)
        worker_kill(guest->worker, "killed because it did not listen");
    /* One that has ended is replaced when its end is noticed, and the successor is told everything. */
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

static void on_orphan_gone(void *arg)
{
    struct guest *guest = arg;

    worker_orphan_free(guest->orphan);
    guest->orphan = NULL;
    guest_fence(guest);
}

/* Ends the worker an earlier supervisor left, if there is one. */
static int end_orphan(struct guest *guest)
{
    pid_t pid;
    int pidfd = rundir_worker_open(guest->dir, &pid);
    int err;

    if (pidfd == -ESRCH || pidfd == -EBADMSG) {
        guest_fence(guest);
        return 0;
    }
    if (pidfd < 0)
        return pidfd;
    guest->state = GUEST_ORPHANED;
    guest->died_ms = now_ms();
    err = worker_orphan_end(guest->blkback->base, pidfd, on_orphan_gone, guest, &guest->orphan);
    if (err == 0)
        log_info(&guest->log, "taking over from worker %d", pid);
    return err;
}

/* ---- Coming and going. ------------------------------------------------------------------------------------------------------ */

static int guest_new(struct blkback *blkback, uint32_t domid, const char *name, struct guest **ret_guest)
{
    struct guest *guest = calloc(1, sizeof(*guest));
    int err = 0;

    if (guest == NULL)
        return -ENOMEM;
    guest->blkback = blkback;
    guest->domid = domid;
    guest->dir = -1;
    snprintf(guest->name, sizeof(guest->name), "%s", name);
    LIST_INIT(&guest->devices);
    TAILQ_INIT(&guest->asked);
    LIST_INSERT_HEAD(&blkback->guests, guest, entry);
    log_source_init(&guest->log, "guest %u", domid);

    guest->timer = evtimer_new(blkback->base, on_timer, guest);
    guest->answer_timer = evtimer_new(blkback->base, serve_on_answer_timer, guest);
    if (guest->timer == NULL || guest->answer_timer == NULL)
        err = -ENOMEM;
    if (err == 0) {
        guest->dir = rundir_enter(blkback->run_dir, name);
        err = guest->dir < 0 ? guest->dir : 0;
    }
    if (err == 0 && rundir_read(guest->dir, RESTARTS_FILE, &guest->restarts, sizeof(guest->restarts)) < 0)
        memset(&guest->restarts, 0, sizeof(guest->restarts)); /* none yet */
    guest->restarts.last_death[GUEST_REASON_SIZE - 1] = '\0';
    if (err == 0)
        err = fence_open(blkback->base, guest->dir, RUNDIR_FENCE, &guest->fence);
    if (err == 0)
        err = end_orphan(guest);
    if (err < 0) {
        guest_free(guest);
        return err;
    }
    *ret_guest = guest;
    return 0;
}

int guest_get(struct blkback *blkback, uint32_t domid, const char *name, struct guest **ret_guest)
{
    struct guest *guest;

    LIST_FOREACH (guest, &blkback->guests, entry) {
        if (strcmp(guest->name, name) == 0) {
            *ret_guest = guest;
            return 0;
        }
    }
    return guest_new(blkback, domid, name, ret_guest);
}

void guest_release(struct guest *guest)
{
    if (is_wanted(guest))
        return;
    if (guest->state == GUEST_SERVED) {
        guest->ending = true;
        worker_kill(guest->worker, "ended: its guest has no disk left");
    } else if (guest->state == GUEST_WAITING) {
        guest_remove(guest);
    }
}

void guest_free(struct guest *guest)
{
    LIST_REMOVE(guest, entry);
    worker_orphan_free(guest->orphan);
    fence_close(guest->fence);
    if (guest->answer_timer != NULL)
        event_free(guest->answer_timer);
    if (guest->timer != NULL)
        event_free(guest->timer);
    if (guest->dir >= 0)
        close(guest->dir);
    free(guest);
}

/* SPDX-License-Identifier: MIT */
/*
 * blkbackd-worker: serves the disks of one guest.
 *
 * Started by blkbackd as a spare, with its channel at descriptor CHANNEL_WORKER_FD and nothing else: it opens its
 * handles to Xen, shuts itself in and waits. BACKEND_SERVE gives it its guest; what it works on are descriptors it is
 * handed. It is killed, or told to drain, never asked to stop; a supervisor that goes away leaves it
 * serving, and the next one is told what it holds (link.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <unistd.h>

#include <event2/event.h>

#include <supervise/channel.h>
#include <supervise/crash.h>
#include <supervise/sandbox.h>
#include <xendev/event_channel.h>
#include <xendev/grant.h>

#include "device.h"
#include "link.h"
#include "spin.h"

#define SERVE_FD_COUNT   4u
#define IMAGE_FD_COUNT   1u
#define CONNECT_FD_COUNT 3u

struct served {
    LIST_ENTRY(served) entry; /* in devices */
    uint32_t devid;
    struct device *device;
    bool failed;
    char reason[BACKEND_REASON_SIZE]; /* of that */
    bool unsaid;                      /* ...which the supervisor has not been told */
    bool drained;
    struct event *parking; /* fires when it is to be let go of */
    struct blkback_request parked;
};

static struct caution caution = {.members = LIST_HEAD_INITIALIZER(caution.members)};
static struct device_host host = {.fence_fd = -1, .caution = &caution};
static LIST_HEAD(, served) devices = LIST_HEAD_INITIALIZER(devices);
static bool serving;
static bool draining;
static struct served *to_report; /* what a new supervisor is told of next */
static bool reporting;           /* until it was told all */

__attribute__((noreturn)) static void die(const char *what, int error)
{
    fprintf(stderr, "<3>blkbackd-worker: %s: %s\n", what, strerrordesc_np(error < 0 ? -error : error));
    _exit(EXIT_FAILURE);
}

/* ---- What is said to the supervisor. --------------------------------------------------------------------------------- */

static void say(struct blkback_message *message)
{
    /* A supervisor that is alive reads, for it is never asked to read more than one message a device. */
    int result = link_say(message, NULL, 0);
    if (result < 0)
        die("cannot answer the supervisor", result);
}

static void say_result(uint32_t type, uint32_t devid, int result, const char *reason)
{
    struct blkback_message message = {.head = {.type = type, .devid = devid, .result = result}};

    if (result < 0)
        snprintf(message.head.reason, sizeof message.head.reason, "%s", reason);
    say(&message);
}

static struct served *find(uint32_t devid)
{
    struct served *served;

    LIST_FOREACH (served, &devices, entry)
        if (served->devid == devid)
            return served;
    return NULL;
}

static void say_failed(struct served *served)
{
    served->unsaid = reporting; /* then it is said at the end of the report */
    if (!reporting)
        say_result(BACKEND_FAILED, served->devid, -EPROTO, served->reason);
}

/* Ends when there is nothing left to drain. */
static void end_if_drained(void)
{
    const struct served *served;

    LIST_FOREACH (served, &devices, entry)
        if (!served->drained && !served->failed)
            return;
    _exit(EXIT_SUCCESS);
}

static void on_device_failed(uint32_t devid, const char *reason)
{
    struct served *served = find(devid);

    served->failed = true;
    snprintf(served->reason, sizeof served->reason, "%s", reason);
    say_failed(served);
    if (draining)
        end_if_drained();
}

static void on_device_drained(uint32_t devid)
{
    find(devid)->drained = true;
    end_if_drained();
}

/* Says what is held, as far as there is room. */
static void report(void)
{
    while (to_report) {
        const struct served *served = to_report;
        const int image = device_image(served->device);
        struct blkback_message message = {.head = {.type = BACKEND_HELD, .devid = served->devid}};
        message.head.generation = device_generation(served->device);
        memcpy(message.head.reason, served->reason, sizeof message.head.reason);
        message.head.result = served->failed ? -EPROTO : 0;
        int result = link_say(&message, &image, 1);
        if (result == -EAGAIN)
            result = link_await(report);
        else if (result == 0)
            to_report = LIST_NEXT(served, entry);
        if (result < 0)
            die("cannot tell the supervisor what is served", result);
        if (to_report == served)
            return;
    }
    struct blkback_message end = {.head = {.type = BACKEND_HELD_ALL}};
    int result = link_say(&end, NULL, 0);
    if (result == -EAGAIN)
        result = link_await(report);
    else if (result == 0)
        reporting = false;
    if (result < 0)
        die("cannot tell the supervisor what is served", result);

    struct served *served;
    LIST_FOREACH (served, &devices, entry)
        if (!reporting && served->unsaid)
            say_failed(served);
}

static void on_device_parked(uint32_t devid, const struct blkback_request *request)
{
    static const struct timeval at_once = {0};
    struct served *served = find(devid);

    if (!served || event_add(served->parking, &at_once) != 0)
        die("parking", ENOMEM);
    served->parked = *request;
}

/* ---- What is served. ------------------------------------------------------------------------------------------------- */

static void forget(struct served *served, bool recoverable)
{
    LIST_REMOVE(served, entry);
    device_close(served->device, recoverable);
    event_free(served->parking);
    free(served);
}

/* Away from the queue that asked for it, and not in the middle of a report. */
static void on_parking(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval soon = {.tv_usec = 1000};
    struct served *served = arg;
    struct blkback_message message = {.head = {.type = BACKEND_PARKED, .devid = served->devid},
                                      .parked = served->parked};

    (void)fd;
    (void)what;
    if (reporting) {
        if (event_add(served->parking, &soon) != 0)
            die("parking", ENOMEM);
        return;
    }
    forget(served, true);
    say(&message);
    if (draining)
        end_if_drained();
}

/* ---- What the supervisor asks for. ----------------------------------------------------------------------------------- */

/* Has what is mapped for speed counted in the budget of the host. Takes the descriptor over. */
static void join_budget(int fd, uint32_t slot)
{
    void *budget = mmap(NULL, xendev_grant_budget_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (budget == MAP_FAILED)
        die("cannot map the budget", errno);
    close(fd);
    host.may_map = slot < XENDEV_BUDGET_SLOTS;
    xendev_grants_set_budget(host.grants, budget, slot);
}

static void serve(const struct blkback_message *message, const int *fds)
{
    const struct poll_limits limits = {
        .time_ns = UINT64_C(1000) * message->serve.poll_time_us,
        .percent = message->serve.poll_percent,
    };

    host.domid = message->serve.domid;
    host.fence_fd = fds[0];
    join_budget(fds[3], message->serve.grant_slot);
    int result = crash_write_to(fds[2]);
    if (result < 0)
        die("cannot map the crash report", result);
    result = spin_new(host.base, &limits, &host.spin);
    if (result < 0)
        die("cannot watch rings", result);
    /* Domain 0's event channels cannot be restricted to; everybody else's are. */
    result = host.domid == 0 ? 0 : xendev_events_restrict(host.events, host.domid);
    if (result < 0)
        die("cannot restrict the event channels to the guest", result);
    result = link_listen(fds[1]);
    if (result < 0)
        die("cannot listen for the next supervisor", result);
    serving = true;
}

static void on_adopted(void)
{
    struct served *served;

    LIST_FOREACH (served, &devices, entry)
        served->unsaid = false; /* it is in the report */
    reporting = true;
    to_report = LIST_FIRST(&devices);
    report();
}

static void drain(void)
{
    struct served *served;

    draining = true;
    LIST_FOREACH (served, &devices, entry)
        device_drain(served->device);
    end_if_drained();
}

/* Who wanted us to drain, or to be told, is gone. */
static void on_alone(void)
{
    struct served *served;

    if (!serving)
        _exit(EXIT_SUCCESS);
    reporting = false;
    to_report = NULL;
    if (!draining)
        return;
    draining = false;
    LIST_FOREACH (served, &devices, entry) {
        served->drained = false;
        device_undrain(served->device);
    }
}

static void check(const struct blkback_message *message, const int *fds)
{
    struct disk_info info;
    struct disk_error error;

    int result = device_check(&host, &message->check, fds[0], &info, &error);
    if (result < 0) {
        say_result(BLKBACK_CHECKED, message->head.devid, result, error.text);
        return;
    }
    struct blkback_message answer = {.head = {.type = BLKBACK_CHECKED, .devid = message->head.devid}};
    answer.checked.sectors = info.size / DISK_SECTOR_SIZE;
    answer.checked.sector_size = info.sector_size;
    answer.checked.physical_sector_size = info.physical_sector_size;
    say(&answer);
}

static void connect_device(const struct blkback_message *message, const int *fds)
{
    struct device_files files = {.image = fds[0], .journal = fds[1], .counters = fds[2]};
    const struct blkback_connection *connection = &message->connect.connection;
    struct disk_error error;

    if (find(message->head.devid) || connection->version != BLKBACK_CONNECTION_VERSION ||
        connection->abi >= BLKIF_ABIS || connection->ring_order > BLKIF_RING_ORDER_MAX)
        die("the supervisor asked for an impossible connection", EPROTO);

    struct served *served = calloc(1, sizeof *served);
    if (!served || !(served->parking = evtimer_new(host.base, on_parking, served)))
        die("connect", ENOMEM);
    served->devid = message->head.devid;
    int result = device_open(&host, message->head.devid, &message->connect, &files, &served->device, &error);
    if (result < 0) {
        event_free(served->parking);
        free(served);
        say_result(BACKEND_CONNECTED, message->head.devid, result, error.text);
        return;
    }
    LIST_INSERT_HEAD(&devices, served, entry);
    struct blkback_message answer = {.head = {.type = BACKEND_CONNECTED, .devid = message->head.devid}};
    device_suspects(served->device, &answer.suspects);
    say(&answer);
}

static void disconnect_device(const struct blkback_message *message)
{
    struct served *served = find(message->head.devid);

    if (served)
        forget(served, false);
    say_result(BACKEND_DISCONNECTED, message->head.devid, 0, NULL);
}

/* How many descriptors a message must bring, or -1 when it may not come now. */
static int descriptors_due(const struct blkback_message *message)
{
    if (message->head.version != BLKBACK_PROTOCOL_VERSION || serving != (message->head.type != BACKEND_SERVE))
        return -1;
    switch (message->head.type) {
    case BACKEND_SERVE:
        return SERVE_FD_COUNT;
    case BLKBACK_CHECK:
        return IMAGE_FD_COUNT;
    case BACKEND_CONNECT:
        return CONNECT_FD_COUNT;
    case BACKEND_DISCONNECT:
    case BACKEND_DRAIN:
        return 0;
    default:
        return -1;
    }
}

static void obey(const struct blkback_message *message, const int *fds)
{
    switch (message->head.type) {
    case BACKEND_SERVE:
        serve(message, fds);
        break;
    case BLKBACK_CHECK:
        check(message, fds);
        break;
    case BACKEND_CONNECT:
        connect_device(message, fds);
        break;
    case BACKEND_DRAIN:
        drain();
        break;
    default:
        disconnect_device(message);
        break;
    }
}

static void on_message(const struct blkback_message *message, const int *fds, unsigned fd_count)
{
    if (draining || descriptors_due(message) != (int)fd_count)
        die("the supervisor said something impossible", EPROTO);
    obey(message, fds);
}

int main(void)
{
    static const struct link_user user = {
        .message = on_message, .adopted = on_adopted, .drain = drain, .alone = on_alone};
    const char *step = "event loop";
    int result = -ENOMEM;

    prctl(PR_SET_NAME, "blkbackd-worker"); /* it may have been started by a descriptor's name */
    host.failed = on_device_failed;
    host.drained = on_device_drained;
    host.parked = on_device_parked;
    host.base = event_base_new();
    if (!host.base)
        die(step, result);
    result = link_open(host.base, &user);
    if (result < 0)
        die(step, result);
    result = xendev_events_open(host.base, &host.events);
    if (result < 0)
        die("cannot open the event channel device", result);
    result = xendev_grants_open(&host.grants);
    if (result < 0)
        die("cannot open the grant device", result);
    result = crash_catch();
    if (result < 0)
        die("cannot catch signals", result);
    result = sandbox_enter(&step);
    if (result == 0)
        result = sandbox_close(&step); /* now, not when a guest waits: to make the filter takes milliseconds */
    if (result < 0)
        die(step, result);

    event_base_dispatch(host.base);
    die("the event loop ended", EIO);
}

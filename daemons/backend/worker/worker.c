/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. A worker is started by its supervisor as a spare, with its channel at descriptor CHANNEL_WORKER_FD and nothing
 * else: it opens its handles to Xen, shuts itself in and waits. BACKEND_SERVE gives it its guest; what it works on are descriptors it is
 * handed. It is killed, or told to drain, never asked to stop; a supervisor that goes away leaves it
 * serving, and the next one is told what it holds (link.c).
 *
 * Whoever serves a guest dies of nothing the guest does; but a supervisor that says what cannot be ends it, and is the reason told.
 */
#include "worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <unistd.h>

#include <event2/event.h>

#include <supervise/channel.h>
#include <supervise/crash.h>
#include <supervise/sandbox.h>
#include <xendev/event_channel.h>
#include <xendev/grant.h>

#include "link.h"
#include "spin.h"

union message {
    struct backend_head head;
    uint8_t bytes[LINK_MESSAGE_MAX];
};

struct served {
    LIST_ENTRY(served) entry; /* in devices */
    uint32_t devid;
    void *device;
    bool failed;
    char reason[BACKEND_REASON_SIZE]; /* of that */
    bool unsaid;                      /* ...which the supervisor has not been told */
    bool drained;
    struct event *letting_go; /* fires when it is to be let go of */
    union message parting;    /* what is said then */
};

static const struct worker_kind *kind;
static struct worker_host host = {.fence_fd = -1};
static LIST_HEAD(, served) devices = LIST_HEAD_INITIALIZER(devices);
static bool serving;
static bool draining;
static struct served *to_report; /* what a new supervisor is told of next */
static bool reporting;           /* until it was told all */

void worker_die(const char *what, int error)
{
    fprintf(stderr, "<3>%s: %s: %s\n", kind->name, what, strerrordesc_np(error < 0 ? -error : error));
    _exit(EXIT_FAILURE);
}

/* ---- What is said to the supervisor. --------------------------------------------------------------------------------- */

void worker_say(struct backend_head *message)
{
    /* A supervisor that is alive reads, for it is never asked to read more than one message a device. */
    int result = link_say(message, NULL, 0);
    if (result < 0)
        worker_die("cannot answer the supervisor", result);
}

bool worker_try_to_say(struct backend_head *message)
{
    int result = reporting ? -EAGAIN : link_say(message, NULL, 0);

    if (result < 0 && result != -EAGAIN)
        worker_die("cannot tell the supervisor", result);
    return result == 0;
}

static void say_result(uint32_t type, uint32_t devid, int result, const char *reason)
{
    union message message = {.head = {.type = type, .devid = devid, .result = result}};

    if (result < 0)
        snprintf(message.head.reason, sizeof message.head.reason, "%s", reason);
    worker_say(&message.head);
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

void worker_failed(uint32_t devid, const char *reason)
{
    struct served *served = find(devid);

    served->failed = true;
    snprintf(served->reason, sizeof served->reason, "%s", reason);
    say_failed(served);
    if (draining)
        end_if_drained();
}

void worker_drained(uint32_t devid)
{
    find(devid)->drained = true;
    end_if_drained();
}

static int say_held(const struct served *served)
{
    union message message = {.head = {.type = BACKEND_HELD, .devid = served->devid}};
    int fds[WORKER_HELD_FDS_MAX];
    unsigned count = kind->held(served->device, &message.head, fds);

    memcpy(message.head.reason, served->reason, sizeof message.head.reason);
    message.head.result = served->failed ? -EPROTO : 0;
    return link_say(&message.head, fds, count);
}

/* Says what is held, as far as there is room. */
static void report(void)
{
    while (to_report) {
        const struct served *served = to_report;
        int result = say_held(served);
        if (result == -EAGAIN)
            result = link_await(report);
        else if (result == 0)
            to_report = LIST_NEXT(served, entry);
        if (result < 0)
            worker_die("cannot tell the supervisor what is served", result);
        if (to_report == served)
            return;
    }
    union message end = {.head = {.type = BACKEND_HELD_ALL}};
    int result = link_say(&end.head, NULL, 0);
    if (result == -EAGAIN)
        result = link_await(report);
    else if (result == 0)
        reporting = false;
    if (result < 0)
        worker_die("cannot tell the supervisor what is served", result);

    struct served *served;
    LIST_FOREACH (served, &devices, entry) {
        if (!reporting && served->unsaid)
            say_failed(served);
        if (!reporting && kind->settled)
            kind->settled(served->device);
    }
}

void worker_let_go(uint32_t devid, const struct backend_head *message)
{
    static const struct timeval at_once = {0};
    struct served *served = find(devid);

    if (!served || event_add(served->letting_go, &at_once) != 0)
        worker_die("letting go of a device", ENOMEM);
    memcpy(&served->parting, message, kind->message_size);
}

/* ---- What is served. ------------------------------------------------------------------------------------------------- */

static void forget(struct served *served, bool recoverable)
{
    LIST_REMOVE(served, entry);
    kind->disconnect(served->device, recoverable);
    event_free(served->letting_go);
    free(served);
}

/* Away from the queue that asked for it, and not in the middle of a report. */
static void on_letting_go(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval soon = {.tv_usec = 1000};
    struct served *served = arg;
    union message parting = served->parting;

    (void)fd;
    (void)what;
    if (reporting) {
        if (event_add(served->letting_go, &soon) != 0)
            worker_die("letting go of a device", ENOMEM);
        return;
    }
    forget(served, true);
    worker_say(&parting.head);
    if (draining)
        end_if_drained();
}

/* ---- What the supervisor asks for. ----------------------------------------------------------------------------------- */

static void serve(const struct backend_head *message, const int *fds)
{
    struct worker_guest guest;

    kind->guest(message, &guest);
    host.domid = guest.domid;
    host.fence_fd = fds[0];
    int result = crash_write_to(fds[2]);
    if (result < 0)
        worker_die("cannot map the crash report", result);
    result = spin_new(host.base, &guest.poll, &host.spin);
    if (result < 0)
        worker_die("cannot watch rings", result);
    /* Domain 0's event channels cannot be restricted to; everybody else's are. */
    result = host.domid == 0 ? 0 : xendev_events_restrict(host.events, host.domid);
    if (result < 0)
        worker_die("cannot restrict the event channels to the guest", result);
    kind->serve(&host, message, fds + WORKER_SERVE_FDS);
    result = link_listen(fds[1]);
    if (result < 0)
        worker_die("cannot listen for the next supervisor", result);
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
        kind->drain(served->device);
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
    LIST_FOREACH (served, &devices, entry)
        if (kind->alone)
            kind->alone(served->device);
    if (!draining)
        return;
    draining = false;
    LIST_FOREACH (served, &devices, entry) {
        served->drained = false;
        kind->undrain(served->device);
    }
}

static void connect_device(const struct backend_head *message, const int *fds)
{
    union message answer = {.head = {.type = BACKEND_CONNECTED, .devid = message->devid}};
    char reason[BACKEND_REASON_SIZE];

    if (find(message->devid))
        worker_die("the supervisor asked for what is there", EPROTO);
    struct served *served = calloc(1, sizeof *served);
    if (!served || !(served->letting_go = evtimer_new(host.base, on_letting_go, served)))
        worker_die("connect", ENOMEM);
    served->devid = message->devid;
    int result = kind->connect(message, fds, &served->device, &answer.head, reason);
    if (result < 0) {
        event_free(served->letting_go);
        free(served);
        say_result(BACKEND_CONNECTED, message->devid, result, reason);
        return;
    }
    LIST_INSERT_HEAD(&devices, served, entry);
    worker_say(&answer.head);
}

static void disconnect_device(const struct backend_head *message)
{
    struct served *served = find(message->devid);

    if (served)
        forget(served, false);
    else if (kind->forget)
        kind->forget(message->devid);
    say_result(BACKEND_DISCONNECTED, message->devid, 0, NULL);
}

static void own(const struct backend_head *message, const int *fds)
{
    const struct served *served = find(message->devid);

    kind->own(message, served ? served->device : NULL, fds);
}

/* How many descriptors a message must bring, or -1 when it may not come now. */
static int descriptors_due(const struct backend_head *message)
{
    if (message->version != kind->protocol_version || serving != (message->type != BACKEND_SERVE))
        return -1;
    switch (message->type) {
    case BACKEND_SERVE:
        return (int)(WORKER_SERVE_FDS + kind->serve_fds);
    case BACKEND_DISCONNECT:
    case BACKEND_DRAIN:
        return 0;
    default:
        return message->type == BACKEND_CONNECT || message->type >= BACKEND_OWN ? kind->fds_due(message) : -1;
    }
}

static void obey(const struct backend_head *message, const int *fds)
{
    switch (message->type) {
    case BACKEND_SERVE:
        serve(message, fds);
        break;
    case BACKEND_CONNECT:
        connect_device(message, fds);
        break;
    case BACKEND_DISCONNECT:
        disconnect_device(message);
        break;
    case BACKEND_DRAIN:
        drain();
        break;
    default:
        own(message, fds);
        break;
    }
}

static void on_message(const struct backend_head *message, const int *fds, unsigned fd_count)
{
    if (draining || descriptors_due(message) != (int)fd_count)
        worker_die("the supervisor said something impossible", EPROTO);
    obey(message, fds);
}

void worker_run(const struct worker_kind *the_kind)
{
    const struct link_user user = {
        .protocol_version = the_kind->protocol_version,
        .message_size = the_kind->message_size,
        .message = on_message,
        .adopted = on_adopted,
        .drain = drain,
        .alone = on_alone,
    };
    const char *step = "event loop";
    int result = -ENOMEM;

    kind = the_kind;
    if (kind->message_size > LINK_MESSAGE_MAX)
        worker_die("its messages are too large", EMSGSIZE);
    prctl(PR_SET_NAME, kind->name); /* it may have been started by a descriptor's name */
    host.base = event_base_new();
    if (!host.base)
        worker_die(step, result);
    result = link_open(host.base, &user);
    if (result < 0)
        worker_die(step, result);
    result = xendev_events_open(host.base, &host.events);
    if (result < 0)
        worker_die("cannot open the event channel device", result);
    result = xendev_grants_open(&host.grants);
    if (result < 0)
        worker_die("cannot open the grant device", result);
    result = crash_catch();
    if (result < 0)
        worker_die("cannot catch signals", result);
    result = sandbox_enter(&step);
    if (result == 0)
        result = sandbox_close(kind->sandbox,
                               &step); /* now, not when a guest waits: to make the filter takes milliseconds */
    if (result < 0)
        worker_die(step, result);

    event_base_dispatch(host.base);
    worker_die("the event loop ended", EIO);
}

/* SPDX-License-Identifier: MIT */
/*
 * blkbackd-worker: serves the disks of one guest.
 *
 * Started by blkbackd as a spare, with its channel at descriptor CHANNEL_WORKER_FD and nothing else: it opens its
 * handles to Xen, enters its sandbox and waits. BLKBACK_SERVE gives it its guest and closes the sandbox for good; after
 * that it works on descriptors it is handed. It is killed, never asked to stop; a supervisor that goes away leaves it
 * serving.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include <event2/event.h>

#include <supervise/channel.h>
#include <supervise/sandbox.h>
#include <xendev/event_channel.h>
#include <xendev/grant.h>

#include "device.h"
#include "spin.h"

#define IMAGE_FD_COUNT   1u
#define CONNECT_FD_COUNT 3u

struct served {
    LIST_ENTRY(served) entry; /* in devices */
    uint32_t devid;
    struct device *device;
};

static struct device_host host = {.fence_fd = -1};
static LIST_HEAD(, served) devices = LIST_HEAD_INITIALIZER(devices);
static bool serving;

__attribute__((noreturn)) static void die(const char *what, int error)
{
    fprintf(stderr, "<3>blkbackd-worker: %s: %s\n", what, strerrordesc_np(error < 0 ? -error : error));
    _exit(EXIT_FAILURE);
}

/* ---- What is said to the supervisor. --------------------------------------------------------------------------------- */

static void say(struct blkback_message *message)
{
    message->version = BLKBACK_PROTOCOL_VERSION;
    int result = channel_send(CHANNEL_WORKER_FD, message, sizeof *message, NULL, 0);
    /* Without a supervisor we serve on; one that is alive reads, for it is never asked to read more than one message a
     * device. */
    if (result < 0 && result != -EPIPE)
        die("cannot answer the supervisor", result);
}

static void say_result(enum blkback_message_type type, uint32_t devid, int result, const struct disk_error *error)
{
    struct blkback_message message = {.type = type, .devid = devid, .result = result};

    if (result < 0)
        message.error = *error;
    say(&message);
}

static void on_device_failed(uint32_t devid, const char *reason)
{
    struct disk_error error;

    snprintf(error.text, sizeof error.text, "%s", reason);
    say_result(BLKBACK_FAILED, devid, -EPROTO, &error);
}

/* ---- What the supervisor asks for. ----------------------------------------------------------------------------------- */

static struct served *find(uint32_t devid)
{
    struct served *served;

    LIST_FOREACH (served, &devices, entry)
        if (served->devid == devid)
            return served;
    return NULL;
}

static void serve(const struct blkback_message *message, const int *fds)
{
    const struct poll_limits limits = {
        .time_ns = UINT64_C(1000) * message->serve.poll_time_us,
        .percent = message->serve.poll_percent,
    };
    const char *step = "watching";

    host.domid = message->serve.domid;
    host.fence_fd = fds[0];
    int result = spin_new(host.base, &limits, &host.spin);
    if (result < 0)
        die(step, result);
    /* Domain 0's event channels cannot be restricted to; everybody else's are. */
    result = host.domid == 0 ? 0 : xendev_events_restrict(host.events, host.domid);
    if (result < 0)
        die("cannot restrict the event channels to the guest", result);
    result = sandbox_close(&step);
    if (result < 0)
        die(step, result);
    serving = true;
}

static void check(const struct blkback_message *message, const int *fds)
{
    struct disk_info info;
    struct disk_error error;

    int result = device_check(&host, &message->check, fds[0], &info, &error);
    if (result < 0) {
        say_result(BLKBACK_CHECKED, message->devid, result, &error);
        return;
    }
    struct blkback_message answer = {.type = BLKBACK_CHECKED, .devid = message->devid};
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

    if (find(message->devid) || connection->version != BLKBACK_CONNECTION_VERSION || connection->abi >= BLKIF_ABIS ||
        connection->ring_order > BLKIF_RING_ORDER_MAX)
        die("the supervisor asked for an impossible connection", EPROTO);

    struct served *served = calloc(1, sizeof *served);
    if (!served)
        die("connect", ENOMEM);
    served->devid = message->devid;
    int result =
        device_open(&host, message->devid, connection, message->connect.recover != 0, &files, &served->device, &error);
    if (result < 0)
        free(served);
    else
        LIST_INSERT_HEAD(&devices, served, entry);
    say_result(BLKBACK_CONNECTED, message->devid, result, &error);
}

static void disconnect_device(const struct blkback_message *message)
{
    struct served *served = find(message->devid);

    if (served) {
        LIST_REMOVE(served, entry);
        device_close(served->device);
        free(served);
    }
    say_result(BLKBACK_DISCONNECTED, message->devid, 0, NULL);
}

/* How many descriptors a message must bring, or -1 when it may not come now. */
static int descriptors_due(const struct blkback_message *message)
{
    if (message->version != BLKBACK_PROTOCOL_VERSION || serving != (message->type != BLKBACK_SERVE))
        return -1;
    switch (message->type) {
    case BLKBACK_SERVE:
    case BLKBACK_CHECK:
        return IMAGE_FD_COUNT;
    case BLKBACK_CONNECT:
        return CONNECT_FD_COUNT;
    case BLKBACK_DISCONNECT:
        return 0;
    default:
        return -1;
    }
}

static void obey(const struct blkback_message *message, const int *fds)
{
    switch (message->type) {
    case BLKBACK_SERVE:
        serve(message, fds);
        break;
    case BLKBACK_CHECK:
        check(message, fds);
        break;
    case BLKBACK_CONNECT:
        connect_device(message, fds);
        break;
    default:
        disconnect_device(message);
        break;
    }
}

static void on_channel(evutil_socket_t fd, short what, void *arg)
{
    struct event *event = *(struct event **)arg;
    struct blkback_message message;
    int fds[CHANNEL_FDS_MAX];
    unsigned fd_count = 0;

    (void)what;
    ssize_t got = channel_receive(fd, &message, sizeof message, fds, &fd_count);
    if (got == -EAGAIN)
        return;
    if (got < 0)
        die("channel", (int)got);
    if (got == 0) {
        if (!serving)
            _exit(EXIT_SUCCESS);
        event_del(event);
        return;
    }
    if (descriptors_due(&message) != (int)fd_count)
        die("the supervisor said something impossible", EPROTO);
    obey(&message, fds);
}

int main(void)
{
    struct event *channel = NULL;
    const char *step = "event loop";
    int result = -ENOMEM;

    host.failed = on_device_failed;
    host.base = event_base_new();
    if (!host.base)
        die(step, result);
    channel = event_new(host.base, CHANNEL_WORKER_FD, EV_READ | EV_PERSIST, on_channel, &channel);
    if (!channel || event_add(channel, NULL) != 0)
        die(step, result);
    result = xendev_events_open(host.base, &host.events);
    if (result < 0)
        die("cannot open the event channel device", result);
    result = xendev_grants_open(&host.grants);
    if (result < 0)
        die("cannot open the grant device", result);
    result = sandbox_enter(&step);
    if (result < 0)
        die(step, result);

    event_base_dispatch(host.base);
    die("the event loop ended", EIO);
}

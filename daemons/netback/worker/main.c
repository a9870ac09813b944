/* SPDX-License-Identifier: MIT */
/*
 * netbackd-worker: serves the network cards of one guest. What it is beside that, all workers are (backend/worker/worker.h).
 */
#include <errno.h>
#include <unistd.h>

#include <backend/worker/worker.h>

#include "../journal.h"
#include "vif.h"

static const struct worker_host *host;

static const struct netback_message *message_of(const struct backend_head *head)
{
    return (const struct netback_message *)head;
}

static void guest(const struct backend_head *head, struct worker_guest *ret_guest)
{
    const struct netback_message *message = message_of(head);

    *ret_guest = (struct worker_guest){
        .domid = message->serve.domid,
        .poll = {.time_ns = UINT64_C(1000) * message->serve.poll_time_us, .percent = message->serve.poll_percent},
    };
}

static void serve(const struct worker_host *worker, const struct backend_head *head, const int *fds)
{
    (void)head;
    (void)fds;
    host = worker;
}

static int fds_due(const struct backend_head *head)
{
    const struct netback_connection *connection = &message_of(head)->connect.connection;

    switch (head->type) {
    case NETBACK_TUNE:
        return 0;
    case NETBACK_CAPTURE:
        return message_of(head)->capture.snaplen > 0 ? (int)NETBACK_CAPTURE_FDS : 0;
    case BACKEND_CONNECT:
        return netback_connection_check(connection) < 0 ? -1 : (int)(NETBACK_FD_PORT + netback_port_fds(connection));
    default:
        return -1;
    }
}

static int connect_card(const struct backend_head *head, const int *fds, void **ret_device,
                        struct backend_head *ret_answer, char ret_reason[BACKEND_REASON_SIZE])
{
    struct vif *vif;

    (void)ret_answer;
    int err = vif_open(host, head->devid, &message_of(head)->connect, fds, &vif, ret_reason);
    if (err == 0)
        *ret_device = vif;
    return err;
}

static void disconnect_card(void *device, bool recoverable)
{
    vif_close(device, recoverable);
}

static void drain(void *device)
{
    vif_drain(device);
}

static void undrain(void *device)
{
    vif_undrain(device);
}

static unsigned held(void *device, struct backend_head *ret_message, int ret_fds[WORKER_HELD_FDS_MAX])
{
    return vif_held(device, (struct netback_message *)ret_message, ret_fds);
}

static void settled(void *device)
{
    vif_say_carrier(device);
}

/* A capture is for a supervisor that reads it. */
static void alone(void *device)
{
    vif_capture(device, 0, NULL);
}

static void own(const struct backend_head *head, void *device, const int *fds)
{
    const struct netback_message *message = message_of(head);

    if (device && head->type == NETBACK_TUNE) { /* without one it was let go of before it heard that */
        vif_tune(device, &message->tune);
    } else if (device) {
        vif_capture(device, message->capture.snaplen, fds);
    } else {
        for (int i = 0; i < fds_due(head); i++)
            close(fds[i]);
    }
}

static const struct worker_kind kind = {
    .name = "netbackd-worker",
    .protocol_version = NETBACK_PROTOCOL_VERSION,
    .message_size = sizeof(struct netback_message),
    .guest = guest,
    .serve = serve,
    .fds_due = fds_due,
    .connect = connect_card,
    .disconnect = disconnect_card,
    .drain = drain,
    .undrain = undrain,
    .held = held,
    .settled = settled,
    .alone = alone,
    .own = own,
};

int main(void)
{
    worker_run(&kind);
}

/* SPDX-License-Identifier: MIT */
/*
 * A card, from what xenbus wants to what its worker is told. Where its frames go is port.h's; everything that is not about networks is
 * daemons/backend's.
 *
 * The run directory of a card holds, beside what every device's does, `card` (what the toolstack said: card.c) and `state`: what the guest has
 * set up by its control ring and its multicast filter, written by the worker, of a connection.
 */
#include "vif.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <backend/adopt.h>
#include <backend/guest.h>
#include <backend/record.h>
#include <backend/serve.h>
#include <ring/back.h>
#include <ring/netif_ctrl.h>
#include <supervise/rundir.h>
#include <xendev/store.h>

#include "capture.h"
#include "counters.h"
#include "frontend.h"
#include "journal.h"
#include "leftover.h"
#include "naming.h"
#include "netback.h"
#include "offer.h"
#include "port.h"
#include "reason.h"
#include "report.h"
#include "switch.h"
#include "waiting.h"

#define STATE_FILE "state"

/* How often the ring of a guest is looked at that sends no event when it posts pages; such a guest is never held to have stalled. */
#define DRAIN_WITHOUT_NOTIFY_MS 30u

struct vif *vif_of(struct device *device)
{
    return (struct vif *)device;
}

const struct vif *vif_of_const(const struct device *device)
{
    return (const struct vif *)device;
}

struct netback *vif_netback(const struct vif *vif)
{
    return (struct netback *)device_backend(&vif->device);
}

void vif_close_fds(struct vif *vif)
{
    while (vif->fd_count > 0)
        close(vif->fds[--vif->fd_count]);
}

/* ---- What is recorded. --------------------------------------------------------------------------------------------------------- */

static bool connection_is_valid(const struct backend_connection *connection)
{
    return netback_connection_check((const struct netback_connection *)connection) == 0;
}

static unsigned rings(const struct backend_connection *connection, struct ring_layout ret_layouts[])
{
    return netback_rings((const struct netback_connection *)connection, ret_layouts);
}

static int record(struct device *device, struct backend_connection *connection)
{
    struct vif *vif = vif_of(device);
    int state;

    state = rundir_create(device->dir, STATE_FILE, NETBACK_STATE_SIZE);
    if (state < 0)
        return state;
    close(state);
    return card_save(device->dir, connection->generation, &vif->card, vif->multicast_control);
}

/* Reads what the toolstack says; while xenstore is away, what is recorded. */
static int read_card(struct vif *vif, const struct backend_connection *recorded, struct backend_error *ret_error)
{
    struct device *device = &vif->device;
    uint64_t generation = 0;
    int err;

    if (device->backend != NULL) {
        err = card_read(device_store(device), xendev_backend_path(device->backend), device->guest->domid, device->devid,
                        &vif->card, ret_error);
    } else {
        err = card_load(device->dir, &generation, &vif->card, &vif->multicast_control);
        if (err < 0 || (recorded != NULL && generation != recorded->generation))
            err = reason_fail(ret_error, -ENOTCONN, "xenstore is away");
    }
    if (err == 0)
        vif->port = vif->card.switched ? &port_switch : &port_tap;
    return err;
}

static int reload(struct device *device, const struct backend_connection *recorded, struct backend_error *ret_error)
{
    struct vif *vif = vif_of(device);
    int err = read_card(vif, recorded, ret_error);

    if (err < 0)
        return err;
    if (((const struct netback_connection *)recorded)->port != (uint32_t)vif->port->number)
        return reason_fail(ret_error, -EINVAL, "it was connected with another kind of port");
    if (device->backend != NULL)
        vif->multicast_control =
            frontend_wants_multicast_control(device_store(device), xendev_backend_front(device->backend));
    return device->backend != NULL ? card_save(device->dir, recorded->generation, &vif->card, vif->multicast_control)
                                   : 0;
}

/* ---- Guests. ------------------------------------------------------------------------------------------------------------------- */

static int sweep(struct backend *backend)
{
    struct netback *netback = (struct netback *)backend;

    return leftover_sweep(netback->taps_dir, backend, &netback->taps_held);
}

static int serve(struct guest *guest, const int fds[BACKEND_SERVE_FDS])
{
    const struct netback_config *config = &((const struct netback *)guest->backend)->config;
    struct netback_message message = {.head = {.type = BACKEND_SERVE},
                                      .serve = {.domid = guest->domid,
                                                .poll_time_us = (uint32_t)config->poll_time,
                                                .poll_percent = (uint32_t)config->poll_budget}};

    return guest_say(guest, &message.head, fds, BACKEND_SERVE_FDS);
}

/* ---- What may change while it is connected. ------------------------------------------------------------------------------------ */

static struct netback_tuning tuning_of(const struct vif *vif)
{
    const struct netback_config *config = &vif_netback(vif)->config;
    const bool notified = (vif->connection.features & NETBACK_RX_NOTIFY) != 0;

    return (struct netback_tuning){
        .rate_bytes = vif->card.rate.bytes,
        .rate_us = vif->card.rate.us,
        .multicast_control = vif->multicast_control,
        .rx_drain_ms = notified ? (uint32_t)config->drain_time : DRAIN_WITHOUT_NOTIFY_MS,
        .rx_stall_ms = notified ? (uint32_t)config->stall_time : 0,
    };
}

static void tell_tuning(struct vif *vif)
{
    struct netback_message message = {.head = {.type = NETBACK_TUNE, .devid = vif->device.devid},
                                      .tune = tuning_of(vif)};

    vif->untold = false;
    guest_tell(vif->device.guest, &message.head, NULL, 0);
}

/* A worker that is about to connect is told when it has. */
static void tune(struct vif *vif)
{
    const struct device *device = &vif->device;

    vif->untold = true;
    if (device->state == DEVICE_CONNECTED || device->state == DEVICE_RECOVERING)
        (void)card_save(device->dir, vif->connection.generation, &vif->card, vif->multicast_control);
    if (device->state == DEVICE_CONNECTED && device->guest->state == GUEST_SERVED)
        tell_tuning(vif);
}

static void on_rate_changed(void *arg, const char *path)
{
    struct vif *vif = arg;
    struct backend_error error;
    struct rate rate;

    (void)path;
    card_read_rate(device_store(&vif->device), xendev_backend_path(vif->device.backend), &rate, &error);
    if (error.text[0] != '\0')
        log_warning(&vif->device.log, "%s", error.text);
    if (rate.bytes == vif->card.rate.bytes && rate.us == vif->card.rate.us) {
        if (vif->untold)
            tune(vif);
        return;
    }
    vif->card.rate = rate;
    if (rate.us == 0)
        log_info(&vif->device.log, "may send without a limit");
    else
        log_info(&vif->device.log, "may send %" PRIu64 " bytes each %" PRIu32 " us", rate.bytes, rate.us);
    tune(vif);
}

static void on_multicast_changed(void *arg, const char *path)
{
    struct vif *vif = arg;
    const bool wanted =
        frontend_wants_multicast_control(device_store(&vif->device), xendev_backend_front(vif->device.backend));

    (void)path;
    if (wanted == vif->multicast_control && !vif->untold)
        return;
    vif->multicast_control = wanted;
    tune(vif);
}

static int watch(struct vif *vif, const char *directory, const char *key, void (*changed)(void *arg, const char *path),
                 struct xendev_watch **ret_watch)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", directory, key);
    return xendev_watch_add(device_store(&vif->device), path, changed, vif, ret_watch);
}

static void part(struct device *device)
{
    struct vif *vif = vif_of(device);

    xendev_watch_remove(vif->rate_watch);
    xendev_watch_remove(vif->multicast_watch);
    vif->rate_watch = vif->multicast_watch = NULL;
}

static void meet(struct device *device)
{
    struct vif *vif = vif_of(device);
    struct backend_error unused;
    int err;

    part(device);
    if (vif->port == NULL)
        (void)read_card(vif, NULL, &unused);
    err = watch(vif, xendev_backend_path(device->backend), "rate", on_rate_changed, &vif->rate_watch);
    if (err == 0)
        err = watch(vif, xendev_backend_front(device->backend), "request-multicast-control", on_multicast_changed,
                    &vif->multicast_watch);
    if (err < 0)
        log_warning(&device->log, "changes of its rate and filter are not followed: %s", strerror(-err));
}

/* ---- Coming and going. --------------------------------------------------------------------------------------------------------- */

static int init(struct device *device)
{
    struct backend_error unused;

    vif_of(device)->untold = true; /* whatever a predecessor told */
    /* For reports, until prepare or connect look at it: it may have been closed under a predecessor, or by one. */
    (void)read_card(vif_of(device), NULL, &unused);
    return 0;
}

static void fini(struct device *device)
{
    part(device);
    capture_drop(vif_of(device));
    if (vif_of(device)->port_asked != NULL)
        switch_detach(vif_of(device));
    vif_close_fds(vif_of(device));
}

static void discard(struct device *device)
{
    struct vif *vif = vif_of(device);

    if (vif->port != NULL)
        vif->port->discard(vif);
}

/* ---- On the way up. ------------------------------------------------------------------------------------------------------------ */

static void prepare(struct device *device)
{
    struct vif *vif = vif_of(device);
    const struct device *namesake;
    struct backend_error error;
    char name[TAP_NAME_SIZE];
    int err = read_card(vif, NULL, &error);

    if (err < 0) {
        waiting_end(vif);
        device_give_up(device, err, "%s", error.text);
        return;
    }
    namesake = naming_find_namesake(vif, name);
    if (namesake != NULL) {
        (void)reason_fail(&error, -EEXIST, "%s is the name of card %" PRIu32 "/%" PRIu32 " already", name,
                          namesake->guest->domid, namesake->devid);
        naming_is_taken(vif, name, error.text);
        return;
    }
    vif->port->prepare(vif);
}

void vif_prepare_again(struct vif *vif)
{
    prepare(&vif->device);
}

static int offer(struct device *device)
{
    return offer_features(device_store(device), xendev_backend_path(device->backend),
                          (uint32_t)vif_netback(vif_of(device))->config.queues_max);
}

static int read_front(struct device *device, struct backend_connection *ret_connection, struct backend_error *ret_error)
{
    struct vif *vif = vif_of(device);
    struct netback_connection *connection = (struct netback_connection *)ret_connection;
    const char *front = device->backend != NULL ? xendev_backend_front(device->backend) : NULL;
    uint32_t queues_max = 1;
    int err;

    if (front == NULL)
        return reason_fail(ret_error, -ENOTCONN, "xenstore is away");
    /* As many as were offered, perhaps by another configuration. */
    (void)xendev_store_read_u32(device_store(device), XENDEV_NO_TXN, xendev_backend_path(device->backend),
                                OFFER_QUEUES_KEY, &queues_max);
    if (queues_max > NETBACK_QUEUES_MAX)
        queues_max = NETBACK_QUEUES_MAX;
    err = frontend_read(device_store(device), front, queues_max, connection, ret_error);
    if (err == 0)
        err = read_card(vif, NULL, ret_error);
    if (err < 0)
        return err;
    vif->multicast_control = frontend_wants_multicast_control(device_store(device), front);
    connection->port = (uint32_t)vif->port->number;
    memcpy(connection->mac, vif->card.mac, sizeof(connection->mac));
    return 0;
}

static void acquire(struct device *device)
{
    struct vif *vif = vif_of(device);

    vif->port->acquire(vif);
}

static void cancel(struct device *device)
{
    waiting_end(vif_of(device));
}

static void let_go(struct device *device)
{
    struct vif *vif = vif_of(device);

    vif->carrier_off = false;
    if (vif->port != NULL)
        vif->port->let_go(vif);
}

void vif_netdevs_changed(struct netback *netback)
{
    struct device *device, *next;

    for (device = device_first(&netback->backend); device != NULL; device = next) {
        struct vif *vif = vif_of(device);
        next = device_next(device);
        if (vif->step == VIF_STEP_FORWARDING)
            vif->port->netdevs_changed(vif);
    }
}

/* ---- Workers. ------------------------------------------------------------------------------------------------------------------ */

static void connect_vif(struct device *device, const struct serve_order *order)
{
    struct vif *vif = vif_of(device);
    struct netback_message message = {.connect = {.connection = vif->connection,
                                                  .tuning = tuning_of(vif),
                                                  .recover = order->recover,
                                                  .crashed = device->crashed,
                                                  .attempts_max = (uint32_t)vif_netback(vif)->config.attempts_max}};
    int fds[NETBACK_FD_PORT + NETBACK_QUEUES_MAX];
    char reason[DEVICE_REASON_SIZE];
    int state;

    if (vif->fd_count !=
        netback_port_fds(&vif->connection)) { /* it has failed, and xenbus has yet to disconnect the card */
        memcpy(reason, device->failure, sizeof(reason));
        device_give_up(device, -EPIPE, "%s", reason);
        return;
    }
    state = rundir_file(device->dir, STATE_FILE, NETBACK_STATE_SIZE);
    if (state < 0)
        state = rundir_create(device->dir, STATE_FILE, NETBACK_STATE_SIZE);
    if (state < 0) {
        device_give_up(device, state, "the run directory cannot be used: %s", strerror(-state));
        return;
    }
    fds[NETBACK_FD_JOURNAL] = order->journal;
    fds[NETBACK_FD_STATE] = state;
    fds[NETBACK_FD_COUNTERS] = order->counters;
    memcpy(fds + NETBACK_FD_PORT, vif->fds, vif->fd_count * sizeof(fds[0]));
    vif->untold = false;
    serve_tell(device, BACKEND_CONNECT, &message.head, fds, NETBACK_FD_PORT + vif->fd_count);
    close(state);
}

static void set_carrier(struct vif *vif, bool on)
{
    vif->carrier_off = !on;
    if (vif->port->set_carrier != NULL)
        vif->port->set_carrier(vif, on);
}

static void recovered(struct device *device, const struct backend_head *message)
{
    struct vif *vif = vif_of(device);

    (void)message;
    set_carrier(vif, true); /* the worker says when it is not so; its predecessor may have */
    if (vif->untold)        /* it changed meanwhile */
        tell_tuning(vif);
    capture_tell(vif);
}

static int connected(struct device *device, const struct backend_head *message)
{
    const struct vif *vif = vif_of(device);

    recovered(device, message);
    log_info(&device->log, "connected: %s%s%s, %" PRIu32 " queue%s", vif->card.netdev,
             vif->card.bridge[0] != '\0' ? " on " : "", vif->card.bridge, vif->connection.queue_count,
             vif->connection.queue_count == 1 ? "" : "s");
    return 0;
}

static int on_message(struct device *device, const struct backend_head *head)
{
    struct vif *vif = vif_of(device);
    bool on;

    if (head->type != NETBACK_CARRIER)
        return -EPROTO;
    if (device->state != DEVICE_CONNECTED && device->state != DEVICE_RECOVERING)
        return 0; /* overtaken */
    on = ((const struct netback_message *)head)->carrier.on != 0;
    if (on != vif->carrier_off)
        return 0; /* known */
    log_info(&device->log, on ? "the guest takes frames again" : "the guest takes no frames any more");
    set_carrier(vif, on);
    return 0;
}

static bool held_check(const int *fds, unsigned fd_count)
{
    (void)fds; /* what they are shows when a card claims them */
    return fd_count > 0 && fd_count <= NETBACK_QUEUES_MAX;
}

static bool held_is_own(const struct device *device, const int *fds, unsigned fd_count)
{
    const struct vif *vif = vif_of_const(device);

    return vif->port->held_is_own(vif, fds, fd_count);
}

static void claim(struct device *device, const int *fds, unsigned fd_count)
{
    struct vif *vif = vif_of(device);

    vif_close_fds(vif);
    memcpy(vif->fds, fds, fd_count * sizeof(fds[0]));
    vif->fd_count = fd_count;
    if (device->state == DEVICE_DISCONNECTING)
        return;             /* nobody has looked at what they are */
    set_carrier(vif, true); /* as in recovered() */
    if (vif->port->claimed != NULL)
        vif->port->claimed(vif);
    if (device->guest->state == GUEST_SERVED) {
        tell_tuning(vif); /* it may have changed while there was no netbackd, and so may have what the guest takes */
        capture_tell(vif);
    }
}

void vif_port_failed(struct vif *vif, const char *reason)
{
    char text[BACKEND_REASON_SIZE];

    snprintf(text, sizeof(text), "%s", reason);
    device_fail(&vif->device, text);
}

/* ---- What is to be seen. ------------------------------------------------------------------------------------------------------- */

static const char *activity(const struct device *device)
{
    static const char *const names[] = {"preparing", "waiting-for-switch", "waiting-for-port", "waiting-for-name"};
    _Static_assert(sizeof(names) / sizeof(names[0]) == VIF_STEPS, "one name a step");

    return names[vif_of_const(device)->step];
}

static const char *subject(const struct device *device)
{
    return vif_of_const(device)->card.netdev;
}

static bool waits_for_others(const struct device *device)
{
    return vif_of_const(device)->step != VIF_STEP_NONE;
}

const struct backend_kind vif_kind = {
    .daemon = "netbackd",
    .run_dir = "netback",
    .noun = "card",
    .device_size = sizeof(struct vif),
    .guest_size = sizeof(struct guest),
    .message_size = sizeof(struct netback_message),
    .protocol_version = NETBACK_PROTOCOL_VERSION,
    .connection_offset = offsetof(struct vif, connection),
    .connection_size = sizeof(struct netback_connection),
    .connection_version = NETBACK_CONNECTION_VERSION,
    .counters_size = sizeof(struct netback_counters),
    .connection_is_valid = connection_is_valid,
    .rings = rings,
    .serve = serve,
    .sweep = sweep,
    .init = init,
    .fini = fini,
    .meet = meet,
    .part = part,
    .discard = discard,
    .prepare = prepare,
    .offer = offer,
    .read_front = read_front,
    .acquire = acquire,
    .cancel = cancel,
    .let_go = let_go,
    .record = record,
    .reload = reload,
    .message = on_message,
    .connect = connect_vif,
    .connected = connected,
    .recovered = recovered,
    .held_check = held_check,
    .held_is_own = held_is_own,
    .claim = claim,
    .activity = activity,
    .subject = subject,
    .waits_for_others = waits_for_others,
    .report = report_vif,
    .metrics = report_metrics,
    .post = capture_post,
};

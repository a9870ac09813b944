/* SPDX-License-Identifier: MIT */
/*
 * A card is put together in the order files, port, buffers, rings, and taken apart the other way round.
 *
 * What its queues share is here: the files, the port, the buffers of frames, the rate; and which queue a frame goes to (route.h). When one ring can no longer be
 * understood, or the port is gone, the whole card stops; other cards of the guest go on.
 */
#include "vif.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <event2/event.h>

#include <backend/clock.h>
#include <backend/worker/bucket.h>
#include <backend/worker/map.h>
#include <ring/back.h>
#include <supervise/channel.h>

#include "../counters.h"
#include "../journal.h"
#include "capture.h"
#include "ctrl.h"
#include "port.h"
#include "queue.h"
#include "route.h"
#include "rx.h"

#define RATE_BURST_MIN 131072u /* bytes: the largest packet passes, whatever the rate is */

static_assert(RATE_BURST_MIN >= NETIF_LENGTH_MAX, "the largest packet passes");
static_assert(FRAMES_HEADROOM >= PORT_HEADROOM, "a port finds its headroom");
static_assert(WORKER_HELD_FDS_MAX >= NETBACK_QUEUES_MAX, "a port's descriptors can be told");
static_assert(CHANNEL_FDS_MAX >= NETBACK_FD_PORT + NETBACK_QUEUES_MAX, "...and handed over");

struct vif {
    const struct worker_host *host;
    uint32_t devid;
    struct netback_order order;
    struct netback_tuning tuning;
    int port_fds[NETBACK_QUEUES_MAX]; /* netback_port_fds() of them */
    void *journals;
    struct netback_state *state;
    struct netback_counters *counters;
    struct port *port;
    struct frames *frames;
    struct bucket rate;
    struct route route;
    struct capture capture;
    struct queue *queues[NETBACK_QUEUES_MAX]; /* queue_count of them */
    struct ctrl *ctrl;                        /* NULL: there is none */
    unsigned undrained;                       /* queues, and the control ring, while it drains */
    unsigned stalled;                         /* queues */
    bool said_stalled;                        /* what the supervisor knows */
    struct event *say_again;
};

/* ---- Files. ---------------------------------------------------------------------------------------------------------- */

/* Goes on with what a worker before left, if it can be understood; else with no hash, and all multicasts. */
static void take_state(struct vif *vif)
{
    const struct netback_connection *connection = &vif->order.connection;
    struct netback_state *state = vif->state;
    const bool known =
        state->magic == STATE_MAGIC && state->version == STATE_VERSION && state->generation == connection->generation;

    if (!vif->order.recover || !known) {
        memset(state, 0, sizeof *state);
        state->multicast.lost = vif->order.recover != 0;
    }
    if (netif_hash_check(&state->hash, connection->queue_count) < 0)
        state->hash = (struct netif_hash){.queues = connection->queue_count};
    multicast_recover(&state->multicast);
    state->generation = connection->generation;
    state->version = STATE_VERSION;
    state->magic = STATE_MAGIC;
}

static void take_counters(struct vif *vif)
{
    struct netback_counters *counters = vif->counters;

    counters->magic = NETBACK_COUNTERS_MAGIC;
    counters->version = NETBACK_COUNTERS_VERSION;
    counters->queue_count = vif->order.connection.queue_count;
    counters->carrier = 1;
    counters->hash = vif->state->hash.algorithm != NETIF_HASH_NONE;
    counters->filter_size = vif->state->multicast.count;
    for (unsigned i = 0; i < NETBACK_QUEUES_MAX; i++)
        counters->queues[i].rx_waiting = 0;
}

static int map_files(struct vif *vif, const int *fds, char ret_reason[BACKEND_REASON_SIZE])
{
    vif->journals =
        worker_map(fds[NETBACK_FD_JOURNAL], netback_journal_size(&vif->order.connection), "journal", ret_reason);
    if (vif->journals)
        vif->state = worker_map(fds[NETBACK_FD_STATE], NETBACK_STATE_SIZE, "state", ret_reason);
    if (vif->state)
        vif->counters = worker_map(fds[NETBACK_FD_COUNTERS], sizeof *vif->counters, "counters", ret_reason);
    if (!vif->counters)
        return -EIO;
    take_state(vif);
    take_counters(vif);
    return 0;
}

/* ---- What the queues tell. ------------------------------------------------------------------------------------------- */

static void on_readable(void *arg, unsigned source)
{
    struct vif *vif = arg;

    queue_readable(vif->queues[source]);
}

static void on_room(void *arg)
{
    struct vif *vif = arg;

    for (unsigned i = 0; i < vif->order.connection.queue_count; i++)
        queue_wake(vif->queues[i]);
}

static void on_arrived(void *arg, unsigned source, struct frame *frame, uint64_t now)
{
    struct vif *vif = arg;
    unsigned queue;

    unsigned drop = route_frame(&vif->route, source, frame, &queue);
    if (drop > 0) {
        vif->counters->queues[source].rx_drops[drop - 1]++;
        frames_put(vif->frames, frame);
        return;
    }
    queue_give(vif->queues[queue], frame, now);
}

static bool on_keeps(void *arg)
{
    const struct vif *vif = arg;

    return route_is_fixed(&vif->route);
}

static void stop(struct vif *vif)
{
    for (unsigned i = 0; i < vif->order.connection.queue_count; i++)
        if (vif->queues[i])
            queue_stop(vif->queues[i]);
    if (vif->ctrl)
        ctrl_stop(vif->ctrl);
    if (vif->say_again)
        event_del(vif->say_again);
}

static void on_failed(void *arg, const char *reason)
{
    struct vif *vif = arg;

    stop(vif);
    worker_failed(vif->devid, reason);
}

static void on_drained(void *arg)
{
    struct vif *vif = arg;

    if (--vif->undrained == 0)
        worker_drained(vif->devid);
}

void vif_say_carrier(struct vif *vif)
{
    static const struct timeval soon = {.tv_usec = 100000};
    struct netback_message message = {.head = {.type = NETBACK_CARRIER, .devid = vif->devid}};

    if (vif->said_stalled == (vif->stalled > 0))
        return;
    message.carrier.on = vif->stalled == 0;
    if (worker_try_to_say(&message.head))
        vif->said_stalled = vif->stalled > 0;
    else
        event_add(vif->say_again, &soon);
}

static void on_stalled(void *arg, bool stalled)
{
    struct vif *vif = arg;

    vif->stalled = stalled ? vif->stalled + 1 : vif->stalled - 1;
    vif->counters->carrier = vif->stalled == 0;
    vif_say_carrier(vif);
}

static void on_say_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    vif_say_carrier(arg);
}

/* ---- The rate. ------------------------------------------------------------------------------------------------------- */

/* As Linux's back end has it: what is not used is kept for one window. */
static void set_rate(struct vif *vif)
{
    const uint64_t bytes = vif->tuning.rate_bytes, window_ns = UINT64_C(1000) * vif->tuning.rate_us;

    bucket_set(&vif->rate, bytes, window_ns, RATE_BURST_MIN, clock_now_ns());
}

/* ---- What is asked for. ---------------------------------------------------------------------------------------------- */

void vif_tune(struct vif *vif, const struct netback_tuning *tuning)
{
    vif->tuning = *tuning;
    set_rate(vif);
    for (unsigned i = 0; i < vif->order.connection.queue_count; i++)
        queue_wake(vif->queues[i]);
    vif->said_stalled = false;
    vif_say_carrier(vif);
}

void vif_capture(struct vif *vif, uint32_t snaplen, const int *fds)
{
    if (snaplen > 0)
        capture_begin(&vif->capture, fds[0], fds[1], snaplen);
    else
        capture_end(&vif->capture);
}

void vif_drain(struct vif *vif)
{
    vif->undrained = vif->order.connection.queue_count + (vif->ctrl ? 1 : 0);
    for (unsigned i = 0; i < vif->order.connection.queue_count; i++)
        queue_drain(vif->queues[i]);
    if (vif->ctrl)
        ctrl_drain(vif->ctrl);
}

void vif_undrain(struct vif *vif)
{
    for (unsigned i = 0; i < vif->order.connection.queue_count; i++)
        queue_undrain(vif->queues[i]);
    if (vif->ctrl)
        ctrl_undrain(vif->ctrl);
}

unsigned vif_held(struct vif *vif, struct netback_message *ret_message, int ret_fds[WORKER_HELD_FDS_MAX])
{
    const unsigned count = netback_port_fds(&vif->order.connection);

    ret_message->head.generation = vif->order.connection.generation;
    vif->said_stalled = false; /* as whoever hears this takes it */
    memcpy(ret_fds, vif->port_fds, count * sizeof ret_fds[0]);
    return count;
}

/* ---- Open and close. ------------------------------------------------------------------------------------------------- */

static int open_port(struct vif *vif, char ret_reason[BACKEND_REASON_SIZE])
{
    static const struct port_kind *const kinds[NETBACK_PORTS] = {
        [NETBACK_PORT_TAP] = &port_tap, [NETBACK_PORT_SWITCH] = &port_switch};
    const struct port_params params = {
        .base = vif->host->base,
        .connection = &vif->order.connection,
        .fds = vif->port_fds,
        .readable = on_readable,
        .room = on_room,
        .arg = vif,
    };
    int err = kinds[vif->order.connection.port]->open(&params, &vif->port);

    if (err < 0)
        snprintf(ret_reason, BACKEND_REASON_SIZE, "its port cannot be used: %s", strerrordesc_np(-err));
    return err;
}

static int prepare(struct vif *vif, char ret_reason[BACKEND_REASON_SIZE])
{
    const unsigned queues = vif->order.connection.queue_count;
    uint8_t key[NETIF_HASH_KEY_MAX];

    if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key ||
        frames_new((queues + 1) * RX_WAITING_MAX, &vif->frames) < 0 ||
        !(vif->say_again = evtimer_new(vif->host->base, on_say_again, vif))) {
        snprintf(ret_reason, BACKEND_REASON_SIZE, "out of memory");
        return -ENOMEM;
    }
    set_rate(vif);
    route_init(&vif->route, &vif->order.connection, &vif->tuning, vif->state, vif->port->sources == 1, key);
    return 0;
}

static int open_rings(struct vif *vif, char ret_reason[BACKEND_REASON_SIZE])
{
    struct queue_params queue = {
        .host = vif->host,
        .order = &vif->order,
        .tuning = &vif->tuning,
        .port = vif->port,
        .frames = vif->frames,
        .rate = &vif->rate,
        .multicast = &vif->state->multicast,
        .capture = &vif->capture,
        .counters = vif->counters,
        .journals = vif->journals,
        .arrived = on_arrived,
        .keeps = on_keeps,
        .failed = on_failed,
        .drained = on_drained,
        .stalled = on_stalled,
        .arg = vif,
    };
    const struct ctrl_params ctrl = {
        .host = vif->host,
        .order = &vif->order,
        .hash = &vif->state->hash,
        .counters = vif->counters,
        .journals = vif->journals,
        .failed = on_failed,
        .drained = on_drained,
        .arg = vif,
    };
    int err = 0;

    for (; err == 0 && queue.index < vif->order.connection.queue_count; queue.index++)
        err = queue_open(&queue, &vif->queues[queue.index], ret_reason);
    if (err == 0 && vif->order.connection.has_ctrl)
        err = ctrl_open(&ctrl, &vif->ctrl, ret_reason);
    return err;
}

int vif_open(const struct worker_host *host, uint32_t devid, const struct netback_order *order, const int *fds,
             struct vif **ret_vif, char ret_reason[BACKEND_REASON_SIZE])
{
    const uint64_t started = clock_now_ns();
    const unsigned port_fds = netback_port_fds(&order->connection);
    int err = -ENOMEM;

    struct vif *vif = calloc(1, sizeof *vif);
    if (vif) {
        vif->host = host;
        vif->devid = devid;
        vif->order = *order;
        vif->tuning = order->tuning;
        memcpy(vif->port_fds, fds + NETBACK_FD_PORT, port_fds * sizeof fds[0]);
        err = map_files(vif, fds, ret_reason);
    } else {
        snprintf(ret_reason, BACKEND_REASON_SIZE, "out of memory");
        for (unsigned i = 0; i < port_fds; i++)
            close(fds[NETBACK_FD_PORT + i]);
    }
    for (unsigned i = 0; i < NETBACK_FD_PORT; i++)
        close(fds[i]);
    if (err == 0)
        err = open_port(vif, ret_reason);
    if (err == 0)
        err = prepare(vif, ret_reason);
    if (err == 0)
        err = open_rings(vif, ret_reason);
    if (err < 0) {
        vif_close(vif, true);
        return err;
    }
    if (order->recover)
        vif->counters->recovery_ns = clock_now_ns() - started;
    *ret_vif = vif;
    return 0;
}

/* Nobody goes on from the journals. */
static void retire(struct vif *vif)
{
    const struct netback_connection *connection = &vif->order.connection;

    for (unsigned ring = 0; ring < netback_ring_count(connection); ring++) {
        const struct netback_journal_place place = netback_journal_place(connection, ring);
        ring_journal_retire((uint8_t *)vif->journals + place.offset, place.size);
    }
}

void vif_close(struct vif *vif, bool recoverable)
{
    if (!vif)
        return;
    const struct netback_connection *connection = &vif->order.connection;

    stop(vif);
    if (!recoverable)
        retire(vif);
    ctrl_close(vif->ctrl);
    for (unsigned i = 0; i < connection->queue_count; i++)
        queue_close(vif->queues[i]);
    if (vif->port)
        vif->port->kind->close(vif->port);
    frames_free(vif->frames);
    capture_end(&vif->capture);
    if (vif->say_again)
        event_free(vif->say_again);
    for (unsigned i = 0; i < netback_port_fds(connection); i++)
        close(vif->port_fds[i]);
    if (vif->journals)
        munmap(vif->journals, netback_journal_size(connection));
    if (vif->state)
        munmap(vif->state, NETBACK_STATE_SIZE);
    if (vif->counters)
        munmap(vif->counters, sizeof *vif->counters);
    free(vif);
}

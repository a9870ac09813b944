/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. One turn does all there is, a bounded batch of each:
 *
 *     tx_turn:    transmit ring -> port
 *     read_port:  source -> whichever queue a frame is for, where it waits
 *     rx_turn:    what waits -> receive ring
 *     publish, and one event at most for each event channel
 *
 * A source whose frames are all for this queue is not read while some wait: they stay in the port, which bounds them. One that serves others too is
 * read on, and what finds no place with its queue is dropped. Of a guest that has stalled everything is dropped, so that what it finds later is not old.
 *
 * Idle: when a turn finds nothing, the rings are watched for a while (spin.h), then slept on. Asleep, the transmit ring's next slot wakes us, and
 * the receive ring's only when a frame waits for room: a guest that posts pages need not tell anybody. Where the guest sends no such events
 * (no feature-rx-notify), a timer looks instead.
 *
 * An event channel stays masked from its event until the queue goes to sleep, so that a storm of events costs nothing while we work. A busy guest is served for
 * TURNS_MAX turns, then other queues and cards get theirs.
 *
 * A queue whose port has no room looks at its transmit ring no more until the port says that there is some.
 * A queue without credit (bucket.h) holds one packet and looks at its transmit ring no more until a timer says so.
 */
#include "queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <backend/clock.h>
#include <backend/worker/spin.h>
#include <xendev/event_channel.h>
#include <xendev/grant.h>

#include "../journal.h"
#include "port.h"
#include "rx.h"
#include "tx.h"

#define READ_MAX    64u /* frames of the source in one turn */
#define TURNS_MAX   16u /* turns before others are served */
#define TICK_MIN_MS 1u
#define LOOK_MS     10u /* between two looks at the ring of a guest that sends no events */

enum { END_TX, END_RX, ENDS };

struct queue {
    struct queue_params params;
    const struct netback_queue *agreed;
    struct netback_queue_counters *counters;
    struct tx tx;
    struct rx rx;
    void *pages[ENDS];
    struct end {
        struct queue *queue;
        struct xendev_channel *channel; /* the receive ring's: NULL, when the other serves both */
        bool fired;                     /* masked since */
    } ends[ENDS];
    struct event *again; /* fires at once, after the others had their turn */
    struct event *tick;  /* fires when something has to be looked at again */
    struct spin_watch watch;
    bool has_source;
    bool readable; /* the source may have frames */
    bool in_turn;
    bool stopped;
    bool draining;
    bool drained;
};

static void note_ring(const struct ring_back *ring, struct netback_ring_counters *counters)
{
    struct ring_indices indices;

    ring_back_indices(ring, &indices);
    *counters = (struct netback_ring_counters){
        .req_prod = indices.req_prod,
        .req_event = indices.req_event,
        .rsp_prod = indices.rsp_prod,
        .rsp_event = indices.rsp_event,
        .req_cons = indices.req_cons,
        .in_flight = indices.in_flight,
        .slots = ring->layout.slots,
    };
}

static void note_rings(struct queue *queue)
{
    note_ring(&queue->tx.ring.ring, &queue->counters->tx_ring);
    note_ring(&queue->rx.ring.ring, &queue->counters->rx_ring);
}

void queue_stop(struct queue *queue)
{
    queue->stopped = true;
    event_del(queue->again);
    event_del(queue->tick);
    spin_stop(&queue->watch);
    if (queue->has_source)
        queue->params.port->kind->rest(queue->params.port, queue->params.index, false);
}

static void fail(struct queue *queue, const char *what, const char *why)
{
    char reason[BACKEND_REASON_SIZE];

    note_rings(queue);
    snprintf(reason, sizeof reason, "%s of queue %u: %s", what, queue->params.index, why);
    queue_stop(queue);
    queue->params.failed(queue->params.arg, reason);
}

/* ---- A turn. --------------------------------------------------------------------------------------------------------- */

static bool may_read(const struct queue *queue)
{
    return queue->has_source && !queue->draining &&
           (queue->rx.waiting_count == 0 || queue->rx.stall.stalled || !queue->params.keeps(queue->params.arg));
}

/* Returns how many frames were read, dropped ones included; or -errno: there will be no more. */
static int read_port(struct queue *queue, uint64_t now)
{
    const struct port_kind *kind = queue->params.port->kind;
    unsigned count = 0;
    struct frame *frame;

    if (!may_read(queue) || !(queue->readable || kind->cheap))
        return 0;
    while (count < READ_MAX && (frame = frames_get(queue->params.frames))) {
        int got = kind->receive(queue->params.port, queue->params.index, frame->bytes, &frame->meta, &frame->length);
        if (got == 1) {
            queue->params.arrived(queue->params.arg, queue->params.index, frame, now);
        } else {
            frames_put(queue->params.frames, frame);
            queue->readable = got != 0;
            if (got == 0)
                break;
            if (got != -EBADMSG)
                return got;
            queue->counters->rx_drops[NETBACK_RX_DROP_OFFLOAD]++;
        }
        count++;
    }
    return (int)count;
}

static void publish(struct queue *queue)
{
    const bool tx = ring_back_publish(&queue->tx.ring.ring), rx = ring_back_publish(&queue->rx.ring.ring);
    const bool split = queue->ends[END_RX].channel;

    if (tx || (rx && !split))
        xendev_channel_notify(queue->ends[END_TX].channel);
    if (rx && split)
        xendev_channel_notify(queue->ends[END_RX].channel);
    queue->counters->notifications += split ? (uint64_t)tx + rx : (uint64_t)(tx || rx);
}

enum turn {
    TURN_IDLE, /* there was nothing to do */
    TURN_BUSY,
    TURN_OVER, /* failed */
};

static enum turn turn(struct queue *queue)
{
    const uint64_t now = clock_now_ns();
    enum rx_change change;

    int sent = tx_turn(&queue->tx, queue->draining, now);
    if (sent < 0) {
        fail(queue, "transmit ring", netif_fault_name(netif_tx_fatal(&queue->tx.ring)));
        return TURN_OVER;
    }
    queue->in_turn = true;
    int came = read_port(queue, now);
    queue->in_turn = false;
    int given = rx_turn(&queue->rx, now, &change);
    publish(queue);
    if (came < 0) {
        fail(queue, "port", strerrordesc_np(-came));
        return TURN_OVER;
    }
    if (given < 0) {
        fail(queue, "receive ring", netif_fault_name(NETIF_FAULT_PRODUCER));
        return TURN_OVER;
    }
    if (change != RX_SAME)
        queue->params.stalled(queue->params.arg, change == RX_STALLED);
    const bool worked = sent > 0 || came > 0 || given > 0;
    if (worked && spin_busy(&queue->watch))
        queue->counters->polls_hit++;
    return worked ? TURN_BUSY : TURN_IDLE;
}

/* ---- When there is nothing to do. ------------------------------------------------------------------------------------ */

static void add_timer(struct event *event, uint64_t ns)
{
    const struct timeval after = {.tv_sec = (time_t)(ns / 1000000000u),
                                  .tv_usec = (suseconds_t)(ns / 1000u % 1000000u)};

    event_add(event, &after);
}

/* A timer, not event_active(): the loop looks at all its descriptors before it fires. */
static void run_soon(struct queue *queue)
{
    if (!queue->stopped)
        add_timer(queue->again, 0);
}

static uint64_t tick_ms(const struct queue *queue)
{
    const struct netback_tuning *tuning = queue->params.tuning;
    uint64_t ms = tuning->rx_drain_ms / 4;

    if (tuning->rx_stall_ms > 0 && tuning->rx_stall_ms / 4 < ms)
        ms = tuning->rx_stall_ms / 4;
    if (!(queue->params.order->connection.features & NETBACK_RX_NOTIFY) && ms > LOOK_MS)
        ms = LOOK_MS;
    return ms < TICK_MIN_MS ? TICK_MIN_MS : ms;
}

/* Sees to it that we come back when no event will say so. */
static void set_tick(struct queue *queue)
{
    uint64_t ns = queue->tx.wait_ns;

    if (rx_wants_room(&queue->rx) && (ns == 0 || tick_ms(queue) * 1000000u < ns))
        ns = tick_ms(queue) * 1000000u;
    if (ns > 0)
        add_timer(queue->tick, ns + 999);
    else
        event_del(queue->tick);
}

/* Leaves the source alone, to be told of its next frame if that can be read. Returns true when there is one. */
static bool rest(struct queue *queue)
{
    const bool came =
        queue->has_source && queue->params.port->kind->rest(queue->params.port, queue->params.index, may_read(queue));

    queue->readable |= came;
    return came;
}

/* Asks for an event with whatever comes next. Returns true when something came meanwhile. */
static bool rearm(struct queue *queue)
{
    struct port *port = queue->params.port;
    bool came =
        queue->tx.blocked ? port->kind->await(port) : queue->tx.wait_ns == 0 && ring_back_rearm(&queue->tx.ring.ring);

    if (rx_wants_room(&queue->rx) && rx_rearm(&queue->rx))
        came = true;
    return rest(queue) || came;
}

static void go_to_sleep(struct queue *queue)
{
    note_rings(queue);
    set_tick(queue);
    for (unsigned i = 0; i < ENDS; i++) {
        if (queue->ends[i].fired)
            xendev_channel_unmask(queue->ends[i].channel);
        queue->ends[i].fired = false;
    }
}

static void finish_draining(struct queue *queue)
{
    rx_drop_waiting(&queue->rx);
    if (ring_back_drain(&queue->tx.ring.ring) < 0 || netif_rx_drain(&queue->rx.ring) < 0)
        return; /* cannot be: every turn publishes what it has taken */
    spin_stop(&queue->watch);
    (void)rest(queue); /* which is not to be read, while we drain */
    queue->drained = true;
    queue->params.drained(queue->params.arg);
}

/* Until there is nothing to do: then it is watched for a while, or else slept on. */
static void run(struct queue *queue)
{
    if (queue->stopped || queue->drained)
        return;
    for (unsigned i = 0; i < TURNS_MAX; i++) {
        enum turn result = turn(queue);
        if (result == TURN_OVER)
            return;
        if (result == TURN_BUSY)
            continue;
        if (queue->draining) {
            note_rings(queue);
            finish_draining(queue);
            return;
        }
        if (!queue->params.port->kind->cheap && rest(queue))
            continue; /* looks do not see it: its descriptor tells */
        if (spin_idle(&queue->watch)) {
            note_rings(queue);
            set_tick(queue);
            return;
        }
        if (!rearm(queue)) {
            go_to_sleep(queue);
            return;
        }
    }
    note_rings(queue);
    run_soon(queue);
}

static bool on_look(void *arg)
{
    struct queue *queue = arg;

    enum turn result = turn(queue);
    if (result == TURN_BUSY)
        run(queue);
    return result == TURN_BUSY;
}

static void on_give_up(void *arg)
{
    struct queue *queue = arg;

    queue->counters->polls_missed++;
    run(queue);
}

static void on_event(void *arg)
{
    struct end *end = arg;

    end->queue->counters->events++;
    end->fired = true;
    run(end->queue);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    run(arg);
}

void queue_readable(struct queue *queue)
{
    queue->readable = true;
    run(queue);
}

void queue_give(struct queue *queue, struct frame *frame, uint64_t now)
{
    rx_put(&queue->rx, frame, now);
    if (!queue->in_turn)
        run_soon(queue);
}

void queue_wake(struct queue *queue)
{
    run_soon(queue);
}

void queue_drain(struct queue *queue)
{
    queue->draining = true;
    run_soon(queue);
}

void queue_undrain(struct queue *queue)
{
    if (queue->drained) {
        ring_back_undrain(&queue->tx.ring.ring);
        ring_back_undrain(&queue->rx.ring.ring);
    }
    queue->draining = queue->drained = false;
    run_soon(queue);
}

/* ---- Open and close. ------------------------------------------------------------------------------------------------- */

static int allocate(struct queue *queue)
{
    const struct queue_params *params = &queue->params;
    const struct tx_params tx = {
        .grants = params->host->grants,
        .domid = params->host->domid,
        .port = params->port,
        .queue = params->index,
        .rate = params->rate,
        .multicast = params->multicast,
        .capture = params->capture,
        .card_counters = params->counters,
        .counters = queue->counters,
        .attempts_max = params->order->attempts_max,
    };
    const struct rx_params rx = {
        .grants = params->host->grants,
        .domid = params->host->domid,
        .frames = params->frames,
        .tuning = params->tuning,
        .features = params->order->connection.features,
        .capture = params->capture,
        .counters = queue->counters,
    };

    queue->again = evtimer_new(params->host->base, on_timer, queue);
    queue->tick = evtimer_new(params->host->base, on_timer, queue);
    int err = tx_init(&queue->tx, &tx);
    if (err == 0)
        err = rx_init(&queue->rx, &rx);
    return err == 0 && (!queue->again || !queue->tick) ? -ENOMEM : err;
}

static int map_rings(struct queue *queue)
{
    const struct worker_host *host = queue->params.host;
    int err = xendev_grants_map(host->grants, host->domid, &queue->agreed->tx_ref, 1, &queue->pages[END_TX]);

    return err < 0 ? err
                   : xendev_grants_map(host->grants, host->domid, &queue->agreed->rx_ref, 1, &queue->pages[END_RX]);
}

static int take_rings(struct queue *queue)
{
    const struct netback_order *order = queue->params.order;
    const struct netback_connection *connection = &order->connection;
    const struct netback_journal_place tx = netback_journal_place(connection, NETBACK_RING_TX(queue->params.index));
    const struct netback_journal_place rx = netback_journal_place(connection, NETBACK_RING_RX(queue->params.index));
    uint8_t *journals = queue->params.journals;
    int err;

    if (order->recover) {
        err = netif_tx_recover(&queue->tx.ring, queue->pages[END_TX], XENDEV_PAGE_SIZE, journals + tx.offset, tx.size,
                               connection->generation, order->crashed != 0);
        return err < 0 ? err
                       : netif_rx_recover(&queue->rx.ring, queue->pages[END_RX], XENDEV_PAGE_SIZE, journals + rx.offset,
                                          rx.size, connection->generation, order->crashed != 0);
    }
    err = netif_tx_attach(&queue->tx.ring, queue->pages[END_TX], XENDEV_PAGE_SIZE, journals + tx.offset, tx.size,
                          connection->generation);
    return err < 0 ? err
                   : netif_rx_attach(&queue->rx.ring, queue->pages[END_RX], XENDEV_PAGE_SIZE, journals + rx.offset,
                                     rx.size, connection->generation);
}

static int bind_channels(struct queue *queue)
{
    const struct worker_host *host = queue->params.host;
    const uint32_t ports[ENDS] = {queue->agreed->tx_event_channel, queue->agreed->rx_event_channel};

    for (unsigned i = 0; i < ENDS; i++) {
        queue->ends[i].queue = queue;
        if (i == END_RX && ports[END_RX] == ports[END_TX])
            continue;
        int err = xendev_channel_bind(host->events, host->domid, ports[i], on_event, &queue->ends[i],
                                      &queue->ends[i].channel);
        if (err < 0)
            return err;
        /* The peer may be waiting for an event that its former back end never sent; ours comes with the channel's first
         * event, in on_event(). */
        if (queue->params.order->recover)
            xendev_channel_notify(queue->ends[i].channel);
    }
    return 0;
}

int queue_open(const struct queue_params *params, struct queue **ret_queue, char ret_reason[BACKEND_REASON_SIZE])
{
    const struct netback_connection *connection = &params->order->connection;
    const char *step = "memory";
    int err = -ENOMEM;

    struct queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        goto failed;
    queue->params = *params;
    queue->agreed = &connection->queues[params->index];
    queue->counters = &params->counters->queues[params->index];
    queue->watch =
        (struct spin_watch){.spin = params->host->spin, .look = on_look, .give_up = on_give_up, .arg = queue};
    err = allocate(queue);
    if (err == 0) {
        step = "its pages";
        err = map_rings(queue);
    }
    if (err == 0) {
        step = "its indices, or its journal";
        err = take_rings(queue);
    }
    if (err == 0) {
        step = "its event channels";
        err = bind_channels(queue);
    }
    if (err < 0)
        goto failed;
    queue->has_source = params->index < params->port->sources;
    queue->readable = true;
    run_soon(queue);
    *ret_queue = queue;
    return 0;

failed:
    snprintf(ret_reason, BACKEND_REASON_SIZE, "queue %u (grant references %u and %u, event channels %u and %u), %s: %s",
             params->index, connection->queues[params->index].tx_ref, connection->queues[params->index].rx_ref,
             connection->queues[params->index].tx_event_channel, connection->queues[params->index].rx_event_channel,
             step, strerrordesc_np(-err));
    queue_close(queue);
    return err;
}

void queue_close(struct queue *queue)
{
    if (!queue)
        return;
    spin_stop(&queue->watch);
    for (unsigned i = 0; i < ENDS; i++)
        xendev_channel_close(queue->ends[i].channel);
    if (queue->again)
        event_free(queue->again);
    if (queue->tick)
        event_free(queue->tick);
    for (unsigned i = 0; i < ENDS; i++)
        if (queue->pages[i])
            xendev_grants_unmap(queue->params.host->grants, queue->pages[i], 1);
    tx_fini(&queue->tx);
    rx_fini(&queue->rx);
    free(queue);
}

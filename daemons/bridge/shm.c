/* SPDX-License-Identifier: MIT */
/*
 * Shared-memory ports.
 *
 * A port that has frames for us rings its bell, and is served at the next turn of the loop: up to BATCH_FRAMES or SWITCH_TURN_BYTES are read and handed on, then their room
 * is given back, and every receiver is told once. When there are more, the port is served again at the turn after, in which all others that
 * have something to do are served too; when there are none it is put to sleep, which takes one more look.
 *
 * The bell is heard edge by edge: nothing is read from it, so a port that keeps ringing, or fills it up, costs a turn of the loop, and nothing a
 * port does to it can make us wait.
 *
 * What a port does wrong is noticed in the middle of a batch, when others depend on it: it is closed for frames at once, and for good when
 * the batch is over.
 */
#include "shm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "tapbridge.h"

/* Of one port's turn. */
#define BATCH_FRAMES 256u

/* What events of a port are given. */
struct shm_context {
    shm_failed failed;
    void *arg;
};
static struct shm_context context; /* the same for all */

/* A frame on its way: one thread, one frame. */
static uint8_t frame[FRAME_LENGTH_MAX];

/* A timer, not event_active(): the loop looks at all its descriptors before it fires, also while ports never run dry. */
static int run_soon(struct shm_port *port)
{
    return event_add(port->again, &(const struct timeval){0});
}

/* Notes what is wrong; the port is closed at the end of the batch. */
static void spoil(struct shm_port *port, const char *reason)
{
    if (port->failure < 0)
        return;
    port->failure = -EPROTO;
    snprintf(port->reason, sizeof(port->reason), "%s", reason);
    port->port.closed = true;
    run_soon(port);
}

static void ring(struct shm_port *port)
{
    if (port_bell_blocks(port->fds[2])) {
        spoil(port, "its bell was made to block");
        return;
    }
    port->bells_rung++;
    port_bell_ring(port->fds[2]);
}

/* ---- The switch's end. -------------------------------------------------------------------------------------------- */

static int put(struct bridge_port *bridge_port, const struct netif_meta *meta, const uint8_t *bytes, uint32_t length)
{
    struct shm_port *port = (struct shm_port *)bridge_port;
    int err = frame_producer_put(&port->out, meta, bytes, length);

    if (err == -EPROTO)
        spoil(port, "impossible index in the ring of what it receives");
    return err;
}

static void flush(struct bridge_port *bridge_port)
{
    struct shm_port *port = (struct shm_port *)bridge_port;

    if (!bridge_port->closed && frame_producer_publish(&port->out))
        ring(port);
}

const struct switch_ops shm_ops = {put, flush};

/* ---- The port's end. ---------------------------------------------------------------------------------------------- */

/* Reads and hands on one batch. Returns 1 when there may be more, 0, or -EPROTO. */
static int hand_on(struct shm_port *port)
{
    const int64_t now = tapbridge_now();
    uint32_t bytes = 0, length;
    struct netif_meta meta;
    int got = 1;

    for (unsigned frames = 0; frames < BATCH_FRAMES && bytes < SWITCH_TURN_BYTES; frames++) {
        got = frame_consumer_get(&port->in, &meta, frame, &length);
        if (got <= 0)
            break;
        bytes += switch_frame(&port->port, &meta, frame, length, now);
    }
    return got;
}

static void serve(struct shm_port *port)
{
    int got = hand_on(port);

    switch_flush(port->port.bridge);
    if (got >= 0 && frame_consumer_release(&port->in))
        ring(port);
    if (got < 0) {
        switch_drop(&port->port, DROP_MALFORMED);
        spoil(port, "impossible index or record in the ring of what it sends");
        return;
    }
    if (got > 0 || frame_consumer_rearm(&port->in))
        run_soon(port);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    struct shm_port *port = arg;

    (void)fd;
    (void)what;
    if (port->memory == NULL)
        return;
    if (port->failure == 0) {
        if (port->begun)
            serve(port);
        return;
    }
    log_warning(port->log, "port %s closed: %s", port->port.name, port->reason);
    shm_close(port);
    context.failed(port, context.arg);
}

static void on_bell(evutil_socket_t fd, short what, void *arg)
{
    struct shm_port *port = arg;

    (void)fd;
    (void)what;
    port->bells_heard++;
    if (port->failure == 0 && port->begun)
        serve(port);
}

/* ---- Open and closed. --------------------------------------------------------------------------------------------- */

static int attach_rings(struct shm_port *port)
{
    uint8_t *memory = port->memory;
    const size_t size = frame_size(port->capacity);
    int err = frame_consumer_attach(&port->in, memory + PORT_RING_IN, size, port->capacity);

    if (err == 0)
        err = frame_producer_attach(&port->out, memory + port_ring_out(port->capacity), size, port->capacity);
    return err;
}

int shm_open(struct shm_port *port, struct event_base *base, const int fds[PORT_FDS], uint32_t capacity,
             shm_failed failed, void *arg)
{
    void *memory = NULL;
    int err = port_memory_check(fds, capacity);

    if (err == 0)
        err = port_memory_map(fds[0], capacity, &memory);
    if (err < 0)
        return err;
    port->memory = memory;
    port->capacity = capacity;
    err = attach_rings(port);
    if (err < 0)
        goto failed;
    err = -ENOMEM;
    port->bell = event_new(base, fds[1], EV_READ | EV_PERSIST | EV_ET, on_bell, port);
    port->again = evtimer_new(base, on_again, port);
    if (port->bell == NULL || port->again == NULL || event_add(port->bell, NULL) < 0)
        goto failed;
    memcpy(port->fds, fds, sizeof(port->fds));
    context = (struct shm_context){failed, arg};
    port->port.ops = &shm_ops;
    port->port.closed = false;
    port->failure = 0;
    port->told = false;
    port->begun = false;
    port->reason[0] = '\0';
    /* Whoever had this end before may have died with an event unsent: the first one is sent in any case. */
    if (frame_producer_publish(&port->out))
        ring(port);
    return 0;
failed:
    if (port->bell != NULL)
        event_free(port->bell);
    if (port->again != NULL)
        event_free(port->again);
    port->bell = port->again = NULL;
    port_memory_unmap(port->memory, capacity);
    port->memory = NULL;
    return err;
}

void shm_begin(struct shm_port *port)
{
    if (port->memory == NULL || port->begun)
        return;
    port->begun = true;
    run_soon(port);
}

void shm_close(struct shm_port *port)
{
    port->port.closed = true;
    if (port->memory == NULL)
        return;
    event_free(port->bell);
    event_free(port->again);
    port->bell = port->again = NULL;
    port_memory_unmap(port->memory, port->capacity);
    port->memory = NULL;
    for (unsigned i = 0; i < PORT_FDS; i++) {
        close(port->fds[i]);
        port->fds[i] = -1;
    }
}

void shm_give_up(struct shm_port *port, int failure, const char *reason)
{
    port->failure = failure;
    port->told = true;
    snprintf(port->reason, sizeof(port->reason), "%s", reason);
}

/* SPDX-License-Identifier: MIT */
/*
 * A port of the switch: two frame rings in memory shared with it (bridge/port.h), and one source, whatever queues the guest has.
 *
 * What a guest says of a frame's checksum and segments is checked before it is passed on, and put into the form that who receives it may rely
 * on least: as it would be for a tap, and back. The switch is not trusted any more than the guest. An impossible ring is no port any more.
 */
#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>

#include <bridge/port.h>
#include <ring/frame.h>
#include <ring/offload.h>

#include "port.h"

enum { FD_MEMORY, FD_BELL_IN, FD_BELL_OUT };

struct switch_port {
    struct port port;
    struct port_params params;
    uint8_t *memory;
    struct frame_producer in;
    struct frame_consumer out;
    struct event *bell;
    bool broken;  /* the ring we write to */
    bool awaited; /* room in it */
};

static void on_bell(evutil_socket_t fd, short what, void *arg)
{
    struct switch_port *own = arg;

    (void)what;
    port_bell_clear(fd);
    if (own->awaited)
        own->params.room(own->params.arg);
    own->awaited = false;
    own->params.readable(own->params.arg, 0);
}

static void switch_close(struct port *port)
{
    struct switch_port *own = (struct switch_port *)port;

    if (!own)
        return;
    if (own->bell)
        event_free(own->bell);
    port_memory_unmap(own->memory, own->params.connection->capacity);
    free(own);
}

static int attach(struct switch_port *own)
{
    const uint32_t capacity = own->params.connection->capacity;
    void *memory;

    int err = port_memory_map(own->params.fds[FD_MEMORY], capacity, &memory);
    if (err < 0)
        return err;
    own->memory = memory;
    err = frame_producer_attach(&own->in, own->memory + PORT_RING_IN, frame_size(capacity), capacity);
    if (err == 0)
        err = frame_consumer_attach(&own->out, own->memory + port_ring_out(capacity), frame_size(capacity), capacity);
    if (err < 0)
        return err;
    own->bell = event_new(own->params.base, own->params.fds[FD_BELL_OUT], EV_READ | EV_PERSIST, on_bell, own);
    return own->bell && event_add(own->bell, NULL) == 0 ? 0 : -ENOMEM;
}

static void switch_flush(struct port *port)
{
    struct switch_port *own = (struct switch_port *)port;

    if (!own->broken && frame_producer_publish(&own->in))
        port_bell_ring(own->params.fds[FD_BELL_IN]);
}

static void release(struct switch_port *own)
{
    if (frame_consumer_release(&own->out))
        port_bell_ring(own->params.fds[FD_BELL_IN]);
}

static int switch_open(const struct port_params *params, struct port **ret_port)
{
    struct switch_port *own = calloc(1, sizeof *own);

    if (!own)
        return -ENOMEM;
    own->port = (struct port){.kind = &port_switch, .sources = 1};
    own->params = *params;
    int err = attach(own);
    if (err < 0) {
        switch_close(&own->port);
        return err;
    }
    /* The process before may have died between moving an index and ringing for it. */
    switch_flush(&own->port);
    release(own);
    *ret_port = &own->port;
    return 0;
}

/* What the frame's headers bear out of what is said of it. */
static int check_meta(uint8_t *frame, uint32_t length, const struct netif_meta *meta, struct netif_meta *ret_meta)
{
    struct offload_virtio header;

    *ret_meta = (struct netif_meta){.data_validated = meta->data_validated};
    if (!meta->csum_blank && meta->gso == NETIF_GSO_NONE)
        return 0;
    return offload_to_virtio(frame, length, meta, &header) == OFFLOAD_FAULT_NONE &&
                   offload_from_virtio(frame, length, &header, ret_meta) == OFFLOAD_FAULT_NONE
               ? 0
               : -EBADMSG;
}

static bool switch_fits(struct port *port, uint32_t frames, uint32_t bytes)
{
    struct switch_port *own = (struct switch_port *)port;

    return own->broken || frame_producer_fits(&own->in, frames, bytes);
}

static bool switch_await(struct port *port)
{
    struct switch_port *own = (struct switch_port *)port;

    own->awaited = !frame_producer_rearm(&own->in, FRAME_LENGTH_MAX);
    return !own->awaited;
}

static int switch_send(struct port *port, unsigned queue, uint8_t *frame, uint32_t length,
                       const struct netif_meta *meta)
{
    struct switch_port *own = (struct switch_port *)port;
    struct netif_meta checked;

    (void)queue;
    if (own->broken)
        return -EPROTO;
    if (check_meta(frame, length, meta, &checked) < 0)
        return -EBADMSG;
    int err = frame_producer_put(&own->in, &checked, frame, length);
    own->broken = err == -EPROTO;
    return err;
}

static int switch_receive(struct port *port, unsigned source, uint8_t *frame, struct netif_meta *ret_meta,
                          uint32_t *ret_length)
{
    struct switch_port *own = (struct switch_port *)port;
    struct netif_meta meta;
    uint32_t length;

    (void)source;
    if (own->broken)
        return -EPROTO;
    int got = frame_consumer_get(&own->out, &meta, frame, &length);
    if (got <= 0)
        return got;
    release(own); /* at once: a frame that crashes us is not there for the next process */
    if (length < NETIF_LENGTH_MIN || check_meta(frame, length, &meta, ret_meta) < 0)
        return -EBADMSG;
    *ret_length = length;
    return 1;
}

static bool switch_rest(struct port *port, unsigned source, bool watch)
{
    struct switch_port *own = (struct switch_port *)port;

    (void)source;
    return watch && frame_consumer_rearm(&own->out);
}

const struct port_kind port_switch = {
    .cheap = true,
    .open = switch_open,
    .fits = switch_fits,
    .await = switch_await,
    .send = switch_send,
    .flush = switch_flush,
    .receive = switch_receive,
    .rest = switch_rest,
    .close = switch_close,
};

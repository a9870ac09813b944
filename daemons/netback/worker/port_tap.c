/* SPDX-License-Identifier: MIT */
/*
 * A tap: a descriptor for each queue, each of them a source.
 *
 * The kernel takes and gives one frame a call, with a virtio-net header in front of it that says what is left to be done about its checksum and
 * its segments. Both are read or written at once, since the header is put right in front of the frame.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include <ring/offload.h>

#include "port.h"

#define HEADER_SIZE ((size_t)NETBACK_TAP_HEADER_SIZE)

_Static_assert(NETBACK_TAP_HEADER_SIZE <= PORT_HEADROOM, "room for the header");

struct source {
    struct tap *tap;
    int fd;
    struct event *readable;
    bool watched;
};

struct tap {
    struct port port;
    struct port_params params;
    struct source sources[NETBACK_QUEUES_MAX];
};

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct source *source = arg;
    struct tap *tap = source->tap;

    (void)fd;
    (void)what;
    tap->params.readable(tap->params.arg, (unsigned)(source - tap->sources));
}

static void tap_close(struct port *port)
{
    struct tap *tap = (struct tap *)port;

    if (!tap)
        return;
    for (unsigned i = 0; i < port->sources; i++)
        if (tap->sources[i].readable)
            event_free(tap->sources[i].readable);
    free(tap);
}

static int tap_open(const struct port_params *params, struct port **ret_port)
{
    struct tap *tap = calloc(1, sizeof *tap);

    if (!tap)
        return -ENOMEM;
    tap->port = (struct port){.kind = &port_tap, .sources = params->connection->queue_count};
    tap->params = *params;
    for (unsigned i = 0; i < tap->port.sources; i++) {
        struct source *source = &tap->sources[i];
        source->tap = tap;
        source->fd = params->fds[i];
        source->readable = event_new(params->base, source->fd, EV_READ | EV_PERSIST, on_readable, source);
        if (!source->readable) {
            tap_close(&tap->port);
            return -ENOMEM;
        }
    }
    *ret_port = &tap->port;
    return 0;
}

static bool tap_fits(struct port *port, uint32_t frames, uint32_t bytes)
{
    (void)port;
    (void)frames;
    (void)bytes;
    return true;
}

static bool tap_await(struct port *port)
{
    (void)port;
    return true;
}

static int tap_send(struct port *port, unsigned queue, uint8_t *frame, uint32_t length, const struct netif_meta *meta)
{
    struct tap *tap = (struct tap *)port;
    struct offload_virtio header;
    ssize_t sent;

    if (offload_to_virtio(frame, length, meta, &header) != OFFLOAD_FAULT_NONE)
        return -EBADMSG;
    offload_virtio_encode(&header, HEADER_SIZE, frame - HEADER_SIZE);
    do {
        sent = write(tap->sources[queue].fd, frame - HEADER_SIZE, HEADER_SIZE + length);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

static void tap_flush(struct port *port)
{
    (void)port;
}

static int tap_receive(struct port *port, unsigned source, uint8_t *frame, struct netif_meta *ret_meta,
                       uint32_t *ret_length)
{
    struct tap *tap = (struct tap *)port;
    struct offload_virtio header;
    ssize_t got;

    do {
        got = read(tap->sources[source].fd, frame - HEADER_SIZE, HEADER_SIZE + (size_t)NETIF_RX_LENGTH_MAX);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? 0 : -errno;
    if (got < (ssize_t)(HEADER_SIZE + NETIF_LENGTH_MIN))
        return got == 0 ? -ENODEV : -EBADMSG;
    const uint32_t length = (uint32_t)got - (uint32_t)HEADER_SIZE;
    offload_virtio_decode(frame - HEADER_SIZE, HEADER_SIZE, &header);
    if (offload_from_virtio(frame, length, &header, ret_meta) != OFFLOAD_FAULT_NONE)
        return -EBADMSG;
    *ret_length = length;
    return 1;
}

static bool tap_rest(struct port *port, unsigned index, bool watch)
{
    struct source *source = &((struct tap *)port)->sources[index];

    if (watch != source->watched && (watch ? event_add(source->readable, NULL) : event_del(source->readable)) == 0)
        source->watched = watch;
    return watch && !source->watched; /* out of memory: come again */
}

const struct port_kind port_tap = {
    .open = tap_open,
    .fits = tap_fits,
    .await = tap_await,
    .send = tap_send,
    .flush = tap_flush,
    .receive = tap_receive,
    .rest = tap_rest,
    .close = tap_close,
};

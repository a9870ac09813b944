/* SPDX-License-Identifier: MIT */
/*
 * Taps. The kernel takes one frame a call, and gives one; behind a virtio-net header, so that checksums that are not filled in and segments
 * of 64 KiB cross as they are (ring/offload.h says what that header means).
 */
#include "tap.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <event2/event.h>

#include <ring/frame.h>
#include <ring/offload.h>

#include "tapbridge.h"

static_assert(TAP_NAME_SIZE == IFNAMSIZ, "the kernel's");

#define BATCH_FRAMES 64u

/* A frame on its way in, and one on its way out that has to be changed for it. */
static uint8_t arriving[FRAME_LENGTH_MAX], leaving[FRAME_LENGTH_MAX];

/* ---- Out. --------------------------------------------------------------------------------------------------------- */

static int send_frame(int fd, const struct offload_virtio *header, const uint8_t *bytes, uint32_t length)
{
    uint8_t head[OFFLOAD_VIRTIO_SIZE];
    const struct iovec parts[] = {{head, sizeof(head)}, {(void *)bytes, length}};

    offload_virtio_encode(header, sizeof(head), head);
    if (writev(fd, parts, 2) >= 0)
        return 0;
    return errno == EAGAIN ? -ENOSPC : -errno;
}

static int put(struct bridge_port *bridge_port, const struct netif_meta *meta, const uint8_t *bytes, uint32_t length)
{
    const struct tap_port *port = (struct tap_port *)bridge_port;
    struct offload_virtio header = {.flags = meta->data_validated ? OFFLOAD_VIRTIO_DATA_VALID : 0};

    if (!meta->csum_blank && meta->gso == NETIF_GSO_NONE)
        return send_frame(port->fd, &header, bytes, length);
    memcpy(leaving, bytes, length);
    if (offload_to_virtio(leaving, length, meta, &header) != OFFLOAD_FAULT_NONE)
        return -EINVAL;
    return send_frame(port->fd, &header, leaving, length);
}

static void flush(struct bridge_port *port)
{
    (void)port; /* what was put is out */
}

const struct switch_ops tap_ops = {put, flush};

/* ---- In. ---------------------------------------------------------------------------------------------------------- */

/* From now on it is no port; it is opened again when it is there again. */
static void lose(struct tap_port *port, int error)
{
    log_warning(&port->log, "lost: %s", strerror(error));
    event_del(port->readable);
    port->port.closed = true;
}

/* Reads one frame, and counts its bytes. Returns whether there was one. */
static bool take(struct tap_port *port, int64_t now, uint32_t *bytes)
{
    uint8_t head[OFFLOAD_VIRTIO_SIZE];
    const struct iovec parts[] = {{head, sizeof(head)}, {arriving, sizeof(arriving)}};
    ssize_t got = readv(port->fd, parts, 2);
    struct offload_virtio header;
    struct netif_meta meta = {.csum_blank = false};

    if (got < 0) {
        if (errno != EAGAIN && errno != EINTR) /* it was deleted */
            lose(port, errno);
        return false;
    }
    if ((size_t)got <= sizeof(head)) {
        switch_drop(&port->port, DROP_RUNT);
        return true;
    }
    const uint32_t length = (uint32_t)((size_t)got - sizeof(head));
    offload_virtio_decode(head, sizeof(head), &header);
    if (offload_from_virtio(arriving, length, &header, &meta) != OFFLOAD_FAULT_NONE)
        switch_drop(&port->port, DROP_MALFORMED);
    else
        *bytes += switch_frame(&port->port, &meta, arriving, length, now);
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct tap_port *port = arg;
    const int64_t now = tapbridge_now();
    uint32_t bytes = 0;

    (void)fd;
    (void)what;
    for (unsigned frames = 0; frames < BATCH_FRAMES && bytes < SWITCH_TURN_BYTES && take(port, now, &bytes); frames++)
        ;
    switch_flush(port->port.bridge);
}

/* ---- Open and closed. --------------------------------------------------------------------------------------------- */

bool tap_name_is_valid(const char *name)
{
    return strlen(name) < TAP_NAME_SIZE && port_name_is_valid(name);
}

static int attach(int fd, const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int size = (int)OFFLOAD_VIRTIO_SIZE, little_endian = 1;

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%.*s", (int)TAP_NAME_SIZE - 1, name);
    if (ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETPERSIST, 1) < 0 ||
        ioctl(fd, TUNSETVNETHDRSZ, &size) < 0 || ioctl(fd, TUNSETVNETLE, &little_endian) < 0 ||
        ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
        return -errno;
    return 0;
}

static int bring_up(const char *name)
{
    struct ifreq request = {.ifr_flags = 0};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* any family takes these commands */
    int err = 0;

    if (fd < 0)
        return -errno;
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%.*s", (int)TAP_NAME_SIZE - 1, name);
    if (ioctl(fd, SIOCGIFFLAGS, &request) < 0) {
        err = -errno;
    } else if (!(request.ifr_flags & IFF_UP)) {
        request.ifr_flags |= IFF_UP;
        if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
            err = -errno;
    }
    close(fd);
    return err;
}

int tap_open(struct tap_port *port, struct event_base *base)
{
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    int err;

    if (fd < 0)
        return -errno;
    err = attach(fd, port->port.name);
    if (err == 0)
        err = bring_up(port->port.name);
    if (err == 0) {
        port->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, port);
        if (port->readable == NULL)
            err = -ENOMEM;
    }
    if (err < 0) {
        close(fd);
        return err;
    }
    port->fd = fd;
    port->port.closed = false;
    port->port.ops = &tap_ops;
    return 0;
}

void tap_begin(struct tap_port *port)
{
    if (port->fd >= 0 && event_add(port->readable, NULL) < 0)
        port->port.closed = true;
}

void tap_close(struct tap_port *port)
{
    event_free(port->readable);
    port->readable = NULL;
    close(port->fd);
    port->fd = -1;
    port->port.closed = true;
}

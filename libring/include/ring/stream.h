/* SPDX-License-Identifier: MIT */
/*
 * A byte stream over shared memory: the shape of the xenstore and console rings (xen/io/xs_wire.h, xen/io/console.h).
 * One power-of-two buffer and two free-running 32-bit indices per direction. Each end distrusts the other: an
 * impossible index is -EPROTO.
 */
#ifndef RING_STREAM_H
#define RING_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One direction, from one end's view. Embedded; points into memory the peer may change. */
struct ring_stream {
    volatile uint8_t *buffer;
    uint32_t size; /* bytes, a power of two */
    _Atomic uint32_t *producer;
    _Atomic uint32_t *consumer;
};

/* Returns bytes moved (0 when full or empty), or -EPROTO. The caller notifies after a non-zero result. */
ssize_t ring_stream_write(const struct ring_stream *stream, const void *data, size_t size);
ssize_t ring_stream_read(const struct ring_stream *stream, void *ret_data, size_t size);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Byte streams over shared memory.
 *
 * producer - consumer is the number of bytes in the buffer; both run freely and wrap at 2^32. Our own index lives in
 * shared memory as well, so neither is trusted: more bytes than the buffer holds is a broken peer. Each call loads both
 * once and works on the copies.
 */
#include <errno.h>
#include <stdatomic.h>

#include <ring/stream.h>

static uint32_t smaller(size_t wanted, uint32_t available)
{
    return wanted < available ? (uint32_t)wanted : available;
}

ssize_t ring_stream_write(const struct ring_stream *stream, const void *data, size_t size)
{
    /* Before: the consumer index, which frees bytes. After: the stores that overwrite them. */
    uint32_t consumer = atomic_load_explicit(stream->consumer, memory_order_acquire);
    uint32_t producer = atomic_load_explicit(stream->producer, memory_order_relaxed);
    if (producer - consumer > stream->size)
        return -EPROTO;

    uint32_t count = smaller(size, stream->size - (producer - consumer));
    for (uint32_t i = 0; i < count; i++)
        stream->buffer[(producer + i) & (stream->size - 1)] = ((const uint8_t *)data)[i];

    /* Before: the bytes. After: the index that announces them. */
    atomic_store_explicit(stream->producer, producer + count, memory_order_release);
    return (ssize_t)count;
}

ssize_t ring_stream_read(const struct ring_stream *stream, void *ret_data, size_t size)
{
    /* Before: the producer index. After: the loads of the bytes it announces. */
    uint32_t producer = atomic_load_explicit(stream->producer, memory_order_acquire);
    uint32_t consumer = atomic_load_explicit(stream->consumer, memory_order_relaxed);
    if (producer - consumer > stream->size)
        return -EPROTO;

    uint32_t count = smaller(size, producer - consumer);
    for (uint32_t i = 0; i < count; i++)
        ((uint8_t *)ret_data)[i] = stream->buffer[(consumer + i) & (stream->size - 1)];

    /* Before: the loads. After: the index that lets the peer overwrite what they read. */
    atomic_store_explicit(stream->consumer, consumer + count, memory_order_release);
    return (ssize_t)count;
}

/* SPDX-License-Identifier: MIT */
/*
 * Any frame, whatever is said of it, is refused or made right, in its own bytes: what a tap is told of it holds for what
 * comes back from the tap, every segment of it has headers that are found again and a sum that comes out, and all payload is
 * there once.
 *
 * The first two bytes: how it is said, and a limit of segments. Then the virtio-net header, 10 bytes, which a frame from
 * Xen has its sizes from; then the frame.
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <ring/offload.h>

#define FIXED 12u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In memory that ends where the frame ends. */
static uint8_t *copy_of(const uint8_t *frame, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    assert(copy);
    memcpy(copy, frame, size);
    return copy;
}

/* A second time, it changes nothing: the checksum does not depend on what stands in its place. */
static void fill_in(const uint8_t *frame, size_t size)
{
    uint8_t *once = copy_of(frame, size);
    if (offload_checksum(once, size) == OFFLOAD_FAULT_NONE) {
        struct offload_headers headers;
        offload_parse(once, size, &headers);
        assert(headers.transport != OFFLOAD_TRANSPORT_NONE && headers.l4 < size);
        uint8_t *twice = copy_of(once, size);
        if (!headers.routed) {
            assert(offload_checksum(twice, size) == OFFLOAD_FAULT_NONE);
            assert(memcmp(once, twice, size) == 0);
        }
        free(twice);
    }
    free(once);
}

static void cut(const uint8_t *frame, size_t size, const struct netif_meta *meta, unsigned limit)
{
    struct offload_segments segments;
    if (offload_segment_init(&segments, frame, size, meta) != OFFLOAD_FAULT_NONE)
        return;
    assert(segments.count >= 1 && segments.size_max <= size);
    uint8_t *buffer = malloc(segments.size_max);
    assert(buffer);
    size_t bytes = 0;
    int made = 1;
    for (unsigned i = 0; i < limit && made > 0; i++) {
        const int none = offload_segment_next(&segments, buffer, segments.payload - 1);
        assert(none == (segments.done == segments.count ? 0 : -ENOBUFS));
        made = offload_segment_next(&segments, buffer, segments.size_max);
        assert(made >= 0 && (size_t)made <= segments.size_max);
        if (made == 0)
            break;
        assert(memcmp(buffer + segments.payload, frame + segments.payload + bytes, (size_t)made - segments.payload) ==
               0);
        bytes += (size_t)made - segments.payload;
        uint8_t *again = copy_of(buffer, (size_t)made);
        assert(offload_checksum(again, (size_t)made) == OFFLOAD_FAULT_NONE);
        assert(memcmp(again, buffer, (size_t)made) == 0);
        free(again);
    }
    if (segments.done == segments.count)
        assert(segments.payload + bytes == size);
    free(buffer);
}

static void from_xen(uint8_t *frame, size_t size, const struct netif_meta *meta, unsigned limit)
{
    struct offload_virtio header;
    const enum offload_fault fault = offload_to_virtio(frame, size, meta, &header);
    if (fault == OFFLOAD_FAULT_NONE) {
        if (header.flags & OFFLOAD_VIRTIO_NEEDS_CSUM) /* what the kernel asks of it */
            assert((size_t)header.csum_start + header.csum_offset + 2 <= size && header.hdr_len <= size);
        uint8_t *through = copy_of(frame, size);
        struct netif_meta back;
        assert(offload_from_virtio(through, size, &header, &back) == OFFLOAD_FAULT_NONE);
        assert(memcmp(through, frame, size) == 0);
        assert((back.gso == NETIF_GSO_NONE) == (header.gso_type == OFFLOAD_VIRTIO_GSO_NONE));
        assert(back.csum_blank == ((header.flags & OFFLOAD_VIRTIO_NEEDS_CSUM) != 0));
        free(through);
    } else {
        assert(fault < OFFLOAD_FAULTS);
    }
    cut(frame, size, meta, limit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < FIXED)
        return 0;
    struct offload_virtio header;
    offload_virtio_decode(data + 2, OFFLOAD_VIRTIO_SIZE, &header);
    uint8_t encoded[OFFLOAD_VIRTIO_SIZE];
    offload_virtio_encode(&header, sizeof encoded, encoded);
    assert(memcmp(encoded, data + 2, sizeof encoded) == 0);

    const size_t frame_size = size - FIXED;
    struct netif_meta meta = {.csum_blank = data[0] & 1,
                              .data_validated = data[0] & 2,
                              .gso = data[0] & 4 ? (data[0] & 8 ? NETIF_GSO_TCPV6 : NETIF_GSO_TCPV4) : NETIF_GSO_NONE,
                              .gso_size = header.gso_size};
    fill_in(data + FIXED, frame_size);
    uint8_t *frame = copy_of(data + FIXED, frame_size);
    from_xen(frame, frame_size, &meta, data[1]);
    memcpy(frame, data + FIXED, frame_size);
    if (offload_from_virtio(frame, frame_size, &header, &meta) == OFFLOAD_FAULT_NONE) {
        assert(meta.gso == NETIF_GSO_NONE || (meta.gso_size != 0 && meta.csum_blank));
        if (meta.csum_blank) {
            uint8_t *whole = copy_of(frame, frame_size);
            assert(meta.gso != NETIF_GSO_NONE || offload_checksum(whole, frame_size) == OFFLOAD_FAULT_NONE);
            free(whole);
        }
        from_xen(frame, frame_size, &meta, data[1]); /* to the next guest, and its tap */
    }
    free(frame);
    return 0;
}

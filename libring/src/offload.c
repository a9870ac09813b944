/* SPDX-License-Identifier: MIT */
/*
 * Between a Xen ring's form and a tap's. What is done is what Linux's netback and netfront do with a frame of the other
 * domain (checksum_setup(), skb_checksum_setup()), and what its tun driver then asks of a header.
 */
#include <assert.h>

#include <ring/offload.h>

#include "datagram.h"

static const char *const fault_names[] = {
    [OFFLOAD_FAULT_NONE] = "none",         [OFFLOAD_FAULT_HEADERS] = "headers", [OFFLOAD_FAULT_FRAGMENT] = "fragment",
    [OFFLOAD_FAULT_PROTOCOL] = "protocol", [OFFLOAD_FAULT_LENGTH] = "length",   [OFFLOAD_FAULT_GSO] = "gso",
    [OFFLOAD_FAULT_VIRTIO] = "virtio",
};
static_assert(sizeof fault_names / sizeof fault_names[0] == OFFLOAD_FAULTS, "a name for each fault");

const char *offload_fault_name(enum offload_fault fault)
{
    return fault_names[fault];
}

/* ---- The header's bytes. ----------------------------------------------------------------------------------------- */

static void put_le16(uint8_t *bytes, unsigned value)
{
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
}

static uint16_t get_le16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[1] << 8 | bytes[0]);
}

void offload_virtio_encode(const struct offload_virtio *header, size_t size, uint8_t *ret_bytes)
{
    ret_bytes[0] = header->flags;
    ret_bytes[1] = header->gso_type;
    put_le16(ret_bytes + 2, header->hdr_len);
    put_le16(ret_bytes + 4, header->gso_size);
    put_le16(ret_bytes + 6, header->csum_start);
    put_le16(ret_bytes + 8, header->csum_offset);
    if (size == OFFLOAD_VIRTIO_SIZE_MAX)
        put_le16(ret_bytes + 10, header->num_buffers);
}

void offload_virtio_decode(const uint8_t *bytes, size_t size, struct offload_virtio *ret_header)
{
    *ret_header = (struct offload_virtio){
        .flags = bytes[0],
        .gso_type = bytes[1],
        .hdr_len = get_le16(bytes + 2),
        .gso_size = get_le16(bytes + 4),
        .csum_start = get_le16(bytes + 6),
        .csum_offset = get_le16(bytes + 8),
        .num_buffers = size == OFFLOAD_VIRTIO_SIZE_MAX ? get_le16(bytes + 10) : 0,
    };
}

/* ---- To segment. ------------------------------------------------------------------------------------------------- */

/* Finds what a frame to be segmented carries. `blank`: the sender says that it has no checksum; what is routed and has one
 * cannot be made into such a frame. */
static enum offload_fault find_gso(const uint8_t *frame, size_t size, enum netif_gso gso, unsigned gso_size, bool blank,
                                   struct datagram *ret_datagram)
{
    if (gso_size == 0 || (gso != NETIF_GSO_TCPV4 && gso != NETIF_GSO_TCPV6))
        return OFFLOAD_FAULT_GSO;
    const enum offload_fault fault = datagram_find_gso(frame, size, gso, ret_datagram);
    if (fault == OFFLOAD_FAULT_NONE && ret_datagram->headers.routed && !blank)
        return OFFLOAD_FAULT_HEADERS;
    return fault;
}

/* Puts such a frame in order. Returns false when it makes one segment at most: then it is to be treated as any other frame
 * without a checksum, and may have padding. */
static bool prepare_gso(uint8_t *frame, size_t size, unsigned gso_size, const struct datagram *datagram)
{
    const struct offload_headers *headers = &datagram->headers;
    const bool many = size - datagram->payload > gso_size;
    const unsigned length = get_be16(frame + headers->l3 + (headers->version == 4 ? 2 : 4));
    if (length == 0 || (many && length != size - headers->l3 - (headers->version == 4 ? 0 : IPV6_HEADER)))
        datagram_put_ip_length(frame, size, headers);
    if (many)
        datagram_put_pseudo_sum(frame, datagram);
    return many;
}

/* ---- To a tap. --------------------------------------------------------------------------------------------------- */

static struct offload_virtio needs_checksum(const struct datagram *datagram, size_t headers_end)
{
    return (struct offload_virtio){
        .flags = OFFLOAD_VIRTIO_NEEDS_CSUM,
        .hdr_len = (uint16_t)headers_end,
        .csum_start = (uint16_t)datagram->headers.l4,
        .csum_offset = (uint16_t)datagram->field,
    };
}

static enum offload_fault blank_to_virtio(uint8_t *frame, size_t size, struct offload_virtio *ret_header)
{
    struct datagram datagram;
    const enum offload_fault fault = datagram_find(frame, size, &datagram);
    if (fault != OFFLOAD_FAULT_NONE)
        return fault;
    const size_t l4 = datagram.headers.l4;
    datagram_put_pseudo_sum(frame, &datagram);
    if (l4 + datagram.size == size) {
        *ret_header = needs_checksum(&datagram, l4 + (datagram.field == TCP_CHECKSUM ? TCP_HEADER : UDP_HEADER));
        return OFFLOAD_FAULT_NONE;
    }
    datagram_put_checksum(frame + l4, datagram.size, datagram.field);
    *ret_header = (struct offload_virtio){.flags = OFFLOAD_VIRTIO_DATA_VALID};
    return OFFLOAD_FAULT_NONE;
}

enum offload_fault offload_to_virtio(uint8_t *frame, size_t size, const struct netif_meta *meta,
                                     struct offload_virtio *ret_header)
{
    if (meta->gso != NETIF_GSO_NONE) {
        struct datagram datagram;
        const enum offload_fault fault = find_gso(frame, size, meta->gso, meta->gso_size, meta->csum_blank, &datagram);
        if (fault != OFFLOAD_FAULT_NONE)
            return fault;
        if (!prepare_gso(frame, size, meta->gso_size, &datagram))
            return blank_to_virtio(frame, size, ret_header);
        *ret_header = needs_checksum(&datagram, datagram.payload);
        ret_header->gso_type = meta->gso == NETIF_GSO_TCPV4 ? OFFLOAD_VIRTIO_GSO_TCPV4 : OFFLOAD_VIRTIO_GSO_TCPV6;
        if (frame[datagram.headers.l4 + TCP_FLAGS] & TCP_CWR)
            ret_header->gso_type |= OFFLOAD_VIRTIO_GSO_ECN; /* not for hardware that would put it into each segment */
        ret_header->gso_size = meta->gso_size;
        return OFFLOAD_FAULT_NONE;
    }
    if (meta->csum_blank)
        return blank_to_virtio(frame, size, ret_header);
    *ret_header = (struct offload_virtio){.flags = meta->data_validated ? OFFLOAD_VIRTIO_DATA_VALID : 0};
    return OFFLOAD_FAULT_NONE;
}

/* ---- From a tap. ------------------------------------------------------------------------------------------------- */

static enum netif_gso gso_of(uint8_t virtio)
{
    switch (virtio & ~OFFLOAD_VIRTIO_GSO_ECN) {
    case OFFLOAD_VIRTIO_GSO_TCPV4:
        return NETIF_GSO_TCPV4;
    case OFFLOAD_VIRTIO_GSO_TCPV6:
        return NETIF_GSO_TCPV6;
    default:
        return NETIF_GSO_NONE; /* UDP's, which was not asked for, or nothing that there is */
    }
}

static enum offload_fault blank_from_virtio(uint8_t *frame, size_t size, size_t start, size_t field,
                                            struct netif_meta *ret_meta)
{
    if (start > size || size - start < 2 || field > size - start - 2)
        return OFFLOAD_FAULT_VIRTIO;
    struct datagram datagram;
    if (datagram_find(frame, size, &datagram) != OFFLOAD_FAULT_NONE || start != datagram.headers.l4 ||
        field != datagram.field) {
        datagram_put_checksum(frame + start, size - start, field);
        *ret_meta = (struct netif_meta){0}; /* what else is in the frame, nobody has said */
        return OFFLOAD_FAULT_NONE;
    }
    datagram_put_pseudo_sum(frame, &datagram);
    const bool padded = start + datagram.size < size;
    if (padded)
        datagram_put_checksum(frame + start, datagram.size, field);
    *ret_meta = (struct netif_meta){.csum_blank = !padded, .data_validated = true};
    return OFFLOAD_FAULT_NONE;
}

static enum offload_fault gso_from_virtio(uint8_t *frame, size_t size, const struct offload_virtio *header,
                                          struct netif_meta *ret_meta)
{
    const enum netif_gso gso = gso_of(header->gso_type);
    const bool blank = header->flags & OFFLOAD_VIRTIO_NEEDS_CSUM;
    struct datagram datagram;
    const enum offload_fault fault = find_gso(frame, size, gso, header->gso_size, blank, &datagram);
    if (fault != OFFLOAD_FAULT_NONE)
        return fault;
    if (blank && (header->csum_start != datagram.headers.l4 || header->csum_offset != datagram.field))
        return OFFLOAD_FAULT_VIRTIO;
    if (!prepare_gso(frame, size, header->gso_size, &datagram))
        return blank_from_virtio(frame, size, datagram.headers.l4, datagram.field, ret_meta);
    *ret_meta =
        (struct netif_meta){.csum_blank = true, .data_validated = true, .gso = gso, .gso_size = header->gso_size};
    return OFFLOAD_FAULT_NONE;
}

enum offload_fault offload_from_virtio(uint8_t *frame, size_t size, const struct offload_virtio *header,
                                       struct netif_meta *ret_meta)
{
    if ((header->flags & ~(OFFLOAD_VIRTIO_NEEDS_CSUM | OFFLOAD_VIRTIO_DATA_VALID)) != 0)
        return OFFLOAD_FAULT_VIRTIO;
    if (header->gso_type != OFFLOAD_VIRTIO_GSO_NONE)
        return gso_from_virtio(frame, size, header, ret_meta);
    if (header->flags & OFFLOAD_VIRTIO_NEEDS_CSUM)
        return blank_from_virtio(frame, size, header->csum_start, header->csum_offset, ret_meta);
    *ret_meta = (struct netif_meta){.data_validated = header->flags & OFFLOAD_VIRTIO_DATA_VALID};
    return OFFLOAD_FAULT_NONE;
}

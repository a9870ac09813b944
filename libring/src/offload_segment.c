/* SPDX-License-Identifier: MIT */
/*
 * A TCP frame of many segments, cut into them. Each begins with a copy of the frame's headers, in which is changed:
 *
 *   IP's length         its own; and IPv4's header checksum
 *   IPv4's id           counts up from the frame's
 *   sequence number     of its first byte
 *   FIN, PSH            only in the last
 *   CWR                 only in the first: the answer to one ECN echo
 *   TCP's checksum      filled in
 */
#include <errno.h>
#include <string.h>

#include <ring/offload.h>

#include "datagram.h"

enum offload_fault offload_segment_init(struct offload_segments *segments, const uint8_t *frame, size_t size,
                                        const struct netif_meta *meta)
{
    if (meta->gso_size == 0 || (meta->gso != NETIF_GSO_TCPV4 && meta->gso != NETIF_GSO_TCPV6))
        return OFFLOAD_FAULT_GSO;
    struct datagram datagram;
    const enum offload_fault fault = datagram_find_gso(frame, size, meta->gso, &datagram);
    if (fault != OFFLOAD_FAULT_NONE)
        return fault;
    if (datagram.headers.routed)
        return OFFLOAD_FAULT_HEADERS; /* each segment has another pseudo header, and nobody here knows its destination */

    const size_t bytes = size - datagram.payload, step = meta->gso_size;
    *segments = (struct offload_segments){
        .frame = frame,
        .size = size,
        .headers = datagram.headers,
        .payload = datagram.payload,
        .step = step,
        .count = bytes == 0 ? 1 : (uint32_t)((bytes + step - 1) / step),
        .size_max = datagram.payload + (bytes < step ? bytes : step),
    };
    return OFFLOAD_FAULT_NONE;
}

int offload_segment_next(struct offload_segments *segments, uint8_t *buffer, size_t buffer_size)
{
    if (segments->done == segments->count)
        return 0;
    const struct offload_headers *headers = &segments->headers;
    const size_t before = segments->done * segments->step; /* bytes of payload in earlier ones */
    const size_t left = segments->size - segments->payload - before;
    const size_t bytes = left < segments->step ? left : segments->step;
    const size_t size = segments->payload + bytes;
    if (buffer_size < size)
        return -ENOBUFS;

    memcpy(buffer, segments->frame, segments->payload);
    memcpy(buffer + segments->payload, segments->frame + segments->payload + before, bytes);
    if (headers->version == 4) {
        uint8_t *id = buffer + headers->l3 + 4;
        put_be16(id, get_be16(id) + segments->done);
    }
    datagram_put_ip_length(buffer, size, headers);

    uint8_t *tcp = buffer + headers->l4;
    put_be32(tcp + 4, get_be32(tcp + 4) + (uint32_t)before);
    if (segments->done != 0)
        tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
    if (segments->done + 1 < segments->count)
        tcp[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
    const struct datagram datagram = {*headers, size - headers->l4, TCP_CHECKSUM, segments->payload};
    datagram_put_pseudo_sum(buffer, &datagram);
    datagram_put_checksum(tcp, datagram.size, datagram.field);
    segments->done++;
    return (int)size;
}

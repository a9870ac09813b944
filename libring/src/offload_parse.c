/* SPDX-License-Identifier: MIT */
/*
 * Where a frame's headers are. They come from anywhere: lengths are compared with what is left before anything is read, and
 * however a chain of headers is made, it ends within OFFLOAD_IP_HEADERS_MAX bytes.
 */
#include <ring/offload.h>

#include "datagram.h"

#define VLAN_TAG      4u
#define VLAN_TAGS_MAX 2u

enum ethernet_type {
    ETHERNET_IPV4 = 0x0800,
    ETHERNET_IPV6 = 0x86dd,
    ETHERNET_VLAN = 0x8100,         /* 802.1Q */
    ETHERNET_SERVICE_VLAN = 0x88a8, /* 802.1ad */
};

/* What may stand between an IPv6 header and what it carries. */
enum extension {
    EXTENSION_HOPS = 0,
    EXTENSION_ROUTING = 43,
    EXTENSION_FRAGMENT = 44,
    EXTENSION_AUTHENTICATION = 51,
    EXTENSION_DESTINATION = 60,
};
#define EXTENSION_UNIT 8u /* bytes that each has at least */

static bool is_extension(unsigned protocol)
{
    return protocol == EXTENSION_HOPS || protocol == EXTENSION_ROUTING || protocol == EXTENSION_FRAGMENT ||
           protocol == EXTENSION_AUTHENTICATION || protocol == EXTENSION_DESTINATION;
}

static void parse_ipv4(const uint8_t *packet, size_t size, struct offload_headers *headers)
{
    if (size < IPV4_HEADER || packet[0] >> 4 != 4)
        return;
    headers->version = 4;
    headers->fragment = (get_be16(packet + 6) & 0x3fff) != 0; /* more to come, or not the first */
    const size_t header = 4 * (size_t)(packet[0] & 0xf);
    if (header < IPV4_HEADER || header > size)
        return;
    headers->protocol = packet[9];
    headers->l4 = headers->l3 + header;
}

static void parse_ipv6(const uint8_t *packet, size_t size, struct offload_headers *headers)
{
    if (size < IPV6_HEADER || packet[0] >> 4 != 6)
        return;
    headers->version = 6;
    unsigned protocol = packet[6];
    size_t place = IPV6_HEADER;
    bool first = true; /* of its fragments, if it is one */
    while (first && is_extension(protocol)) {
        if (size - place < EXTENSION_UNIT)
            return;
        const uint8_t *extension = packet + place;
        size_t length = EXTENSION_UNIT * (1 + (size_t)extension[1]);
        if (protocol == EXTENSION_AUTHENTICATION)
            length = 4 * (2 + (size_t)extension[1]);
        if (protocol == EXTENSION_FRAGMENT) {
            length = EXTENSION_UNIT;
            headers->fragment |= (get_be16(extension + 2) & 0xfff9) != 0;
            first = get_be16(extension + 2) >> 3 == 0;
        }
        if (protocol == EXTENSION_ROUTING && extension[3] != 0)
            headers->routed = true;
        if (length > size - place || length > OFFLOAD_IP_HEADERS_MAX - place)
            return;
        protocol = extension[0];
        place += length;
    }
    headers->protocol = protocol;
    headers->l4 = headers->l3 + place;
}

void offload_parse(const uint8_t *frame, size_t size, struct offload_headers *ret_headers)
{
    struct offload_headers headers = {0};
    if (size >= ETHERNET_HEADER) {
        size_t start = ETHERNET_HEADER;
        uint16_t type = get_be16(frame + start - 2);
        for (unsigned tags = 0; tags < VLAN_TAGS_MAX && (type == ETHERNET_VLAN || type == ETHERNET_SERVICE_VLAN) &&
                                size - start >= VLAN_TAG;
             tags++) {
            start += VLAN_TAG;
            type = get_be16(frame + start - 2);
        }
        headers.l3 = start;
        if (type == ETHERNET_IPV4)
            parse_ipv4(frame + start, size - start, &headers);
        else if (type == ETHERNET_IPV6)
            parse_ipv6(frame + start, size - start, &headers);
    }
    if (headers.l4 != 0 && !headers.fragment) {
        if (headers.protocol == PROTOCOL_TCP && size - headers.l4 >= TCP_HEADER)
            headers.transport = OFFLOAD_TRANSPORT_TCP;
        if (headers.protocol == PROTOCOL_UDP && size - headers.l4 >= UDP_HEADER)
            headers.transport = OFFLOAD_TRANSPORT_UDP;
    }
    *ret_headers = headers;
}

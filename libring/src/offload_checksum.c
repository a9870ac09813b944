/* SPDX-License-Identifier: MIT */
/*
 * Checksums: where they are, what they cover, and their sums.
 */
#include <string.h>

#include <ring/offload.h>

#include "datagram.h"

/* Adds up 16-bit words, in the machine's order. Words of 32 bits do as well, and the carries of as many as there can be fit
 * above them; two sums, so that one addition need not wait for another. */
static uint64_t sum_bytes(const uint8_t *bytes, size_t size)
{
    uint64_t low = 0, high = 0;
    for (; size >= 16; size -= 16, bytes += 16) {
        uint64_t words[2];
        memcpy(words, bytes, sizeof words);
        low += (words[0] & UINT32_MAX) + (words[1] & UINT32_MAX);
        high += (words[0] >> 32) + (words[1] >> 32);
    }
    for (; size >= 2; size -= 2, bytes += 2) {
        uint16_t word;
        memcpy(&word, bytes, sizeof word);
        low += word;
    }
    if (size == 1) {
        const uint8_t padded[2] = {bytes[0], 0};
        uint16_t word;
        memcpy(&word, padded, sizeof word);
        low += word;
    }
    return low + high;
}

static uint16_t fold(uint64_t sum)
{
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* Writes a sum to where it belongs: in the machine's order, as it was made. */
static void put_sum(uint8_t *bytes, unsigned sum)
{
    const uint16_t word = (uint16_t)sum;
    memcpy(bytes, &word, sizeof word);
}

/* ---- What is covered. -------------------------------------------------------------------------------------------- */

/* Finds the transport's header, or says why there is none. */
static enum offload_fault find_transport(const uint8_t *frame, size_t size, struct offload_headers *ret_headers)
{
    offload_parse(frame, size, ret_headers);
    if (ret_headers->version == 0)
        return OFFLOAD_FAULT_PROTOCOL;
    if (ret_headers->fragment)
        return OFFLOAD_FAULT_FRAGMENT;
    if (ret_headers->l4 == 0)
        return OFFLOAD_FAULT_HEADERS;
    if (ret_headers->protocol != PROTOCOL_TCP && ret_headers->protocol != PROTOCOL_UDP)
        return OFFLOAD_FAULT_PROTOCOL;
    return ret_headers->transport == OFFLOAD_TRANSPORT_NONE ? OFFLOAD_FAULT_HEADERS : OFFLOAD_FAULT_NONE;
}

/* The length of the packet that an IP header states, header included. */
static size_t get_ip_length(const uint8_t *packet, unsigned version)
{
    return version == 4 ? get_be16(packet + 2) : IPV6_HEADER + (size_t)get_be16(packet + 4);
}

enum offload_fault datagram_find(const uint8_t *frame, size_t size, struct datagram *ret_datagram)
{
    struct datagram datagram = {0};
    struct offload_headers *headers = &datagram.headers;
    const enum offload_fault fault = find_transport(frame, size, headers);
    if (fault != OFFLOAD_FAULT_NONE)
        return fault;

    const bool udp = headers->transport == OFFLOAD_TRANSPORT_UDP;
    const size_t length = get_ip_length(frame + headers->l3, headers->version);
    const size_t ip_headers = headers->l4 - headers->l3;
    if (length > size - headers->l3 || length < ip_headers + (udp ? UDP_HEADER : TCP_HEADER))
        return OFFLOAD_FAULT_LENGTH;
    datagram.size = length - ip_headers;
    datagram.field = udp ? UDP_CHECKSUM : TCP_CHECKSUM;
    if (udp) {
        const size_t udp_length = get_be16(frame + headers->l4 + 4);
        if (udp_length < UDP_HEADER || udp_length > datagram.size)
            return OFFLOAD_FAULT_LENGTH;
        datagram.size = udp_length;
    }
    *ret_datagram = datagram;
    return OFFLOAD_FAULT_NONE;
}

enum offload_fault datagram_find_gso(const uint8_t *frame, size_t size, enum netif_gso gso,
                                     struct datagram *ret_datagram)
{
    struct datagram datagram = {.field = TCP_CHECKSUM};
    struct offload_headers *headers = &datagram.headers;
    const enum offload_fault fault = find_transport(frame, size, headers);
    if (fault != OFFLOAD_FAULT_NONE)
        return fault;
    if (headers->transport != OFFLOAD_TRANSPORT_TCP || headers->version != (gso == NETIF_GSO_TCPV4 ? 4u : 6u))
        return OFFLOAD_FAULT_PROTOCOL;

    datagram.size = size - headers->l4;
    const size_t header = 4 * (size_t)(frame[headers->l4 + 12] >> 4);
    if (header < TCP_HEADER || header > datagram.size)
        return OFFLOAD_FAULT_HEADERS;
    if (size - headers->l3 - (headers->version == 4 ? 0 : IPV6_HEADER) > IP_LENGTH_MAX)
        return OFFLOAD_FAULT_LENGTH;
    datagram.payload = headers->l4 + header;
    *ret_datagram = datagram;
    return OFFLOAD_FAULT_NONE;
}

/* ---- What is written. -------------------------------------------------------------------------------------------- */

void datagram_put_ip_length(uint8_t *frame, size_t size, const struct offload_headers *headers)
{
    uint8_t *packet = frame + headers->l3;
    if (headers->version == 6) {
        put_be16(packet + 4, size - headers->l3 - IPV6_HEADER);
        return;
    }
    put_be16(packet + 2, size - headers->l3);
    put_sum(packet + IPV4_CHECKSUM, 0);
    put_sum(packet + IPV4_CHECKSUM, ~(unsigned)fold(sum_bytes(packet, headers->l4 - headers->l3)));
}

void datagram_put_pseudo_sum(uint8_t *frame, const struct datagram *datagram)
{
    const struct offload_headers *headers = &datagram->headers;
    if (headers->routed)
        return;
    const uint8_t *packet = frame + headers->l3;
    const uint8_t rest[4] = {0, (uint8_t)headers->protocol, (uint8_t)(datagram->size >> 8), (uint8_t)datagram->size};
    const uint64_t addresses = headers->version == 4 ? sum_bytes(packet + 12, 8) : sum_bytes(packet + 8, 32);
    put_sum(frame + headers->l4 + datagram->field, fold(addresses + sum_bytes(rest, sizeof rest)));
}

void datagram_put_checksum(uint8_t *start, size_t size, size_t field)
{
    const unsigned sum = ~(unsigned)fold(sum_bytes(start, size)) & 0xffff;
    put_sum(start + field, sum == 0 ? 0xffff : sum);
}

enum offload_fault offload_checksum(uint8_t *frame, size_t size)
{
    struct datagram datagram;
    const enum offload_fault fault = datagram_find(frame, size, &datagram);
    if (fault != OFFLOAD_FAULT_NONE)
        return fault;
    datagram_put_pseudo_sum(frame, &datagram);
    datagram_put_checksum(frame + datagram.headers.l4, datagram.size, datagram.field);
    return OFFLOAD_FAULT_NONE;
}

/* SPDX-License-Identifier: MIT */
/*
 * What offload*.c share: the TCP segment or UDP datagram in a frame, and sums over it.
 *
 * The Internet checksum (RFC 1071) is the complement of a sum of 16-bit words with the carries added back in. That sum comes
 * out the same, but for the order of its bytes, in whichever order the words are read: so words are read as the machine
 * has them, a sum is kept wide until it is folded, and only what the protocol has in big endian is turned round.
 */
#ifndef RING_SRC_DATAGRAM_H
#define RING_SRC_DATAGRAM_H

#include <stddef.h>
#include <stdint.h>

#include <ring/offload.h>

#define ETHERNET_HEADER 14u
#define IPV4_HEADER     20u
#define IPV6_HEADER     40u
#define TCP_HEADER      20u
#define UDP_HEADER      8u
#define PROTOCOL_TCP    6u
#define PROTOCOL_UDP    17u
#define TCP_CHECKSUM    16u /* places in their headers */
#define TCP_FLAGS       13u
#define UDP_CHECKSUM    6u
#define IPV4_CHECKSUM   10u
#define IP_LENGTH_MAX   65535u /* in the length field of either IP */

enum tcp_flag {
    TCP_FIN = 0x01,
    TCP_PSH = 0x08,
    TCP_CWR = 0x80, /* the answer to one ECN echo */
};

static inline uint16_t get_be16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline void put_be16(uint8_t *bytes, size_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static inline uint32_t get_be32(const uint8_t *bytes)
{
    return (uint32_t)get_be16(bytes) << 16 | get_be16(bytes + 2);
}

static inline void put_be32(uint8_t *bytes, uint32_t value)
{
    put_be16(bytes, value >> 16);
    put_be16(bytes + 2, value & 0xffff);
}

/* A TCP segment or UDP datagram. All of it is in the frame. */
struct datagram {
    struct offload_headers headers; /* with a transport */
    size_t size;                    /* bytes from headers.l4 on that its checksum covers */
    size_t field;                   /* where the checksum is, counted from headers.l4 */
    size_t payload;                 /* TCP that is to be segmented: where its payload begins, in the frame */
};

/* Finds it in a frame whose checksum is to be filled in: as long as IP and UDP say. */
enum offload_fault datagram_find(const uint8_t *frame, size_t size, struct datagram *ret_datagram);

/* Finds it in a frame that is to be segmented: up to the frame's end, whatever the headers say. */
enum offload_fault datagram_find_gso(const uint8_t *frame, size_t size, enum netif_gso gso,
                                     struct datagram *ret_datagram);

/* Writes the length of IP's packet, from headers->l3 to the frame's end, into its header; and that header's checksum. */
void datagram_put_ip_length(uint8_t *frame, size_t size, const struct offload_headers *headers);

/* Writes the sum of the pseudo header where the checksum is to be. What is routed keeps what stands there: only the sender
 * knows the destination that counts. */
void datagram_put_pseudo_sum(uint8_t *frame, const struct datagram *datagram);

/* Adds up what is there, the checksum's own place included, and writes the checksum there: as the kernel understands
 * csum_start and csum_offset. Never 0, which with UDP means "none", and to TCP is the same as what is written for it. */
void datagram_put_checksum(uint8_t *start, size_t size, size_t field);

#endif

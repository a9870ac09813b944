/* SPDX-License-Identifier: MIT */
/*
 * Packets of the internet protocols: their headers as bytes, addresses of both families in one form, checksums. Pure functions.
 *
 * Sources: RFC 826 (ARP), 791 and 8200 (IP), 792 and 4443 (ICMP), 4861 (neighbour discovery), 768, 9293, 1071 (the checksum).
 */
#ifndef GUEST_NET_PACKET_H
#define GUEST_NET_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_ETHERNET_SIZE 14u
#define NET_IPV4_SIZE     20u
#define NET_IPV6_SIZE     40u
#define NET_UDP_SIZE      8u
#define NET_ICMP_SIZE     8u
#define NET_TCP_SIZE      20u

enum net_ethertype {
    NET_TYPE_IPV4 = 0x0800,
    NET_TYPE_ARP = 0x0806,
    NET_TYPE_IPV6 = 0x86dd,
    NET_TYPE_NUMBERED = 0x88b5, /* for local experiments (IEEE 802): our numbered frames */
};

enum net_protocol {
    NET_ICMP = 1,
    NET_TCP = 6,
    NET_UDP = 17,
    NET_ICMPV6 = 58,
};

/* An IPv4 address is ::ffff:A.B.C.D. */
struct net_address {
    uint8_t bytes[16];
};

extern const uint8_t net_broadcast[6];

static inline uint16_t net_get16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline uint32_t net_get32(const uint8_t *bytes)
{
    return (uint32_t)net_get16(bytes) << 16 | net_get16(bytes + 2);
}

static inline void net_put16(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static inline void net_put32(uint8_t *bytes, uint32_t value)
{
    net_put16(bytes, value >> 16);
    net_put16(bytes + 2, value);
}

/* Reads an Ethernet address. Returns 0 or -EINVAL. */
int net_mac_parse(const char *text, uint8_t ret_mac[6]);
/* Reads an address of either family. Returns 0 or -EINVAL. */
int net_address_parse(const char *text, struct net_address *ret_address);
/* "10.0.0.1", in memory that the next but three call overwrites. */
const char *net_address_text(const struct net_address *address);
bool net_address_is_v4(const struct net_address *address);
bool net_address_equal(const struct net_address *a, const struct net_address *b);
struct net_address net_address_v4(const uint8_t bytes[4]);
/* The multicast group in which a neighbour with this IPv6 address is asked for. */
struct net_address net_address_solicited(const struct net_address *address);
/* The Ethernet address of a multicast group. */
void net_address_group_mac(const struct net_address *group, uint8_t ret_mac[6]);

/* The sum of 16-bit words, to be continued (an odd size only at the end), and what a header holds of it. */
uint32_t net_sum(uint32_t sum, const void *bytes, size_t size);
uint16_t net_sum_finish(uint32_t sum);
/* The sum of the pseudo header of either family. */
uint32_t net_sum_pseudo(const struct net_address *from, const struct net_address *to, uint8_t protocol,
                        uint32_t length);

void net_ethernet_put(uint8_t *bytes, const uint8_t to[6], const uint8_t from[6], uint16_t type);

/* What an IP header says, of either family. */
struct net_ip {
    struct net_address from, to;
    uint8_t protocol;
    uint8_t hops;
    uint32_t header;  /* bytes */
    uint32_t payload; /* bytes */
    bool fragment;    /* a part of a packet */
};
/* Reads the header behind the Ethernet one; `size` bytes follow that. Returns 0; -EBADMSG when it is wrong. */
int net_ip_parse(uint16_t ethertype, const uint8_t *bytes, size_t size, struct net_ip *ret_ip);
/* Writes one. Returns its size. */
uint32_t net_ip_put(uint8_t *bytes, const struct net_ip *ip);

/* The checksum's place in the header of a protocol. */
uint32_t net_checksum_at(uint8_t protocol);

#endif

/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net_packet.h"

const uint8_t net_broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

int net_mac_parse(const char *text, uint8_t ret_mac[6])
{
    uint8_t mac[6];

    for (unsigned i = 0; i < sizeof mac; i++, text += 3) {
        if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]) ||
            text[2] != (i + 1 < sizeof mac ? ':' : '\0'))
            return -EINVAL;
        mac[i] = (uint8_t)strtoul(text, NULL, 16);
    }
    memcpy(ret_mac, mac, sizeof mac);
    return 0;
}

int net_address_parse(const char *text, struct net_address *ret_address)
{
    uint8_t v4[4];

    if (inet_pton(AF_INET, text, v4) == 1) {
        *ret_address = net_address_v4(v4);
        return 0;
    }
    return inet_pton(AF_INET6, text, ret_address->bytes) == 1 ? 0 : -EINVAL;
}

const char *net_address_text(const struct net_address *address)
{
    static char texts[4][INET6_ADDRSTRLEN];
    static unsigned next;
    char *text = texts[next++ % 4];

    if (net_address_is_v4(address))
        inet_ntop(AF_INET, address->bytes + sizeof mapped, text, INET6_ADDRSTRLEN);
    else
        inet_ntop(AF_INET6, address->bytes, text, INET6_ADDRSTRLEN);
    return text;
}

bool net_address_is_v4(const struct net_address *address)
{
    return memcmp(address->bytes, mapped, sizeof mapped) == 0;
}

bool net_address_equal(const struct net_address *a, const struct net_address *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

struct net_address net_address_v4(const uint8_t bytes[4])
{
    struct net_address address;

    memcpy(address.bytes, mapped, sizeof mapped);
    memcpy(address.bytes + sizeof mapped, bytes, 4);
    return address;
}

struct net_address net_address_solicited(const struct net_address *address)
{
    struct net_address group = {.bytes = {0xff, 0x02, [11] = 1, [12] = 0xff}};

    memcpy(group.bytes + 13, address->bytes + 13, 3);
    return group;
}

void net_address_group_mac(const struct net_address *group, uint8_t ret_mac[6])
{
    ret_mac[0] = ret_mac[1] = 0x33;
    memcpy(ret_mac + 2, group->bytes + 12, 4);
}

/* ---- Checksums. ----------------------------------------------------------------------------------------------------- */

uint32_t net_sum(uint32_t sum, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t wide = sum;

    for (; size > 1; size -= 2, at += 2)
        wide += net_get16(at);
    if (size > 0)
        wide += (uint32_t)*at << 8;
    while (wide >> 32 != 0)
        wide = (wide & 0xffff) + (wide >> 16);
    return (uint32_t)wide;
}

static uint16_t fold(uint32_t sum)
{
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

uint16_t net_sum_finish(uint32_t sum)
{
    return (uint16_t)~fold(sum);
}

uint32_t net_sum_pseudo(const struct net_address *from, const struct net_address *to, uint8_t protocol, uint32_t length)
{
    size_t skip = net_address_is_v4(from) ? sizeof mapped : 0;
    uint32_t sum = net_sum(0, from->bytes + skip, sizeof from->bytes - skip);

    sum = fold(net_sum(sum, to->bytes + skip, sizeof to->bytes - skip));
    return fold(sum + protocol + (length >> 16) + (length & 0xffff));
}

uint32_t net_checksum_at(uint8_t protocol)
{
    return protocol == NET_TCP ? 16 : protocol == NET_UDP ? 6 : 2;
}

/* ---- Headers. ------------------------------------------------------------------------------------------------------- */

void net_ethernet_put(uint8_t *bytes, const uint8_t to[6], const uint8_t from[6], uint16_t type)
{
    memcpy(bytes, to, 6);
    memcpy(bytes + 6, from, 6);
    net_put16(bytes + 12, type);
}

static int parse_ipv4(const uint8_t *bytes, size_t size, struct net_ip *ret_ip)
{
    if (size < NET_IPV4_SIZE || bytes[0] >> 4 != 4)
        return -EBADMSG;
    uint32_t header = (bytes[0] & 0xfu) * 4, total = net_get16(bytes + 2);
    if (header < NET_IPV4_SIZE || header > size || total < header || total > size)
        return -EBADMSG;
    if (net_sum_finish(net_sum(0, bytes, header)) != 0)
        return -EBADMSG;
    *ret_ip = (struct net_ip){.from = net_address_v4(bytes + 12),
                              .to = net_address_v4(bytes + 16),
                              .protocol = bytes[9],
                              .hops = bytes[8],
                              .header = header,
                              .payload = total - header,
                              .fragment = (net_get16(bytes + 6) & 0x3fff) != 0};
    return 0;
}

static int parse_ipv6(const uint8_t *bytes, size_t size, struct net_ip *ret_ip)
{
    if (size < NET_IPV6_SIZE || bytes[0] >> 4 != 6 || net_get16(bytes + 4) > size - NET_IPV6_SIZE)
        return -EBADMSG;
    *ret_ip = (struct net_ip){
        .protocol = bytes[6], .hops = bytes[7], .header = NET_IPV6_SIZE, .payload = net_get16(bytes + 4)};
    memcpy(ret_ip->from.bytes, bytes + 8, 16);
    memcpy(ret_ip->to.bytes, bytes + 24, 16);
    return 0;
}

int net_ip_parse(uint16_t ethertype, const uint8_t *bytes, size_t size, struct net_ip *ret_ip)
{
    return ethertype == NET_TYPE_IPV4 ? parse_ipv4(bytes, size, ret_ip) : parse_ipv6(bytes, size, ret_ip);
}

uint32_t net_ip_put(uint8_t *bytes, const struct net_ip *ip)
{
    if (!net_address_is_v4(&ip->from)) {
        memset(bytes, 0, NET_IPV6_SIZE);
        bytes[0] = 0x60;
        net_put16(bytes + 4, ip->payload);
        bytes[6] = ip->protocol;
        bytes[7] = ip->hops;
        memcpy(bytes + 8, ip->from.bytes, 16);
        memcpy(bytes + 24, ip->to.bytes, 16);
        return NET_IPV6_SIZE;
    }
    memset(bytes, 0, NET_IPV4_SIZE);
    bytes[0] = 0x45;
    net_put16(bytes + 2, NET_IPV4_SIZE + ip->payload);
    bytes[6] = 0x40; /* not to be fragmented */
    bytes[8] = ip->hops;
    bytes[9] = ip->protocol;
    memcpy(bytes + 12, ip->from.bytes + sizeof mapped, 4);
    memcpy(bytes + 16, ip->to.bytes + sizeof mapped, 4);
    net_put16(bytes + 10, net_sum_finish(net_sum(0, bytes, NET_IPV4_SIZE)));
    return NET_IPV4_SIZE;
}

/* SPDX-License-Identifier: MIT */
/*
 * Anti-spoofing. A packet is walked from the outside in, by a cursor that knows what is left of it: nothing is read beyond.
 *
 * The kernel's own headers tell the layouts and numbers (net/ethernet.h, netinet); fields are read byte by byte, as nothing in a frame is aligned.
 */
#include "filter.h"

#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>

#define VLAN_TAGS_MAX        2u
#define EXTENSIONS_MAX       8u
#define ETHERTYPE_QINQ       0x88a8
#define ARP_SIZE             28u
#define IPV4_SIZE            20u
#define IPV6_SIZE            40u
#define DHCP_CLIENT          68u
#define DHCP_SERVER          67u
#define DHCPV6_CLIENT        546u
#define MLD2_REPORT          143u
#define FRAGMENT_OFFSET_MASK 0x1fffu

struct cursor {
    const uint8_t *at;
    uint32_t left;
};

/* The next `size` bytes, or NULL when there are fewer. */
static const uint8_t *take(struct cursor *cursor, uint32_t size)
{
    const uint8_t *bytes = cursor->at;

    if (cursor->left < size)
        return NULL;
    cursor->at += size;
    cursor->left -= size;
    return bytes;
}

static uint16_t read16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static bool is_zero(const uint8_t *bytes, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static bool mac_is_own(const struct filter *filter, const uint8_t *mac)
{
    return memcmp(filter->mac, mac, sizeof(filter->mac)) == 0;
}

void filter_make(const struct port_message *attach, struct filter *ret_filter)
{
    *ret_filter = (struct filter){.any_mac = attach->flags & PORT_ANY_MAC, .address_count = attach->address_count};
    memcpy(ret_filter->mac, attach->mac, sizeof(ret_filter->mac));
    memcpy(ret_filter->addresses, attach->addresses, sizeof(ret_filter->addresses));
}

/* ---- Addresses. --------------------------------------------------------------------------------------------------- */

static bool prefix_matches(const uint8_t *prefix, unsigned bits, const uint8_t *address)
{
    const unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(prefix, address, whole) != 0)
        return false;
    return rest == 0 || ((prefix[whole] ^ address[whole]) & (0xff << (8 - rest) & 0xff)) == 0;
}

static bool is_listed(const struct filter *filter, unsigned family, const uint8_t *address)
{
    for (unsigned i = 0; i < filter->address_count; i++)
        if (filter->addresses[i].family == family &&
            prefix_matches(filter->addresses[i].bytes, filter->addresses[i].prefix, address))
            return true;
    return false;
}

/* fe80::/64 with the MAC for an interface identifier, RFC 4291, appendix A. */
static bool is_own_link_local(const struct filter *filter, const uint8_t *address)
{
    const uint8_t *mac = filter->mac;
    const uint8_t own[16] = {0xfe,   0x80,   0,    0,    0,      0,      0,     0, (uint8_t)(mac[0] ^ 2),
                             mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};

    return memcmp(own, address, sizeof(own)) == 0;
}

static bool ipv6_is_allowed(const struct filter *filter, const uint8_t *address)
{
    return filter->address_count == 0 || is_own_link_local(filter, address) || is_listed(filter, 6, address);
}

/* ---- ARP and IPv4. ------------------------------------------------------------------------------------------------ */

static enum filter_verdict check_arp(const struct filter *filter, struct cursor cursor)
{
    static const uint8_t ethernet_ipv4[] = {0, 1, 8, 0, 6, 4}; /* the types and sizes of its addresses */
    const uint8_t *arp = take(&cursor, ARP_SIZE);

    if (arp == NULL || memcmp(arp, ethernet_ipv4, sizeof(ethernet_ipv4)) != 0)
        return FILTER_MALFORMED;
    const uint8_t *sender_mac = arp + 8, *sender = arp + 14, *target = arp + 24;
    if (!mac_is_own(filter, sender_mac))
        return FILTER_SPOOFED_MAC;
    if (filter->address_count == 0)
        return FILTER_PASS;
    return is_listed(filter, 4, is_zero(sender, 4) ? target : sender) ? FILTER_PASS : FILTER_SPOOFED_IP;
}

static enum filter_verdict check_ipv4(const struct filter *filter, struct cursor cursor)
{
    const uint8_t *ip = take(&cursor, IPV4_SIZE);

    if (ip == NULL || ip[0] >> 4 != 4 || (ip[0] & 15) < 5)
        return FILTER_MALFORMED;
    const bool listed = is_listed(filter, 4, ip + 12);
    if (!listed && !is_zero(ip + 12, 4))
        return FILTER_SPOOFED_IP;
    if (ip[9] != IPPROTO_UDP || (read16(ip + 6) & FRAGMENT_OFFSET_MASK) != 0)
        return listed ? FILTER_PASS : FILTER_SPOOFED_IP;
    const uint32_t options = (ip[0] & 15u) * 4 - IPV4_SIZE;
    if (take(&cursor, options) == NULL)
        return FILTER_MALFORMED;
    const uint8_t *ports = take(&cursor, 4);
    if (ports == NULL)
        return FILTER_MALFORMED;
    if (listed)
        return read16(ports + 2) == DHCP_CLIENT ? FILTER_SPOOFED_IP : FILTER_PASS;
    return read16(ports) == DHCP_CLIENT && read16(ports + 2) == DHCP_SERVER ? FILTER_PASS : FILTER_SPOOFED_IP;
}

/* ---- IPv6. -------------------------------------------------------------------------------------------------------- */

/* Options of neighbour discovery: a link-layer address in one is the port's own. */
static enum filter_verdict check_nd_options(const struct filter *filter, struct cursor cursor, unsigned wanted)
{
    while (cursor.left > 0) {
        const uint8_t *head = take(&cursor, 2);
        if (head == NULL || head[1] == 0)
            return FILTER_MALFORMED;
        const uint8_t *body = take(&cursor, head[1] * 8u - 2);
        if (body == NULL)
            return FILTER_MALFORMED;
        if (head[0] == wanted && (head[1] != 1 || !mac_is_own(filter, body)))
            return FILTER_SPOOFED_MAC;
    }
    return FILTER_PASS;
}

/* `fragment`: it came in one. No honest host cuts such a message up (RFC 6980). */
static enum filter_verdict check_icmpv6(const struct filter *filter, struct cursor cursor, const uint8_t *source,
                                        bool fragment)
{
    const uint8_t *icmp = take(&cursor, 4);
    const bool anonymous = is_zero(source, 16), restricted = filter->address_count > 0;
    unsigned option = ND_OPT_SOURCE_LINKADDR;
    uint32_t rest = 4; /* before the options: reserved, and what a type has */

    if (icmp == NULL)
        return FILTER_MALFORMED;
    switch (icmp[0]) {
    case ND_ROUTER_SOLICIT:
        break;
    case ND_NEIGHBOR_ADVERT:
        option = ND_OPT_TARGET_LINKADDR;
        rest = 20;
        break;
    case ND_NEIGHBOR_SOLICIT:
        rest = 20;
        break;
    case ND_ROUTER_ADVERT:
        rest = 12;
        break;
    case ND_REDIRECT:
        /* Its target's link-layer address is a router's, which the port is not known to be. */
        return restricted ? FILTER_SPOOFED_IP : FILTER_PASS;
    case MLD_LISTENER_REPORT:
    case MLD_LISTENER_REDUCTION:
    case MLD2_REPORT:
        return FILTER_PASS;
    default:
        return anonymous && restricted ? FILTER_SPOOFED_IP : FILTER_PASS;
    }
    if (fragment)
        return FILTER_MALFORMED;
    const uint8_t *body = take(&cursor, rest);
    if (body == NULL)
        return FILTER_MALFORMED;
    if (restricted && icmp[0] == ND_ROUTER_ADVERT)
        return FILTER_SPOOFED_IP;
    /* What a neighbour asks for is somebody else's address, unless it probes whether its own is free. */
    if (icmp[0] == ND_NEIGHBOR_ADVERT || (icmp[0] == ND_NEIGHBOR_SOLICIT && anonymous))
        if (!ipv6_is_allowed(filter, body + 4))
            return FILTER_SPOOFED_IP;
    return check_nd_options(filter, cursor, option);
}

/* Steps over one extension header. Returns whether it was one; `*next` and the cursor are then behind it. */
static bool skip_extension(struct cursor *cursor, uint8_t *next, bool *ret_whole)
{
    if (*next != IPPROTO_HOPOPTS && *next != IPPROTO_ROUTING && *next != IPPROTO_DSTOPTS && *next != IPPROTO_AH)
        return false;
    const uint32_t unit = *next == IPPROTO_AH ? 4 : 8; /* RFC 4302, 2.2: words, without the first two */
    const uint8_t *head = take(cursor, 8);
    *ret_whole = head != NULL && take(cursor, head[1] * unit) != NULL;
    if (*ret_whole)
        *next = head[0];
    return true;
}

/* Of a port with addresses. */
static enum filter_verdict check_udpv6(struct cursor cursor)
{
    const uint8_t *ports = take(&cursor, 4);

    if (ports == NULL)
        return FILTER_MALFORMED;
    return read16(ports + 2) == DHCPV6_CLIENT ? FILTER_SPOOFED_IP : FILTER_PASS;
}

static enum filter_verdict check_ipv6(const struct filter *filter, struct cursor cursor)
{
    const uint8_t *ip = take(&cursor, IPV6_SIZE);
    bool fragment = false, whole = true;

    if (ip == NULL || ip[0] >> 4 != 6)
        return FILTER_MALFORMED;
    const uint8_t *source = ip + 8;
    const bool anonymous = is_zero(source, 16), restricted = filter->address_count > 0;
    if (restricted && !anonymous && !ipv6_is_allowed(filter, source))
        return FILTER_SPOOFED_IP;
    /* What stands behind the packet, padding, is none of its options. A jumbogram (0) has no place here. */
    const uint32_t payload = read16(ip + 4);
    if (payload < cursor.left && payload != 0)
        cursor.left = payload;

    uint8_t next = ip[6];
    for (unsigned i = 0; i < EXTENSIONS_MAX; i++) {
        if (next == IPPROTO_FRAGMENT) {
            const uint8_t *head = take(&cursor, 8);
            if (head == NULL || fragment)
                return FILTER_MALFORMED;
            if (read16(head + 2) >> 3 != 0) /* not the first one, which was or will be looked at */
                return anonymous && restricted ? FILTER_SPOOFED_IP : FILTER_PASS;
            fragment = true;
            next = head[0];
        } else if (!skip_extension(&cursor, &next, &whole)) {
            if (next == IPPROTO_ICMPV6)
                return check_icmpv6(filter, cursor, source, fragment);
            if (anonymous && restricted)
                return FILTER_SPOOFED_IP;
            return next == IPPROTO_UDP && restricted ? check_udpv6(cursor) : FILTER_PASS;
        } else if (!whole) {
            return FILTER_MALFORMED;
        }
    }
    return FILTER_MALFORMED;
}

/* ---- The frame. --------------------------------------------------------------------------------------------------- */

enum filter_verdict filter_check(const struct filter *filter, const uint8_t *frame, uint32_t length)
{
    struct cursor cursor = {frame, length};

    if (filter->any_mac)
        return FILTER_PASS;
    const uint8_t *header = take(&cursor, ETH_HLEN);
    if (header == NULL)
        return FILTER_MALFORMED;
    if (!mac_is_own(filter, header + ETH_ALEN))
        return FILTER_SPOOFED_MAC;

    uint16_t type = read16(header + 2 * (size_t)ETH_ALEN);
    for (unsigned tags = 0; type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ; tags++) {
        const uint8_t *tag = take(&cursor, 4);
        if (tag == NULL || tags == VLAN_TAGS_MAX)
            return FILTER_MALFORMED;
        type = read16(tag + 2);
    }
    switch (type) {
    case ETHERTYPE_ARP:
        return check_arp(filter, cursor);
    case ETHERTYPE_IP:
        return filter->address_count == 0 ? FILTER_PASS : check_ipv4(filter, cursor);
    case ETHERTYPE_IPV6:
        return check_ipv6(filter, cursor);
    default:
        return filter->address_count == 0 ? FILTER_PASS : FILTER_SPOOFED_IP;
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * What a guest may do to a switch and those on it: fill its table with addresses, send frames that say they are somebody else's, and take none of what
 * comes.
 *
 * To the back end these are frames like any other, and taken; a switch that knows the guest's addresses has to drop them. It is --victim that is imitated,
 * once for each family: a Linux bridge lets all of it through, so without that option nobody is. Each frame ends with the same words, by which it is found in
 * what others captured.
 *
 * Sources: RFC 826 (ARP), 2131 and 8415 (DHCP), 4861 (neighbour discovery), 8200 (IPv6's extension headers), IEEE 802.1Q (tags).
 */
#include <errno.h>
#include <string.h>

#include "net_hostile.h"

#define FRAME_MAX      192u
#define OTHER_TYPE     0x88b6 /* for local experiments too */
#define TAG_TYPE       0x8100
#define TAG_SIZE       4u
#define ARP_SIZE       28u
#define HOP_BY_HOP     0
#define EXTENSION_SIZE 8u
#define LINK_OPTION    8u /* bytes of an option that holds an Ethernet address */
#define DHCP_CLIENT    68u
#define DHCP_SERVER    67u
#define DHCPV6_CLIENT  546u
#define DHCPV6_SERVER  547u

enum { ARP_REQUEST = 1, ARP_REPLY = 2 };
enum { ROUTER_ADVERTISEMENT = 134, SOLICITATION = 135, ADVERTISEMENT = 136, REDIRECT = 137 };
enum { SOURCE_LINK = 1, TARGET_LINK = 2 };

static const char mark[16] = "simguest-hostile";
static const uint8_t nobody[6] = {0x02, 0x66, 0x6f, 0x72, 0x67, 0x65};
static const struct net_address all_nodes = {.bytes = {0xff, 0x02, [15] = 1}};

/* Who is who, and the frame that is put together. */
struct spoof {
    struct net_hostile *hostile;
    const uint8_t *mac;            /* our own */
    uint8_t to[6];                 /* the peer's, or everybody's */
    const struct net_address *own; /* of the victim's family */
    const struct net_address *victim;
    const struct net_address *target; /* the peer, or anybody of that family */
    uint8_t victim_mac[6];
    uint8_t frame[FRAME_MAX];
    uint32_t length;
};

/* ---- Sending. ------------------------------------------------------------------------------------------------------- */

static int send_frame(struct net_hostile *hostile, const uint8_t *frame, uint32_t length)
{
    static const struct netif_meta plain;
    struct netfront *front = hostile->front;
    int rc = netfront_send(front, 0, frame, length, &plain);

    if (rc != -ENOSPC)
        return rc;
    netfront_kick(front, false);
    rc = netfront_drain(front);
    return rc == 0 ? netfront_send(front, 0, frame, length, &plain) : rc;
}

static int end_sending(struct net_hostile *hostile)
{
    netfront_kick(hostile->front, false);
    return netfront_drain(hostile->front);
}

/* The mark, behind whatever it is. */
static int send_marked(struct spoof *spoof)
{
    memcpy(spoof->frame + spoof->length, mark, sizeof mark);
    return send_frame(spoof->hostile, spoof->frame, spoof->length + (uint32_t)sizeof mark);
}

/* ---- Parts of frames. Each is put behind what is there. ------------------------------------------------------------- */

static uint8_t *put_bytes(struct spoof *spoof, uint32_t size)
{
    uint8_t *bytes = spoof->frame + spoof->length;

    memset(bytes, 0, size);
    spoof->length += size;
    return bytes;
}

static void put_ethernet(struct spoof *spoof, const uint8_t *to, const uint8_t *from, uint16_t type)
{
    spoof->length = 0;
    net_ethernet_put(put_bytes(spoof, NET_ETHERNET_SIZE), to, from, type);
}

static void put_arp(struct spoof *spoof, unsigned operation, const uint8_t *sender_mac,
                    const struct net_address *sender, const struct net_address *target)
{
    static const uint8_t ethernet_ipv4[] = {0, 1, 8, 0, 6, 4};

    put_ethernet(spoof, operation == ARP_REPLY ? spoof->to : net_broadcast, spoof->mac, NET_TYPE_ARP);
    uint8_t *arp = put_bytes(spoof, ARP_SIZE);
    memcpy(arp, ethernet_ipv4, sizeof ethernet_ipv4);
    net_put16(arp + 6, operation);
    memcpy(arp + 8, sender_mac, 6);
    memcpy(arp + 14, sender->bytes + 12, 4);
    memcpy(arp + 24, target->bytes + 12, 4);
}

static void put_ip(struct spoof *spoof, const struct net_address *from, const struct net_address *to, uint8_t protocol,
                   uint32_t payload)
{
    const struct net_ip ip = {.from = *from, .to = *to, .protocol = protocol, .hops = 255, .payload = payload};
    uint32_t size = net_address_is_v4(from) ? NET_IPV4_SIZE : NET_IPV6_SIZE;

    net_ip_put(put_bytes(spoof, size), &ip);
}

/* A datagram without a payload but the mark. */
static void put_udp(struct spoof *spoof, uint16_t from, uint16_t to)
{
    uint8_t *udp = put_bytes(spoof, NET_UDP_SIZE);

    net_put16(udp, from);
    net_put16(udp + 2, to);
    net_put16(udp + 4, NET_UDP_SIZE + sizeof mark); /* without a checksum: nobody is to take it anyway */
}

static void put_extension(struct spoof *spoof, uint8_t next)
{
    uint8_t *head = put_bytes(spoof, EXTENSION_SIZE);

    head[0] = next;
    head[2] = 1; /* padding, of 4 bytes */
    head[3] = 4;
}

/* A whole message of neighbour discovery: `body` bytes behind its first four, the address it is about 4 bytes in, and an option. */
static void put_nd(struct spoof *spoof, uint8_t type, uint32_t body, const struct net_address *about, unsigned option,
                   const uint8_t *link)
{
    uint8_t *icmp = put_bytes(spoof, 4 + body + LINK_OPTION);

    icmp[0] = type;
    if (type == ADVERTISEMENT)
        icmp[4] = 0x20; /* override */
    if (about != NULL)
        memcpy(icmp + 8, about->bytes, 16);
    icmp[4 + body] = (uint8_t)option;
    icmp[4 + body + 1] = 1;
    memcpy(icmp + 4 + body + 2, link, 6);
    uint32_t sum = net_sum_pseudo(spoof->own, &all_nodes, NET_ICMPV6, 4 + body + LINK_OPTION);
    net_put16(icmp + 2, net_sum_finish(net_sum(sum, icmp, 4 + body + LINK_OPTION)));
}

static void put_ipv6_ethernet(struct spoof *spoof)
{
    uint8_t group[6];

    net_address_group_mac(&all_nodes, group);
    put_ethernet(spoof, group, spoof->mac, NET_TYPE_IPV6);
}

/* ---- What is sent: each makes the frame `which` of its kind and returns whether there is one. ----------------------- */

static bool make_mac(struct spoof *spoof, unsigned which)
{
    if (which > 1)
        return false;
    put_ethernet(spoof, which == 0 ? spoof->to : net_broadcast, spoof->victim_mac, OTHER_TYPE);
    put_bytes(spoof, 46);
    return true;
}

/* Our address, and somebody else's hardware. */
static bool make_arp_mac(struct spoof *spoof, unsigned which)
{
    if (which > 2)
        return false;
    put_arp(spoof, which == 0 ? ARP_REQUEST : ARP_REPLY, which == 2 ? nobody : spoof->victim_mac, spoof->own,
            which == 0 ? spoof->own : spoof->target);
    return true;
}

/* Somebody else's address, and our hardware. */
static bool make_arp(struct spoof *spoof, unsigned which)
{
    static const struct net_address none = {.bytes = {[10] = 0xff, [11] = 0xff}};

    if (which > 2)
        return false;
    put_arp(spoof, which == 1 ? ARP_REPLY : ARP_REQUEST, spoof->mac, which == 2 ? &none : spoof->victim,
            which == 1 ? spoof->target : spoof->victim);
    return true;
}

static bool make_ipv4(struct spoof *spoof, unsigned which)
{
    const uint32_t payload = NET_UDP_SIZE + sizeof mark;

    if (which > 2)
        return false;
    put_ethernet(spoof, spoof->to, spoof->mac, which == 1 ? TAG_TYPE : NET_TYPE_IPV4);
    if (which == 1)
        net_put16(put_bytes(spoof, TAG_SIZE) + 2, NET_TYPE_IPV4);
    put_ip(spoof, which == 2 ? spoof->own : spoof->victim, spoof->target, NET_UDP, payload);
    put_udp(spoof, which == 2 ? DHCP_SERVER : NET_PORT_DISCARD, which == 2 ? DHCP_CLIENT : NET_PORT_DISCARD);
    return true;
}

static bool make_ipv6(struct spoof *spoof, unsigned which)
{
    const uint32_t payload = NET_UDP_SIZE + sizeof mark;

    if (which > 2)
        return false;
    put_ipv6_ethernet(spoof);
    put_ip(spoof, which == 2 ? spoof->own : spoof->victim, &all_nodes, which == 1 ? HOP_BY_HOP : NET_UDP,
           payload + (which == 1 ? EXTENSION_SIZE : 0));
    if (which == 1)
        put_extension(spoof, NET_UDP);
    put_udp(spoof, which == 2 ? DHCPV6_SERVER : NET_PORT_DISCARD, which == 2 ? DHCPV6_CLIENT : NET_PORT_DISCARD);
    return true;
}

/* Our address, and somebody else's hardware. */
static bool make_nd_mac(struct spoof *spoof, unsigned which)
{
    if (which > 1)
        return false;
    put_ipv6_ethernet(spoof);
    put_ip(spoof, spoof->own, &all_nodes, NET_ICMPV6, 24 + LINK_OPTION);
    if (which == 0)
        put_nd(spoof, ADVERTISEMENT, 20, spoof->own, TARGET_LINK, spoof->victim_mac);
    else
        put_nd(spoof, SOLICITATION, 20, spoof->target, SOURCE_LINK, spoof->victim_mac);
    return true;
}

/* Somebody else's address, or a router's word, and our hardware. */
static bool make_nd(struct spoof *spoof, unsigned which)
{
    const uint32_t sizes[] = {20, 20, 12,
                              36}; /* of what follows the first four bytes of each; source: RFC 4861, 4.2 to 4.5 */
    static const uint8_t types[] = {ADVERTISEMENT, ADVERTISEMENT, ROUTER_ADVERTISEMENT, REDIRECT};

    if (which >= sizeof types)
        return false;
    put_ipv6_ethernet(spoof);
    const uint32_t size = 4 + sizes[which] + LINK_OPTION;
    put_ip(spoof, spoof->own, &all_nodes, which == 1 ? HOP_BY_HOP : NET_ICMPV6,
           size + (which == 1 ? EXTENSION_SIZE : 0));
    if (which == 1)
        put_extension(spoof, NET_ICMPV6);
    put_nd(spoof, types[which], sizes[which], types[which] == ROUTER_ADVERTISEMENT ? NULL : spoof->victim,
           types[which] == ROUTER_ADVERTISEMENT ? SOURCE_LINK : TARGET_LINK, spoof->mac);
    return true;
}

/* ---- The cases. ----------------------------------------------------------------------------------------------------- */

struct spoofing {
    bool (*make)(struct spoof *spoof, unsigned which);
    bool v6; /* of IPv6, else of IPv4 */
};

/* The victim of a family, NULL when there is none, or no address of ours that could be in its place. */
static const struct net_address *victim_of(const struct net *net, bool v6)
{
    for (unsigned i = 0; i < net->options.victim_count; i++) {
        const struct net_address *victim = &net->options.victims[i];
        if (net_address_is_v4(victim) != v6 && net_stack_from(&net->stack, victim) != NULL)
            return victim;
    }
    return NULL;
}

/* Finds out who is where. Returns 0 or -errno. */
static int find_all(struct spoof *spoof)
{
    static const struct net_address anybody = {.bytes = {[10] = 0xff, 0xff, 255, 255, 255, 255}};
    struct net *net = spoof->hostile->net;
    const struct net_options *options = &net->options;
    const bool v4 = net_address_is_v4(spoof->victim);

    spoof->mac = spoof->hostile->front->mac;
    spoof->own = net_stack_from(&net->stack, spoof->victim);
    memcpy(spoof->to, net_broadcast, sizeof spoof->to);
    spoof->target = v4 ? &anybody : &all_nodes;
    int rc = net_await_neighbour(net, spoof->victim);
    if (rc < 0)
        return rc;
    memcpy(spoof->victim_mac, net_stack_mac(&net->stack, spoof->victim), sizeof spoof->victim_mac);
    if (!options->has_peer)
        return 0;
    rc = net_await_neighbour(net, &options->peer);
    if (rc < 0)
        return rc;
    memcpy(spoof->to, net_stack_mac(&net->stack, &options->peer), sizeof spoof->to);
    if (net_address_is_v4(&options->peer) == v4)
        spoof->target = &options->peer;
    return 0;
}

static enum net_hostile_result run_spoofing(struct net_hostile *hostile, const void *param)
{
    const struct spoofing *spoofing = param;
    struct spoof spoof = {.hostile = hostile, .victim = victim_of(hostile->net, spoofing->v6)};
    const uint64_t errors = hostile->front->counts.tx_errors;
    uint64_t frames = 0;

    if (spoof.victim == NULL)
        return HOSTILE_SKIPPED;
    if (find_all(&spoof) < 0) {
        net_hostile_see(hostile, "nobody to be imitated");
        return HOSTILE_FAILED;
    }
    for (uint64_t i = 0; i < hostile->count && !hostile->net->guest.stop; i++) {
        for (unsigned which = 0; spoofing->make(&spoof, which); which++, frames++) {
            if (send_marked(&spoof) < 0)
                return HOSTILE_FAILED;
        }
    }
    if (end_sending(hostile) < 0)
        return HOSTILE_FAILED;
    net_hostile_see(hostile, "%llu frames", (unsigned long long)frames);
    return net_hostile_is_served(hostile) && hostile->front->counts.tx_errors == errors ? HOSTILE_OK : HOSTILE_FAILED;
}

static void put_station(uint8_t *mac, uint64_t number)
{
    mac[0] = 0x02; /* a station's, not given by anybody */
    mac[1] = 0x66;
    net_put32(mac + 2, (uint32_t)number);
}

/* Each frame from another address, to yet another one. */
static enum net_hostile_result run_mac_flood(struct net_hostile *hostile, const void *param)
{
    uint8_t frame[HOSTILE_LENGTH] = {0};
    const uint64_t first = random_next(&hostile->random), errors = hostile->front->counts.tx_errors;

    (void)param;
    net_ethernet_put(frame, frame, frame, OTHER_TYPE);
    for (uint64_t i = 0; i < hostile->count && !hostile->net->guest.stop; i++) {
        put_station(frame, random_next(&hostile->random));
        put_station(frame + 6, first + i);
        if (send_frame(hostile, frame, sizeof frame) < 0)
            return HOSTILE_FAILED;
    }
    if (end_sending(hostile) < 0)
        return HOSTILE_FAILED;
    net_hostile_see(hostile, "%llu addresses", (unsigned long long)hostile->count);
    return net_hostile_is_served(hostile) && hostile->front->counts.tx_errors == errors ? HOSTILE_OK : HOSTILE_FAILED;
}

/* Posts no more pages and says no word, until --pause is over or it is told to end; then it posts them all. It is the same life as before, so that what
 * was counted of it can be looked at meanwhile. */
static enum net_hostile_result run_never_drains(struct net_hostile *hostile, const void *param)
{
    const uint64_t end = guest_now() + hostile->net->options.pause;

    (void)param;
    hostile->front->config.rx_posted = 0;
    while (guest_now() < end && !hostile->net->guest.stop && !hostile->front->device.lost)
        guest_sleep(hostile->front->guest, 10);
    netfront_keep_posted(hostile->front, NETIF_RING_SLOTS);
    return net_hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

#define SPOOF(...)                         \
    run_spoofing, &(const struct spoofing) \
    {                                      \
        __VA_ARGS__                        \
    }

const struct net_hostile_case net_hostile_switch_cases[] = {
    {"mac-flood", "each frame from another Ethernet address", run_mac_flood, NULL},
    {"spoofed-mac", "frames from --victim's Ethernet address", SPOOF(make_mac, false)},
    {"spoofed-arp-mac", "ARP: our IPv4 address at the victim's Ethernet address", SPOOF(make_arp_mac, false)},
    {"spoofed-arp", "ARP: the victim's IPv4 address at ours", SPOOF(make_arp, false)},
    {"spoofed-ipv4", "IPv4 from the victim's address, tagged too; DHCP's answers", SPOOF(make_ipv4, false)},
    {"spoofed-ipv6", "the same over IPv6, behind an extension header too", SPOOF(make_ipv6, true)},
    {"spoofed-nd-mac", "neighbour discovery: our address at the victim's Ethernet address", SPOOF(make_nd_mac, true)},
    {"spoofed-nd", "the victim's IPv6 address at ours; routers advertised, redirects", SPOOF(make_nd, true)},
    {"never-drains", "no more pages for what comes, and silence, for --pause (XSA-392)", run_never_drains, NULL},
    {0},
};

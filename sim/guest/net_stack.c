/* SPDX-License-Identifier: MIT */
/*
 * The IP stack. What it is told of itself it takes from every packet: the sender of one is a neighbour whose address is known from then on.
 *
 *   front -> Ethernet -> ARP, or IP -> ICMP (neighbours, echoes), or a user's datagram or segment
 *
 * A checksum is checked unless the back end says that it was never made (csum_blank): what it calls validated must be right all the same.
 */
#include <errno.h>
#include <string.h>

#include "net_stack.h"

#define ASK_AGAIN UINT64_C(500000000) /* nanoseconds */
#define ARP_SIZE  28u

enum { ARP_REQUEST = 1, ARP_REPLY = 2 };
enum { ICMP_ECHO_REPLY = 0, ICMP_ECHO_REQUEST = 8 };
enum { ICMPV6_ECHO_REQUEST = 128, ICMPV6_ECHO_REPLY = 129, ICMPV6_SOLICITATION = 135, ICMPV6_ADVERTISEMENT = 136 };

void net_stack_init(struct net_stack *stack, struct netfront *front)
{
    *stack = (struct net_stack){.front = front};
}

int net_stack_add_address(struct net_stack *stack, const struct net_address *address)
{
    if (stack->address_count == NET_ADDRESSES_MAX)
        return -ENOSPC;
    stack->addresses[stack->address_count++] = *address;
    return 0;
}

const struct net_address *net_stack_from(const struct net_stack *stack, const struct net_address *to)
{
    for (unsigned i = 0; i < stack->address_count; i++) {
        if (net_address_is_v4(&stack->addresses[i]) == net_address_is_v4(to))
            return &stack->addresses[i];
    }
    return NULL;
}

static bool is_ours(const struct net_stack *stack, const struct net_address *address)
{
    for (unsigned i = 0; i < stack->address_count; i++) {
        if (net_address_equal(&stack->addresses[i], address))
            return true;
    }
    return false;
}

uint32_t net_stack_payload_max(const struct net_stack *stack, const struct net_address *to)
{
    return stack->front->mtu - (net_address_is_v4(to) ? NET_IPV4_SIZE : NET_IPV6_SIZE);
}

/* ---- Neighbours. ---------------------------------------------------------------------------------------------------- */

static struct net_neighbour *find_neighbour(struct net_stack *stack, const struct net_address *address)
{
    for (unsigned i = 0; i < stack->neighbour_count; i++) {
        if (net_address_equal(&stack->neighbours[i].address, address))
            return &stack->neighbours[i];
    }
    return NULL;
}

const uint8_t *net_stack_mac(struct net_stack *stack, const struct net_address *address)
{
    const struct net_neighbour *neighbour = find_neighbour(stack, address);

    return neighbour != NULL && neighbour->known ? neighbour->mac : NULL;
}

/* Finds or makes one; the oldest makes room. */
static struct net_neighbour *get_neighbour(struct net_stack *stack, const struct net_address *address)
{
    struct net_neighbour *neighbour = find_neighbour(stack, address);

    if (neighbour != NULL)
        return neighbour;
    neighbour = &stack->neighbours[stack->neighbour_next];
    stack->neighbour_next = (stack->neighbour_next + 1) % NET_NEIGHBOURS_MAX;
    if (stack->neighbour_count < NET_NEIGHBOURS_MAX)
        stack->neighbour_count++;
    *neighbour = (struct net_neighbour){.address = *address};
    return neighbour;
}

static void learn(struct net_stack *stack, const struct net_address *address, const uint8_t mac[6])
{
    struct net_neighbour *neighbour;

    if ((mac[0] & 1) != 0 || is_ours(stack, address))
        return;
    neighbour = get_neighbour(stack, address);
    memcpy(neighbour->mac, mac, 6);
    neighbour->known = true;
}

static void send_arp(struct net_stack *stack, unsigned operation, const uint8_t to[6], const struct net_address *from,
                     const struct net_address *target)
{
    uint8_t frame[NET_ETHERNET_SIZE + ARP_SIZE] = {0}, *arp = frame + NET_ETHERNET_SIZE;
    const struct netif_meta meta = {0};

    net_ethernet_put(frame, to, stack->front->mac, NET_TYPE_ARP);
    net_put16(arp, 1);
    net_put16(arp + 2, NET_TYPE_IPV4);
    arp[4] = 6;
    arp[5] = 4;
    net_put16(arp + 6, operation);
    memcpy(arp + 8, stack->front->mac, 6);
    memcpy(arp + 14, from->bytes + 12, 4);
    if (operation == ARP_REPLY)
        memcpy(arp + 18, to, 6);
    memcpy(arp + 24, target->bytes + 12, 4);
    netfront_send(stack->front, 0, frame, sizeof frame, &meta);
}

/* Sends one to an Ethernet address, checksum and all. */
static int send_to(struct net_stack *stack, const uint8_t mac[6], const struct net_address *from,
                   const struct net_address *to, uint8_t protocol, uint8_t *packet, uint32_t length, uint16_t gso_size);

static void send_nd(struct net_stack *stack, uint8_t type, const uint8_t mac[6], const struct net_address *from,
                    const struct net_address *to, const struct net_address *target, uint32_t flags)
{
    uint8_t packet[NET_HEADERS_SIZE + 32] = {0}, *icmp = packet + NET_HEADERS_SIZE;

    icmp[0] = type;
    net_put32(icmp + 4, flags);
    memcpy(icmp + 8, target->bytes, 16);
    icmp[24] = type == ICMPV6_SOLICITATION ? 1 : 2; /* whose Ethernet address follows */
    icmp[25] = 1;
    memcpy(icmp + 26, stack->front->mac, 6);
    send_to(stack, mac, from, to, NET_ICMPV6, packet, 32, 0);
}

bool net_stack_resolve(struct net_stack *stack, const struct net_address *address)
{
    const struct net_address *from = net_stack_from(stack, address);
    struct net_neighbour *neighbour = get_neighbour(stack, address);
    uint64_t now = guest_now();

    if (neighbour->known || from == NULL)
        return neighbour->known;
    if (neighbour->asked != 0 && now - neighbour->asked < ASK_AGAIN)
        return false;
    neighbour->asked = now;
    if (net_address_is_v4(address)) {
        send_arp(stack, ARP_REQUEST, net_broadcast, from, address);
    } else {
        struct net_address group = net_address_solicited(address);
        uint8_t mac[6];
        net_address_group_mac(&group, mac);
        send_nd(stack, ICMPV6_SOLICITATION, mac, from, &group, address, 0);
    }
    netfront_kick(stack->front, false);
    return false;
}

void net_stack_announce(struct net_stack *stack)
{
    static const struct net_address all_nodes = {.bytes = {0xff, 0x02, [15] = 1}};
    uint8_t mac[6];

    net_address_group_mac(&all_nodes, mac);
    if (NETFRONT_HAS(stack->front->features, NETFRONT_MULTICAST))
        netfront_multicast(stack->front, true, mac);
    for (unsigned i = 0; i < stack->address_count; i++) {
        const struct net_address *own = &stack->addresses[i];
        if (net_address_is_v4(own)) {
            send_arp(stack, ARP_REQUEST, net_broadcast, own, own);
            continue;
        }
        struct net_address group = net_address_solicited(own);
        uint8_t group_mac[6];
        net_address_group_mac(&group, group_mac);
        if (NETFRONT_HAS(stack->front->features, NETFRONT_MULTICAST))
            netfront_multicast(stack->front, true, group_mac);
        send_nd(stack, ICMPV6_ADVERTISEMENT, mac, own, &all_nodes, own, 0x20000000);
    }
    netfront_kick(stack->front, false);
}

static void take_arp(struct net_stack *stack, const uint8_t *arp, size_t size)
{
    if (size < ARP_SIZE || net_get16(arp) != 1 || net_get16(arp + 2) != NET_TYPE_IPV4 || arp[4] != 6 || arp[5] != 4) {
        stack->counts.unknown++;
        return;
    }
    struct net_address sender = net_address_v4(arp + 14), target = net_address_v4(arp + 24);

    learn(stack, &sender, arp + 8);
    if (net_get16(arp + 6) == ARP_REQUEST && is_ours(stack, &target))
        send_arp(stack, ARP_REPLY, arp + 8, &target, &sender);
}

/* ---- Sending. ------------------------------------------------------------------------------------------------------- */

/* Packets of one flow stay in order: they share a queue. */
static unsigned queue_of(const struct net_stack *stack, uint8_t protocol, const uint8_t *payload)
{
    if (protocol != NET_TCP && protocol != NET_UDP)
        return 0;
    return (net_get16(payload) ^ net_get16(payload + 2)) % stack->front->queue_count;
}

static int send_to(struct net_stack *stack, const uint8_t mac[6], const struct net_address *from,
                   const struct net_address *to, uint8_t protocol, uint8_t *packet, uint32_t length, uint16_t gso_size)
{
    struct netfront *front = stack->front;
    bool v4 = net_address_is_v4(to), ported = protocol == NET_TCP || protocol == NET_UDP;
    struct netif_meta meta = {.gso_size = gso_size};
    uint32_t headers = NET_ETHERNET_SIZE + (v4 ? NET_IPV4_SIZE : NET_IPV6_SIZE);
    uint8_t *payload = packet + NET_HEADERS_SIZE, *frame = payload - headers;
    uint8_t *checksum = payload + net_checksum_at(protocol);
    uint32_t sum = protocol == NET_ICMP ? 0 : net_sum_pseudo(from, to, protocol, length);
    const struct net_ip ip = {
        .from = *from, .to = *to, .protocol = protocol, .hops = protocol == NET_ICMPV6 ? 255 : 64, .payload = length};

    net_ethernet_put(frame, mac, front->mac, v4 ? NET_TYPE_IPV4 : NET_TYPE_IPV6);
    net_ip_put(frame + NET_ETHERNET_SIZE, &ip);
    if (gso_size > 0)
        meta.gso = v4 ? NETIF_GSO_TCPV4 : NETIF_GSO_TCPV6;
    if (ported && NETFRONT_HAS(front->features, v4 ? NETFRONT_CSUM4 : NETFRONT_CSUM6)) {
        meta.csum_blank = meta.data_validated = true;
        net_put16(checksum, (uint16_t)~net_sum_finish(sum));
    } else {
        net_put16(checksum, 0);
        uint16_t value = net_sum_finish(net_sum(sum, payload, length));
        net_put16(checksum, protocol == NET_UDP && value == 0 ? 0xffff : value);
    }
    return netfront_send(front, queue_of(stack, protocol, payload), frame, headers + length, &meta);
}

int net_stack_send(struct net_stack *stack, const struct net_address *to, uint8_t protocol, uint8_t *packet,
                   uint32_t length, uint16_t gso_size)
{
    const struct net_address *from = net_stack_from(stack, to);

    if (from == NULL)
        return -EADDRNOTAVAIL;
    if (!net_stack_resolve(stack, to)) {
        stack->counts.unresolved++;
        return -EAGAIN;
    }
    return send_to(stack, find_neighbour(stack, to)->mac, from, to, protocol, packet, length, gso_size);
}

/* ---- Receiving. ----------------------------------------------------------------------------------------------------- */

/* The request comes back as it is, but for its type. */
static void answer_echo(struct net_stack *stack, const struct net_packet *packet, uint8_t type)
{
    static uint8_t answer[NET_HEADERS_SIZE + NETIF_LENGTH_MAX];

    memcpy(answer + NET_HEADERS_SIZE, packet->payload, packet->ip.payload);
    answer[NET_HEADERS_SIZE] = type;
    if (net_stack_send(stack, &packet->ip.from, packet->ip.protocol, answer, packet->ip.payload, 0) == 0)
        stack->counts.echoed++;
}

static void take_solicitation(struct net_stack *stack, const struct net_packet *packet)
{
    struct net_address target;

    if (packet->ip.payload < 24 || packet->ip.hops != 255)
        return;
    memcpy(target.bytes, packet->payload + 8, 16);
    struct net_neighbour *asker = find_neighbour(stack, &packet->ip.from);
    if (is_ours(stack, &target) && asker != NULL)
        send_nd(stack, ICMPV6_ADVERTISEMENT, asker->mac, &target, &packet->ip.from, &target, 0x60000000);
}

static void take_icmp(struct net_stack *stack, const struct net_packet *packet)
{
    bool v4 = packet->ip.protocol == NET_ICMP;
    unsigned type = packet->payload[0];

    if (packet->ip.payload < NET_ICMP_SIZE)
        type = UINT8_MAX; /* nobody's */
    if (type == (v4 ? ICMP_ECHO_REQUEST : ICMPV6_ECHO_REQUEST))
        answer_echo(stack, packet, v4 ? ICMP_ECHO_REPLY : ICMPV6_ECHO_REPLY);
    else if (type == (v4 ? ICMP_ECHO_REPLY : ICMPV6_ECHO_REPLY) && stack->on_echo != NULL)
        stack->on_echo(stack->arg, packet);
    else if (!v4 && type == ICMPV6_SOLICITATION)
        take_solicitation(stack, packet);
    else if (v4 || type != ICMPV6_ADVERTISEMENT) /* that one's sender is known by now */
        stack->counts.unknown++;
}

/* Bytes of the header of a protocol we know, 0 for another. */
static uint32_t header_size(uint8_t protocol)
{
    switch (protocol) {
    case NET_TCP:
        return NET_TCP_SIZE;
    case NET_UDP:
        return NET_UDP_SIZE;
    case NET_ICMP:
    case NET_ICMPV6:
        return 4;
    default:
        return 0;
    }
}

static bool is_checksum_right(const struct net_packet *packet)
{
    const struct net_ip *ip = &packet->ip;

    if (packet->meta->csum_blank || (ip->protocol == NET_UDP && net_get16(packet->payload + 6) == 0))
        return true;
    uint32_t sum = ip->protocol == NET_ICMP ? 0 : net_sum_pseudo(&ip->from, &ip->to, ip->protocol, ip->payload);
    return net_sum_finish(net_sum(sum, packet->payload, ip->payload)) == 0;
}

static void take_ip(struct net_stack *stack, const uint8_t *frame, uint32_t length, const struct netif_meta *meta)
{
    struct net_packet packet = {.meta = meta};

    if (net_ip_parse(net_get16(frame + 12), frame + NET_ETHERNET_SIZE, length - NET_ETHERNET_SIZE, &packet.ip) < 0) {
        stack->counts.bad_checksum++;
        return;
    }
    packet.payload = frame + NET_ETHERNET_SIZE + packet.ip.header;
    uint32_t header = header_size(packet.ip.protocol);
    bool group = packet.ip.to.bytes[0] == 0xff;
    if ((!is_ours(stack, &packet.ip.to) && !group) || header == 0 || packet.ip.payload < header || packet.ip.fragment) {
        stack->counts.unknown++;
        return;
    }
    if (!is_checksum_right(&packet)) {
        stack->counts.bad_checksum++;
        return;
    }
    learn(stack, &packet.ip.from, frame + 6);
    if (packet.ip.protocol == NET_ICMP || packet.ip.protocol == NET_ICMPV6)
        take_icmp(stack, &packet);
    else if (packet.ip.protocol == NET_UDP && stack->on_udp != NULL)
        stack->on_udp(stack->arg, &packet);
    else if (packet.ip.protocol == NET_TCP && stack->on_tcp != NULL)
        stack->on_tcp(stack->arg, &packet);
    else
        stack->counts.unknown++;
}

void net_stack_received(void *arg, unsigned queue, const uint8_t *frame, uint32_t length, const struct netif_meta *meta)
{
    struct net_stack *stack = arg;

    (void)queue;
    if (length < NET_ETHERNET_SIZE) {
        stack->counts.unknown++;
        return;
    }
    uint16_t type = net_get16(frame + 12);
    if (type == NET_TYPE_NUMBERED) {
        if (stack->on_frame != NULL)
            stack->on_frame(stack->arg, frame, length);
        return;
    }
    if ((frame[0] & 1) == 0 && memcmp(frame, stack->front->mac, 6) != 0)
        stack->counts.foreign++;
    else if (type == NET_TYPE_ARP)
        take_arp(stack, frame + NET_ETHERNET_SIZE, length - NET_ETHERNET_SIZE);
    else if (type == NET_TYPE_IPV4 || type == NET_TYPE_IPV6)
        take_ip(stack, frame, length, meta);
    else
        stack->counts.unknown++;
}

/* SPDX-License-Identifier: MIT */
/*
 * What a port may send: frames from its own MAC address, and, when it was given IP addresses, only from these. Pure, on private memory.
 *
 * A guest can write anything into a frame, so what cannot be understood is not let through where it matters.
 *
 * With a MAC, beside the frame's source: the hardware address of the sender in ARP, and the link-layer address in a neighbour discovery
 * message of ICMPv6, are that one too, so that a guest cannot have others send to it what is meant for a third. That needs looking into
 * IPv6, so from a port with a MAC no IPv6 passes that hides its upper layer: more than a few extension headers, or a first fragment that
 * ends within them.
 *
 * With IP addresses, the port sends IPv4, IPv6 and ARP and nothing else, with or without VLAN tags (which receivers may ignore), and
 *   IPv4    the source is one of them; 0.0.0.0 only to ask a DHCP server (UDP from 68 to 67)
 *   ARP     the sender's address is one of them; 0.0.0.0 only to probe for one of them
 *   IPv6    the source is one of them, or the link-local address made of the port's MAC (EUI-64); :: only to ask for routers, to tell
 *           multicast groups, and to probe for an address that is allowed
 *   ND      an address that is advertised (or probed for) is an allowed one too; a guest with addresses is no router: no router
 *           advertisement, no redirect
 *   UDP     a guest with addresses is no DHCP server either: nothing to the port of clients (68, over IPv6 546), whatever port it comes from,
 *           as not all of them look at that
 * An address of the other family than those given is none of them.
 */
#ifndef BRIDGE_FILTER_H
#define BRIDGE_FILTER_H

#include "port.h"

struct filter {
    bool any_mac; /* the rest is then not looked at */
    uint8_t mac[6];
    unsigned address_count;
    struct port_address addresses[PORT_ADDRESSES_MAX];
};

enum filter_verdict {
    FILTER_PASS,
    FILTER_SPOOFED_MAC, /* a MAC address that is not the port's */
    FILTER_SPOOFED_IP,  /* an IP address that is not, or what only those may send who have no addresses */
    FILTER_MALFORMED,   /* it cannot be told */
};

/* What an ATTACH asks for. The message was checked. */
void filter_make(const struct port_message *attach, struct filter *ret_filter);

/* `length` is at least NETIF_LENGTH_MIN. */
enum filter_verdict filter_check(const struct filter *filter, const uint8_t *frame, uint32_t length);

#endif

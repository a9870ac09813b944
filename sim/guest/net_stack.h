/* SPDX-License-Identifier: MIT */
/*
 * An IP stack, as far as tests need one: addresses of both families on one front end, neighbours, echoes; datagrams and segments go to and come from
 * its users. Everybody is a neighbour: there are no routes and no fragments.
 */
#ifndef GUEST_NET_STACK_H
#define GUEST_NET_STACK_H

#include "net_packet.h"
#include "netfront.h"

#define NET_ADDRESSES_MAX  4u
#define NET_NEIGHBOURS_MAX 64u
#define NET_HEADERS_SIZE   (NET_ETHERNET_SIZE + NET_IPV6_SIZE) /* before what protocols carry; in front of each payload */

struct net_stack_counts {
    uint64_t echoed;       /* requests for an echo that were answered */
    uint64_t bad_checksum; /* of a header or of what it carries */
    uint64_t foreign;      /* frames for somebody else */
    uint64_t unknown;      /* packets that nobody here wants, or understands */
    uint64_t unresolved;   /* packets not sent for want of a neighbour's address */
};

struct net_neighbour {
    struct net_address address;
    uint8_t mac[6];
    bool known;
    uint64_t asked; /* when */
};

struct net_packet {
    struct net_ip ip;
    const uint8_t *payload; /* ip.payload bytes, its checksum checked */
    const struct netif_meta *meta;
};

struct net_stack {
    struct netfront *front;
    struct net_address addresses[NET_ADDRESSES_MAX];
    unsigned address_count;
    struct net_neighbour neighbours[NET_NEIGHBOURS_MAX];
    unsigned neighbour_count, neighbour_next;
    struct net_stack_counts counts;

    /* Its users; each may be NULL. */
    void (*on_frame)(void *arg, const uint8_t *frame,
                     uint32_t length);                           /* NET_TYPE_NUMBERED, also those for somebody else */
    void (*on_echo)(void *arg, const struct net_packet *packet); /* an answer to an echo request */
    void (*on_udp)(void *arg, const struct net_packet *packet);
    void (*on_tcp)(void *arg, const struct net_packet *packet);
    void *arg;
};

/* Sits on a front end whose `received` is to be net_stack_received(). */
void net_stack_init(struct net_stack *stack, struct netfront *front);
/* Returns 0 or -ENOSPC. */
int net_stack_add_address(struct net_stack *stack, const struct net_address *address);
/* Tells the neighbours who we are, and the back end which groups we want: after each connect. */
void net_stack_announce(struct net_stack *stack);

/* As netfront's `received`; arg is the stack. */
void net_stack_received(void *arg, unsigned queue, const uint8_t *frame, uint32_t length,
                        const struct netif_meta *meta);

/* Our address of that family, NULL when there is none. */
const struct net_address *net_stack_from(const struct net_stack *stack, const struct net_address *to);
/* Whether the neighbour's Ethernet address is known; asks for it, twice a second at most, when it is not. */
bool net_stack_resolve(struct net_stack *stack, const struct net_address *address);
/* That address, valid until others are heard of; NULL when it is not known. */
const uint8_t *net_stack_mac(struct net_stack *stack, const struct net_address *address);

/* Sends one packet: `length` bytes of `protocol`, header included, at `packet` + NET_HEADERS_SIZE; its checksum is made here. Large TCP segments
 * name the size they are to be cut to, 0: none. The caller kicks. Returns 0; -EAGAIN when the neighbour is not known yet; -EADDRNOTAVAIL; or as
 * netfront_send(). */
int net_stack_send(struct net_stack *stack, const struct net_address *to, uint8_t protocol, uint8_t *packet,
                   uint32_t length, uint16_t gso_size);
/* The longest payload of IP that fits the MTU. */
uint32_t net_stack_payload_max(const struct net_stack *stack, const struct net_address *to);

#endif

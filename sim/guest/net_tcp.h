/* SPDX-License-Identifier: MIT */
/*
 * TCP, as far as a verified stream needs it (RFC 9293): open from either side, retransmission with a doubling timeout and after three equal
 * acknowledgements, slow start, zero windows, close from either side. No options but the segment size; what comes out of order is dropped and sent
 * again by the peer.
 *
 * The bytes of a stream are never kept here: they are asked for by their place, again when they are sent again.
 */
#ifndef GUEST_NET_TCP_H
#define GUEST_NET_TCP_H

#include "net_stack.h"

enum tcp_state {
    TCP_CLOSED,
    TCP_SYN_SENT,
    TCP_SYN_RECEIVED,
    TCP_ESTABLISHED, /* until both directions have ended */
    TCP_DONE,        /* both have */
    TCP_FAILED,      /* the peer refused or reset it */
    TCP_STATES
};

struct tcp;

/* The user of a connection. */
struct tcp_user {
    /* Writes `length` bytes of our stream from place `at` on. */
    void (*bytes)(void *arg, struct tcp *tcp, uint64_t at, uint8_t *ret_bytes, uint32_t length);
    /* Bytes of the peer's stream, in order. */
    void (*received)(void *arg, struct tcp *tcp, const uint8_t *bytes, uint32_t length);
    /* How many more it may send. */
    uint32_t (*space)(void *arg, struct tcp *tcp);
};

struct tcp_counts {
    uint64_t segments_sent, segments_received, resent, timeouts, out_of_order;
};

struct tcp {
    struct net_stack *stack;
    const struct tcp_user *user;
    void *arg;
    enum tcp_state state;
    struct net_address peer;
    uint16_t port, peer_port;
    uint32_t own_start, peer_start; /* the sequence number of the first byte of each stream */
    uint16_t mss;

    uint64_t available; /* bytes of our stream that may be sent; raise it, then tcp_output() */
    bool ended;         /* and there will be no more */
    uint64_t acked, sent;
    uint64_t highest; /* ever sent, the end included */
    bool end_sent, end_acked;
    uint64_t taken; /* of the peer's stream */
    bool peer_ended;

    uint32_t peer_window, window; /* the latter is what congestion allows */
    uint32_t advertised;          /* to the peer, last */
    uint32_t threshold;
    unsigned same_acks;
    uint64_t timeout, deadline; /* of retransmission, nanoseconds; deadline 0: nothing to wait for */
    uint64_t progress;          /* when the peer last acknowledged or sent something new */
    struct tcp_counts counts;
};

/* Opens a connection. */
void tcp_connect(struct tcp *tcp, struct net_stack *stack, const struct tcp_user *user, void *arg,
                 const struct net_address *peer, uint16_t port, uint16_t peer_port);
/* Answers a packet that opens one; anything else leaves it closed. */
void tcp_accept(struct tcp *tcp, struct net_stack *stack, const struct tcp_user *user, void *arg,
                const struct net_packet *packet);
/* Whether a packet belongs to this connection. */
bool tcp_owns(const struct tcp *tcp, const struct net_packet *packet);
void tcp_input(struct tcp *tcp, const struct net_packet *packet);
/* Sends what may be sent. The caller kicks. */
void tcp_output(struct tcp *tcp);
/* To be called from time to time. The caller kicks. */
void tcp_tick(struct tcp *tcp);
/* Tells whoever sent this that there is no such connection. */
void tcp_refuse(struct net_stack *stack, const struct net_packet *packet);
const char *tcp_state_name(enum tcp_state state);

#endif

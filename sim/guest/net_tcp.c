/* SPDX-License-Identifier: MIT */
/*
 * TCP. Places in the streams are 64-bit counts of bytes; a sequence number becomes one by its distance from what is expected.
 *
 *   Closed --- connect ---> SYN-sent ------ their SYN, our SYN acknowledged ---> Established --- both ended, ours acknowledged ---> Done
 *      |                                                                            ^
 *      +------ accept ----> SYN-received -- our SYN acknowledged -------------------+          anywhere: their RST ---> Failed
 *
 * An end (FIN) takes one place behind the last byte. What was sent and not acknowledged is, after a timeout or three equal acknowledgements, sent again
 * from the first such byte on.
 */
#include <assert.h>
#include <string.h>

#include "net_tcp.h"
#include "random.h"

#define TIMEOUT_MIN UINT64_C(200000000)
#define TIMEOUT_MAX UINT64_C(2000000000)
#define WINDOW_MAX  65535u

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

static const char *const state_names[] = {[TCP_CLOSED] = "closed",
                                          [TCP_SYN_SENT] = "not answered",
                                          [TCP_SYN_RECEIVED] = "half open",
                                          [TCP_ESTABLISHED] = "established",
                                          [TCP_DONE] = "done",
                                          [TCP_FAILED] = "reset by the peer"};
static_assert(sizeof state_names / sizeof state_names[0] == TCP_STATES, "a name for each state");

const char *tcp_state_name(enum tcp_state state)
{
    return state_names[state];
}

static uint32_t own_mss(const struct tcp *tcp)
{
    return net_stack_payload_max(tcp->stack, &tcp->peer) - NET_TCP_SIZE;
}

/* The sequence number of a place of our stream. */
static uint32_t sequence_of(const struct tcp *tcp, uint64_t place)
{
    return tcp->own_start + (uint32_t)place;
}

static void arm(struct tcp *tcp)
{
    tcp->deadline = guest_now() + tcp->timeout;
}

/* Sends one segment; `at` is the place of its first byte. Returns as net_stack_send(). */
static int send_segment(struct tcp *tcp, unsigned flags, uint32_t sequence, uint64_t at, uint32_t length)
{
    static uint8_t packet[NET_HEADERS_SIZE + NETIF_LENGTH_MAX];
    uint8_t *header = packet + NET_HEADERS_SIZE;
    uint32_t size = NET_TCP_SIZE + ((flags & SYN) != 0 ? 4 : 0);
    uint32_t space = tcp->user->space(tcp->arg, tcp);

    memset(header, 0, NET_TCP_SIZE);
    net_put16(header, tcp->port);
    net_put16(header + 2, tcp->peer_port);
    net_put32(header + 4, sequence);
    if ((flags & ACK) != 0)
        net_put32(header + 8, tcp->peer_start + (uint32_t)tcp->taken + (tcp->peer_ended ? 1 : 0));
    header[12] = (uint8_t)(size / 4 << 4);
    header[13] = (uint8_t)flags;
    tcp->advertised = space > WINDOW_MAX ? WINDOW_MAX : space;
    net_put16(header + 14, tcp->advertised);
    if ((flags & SYN) != 0) {
        header[20] = 2;
        header[21] = 4;
        net_put16(header + 22, own_mss(tcp));
    }
    if (length > 0)
        tcp->user->bytes(tcp->arg, tcp, at, header + size, length);
    tcp->counts.segments_sent++;
    return net_stack_send(tcp->stack, &tcp->peer, NET_TCP, packet, size + length, length > tcp->mss ? tcp->mss : 0);
}

/* The most bytes one segment may carry. */
static uint32_t segment_max(const struct tcp *tcp)
{
    bool v4 = net_address_is_v4(&tcp->peer);

    if (!NETFRONT_HAS(tcp->stack->front->features, v4 ? NETFRONT_GSO4 : NETFRONT_GSO6))
        return tcp->mss;
    return NETIF_LENGTH_MAX - NET_HEADERS_SIZE - NET_TCP_SIZE;
}

static void begin(struct tcp *tcp, struct net_stack *stack, const struct tcp_user *user, void *arg,
                  const struct net_address *peer, uint16_t port, uint16_t peer_port)
{
    uint64_t now = guest_now();

    *tcp = (struct tcp){.stack = stack,
                        .user = user,
                        .arg = arg,
                        .peer = *peer,
                        .port = port,
                        .peer_port = peer_port,
                        .own_start = (uint32_t)random_mix(now) + 1,
                        .timeout = TIMEOUT_MIN,
                        .progress = now};
    tcp->mss = (uint16_t)own_mss(tcp);
    tcp->window = 10u * tcp->mss;
    tcp->threshold = WINDOW_MAX;
}

void tcp_connect(struct tcp *tcp, struct net_stack *stack, const struct tcp_user *user, void *arg,
                 const struct net_address *peer, uint16_t port, uint16_t peer_port)
{
    begin(tcp, stack, user, arg, peer, port, peer_port);
    tcp->state = TCP_SYN_SENT;
    send_segment(tcp, SYN, tcp->own_start - 1, 0, 0);
    arm(tcp);
}

/* The segment size the peer's SYN asks for. */
static void take_options(struct tcp *tcp, const uint8_t *header, uint32_t size)
{
    for (uint32_t at = NET_TCP_SIZE; at + 4 <= size && header[at] != 0;) {
        if (header[at] == 1) {
            at++;
            continue;
        }
        uint16_t mss = net_get16(header + at + 2);
        if (header[at] == 2 && mss >= 64 && mss < tcp->mss)
            tcp->mss = mss;
        if (header[at + 1] < 2)
            return;
        at += header[at + 1];
    }
}

void tcp_accept(struct tcp *tcp, struct net_stack *stack, const struct tcp_user *user, void *arg,
                const struct net_packet *packet)
{
    const uint8_t *header = packet->payload;

    tcp->state = TCP_CLOSED;
    if ((header[13] & (SYN | ACK | RST)) != SYN)
        return;
    begin(tcp, stack, user, arg, &packet->ip.from, net_get16(header + 2), net_get16(header));
    tcp->state = TCP_SYN_RECEIVED;
    tcp->peer_start = net_get32(header + 4) + 1;
    tcp->peer_window = net_get16(header + 14);
    take_options(tcp, header, (header[12] >> 4) * 4u);
    send_segment(tcp, SYN | ACK, tcp->own_start - 1, 0, 0);
    arm(tcp);
}

bool tcp_owns(const struct tcp *tcp, const struct net_packet *packet)
{
    return tcp->state != TCP_CLOSED && net_get16(packet->payload) == tcp->peer_port &&
           net_get16(packet->payload + 2) == tcp->port && net_address_equal(&packet->ip.from, &tcp->peer);
}

void tcp_refuse(struct net_stack *stack, const struct net_packet *packet)
{
    uint8_t answer[NET_HEADERS_SIZE + NET_TCP_SIZE] = {0}, *header = answer + NET_HEADERS_SIZE;
    const uint8_t *theirs = packet->payload;
    uint32_t size = (theirs[12] >> 4) * 4u, length = packet->ip.payload > size ? packet->ip.payload - size : 0;

    if ((theirs[13] & RST) != 0)
        return;
    memcpy(header, theirs + 2, 2);
    memcpy(header + 2, theirs, 2);
    if ((theirs[13] & ACK) != 0)
        memcpy(header + 4, theirs + 8, 4);
    net_put32(header + 8, net_get32(theirs + 4) + length + ((theirs[13] & (SYN | FIN)) != 0 ? 1 : 0));
    header[12] = NET_TCP_SIZE / 4 << 4;
    header[13] = RST | ACK;
    net_stack_send(stack, &packet->ip.from, NET_TCP, answer, NET_TCP_SIZE, 0);
}

/* ---- Output. -------------------------------------------------------------------------------------------------------- */

/* An acknowledgement stands behind everything that was ever sent, or the peer takes it for an old one. */
static void send_ack(struct tcp *tcp)
{
    send_segment(tcp, ACK, sequence_of(tcp, tcp->highest), 0, 0);
}

/* Whether the end may be sent now. */
static bool is_end_due(const struct tcp *tcp)
{
    return tcp->ended && !tcp->end_sent && tcp->sent == tcp->available;
}

void tcp_output(struct tcp *tcp)
{
    if (tcp->state != TCP_ESTABLISHED)
        return;
    uint32_t allowed = tcp->peer_window < tcp->window ? tcp->peer_window : tcp->window;

    for (;;) {
        uint64_t in_flight = tcp->sent - tcp->acked, left = tcp->available - tcp->sent;
        uint64_t length = allowed > in_flight ? allowed - in_flight : 0;
        if (length > left)
            length = left;
        if (length > segment_max(tcp))
            length = segment_max(tcp);
        bool end = is_end_due(tcp) || (tcp->ended && !tcp->end_sent && length == left);
        if (length == 0 && !(end && left == 0))
            break;
        unsigned flags = ACK | PSH | (end ? FIN : 0u);
        if (send_segment(tcp, flags, sequence_of(tcp, tcp->sent), tcp->sent, (uint32_t)length) < 0)
            break;
        tcp->sent += length;
        tcp->end_sent = end;
        if (tcp->sent + (end ? 1 : 0) > tcp->highest)
            tcp->highest = tcp->sent + (end ? 1 : 0);
        if (tcp->deadline == 0)
            arm(tcp);
    }
    /* Something has to come: an acknowledgement, or a window. */
    if (tcp->deadline == 0 && (tcp->sent < tcp->available || is_end_due(tcp)))
        arm(tcp);
}

/* Sends again from the first byte that was not acknowledged. */
static void go_back(struct tcp *tcp)
{
    uint32_t half = (uint32_t)((tcp->sent - tcp->acked) / 2), least = 2u * tcp->mss;

    tcp->threshold = half > least ? half : least;
    tcp->window = tcp->mss;
    tcp->sent = tcp->acked;
    tcp->end_sent = false;
    tcp->same_acks = 0;
    tcp->counts.resent++;
}

void tcp_tick(struct tcp *tcp)
{
    /* The peer waits for a window that was closed. */
    if (tcp->state == TCP_ESTABLISHED && tcp->advertised < tcp->mss && tcp->user->space(tcp->arg, tcp) >= tcp->mss)
        send_ack(tcp);
    if (tcp->deadline == 0 || guest_now() < tcp->deadline || tcp->state >= TCP_DONE)
        return;
    tcp->counts.timeouts++;
    tcp->timeout = tcp->timeout * 2 > TIMEOUT_MAX ? TIMEOUT_MAX : tcp->timeout * 2;
    arm(tcp);
    if (tcp->state == TCP_SYN_SENT) {
        send_segment(tcp, SYN, tcp->own_start - 1, 0, 0);
        return;
    }
    if (tcp->state == TCP_SYN_RECEIVED) {
        send_segment(tcp, SYN | ACK, tcp->own_start - 1, 0, 0);
        return;
    }
    go_back(tcp);
    if (tcp->peer_window == 0)
        tcp->peer_window = 1; /* a probe */
    tcp_output(tcp);
}

/* ---- Input. --------------------------------------------------------------------------------------------------------- */

static void take_ack(struct tcp *tcp, uint32_t acknowledged, uint32_t window, bool bare)
{
    uint32_t delta = acknowledged - sequence_of(tcp, tcp->acked);
    uint64_t most =
        tcp->highest - tcp->acked; /* an old one is beyond: of a stream of 4 GiB it might be taken for one to come */
    bool waiting = tcp->sent > tcp->acked || (tcp->end_sent && !tcp->end_acked);

    if (delta == 0 && bare && waiting && window == tcp->peer_window && ++tcp->same_acks == 3) {
        go_back(tcp);
        return;
    }
    tcp->peer_window = window;
    if (delta == 0 || delta > most)
        return;

    uint64_t bytes = delta > tcp->available - tcp->acked ? tcp->available - tcp->acked : delta;
    tcp->acked += bytes;
    if (bytes < delta)
        tcp->end_sent = tcp->end_acked = true;
    if (tcp->sent < tcp->acked)
        tcp->sent = tcp->acked; /* what was to be sent again had come */
    tcp->same_acks = 0;
    tcp->timeout = TIMEOUT_MIN;
    tcp->progress = guest_now();
    tcp->window += tcp->window < tcp->threshold ? (uint32_t)bytes : tcp->mss * tcp->mss / tcp->window + 1;
    if (tcp->window > WINDOW_MAX)
        tcp->window = WINDOW_MAX;
    tcp->deadline = 0;
    if (tcp->sent > tcp->acked || (tcp->end_sent && !tcp->end_acked))
        arm(tcp);
}

/* Takes what is new and in order of a segment. Returns whether it wants an answer. */
static bool take_bytes(struct tcp *tcp, uint32_t sequence, const uint8_t *bytes, uint32_t length, bool end)
{
    uint32_t known = tcp->peer_start + (uint32_t)tcp->taken + (tcp->peer_ended ? 1 : 0) - sequence;
    uint32_t space = tcp->user->space(tcp->arg, tcp);

    if (length == 0 && !end)
        return false;
    if ((int32_t)known < 0 || known > length || (known == length && !end) || tcp->peer_ended) {
        tcp->counts.out_of_order++;
        return true;
    }
    uint32_t fresh = length - known;
    if (fresh > space) {
        fresh = space;
        end = false;
    }
    if (fresh > 0)
        tcp->user->received(tcp->arg, tcp, bytes + known, fresh);
    tcp->taken += fresh;
    tcp->peer_ended = end;
    tcp->progress = guest_now();
    return true;
}

static void open_up(struct tcp *tcp)
{
    tcp->state = TCP_ESTABLISHED;
    tcp->deadline = 0;
    tcp->timeout = TIMEOUT_MIN;
    tcp->progress = guest_now();
}

/* The segments before the connection is established. Returns whether it is now. */
static bool take_opening(struct tcp *tcp, const uint8_t *header, uint32_t size)
{
    unsigned flags = header[13];

    if ((flags & ACK) == 0 || net_get32(header + 8) != tcp->own_start) {
        if (tcp->state == TCP_SYN_RECEIVED && (flags & SYN) != 0)
            send_segment(tcp, SYN | ACK, tcp->own_start - 1, 0, 0);
        return false;
    }
    tcp->peer_window = net_get16(header + 14);
    if (tcp->state == TCP_SYN_SENT) {
        if ((flags & SYN) == 0)
            return false;
        tcp->peer_start = net_get32(header + 4) + 1;
        take_options(tcp, header, size);
        open_up(tcp);
        send_ack(tcp);
    } else {
        open_up(tcp);
    }
    return true;
}

void tcp_input(struct tcp *tcp, const struct net_packet *packet)
{
    const uint8_t *header = packet->payload;
    uint32_t size = (header[12] >> 4) * 4u;
    unsigned flags = header[13];

    if (size < NET_TCP_SIZE || size > packet->ip.payload)
        return;
    tcp->counts.segments_received++;
    if ((flags & RST) != 0) {
        if (tcp->state < TCP_DONE)
            tcp->state = TCP_FAILED;
        return;
    }
    if (tcp->state == TCP_DONE) {
        send_ack(tcp); /* our last one was lost */
        return;
    }
    bool opening = tcp->state < TCP_ESTABLISHED;
    if (tcp->state == TCP_FAILED || (opening && !take_opening(tcp, header, size)))
        return;
    if ((flags & SYN) != 0) {
        if (opening)
            tcp_output(tcp);
        else
            send_ack(tcp); /* our last one was lost */
        return;
    }

    uint32_t length = packet->ip.payload - size;
    if ((flags & ACK) != 0)
        take_ack(tcp, net_get32(header + 8), net_get16(header + 14), length == 0 && (flags & FIN) == 0);
    bool answer = take_bytes(tcp, net_get32(header + 4), header + size, length, (flags & FIN) != 0);
    uint64_t before = tcp->counts.segments_sent;
    tcp_output(tcp);
    if (answer && tcp->counts.segments_sent == before)
        send_ack(tcp);
    if (tcp->end_acked && tcp->peer_ended)
        tcp->state = TCP_DONE;
}

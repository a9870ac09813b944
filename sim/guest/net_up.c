/* SPDX-License-Identifier: MIT */
/*
 * A guest that is there for others: answers for its addresses and echoes, and serves the ports 7 (echo) and 9 (discard) of UDP and TCP. Numbered
 * payloads that reach it, in frames or datagrams, are tallied.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "net_tcp.h"

#define STREAMS_MAX 64u
#define STREAM_SIZE (1u << 18) /* bytes that were not taken back yet; a power of two */

struct stream {
    struct tcp tcp;
    uint8_t *bytes; /* the byte at place p of the stream is at p % STREAM_SIZE */
};

struct up {
    struct stream streams[STREAMS_MAX];
    uint64_t accepted;
};

static void take(struct net *net, const uint8_t *bytes, uint32_t size)
{
    if (numbers_take(&net->numbers, bytes, size))
        net_hear(net);
}

static void take_frame(void *arg, const uint8_t *frame, uint32_t length)
{
    struct net *net = arg;
    const struct netif_meta meta = {0};
    static uint8_t answer[NETFRONT_FRAME_MAX];

    take(net, frame + NET_ETHERNET_SIZE, length - NET_ETHERNET_SIZE);
    if (!net->options.reflect)
        return;
    memcpy(answer, frame, length);
    net_ethernet_put(answer, frame + 6, net->front.mac, NET_TYPE_NUMBERED);
    netfront_send(&net->front, 0, answer, length, &meta);
}

static void take_datagram(void *arg, const struct net_packet *packet)
{
    struct net *net = arg;
    uint16_t port = net_get16(packet->payload + 2);
    static uint8_t answer[NET_HEADERS_SIZE + NETIF_LENGTH_MAX];
    uint8_t *header = answer + NET_HEADERS_SIZE;

    if (port != NET_PORT_ECHO && port != NET_PORT_DISCARD) {
        net->stack.counts.unknown++;
        return;
    }
    if (packet->ip.payload >= NET_UDP_SIZE + 4 && net_get32(packet->payload + NET_UDP_SIZE) == NUMBERS_MAGIC)
        take(net, packet->payload + NET_UDP_SIZE, packet->ip.payload - NET_UDP_SIZE);
    if (port != NET_PORT_ECHO)
        return;
    memcpy(header, packet->payload, packet->ip.payload);
    memcpy(header, packet->payload + 2, 2);
    memcpy(header + 2, packet->payload, 2);
    net_stack_send(&net->stack, &packet->ip.from, NET_UDP, answer, packet->ip.payload, 0);
}

/* ---- Streams. ------------------------------------------------------------------------------------------------------- */

static struct stream *stream_of(struct tcp *tcp)
{
    return (struct stream *)tcp; /* its first member */
}

static void stream_bytes(void *arg, struct tcp *tcp, uint64_t at, uint8_t *ret_bytes, uint32_t length)
{
    const struct stream *stream = stream_of(tcp);

    (void)arg;
    for (uint32_t i = 0; i < length; i++)
        ret_bytes[i] = stream->bytes[(at + i) % STREAM_SIZE];
}

static void stream_received(void *arg, struct tcp *tcp, const uint8_t *bytes, uint32_t length)
{
    struct net *net = arg;
    struct stream *stream = stream_of(tcp);

    net_hear(net);
    if (tcp->port != NET_PORT_ECHO)
        return;
    for (uint32_t i = 0; i < length; i++)
        stream->bytes[(tcp->taken + i) % STREAM_SIZE] = bytes[i];
    tcp->available += length;
}

static uint32_t stream_space(void *arg, struct tcp *tcp)
{
    (void)arg;
    return tcp->port == NET_PORT_ECHO ? STREAM_SIZE - (uint32_t)(tcp->taken - tcp->acked) : STREAM_SIZE;
}

static const struct tcp_user stream_user = {stream_bytes, stream_received, stream_space};

static void accept_stream(struct net *net, const struct net_packet *packet)
{
    struct up *up = net->own;

    for (unsigned i = 0; i < STREAMS_MAX; i++) {
        struct stream *stream = &up->streams[i];
        if (stream->tcp.state != TCP_CLOSED && stream->tcp.state < TCP_DONE)
            continue;
        if (stream->bytes == NULL)
            stream->bytes = malloc(STREAM_SIZE);
        if (stream->bytes == NULL)
            return;
        tcp_accept(&stream->tcp, &net->stack, &stream_user, net, packet);
        up->accepted += stream->tcp.state != TCP_CLOSED;
        if (stream->tcp.state == TCP_CLOSED)
            tcp_refuse(&net->stack, packet);
        return;
    }
    tcp_refuse(&net->stack, packet);
}

static void take_segment(void *arg, const struct net_packet *packet)
{
    struct net *net = arg;
    struct up *up = net->own;
    uint16_t port = net_get16(packet->payload + 2);

    for (unsigned i = 0; i < STREAMS_MAX; i++) {
        struct tcp *tcp = &up->streams[i].tcp;
        if (!tcp_owns(tcp, packet))
            continue;
        tcp_input(tcp, packet);
        if (tcp->peer_ended && !tcp->ended) {
            tcp->ended = true;
            tcp_output(tcp);
        }
        return;
    }
    if (port == NET_PORT_ECHO || port == NET_PORT_DISCARD)
        accept_stream(net, packet);
    else
        tcp_refuse(&net->stack, packet);
}

/* ---- The action. ---------------------------------------------------------------------------------------------------- */

static int start(struct net *net)
{
    net->own = calloc(1, sizeof(struct up));
    if (net->own == NULL)
        return -ENOMEM;
    net->stack.on_frame = take_frame;
    net->stack.on_udp = take_datagram;
    net->stack.on_tcp = take_segment;
    return 0;
}

static bool step(struct net *net)
{
    struct up *up = net->own;
    const struct net_options *options = &net->options;

    for (unsigned i = 0; i < STREAMS_MAX; i++) {
        if (up->streams[i].tcp.state != TCP_CLOSED)
            tcp_tick(&up->streams[i].tcp);
    }
    if (options->time != 0 && guest_now() - net->started >= options->time)
        return true;
    if (options->expect == 0)
        return false;
    return net->numbers.received >= options->expect || net_is_stuck(net, "as many numbered payloads as are expected");
}

static bool report(struct net *net)
{
    struct up *up = net->own;
    const struct numbers *numbers = &net->numbers;
    uint64_t missing = numbers_missing(numbers);

    net_report("missing", missing);
    net_report_numbers(net);
    net_report("streams", up != NULL ? up->accepted : 0);
    net->stack.on_tcp = NULL; /* frames come until the card is let go of */
    for (unsigned i = 0; up != NULL && i < STREAMS_MAX; i++)
        free(up->streams[i].bytes);
    return numbers->corrupt == 0 && numbers->received >= net->options.expect &&
           (net->options.lossy || (missing == 0 && numbers->duplicated == 0 && numbers->reordered == 0));
}

const struct net_action net_up = {.name = "up",
                                  .arguments = "",
                                  .purpose = "is there for others until SIGTERM: answers, echoes, counts",
                                  .start = start,
                                  .step = step,
                                  .report = report};

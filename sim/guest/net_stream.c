/* SPDX-License-Identifier: MIT */
/*
 * A TCP client: sends a stream whose bytes follow from their place, and verifies it as it comes back, to the end of both directions.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "net_tcp.h"
#include "random.h"

#define PORT_OWN 30000u

struct stream {
    struct tcp tcp;
    uint64_t verified, wrong;
};

static uint8_t byte_at(const struct net *net, uint64_t place)
{
    return (uint8_t)(random_mix(net->options.seed + place / 8) >> place % 8 * 8);
}

static void bytes(void *arg, struct tcp *tcp, uint64_t at, uint8_t *ret_bytes, uint32_t length)
{
    (void)tcp;
    for (uint32_t i = 0; i < length; i++)
        ret_bytes[i] = byte_at(arg, at + i);
}

static void received(void *arg, struct tcp *tcp, const uint8_t *got, uint32_t length)
{
    struct net *net = arg;
    struct stream *stream = net->own;

    net_hear(net);
    for (uint32_t i = 0; i < length; i++) {
        if (got[i] != byte_at(net, tcp->taken + i) && stream->wrong++ == 0)
            guest_say("byte %" PRIu64 " of the stream is wrong", tcp->taken + i);
    }
    stream->verified += length;
}

static uint32_t space(void *arg, struct tcp *tcp)
{
    (void)arg;
    (void)tcp;
    return UINT16_MAX;
}

static const struct tcp_user user = {bytes, received, space};

static void take_segment(void *arg, const struct net_packet *packet)
{
    struct net *net = arg;
    struct stream *stream = net->own;

    if (stream != NULL && tcp_owns(&stream->tcp, packet))
        tcp_input(&stream->tcp, packet);
    else
        tcp_refuse(&net->stack, packet);
}

static int start(struct net *net)
{
    struct net_address peer;
    struct stream *stream;

    if (net_address_parse(net->arguments[0], &peer) < 0) {
        guest_say("'%s' is not an address", net->arguments[0]);
        return -EINVAL;
    }
    int rc = net_await_neighbour(net, &peer);
    if (rc < 0)
        return rc;
    stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return -ENOMEM;
    net->own = stream;
    net->stack.on_tcp = take_segment;
    tcp_connect(&stream->tcp, &net->stack, &user, net, &peer, (uint16_t)(PORT_OWN + net->options.flow % 10000),
                net->options.port);
    stream->tcp.available = net->options.bytes;
    stream->tcp.ended = true;
    return 0;
}

static bool step(struct net *net)
{
    struct stream *stream = net->own;
    struct tcp *tcp = &stream->tcp;

    tcp_tick(tcp);
    tcp_output(tcp);
    if (tcp->progress > net->heard)
        net->heard = tcp->progress;
    return tcp->state == TCP_DONE || tcp->state == TCP_FAILED || net_is_stuck(net, "the peer to go on with the stream");
}

static bool report(struct net *net)
{
    const struct stream *stream = net->own;

    if (stream == NULL)
        return false;
    const struct tcp *tcp = &stream->tcp;
    uint64_t expected = net->options.one_way ? 0 : net->options.bytes;

    net_report("acknowledged", tcp->acked);
    net_report("verified", stream->verified);
    net_report("wrong", stream->wrong);
    net_report("segments_sent", tcp->counts.segments_sent);
    net_report("segments_received", tcp->counts.segments_received);
    net_report("resent", tcp->counts.resent);
    net_report("timeouts", tcp->counts.timeouts);
    net_report("out_of_order", tcp->counts.out_of_order);
    net_report("milliseconds", (guest_now() - net->started) / 1000000);
    if (tcp->state != TCP_DONE)
        guest_say("the connection is %s", tcp_state_name(tcp->state));
    return tcp->state == TCP_DONE && tcp->acked == net->options.bytes && stream->verified == expected &&
           stream->wrong == 0;
}

const struct net_action net_tcp = {.name = "tcp",
                                   .arguments = "ADDRESS",
                                   .purpose = "a stream, which comes back",
                                   .argument_count = 1,
                                   .start = start,
                                   .step = step,
                                   .report = report};

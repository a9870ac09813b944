/* SPDX-License-Identifier: MIT */
/*
 * Flows of numbered payloads: frames, datagrams, and echo requests. Each that was sent is expected back, unless the flow goes one way.
 *
 *   step: sends what is due and finds room, with a window of payloads on their way     ...     received: tallied
 *
 * When nothing comes back for a second, what is on its way is lost and the window opens again; the end waits as long for stragglers. Recovery of a
 * back end takes what it takes: with --lossy it only leaves a gap.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "random.h"

#define PATIENCE   NET_SECOND
#define PORT_OWN   40000u
#define ECHO_TYPE4 8
#define ECHO_TYPE6 128

struct flow {
    struct net_address peer;
    struct random random;
    uint32_t min, max;
    uint64_t sent;
    uint64_t written_off; /* of these */
    uint8_t packet[NET_HEADERS_SIZE + NETIF_LENGTH_MAX];
};

static struct flow *flow_of(struct net *net)
{
    return net->own;
}

/* What others send is theirs to look at. */
static void take(struct net *net, const uint8_t *bytes, uint32_t size)
{
    if (size >= NUMBERS_SIZE_MIN && net_get32(bytes) == NUMBERS_MAGIC && net_get32(bytes + 4) != net->options.flow)
        return;
    if (numbers_take(&net->numbers, bytes, size))
        net_hear(net);
}

/* ---- The three carriers. -------------------------------------------------------------------------------------------- */

static int send_frame(struct net *net, uint32_t size)
{
    struct flow *flow = flow_of(net);
    uint8_t *frame = flow->packet;
    const struct netif_meta meta = {0};

    net_ethernet_put(frame, net->options.to, net->front.mac, NET_TYPE_NUMBERED);
    numbers_fill(frame + NET_ETHERNET_SIZE, size, net->options.flow, flow->sent);
    return netfront_send(&net->front, net->options.flow % net->front.queue_count, frame, NET_ETHERNET_SIZE + size,
                         &meta);
}

static void take_frame(void *arg, const uint8_t *frame, uint32_t length)
{
    take(arg, frame + NET_ETHERNET_SIZE, length - NET_ETHERNET_SIZE);
}

static int send_datagram(struct net *net, uint32_t size)
{
    struct flow *flow = flow_of(net);
    uint8_t *header = flow->packet + NET_HEADERS_SIZE;

    net_put16(header, PORT_OWN + net->options.flow % 10000);
    net_put16(header + 2, net->options.port);
    net_put16(header + 4, NET_UDP_SIZE + size);
    numbers_fill(header + NET_UDP_SIZE, size, net->options.flow, flow->sent);
    return net_stack_send(&net->stack, &flow->peer, NET_UDP, flow->packet, NET_UDP_SIZE + size, 0);
}

static void take_datagram(void *arg, const struct net_packet *packet)
{
    take(arg, packet->payload + NET_UDP_SIZE, packet->ip.payload - NET_UDP_SIZE);
}

static int send_echo(struct net *net, uint32_t size)
{
    struct flow *flow = flow_of(net);
    uint8_t *header = flow->packet + NET_HEADERS_SIZE;
    bool v4 = net_address_is_v4(&flow->peer);

    memset(header, 0, NET_ICMP_SIZE);
    header[0] = v4 ? ECHO_TYPE4 : ECHO_TYPE6;
    net_put16(header + 4, net->options.flow & 0xffff);
    net_put16(header + 6, flow->sent & 0xffff);
    numbers_fill(header + NET_ICMP_SIZE, size, net->options.flow, flow->sent);
    return net_stack_send(&net->stack, &flow->peer, v4 ? NET_ICMP : NET_ICMPV6, flow->packet, NET_ICMP_SIZE + size, 0);
}

static void take_echo(void *arg, const struct net_packet *packet)
{
    take(arg, packet->payload + NET_ICMP_SIZE, packet->ip.payload - NET_ICMP_SIZE);
}

/* ---- Running. ------------------------------------------------------------------------------------------------------- */

static int start(struct net *net, uint32_t most)
{
    struct net_options *options = &net->options;
    struct flow *flow = calloc(1, sizeof *flow);

    if (flow == NULL)
        return -ENOMEM;
    net->own = flow;
    flow->random.state = options->seed;
    flow->min = options->min != 0 ? options->min : 64;
    flow->max = options->max != 0 ? options->max : most;
    if (options->time != 0 && !options->counted)
        options->count = UINT64_MAX;
    net->heard = guest_now();
    net->longest_gap = 0;
    return 0;
}

static int start_frames(struct net *net)
{
    net->stack.on_frame = take_frame;
    return start(net, net->front.mtu);
}

static int start_to_peer(struct net *net, uint32_t header)
{
    struct net_address peer;

    if (net_address_parse(net->arguments[0], &peer) < 0) {
        guest_say("'%s' is not an address", net->arguments[0]);
        return -EINVAL;
    }
    int rc = net_await_neighbour(net, &peer);
    if (rc == 0)
        rc = start(net, net_stack_payload_max(&net->stack, &peer) - header);
    if (rc == 0)
        flow_of(net)->peer = peer;
    return rc;
}

static int start_udp(struct net *net)
{
    net->stack.on_udp = take_datagram;
    return start_to_peer(net, NET_UDP_SIZE);
}

static int start_ping(struct net *net)
{
    net->stack.on_echo = take_echo;
    if (net->options.rate == 0)
        net->options.rate = 50;
    return start_to_peer(net, NET_ICMP_SIZE);
}

static uint64_t on_their_way(const struct net *net, const struct flow *flow)
{
    uint64_t settled = net->numbers.received + flow->written_off;

    return net->options.one_way || settled > flow->sent ? 0 : flow->sent - settled;
}

static bool is_all_sent(const struct net *net, const struct flow *flow)
{
    const struct net_options *options = &net->options;

    return flow->sent >= options->count || (options->time != 0 && guest_now() - net->started >= options->time);
}

/* Whether what is on its way may be given up: it never is when nothing may be lost, until the limit. */
static bool is_patience_over(struct net *net)
{
    if (net->options.lossy)
        return guest_now() - net->heard > PATIENCE;
    return net_is_stuck(net, "what was sent to come back");
}

static bool step(struct net *net, int (*send)(struct net *net, uint32_t size))
{
    struct flow *flow = flow_of(net);
    uint64_t due = net_due(net);

    if (on_their_way(net, flow) >= net->options.window && is_patience_over(net))
        flow->written_off += on_their_way(net, flow);
    while (!is_all_sent(net, flow) && flow->sent < due && on_their_way(net, flow) < net->options.window) {
        uint32_t size = flow->min + (uint32_t)random_below(&flow->random, flow->max - flow->min + 1);
        if (on_their_way(net, flow) == 0)
            net->heard = guest_now(); /* from now on something is waited for */
        if (send(net, size) < 0)
            break;
        flow->sent++;
    }
    if (!is_all_sent(net, flow))
        return false;
    if (on_their_way(net, flow) > 0)
        return is_patience_over(net);
    /* Answers to what was sent would come too late to be looked at. */
    return netfront_tx_waiting(&net->front) == 0 || net_is_stuck(net, "answers on the transmit ring");
}

static bool step_frames(struct net *net)
{
    return step(net, send_frame);
}

static bool step_udp(struct net *net)
{
    return step(net, send_datagram);
}

static bool step_ping(struct net *net)
{
    return step(net, send_echo);
}

static bool report(struct net *net)
{
    const struct net_options *options = &net->options;
    const struct numbers *numbers = &net->numbers;
    const struct flow *flow = flow_of(net);
    uint64_t sent = flow != NULL ? flow->sent : 0;
    uint64_t lost = options->one_way || numbers->received > sent ? 0 : sent - numbers->received;

    net_report("sent", sent);
    net_report("lost", lost);
    net_report_numbers(net);
    if (sent == 0 || numbers->corrupt > 0 || (!options->one_way && numbers->received == 0))
        return false;
    return options->lossy ||
           (lost == 0 && numbers->duplicated == 0 && numbers->reordered == 0 && net->front.counts.tx_errors == 0);
}

const struct net_action net_frames = {.name = "frames",
                                      .arguments = "",
                                      .purpose = "numbered Ethernet frames, which come back",
                                      .start = start_frames,
                                      .step = step_frames,
                                      .report = report};
const struct net_action net_udp = {.name = "udp",
                                   .arguments = "ADDRESS",
                                   .purpose = "numbered datagrams, which come back",
                                   .argument_count = 1,
                                   .start = start_udp,
                                   .step = step_udp,
                                   .report = report};
const struct net_action net_ping = {.name = "ping",
                                    .arguments = "ADDRESS",
                                    .purpose = "echo requests with numbered payloads",
                                    .argument_count = 1,
                                    .start = start_ping,
                                    .step = step_ping,
                                    .report = report};

/* SPDX-License-Identifier: MIT */
/*
 * For benchmarks: a guest that sends one frame again and again, and one that only counts what comes. Neither touches a byte of it, so that what is
 * measured is the back end and not its guests: the sender's pages are written once, and the receiver's are not read.
 *
 * Frames are as long as --size says, its lower end. One that is longer than the MTU is TCP, to be cut into segments.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xendev/grant.h>

#include "net.h"

#define SIZE_MIN    60u
#define GSO_HEADERS (NET_ETHERNET_SIZE + NET_IPV4_SIZE + NET_TCP_SIZE)

struct flood {
    uint32_t length;
    struct netif_meta meta;
    uint8_t headers[GSO_HEADERS];
};

/* TCP over IPv4 from nobody to nobody, its checksum blank. */
static void put_headers(struct net *net, struct flood *flood)
{
    static const uint8_t from[4] = {10, 9, 9, 1}, to[4] = {10, 9, 9, 2};
    uint8_t *tcp = flood->headers + NET_ETHERNET_SIZE + NET_IPV4_SIZE;
    const struct net_ip ip = {.from = net_address_v4(from),
                              .to = net_address_v4(to),
                              .protocol = NET_TCP,
                              .hops = 64,
                              .payload = flood->length - NET_ETHERNET_SIZE - NET_IPV4_SIZE};

    net_ethernet_put(flood->headers, net->options.to, net->front.mac, NET_TYPE_IPV4);
    net_ip_put(flood->headers + NET_ETHERNET_SIZE, &ip);
    net_put16(tcp, 9);
    net_put16(tcp + 2, 9);
    tcp[12] = NET_TCP_SIZE / 4 << 4;
    tcp[13] = 0x10; /* ACK */
}

static void fill_pages(struct net *net, const struct flood *flood)
{
    const size_t offset = flood->length + 64 <= XENDEV_PAGE_SIZE ? 64 : 0; /* where netfront_send() has it begin */
    struct netfront_queue *queue = &net->front.queues[0];

    for (size_t id = 0; id < NETIF_RING_SLOTS; id++) {
        uint8_t *page = queue->tx_pages + id * XENDEV_PAGE_SIZE;
        memset(page, 0, XENDEV_PAGE_SIZE);
        memcpy(page + offset, flood->headers, sizeof flood->headers);
    }
}

static int start_flood(struct net *net)
{
    struct flood *flood = calloc(1, sizeof *flood);

    if (flood == NULL)
        return -ENOMEM;
    net->own = flood;
    flood->length = net->options.min > SIZE_MIN ? net->options.min : SIZE_MIN;
    if (flood->length > net->front.mtu + NET_ETHERNET_SIZE)
        flood->meta = (struct netif_meta){.csum_blank = true,
                                          .data_validated = true,
                                          .gso = NETIF_GSO_TCPV4,
                                          .gso_size = (uint16_t)(net->front.mtu - NET_IPV4_SIZE - NET_TCP_SIZE)};
    put_headers(net, flood);
    fill_pages(net, flood);
    return 0;
}

static bool is_time_over(struct net *net)
{
    return net->options.time != 0 && guest_now() - net->started >= net->options.time;
}

static bool step_flood(struct net *net)
{
    const struct flood *flood = net->own;

    while (netfront_send(&net->front, 0, NULL, flood->length, &flood->meta) == 0)
        ;
    return is_time_over(net);
}

static bool report_flood(struct net *net)
{
    return net->own != NULL && net->front.counts.tx_frames > 0 && net->front.counts.tx_errors == 0;
}

static int start_sink(struct net *net)
{
    net->front.received = NULL;
    return 0;
}

static bool report_sink(struct net *net)
{
    return net->front.counts.rx_errors == 0;
}

const struct net_action net_flood = {.name = "flood",
                                     .arguments = "",
                                     .purpose = "sends one frame again and again: for benchmarks",
                                     .start = start_flood,
                                     .step = step_flood,
                                     .report = report_flood};
const struct net_action net_sink = {.name = "sink",
                                    .arguments = "",
                                    .purpose = "counts what comes and looks at nothing: for benchmarks",
                                    .start = start_sink,
                                    .step = is_time_over,
                                    .report = report_sink};

/* SPDX-License-Identifier: MIT */
/*
 * Lives of a front end: many of them one after the other, and the first moments of one.
 *
 * The start of day is a race that a unikernel of 2015 lost. It pushes a frame before anybody can hear its event, says Connected, and pushes another,
 * with an event only if the ring asks for one, which a ring that nobody has looked at does not; and does not wait for the back end's Connected. Both
 * frames must leave, once.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"

static int send_numbered(struct net *net, uint64_t place)
{
    uint8_t frame[NET_ETHERNET_SIZE + 64];
    const struct netif_meta meta = {0};

    net_ethernet_put(frame, net->options.to, net->front.mac, NET_TYPE_NUMBERED);
    numbers_fill(frame + NET_ETHERNET_SIZE, sizeof frame - NET_ETHERNET_SIZE, net->options.flow, place);
    return netfront_send(&net->front, 0, frame, sizeof frame, &meta);
}

/* ---- Many lives. ---------------------------------------------------------------------------------------------------- */

static int live(struct net *net, uint64_t place)
{
    int rc = net_connect(net);

    if (rc == 0)
        rc = send_numbered(net, place);
    if (rc < 0)
        return rc;
    netfront_kick(&net->front, false);
    rc = netfront_drain(&net->front);
    if (rc < 0)
        guest_say("vif %u: a frame was not answered: %s; the back end is %s", net->front.config.devid, strerror(-rc),
                  xenbus_state_name(net->front.device.backend));
    if (rc == 0 && net->options.pause != 0)
        guest_sleep(&net->guest, (unsigned)(net->options.pause / (NET_SECOND / 1000)));
    return rc < 0 ? rc : netfront_disconnect(&net->front);
}

static int run_cycles(struct net *net)
{
    uint64_t lives = 0, begin = guest_now(), end = net->options.time != 0 ? begin + net->options.time : UINT64_MAX;
    uint64_t count = net->options.time != 0 && !net->options.counted ? UINT64_MAX : net->options.count;
    int rc = net_open(net);

    while (rc == 0 && lives < count && guest_now() < end && !net->guest.stop) {
        rc = live(net, lives);
        lives += rc == 0;
    }
    bool ok = rc == 0 && lives > 0 && net->front.complaint[0] == '\0' && net->front.counts.tx_errors == 0;
    if (net->options.json)
        printf("{\"action\": \"cycle\", \"lives\": %" PRIu64 ", \"ok\": %s}\n", lives, ok ? "true" : "false");
    else
        printf("%" PRIu64 " lives; %s\n", lives, ok ? "ok" : "FAILED");
    net_close(net);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- The start of a day. -------------------------------------------------------------------------------------------- */

static bool second_kicked; /* the ring asked for it: the back end had looked at the first frame by then */

static void push_first(void *arg)
{
    struct net *net = arg;

    send_numbered(net, 0);
    netfront_kick(&net->front, true);
}

static void push_second(void *arg)
{
    struct net *net = arg;

    if (net->options.pause != 0)
        guest_sleep(&net->guest, (unsigned)(net->options.pause / (NET_SECOND / 1000)));
    uint64_t kicks = net->front.counts.kicks;
    send_numbered(net, 1);
    netfront_kick(&net->front, false);
    second_kicked = net->front.counts.kicks > kicks;
}

static void prepare(struct net *net)
{
    net->options.front.before_keys = push_first;
    net->options.front.after_state = push_second;
}

static bool step(struct net *net)
{
    if (netfront_tx_waiting(&net->front) != 0)
        return net_is_stuck(net, "the first two frames to be answered");
    return net->options.time == 0 || guest_now() - net->started >= net->options.time;
}

static bool report(struct net *net)
{
    net_report("answered", net->front.counts.tx_frames - netfront_tx_waiting(&net->front));
    net_report("second_kicked", second_kicked);
    return net->front.counts.tx_frames == 2 && netfront_tx_waiting(&net->front) == 0 &&
           net->front.counts.tx_errors == 0;
}

const struct net_action net_cycle = {.name = "cycle",
                                     .arguments = "",
                                     .purpose = "connects, sends a numbered frame, disconnects, again and again",
                                     .lone = true,
                                     .run = run_cycles};
const struct net_action net_start_of_day = {.name = "start-of-day",
                                            .arguments = "",
                                            .purpose = "two numbered frames that nobody was told of, while connecting",
                                            .prepare = prepare,
                                            .step = step,
                                            .report = report};

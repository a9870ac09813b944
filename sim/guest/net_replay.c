/* SPDX-License-Identifier: MIT */
/*
 * Sends the frames of a pcap file, as they are and in their order.
 */
#include <errno.h>
#include <stdlib.h>

#include "net.h"
#include "pcap_file.h"

struct replay {
    struct pcap_reader *reader;
    const uint8_t *frame; /* the next one, NULL: not read yet */
    uint32_t length;
    uint64_t sent, too_long;
    bool ended, broken;
};

static int start(struct net *net)
{
    struct replay *replay = calloc(1, sizeof *replay);

    if (replay == NULL)
        return -ENOMEM;
    net->own = replay;
    return pcap_reader_open(net->arguments[0], &replay->reader);
}

/* Has the next frame at hand. Returns whether there is one. */
static bool fetch(struct replay *replay)
{
    if (replay->ended || replay->frame != NULL)
        return !replay->ended;
    int rc = pcap_reader_next(replay->reader, &replay->frame, &replay->length);
    replay->broken = rc < 0;
    replay->ended = rc <= 0;
    return rc > 0;
}

static bool step(struct net *net)
{
    struct replay *replay = net->own;
    const struct netif_meta meta = {0};

    while (replay->sent < net_due(net) && fetch(replay)) {
        int rc = netfront_send(&net->front, 0, replay->frame, replay->length, &meta);
        if (rc == -ENOSPC)
            return false;
        replay->sent += rc == 0;
        replay->too_long += rc < 0;
        replay->frame = NULL;
        net_hear(net);
    }
    if (!replay->ended)
        return false;
    if (netfront_tx_waiting(&net->front) > 0)
        return net_is_stuck(net, "answers on the transmit ring");
    return net->front.counts.rx_frames >= net->options.expect || net_is_stuck(net, "as many frames as are expected");
}

static bool report(struct net *net)
{
    struct replay *replay = net->own;

    if (replay == NULL)
        return false;
    net_report("sent", replay->sent);
    net_report("too_long", replay->too_long);
    pcap_reader_close(replay->reader);
    return replay->ended && !replay->broken && replay->too_long == 0 && net->front.counts.tx_errors == 0;
}

const struct net_action net_replay = {.name = "replay",
                                      .arguments = "FILE",
                                      .purpose = "sends the frames of a pcap file",
                                      .argument_count = 1,
                                      .start = start,
                                      .step = step,
                                      .report = report};

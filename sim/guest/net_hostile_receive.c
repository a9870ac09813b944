/* SPDX-License-Identifier: MIT */
/*
 * What a guest may do about frames that come: have no pages for them, too few, or such as nobody can write to. Whoever is named by --peer shows that
 * frames come again afterwards; to see a back end bound what waits meanwhile, flood this guest from elsewhere.
 */
#include <string.h>

#include "net_hostile.h"

#define BAD_PAGES 8u

/* Frames go out all the same. */
static bool is_sending(struct net_hostile *hostile)
{
    for (unsigned i = 0; i < 64; i++) {
        struct netif_tx_request_slot slot = net_hostile_slot(hostile, i % HOSTILE_PAGES, HOSTILE_LENGTH, 0);
        net_hostile_put(hostile, &slot);
    }
    net_hostile_push(hostile);
    return net_hostile_drain(hostile) == 0;
}

static int live_with(struct net_hostile *hostile, unsigned posted)
{
    hostile->config.rx_posted = posted;
    int rc = net_hostile_restart(hostile);
    hostile->config.rx_posted = NETIF_RING_SLOTS;
    return rc;
}

/* So many pages, for a while (XSA-392); then all. */
static enum net_hostile_result run_few_pages(struct net_hostile *hostile, const void *param)
{
    const unsigned *posted = param;
    uint64_t end;

    if (live_with(hostile, *posted) < 0)
        return HOSTILE_FAILED;
    hostile->front->config.rx_posted = 0; /* what is used is not posted again */
    end = guest_now() + hostile->net->options.pause;
    do {
        if (!is_sending(hostile))
            return HOSTILE_FAILED;
        guest_sleep(hostile->front->guest, 10);
    } while (guest_now() < end && !hostile->net->guest.stop);
    net_hostile_see(hostile, "%u pages for a while, sending all the time", *posted);
    netfront_keep_posted(hostile->front, NETIF_RING_SLOTS);
    return net_hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* The first pages cannot be written to; frames over them are lost, those behind come (XSA-361, 367). */
static enum net_hostile_result run_bad_pages(struct net_hostile *hostile, const void *param)
{
    struct netfront_queue *queue = &hostile->front->queues[0];
    uint64_t errors = hostile->front->counts.rx_errors;

    (void)param;
    if (!hostile->net->options.has_peer)
        return HOSTILE_SKIPPED; /* nobody would send us anything */
    if (live_with(hostile, 0) < 0)
        return HOSTILE_FAILED;
    for (unsigned i = 0; i < BAD_PAGES; i++) {
        uint16_t id = queue->rx_idle[--queue->rx_idle_count];
        netif_front_rx_post(&queue->rx, id, i % 2 == 0 ? HOSTILE_BAD_GREF : UINT32_MAX);
    }
    netfront_keep_posted(hostile->front, NETIF_RING_SLOTS);
    if (!net_hostile_is_served(hostile))
        return HOSTILE_FAILED;
    net_hostile_see(hostile, "%u frames lost", (unsigned)(hostile->front->counts.rx_errors - errors));
    return HOSTILE_OK;
}

#define FEW(count)                   \
    run_few_pages, &(const unsigned) \
    {                                \
        count                        \
    }

const struct net_hostile_case net_hostile_receive_cases[] = {
    {"stop-receiving", "no pages for what comes, for --pause (XSA-392)", FEW(0)},
    {"one-page", "one page where a frame may need two, for --pause (XSA-392)", FEW(1)},
    {"bad-pages", "pages that cannot be written to (XSA-361, 367)", run_bad_pages, NULL},
    {0},
};

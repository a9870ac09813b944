/* SPDX-License-Identifier: MIT */
/*
 * What a guest may ask for on the control ring (XSA-270): lengths and offsets whose sum wraps, tables that are too large, references that lead nowhere.
 */
#include <string.h>

#include "net_hostile.h"

struct ask {
    enum netif_ctrl_type type;
    uint32_t data[3];
    enum netif_ctrl_status status;
    bool page; /* data[0] is the reference of a page */
};

static const struct ask asks[] = {
    {NETIF_CTRL_SET_HASH_MAPPING, {0, 2, UINT32_MAX}, NETIF_CTRL_INVALID_PARAMETER, true},
    {NETIF_CTRL_SET_HASH_MAPPING, {0, UINT32_MAX, 2}, NETIF_CTRL_INVALID_PARAMETER, true},
    {NETIF_CTRL_SET_HASH_MAPPING, {0, 0x80000000u, 0x80000000u}, NETIF_CTRL_INVALID_PARAMETER, true},
    {NETIF_CTRL_SET_HASH_MAPPING, {0, 0x40000001u, 0}, NETIF_CTRL_INVALID_PARAMETER, true},
    {NETIF_CTRL_SET_HASH_MAPPING, {0, NETIF_HASH_MAPPING_MAX + 1, 0}, NETIF_CTRL_INVALID_PARAMETER, true},
    {NETIF_CTRL_SET_HASH_MAPPING, {0, 1, NETIF_HASH_MAPPING_MAX}, NETIF_CTRL_INVALID_PARAMETER, true},
    {NETIF_CTRL_SET_HASH_MAPPING, {HOSTILE_BAD_GREF, 1, 0}, NETIF_CTRL_INVALID_PARAMETER, false},
    {NETIF_CTRL_SET_HASH_MAPPING_SIZE, {UINT32_MAX, 0, 0}, NETIF_CTRL_INVALID_PARAMETER, false},
    {NETIF_CTRL_SET_HASH_KEY, {0, UINT32_MAX, 0}, NETIF_CTRL_BUFFER_OVERFLOW, true},
    {NETIF_CTRL_SET_HASH_KEY, {0, NETIF_HASH_KEY_MAX + 1, 0}, NETIF_CTRL_BUFFER_OVERFLOW, true},
    {NETIF_CTRL_SET_HASH_KEY, {HOSTILE_BAD_GREF, NETIF_HASH_KEY_MAX, 0}, NETIF_CTRL_INVALID_PARAMETER, false},
    {NETIF_CTRL_SET_HASH_FLAGS, {UINT32_MAX, 0, 0}, NETIF_CTRL_INVALID_PARAMETER, false},
    {NETIF_CTRL_SET_HASH_ALGORITHM, {UINT32_MAX, 0, 0}, NETIF_CTRL_INVALID_PARAMETER, false},
    {0, {0, 0, 0}, NETIF_CTRL_NOT_SUPPORTED, false},
    {0xffff, {0, 0, 0}, NETIF_CTRL_NOT_SUPPORTED, false},
};

static enum net_hostile_result run_limits(struct net_hostile *hostile, const void *param)
{
    struct netfront *front = hostile->front;

    (void)param;
    if (front->ctrl_ring == NULL)
        return HOSTILE_SKIPPED;
    memset(front->ctrl_page, 0, RING_PAGE_SIZE);
    for (unsigned i = 0; i < sizeof asks / sizeof asks[0]; i++) {
        const struct ask *ask = &asks[i];
        uint32_t data[3] = {ask->page ? front->ctrl_page_ref : ask->data[0], ask->data[1], ask->data[2]};
        struct netif_ctrl_response response;
        if (netfront_ctrl(front, ask->type, data, &response) < 0) {
            net_hostile_see(hostile, "request %u is not answered", i);
            return HOSTILE_FAILED;
        }
        if (response.status != ask->status) {
            net_hostile_see(hostile, "request %u has status %u, not %u", i, response.status, ask->status);
            return HOSTILE_FAILED;
        }
    }
    net_hostile_see(hostile, "%u requests refused", (unsigned)(sizeof asks / sizeof asks[0]));
    return netfront_set_hash(front) == 0 && net_hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* A mapping may name only queues that there are. */
static enum net_hostile_result run_queues(struct net_hostile *hostile, const void *param)
{
    struct netfront *front = hostile->front;
    struct netif_ctrl_response response;

    (void)param;
    if (front->ctrl_ring == NULL)
        return HOSTILE_SKIPPED;
    const uint32_t data[3] = {front->ctrl_page_ref, 1, 0}, bad[] = {front->queue_count, 0x80000000u, UINT32_MAX};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        memcpy(front->ctrl_page, &bad[i], sizeof bad[i]);
        if (netfront_ctrl(front, NETIF_CTRL_SET_HASH_MAPPING, data, &response) < 0 ||
            response.status != NETIF_CTRL_INVALID_PARAMETER) {
            net_hostile_see(hostile, "queue %u is not refused", bad[i]);
            return HOSTILE_FAILED;
        }
    }
    return net_hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

const struct net_hostile_case net_hostile_ctrl_cases[] = {
    {"ctrl-limits", "control requests beyond every limit (XSA-270)", run_limits, NULL},
    {"ctrl-queues", "a mapping to queues that are not there (XSA-270)", run_queues, NULL},
    {0},
};

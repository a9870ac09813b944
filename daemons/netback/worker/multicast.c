/* SPDX-License-Identifier: MIT */
#include "multicast.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

static bool is_at(const struct multicast *multicast, uint32_t place, const uint8_t address[NETIF_ADDRESS_LEN])
{
    return memcmp(multicast->addresses[place], address, NETIF_ADDRESS_LEN) == 0;
}

static bool is_listed(const struct multicast *multicast, const uint8_t address[NETIF_ADDRESS_LEN])
{
    for (uint32_t i = 0; i < multicast->count; i++)
        if (is_at(multicast, i, address))
            return true;
    return false;
}

/* Whoever counts an address finds it whole: before, it is written; behind, it is counted. */
static void in_this_order(void)
{
    atomic_signal_fence(memory_order_seq_cst); /* a kill sees what this thread stored, in the compiler's order */
}

static int add(struct multicast *multicast, const uint8_t address[NETIF_ADDRESS_LEN])
{
    if (is_listed(multicast, address))
        return 0;
    if (multicast->count == MULTICAST_MAX)
        return -ENOSPC;
    memcpy(multicast->addresses[multicast->count], address, NETIF_ADDRESS_LEN);
    in_this_order();
    multicast->count++;
    return 0;
}

static void take_away(struct multicast *multicast, const uint8_t address[NETIF_ADDRESS_LEN])
{
    uint32_t place = 0;

    while (place < multicast->count) {
        if (!is_at(multicast, place, address)) {
            place++;
            continue;
        }
        if (place != multicast->count - 1) /* the last one takes its place, and is there twice for a moment */
            memcpy(multicast->addresses[place], multicast->addresses[multicast->count - 1], NETIF_ADDRESS_LEN);
        in_this_order();
        multicast->count--;
    }
}

int multicast_change(struct multicast *multicast, const struct netif_meta *meta)
{
    if (!(meta->address[0] & 1))
        return -EINVAL;
    if (meta->multicast == NETIF_MULTICAST_ADD)
        return add(multicast, meta->address);
    take_away(multicast, meta->address);
    return 0;
}

bool multicast_wants(const struct multicast *multicast, const uint8_t address[NETIF_ADDRESS_LEN])
{
    static const uint8_t everybody[NETIF_ADDRESS_LEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    return !(address[0] & 1) || multicast->lost || memcmp(address, everybody, sizeof everybody) == 0 ||
           is_listed(multicast, address);
}

void multicast_recover(struct multicast *multicast)
{
    if (multicast->count <= MULTICAST_MAX && multicast->lost <= 1)
        return;
    memset(multicast, 0, sizeof *multicast);
    multicast->lost = 1;
}

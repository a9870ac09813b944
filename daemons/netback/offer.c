/* SPDX-License-Identifier: MIT */
/*
 * Names and meanings: xen/io/netif.h. What is offered is never taken back while a front end may have read it. Headroom for XDP is not
 * offered: whoever offers it has to answer a front end that reconfigures itself. Nor are mappings that a guest sets up once for its buffers
 * (static grants): data is copied by grant.
 */
#include "offer.h"

#include <stdbool.h>
#include <stddef.h>

#include <xendev/store.h>

struct offer {
    const char *directory;
    uint32_t queues_max;
};

static int write_features(struct xendev_store *store, xendev_txn txn, void *arg)
{
    static const struct {
        const char *key;
        bool value;
    } features[] = {
        {"feature-sg", true},
        {"feature-gso-tcpv4", true},
        {"feature-gso-tcpv6", true},
        {"feature-ipv6-csum-offload", true},
        {"feature-rx-copy", true},
        {"feature-rx-flip", false},
        {"feature-multicast-control", true},
        {"feature-dynamic-multicast-control", true},
        {"feature-split-event-channels", true},
        {"feature-ctrl-ring", true},
    };
    const struct offer *offer = arg;
    int err = xendev_store_write(store, txn, offer->directory, OFFER_QUEUES_KEY, "%u", offer->queues_max);

    for (size_t i = 0; err == 0 && i < sizeof(features) / sizeof(features[0]); i++)
        err = xendev_store_write(store, txn, offer->directory, features[i].key, "%d", features[i].value);
    return err;
}

int offer_features(struct xendev_store *store, const char *directory, uint32_t queues_max)
{
    struct offer offer = {.directory = directory, .queues_max = queues_max};

    return xendev_store_transact(store, write_features, &offer);
}

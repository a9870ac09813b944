/* SPDX-License-Identifier: MIT */
/*
 * What a guest may write to its own directory in xenstore.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <xendev/store.h>

#include "net_hostile.h"

struct nonsense {
    const char *key;
    const char *value; /* NULL: left out */
    bool ignorable;    /* a back end may also not look at it, and serve */
};

/* Longer than any of them, and nothing that a parser, a format or a path should be given. */
static const char long_text[] =
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "%s%n\xff\x01\\\"'\n/../../";

static const struct nonsense ring_nonsense[] = {
    {"tx-ring-ref", NULL, false},
    {"tx-ring-ref", "4294967295", false},
    {"tx-ring-ref", "99999999999999999999", false},
    {"tx-ring-ref", "-1", false},
    {"tx-ring-ref", "", false},
    {"tx-ring-ref", long_text, false},
    {"rx-ring-ref", NULL, false},
    {"rx-ring-ref", "4294967295", false},
    {"rx-ring-ref", "8 8", false},
    {0},
};

static const struct nonsense channel_nonsense[] = {
    {"event-channel", NULL, false},
    {"event-channel", "0", false},
    {"event-channel", "4294967295", false},
    {"event-channel", "99999", false},
    {"event-channel", "-1", false},
    {"event-channel", long_text, false},
    {0},
};

static const struct nonsense other_nonsense[] = {
    {"request-rx-copy", NULL, false},
    {"request-rx-copy", "0", false},
    {"multi-queue-num-queues", "0", false},
    {"multi-queue-num-queues", "17", false},
    {"multi-queue-num-queues", "4294967295", false},
    {"multi-queue-num-queues", "-1", true},
    {"feature-sg", long_text, true},
    {"feature-gso-tcpv4", "-1", true},
    {"ctrl-ring-ref", "4294967295", true},
    {"event-channel-ctrl", "99999", true},
    {0},
};

/* Connects with one odd key: refused with a reason, unless it may be ignored. */
static bool is_refused(struct net_hostile *hostile, const struct nonsense *odd)
{
    struct netfront *front = hostile->front;
    const char *value = odd->value != NULL ? odd->value : "(missing)";

    front->device.odd_key = odd->key;
    front->device.odd_value = odd->value;
    int rc = netfront_connect(front, true);
    front->device.odd_key = NULL;
    if (rc == 0 && odd->ignorable)
        return netfront_disconnect(front) == 0;
    if (rc != -ECONNREFUSED) {
        net_hostile_see(hostile, "%s='%.20s' is not refused", odd->key, value);
        return false;
    }
    char *reason = device_reason(&front->device);
    bool explained = *reason != '\0';
    if (!explained)
        net_hostile_see(hostile, "%s='%.20s' is refused without a reason", odd->key, value);
    free(reason);
    return netfront_disconnect(front) == 0 && explained;
}

static enum net_hostile_result run_nonsense(struct net_hostile *hostile, const void *param)
{
    const struct nonsense *odd = param;
    bool ok = netfront_disconnect(hostile->front) == 0;
    unsigned count = 0;

    /* One queue, one event channel: no other keys for the same things. */
    hostile->front->config.features &= ~(1u << NETFRONT_SPLIT);
    hostile->front->config.queues = 1;
    for (; odd->key != NULL; odd++, count++)
        ok = is_refused(hostile, odd) && ok;
    hostile->front->config = hostile->config;
    net_hostile_see(hostile, "%u values", count);
    return net_hostile_restart(hostile) == 0 && net_hostile_is_served(hostile) && ok ? HOSTILE_OK : HOSTILE_FAILED;
}

/* ---- Keys that change after they were used (XSA-175, 178). ---------------------------------------------------------- */

static enum net_hostile_result run_rewritten(struct net_hostile *hostile, const void *param)
{
    static const char *const keys[] = {"tx-ring-ref",     "rx-ring-ref", "event-channel-tx", "event-channel-rx",
                                       "request-rx-copy", "backend-id",  "backend",          "mac",
                                       "handle",          "mtu"};
    struct xendev_store *store = hostile->front->guest->store;
    const char *dir = xendev_frontend_path(hostile->front->device.xenbus);
    bool ok = true;

    (void)param;
    for (unsigned i = 0; i < sizeof keys / sizeof keys[0] && ok; i++) {
        char *before = NULL;
        int rc = xendev_store_read(store, XENDEV_NO_TXN, dir, keys[i], &before);
        if (rc < 0 && rc != -ENOENT)
            return HOSTILE_FAILED;
        rc = xendev_store_write(store, XENDEV_NO_TXN, dir, keys[i], "%s", "/local/domain/0/4294967295");
        if (rc == 0)
            guest_sleep(hostile->front->guest, 50);
        ok = rc == 0 && !hostile->front->device.lost;
        if (before != NULL)
            xendev_store_write(store, XENDEV_NO_TXN, dir, keys[i], "%s", before);
        else
            xendev_store_remove(store, XENDEV_NO_TXN, dir, keys[i]);
        free(before);
        if (!ok)
            net_hostile_see(hostile, "%s rewritten: %s", keys[i],
                            rc < 0 ? strerror(-rc) : xenbus_state_name(hostile->front->device.backend));
    }
    return ok && net_hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* ---- Floods of states (XSA-349, 350). ------------------------------------------------------------------------------- */

static bool write_states(struct net_hostile *hostile, uint64_t count, bool same)
{
    static const char *const states[] = {"0", "1", "2",  "3", "4",          "5", "6",      "7",
                                         "8", "9", "-1", "",  "4294967300", "x", long_text};

    for (uint64_t i = 0; i < count && !hostile->net->guest.stop; i++) {
        const char *text = same ? "4" : states[random_below(&hostile->random, sizeof states / sizeof states[0])];
        int rc = xendev_store_write(hostile->front->guest->store, XENDEV_NO_TXN,
                                    xendev_frontend_path(hostile->front->device.xenbus), "state", "%s", text);
        /* The events that our own watch gets of it. */
        event_base_loop(hostile->front->guest->base, EVLOOP_NONBLOCK);
        if (rc < 0) {
            net_hostile_see(hostile, "write %llu: %s", (unsigned long long)i, strerror(-rc));
            return false;
        }
    }
    return true;
}

static enum net_hostile_result run_state_flood(struct net_hostile *hostile, const void *param)
{
    (void)param;
    if (!write_states(hostile, hostile->count, true))
        return HOSTILE_FAILED;
    net_hostile_see(hostile, "%llu times the same state", (unsigned long long)hostile->count);
    return net_hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* Before any frame of a life, and with frames on their way. */
static enum net_hostile_result run_random_states(struct net_hostile *hostile, const void *param)
{
    (void)param;
    if (netfront_disconnect(hostile->front) < 0 || !write_states(hostile, hostile->count / 2, false))
        return HOSTILE_FAILED;
    if (net_hostile_restart(hostile) < 0 || !net_hostile_is_served(hostile))
        return HOSTILE_FAILED;
    for (unsigned i = 0; i < HOSTILE_PAGES; i++) {
        struct netif_tx_request_slot slot = net_hostile_slot(hostile, i, HOSTILE_LENGTH, 0);
        net_hostile_put(hostile, &slot);
    }
    net_hostile_push(hostile);
    if (!write_states(hostile, hostile->count - hostile->count / 2, false) || net_hostile_restart(hostile) < 0)
        return HOSTILE_FAILED;
    net_hostile_see(hostile, "%llu random states", (unsigned long long)hostile->count);
    return net_hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

const struct net_hostile_case net_hostile_store_cases[] = {
    {"ring-ref", "nonsense as the rings' references (XSA-367)", run_nonsense, ring_nonsense},
    {"event-channel", "nonsense as the event channel", run_nonsense, channel_nonsense},
    {"other-keys", "nonsense as other keys", run_nonsense, other_nonsense},
    {"keys-rewritten", "keys changed after they were used (XSA-175, 178)", run_rewritten, NULL},
    {"state-flood", "the same state again and again (XSA-349)", run_state_flood, NULL},
    {"random-states", "random states, before frames and during them (XSA-350)", run_random_states, NULL},
    {0},
};

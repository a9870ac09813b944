/* SPDX-License-Identifier: MIT */
/*
 * What a guest may write to its own directory in xenstore.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <xendev/store.h>

#include "hostile.h"

/* ---- Nonsense where the back end expects parameters. ----------------------------------------------------------------- */

struct nonsense {
    const char *key;
    const char *value; /* NULL: left out */
    bool ignorable;    /* a back end may also not look at it, and serve */
};

/* Longer than any of them, and nothing that a parser, a format or a path should be given. */
static const char long_text[] =
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "%s%n\xff\x01\\\"'\n/../../";

static const struct nonsense ring_order_nonsense[] = {
    {"ring-page-order", "1", false},          {"ring-page-order", "5", false},
    {"ring-page-order", "31", false},         {"ring-page-order", "32", false},
    {"ring-page-order", "64", false},         {"ring-page-order", "4294967295", false},
    {"ring-page-order", "4294967296", false}, {"ring-page-order", "-1", false},
    {"ring-page-order", "x", false},          {"ring-page-order", "", false},
    {"ring-page-order", long_text, false},    {0},
};

static const struct nonsense ring_ref_nonsense[] = {
    {"ring-ref", NULL, false},
    {"ring-ref", "4294967295", false},
    {"ring-ref", "99999999999999999999", false},
    {"ring-ref", "-1", false},
    {"ring-ref", "", false},
    {"ring-ref", "8 8", false},
    {"ring-ref", long_text, false},
    {0},
};

static const struct nonsense event_channel_nonsense[] = {
    {"event-channel", NULL, false},
    {"event-channel", "0", false},
    {"event-channel", "4294967295", false},
    {"event-channel", "99999", false},
    {"event-channel", "-1", false},
    {"event-channel", long_text, false},
    {0},
};

static const struct nonsense protocol_nonsense[] = {
    {"protocol", "vax-abi", false},
    {"protocol", "", false},
    {"protocol", long_text, false},
    {0},
};

/* Of a front end with two queues. */
static const struct nonsense queue_nonsense[] = {
    {"multi-queue-num-queues", "0", false},
    {"multi-queue-num-queues", "3", false},
    {"multi-queue-num-queues", "9", false},
    {"multi-queue-num-queues", "4294967295", false},
    {"multi-queue-num-queues", "4294967298", false},
    {"multi-queue-num-queues", "-1", false},
    {"multi-queue-num-queues", "", false},
    {"multi-queue-num-queues", long_text, false},
    {"multi-queue-num-queues", NULL, false},
    {"queue-0/ring-ref", NULL, false},
    {"queue-1/ring-ref", NULL, false},
    {"queue-1/ring-ref", "4294967295", false},
    {"queue-1/ring-ref", "-1", false},
    {"queue-1/ring-ref", long_text, false},
    {"queue-1/event-channel", NULL, false},
    {"queue-1/event-channel", "0", false},
    {"queue-1/event-channel", "99999", false},
    {"queue-1/event-channel", "4294967295", false},
    {"queue-1/event-channel", long_text, false},
    {0},
};

static const struct nonsense other_nonsense[] = {
    {"feature-persistent", "2", true},      {"feature-persistent", long_text, true},
    {"num-ring-pages", "4294967295", true}, {"feature-large-sector-size", "-1", true},
    {"trusted", long_text, true},           {0},
};

/* Connects with one odd key: refused with a reason, unless it may be ignored. */
static bool is_refused(struct hostile *hostile, const struct nonsense *odd)
{
    struct blkfront *front = &hostile->front;

    front->config = hostile->config;
    front->device.odd_key = odd->key;
    front->device.odd_value = odd->value;
    int rc = blkfront_connect(front, true);
    front->device.odd_key = NULL;
    if (rc == 0 && odd->ignorable)
        return blkfront_disconnect(front) == 0;
    if (rc != -ECONNREFUSED) {
        hostile_see(hostile, "%s='%.20s' is not refused", odd->key, odd->value != NULL ? odd->value : "(missing)");
        return false;
    }

    char *reason = device_reason(&front->device);
    bool explained = *reason != '\0';
    if (!explained)
        hostile_see(hostile, "%s='%.20s' is refused without a reason", odd->key,
                    odd->value != NULL ? odd->value : "(missing)");
    free(reason);
    return explained && blkfront_disconnect(front) == 0;
}

static enum hostile_result run_nonsense(struct hostile *hostile, const void *param)
{
    const struct nonsense *odds = param;
    struct xendev_store *store = hostile->guest.store;
    unsigned count = 0;
    bool ok = true;

    if (blkfront_disconnect(&hostile->front) < 0)
        return HOSTILE_FAILED;
    for (; odds[count].key != NULL && ok; count++) {
        ok = is_refused(hostile, &odds[count]);
        xendev_store_remove(store, XENDEV_NO_TXN, xendev_frontend_path(hostile->front.device.xenbus), odds[count].key);
    }
    if (ok)
        hostile_see(hostile, "%u values refused or ignored", count);
    return hostile_restart(hostile) == 0 && hostile_is_served(hostile) && ok ? HOSTILE_OK : HOSTILE_FAILED;
}

static enum hostile_result run_queue_nonsense(struct hostile *hostile, const void *param)
{
    const struct blkfront_config config = hostile->config;

    if (hostile->front.disk.max_queues < 2) {
        hostile_see(hostile, "several queues are not offered");
        return HOSTILE_SKIPPED;
    }
    hostile->config.queues = 2;
    enum hostile_result result = run_nonsense(hostile, param);
    hostile->config = config;
    return hostile_restart(hostile) == 0 ? result : HOSTILE_FAILED;
}

/* ---- Keys that change after they were used (XSA-175, 178). ----------------------------------------------------------- */

static enum hostile_result run_rewritten(struct hostile *hostile, const void *param)
{
    static const char *const keys[] = {"ring-ref",           "event-channel", "ring-page-order", "protocol",
                                       "feature-persistent", "backend-id",    "backend",         "virtual-device"};
    struct xendev_store *store = hostile->guest.store;
    const char *dir = xendev_frontend_path(hostile->front.device.xenbus);
    bool ok = true;

    (void)param;
    for (unsigned i = 0; i < sizeof keys / sizeof keys[0] && ok; i++) {
        char *before = NULL;
        int rc = xendev_store_read(store, XENDEV_NO_TXN, dir, keys[i], &before);
        if (rc < 0 && rc != -ENOENT)
            return HOSTILE_FAILED;
        rc = xendev_store_write(store, XENDEV_NO_TXN, dir, keys[i], "%s", "/local/domain/0/4294967295");
        if (rc == 0)
            guest_sleep(&hostile->guest, 50);
        ok = rc == 0 && !hostile->front.device.lost;
        if (before != NULL)
            xendev_store_write(store, XENDEV_NO_TXN, dir, keys[i], "%s", before);
        else
            xendev_store_remove(store, XENDEV_NO_TXN, dir, keys[i]);
        free(before);
        if (!ok)
            hostile_see(hostile, "%s rewritten: %s", keys[i],
                        rc < 0 ? strerror(-rc) : xenbus_state_name(hostile->front.device.backend));
    }
    return ok && hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* ---- Floods of states (XSA-349, 350). ------------------------------------------------------------------------------- */

static int write_state(struct hostile *hostile, const char *text)
{
    int rc = xendev_store_write(hostile->guest.store, XENDEV_NO_TXN, xendev_frontend_path(hostile->front.device.xenbus),
                                "state", "%s", text);

    /* The events that our own watch gets of it. */
    event_base_loop(hostile->guest.base, EVLOOP_NONBLOCK);
    return rc;
}

static enum hostile_result run_state_flood(struct hostile *hostile, const void *param)
{
    (void)param;
    for (uint64_t i = 0; i < hostile->count; i++) {
        int rc = write_state(hostile, "4");
        if (rc < 0) {
            hostile_see(hostile, "write %" PRIu64 ": %s", i, strerror(-rc));
            return HOSTILE_FAILED;
        }
    }
    hostile_see(hostile, "%" PRIu64 " times the same state", hostile->count);
    return hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

static bool write_random_states(struct hostile *hostile, uint64_t count)
{
    static const char *const states[] = {"0", "1", "2",  "3", "4",          "5", "6",      "7",
                                         "8", "9", "-1", "",  "4294967300", "x", long_text};

    for (uint64_t i = 0; i < count && !hostile->guest.stop; i++) {
        int rc = write_state(hostile, states[random_below(&hostile->random, sizeof states / sizeof states[0])]);
        if (rc < 0) {
            hostile_see(hostile, "write %" PRIu64 ": %s", i, strerror(-rc));
            return false;
        }
    }
    return true;
}

/* Before any I/O of a life, and with requests in flight. */
static enum hostile_result run_random_states(struct hostile *hostile, const void *param)
{
    (void)param;
    if (blkfront_disconnect(&hostile->front) < 0 || !write_random_states(hostile, hostile->count / 2))
        return HOSTILE_FAILED;
    if (hostile_restart(hostile) < 0 || !hostile_is_served(hostile))
        return HOSTILE_FAILED;

    for (unsigned tag = 0; tag < HOSTILE_DEPTH; tag++) {
        struct blkif_message message = hostile_message(hostile, BLKIF_CODE_READ, tag, tag);
        blkfront_send(&hostile->front, tag, &message);
    }
    blkfront_kick(&hostile->front);
    if (!write_random_states(hostile, hostile->count - hostile->count / 2) || hostile_restart(hostile) < 0)
        return HOSTILE_FAILED;
    hostile_see(hostile, "%" PRIu64 " random states", hostile->count);
    return hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

const struct hostile_case hostile_store_cases[] = {
    {"ring-order", "nonsense as the ring's size", run_nonsense, ring_order_nonsense},
    {"ring-ref", "nonsense as the ring's reference", run_nonsense, ring_ref_nonsense},
    {"event-channel", "nonsense as the event channel", run_nonsense, event_channel_nonsense},
    {"protocol", "nonsense as the protocol", run_nonsense, protocol_nonsense},
    {"queue-keys", "nonsense in the keys of two queues", run_queue_nonsense, queue_nonsense},
    {"other-keys", "nonsense in keys a back end may ignore", run_nonsense, other_nonsense},
    {"keys-rewritten", "keys changed after they were used (XSA-175, 178)", run_rewritten, NULL},
    {"state-flood", "the same state again and again (XSA-349)", run_state_flood, NULL},
    {"random-states", "random states, before I/O and during it (XSA-350)", run_random_states, NULL},
    {0},
};

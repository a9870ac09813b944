/* SPDX-License-Identifier: MIT */
/*
 * `ringctl throttle`: writes the keys of a disk's limits, which blkbackd follows; both limits, with their bursts, in one transaction.
 */
#include "throttle.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "change.h"

static const struct throttle_keys {
    const char *value, *burst;           /* of xenstore */
    const char *value_name, *burst_name; /* of JSON */
    const char *noun;
} throttle_keys[THROTTLE_KINDS] = {
    {"throttle/iops-total", "throttle/iops-total-max", "iops_total", "iops_total_max", "requests"},
    {"throttle/bps-total", "throttle/bps-total-max", "bps_total", "bps_total_max", "bytes"},
};

struct throttle_change {
    const char *path;
    struct throttle_limit limits[THROTTLE_KINDS]; /* in: to be written; out: what is there */
};

/* ---- xenstore. -------------------------------------------------------------------------------------------------- */

static int throttle_write(struct xendev_store *store, xendev_txn txn, const char *path, const char *key, uint64_t value)
{
    return xendev_store_write(store, txn, path, key, "%" PRIu64, value);
}

static int throttle_write_limit(struct xendev_store *store, xendev_txn txn, const char *path,
                                const struct throttle_keys *keys, const struct throttle_limit *limit)
{
    int result = limit->configured ? xendev_store_remove(store, txn, path, keys->value)
                                   : throttle_write(store, txn, path, keys->value, limit->value);
    if (result < 0)
        return result;
    return limit->burst == 0 ? xendev_store_remove(store, txn, path, keys->burst)
                             : throttle_write(store, txn, path, keys->burst, limit->burst);
}

static void throttle_read_limit(struct xendev_store *store, xendev_txn txn, const char *path,
                                const struct throttle_keys *keys, struct throttle_limit *ret_limit)
{
    struct throttle_limit limit = {.told = true};
    limit.configured = xendev_store_read_u64(store, txn, path, keys->value, &limit.value) < 0;
    if (limit.configured || xendev_store_read_u64(store, txn, path, keys->burst, &limit.burst) < 0)
        limit.burst = 0;
    *ret_limit = limit;
}

static int throttle_body(struct xendev_store *store, xendev_txn txn, void *arg)
{
    struct throttle_change *change = arg;
    char *frontend;
    int result = xendev_store_read(store, txn, change->path, "frontend", &frontend);
    if (result < 0)
        return result;
    free(frontend);
    for (unsigned kind = 0; result == 0 && kind < THROTTLE_KINDS; kind++)
        if (change->limits[kind].told)
            result = throttle_write_limit(store, txn, change->path, &throttle_keys[kind], &change->limits[kind]);
    return result;
}

/* ---- What was done. --------------------------------------------------------------------------------------------- */

static json_t *throttle_number(const struct throttle_limit *limit, uint64_t number)
{
    return limit->configured ? json_null() : json_integer((json_int_t)(number & INT64_MAX));
}

static json_t *throttle_json(const struct throttle_limit limits[THROTTLE_KINDS])
{
    json_t *object = json_object();
    for (unsigned kind = 0; kind < THROTTLE_KINDS; kind++) {
        const struct throttle_limit *limit = &limits[kind];
        json_object_set_new(object, throttle_keys[kind].value_name, throttle_number(limit, limit->value));
        json_object_set_new(object, throttle_keys[kind].burst_name,
                            limit->burst == 0 ? json_null() : throttle_number(limit, limit->burst));
    }
    return json_pack("{s:o}", "throttle", object);
}

#define THROTTLE_TEXT_SIZE 96

static const char *throttle_text(enum throttle_kind kind, const struct throttle_limit *limit,
                                 char text[THROTTLE_TEXT_SIZE])
{
    const char *noun = throttle_keys[kind].noun;
    if (limit->configured)
        snprintf(text, THROTTLE_TEXT_SIZE, "%s as configured", noun);
    else if (limit->value == 0)
        snprintf(text, THROTTLE_TEXT_SIZE, "any number of %s", noun);
    else if (limit->burst == 0)
        snprintf(text, THROTTLE_TEXT_SIZE, "%" PRIu64 " %s a second", limit->value, noun);
    else
        snprintf(text, THROTTLE_TEXT_SIZE, "%" PRIu64 " %s a second (%" PRIu64 " at once)", limit->value, noun,
                 limit->burst);
    return text;
}

static void throttle_print(const struct change *change, const struct throttle_limit limits[THROTTLE_KINDS])
{
    char requests[THROTTLE_TEXT_SIZE];
    char bytes[THROTTLE_TEXT_SIZE];
    change_print(change, throttle_json(limits), "%s of domain %u: %s, %s", change->label, change->target.domid,
                 throttle_text(THROTTLE_REQUESTS, &limits[THROTTLE_REQUESTS], requests),
                 throttle_text(THROTTLE_BYTES, &limits[THROTTLE_BYTES], bytes));
}

static enum ringctl_exit throttle_set(struct change *change, struct throttle_change *throttle)
{
    enum ringctl_exit status = change_open(change);
    if (status != RINGCTL_OK)
        return status;
    change_name(change);
    throttle->path = change->path;
    int result = xendev_store_transact(change->store, throttle_body, throttle);
    if (result == -ENOENT)
        return ringctl_fail(RINGCTL_NO_DEVICE, "domain %u has no %s", change->target.domid, change->label);
    if (result < 0)
        return ringctl_fail(RINGCTL_REFUSED, "cannot write the limits to xenstore: %s", strerror(-result));
    for (unsigned kind = 0; kind < THROTTLE_KINDS; kind++)
        throttle_read_limit(change->store, XENDEV_NO_TXN, change->path, &throttle_keys[kind], &throttle->limits[kind]);
    throttle_print(change, throttle->limits);
    return RINGCTL_OK;
}

enum ringctl_exit ringctl_throttle(const struct ringctl_options *options, const char *target, const char *word)
{
    struct change change = {.options = options};
    struct throttle_change throttle = {.path = NULL};
    enum ringctl_exit status = target_parse(target, &change.target);
    if (status != RINGCTL_OK)
        return status;
    if (change.target.class->id != CLASS_DISK)
        return ringctl_fail(RINGCTL_USAGE, "'%s' is a network card: its limit is set by 'ringctl rate'", target);
    status = throttle_parse(word, &options->throttle, throttle.limits);
    if (status != RINGCTL_OK)
        return status;
    status = throttle_set(&change, &throttle);
    change_close(&change);
    return status;
}

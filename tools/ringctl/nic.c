/* SPDX-License-Identifier: MIT */
/*
 * `ringctl attach nic` and `ringctl rate`.
 *
 * attach does what libxl does, in its order: it writes the two directories of the card, waits until the daemon says in the back end's
 * (`ringback-status`) that it can serve it, by when a tap exists, and runs the hotplug script, which puts that into a bridge and says
 * `hotplug-status` = connected. The daemon connects the guest only then. Without a script it does so at once. When any of this fails,
 * the card is removed again.
 */
#include "ringctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <xendev/xenbus.h>

#include "card.h"
#include "change.h"
#include "hotplug.h"
#include "rate.h"

#define NIC_TRIES 256u /* numbers that are tried for a new card: more cards no guest has */
#define NIC_KEYS  32u  /* words */

/* A list of keys and their values, with NULL behind. */
struct nic_keys {
    const char *words[NIC_KEYS];
    size_t count;
};

static void nic_key(struct nic_keys *keys, const char *key, const char *value)
{
    if (keys->count + 2 < NIC_KEYS) {
        keys->words[keys->count++] = key;
        keys->words[keys->count++] = value;
    }
}

static void nic_key_if(struct nic_keys *keys, const char *key, const char *value)
{
    if (value[0] != '\0')
        nic_key(keys, key, value);
}

/* "BYTES,USECS" */
#define NIC_RATE_SIZE 40
static void nic_rate_value(const struct rate *rate, char ret_value[NIC_RATE_SIZE])
{
    snprintf(ret_value, NIC_RATE_SIZE, "%" PRIu64 ",%" PRIu32, rate->bytes, rate->window_us);
}

/* Creates the card with this number. Returns 0, -EEXIST, another -errno. */
static int nic_create(const struct change *change, const struct card *card, uint32_t devid)
{
    struct nic_keys back = {.count = 0};
    struct nic_keys front = {.count = 0};
    char handle[16];
    char mtu[16] = "";
    char rate[NIC_RATE_SIZE] = "";
    snprintf(handle, sizeof(handle), "%u", devid);
    if (card->mtu != 0)
        snprintf(mtu, sizeof(mtu), "%u", card->mtu);
    if (card->rate.bytes != 0)
        nic_rate_value(&card->rate, rate);

    nic_key_if(&back, "script", card->script);
    nic_key_if(&back, "vifname", card->vifname);
    nic_key(&back, "mac", card->mac);
    nic_key_if(&back, "ip", card->ip);
    nic_key_if(&back, "rate", rate);
    nic_key_if(&back, "mtu", mtu);
    nic_key_if(&back, "bridge", card->bridge);
    nic_key(&back, "handle", handle);
    nic_key(&back, "type", "vif");
    if (card->script[0] != '\0')
        nic_key(&back, "hotplug-status", "");

    nic_key(&front, "handle", handle);
    nic_key(&front, "mac", card->mac);
    nic_key(&front, "trusted", "1");
    nic_key_if(&front, "mtu", mtu);
    return xendev_toolstack_attach(change->store, change->kind, change->target.domid, devid, back.words, front.words);
}

/* Creates it with its number, or the first that is free. */
static enum ringctl_exit nic_create_somewhere(struct change *change, const struct card *card)
{
    uint32_t devid = card->has_devid ? card->devid : 0;
    int result = nic_create(change, card, devid);
    while (result == -EEXIST && !card->has_devid && devid + 1 < NIC_TRIES)
        result = nic_create(change, card, ++devid);
    change->target.devid = devid;
    change_name(change);
    if (result == -EEXIST && card->has_devid)
        return ringctl_fail(RINGCTL_REFUSED, "domain %u has a %s already", change->target.domid, change->label);
    if (result == -EEXIST)
        return ringctl_fail(RINGCTL_REFUSED, "domain %u has all the cards from vif0 to %s already",
                            change->target.domid, change->name);
    if (result < 0)
        return ringctl_fail(RINGCTL_REFUSED, "cannot write the card to xenstore: %s", strerror(-result));
    return RINGCTL_OK;
}

/* Why the script failed, as it says; to be freed, or NULL. */
static char *nic_script_error(const struct change *change)
{
    char *error;
    if (xendev_store_read(change->store, XENDEV_NO_TXN, change->path, "hotplug-error", &error) < 0)
        return NULL;
    if (error[0] == '\0') {
        free(error);
        return NULL;
    }
    return error;
}

/* Whether the script said that it succeeded. Without it the card waits for ever. */
static bool nic_script_connected(const struct change *change)
{
    char *status;
    if (xendev_store_read(change->store, XENDEV_NO_TXN, change->path, "hotplug-status", &status) < 0)
        return false;
    bool connected = strcmp(status, "connected") == 0;
    free(status);
    return connected;
}

/* Runs the script; when it fails, has it take back what it did. */
static enum ringctl_exit nic_run_script(const struct change *change, const struct card *card)
{
    const struct target *target = &change->target;
    char said[HOTPLUG_SAID_SIZE] = "did not say hotplug-status = connected";
    char ignored[HOTPLUG_SAID_SIZE];
    if (card->script[0] == '\0')
        return RINGCTL_OK;
    int result = hotplug_run(card->script, "online", change->kind, target->domid, target->devid, false, said);
    if (result == 0 && nic_script_connected(change))
        return RINGCTL_OK;
    char *error = nic_script_error(change);
    hotplug_run(card->script, "offline", change->kind, target->domid, target->devid, true, ignored);
    ringctl_fail(RINGCTL_REFUSED, "%s online %s%s%s; removed the card again", card->script, said,
                 error != NULL ? ": " : "", error != NULL ? error : "");
    free(error);
    return result == -ETIMEDOUT ? RINGCTL_TIMEOUT : RINGCTL_REFUSED;
}

static void nic_print(const struct change *change, const struct card *card)
{
    json_t *more = json_pack("{s:s, s:o}", "mac", card->mac, "script",
                             card->script[0] != '\0' ? json_string(card->script) : json_null());
    if (card->script[0] != '\0')
        change_print(change, more, "%s attached to domain %u: MAC address %s, connected by %s", change->label,
                     change->target.domid, card->mac, card->script);
    else
        change_print(change, more, "%s attached to domain %u: MAC address %s, no script was run", change->label,
                     change->target.domid, card->mac);
}

static enum ringctl_exit nic_attach(struct change *change, struct card *card)
{
    uint8_t random[3];
    if (card->script[0] != '\0' && access(card->script, X_OK) < 0)
        return ringctl_fail(RINGCTL_REFUSED, "the script %s cannot be run: %s", card->script, strerror(errno));
    if (card->mac[0] == '\0') {
        if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
            return ringctl_fail(RINGCTL_REFUSED, "no MAC address can be made up: %s", strerror(errno));
        card_make_mac(card, random);
    }
    enum ringctl_exit status = change_open(change);
    if (status == RINGCTL_OK)
        status = change_check_domain(change);
    if (status == RINGCTL_OK)
        status = nic_create_somewhere(change, card);
    if (status != RINGCTL_OK)
        return status;

    status = change_wait_ready(change);
    if (status == RINGCTL_TIMEOUT)
        ringctl_fail(status, "the daemon did not take %s within %u s; removed it again", change->label,
                     change->options->timeout);
    else if (status != RINGCTL_OK)
        ringctl_fail(status, "refused: %s", change->reason != NULL ? change->reason : "no reason given");
    else
        status = nic_run_script(change, card);
    if (status == RINGCTL_OK)
        nic_print(change, card);
    else
        change_undo(change);
    return status;
}

enum ringctl_exit ringctl_attach_nic(const struct ringctl_options *options, const char *domain, char *const *words)
{
    struct change change = {.options = options};
    struct card card;
    char reason[CARD_REASON_SIZE];
    if (card_parse((const char *const *)words, &card, reason) < 0)
        return ringctl_fail(RINGCTL_USAGE, "%s", reason);
    enum ringctl_exit status = target_set(domain, &device_classes[CLASS_CARD], &change.target);
    if (status == RINGCTL_OK)
        status = nic_attach(&change, &card);
    change_close(&change);
    return status;
}

/* ---- Rate. ------------------------------------------------------------------------------------------------------ */

struct nic_tune {
    const char *path;
    const struct rate *rate;
};

/* Changes the limit of a card that is there. */
static int nic_tune_body(struct xendev_store *store, xendev_txn txn, void *arg)
{
    const struct nic_tune *tune = arg;
    char *frontend;
    char value[NIC_RATE_SIZE];
    int result = xendev_store_read(store, txn, tune->path, "frontend", &frontend);
    if (result < 0)
        return result;
    free(frontend);
    if (tune->rate->bytes == 0)
        return xendev_store_remove(store, txn, tune->path, "rate");
    nic_rate_value(tune->rate, value);
    return xendev_store_write(store, txn, tune->path, "rate", "%s", value);
}

static void nic_print_rate(const struct change *change, const struct rate *rate)
{
    char text[RATE_TEXT_SIZE];
    if (rate->bytes == 0) {
        change_print(change, json_pack("{s:n}", "rate"), "%s of domain %u: no limit", change->label,
                     change->target.domid);
        return;
    }
    rate_format(rate, text);
    change_print(
        change,
        json_pack("{s:{s:I, s:I}}", "rate", "bytes", (json_int_t)rate->bytes, "window_us", (json_int_t)rate->window_us),
        "%s of domain %u: %s, %" PRIu64 " bytes each %" PRIu32 " us", change->label, change->target.domid, text,
        rate->bytes, rate->window_us);
}

static enum ringctl_exit nic_set_rate(struct change *change, const struct rate *rate)
{
    enum ringctl_exit status = change_open(change);
    if (status != RINGCTL_OK)
        return status;
    change_name(change);
    struct nic_tune tune = {.path = change->path, .rate = rate};
    int result = xendev_store_transact(change->store, nic_tune_body, &tune);
    if (result == -ENOENT)
        return ringctl_fail(RINGCTL_NO_DEVICE, "domain %u has no %s", change->target.domid, change->label);
    if (result < 0)
        return ringctl_fail(RINGCTL_REFUSED, "cannot write the rate to xenstore: %s", strerror(-result));
    nic_print_rate(change, rate);
    return RINGCTL_OK;
}

enum ringctl_exit ringctl_rate(const struct ringctl_options *options, const char *target, const char *text)
{
    struct change change = {.options = options};
    struct rate rate = {.bytes = 0};
    enum ringctl_exit status = target_parse(target, &change.target);
    if (status != RINGCTL_OK)
        return status;
    if (change.target.class->id != CLASS_CARD)
        return ringctl_fail(RINGCTL_USAGE, "'%s' is a disk: only a network card, as 3/vif0, has a rate", target);
    int result = strcmp(text, "none") == 0 ? 0 : rate_parse(text, &rate);
    if (result == -ERANGE)
        return ringctl_fail(RINGCTL_USAGE, "the rate '%s' is too small or too large", text);
    if (result < 0)
        return ringctl_fail(RINGCTL_USAGE, "'%s' is not a rate as 10Mb/s, 250KB/s or 10Mb/s@20ms, nor none", text);
    status = nic_set_rate(&change, &rate);
    change_close(&change);
    return status;
}

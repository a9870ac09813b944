/* SPDX-License-Identifier: MIT */
/*
 * The keys of libxl: `mac`, `bridge`, `script`, `vifname`, `rate`, `mtu`, `ip`. All of them are the toolstack's own, which a guest cannot write;
 * mistakes in them are told to whoever made them.
 */
#include "card.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <supervise/rundir.h>
#include <xendev/store.h>

#include "reason.h"

#define OWN_SCRIPT      "vif-ringback"
#define ISOLATED_SUFFIX ":isolated"

#define RECORD_FILE    "card"
#define RECORD_VERSION 2u
struct record {
    uint32_t version;           /* RECORD_VERSION */
    uint32_t multicast_control; /* 1: the guest wants only the multicasts it asks for */
    uint64_t generation;
    struct card card;
};

/* ---- MAC addresses. ------------------------------------------------------------------------------------------------------------ */

void card_mac_text(const uint8_t mac[NETIF_ADDRESS_LEN], char ret_text[CARD_MAC_TEXT_SIZE])
{
    snprintf(ret_text, CARD_MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
             mac[5]);
}

static int hex_digit(char character)
{
    static const char digits[] = "0123456789abcdef";
    const char *digit =
        character == '\0' ? NULL : strchr(digits, character >= 'A' && character <= 'F' ? character | 0x20 : character);

    return digit == NULL ? -EINVAL : (int)(digit - digits);
}

int card_mac_parse(const char *text, uint8_t ret_mac[NETIF_ADDRESS_LEN])
{
    uint8_t mac[NETIF_ADDRESS_LEN];

    if (strlen(text) != CARD_MAC_TEXT_SIZE - 1)
        return -EINVAL;
    for (size_t i = 0; i < NETIF_ADDRESS_LEN; i++) {
        const int high = hex_digit(text[i * 3]), low = hex_digit(text[i * 3 + 1]);
        if (high < 0 || low < 0 || text[i * 3 + 2] != (i + 1 < NETIF_ADDRESS_LEN ? ':' : '\0'))
            return -EINVAL;
        mac[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(ret_mac, mac, sizeof(mac));
    return 0;
}

/* ---- Keys. ---------------------------------------------------------------------------------------------------------------------- */

struct keys {
    struct xendev_store *store;
    const char *directory;
    struct backend_error *error;
};

/* The value as a string the caller frees; NULL when there is none. Returns 0, or -errno with the reason. */
static int read_text(const struct keys *keys, const char *key, char **ret_text)
{
    int err = xendev_store_read(keys->store, XENDEV_NO_TXN, keys->directory, key, ret_text);

    if (err == -ENOENT)
        *ret_text = NULL;
    if (err == 0 || err == -ENOENT)
        return 0;
    return reason_fail(keys->error, err, "%s cannot be read: %s", key, strerror(-err));
}

static int read_mac(const struct keys *keys, struct card *card)
{
    char *text;
    int err = read_text(keys, "mac", &text);

    if (err < 0)
        return err;
    if (text == NULL)
        return reason_fail(keys->error, -ENOENT, "mac is missing");
    err = card_mac_parse(text, card->mac);
    if (err == 0 && (card->mac[0] & 1) != 0)
        err = -EINVAL;
    if (err < 0)
        (void)reason_fail(keys->error, err, "mac '%.32s' is no address of a card", text);
    free(text);
    return err;
}

static bool is_netdev_name(const char *name)
{
    const size_t length = strlen(name);

    return length > 0 && length < TAP_NAME_SIZE && strcspn(name, "/: \t\n%") == length && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

/* The tap's name: `vifname`, or the one that the toolstack's scripts expect. */
static int read_name(const struct keys *keys, uint32_t domid, uint32_t devid, struct card *card)
{
    char *text;
    int err = read_text(keys, "vifname", &text);

    if (err < 0)
        return err;
    if (text == NULL) {
        if ((size_t)snprintf(card->netdev, sizeof(card->netdev), "vif%" PRIu32 ".%" PRIu32, domid, devid) >=
            sizeof(card->netdev))
            return reason_fail(keys->error, -ENAMETOOLONG,
                               "vif%" PRIu32 ".%" PRIu32 " is too long for a network device", domid, devid);
        return 0;
    }
    if (is_netdev_name(text))
        snprintf(card->netdev, sizeof(card->netdev), "%s", text);
    else
        err = reason_fail(keys->error, -EINVAL, "vifname '%.32s' is no name of a network device", text);
    free(text);
    return err;
}

/* The bridge, and whose it is. */
static int read_bridge(const struct keys *keys, struct card *card)
{
    char *script, *bridge = NULL;
    const char *base;
    char *word;
    int err = read_text(keys, "script", &script);

    if (err == 0 && script != NULL) {
        base = strrchr(script, '/');
        card->switched = strcmp(base != NULL ? base + 1 : script, OWN_SCRIPT) == 0;
    }
    free(err == 0 ? script : NULL);
    if (err == 0)
        err = read_text(keys, "bridge", &bridge);
    if (err < 0)
        return err;
    /* libxl passes no key on that it does not know, but the bridge's name as it is. */
    word = card->switched && bridge != NULL ? strchr(bridge, ':') : NULL;
    if (word != NULL && strcmp(word, ISOLATED_SUFFIX) == 0) {
        *word = '\0';
        card->isolated = true;
    }
    if (card->switched && (bridge == NULL || !port_name_is_valid(bridge)))
        err = reason_fail(keys->error, -EINVAL, "bridge '%.40s' is no name of a bridge", bridge != NULL ? bridge : "");
    else if (bridge != NULL)
        snprintf(card->bridge, sizeof(card->bridge), "%s", bridge);
    free(bridge);
    return err;
}

/* One of `ip`: an address, or a whole prefix. */
static int parse_address(const char *text, struct port_address *ret_address)
{
    struct port_address address = {.family = strchr(text, ':') != NULL ? 6 : 4};
    const unsigned bits = address.family == 6 ? 128 : 32;
    char host[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    const size_t length = slash != NULL ? (size_t)(slash - text) : strlen(text);
    unsigned long prefix = bits;
    char *end;

    if (length >= sizeof(host))
        return -EINVAL;
    memcpy(host, text, length);
    host[length] = '\0';
    if (slash != NULL) {
        prefix = strtoul(slash + 1, &end, 10);
        if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || prefix > bits)
            return -EINVAL;
    }
    if (inet_pton(address.family == 6 ? AF_INET6 : AF_INET, host, address.bytes) != 1)
        return -EINVAL;
    address.prefix = (uint8_t)prefix;
    *ret_address = address;
    return 0;
}

static int read_addresses(const struct keys *keys, struct card *card)
{
    char *text, *rest = NULL;
    int err = read_text(keys, "ip", &text);

    if (err < 0 || text == NULL)
        return err;
    for (char *word = strtok_r(text, " ,\t\n", &rest); err == 0 && word != NULL;
         word = strtok_r(NULL, " ,\t\n", &rest)) {
        if (card->address_count == PORT_ADDRESSES_MAX)
            err = reason_fail(keys->error, -E2BIG, "ip has more than %u addresses", PORT_ADDRESSES_MAX);
        else if (parse_address(word, &card->addresses[card->address_count]) < 0)
            err = reason_fail(keys->error, -EINVAL, "ip '%.60s' is no address", word);
        else
            card->address_count++;
    }
    free(text);
    return err;
}

/* A number that may be missing. */
static int read_number(const struct keys *keys, const char *key, uint32_t *ret_number)
{
    int err = xendev_store_read_u32(keys->store, XENDEV_NO_TXN, keys->directory, key, ret_number);

    return err == 0 || err == -ENOENT ? 0 : reason_fail(keys->error, err, "%s is no number of 32 bits", key);
}

void card_read_rate(struct xendev_store *store, const char *directory, struct rate *ret_rate,
                    struct backend_error *ret_error)
{
    char *text;
    int err = xendev_store_read(store, XENDEV_NO_TXN, directory, "rate", &text);

    *ret_rate = (struct rate){0};
    ret_error->text[0] = '\0';
    if (err < 0)
        return; /* there is none */
    err = rate_parse(text, ret_rate);
    if (err < 0)
        snprintf(ret_error->text, sizeof(ret_error->text), "rate '%.60s' is %s: there is no limit", text,
                 err == -ERANGE ? "impossible" : "not 'BYTES,MICROSECONDS'");
    free(text);
}

int card_read(struct xendev_store *store, const char *directory, uint32_t domid, uint32_t devid, struct card *ret_card,
              struct backend_error *ret_error)
{
    const struct keys keys = {.store = store, .directory = directory, .error = ret_error};
    struct backend_error unused; /* it is told when the rate is put to use */
    struct card card = {0};
    uint32_t isolated = 0;
    int err = read_mac(&keys, &card);

    if (err == 0)
        err = read_name(&keys, domid, devid, &card);
    if (err == 0)
        err = read_bridge(&keys, &card);
    if (err == 0 && card.switched)
        err = read_addresses(&keys, &card);
    if (err == 0)
        err = read_number(&keys, "mtu", &card.mtu);
    if (err == 0)
        err = read_number(&keys, "isolated", &isolated);
    if (err < 0)
        return err;
    card.isolated = card.isolated || isolated != 0;
    card_read_rate(store, directory, &card.rate, &unused);
    *ret_card = card;
    return 0;
}

/* ---- What is recorded. --------------------------------------------------------------------------------------------------------- */

int card_save(int device_dir, uint64_t generation, const struct card *card, bool multicast_control)
{
    const struct record record = {
        .version = RECORD_VERSION, .multicast_control = multicast_control, .generation = generation, .card = *card};

    return rundir_write(device_dir, RECORD_FILE, &record, sizeof(record));
}

int card_load(int device_dir, uint64_t *ret_generation, struct card *ret_card, bool *ret_multicast_control)
{
    struct record record;
    int err = rundir_read(device_dir, RECORD_FILE, &record, sizeof(record));

    if (err < 0)
        return err;
    if (record.version != RECORD_VERSION || memchr(record.card.netdev, '\0', sizeof(record.card.netdev)) == NULL ||
        memchr(record.card.bridge, '\0', sizeof(record.card.bridge)) == NULL ||
        record.card.address_count > PORT_ADDRESSES_MAX)
        return -EBADMSG;
    *ret_generation = record.generation;
    *ret_card = record.card;
    *ret_multicast_control = record.multicast_control != 0;
    return 0;
}

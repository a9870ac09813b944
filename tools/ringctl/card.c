/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. A table names the keys, each with the function that reads its value. A key is told once; what is wrong is
 * told with the value in the sentence. Everything here ends up in xenstore, where a hotplug script reads it: values are plain text.
 */
#include "card.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain.h"

#define CARD_VALUE_SIZE     sizeof(((struct card *)NULL)->ip) /* the largest */
#define CARD_DEFAULT_BRIDGE "xenbr0"
#define CARD_DEFAULT_SCRIPT "vif-bridge"
#define CARD_MTU_MIN        68u    /* IPv4's */
#define CARD_MTU_MAX        65521u /* with the Ethernet header, 65535: what a packet's size can say */

/* Fills the reason, and is -EINVAL. */
#define card_refuse(reason, ...) (snprintf((reason), CARD_REASON_SIZE, __VA_ARGS__), -EINVAL)

/* Copies a word: no space, no slash, of a length that fits. */
static int card_word(char *to, size_t size, const char *key, const char *value, char *reason)
{
    if (strlen(value) >= size)
        return card_refuse(reason, "%s=%.80s is too long: at most %zu characters", key, value, size - 1);
    for (const char *byte = value; *byte != '\0'; byte++)
        if (!isgraph((unsigned char)*byte) || *byte == '/')
            return card_refuse(reason, "%s='%.80s' is not a name", key, value);
    snprintf(to, size, "%s", value);
    return 0;
}

static int card_number(uint32_t *to, uint32_t min, uint32_t max, const char *key, const char *value, char *reason)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(value, &end, 10);
    if (!isdigit((unsigned char)value[0]) || *end != '\0' || errno != 0 || number < min || number > max)
        return card_refuse(reason, "%s=%.80s is not a number from %u to %u", key, value, min, max);
    *to = (uint32_t)number;
    return 0;
}

static int card_bridge(struct card *card, const char *value, char *reason)
{
    return card_word(card->bridge, sizeof(card->bridge), "bridge", value, reason);
}

static int card_vifname(struct card *card, const char *value, char *reason)
{
    return card_word(card->vifname, sizeof(card->vifname), "vifname", value, reason);
}

static int card_mac(struct card *card, const char *value, char *reason)
{
    bool all_zero = true;
    bool good = strlen(value) == sizeof(card->mac) - 1;
    for (size_t i = 0; good && value[i] != '\0'; i++) {
        good = i % 3 == 2 ? value[i] == ':' : isxdigit((unsigned char)value[i]) != 0;
        all_zero = all_zero && (value[i] == '0' || value[i] == ':');
    }
    if (!good || all_zero)
        return card_refuse(reason, "mac=%.80s is not an address as 00:16:3e:12:34:56", value);
    for (size_t i = 0; i < sizeof(card->mac); i++)
        card->mac[i] = (char)tolower((unsigned char)value[i]);
    if (strchr("13579bdf", card->mac[1]) != NULL) {
        card->mac[0] = '\0';
        return card_refuse(reason, "mac=%.80s is a multicast address: no card can have it", value);
    }
    return 0;
}

static int card_script(struct card *card, const char *value, char *reason)
{
    int length;
    if (strcmp(value, "none") == 0)
        length = snprintf(card->script, sizeof(card->script), "%s", "");
    else if (value[0] == '/')
        length = snprintf(card->script, sizeof(card->script), "%s", value);
    else if (strchr(value, '/') != NULL)
        return card_refuse(reason, "script=%.80s: use a path that begins with /, a name in " CARD_SCRIPTS ", or none",
                           value);
    else
        length = snprintf(card->script, sizeof(card->script), CARD_SCRIPTS "/%s", value);
    if (length < 0 || (size_t)length >= sizeof(card->script))
        return card_refuse(reason, "script=%.80s is too long", value);
    return 0;
}

static int card_rate(struct card *card, const char *value, char *reason)
{
    int result = rate_parse(value, &card->rate);
    if (result == -ERANGE)
        return card_refuse(reason, "rate=%.80s is too small or too large", value);
    if (result < 0)
        return card_refuse(reason, "rate=%.80s is not a rate as 10Mb/s, 250KB/s or 10Mb/s@20ms", value);
    return 0;
}

static int card_mtu(struct card *card, const char *value, char *reason)
{
    return card_number(&card->mtu, CARD_MTU_MIN, CARD_MTU_MAX, "mtu", value, reason);
}

static int card_ip(struct card *card, const char *value, char *reason)
{
    for (const char *byte = value; *byte != '\0'; byte++)
        if (!isxdigit((unsigned char)*byte) && strchr(".:/ ", *byte) == NULL)
            return card_refuse(reason, "ip='%.80s' is not a list of addresses, separated by spaces", value);
    snprintf(card->ip, sizeof(card->ip), "%s", value); /* no value is larger */
    return 0;
}

static int card_devid(struct card *card, const char *value, char *reason)
{
    card->has_devid = true;
    return card_number(&card->devid, 0, CARD_DEVID_MAX, "devid", value, reason);
}

static int card_type(struct card *card, const char *value, char *reason)
{
    (void)card;
    if (strcmp(value, "vif") != 0)
        return card_refuse(reason, "type=%.80s: only vif can be attached; an emulated card is its device model's",
                           value);
    return 0;
}

static const struct {
    const char *name;
    int (*read)(struct card *card, const char *value, char *reason);
} card_keys[] = {
    {"bridge", card_bridge}, {"mac", card_mac},         {"script", card_script}, {"rate", card_rate}, {"mtu", card_mtu},
    {"ip", card_ip},         {"vifname", card_vifname}, {"devid", card_devid},   {"type", card_type},
};
#define CARD_KEYS (sizeof(card_keys) / sizeof(card_keys[0]))

/* Moves *text past spaces, cuts those behind `length`; returns what is left. */
static size_t card_trim(const char **text, size_t length)
{
    while (length > 0 && isspace((unsigned char)**text)) {
        (*text)++;
        length--;
    }
    while (length > 0 && isspace((unsigned char)(*text)[length - 1]))
        length--;
    return length;
}

/* Reads one KEY=VALUE of this length. `seen` has a bit for each key that was told. */
static int card_parse_pair(const char *text, size_t length, struct card *card, unsigned *seen, char *reason)
{
    char value[CARD_VALUE_SIZE];
    const char *equals = memchr(text, '=', length);
    if (equals == NULL)
        return card_refuse(reason, "'%.*s' is not KEY=VALUE", (int)(length < 80 ? length : 80), text);
    const char *key = text;
    const char *rest = equals + 1;
    size_t key_length = card_trim(&key, (size_t)(equals - text));
    size_t value_length = card_trim(&rest, (size_t)(text + length - rest));
    size_t i = 0;
    while (i < CARD_KEYS &&
           (strlen(card_keys[i].name) != key_length || memcmp(card_keys[i].name, key, key_length) != 0))
        i++;
    if (i == CARD_KEYS)
        return card_refuse(
            reason, "a network card has no '%.*s': only bridge, mac, script, rate, mtu, ip, vifname, devid, type",
            (int)(key_length < 80 ? key_length : 80), key);
    if (*seen & 1u << i)
        return card_refuse(reason, "%s= is given twice", card_keys[i].name);
    *seen |= 1u << i;
    if (value_length == 0)
        return card_refuse(reason, "%s= has no value", card_keys[i].name);
    if (value_length >= sizeof(value))
        return card_refuse(reason, "the value of %s= is too long", card_keys[i].name);
    memcpy(value, rest, value_length);
    value[value_length] = '\0';
    return card_keys[i].read(card, value, reason);
}

int card_parse(const char *const *operands, struct card *ret_card, char ret_reason[CARD_REASON_SIZE])
{
    struct card card = {.script = CARD_SCRIPTS "/" CARD_DEFAULT_SCRIPT};
    unsigned seen = 0;
    for (; *operands != NULL; operands++) {
        const char *text = *operands;
        for (;;) {
            size_t length = strcspn(text, ",");
            int result = card_parse_pair(text, length, &card, &seen, ret_reason);
            if (result < 0)
                return result;
            if (text[length] == '\0')
                break;
            text += length + 1;
        }
    }
    if (card.bridge[0] == '\0' && card.script[0] != '\0')
        snprintf(card.bridge, sizeof(card.bridge), "%s", CARD_DEFAULT_BRIDGE);
    *ret_card = card;
    return 0;
}

void card_make_mac(struct card *card, const uint8_t random[3])
{
    snprintf(card->mac, sizeof(card->mac), "00:16:3e:%02x:%02x:%02x", random[0] & 0x7fu, random[1], random[2]);
}

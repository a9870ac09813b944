/* SPDX-License-Identifier: MIT */
/*
 * Domains by number or name. Names are looked up in xenstore: /local/domain/DOMID/name. Devices by what their guest calls them.
 */
#include "domain.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <xendev/store.h>

#include "vdev.h"

static_assert(TARGET_NAME_SIZE == VDEV_NAME_SIZE, "vdev_name() writes into a target's name");

#define DOMID_MAX 32751u /* DOMID_FIRST_RESERVED - 1 of xen/xen.h */

/* Reads a domain id. Returns 0 or -EINVAL. */
static int domain_parse_number(const char *text, uint32_t *ret_domid)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || number > DOMID_MAX)
        return -EINVAL;
    *ret_domid = (uint32_t)number;
    return 0;
}

/* Returns 0, -ENOENT when no domain has this name, another -errno. */
static int domain_find_name(struct xendev_store *store, const char *wanted, uint32_t *ret_domid)
{
    char **numbers;
    int count = xendev_store_list(store, XENDEV_NO_TXN, "/local/domain", &numbers);
    if (count < 0)
        return count;
    int result = -ENOENT;
    for (int i = 0; i < count && result == -ENOENT; i++) {
        char dir[64];
        char *name;
        uint32_t domid;
        snprintf(dir, sizeof(dir), "/local/domain/%.16s", numbers[i]);
        if (domain_parse_number(numbers[i], &domid) < 0 ||
            xendev_store_read(store, XENDEV_NO_TXN, dir, "name", &name) < 0)
            continue;
        if (strcmp(name, wanted) == 0) {
            *ret_domid = domid;
            result = 0;
        }
        free(name);
    }
    free(numbers);
    return result;
}

enum ringctl_exit domain_find(struct xendev_store *store, const char *text, uint32_t *ret_domid)
{
    if (domain_parse_number(text, ret_domid) == 0)
        return RINGCTL_OK;

    struct event_base *base = NULL;
    struct xendev_store *own_store = NULL;
    int result = 0;
    if (store == NULL) {
        base = event_base_new();
        result = base != NULL ? xendev_store_open(base, NULL, NULL, &own_store) : -ENOMEM;
        store = own_store;
    }
    if (result == 0)
        result = domain_find_name(store, text, ret_domid);
    xendev_store_close(own_store);
    if (base != NULL)
        event_base_free(base);

    if (result == -ENOENT)
        return ringctl_fail(RINGCTL_NO_DEVICE, "there is no domain called '%s'", text);
    if (result < 0)
        return ringctl_fail(RINGCTL_REFUSED, "cannot look up domain '%s' in xenstore: %s", text, strerror(-result));
    return RINGCTL_OK;
}

enum ringctl_exit domain_parse_disk(const char *text, uint32_t *ret_devid)
{
    if (vdev_parse(text, ret_devid) < 0)
        return ringctl_fail(RINGCTL_USAGE, "'%s' is not a disk: use a name as xvdb, or its number", text);
    return RINGCTL_OK;
}

/* ---- DOM/DEV. --------------------------------------------------------------------------------------------------- */

/* Reads vifN. Returns 0 or -EINVAL. */
static int card_name_parse(const char *text, uint32_t *ret_devid)
{
    char *end;
    char name[TARGET_NAME_SIZE];
    if (strncmp(text, "vif", 3) != 0)
        return -EINVAL;
    errno = 0;
    unsigned long number = strtoul(text + 3, &end, 10);
    if (errno != 0 || *end != '\0' || number > CARD_DEVID_MAX)
        return -EINVAL;
    /* One name for one card. */
    snprintf(name, sizeof(name), "vif%lu", number);
    if (strcmp(name, text) != 0)
        return -EINVAL;
    *ret_devid = (uint32_t)number;
    return 0;
}

enum ringctl_exit target_parse(const char *text, struct target *ret_target)
{
    struct target target = {.class = &device_classes[CLASS_CARD]};
    const char *slash = strrchr(text, '/');
    if (slash == NULL || slash == text)
        return ringctl_fail(RINGCTL_USAGE, "'%s' is not DOM/DEV, as 3/xvdb, mail/51712 or mail/vif0", text);
    if (card_name_parse(slash + 1, &target.devid) < 0) {
        target.class = &device_classes[CLASS_DISK];
        if (vdev_parse(slash + 1, &target.devid) < 0)
            return ringctl_fail(RINGCTL_USAGE,
                                "'%s' is not a device: use a disk's name as xvdb or its number, or a card's as vif0",
                                slash + 1);
    }
    size_t length = (size_t)(slash - text);
    if (length >= sizeof(target.domain))
        return ringctl_fail(RINGCTL_USAGE, "'%s': no domain has such a long name", text);
    memcpy(target.domain, text, length);
    *ret_target = target;
    return RINGCTL_OK;
}

enum ringctl_exit target_set(const char *domain, const struct device_class *class, struct target *ret_target)
{
    struct target target = {.class = class};
    if (strlen(domain) >= sizeof(target.domain))
        return ringctl_fail(RINGCTL_USAGE, "'%s': no domain has such a long name", domain);
    memcpy(target.domain, domain, strlen(domain));
    *ret_target = target;
    return RINGCTL_OK;
}

enum ringctl_exit target_find(struct xendev_store *store, struct target *target)
{
    return domain_find(store, target->domain, &target->domid);
}

void target_name(const struct target *target, char ret_name[TARGET_NAME_SIZE])
{
    if (target->class->id == CLASS_CARD)
        snprintf(ret_name, TARGET_NAME_SIZE, "vif%u", target->devid);
    else
        vdev_name(target->devid, ret_name);
}

void target_label(const struct target *target, char ret_label[TARGET_LABEL_SIZE])
{
    char name[TARGET_NAME_SIZE];
    target_name(target, name);
    if (target->class->id == CLASS_CARD)
        snprintf(ret_label, TARGET_LABEL_SIZE, "card %s", name);
    else
        snprintf(ret_label, TARGET_LABEL_SIZE, "disk %s (%u)", name, target->devid);
}

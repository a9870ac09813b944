/* SPDX-License-Identifier: MIT */
/*
 * Domains by number or name. Names are looked up in xenstore: /local/domain/DOMID/name.
 */
#include "domain.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <xendev/store.h>

#include "vdev.h"

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

enum ringctl_exit domain_parse_device(const char *text, uint32_t *ret_devid)
{
    if (vdev_parse(text, ret_devid) < 0)
        return ringctl_fail(RINGCTL_USAGE, "'%s' is not a device: use a name as xvdb, or its number", text);
    return RINGCTL_OK;
}

enum ringctl_exit domain_find_device(struct xendev_store *store, const char *target, uint32_t *ret_domid,
                                     uint32_t *ret_devid)
{
    const char *slash = strrchr(target, '/');
    if (slash == NULL || slash == target)
        return ringctl_fail(RINGCTL_USAGE, "'%s' is not DOM/DEV, as 3/xvdb or mail/51712", target);
    enum ringctl_exit status = domain_parse_device(slash + 1, ret_devid);
    if (status != RINGCTL_OK)
        return status;
    char *domain = strndup(target, (size_t)(slash - target));
    if (domain == NULL)
        return ringctl_fail(RINGCTL_REFUSED, "out of memory");
    status = domain_find(store, domain, ret_domid);
    free(domain);
    return status;
}

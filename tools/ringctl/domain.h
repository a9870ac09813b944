/* SPDX-License-Identifier: MIT */
/*
 * What the command line calls a domain and its device.
 */
#ifndef RINGCTL_DOMAIN_H
#define RINGCTL_DOMAIN_H

#include <stdint.h>

#include "class.h"
#include "ringctl.h"

struct xendev_store;

/* Finds a domain by number or name. `store` may be NULL: one is opened if a name must be looked up. A number is not
 * looked up. Returns RINGCTL_OK, or another status after saying why. */
enum ringctl_exit domain_find(struct xendev_store *store, const char *text, uint32_t *ret_domid);

/* Reads a disk's DEV: a name or a number. Likewise. */
enum ringctl_exit domain_parse_disk(const char *text, uint32_t *ret_devid);

/* The largest number of a card for which each domain's vifDOMID.N is a name that Linux takes: 15 characters. */
#define CARD_DEVID_MAX 999999u

/* One device of one domain: DOM/DEV. */
struct target {
    const struct device_class *class;
    char domain[128]; /* as it was written */
    uint32_t domid;   /* after target_find() */
    uint32_t devid;
};

/* Takes DOM/DEV apart: vifN is a card, everything else a disk. Returns as domain_find() does. */
enum ringctl_exit target_parse(const char *text, struct target *ret_target);
/* The target of a device that gets its number later. Likewise. */
enum ringctl_exit target_set(const char *domain, const struct device_class *class, struct target *ret_target);
/* Finds the domain; otherwise like domain_find(). */
enum ringctl_exit target_find(struct xendev_store *store, struct target *target);
/* The guest's name for the device: "xvda", "vif0". */
#define TARGET_NAME_SIZE 24
void target_name(const struct target *target, char ret_name[TARGET_NAME_SIZE]);
/* "disk xvda (51712)", "card vif0". */
#define TARGET_LABEL_SIZE 48
void target_label(const struct target *target, char ret_label[TARGET_LABEL_SIZE]);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What the command line calls a domain and its device.
 */
#ifndef RINGCTL_DOMAIN_H
#define RINGCTL_DOMAIN_H

#include <stdint.h>

#include "ringctl.h"

struct xendev_store;

/* Finds a domain by number or name. `store` may be NULL: one is opened if a name must be looked up. A number is not
 * looked up. Returns RINGCTL_OK, or another status after saying why. */
enum ringctl_exit domain_find(struct xendev_store *store, const char *text, uint32_t *ret_domid);

/* Takes a target DOM/DEV apart; otherwise like domain_find(). */
enum ringctl_exit domain_find_device(struct xendev_store *store, const char *target, uint32_t *ret_domid,
                                     uint32_t *ret_devid);

/* Reads DEV: a name or a number. Likewise. */
enum ringctl_exit domain_parse_device(const char *text, uint32_t *ret_devid);

#endif

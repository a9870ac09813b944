/* SPDX-License-Identifier: MIT */
/*
 * What back end, front end and toolstack share.
 */
#ifndef XENDEV_SRC_XENBUS_INTERNAL_H
#define XENDEV_SRC_XENBUS_INTERNAL_H

#include <xendev/xenbus.h>

#include "store_internal.h"

/* Domain 0's home: where back ends are. */
#define XENBUS_HOME "/local/domain/0"

/* The state in `dir`, XENBUS_UNKNOWN when it is nonsense; -ENOENT when there is none. */
int xenbus_state_read(struct xendev_store *store, xendev_txn txn, const char *dir, enum xenbus_state *ret_state);

/* 1, 0 or -errno. */
int xenbus_dir_exists(struct xendev_store *store, xendev_txn txn, const char *dir);

/* Removes `dir`, then its parent if that is empty now, and so on, `parents` times at most. A missing one is no error.
 */
int xenbus_remove_dir(struct xendev_store *store, xendev_txn txn, const char *dir, unsigned parents);

#endif

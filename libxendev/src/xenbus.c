/* SPDX-License-Identifier: MIT */
/*
 * What is common to both sides of xenbus: the names of the states, and how a state is written.
 *
 * Theory of operation. A write to xenstore makes the node and its parents when they are missing. A state that is
 * written a moment after the toolstack removed the device would bring its directory back to life for ever; so the write
 * is part of a transaction that first finds the node there.
 */
#include "xenbus_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

static const char *const state_names[] = {
    [XENBUS_UNKNOWN] = "Unknown",
    [XENBUS_INITIALISING] = "Initialising",
    [XENBUS_INIT_WAIT] = "InitWait",
    [XENBUS_INITIALISED] = "Initialised",
    [XENBUS_CONNECTED] = "Connected",
    [XENBUS_CLOSING] = "Closing",
    [XENBUS_CLOSED] = "Closed",
    [XENBUS_RECONFIGURING] = "Reconfiguring",
    [XENBUS_RECONFIGURED] = "Reconfigured",
};
static_assert(sizeof(state_names) / sizeof(state_names[0]) == XENBUS_STATES, "every state has a name");

const char *xenbus_state_name(enum xenbus_state state)
{
    return (unsigned)state < XENBUS_STATES ? state_names[state] : state_names[XENBUS_UNKNOWN];
}

int xenbus_state_read(struct xendev_store *store, xendev_txn txn, const char *dir, enum xenbus_state *ret_state)
{
    char *value;
    int result = xendev_store_read(store, txn, dir, "state", &value);

    if (result == -EINVAL) { /* holds a NUL byte: nonsense, like any other */
        *ret_state = XENBUS_UNKNOWN;
        return 0;
    }
    if (result < 0)
        return result;
    *ret_state = parse_state(value);
    free(value);
    return 0;
}

int xenbus_dir_exists(struct xendev_store *store, xendev_txn txn, const char *dir)
{
    char *value;
    int result = xendev_store_read(store, txn, dir, NULL, &value);

    if (result == 0)
        free(value);
    if (result == 0 || result == -EINVAL)
        return 1;
    return result == -ENOENT ? 0 : result;
}

int xenbus_remove_dir(struct xendev_store *store, xendev_txn txn, const char *dir, unsigned parents)
{
    char path[STORE_PATH_SIZE];
    int result = store_path(path, dir, NULL);

    if (result == 0)
        result = xendev_store_remove(store, txn, path, NULL);
    for (; result == 0 && parents > 0; parents--) {
        char *slash = strrchr(path, '/');
        if (slash == NULL || slash == path)
            break;
        *slash = '\0';

        char **names;
        int count = xendev_store_list(store, txn, path, &names);
        if (count < 0)
            return count == -ENOENT ? 0 : count;
        free(names);
        if (count > 0)
            break;
        result = xendev_store_remove(store, txn, path, NULL);
    }
    return result;
}

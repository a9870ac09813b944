/* SPDX-License-Identifier: MIT */
/*
 * A front end's view of its back end, for our own guests.
 *
 * Theory of operation. The toolstack's `backend` and `backend-id` in the device's directory say whom to follow; they
 * are read once. A watch on the back end's state reports each change, and its first event the state there is. What a
 * front end does in each state is its owner's affair.
 */
#include "xenbus_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct xendev_frontend {
    struct xendev_store *store;
    void (*changed)(void *arg, enum xenbus_state backend);
    void *arg;
    char *path;
    char *backend_path;
    uint32_t backend_domid;
    struct xendev_watch *watch;
    bool told;              /* `changed` was called... */
    enum xenbus_state last; /* ...with this */
};

static void on_backend_changed(void *arg, const char *path)
{
    struct xendev_frontend *frontend = arg;
    enum xenbus_state state = XENBUS_UNKNOWN;

    (void)path;
    int result = xenbus_state_read(frontend->store, XENDEV_NO_TXN, frontend->backend_path, &state);
    if (result < 0 && result != -ENOENT && result != -EACCES)
        return; /* the store says what happened */
    if (frontend->told && frontend->last == state && state != XENBUS_CONNECTED)
        return;
    frontend->told = true;
    frontend->last = state;
    frontend->changed(frontend->arg, state); /* may close the front end */
}

int xendev_frontend_open(struct xendev_store *store, const char *path,
                         void (*changed)(void *arg, enum xenbus_state backend), void *arg,
                         struct xendev_frontend **ret_frontend)
{
    char state_path[STORE_PATH_SIZE];
    struct xendev_frontend *frontend = calloc(1, sizeof(*frontend));
    if (frontend == NULL)
        return -ENOMEM;
    frontend->store = store;
    frontend->changed = changed;
    frontend->arg = arg;

    int result = -ENOMEM;
    frontend->path = strdup(path);
    if (frontend->path == NULL)
        goto free_frontend;
    result = xendev_store_read_u32(store, XENDEV_NO_TXN, path, "backend-id", &frontend->backend_domid);
    if (result < 0)
        goto free_frontend;
    result = xendev_store_read(store, XENDEV_NO_TXN, path, "backend", &frontend->backend_path);
    if (result < 0)
        goto free_frontend;
    result = store_path(state_path, frontend->backend_path, "state");
    if (result < 0)
        goto free_frontend;
    result = xendev_watch_add(store, state_path, on_backend_changed, frontend, &frontend->watch);
    if (result < 0)
        goto free_frontend;
    *ret_frontend = frontend;
    return 0;

free_frontend:
    xendev_frontend_close(frontend);
    return result;
}

void xendev_frontend_close(struct xendev_frontend *frontend)
{
    if (frontend == NULL)
        return;
    xendev_watch_remove(frontend->watch);
    free(frontend->backend_path);
    free(frontend->path);
    free(frontend);
}

const char *xendev_frontend_path(const struct xendev_frontend *frontend)
{
    return frontend->path;
}

const char *xendev_frontend_backend_path(const struct xendev_frontend *frontend)
{
    return frontend->backend_path;
}

uint32_t xendev_frontend_backend_domid(const struct xendev_frontend *frontend)
{
    return frontend->backend_domid;
}

struct front_switch {
    const char *path;
    enum xenbus_state to;
};

static int front_switch_body(struct xendev_store *store, xendev_txn txn, void *arg)
{
    const struct front_switch *change = arg;
    enum xenbus_state state;
    int result = xenbus_state_read(store, txn, change->path, &state);

    if (result < 0)
        return result;
    return xendev_store_write(store, txn, change->path, "state", "%d", (int)change->to);
}

int xendev_frontend_switch(struct xendev_frontend *frontend, enum xenbus_state state)
{
    struct front_switch change = {.path = frontend->path, .to = state};

    return xendev_store_transact(frontend->store, front_switch_body, &change);
}

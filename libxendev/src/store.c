/* SPDX-License-Identifier: MIT */
/*
 * The connection to xenstored: typed reads and writes, transactions.
 *
 * Theory of operation. libxenstore sends a request and blocks for its answer; once a watch is set it does so with a
 * reader thread of its own. When the connection breaks the call under way fails with one of several errno values,
 * EINVAL among them, which is also what xenstored answers to a malformed path. So an ambiguous error is followed by a
 * look at the watch queue, where libxenstore does tell a dead connection (EINVAL) from an idle one (EAGAIN). A broken
 * connection is never used again: libxenstore leaves it in an undefined state.
 */
#include "store_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <xenstore.h>

#include "parse.h"

int xendev_store_open(struct event_base *base, void (*lost)(void *arg), void *arg, struct xendev_store **ret_store)
{
    struct xendev_store *store = calloc(1, sizeof(*store));
    if (store == NULL)
        return -ENOMEM;
    store->base = base;
    store->lost = lost;
    store->arg = arg;

    int result;
    store->xs = xs_open(0);
    if (store->xs == NULL) {
        result = errno != 0 ? -errno : -ECONNREFUSED;
        goto free_store;
    }
    result = watch_init(store);
    if (result < 0)
        goto close_xs;
    *ret_store = store;
    return 0;

close_xs:
    xs_close(store->xs);
free_store:
    free(store);
    return result;
}

void xendev_store_close(struct xendev_store *store)
{
    if (store == NULL)
        return;
    watch_fini(store);
    xs_close(store->xs);
    store->closed = true;
    if (!store->delivering)
        free(store);
}

struct event_base *store_base(const struct xendev_store *store)
{
    return store->base;
}

int store_path(char path[STORE_PATH_SIZE], const char *dir, const char *key)
{
    int length =
        key != NULL ? snprintf(path, STORE_PATH_SIZE, "%s/%s", dir, key) : snprintf(path, STORE_PATH_SIZE, "%s", dir);

    return length < 0 || length >= STORE_PATH_SIZE ? -ENAMETOOLONG : 0;
}

int store_error(struct xendev_store *store)
{
    int error = errno;

    switch (error) {
    case ENOENT:
    case EACCES:
    case EAGAIN:
    case EEXIST:
    case ENOSPC:
    case EROFS:
    case EBUSY:
    case EISDIR:
    case E2BIG:
    case ENOSYS:
    case EPERM:
    case ENOMEM:
        return -error; /* xenstored's answer */
    case EINVAL:
        watch_drain(store); /* its answer, or a dead connection */
        break;
    default:
        store->broken = true;
        break;
    }
    if (!store->broken)
        return -error;
    event_active(store->deliver, EV_TIMEOUT, 0);
    return -ENOTCONN;
}

int xendev_store_read(struct xendev_store *store, xendev_txn txn, const char *dir, const char *key, char **ret_value)
{
    char path[STORE_PATH_SIZE];
    int result = store_path(path, dir, key);

    if (result < 0)
        return result;
    if (store->broken)
        return -ENOTCONN;

    unsigned length;
    char *value = xs_read(store->xs, txn, path, &length);
    if (value == NULL)
        return store_error(store);
    if (memchr(value, '\0', length) != NULL) {
        free(value);
        return -EINVAL;
    }
    *ret_value = value;
    return 0;
}

static int read_decimal(struct xendev_store *store, xendev_txn txn, const char *dir, const char *key, uint64_t max,
                        uint64_t *ret_value)
{
    char *value;
    int result = xendev_store_read(store, txn, dir, key, &value);

    if (result < 0)
        return result;
    result = parse_decimal(value, max, ret_value);
    free(value);
    return result;
}

int xendev_store_read_u64(struct xendev_store *store, xendev_txn txn, const char *dir, const char *key,
                          uint64_t *ret_value)
{
    return read_decimal(store, txn, dir, key, UINT64_MAX, ret_value);
}

int xendev_store_read_u32(struct xendev_store *store, xendev_txn txn, const char *dir, const char *key,
                          uint32_t *ret_value)
{
    uint64_t value;
    int result = read_decimal(store, txn, dir, key, UINT32_MAX, &value);

    if (result == 0)
        *ret_value = (uint32_t)value;
    return result;
}

int xendev_store_write(struct xendev_store *store, xendev_txn txn, const char *dir, const char *key, const char *format,
                       ...)
{
    char path[STORE_PATH_SIZE];
    char value[XENDEV_VALUE_MAX];
    va_list args;
    int result = store_path(path, dir, key);

    if (result < 0)
        return result;
    va_start(args, format);
    int length = vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof(value))
        return -E2BIG;
    if (store->broken)
        return -ENOTCONN;
    return xs_write(store->xs, txn, path, value, (unsigned)length) ? 0 : store_error(store);
}

int xendev_store_remove(struct xendev_store *store, xendev_txn txn, const char *dir, const char *key)
{
    char path[STORE_PATH_SIZE];
    int result = store_path(path, dir, key);

    if (result < 0)
        return result;
    if (store->broken)
        return -ENOTCONN;
    if (xs_rm(store->xs, txn, path))
        return 0;
    result = store_error(store);
    return result == -ENOENT ? 0 : result;
}

int xendev_store_list(struct xendev_store *store, xendev_txn txn, const char *dir, char ***ret_names)
{
    if (store->broken)
        return -ENOTCONN;

    unsigned count = 0;
    char **found = xs_directory(store->xs, txn, dir, &count);
    if (found == NULL)
        return store_error(store);

    /* libxenstore's array is not terminated: one block again, with room for the NULL. */
    size_t size = (count + 1) * sizeof(char *);
    for (unsigned i = 0; i < count; i++)
        size += strlen(found[i]) + 1;
    char **names = malloc(size);
    if (names == NULL) {
        free(found);
        return -ENOMEM;
    }
    char *at = (char *)&names[count + 1];
    for (unsigned i = 0; i < count; i++) {
        names[i] = at;
        at = stpcpy(at, found[i]) + 1;
    }
    names[count] = NULL;
    free(found);
    *ret_names = names;
    return (int)count;
}

int xendev_store_set_owner(struct xendev_store *store, xendev_txn txn, const char *dir, uint32_t owner, uint32_t reader)
{
    struct xs_permissions permissions[] = {
        {.id = owner, .perms = XS_PERM_NONE}, /* the owner may do all; everybody else nothing */
        {.id = reader, .perms = XS_PERM_READ},
    };

    if (store->broken)
        return -ENOTCONN;
    return xs_set_permissions(store->xs, txn, dir, permissions, 2) ? 0 : store_error(store);
}

int xendev_store_transact(struct xendev_store *store,
                          int (*body)(struct xendev_store *store, xendev_txn txn, void *arg), void *arg)
{
    for (unsigned attempt = 0; attempt < XENDEV_TXN_RETRIES; attempt++) {
        if (store->broken)
            return -ENOTCONN;
        xendev_txn txn = xs_transaction_start(store->xs);
        if (txn == XBT_NULL)
            return store_error(store);

        int result = body(store, txn, arg);
        if (store->broken)
            return -ENOTCONN;
        if (xs_transaction_end(store->xs, txn, result != 0))
            return result;
        int ended = store_error(store);
        if (result != 0)
            return result;
        if (ended != -EAGAIN)
            return ended;
    }
    return -EAGAIN;
}

/* SPDX-License-Identifier: MIT */
/*
 * The keys, as the public blkif.h has them: `ring-page-order` with `ring-ref0`... or without it `ring-ref`, `event-channel`, `protocol`,
 * `feature-persistent`.
 *
 * A front end that states no protocol gets the 32-bit x86 layout on x86, as from Linux: such front ends are older than the key, and than 64-bit
 * guests. Elsewhere there is one layout.
 */
#include "frontend.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xendev/store.h>

/* Event channels of a domain are fewer than this (Xen's fifo ABI). */
#define EVENT_CHANNELS_MAX (1u << 17)

struct frontend {
    struct xendev_store *store;
    const char *directory;
    struct backend_error *error;
};

static int refuse(const struct frontend *frontend, int err, const char *key, const char *reason)
{
    snprintf(frontend->error->text, sizeof(frontend->error->text), "the front end's %s %s", key, reason);
    return err;
}

static int read_number(const struct frontend *frontend, const char *key, uint32_t *ret_value)
{
    int err = xendev_store_read_u32(frontend->store, XENDEV_NO_TXN, frontend->directory, key, ret_value);

    if (err < 0)
        return refuse(frontend, err, key, err == -ENOENT ? "is missing" : "is no number of 32 bits");
    return 0;
}

/* As read_number(), from the second key when the first is missing. */
static int read_either(const struct frontend *frontend, const char *key, const char *other, uint32_t *ret_value)
{
    int err = read_number(frontend, key, ret_value);

    if (err == -ENOENT && read_number(frontend, other, ret_value) == 0)
        return 0;
    if (err == -ENOENT)
        return refuse(frontend, err, key, "is missing");
    return err;
}

static int read_ring(const struct frontend *frontend, struct blkback_connection *connection)
{
    uint32_t order = 0;
    int err = read_number(frontend, "ring-page-order", &order);

    if (err == -ENOENT)
        return read_either(frontend, "ring-ref", "ring-ref0", &connection->ring_refs[0]);
    if (err < 0)
        return err;
    if (order > BLKIF_RING_ORDER_MAX)
        return refuse(frontend, -EINVAL, "ring-page-order", "is more than was offered");
    connection->ring_order = order;
    if (order == 0)
        return read_either(frontend, "ring-ref0", "ring-ref", &connection->ring_refs[0]);
    for (uint32_t i = 0; i < 1u << order; i++) {
        char key[32];
        snprintf(key, sizeof(key), "ring-ref%" PRIu32, i);
        err = read_number(frontend, key, &connection->ring_refs[i]);
        if (err < 0)
            return err;
    }
    return 0;
}

static int read_abi(const struct frontend *frontend, uint32_t *ret_abi)
{
    enum blkif_abi abi = blkif_abi_native();
    char *name;
    int err = xendev_store_read(frontend->store, XENDEV_NO_TXN, frontend->directory, "protocol", &name);

    if (err == -ENOENT) {
        *ret_abi = abi == BLKIF_ABI_X86_64 ? BLKIF_ABI_X86_32 : abi;
        return 0;
    }
    if (err < 0)
        return refuse(frontend, err, "protocol", "cannot be read");
    err = blkif_abi_parse(name, &abi);
    free(name);
    if (err < 0)
        return refuse(frontend, err, "protocol", "is unknown");
    *ret_abi = abi;
    return 0;
}

int frontend_read(struct xendev_store *store, const char *directory, struct blkback_connection *ret_connection,
                  struct backend_error *ret_error)
{
    const struct frontend frontend = {.store = store, .directory = directory, .error = ret_error};
    struct blkback_connection connection = {.version = BLKBACK_CONNECTION_VERSION};
    uint32_t persistent = 0;
    int err = read_ring(&frontend, &connection);

    if (err < 0)
        return err;
    err = read_number(&frontend, "event-channel", &connection.event_channel);
    if (err < 0)
        return err;
    if (connection.event_channel == 0 || connection.event_channel >= EVENT_CHANNELS_MAX)
        return refuse(&frontend, -EINVAL, "event-channel", "is impossible");
    err = read_abi(&frontend, &connection.abi);
    if (err < 0)
        return err;
    if (xendev_store_read_u32(store, XENDEV_NO_TXN, directory, "feature-persistent", &persistent) == 0)
        connection.persistent = persistent == 1; /* anything else declines */
    *ret_connection = connection;
    return 0;
}

bool frontend_connection_is_valid(const struct blkback_connection *connection)
{
    return connection->version == BLKBACK_CONNECTION_VERSION && connection->abi < BLKIF_ABIS &&
           connection->generation != 0 && connection->ring_order <= BLKIF_RING_ORDER_MAX &&
           memchr(connection->image.kind, '\0', sizeof(connection->image.kind)) != NULL;
}

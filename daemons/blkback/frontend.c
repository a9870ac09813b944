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

#include <backend/front.h>
#include <xendev/store.h>

/* As front_read_number(), from the second key when the first is missing. */
static int read_either(const struct front *front, const char *key, const char *other, uint32_t *ret_value)
{
    int err = front_read_number(front, key, ret_value);

    if (err == -ENOENT && front_read_number(front, other, ret_value) == 0)
        return 0;
    if (err == -ENOENT)
        return front_refuse(front, err, key, "is missing");
    return err;
}

static int read_ring(const struct front *front, struct blkback_connection *connection)
{
    uint32_t order = 0;
    int err = front_read_number(front, "ring-page-order", &order);

    if (err == -ENOENT)
        return read_either(front, "ring-ref", "ring-ref0", &connection->ring_refs[0]);
    if (err < 0)
        return err;
    if (order > BLKIF_RING_ORDER_MAX)
        return front_refuse(front, -EINVAL, "ring-page-order", "is more than was offered");
    connection->ring_order = order;
    if (order == 0)
        return read_either(front, "ring-ref0", "ring-ref", &connection->ring_refs[0]);
    for (uint32_t i = 0; i < 1u << order; i++) {
        char key[32];
        snprintf(key, sizeof(key), "ring-ref%" PRIu32, i);
        err = front_read_number(front, key, &connection->ring_refs[i]);
        if (err < 0)
            return err;
    }
    return 0;
}

static int read_abi(const struct front *front, uint32_t *ret_abi)
{
    enum blkif_abi abi = blkif_abi_native();
    char *name;
    int err = xendev_store_read(front->store, XENDEV_NO_TXN, front->directory, "protocol", &name);

    if (err == -ENOENT) {
        *ret_abi = abi == BLKIF_ABI_X86_64 ? BLKIF_ABI_X86_32 : abi;
        return 0;
    }
    if (err < 0)
        return front_refuse(front, err, "protocol", "cannot be read");
    err = blkif_abi_parse(name, &abi);
    free(name);
    if (err < 0)
        return front_refuse(front, err, "protocol", "is unknown");
    *ret_abi = abi;
    return 0;
}

int frontend_read(struct xendev_store *store, const char *directory, struct blkback_connection *ret_connection,
                  struct backend_error *ret_error)
{
    const struct front front = {.store = store, .directory = directory, .error = ret_error};
    struct blkback_connection connection = {.version = BLKBACK_CONNECTION_VERSION};
    int err = read_ring(&front, &connection);

    if (err < 0)
        return err;
    err = front_read_channel(&front, "event-channel", &connection.event_channel);
    if (err < 0)
        return err;
    err = read_abi(&front, &connection.abi);
    if (err < 0)
        return err;
    connection.persistent = front_says_yes(&front, "feature-persistent");
    *ret_connection = connection;
    return 0;
}

bool frontend_connection_is_valid(const struct blkback_connection *connection)
{
    return connection->version == BLKBACK_CONNECTION_VERSION && connection->abi < BLKIF_ABIS &&
           connection->generation != 0 && connection->ring_order <= BLKIF_RING_ORDER_MAX &&
           connection->indirect_segments <= BLKIF_INDIRECT_SEGMENTS &&
           memchr(connection->image.kind, '\0', sizeof(connection->image.kind)) != NULL;
}

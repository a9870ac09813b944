/* SPDX-License-Identifier: MIT */
/*
 * The keys, as the public blkif.h has them: `ring-page-order` with `ring-ref0`... or without it `ring-ref`, `event-channel`, `protocol`,
 * `feature-persistent`. With several queues, which the guest asks for by `multi-queue-num-queues`, references and event channel of each stand in
 * `queue-0` and so on.
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

/* Whether the ring is said to be of 2^order pages, in keys that are numbered from ring-ref0 on. */
static int read_order(const struct front *front, bool *ret_numbered, uint32_t *ret_order)
{
    uint32_t order = 0;
    int err = front_read_number(front, "ring-page-order", &order);

    if (err < 0 && err != -ENOENT)
        return err;
    if (order > BLKIF_RING_ORDER_MAX)
        return front_refuse(front, -EINVAL, "ring-page-order", "is more than was offered");
    *ret_numbered = err == 0;
    *ret_order = order;
    return 0;
}

static int read_refs(const struct front *front, bool numbered, uint32_t order, uint32_t *ret_refs)
{
    int err = 0;

    if (order == 0)
        return numbered ? read_either(front, "ring-ref0", "ring-ref", &ret_refs[0])
                        : read_either(front, "ring-ref", "ring-ref0", &ret_refs[0]);
    for (uint32_t i = 0; err == 0 && i < 1u << order; i++) {
        char key[32];
        snprintf(key, sizeof(key), "ring-ref%" PRIu32, i);
        err = front_read_number(front, key, &ret_refs[i]);
    }
    return err;
}

/* Each queue has its own pages, and its own events. */
static int check_distinct(const struct front *front, const struct blkback_connection *connection, uint32_t index)
{
    const struct blkback_queue *queue = &connection->queues[index];
    const uint32_t pages = 1u << connection->ring_order;

    for (uint32_t other = 0; other < index; other++) {
        if (connection->queues[other].event_channel == queue->event_channel)
            return front_refuse(front, -EINVAL, "event-channel", "is another queue's");
        for (uint32_t i = 0; i < pages * pages; i++) {
            if (connection->queues[other].ring_refs[i / pages] == queue->ring_refs[i % pages])
                return front_refuse(front, -EINVAL, "ring", "has a page of another queue's");
        }
    }
    return 0;
}

static int read_queues(const struct front *front, uint32_t queues_max, struct blkback_connection *connection)
{
    bool numbered = false;
    int err = front_read_queue_count(front, queues_max, &connection->queue_count);

    if (err == 0)
        err = read_order(front, &numbered, &connection->ring_order);
    for (uint32_t i = 0; err == 0 && i < connection->queue_count; i++) {
        const struct front queue = front_queue(front, i, connection->queue_count);
        err = read_refs(&queue, numbered, connection->ring_order, connection->queues[i].ring_refs);
        if (err == 0)
            err = front_read_channel(&queue, "event-channel", &connection->queues[i].event_channel);
        if (err == 0)
            err = check_distinct(&queue, connection, i);
    }
    return err;
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

int frontend_read(struct xendev_store *store, const char *directory, uint32_t queues_max,
                  struct blkback_connection *ret_connection, struct backend_error *ret_error)
{
    const struct front front = {.store = store, .directory = directory, .error = ret_error};
    struct blkback_connection connection = {.version = BLKBACK_CONNECTION_VERSION};
    int err = read_queues(&front, queues_max, &connection);

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
           connection->queue_count >= 1 && connection->queue_count <= BLKBACK_QUEUES_MAX &&
           connection->indirect_segments <= BLKIF_INDIRECT_SEGMENTS &&
           memchr(connection->image.kind, '\0', sizeof(connection->image.kind)) != NULL;
}

/* SPDX-License-Identifier: MIT */
#include "front.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <xendev/store.h>

#include "kind.h"

/* Event channels of a domain are fewer than this (Xen's fifo ABI). */
#define EVENT_CHANNELS_MAX (1u << 17)

/* The key's path below the front end's directory. */
#define PATH_SIZE 96
static const char *path_of(const struct front *front, const char *key, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s%s", front->prefix, key);
    return path;
}

int front_refuse(const struct front *front, int err, const char *key, const char *reason)
{
    snprintf(front->error->text, sizeof(front->error->text), "the front end's %s%s %s", front->prefix, key, reason);
    return err;
}

int front_read_number(const struct front *front, const char *key, uint32_t *ret_value)
{
    char path[PATH_SIZE];
    int err =
        xendev_store_read_u32(front->store, XENDEV_NO_TXN, front->directory, path_of(front, key, path), ret_value);

    if (err < 0)
        return front_refuse(front, err, key, err == -ENOENT ? "is missing" : "is no number of 32 bits");
    return 0;
}

int front_read_channel(const struct front *front, const char *key, uint32_t *ret_channel)
{
    int err = front_read_number(front, key, ret_channel);

    if (err == 0 && (*ret_channel == 0 || *ret_channel >= EVENT_CHANNELS_MAX))
        return front_refuse(front, -EINVAL, key, "is impossible");
    return err;
}

int front_read_queue_count(const struct front *front, uint32_t queues_max, uint32_t *ret_count)
{
    uint32_t count = 1;
    int err = front_read_number(front, "multi-queue-num-queues", &count);

    if (err < 0 && err != -ENOENT)
        return err;
    if (count == 0 || count > queues_max)
        return front_refuse(front, -EINVAL, "multi-queue-num-queues", count == 0 ? "is 0" : "is more than was offered");
    *ret_count = count;
    return 0;
}

struct front front_queue(const struct front *front, uint32_t index, uint32_t count)
{
    struct front queue = *front;

    if (count > 1)
        snprintf(queue.prefix, sizeof(queue.prefix), "queue-%" PRIu32 "/", index);
    return queue;
}

bool front_says_yes(const struct front *front, const char *key)
{
    uint32_t value = 0;
    char path[PATH_SIZE];

    return xendev_store_read_u32(front->store, XENDEV_NO_TXN, front->directory, path_of(front, key, path), &value) ==
               0 &&
           value == 1;
}

/* SPDX-License-Identifier: MIT */
#include "front.h"

#include <errno.h>
#include <stdio.h>

#include <xendev/store.h>

#include "kind.h"

/* Event channels of a domain are fewer than this (Xen's fifo ABI). */
#define EVENT_CHANNELS_MAX (1u << 17)

int front_refuse(const struct front *front, int err, const char *key, const char *reason)
{
    snprintf(front->error->text, sizeof(front->error->text), "the front end's %s %s", key, reason);
    return err;
}

int front_read_number(const struct front *front, const char *key, uint32_t *ret_value)
{
    int err = xendev_store_read_u32(front->store, XENDEV_NO_TXN, front->directory, key, ret_value);

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

bool front_says_yes(const struct front *front, const char *key)
{
    uint32_t value = 0;

    return xendev_store_read_u32(front->store, XENDEV_NO_TXN, front->directory, key, &value) == 0 && value == 1;
}

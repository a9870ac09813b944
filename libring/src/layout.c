/* SPDX-License-Identifier: MIT */
/* Which ring layouts are possible. A layout comes from our own code, but its size comes from what a guest asked for. */
#include <errno.h>

#include "shared.h"

int shared_check(const void *pages, size_t pages_size, const struct ring_layout *layout)
{
    if (layout->slots == 0 || layout->slots > RING_SLOTS_MAX || (layout->slots & (layout->slots - 1)) != 0)
        return -EINVAL;
    if (layout->request_size == 0 || layout->request_size > RING_REQUEST_MAX || layout->request_size % 4 != 0)
        return -EINVAL;
    if (layout->response_size == 0 || layout->response_size > RING_RESPONSE_MAX || layout->response_size % 4 != 0)
        return -EINVAL;
    if (layout->response_mask >> layout->response_size != 0)
        return -EINVAL;
    if (layout->slot_size % 4 != 0 || layout->slot_size < layout->request_size ||
        layout->slot_size < layout->response_size)
        return -EINVAL;
    if ((uintptr_t)pages % _Alignof(struct ring_shared) != 0)
        return -EINVAL;
    if (pages_size < RING_HEADER_SIZE + (uint64_t)layout->slots * layout->slot_size)
        return -EINVAL;
    return 0;
}

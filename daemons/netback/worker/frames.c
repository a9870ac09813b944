/* SPDX-License-Identifier: MIT */
/*
 * The buffers are one mapping, of which the kernel gives what is touched. The one used last is used next, while it is in the processor's cache.
 */
#include "frames.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define BUFFER_SIZE (NETIF_RX_LENGTH_MAX + RING_PAGE_SIZE) /* whole pages, the headroom included */

struct frames {
    struct frame_list free;
    uint8_t *memory;
    size_t size;
    struct frame all[];
};

int frames_new(unsigned count, struct frames **ret_frames)
{
    struct frames *frames = calloc(1, sizeof *frames + count * sizeof frames->all[0]);

    if (!frames)
        return -ENOMEM;
    frames->size = count * (size_t)BUFFER_SIZE;
    frames->memory = mmap(NULL, frames->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (frames->memory == MAP_FAILED) {
        free(frames);
        return -ENOMEM;
    }
    STAILQ_INIT(&frames->free);
    for (unsigned i = 0; i < count; i++) {
        frames->all[i].bytes = frames->memory + i * (size_t)BUFFER_SIZE + FRAMES_HEADROOM;
        STAILQ_INSERT_TAIL(&frames->free, &frames->all[i], entry);
    }
    *ret_frames = frames;
    return 0;
}

void frames_free(struct frames *frames)
{
    if (!frames)
        return;
    munmap(frames->memory, frames->size);
    free(frames);
}

struct frame *frames_get(struct frames *frames)
{
    struct frame *frame = STAILQ_FIRST(&frames->free);

    if (frame)
        STAILQ_REMOVE_HEAD(&frames->free, entry);
    return frame;
}

void frames_put(struct frames *frames, struct frame *frame)
{
    frame->cut = false;
    STAILQ_INSERT_HEAD(&frames->free, frame, entry);
}

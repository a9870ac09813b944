/* SPDX-License-Identifier: MIT */
/*
 * Buffers for frames on their way to a guest, as many as a card may have on their way; nothing is allocated for a frame.
 */
#ifndef NETBACK_WORKER_FRAMES_H
#define NETBACK_WORKER_FRAMES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <ring/netif.h>
#include <ring/offload.h>

/* Bytes in front of each frame in private memory, for a port to put its header in. */
#define FRAMES_HEADROOM 16u

struct frame {
    STAILQ_ENTRY(frame) entry; /* of the free ones, or of those that wait for a queue */
    uint8_t *bytes;            /* room for NETIF_RX_LENGTH_MAX, and FRAMES_HEADROOM before it */
    uint32_t length;
    struct netif_meta meta;
    uint64_t arrived_ns;
    bool cut; /* it is given to the guest in segments */
    struct offload_segments segments;
};
STAILQ_HEAD(frame_list, frame);

struct frames;

/* Returns 0 or -ENOMEM. */
int frames_new(unsigned count, struct frames **ret_frames);
void frames_free(struct frames *frames);

/* The one that was given back last; NULL: all are in use. */
struct frame *frames_get(struct frames *frames);
void frames_put(struct frames *frames, struct frame *frame);

#endif

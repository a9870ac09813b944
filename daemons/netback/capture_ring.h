/* SPDX-License-Identifier: MIT */
/*
 * A capture on its way from a worker to its supervisor: memory with one frame ring (ring/frame.h), which the worker writes to and never waits for, and
 * a count of the frames that found no room in it. What is a frame to the ring is a struct capture_head with the beginning of a frame behind it.
 *
 * The supervisor makes the memory, sealed, so that it can be read whatever the worker does; what is in it, the worker may have made up.
 */
#ifndef NETBACK_CAPTURE_RING_H
#define NETBACK_CAPTURE_RING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <ring/frame.h>

#include "capture_stream.h"

#define CAPTURE_CAPACITY (4u << 20) /* of the ring, in bytes */

struct capture_head {
    uint64_t time_ns; /* since 1970 */
    uint32_t length;  /* of the frame */
    uint32_t direction;
};
#define CAPTURE_HEAD_SIZE 16u
/* Bytes of a frame that can be captured. */
#define CAPTURE_LENGTH_MAX (FRAME_LENGTH_MAX - CAPTURE_HEAD_SIZE)

/* In front of the ring, which begins at the next page. */
struct capture_shared {
    _Atomic uint64_t dropped;
};
#define CAPTURE_RING 4096u

/* Makes memory with an empty ring. Returns a descriptor, close-on-exec, or -errno. */
int capture_memory_make(void);
/* Maps it. Returns 0; -EINVAL when it is not sealed or not of that size; -errno. */
int capture_memory_map(int fd, struct capture_shared **ret_shared);
/* Takes NULL. */
void capture_memory_unmap(struct capture_shared *shared);

/* The ring in it, for attaching to one of its ends. */
void *capture_memory_ring(struct capture_shared *shared);

/* Takes the head off what was read from the ring, `size` bytes. Returns 0, or -EPROTO for what no worker of ours writes. */
int capture_head_decode(const uint8_t *bytes, uint32_t size, struct capture_head *ret_head);

#endif

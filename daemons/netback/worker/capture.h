/* SPDX-License-Identifier: MIT */
/*
 * A card's capture: copies of its frames for the supervisor, while that wants them.
 */
#ifndef NETBACK_WORKER_CAPTURE_H
#define NETBACK_WORKER_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#include <ring/frame.h>

#include "../capture_ring.h"

/* Embedded by its user, zeroed: there is none. */
struct capture {
    struct capture_shared *shared; /* NULL: there is none */
    struct frame_producer ring;
    int bell;
    uint32_t snaplen; /* bytes of each frame that are captured */
};

/* Begins, in place of the one there is. Takes both descriptors over. One that cannot be is none: the guest is served on. */
void capture_begin(struct capture *capture, int memory, int bell, uint32_t snaplen);
/* Ends, if there is one. */
void capture_end(struct capture *capture);

static inline bool capture_is_on(const struct capture *capture)
{
    return capture->shared;
}

/* Copies a frame, or counts that there was no room. It has CAPTURE_HEAD_SIZE bytes before it that may be written to. */
void capture_frame(struct capture *capture, enum capture_direction direction, uint8_t *frame, uint32_t length,
                   const struct netif_meta *meta);
/* What was copied is to be seen now. */
void capture_flush(struct capture *capture);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The front end's side of a shared ring, for our own guests. It trusts its back end no further than its indices.
 */
#ifndef RING_FRONT_H
#define RING_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ring/layout.h>

struct ring_shared;

/* Embedded by its user, its fields private. */
struct ring_front {
    struct ring_shared *shared;
    struct ring_layout layout;
    uint32_t req_prod;      /* written so far */
    uint32_t req_published; /* of these, what the back end may read */
    uint32_t rsp_cons;
};

/* Makes an empty ring in `pages` with all indices at `start` (0 for a real back end; other values test wrap-around).
 * Returns 0, or -EINVAL. */
int ring_front_init(struct ring_front *front, void *pages, size_t pages_size, const struct ring_layout *layout,
                    uint32_t start);

/* How many more requests fit. */
uint32_t ring_front_room(const struct ring_front *front);

/* Writes one request of `layout.request_size` bytes. Returns 0, or -ENOSPC. */
int ring_front_request(struct ring_front *front, const void *request);

/* Makes the requests written so far visible. Returns true when the peer asked for an event. */
bool ring_front_publish(struct ring_front *front);

/* Reads one response of `layout.response_size` bytes. Returns 1; 0 when there is none; -EPROTO when the back end's
 * producer is impossible. */
int ring_front_consume(struct ring_front *front, void *ret_response);

/* Asks for an event with the next response. Returns true when one came in meanwhile. */
bool ring_front_rearm(struct ring_front *front);

#endif

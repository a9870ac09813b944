/* SPDX-License-Identifier: MIT */
/*
 * Numbered payloads: each says of which flow it is and its place in it, and the rest of its bytes follow from that; so whoever receives them knows what
 * was lost, came twice, out of order, or changed on its way.
 *
 *   offset  bytes                         (big endian)
 *        0      4   NUMBERS_MAGIC
 *        4      4   flow
 *        8      8   place in the flow, from 0
 *       16      4   bytes of the payload, this header included
 *       20      -   bytes that follow from flow and place
 */
#ifndef GUEST_NUMBERS_H
#define GUEST_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NUMBERS_MAGIC     0x52424e31u /* "RBN1" */
#define NUMBERS_SIZE_MIN  20u
#define NUMBERS_FLOWS_MAX 16u

/* Writes a payload of `size` bytes, at least NUMBERS_SIZE_MIN. */
void numbers_fill(uint8_t *bytes, size_t size, uint32_t flow, uint64_t place);

struct numbers_flow {
    uint32_t flow;
    uint8_t *seen;     /* a bit a place */
    uint64_t room;     /* of the bits */
    uint64_t highest;  /* place seen, plus one */
    uint64_t received; /* once or more often */
};

struct numbers {
    struct numbers_flow flows[NUMBERS_FLOWS_MAX];
    unsigned count;
    uint64_t received; /* places, each counted once */
    uint64_t bytes;
    uint64_t duplicated; /* came again */
    uint64_t reordered;  /* came after a later one */
    uint64_t corrupt;    /* not what was sent */
};

/* Takes one that came; `size` may be more than it has (a short frame is padded). Returns whether it is right, and not seen before. */
bool numbers_take(struct numbers *numbers, const uint8_t *bytes, size_t size);
/* Places below the highest seen that were not. */
uint64_t numbers_missing(const struct numbers *numbers);
void numbers_free(struct numbers *numbers);

#endif

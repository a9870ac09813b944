/* SPDX-License-Identifier: MIT */
/*
 * The shape of one shared ring: a 64-byte header (req_prod, req_event, rsp_prod, rsp_event: uint32_t each, then
 * padding) followed by a power of two of slots, each large enough for a request or a response. Source: xen/io/ring.h.
 */
#ifndef RING_LAYOUT_H
#define RING_LAYOUT_H

#include <stdint.h>

#define RING_PAGE_SIZE    4096u
#define RING_HEADER_SIZE  64u
#define RING_REQUEST_MAX  112u /* bytes: blkif's, the largest request of any protocol here */
#define RING_RESPONSE_MAX 16u  /* bytes */
#define RING_SLOTS_MAX    1024u

struct ring_layout {
    uint32_t slots;         /* a power of two, 1..RING_SLOTS_MAX */
    uint32_t slot_size;     /* bytes, a multiple of 4 */
    uint32_t request_size;  /* bytes read from a slot, a multiple of 4, <= RING_REQUEST_MAX */
    uint32_t response_size; /* bytes of a response, a multiple of 4, <= RING_RESPONSE_MAX */
    uint32_t
        response_mask; /* bit n: byte n of a response is written to its slot; padding keeps what the guest put there */
};

#endif

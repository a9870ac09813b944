/* SPDX-License-Identifier: MIT */
/*
 * The control ring of a network device, by which a guest sets up how its packets are spread over its queues: the
 * messages, and what they do to struct netif_hash. The ring itself is a plain struct ring_back.
 *
 * One cycle:   ring_back_consume -> netif_ctrl_decode -> netif_ctrl_fetch; when it wants bytes of a page, copy them by
 *              grant -> netif_ctrl_execute -> netif_ctrl_encode -> ring_back_respond -> publish.
 *
 * Requests are executed one after the other. Executing one again changes nothing more, so a ring_back_recover() that
 * replays is all that is needed when a process dies; the hash must lie in memory that outlives it.
 */
#ifndef RING_NETIF_CTRL_H
#define RING_NETIF_CTRL_H

#include <stdint.h>

#include <ring/layout.h>
#include <ring/netif_hash.h>

/* XEN_NETIF_CTRL_TYPE_*, as far as they are supported. */
enum netif_ctrl_type {
    NETIF_CTRL_GET_HASH_FLAGS = 1,
    NETIF_CTRL_SET_HASH_FLAGS = 2,
    NETIF_CTRL_SET_HASH_KEY = 3,
    NETIF_CTRL_GET_HASH_MAPPING_SIZE = 4,
    NETIF_CTRL_SET_HASH_MAPPING_SIZE = 5,
    NETIF_CTRL_SET_HASH_MAPPING = 6,
    NETIF_CTRL_SET_HASH_ALGORITHM = 7,
};

/* XEN_NETIF_CTRL_STATUS_*. */
enum netif_ctrl_status {
    NETIF_CTRL_SUCCESS = 0,
    NETIF_CTRL_NOT_SUPPORTED = 1,
    NETIF_CTRL_INVALID_PARAMETER = 2,
    NETIF_CTRL_BUFFER_OVERFLOW = 3,
};

/* Exactly as the guest sent it: nothing here is validated. */
struct netif_ctrl_request {
    uint16_t id;
    uint16_t type; /* enum netif_ctrl_type, or anything */
    uint32_t data[3];
};

struct netif_ctrl_response {
    uint16_t id;
    uint16_t type;
    uint32_t status; /* enum netif_ctrl_status */
    uint32_t data;
};

struct ring_layout netif_ctrl_layout(void);

/* Each reads or makes the bytes of one slot, in private memory; the latter two are for front ends. None can fail. */
void netif_ctrl_decode(const void *bytes, struct netif_ctrl_request *ret_request);
void netif_ctrl_encode(const struct netif_ctrl_response *response, void *ret_bytes);
void netif_ctrl_request_encode(const struct netif_ctrl_request *request, void *ret_bytes);
void netif_ctrl_response_decode(const void *bytes, struct netif_ctrl_response *ret_response);

/* How many bytes a request needs from the beginning of a page of the guest's, at most RING_PAGE_SIZE, and sets the page.
 * 0 when it needs none, or is refused whatever they are. */
uint32_t netif_ctrl_fetch(const struct netif_hash *hash, const struct netif_ctrl_request *request, uint32_t *ret_gref);

/* Executes a request. `bytes`: as many as netif_ctrl_fetch() said, in private memory; NULL when they could not be
 * copied. A request that is refused changes nothing. */
void netif_ctrl_execute(struct netif_hash *hash, const struct netif_ctrl_request *request, const void *bytes,
                        struct netif_ctrl_response *ret_response);

#endif

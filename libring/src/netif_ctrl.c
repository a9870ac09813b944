/* SPDX-License-Identifier: MIT */
/*
 * The control ring's messages.
 *
 * A request is judged by its numbers alone first, so that nothing is copied for one that is refused anyway, and once
 * more by the bytes it brought. What it changes is changed last. The statuses are those of Linux's back end, where the
 * protocol leaves a choice.
 *
 * A process that is killed while it changes the hash leaves its request in flight; executed again, it writes all of the
 * same fields again.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <xen/xen.h>
#include <xen/io/netif.h>

#include <ring/netif_ctrl.h>

static_assert(NETIF_CTRL_GET_HASH_FLAGS == XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS &&
                  NETIF_CTRL_SET_HASH_FLAGS == XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS &&
                  NETIF_CTRL_SET_HASH_KEY == XEN_NETIF_CTRL_TYPE_SET_HASH_KEY &&
                  NETIF_CTRL_GET_HASH_MAPPING_SIZE == XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE &&
                  NETIF_CTRL_SET_HASH_MAPPING_SIZE == XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE &&
                  NETIF_CTRL_SET_HASH_MAPPING == XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING &&
                  NETIF_CTRL_SET_HASH_ALGORITHM == XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM,
              "types");
static_assert(NETIF_CTRL_SUCCESS == XEN_NETIF_CTRL_STATUS_SUCCESS &&
                  NETIF_CTRL_NOT_SUPPORTED == XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED &&
                  NETIF_CTRL_INVALID_PARAMETER == XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER &&
                  NETIF_CTRL_BUFFER_OVERFLOW == XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW,
              "statuses");
static_assert(NETIF_HASH_TYPES_ALL == (XEN_NETIF_CTRL_HASH_TYPE_IPV4 | XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP |
                                       XEN_NETIF_CTRL_HASH_TYPE_IPV6 | XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP),
              "types of hash");
static_assert(NETIF_HASH_MAPPING_MAX * sizeof(uint32_t) <= RING_PAGE_SIZE && NETIF_HASH_KEY_MAX <= RING_PAGE_SIZE,
              "a page holds a whole table, and a key");

struct ring_layout netif_ctrl_layout(void)
{
    return (struct ring_layout){
        .slots = __CONST_RING_SIZE(xen_netif_ctrl, RING_PAGE_SIZE),
        .slot_size = sizeof(union xen_netif_ctrl_sring_entry),
        .request_size = sizeof(struct xen_netif_ctrl_request),
        .response_size = sizeof(struct xen_netif_ctrl_response),
        .response_mask = (1u << sizeof(struct xen_netif_ctrl_response)) - 1,
    };
}

void netif_ctrl_decode(const void *bytes, struct netif_ctrl_request *ret_request)
{
    struct xen_netif_ctrl_request wire;
    memcpy(&wire, bytes, sizeof wire);
    *ret_request = (struct netif_ctrl_request){
        .id = wire.id, .type = wire.type, .data = {wire.data[0], wire.data[1], wire.data[2]}};
}

void netif_ctrl_request_encode(const struct netif_ctrl_request *request, void *ret_bytes)
{
    const struct xen_netif_ctrl_request wire = {
        .id = request->id,
        .type = request->type,
        .data = {request->data[0], request->data[1], request->data[2]},
    };
    memcpy(ret_bytes, &wire, sizeof wire);
}

void netif_ctrl_encode(const struct netif_ctrl_response *response, void *ret_bytes)
{
    const struct xen_netif_ctrl_response wire = {
        .id = response->id, .type = response->type, .status = response->status, .data = response->data};
    memcpy(ret_bytes, &wire, sizeof wire);
}

void netif_ctrl_response_decode(const void *bytes, struct netif_ctrl_response *ret_response)
{
    struct xen_netif_ctrl_response wire;
    memcpy(&wire, bytes, sizeof wire);
    *ret_response =
        (struct netif_ctrl_response){.id = wire.id, .type = wire.type, .status = wire.status, .data = wire.data};
}

/* ---- What a request may ask for. --------------------------------------------------------------------------------- */

/* A part of the table: entries and where they begin. Compared with what is left, since the sum may wrap. */
static bool within_mapping(const struct netif_hash *hash, uint32_t count, uint32_t first)
{
    return count <= hash->mapping_size && first <= hash->mapping_size - count;
}

/* Judges a request by its numbers. */
static enum netif_ctrl_status judge(const struct netif_hash *hash, const struct netif_ctrl_request *request)
{
    const bool selected = hash->algorithm != NETIF_HASH_NONE;
    bool valid = true;
    switch (request->type) {
    case NETIF_CTRL_GET_HASH_FLAGS:
        return selected ? NETIF_CTRL_SUCCESS : NETIF_CTRL_NOT_SUPPORTED;
    case NETIF_CTRL_SET_HASH_FLAGS:
        valid = selected && (request->data[0] & ~NETIF_HASH_TYPES_ALL) == 0;
        break;
    case NETIF_CTRL_SET_HASH_KEY:
        return request->data[1] <= NETIF_HASH_KEY_MAX ? NETIF_CTRL_SUCCESS : NETIF_CTRL_BUFFER_OVERFLOW;
    case NETIF_CTRL_GET_HASH_MAPPING_SIZE:
        break;
    case NETIF_CTRL_SET_HASH_MAPPING_SIZE:
        valid = request->data[0] <= NETIF_HASH_MAPPING_MAX;
        break;
    case NETIF_CTRL_SET_HASH_MAPPING:
        valid = within_mapping(hash, request->data[1], request->data[2]);
        break;
    case NETIF_CTRL_SET_HASH_ALGORITHM:
        valid = request->data[0] <= NETIF_HASH_TOEPLITZ;
        break;
    default:
        return NETIF_CTRL_NOT_SUPPORTED;
    }
    return valid ? NETIF_CTRL_SUCCESS : NETIF_CTRL_INVALID_PARAMETER;
}

uint32_t netif_ctrl_fetch(const struct netif_hash *hash, const struct netif_ctrl_request *request, uint32_t *ret_gref)
{
    uint32_t size = 0;
    if (judge(hash, request) != NETIF_CTRL_SUCCESS)
        return 0;
    if (request->type == NETIF_CTRL_SET_HASH_KEY)
        size = request->data[1];
    if (request->type == NETIF_CTRL_SET_HASH_MAPPING)
        size = request->data[1] * (uint32_t)sizeof(uint32_t);
    if (size > 0)
        *ret_gref = request->data[0];
    return size;
}

/* ---- Doing it. --------------------------------------------------------------------------------------------------- */

static enum netif_ctrl_status set_mapping(struct netif_hash *hash, const struct netif_ctrl_request *request,
                                          const void *bytes)
{
    uint32_t entries[NETIF_HASH_MAPPING_MAX];
    memcpy(entries, bytes, request->data[1] * sizeof entries[0]);
    for (uint32_t i = 0; i < request->data[1]; i++)
        if (entries[i] >= hash->queues)
            return NETIF_CTRL_INVALID_PARAMETER;
    memcpy(hash->mapping + request->data[2], entries, request->data[1] * sizeof entries[0]);
    return NETIF_CTRL_SUCCESS;
}

static void set_key(struct netif_hash *hash, const struct netif_ctrl_request *request, const void *bytes)
{
    if (request->data[1] > 0)
        memcpy(hash->key, bytes, request->data[1]);
    memset(hash->key + request->data[1], 0, sizeof hash->key - request->data[1]);
}

void netif_ctrl_execute(struct netif_hash *hash, const struct netif_ctrl_request *request, const void *bytes,
                        struct netif_ctrl_response *ret_response)
{
    uint32_t gref, data = 0;
    enum netif_ctrl_status status = judge(hash, request);
    if (netif_ctrl_fetch(hash, request, &gref) > 0 && !bytes)
        status = NETIF_CTRL_INVALID_PARAMETER;

    if (status == NETIF_CTRL_SUCCESS)
        switch (request->type) {
        case NETIF_CTRL_GET_HASH_FLAGS:
            data = NETIF_HASH_TYPES_ALL;
            break;
        case NETIF_CTRL_SET_HASH_FLAGS:
            hash->types = request->data[0];
            break;
        case NETIF_CTRL_SET_HASH_KEY:
            set_key(hash, request, bytes);
            break;
        case NETIF_CTRL_GET_HASH_MAPPING_SIZE:
            data = NETIF_HASH_MAPPING_MAX;
            break;
        case NETIF_CTRL_SET_HASH_MAPPING_SIZE:
            memset(hash->mapping, 0, sizeof hash->mapping);
            hash->mapping_size = request->data[0];
            break;
        case NETIF_CTRL_SET_HASH_MAPPING:
            if (request->data[1] > 0)
                status = set_mapping(hash, request, bytes);
            break;
        default: /* NETIF_CTRL_SET_HASH_ALGORITHM: judge() knows no other */
            hash->algorithm = request->data[0];
        }
    *ret_response = (struct netif_ctrl_response){
        .id = request->id, .type = request->type, .status = (uint32_t)status, .data = data};
}

/* SPDX-License-Identifier: MIT */
/*
 * The network protocol's slots and their native form. Both ends run on one machine: bytes are in its order. The layouts
 * are Xen's own structs, copied in and out by value, because private memory too may be aligned to anything.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <xen/xen.h>
#include <xen/io/netif.h>

#include <ring/netif.h>

static_assert(NETIF_TX_CSUM_BLANK == NETTXF_csum_blank && NETIF_TX_DATA_VALIDATED == NETTXF_data_validated &&
                  NETIF_TX_MORE_DATA == NETTXF_more_data && NETIF_TX_EXTRA_INFO == NETTXF_extra_info,
              "tx flags");
static_assert(NETIF_RX_CSUM_BLANK == NETRXF_csum_blank && NETIF_RX_DATA_VALIDATED == NETRXF_data_validated &&
                  NETIF_RX_MORE_DATA == NETRXF_more_data && NETIF_RX_EXTRA_INFO == NETRXF_extra_info,
              "rx flags");
static_assert(NETIF_STATUS_DROPPED == NETIF_RSP_DROPPED && NETIF_STATUS_ERROR == NETIF_RSP_ERROR &&
                  NETIF_STATUS_OKAY == NETIF_RSP_OKAY && NETIF_STATUS_NULL == NETIF_RSP_NULL,
              "statuses");
static_assert(NETIF_EXTRA_GSO == XEN_NETIF_EXTRA_TYPE_GSO &&
                  NETIF_EXTRA_MULTICAST_ADD == XEN_NETIF_EXTRA_TYPE_MCAST_ADD &&
                  NETIF_EXTRA_MULTICAST_DEL == XEN_NETIF_EXTRA_TYPE_MCAST_DEL &&
                  NETIF_EXTRA_HASH == XEN_NETIF_EXTRA_TYPE_HASH && NETIF_EXTRA_XDP == NETIF_EXTRAS_MAX &&
                  NETIF_EXTRAS_MAX >= XEN_NETIF_EXTRA_TYPE_MAX - 1 && NETIF_EXTRA_MORE == XEN_NETIF_EXTRA_FLAG_MORE,
              "extras");
static_assert(NETIF_GSO_NONE == XEN_NETIF_GSO_TYPE_NONE && NETIF_GSO_TCPV4 == XEN_NETIF_GSO_TYPE_TCPV4 &&
                  NETIF_GSO_TCPV6 == XEN_NETIF_GSO_TYPE_TCPV6,
              "kinds of segmentation");
static_assert(NETIF_HASH_NONE == XEN_NETIF_CTRL_HASH_ALGORITHM_NONE &&
                  NETIF_HASH_TOEPLITZ == XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ &&
                  NETIF_HASH_IPV4 == _XEN_NETIF_CTRL_HASH_TYPE_IPV4 &&
                  NETIF_HASH_IPV4_TCP == _XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP &&
                  NETIF_HASH_IPV6 == _XEN_NETIF_CTRL_HASH_TYPE_IPV6 &&
                  NETIF_HASH_IPV6_TCP == _XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP,
              "hashes");
static_assert(NETIF_RING_SLOTS == __CONST_RING_SIZE(netif_tx, RING_PAGE_SIZE) &&
                  NETIF_RING_SLOTS == __CONST_RING_SIZE(netif_rx, RING_PAGE_SIZE) &&
                  NETIF_LENGTH_MAX == XEN_NETIF_MAX_TX_SIZE && NETIF_RX_PIECES_MAX == XEN_NETIF_NR_SLOTS_MIN - 1,
              "limits");

#define ALL_BYTES(type) ((1u << sizeof(type)) - 1)

struct ring_layout netif_tx_layout(void)
{
    return (struct ring_layout){
        .slots = NETIF_RING_SLOTS,
        .slot_size = sizeof(union netif_tx_sring_entry),
        .request_size = sizeof(struct netif_tx_request),
        .response_size = sizeof(struct netif_tx_response),
        .response_mask = ALL_BYTES(struct netif_tx_response),
    };
}

struct ring_layout netif_rx_layout(void)
{
    return (struct ring_layout){
        .slots = NETIF_RING_SLOTS,
        .slot_size = sizeof(union netif_rx_sring_entry),
        .request_size = sizeof(struct netif_rx_request),
        .response_size = sizeof(struct netif_rx_response),
        .response_mask = ALL_BYTES(struct netif_rx_response),
    };
}

void netif_tx_request_decode(const void *bytes, struct netif_tx_request_slot *ret_slot)
{
    struct netif_tx_request wire;
    memcpy(&wire, bytes, sizeof wire);
    *ret_slot = (struct netif_tx_request_slot){
        .gref = wire.gref, .offset = wire.offset, .flags = wire.flags, .id = wire.id, .size = wire.size};
}

void netif_tx_request_encode(const struct netif_tx_request_slot *slot, void *ret_bytes)
{
    const struct netif_tx_request wire = {
        .gref = slot->gref, .offset = slot->offset, .flags = slot->flags, .id = slot->id, .size = slot->size};
    memcpy(ret_bytes, &wire, sizeof wire);
}

void netif_tx_response_decode(const void *bytes, struct netif_tx_response_slot *ret_slot)
{
    struct netif_tx_response wire;
    memcpy(&wire, bytes, sizeof wire);
    *ret_slot = (struct netif_tx_response_slot){.id = wire.id, .status = wire.status};
}

void netif_tx_response_encode(const struct netif_tx_response_slot *slot, void *ret_bytes)
{
    const struct netif_tx_response wire = {.id = slot->id, .status = slot->status};
    memcpy(ret_bytes, &wire, sizeof wire);
}

void netif_rx_request_decode(const void *bytes, struct netif_rx_request_slot *ret_slot)
{
    struct netif_rx_request wire;
    memcpy(&wire, bytes, sizeof wire);
    *ret_slot = (struct netif_rx_request_slot){.id = wire.id, .gref = wire.gref};
}

void netif_rx_request_encode(const struct netif_rx_request_slot *slot, void *ret_bytes)
{
    const struct netif_rx_request wire = {.id = slot->id, .gref = slot->gref};
    memcpy(ret_bytes, &wire, sizeof wire);
}

void netif_rx_response_decode(const void *bytes, struct netif_rx_response_slot *ret_slot)
{
    struct netif_rx_response wire;
    memcpy(&wire, bytes, sizeof wire);
    *ret_slot = (struct netif_rx_response_slot){
        .id = wire.id, .offset = wire.offset, .flags = wire.flags, .status = wire.status};
}

void netif_rx_response_encode(const struct netif_rx_response_slot *slot, void *ret_bytes)
{
    const struct netif_rx_response wire = {
        .id = slot->id, .offset = slot->offset, .flags = slot->flags, .status = slot->status};
    memcpy(ret_bytes, &wire, sizeof wire);
}

void netif_extra_decode(const void *bytes, struct netif_extra_slot *ret_slot)
{
    struct netif_extra_info wire;
    memcpy(&wire, bytes, sizeof wire);
    *ret_slot = (struct netif_extra_slot){.type = wire.type, .flags = wire.flags};
    switch (wire.type) {
    case NETIF_EXTRA_GSO:
        ret_slot->gso.size = wire.u.gso.size;
        ret_slot->gso.type = wire.u.gso.type;
        break;
    case NETIF_EXTRA_HASH:
        ret_slot->hash.type = wire.u.hash.type;
        ret_slot->hash.algorithm = wire.u.hash.algorithm;
        memcpy(&ret_slot->hash.value, wire.u.hash.value, sizeof ret_slot->hash.value);
        break;
    default:
        memcpy(ret_slot->address, wire.u.mcast.addr, sizeof ret_slot->address);
    }
}

void netif_extra_encode(const struct netif_extra_slot *slot, void *ret_bytes)
{
    struct netif_extra_info wire = {.type = slot->type, .flags = slot->flags};
    switch (slot->type) {
    case NETIF_EXTRA_GSO:
        wire.u.gso.size = slot->gso.size;
        wire.u.gso.type = slot->gso.type;
        break;
    case NETIF_EXTRA_HASH:
        wire.u.hash.type = slot->hash.type;
        wire.u.hash.algorithm = slot->hash.algorithm;
        memcpy(wire.u.hash.value, &slot->hash.value, sizeof wire.u.hash.value);
        break;
    default:
        memcpy(wire.u.mcast.addr, slot->address, sizeof slot->address);
    }
    memcpy(ret_bytes, &wire, sizeof wire);
}

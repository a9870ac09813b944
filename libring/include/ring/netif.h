/* SPDX-License-Identifier: MIT */
/*
 * The network protocol's messages: decoded from private memory into one native form, and encoded. What may follow what,
 * and what a guest is allowed to say, is checked where packets are put together: ring/netif_tx.h and ring/netif_rx.h.
 *
 * Source: xen/io/netif.h. All ABIs lay these structs out alike. "tx" is what the guest sends, "rx" what it receives.
 */
#ifndef RING_NETIF_H
#define RING_NETIF_H

#include <stdbool.h>
#include <stdint.h>

#include <ring/layout.h>

#define NETIF_RING_SLOTS    256u   /* of a tx or rx ring, one page each */
#define NETIF_LENGTH_MAX    65535u /* bytes of a packet that a guest sends: the first slot's size has 16 bits */
#define NETIF_LENGTH_MIN    14u    /* an Ethernet header */
#define NETIF_EXTRAS_MAX    5u     /* one of each type */
#define NETIF_ADDRESS_LEN   6u
#define NETIF_RX_PIECES_MAX 17u /* slots with data that a guest is sent of a packet: Linux drops 18 full ones */
#define NETIF_RX_LENGTH_MAX (NETIF_RX_PIECES_MAX * RING_PAGE_SIZE) /* bytes of a packet that a guest receives */

struct ring_layout netif_tx_layout(void);
struct ring_layout netif_rx_layout(void);

/* NETTXF_*, and NETRXF_*: the first two are the other way round there. */
enum netif_tx_flag {
    NETIF_TX_CSUM_BLANK = 1,
    NETIF_TX_DATA_VALIDATED = 2,
    NETIF_TX_MORE_DATA = 4,
    NETIF_TX_EXTRA_INFO = 8,
};
enum netif_rx_flag {
    NETIF_RX_DATA_VALIDATED = 1,
    NETIF_RX_CSUM_BLANK = 2,
    NETIF_RX_MORE_DATA = 4,
    NETIF_RX_EXTRA_INFO = 8,
};

/* NETIF_RSP_*. */
enum netif_status {
    NETIF_STATUS_DROPPED = -2,
    NETIF_STATUS_ERROR = -1,
    NETIF_STATUS_OKAY = 0,
    NETIF_STATUS_NULL = 1, /* tx: the answer to an extra */
};

/* XEN_NETIF_EXTRA_TYPE_*, XEN_NETIF_EXTRA_FLAG_MORE, XEN_NETIF_GSO_TYPE_*. */
enum netif_extra_type {
    NETIF_EXTRA_GSO = 1,
    NETIF_EXTRA_MULTICAST_ADD = 2,
    NETIF_EXTRA_MULTICAST_DEL = 3,
    NETIF_EXTRA_HASH = 4,
    NETIF_EXTRA_XDP = 5, /* not in Xen 4.17's header; tells of headroom before what was received, and nothing on tx */
};
#define NETIF_EXTRA_MORE 1u
enum netif_gso { NETIF_GSO_NONE, NETIF_GSO_TCPV4, NETIF_GSO_TCPV6 };

/* XEN_NETIF_CTRL_HASH_ALGORITHM_*, and _XEN_NETIF_CTRL_HASH_TYPE_*: what a hash was made of. */
enum netif_hash_algorithm { NETIF_HASH_NONE, NETIF_HASH_TOEPLITZ };
enum netif_hash_type { NETIF_HASH_IPV4, NETIF_HASH_IPV4_TCP, NETIF_HASH_IPV6, NETIF_HASH_IPV6_TCP };
#define NETIF_HASH_TYPE_LAST NETIF_HASH_IPV6_TCP

/* ---- One slot of a ring. Nothing here is validated. -------------------------------------------------------------- */

struct netif_tx_request_slot {
    uint32_t gref;
    uint16_t offset;
    uint16_t flags; /* enum netif_tx_flag, or anything */
    uint16_t id;
    uint16_t size; /* of the whole packet in its first slot, else of this piece */
};

struct netif_tx_response_slot {
    uint16_t id;
    int16_t status;
};

struct netif_rx_request_slot {
    uint16_t id;
    uint32_t gref;
};

struct netif_rx_response_slot {
    uint16_t id;
    uint16_t offset;
    uint16_t flags; /* enum netif_rx_flag, or anything */
    int16_t status; /* bytes, or enum netif_status */
};

/* Takes the place of a tx request or of an rx response. */
struct netif_extra_slot {
    uint8_t type;  /* enum netif_extra_type, or anything */
    uint8_t flags; /* NETIF_EXTRA_MORE, or anything */
    union {
        struct {
            uint16_t size; /* most payload bytes of each segment */
            uint8_t type;  /* enum netif_gso, or anything */
        } gso;
        uint8_t address[NETIF_ADDRESS_LEN];
        struct {
            uint8_t type;      /* enum netif_hash_type, or anything */
            uint8_t algorithm; /* enum netif_hash_algorithm, or anything */
            uint32_t value;
        } hash;
    };
};

/* Each reads the bytes of one slot, as ring_back_consume() or ring_front_consume() hand them out, or makes them. None
 * can fail. */
void netif_tx_request_decode(const void *bytes, struct netif_tx_request_slot *ret_slot);
void netif_tx_request_encode(const struct netif_tx_request_slot *slot, void *ret_bytes);
void netif_tx_response_decode(const void *bytes, struct netif_tx_response_slot *ret_slot);
void netif_tx_response_encode(const struct netif_tx_response_slot *slot, void *ret_bytes);
void netif_rx_request_decode(const void *bytes, struct netif_rx_request_slot *ret_slot);
void netif_rx_request_encode(const struct netif_rx_request_slot *slot, void *ret_bytes);
void netif_rx_response_decode(const void *bytes, struct netif_rx_response_slot *ret_slot);
void netif_rx_response_encode(const struct netif_rx_response_slot *slot, void *ret_bytes);
/* An extra has 8 bytes in both rings. Only the fields of its type are meaningful. */
void netif_extra_decode(const void *bytes, struct netif_extra_slot *ret_slot);
void netif_extra_encode(const struct netif_extra_slot *slot, void *ret_bytes);

/* ---- What is said of a packet beside its data, once it is validated. --------------------------------------------- */

enum netif_multicast { NETIF_MULTICAST_NONE, NETIF_MULTICAST_ADD, NETIF_MULTICAST_DEL };

struct netif_meta {
    bool csum_blank;     /* the TCP or UDP checksum is to be filled in by whoever needs it */
    bool data_validated; /* the checksum needs no check */
    enum netif_gso gso;
    uint16_t gso_size; /* not 0 with a gso */
    bool hashed;
    enum netif_hash_type hash_type;
    uint32_t hash;
    enum netif_multicast multicast; /* tx: no packet at all, but a change of the guest's filter */
    uint8_t address[NETIF_ADDRESS_LEN];
};

/* A piece of a packet, within one page of the guest's. */
struct netif_piece {
    uint32_t gref;
    uint16_t offset;
    uint16_t length; /* 1..4096 - offset */
};

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A network card's counters: the file `counters` of its run directory, written by the worker through a mapping, read by the supervisor with
 * pread(). They outlive the worker; its successor counts on. Every field but the header is a 64-bit number stored whole.
 *
 * "tx" is what the guest sends, "rx" what it receives.
 */
#ifndef NETBACK_COUNTERS_H
#define NETBACK_COUNTERS_H

#include <stdint.h>

#include <ring/netif_tx.h>

#include "protocol.h"

#define NETBACK_COUNTERS_MAGIC   0x726e6263u /* "rnbc" */
#define NETBACK_COUNTERS_VERSION 1u

/* Why a frame did not go on: after those of enum netif_fault on tx. */
enum netback_tx_drop {
    NETBACK_TX_DROP_PORT,    /* the port took it not: it is full, down, or gone */
    NETBACK_TX_DROP_OFFLOAD, /* what is said of its checksum or segmentation does not fit the frame */
    NETBACK_TX_DROPS
};
enum netback_rx_drop {
    NETBACK_RX_DROP_FULL,      /* it waited for room too long, or there was none to wait in */
    NETBACK_RX_DROP_STALLED,   /* the guest has stopped taking frames */
    NETBACK_RX_DROP_MULTICAST, /* it was not asked for */
    NETBACK_RX_DROP_LARGE,     /* larger than the guest takes */
    NETBACK_RX_DROP_OFFLOAD,   /* as on tx, or the guest takes no such thing and it cannot be made into what it takes */
    NETBACK_RX_DROP_GRANT,     /* a page of the guest's could not be written */
    NETBACK_RX_DROPS
};

/* A ring when its worker last went idle or last finished a turn. */
struct netback_ring_counters {
    uint64_t req_prod, req_event, rsp_prod, rsp_event, req_cons, in_flight, slots;
};

struct netback_queue_counters {
    uint64_t tx_packets, tx_bytes; /* sent to the port */
    uint64_t tx_gso;               /* of these, to be cut into segments by whoever needs them cut */
    uint64_t tx_faults[NETIF_FAULTS];
    uint64_t tx_drops[NETBACK_TX_DROPS];
    uint64_t tx_multicast;         /* changes of the filter asked for */
    uint64_t tx_replayed;          /* packets taken from a dead worker's journal */
    uint64_t tx_copies;            /* pieces copied from the guest */
    uint64_t tx_waits;             /* times the rate limit made it wait */
    uint64_t rx_packets, rx_bytes; /* given to the guest */
    uint64_t rx_gso;
    uint64_t rx_drops[NETBACK_RX_DROPS];
    uint64_t rx_copies;     /* pieces copied to the guest */
    uint64_t rx_full;       /* times a frame found no room with the guest, and waited */
    uint64_t rx_stalls;     /* times the guest was held to have stalled */
    uint64_t rx_waiting;    /* bytes of frames that wait for room, now */
    uint64_t events;        /* received from the guest */
    uint64_t notifications; /* sent to the guest */
    uint64_t polls_hit;     /* times the rings were watched while idle, and work came */
    uint64_t polls_missed;  /* the same, in vain */
    struct netback_ring_counters tx_ring, rx_ring;
};

struct netback_counters {
    uint32_t magic;
    uint32_t version;
    uint64_t recovery_ns;   /* the last recovery: from the worker being told to the guest being notified */
    uint64_t carrier;       /* 1: the guest takes frames */
    uint64_t filter_size;   /* multicast addresses it asked for */
    uint64_t filter_full;   /* times there was no place for another */
    uint64_t hash;          /* 1: packets are spread over the queues by the guest's hash */
    uint64_t ctrl_requests; /* on the control ring */
    uint64_t ctrl_refused;  /* of these */
    uint64_t queue_count;
    struct netback_queue_counters queues[NETBACK_QUEUES_MAX];
};

#endif

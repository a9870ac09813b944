/* SPDX-License-Identifier: MIT */
/*
 * What netbackd's supervisor and its workers say to each other beside what backend/protocol.h has, and the descriptors that ride along:
 *
 *   supervisor                                worker
 *   BACKEND_SERVE  [fence, listener, crash] ->
 *   BACKEND_CONNECT [journal, state, counters, port...] ->
 *   NETBACK_TUNE                         ->   from now on, and until the next; not answered
 *   NETBACK_CAPTURE [memory, bell]       ->   from now on the card's frames are copied into that memory (capture_ring.h), and the bell, an eventfd, is rung when
 *                                             the ring says so; without descriptors: no longer. Not answered. Ends with the channel, too
 *                                        <-   NETBACK_CARRIER, at any time while connected: the guest takes no frames any more, or takes
 *                                             them again; said when that changes. After BACKEND_CONNECTED and NETBACK_TUNE it is
 *                                             held to take them
 *                                        <-   BACKEND_HELD [port...]: the descriptors it works with, as they came
 *
 * The port is what the frames go to and come from, of one of two kinds:
 *
 *   NETBACK_PORT_TAP      a descriptor for each queue, of one tap device, opened with IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, and IFF_MULTI_QUEUE when
 *                         there are several; non-blocking; TUNSETVNETHDRSZ set to NETBACK_TAP_HEADER_SIZE, and TUNSETOFFLOAD to what
 *                         the guest takes (netback_connection.features).
 *   NETBACK_PORT_SWITCH   [memory, bell in, bell out] as bridge/port.h tells: at PORT_RING_IN the worker writes, at port_ring_out() it reads; it
 *                         rings "bell in" and is rung by "bell out".
 *
 * The files `journal` and `state` outlive the worker and are of netback_journal_size() and NETBACK_STATE_SIZE bytes; for a new connection they are
 * new, and all zeroes. The file `counters` is struct netback_counters (netback/counters.h).
 */
#ifndef NETBACK_PROTOCOL_H
#define NETBACK_PROTOCOL_H

#include <stdint.h>

#include <backend/protocol.h>
#include <ring/netif.h>

/* Of messages. To be counted up with every change of one: a worker of another version is drained, not talked to. */
#ifndef NETBACK_PROTOCOL_VERSION
#define NETBACK_PROTOCOL_VERSION 2u /* tests build others */
#endif
/* Of recorded connections. Every version's record begins with version, word and generation. */
#define NETBACK_CONNECTION_VERSION 1u
#define NETBACK_QUEUES_MAX         8u
#define NETBACK_STATE_SIZE         4096u
#define NETBACK_TAP_HEADER_SIZE    12 /* struct virtio_net_hdr_mrg_rxbuf */

/* Descriptors before the port's. */
enum netback_connect_fd { NETBACK_FD_JOURNAL, NETBACK_FD_STATE, NETBACK_FD_COUNTERS, NETBACK_FD_PORT };
#define NETBACK_SWITCH_FDS 3u

enum netback_message_type {
    NETBACK_TUNE = BACKEND_OWN,
    NETBACK_CARRIER,
    NETBACK_CAPTURE,
};
#define NETBACK_CAPTURE_FDS 2u

enum netback_port { NETBACK_PORT_TAP, NETBACK_PORT_SWITCH, NETBACK_PORTS };

/* What the guest takes in frames it receives. Nothing tells what it sends: that is always taken. */
enum netback_feature {
    NETBACK_TAKES_SG = 1,         /* feature-sg: frames of more than one slot; without it none above one page */
    NETBACK_TAKES_GSO_TCPV4 = 2,  /* feature-gso-tcpv4 */
    NETBACK_TAKES_GSO_TCPV6 = 4,  /* feature-gso-tcpv6 */
    NETBACK_TAKES_CSUM_IPV4 = 8,  /* blank checksums, unless feature-no-csum-offload */
    NETBACK_TAKES_CSUM_IPV6 = 16, /* feature-ipv6-csum-offload */
    NETBACK_RX_NOTIFY =
        32, /* feature-rx-notify: it sends events when it posts; without it its ring is looked at by a timer */
};
#define NETBACK_FEATURES_ALL 63u

struct netback_queue {
    uint32_t tx_ref;
    uint32_t rx_ref;
    uint32_t tx_event_channel;
    uint32_t rx_event_channel; /* the same as the other: not split */
};

/* One connection, complete: all that is needed to serve it, and all that is needed to recover it. The file `connection` of the card's
 * run directory is exactly this struct, written before BACKEND_CONNECT is first sent and unlinked before any state but Connected is written. */
struct netback_connection {
    uint32_t version;    /* NETBACK_CONNECTION_VERSION */
    uint32_t features;   /* of enum netback_feature */
    uint64_t generation; /* of the journal; never 0, never reused */
    uint32_t port;       /* enum netback_port */
    uint32_t capacity;   /* NETBACK_PORT_SWITCH: of each of its frame rings, in bytes; else 0 */
    uint32_t has_ctrl;   /* 1: there is a control ring */
    uint32_t ctrl_ref;
    uint32_t ctrl_event_channel;
    uint32_t queue_count; /* 1 to NETBACK_QUEUES_MAX */
    struct netback_queue queues[NETBACK_QUEUES_MAX];
    uint8_t mac[NETIF_ADDRESS_LEN]; /* the guest's */
    uint8_t zero[2];                /* 0 */
};

/* What can be changed while connected. */
struct netback_tuning {
    uint64_t rate_bytes; /* of frames the guest sends, in each window of... */
    uint32_t rate_us;    /* ...microseconds; either 0: no limit */
    uint32_t
        multicast_control; /* 1: the guest said request-multicast-control: it gets only the multicasts it asked for */
    uint32_t rx_drain_ms;  /* frames that find no room with the guest for so long are dropped... */
    uint32_t rx_stall_ms;  /* ...and when there was none for so long, it is told by NETBACK_CARRIER; 0: never */
};

/* How to connect. */
struct netback_order {
    struct netback_connection connection;
    struct netback_tuning tuning;
    uint32_t recover;      /* 1: the journal holds the slots of a dead worker, or is drained... */
    uint32_t crashed;      /* ...1: it crashed: by its own doing, not by somebody's who killed it */
    uint32_t attempts_max; /* crashes after which a packet is dropped, not sent again */
};

struct netback_message {
    struct backend_head head;
    union {
        struct {
            uint32_t domid;
            uint32_t poll_time_us; /* struct poll_limits */
            uint32_t poll_percent;
        } serve;
        struct netback_order connect;
        struct netback_tuning tune;
        struct {
            uint32_t on; /* 1: the guest takes frames */
        } carrier;       /* NETBACK_CARRIER */
        struct {
            uint32_t snaplen; /* bytes of each frame; 0: no longer, without descriptors */
        } capture;
    };
};

#endif

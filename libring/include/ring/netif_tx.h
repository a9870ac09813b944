/* SPDX-License-Identifier: MIT */
/*
 * The back end's side of a transmit ring: what a guest sends, as whole packets.
 *
 * One cycle:   next* -> copy the pieces by grant -> send -> answer each, in the order they came -> ring_back_publish(&tx->ring)
 *              -> notify if told to;   when next returns 0: ring_back_rearm(&tx->ring), and again if told to.
 *
 * Packets may be taken ahead of being answered, as many as the ring holds. Every slot of a packet, extras included, is
 * answered by netif_tx_answer() once, so what is published ends with a packet.
 */
#ifndef RING_NETIF_TX_H
#define RING_NETIF_TX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ring/back.h>
#include <ring/netif.h>

#define NETIF_TX_MORE_MAX   18u /* slots after the first that a packet may have: one more than must be, as with Linux */
#define NETIF_TX_MORE_FATAL 20u /* more than these, and the guest does not mean to send a packet */
#define NETIF_TX_PIECES_MAX (1 + NETIF_TX_MORE_MAX)

/* What was wrong with a packet, or with the ring; each has a counter. */
enum netif_fault {
    NETIF_FAULT_NONE,
    /* The device is to be closed: its ring can no longer be understood. */
    NETIF_FAULT_PRODUCER,  /* an impossible producer index */
    NETIF_FAULT_CUT_SHORT, /* a slot or an extra was promised, and not sent */
    NETIF_FAULT_ENDLESS,   /* more than NETIF_TX_MORE_FATAL slots after the first */
    NETIF_FAULT_PAGE,      /* a piece that leaves its page */
    NETIF_FAULT_EXTRA,     /* an extra of an unknown type, or two of one */
    NETIF_FAULT_GSO,       /* segmentation of an unknown kind, or into nothing */
    /* The packet is dropped and answered with an error, the device stays. */
    NETIF_FAULT_SLOTS,     /* more than NETIF_TX_MORE_MAX slots after the first */
    NETIF_FAULT_SIZE,      /* the pieces are longer than the packet: one of 64 KiB or more looks so */
    NETIF_FAULT_RUNT,      /* shorter than an Ethernet header; or its first piece is, and leaves its page */
    NETIF_FAULT_MULTICAST, /* a filter both changed and sent through, or added to and taken from */
    NETIF_FAULT_GRANT,     /* a grant copy failed (set by the back end) */
    NETIF_FAULT_CRASH,     /* it was being sent when a process crashed (set by the back end) */
    NETIF_FAULTS
};
const char *netif_fault_name(enum netif_fault fault); /* "producer", "cut-short", ... */
bool netif_fault_fatal(enum netif_fault fault);

/* One packet, in private memory. */
struct netif_packet {
    enum netif_fault
        fault;        /* none, or why it is to be dropped: it has no pieces then, and must be answered all the same */
    uint32_t length;  /* bytes, the pieces' sum; 0 when meta.multicast is set */
    uint32_t crashes; /* how many processes crashed that had it in their hands; 0 unless it was replayed */
    uint32_t slots;   /* of the ring, extras included */
    struct netif_meta meta;
    uint32_t piece_count;
    struct netif_piece pieces[NETIF_TX_PIECES_MAX]; /* in order, none of them empty */
};

/* Embedded by its user. `ring` is for publishing, rearming, draining and looking at; the other fields are private. */
struct netif_tx {
    struct ring_back ring;
    enum netif_fault fatal;
    uint32_t taken, answered; /* slots, free-running */
    uint32_t packets;         /* taken and not answered */
    struct {
        uint16_t index; /* of struct ring_request */
        uint16_t id;
        bool extra, last;
    } slots[NETIF_RING_SLOTS];
};

/* As ring_back_attach(), with netif_tx_layout(). */
int netif_tx_attach(struct netif_tx *tx, void *pages, size_t pages_size, void *journal, size_t journal_size,
                    uint64_t generation);

/* As ring_back_recover_in_order(). Packets that were taken and whose answers were not published come again from
 * netif_tx_next(), in their order and before all others; they may have been sent, and may be dropped: netif_packet.crashes
 * tells which ones are better not tried again. */
int netif_tx_recover(struct netif_tx *tx, void *pages, size_t pages_size, void *journal, size_t journal_size,
                     uint64_t generation, bool crashed);

/* Takes the next packet off the ring. Returns 1; 0 when there is none; -EPROTO when the ring cannot be understood
 * any more, with the reason in netif_tx_fatal(): nothing more comes from it, disconnect. */
int netif_tx_next(struct netif_tx *tx, struct netif_packet *ret_packet);
enum netif_fault netif_tx_fatal(const struct netif_tx *tx);

/* Answers every slot of the oldest packet that was not answered yet: extras with NETIF_STATUS_NULL, the others with
 * `status`. Aborts when there is none: that is the caller's mistake, never the peer's. */
void netif_tx_answer(struct netif_tx *tx, enum netif_status status);

#endif

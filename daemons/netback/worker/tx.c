/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. A batch goes through the whole path in one turn:
 *
 *     netif_tx_next* -> one grant copy for all pieces -> send each, in order -> answer each -> (publish, by the caller)
 *
 * Each packet has its place in one buffer, whole and in one piece, so that whatever looks into it looks at what is sent. Number, bytes and pieces
 * of a batch are bounded, and so is a turn. When a turn ends everything taken is answered; but for a packet for which there is no credit: it is held, in the
 * journal as any other, and nothing behind it is taken. For what the port has no room for nothing is taken either: the guest waits.
 *
 * Packets that a dead worker left come first and are counted; one that crashed too many of them is dropped.
 */
#include "tx.h"

#include <errno.h>
#include <stdlib.h>

#include <backend/worker/bucket.h>
#include <xendev/grant.h>

#include "capture.h"
#include "multicast.h"
#include "port.h"

/* Bytes of a segment: smaller ones make whoever cuts the packet work out of all proportion, and no TCP needs them. */
#define GSO_SIZE_MIN 48u

#define BATCH_PACKETS 64u
#define BATCH_PIECES  1024u        /* as many as the kernel copies in one call */
#define BATCH_BYTES   (4 * 65536u) /* of packets, each with its headroom */
#define PLACE_MAX     (PORT_HEADROOM + NETIF_LENGTH_MAX + 15u)

struct tx_batch {
    uint32_t count, pieces, bytes;
    bool held; /* packets[count] was taken and is not part of it yet */
    struct netif_packet packets[BATCH_PACKETS + 1];
    uint32_t places[BATCH_PACKETS]; /* in `memory`, of the frame */
    struct xendev_copy copies[BATCH_PIECES];
    uint8_t owners[BATCH_PIECES]; /* packet of each copy */
    _Alignas(16) uint8_t memory[BATCH_BYTES];
};

int tx_init(struct tx *tx, const struct tx_params *params)
{
    tx->params = *params;
    tx->wait_ns = 0;
    tx->batch = calloc(1, sizeof *tx->batch);
    return tx->batch ? 0 : -ENOMEM;
}

void tx_fini(struct tx *tx)
{
    free(tx->batch);
    tx->batch = NULL;
}

/* ---- From the ring. -------------------------------------------------------------------------------------------------- */

static bool has_room(const struct tx_batch *batch)
{
    return batch->count < BATCH_PACKETS && BATCH_PIECES - batch->pieces >= NETIF_TX_PIECES_MAX &&
           BATCH_BYTES - batch->bytes >= PLACE_MAX;
}

/* The next packet, held from before or from the ring. As netif_tx_next(). */
static int take(struct tx *tx, bool draining, struct netif_packet *ret_packet)
{
    struct ring_request request;

    if (tx->batch->held) {
        tx->batch->held = false;
        *ret_packet = tx->batch->packets[BATCH_PACKETS];
        return 1;
    }
    const bool replayed = ring_back_peek(&tx->ring.ring, &request) == 1;
    if (draining && !replayed)
        return 0;
    int got = netif_tx_next(&tx->ring, ret_packet);
    if (got == 1 && replayed)
        tx->params.counters->tx_replayed++;
    return got;
}

static void add_copies(struct tx_batch *batch, const struct netif_packet *packet)
{
    uint32_t at = (batch->bytes + PORT_HEADROOM + 15) & ~15u;

    batch->places[batch->count] = at;
    for (uint32_t i = 0; i < packet->piece_count; i++) {
        const struct netif_piece *piece = &packet->pieces[i];
        batch->owners[batch->pieces] = (uint8_t)batch->count;
        batch->copies[batch->pieces++] = (struct xendev_copy){
            .gref = piece->gref, .offset = piece->offset, .length = piece->length, .local = batch->memory + at};
        at += piece->length;
    }
    batch->bytes = at;
}

static int collect(struct tx *tx, bool draining, uint64_t now_ns)
{
    struct tx_batch *batch = tx->batch;
    struct port *port = tx->params.port;
    const bool waited = batch->held;
    int got = 0;

    batch->count = batch->pieces = batch->bytes = 0;
    tx->wait_ns = 0;
    tx->blocked = false;
    while (has_room(batch)) {
        struct netif_packet *packet = &batch->packets[batch->count];
        tx->blocked = !draining && !port->kind->fits(port, batch->count + 1, batch->bytes + NETIF_LENGTH_MAX);
        if (tx->blocked)
            break;
        got = take(tx, draining, packet);
        if (got <= 0)
            break;
        if (packet->fault == NETIF_FAULT_NONE && packet->crashes >= tx->params.attempts_max && packet->crashes > 0)
            packet->fault = NETIF_FAULT_CRASH;
        if (packet->fault == NETIF_FAULT_NONE && packet->length > 0 && !draining)
            tx->wait_ns = bucket_wait(tx->params.rate, packet->length, now_ns);
        if (tx->wait_ns > 0) {
            tx->params.counters->tx_waits += !(waited && batch->count == 0);
            batch->packets[BATCH_PACKETS] = *packet;
            batch->held = true;
            break;
        }
        if (packet->fault == NETIF_FAULT_NONE && !draining)
            bucket_take(tx->params.rate, packet->length);
        if (packet->fault == NETIF_FAULT_NONE)
            add_copies(batch, packet);
        batch->count++;
    }
    return got < 0 ? got : 0;
}

static void fetch(struct tx *tx)
{
    struct tx_batch *batch = tx->batch;

    if (batch->pieces == 0)
        return;
    tx->params.counters->tx_copies += batch->pieces;
    if (xendev_grants_copy(tx->params.grants, tx->params.domid, XENDEV_COPY_FROM_GUEST, batch->copies, batch->pieces) ==
        0)
        return;
    for (uint32_t i = 0; i < batch->pieces; i++)
        if (batch->copies[i].status != 0)
            batch->packets[batch->owners[i]].fault = NETIF_FAULT_GRANT;
}

/* ---- To the port. ---------------------------------------------------------------------------------------------------- */

static enum netif_status change_filter(struct tx *tx, const struct netif_packet *packet)
{
    struct netback_counters *counters = tx->params.card_counters;
    int err = multicast_change(tx->params.multicast, &packet->meta);

    tx->params.counters->tx_multicast++;
    counters->filter_full += err == -ENOSPC;
    counters->filter_size = tx->params.multicast->count;
    return err == 0 ? NETIF_STATUS_OKAY : NETIF_STATUS_ERROR;
}

static enum netif_status send(struct tx *tx, uint32_t index)
{
    const struct netif_packet *packet = &tx->batch->packets[index];
    struct netback_queue_counters *counters = tx->params.counters;
    struct port *port = tx->params.port;
    uint8_t *frame;

    if (packet->fault != NETIF_FAULT_NONE) {
        counters->tx_faults[packet->fault]++;
        return NETIF_STATUS_ERROR;
    }
    if (packet->meta.multicast != NETIF_MULTICAST_NONE)
        return change_filter(tx, packet);

    frame = tx->batch->memory + tx->batch->places[index];
    if (capture_is_on(tx->params.capture))
        capture_frame(tx->params.capture, CAPTURE_SENT, frame, packet->length, &packet->meta);
    int err = -EBADMSG;
    if (packet->meta.gso == NETIF_GSO_NONE || packet->meta.gso_size >= GSO_SIZE_MIN)
        err = port->kind->send(port, tx->params.queue, frame, packet->length, &packet->meta);
    if (err == -EBADMSG) {
        counters->tx_drops[NETBACK_TX_DROP_OFFLOAD]++;
        return NETIF_STATUS_ERROR;
    }
    if (err < 0) {
        counters->tx_drops[NETBACK_TX_DROP_PORT]++;
        return NETIF_STATUS_OKAY; /* lost on its way, as on any network */
    }
    counters->tx_packets++;
    counters->tx_bytes += packet->length;
    counters->tx_gso += packet->meta.gso != NETIF_GSO_NONE;
    return NETIF_STATUS_OKAY;
}

int tx_turn(struct tx *tx, bool draining, uint64_t now_ns)
{
    int err = collect(tx, draining, now_ns);
    if (err < 0)
        return err; /* what was taken stays in the journal, unanswered: the device is going away */

    fetch(tx);
    for (uint32_t i = 0; i < tx->batch->count; i++)
        netif_tx_answer(&tx->ring, send(tx, i));
    if (tx->batch->count > 0) {
        tx->params.port->kind->flush(tx->params.port);
        capture_flush(tx->params.capture);
    }
    return (int)tx->batch->count;
}

/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. Frames wait in a list, in their order. A turn lays as many of them over the guest's pages as there is room for, in one grant
 * copy, answers them in their order, and gives their buffers back:
 *
 *     netif_rx_fill -> netif_rx_lay* -> one grant copy for all pieces -> netif_rx_finish* -> (publish, by the caller)
 *
 * A frame to be cut stays at the head of the list while its segments are made, each in a buffer of its own, and laid as frames.
 *
 * Two clocks watch over a guest that does not post what is needed: each frame is dropped when it has waited for tuning->rx_drain_ms, and the guest is held
 * to have stalled when the first one has found no room for rx_stall_ms (stall.h). Then nothing waits for it any more, until it has posted as many pages as it
 * last owed.
 */
#include "rx.h"

#include <errno.h>
#include <stdlib.h>

#include <xendev/grant.h>

#include "capture.h"

#define BATCH_FRAMES 64u
#define BATCH_PIECES 1024u /* as many as the kernel copies in one call */

struct rx_batch {
    uint32_t count, pieces;
    struct frame *frames[BATCH_FRAMES];
    struct netif_lay lays[BATCH_FRAMES];
    struct xendev_copy copies[BATCH_PIECES];
};

int rx_init(struct rx *rx, const struct rx_params *params)
{
    rx->params = *params;
    STAILQ_INIT(&rx->waiting);
    rx->waiting_count = 0;
    rx->stall = (struct stall){0};
    rx->batch = calloc(1, sizeof *rx->batch);
    return rx->batch ? 0 : -ENOMEM;
}

void rx_fini(struct rx *rx)
{
    free(rx->batch);
    rx->batch = NULL;
}

/* ---- What waits. ----------------------------------------------------------------------------------------------------- */

static void take_off(struct rx *rx, struct frame *frame)
{
    STAILQ_REMOVE_HEAD(&rx->waiting, entry);
    rx->waiting_count--;
    rx->params.counters->rx_waiting -= frame->length;
}

static void drop_head(struct rx *rx, enum netback_rx_drop reason)
{
    struct frame *frame = STAILQ_FIRST(&rx->waiting);

    take_off(rx, frame);
    rx->params.counters->rx_drops[reason]++;
    frames_put(rx->params.frames, frame);
}

void rx_put(struct rx *rx, struct frame *frame, uint64_t now_ns)
{
    if (rx->stall.stalled || rx->waiting_count == RX_WAITING_MAX) {
        rx->params.counters->rx_drops[rx->stall.stalled ? NETBACK_RX_DROP_STALLED : NETBACK_RX_DROP_FULL]++;
        frames_put(rx->params.frames, frame);
        return;
    }
    frame->arrived_ns = now_ns;
    STAILQ_INSERT_TAIL(&rx->waiting, frame, entry);
    rx->waiting_count++;
    rx->params.counters->rx_waiting += frame->length;
}

void rx_drop_waiting(struct rx *rx)
{
    while (!STAILQ_EMPTY(&rx->waiting))
        drop_head(rx, rx->stall.stalled ? NETBACK_RX_DROP_STALLED : NETBACK_RX_DROP_FULL);
}

static void drop_late(struct rx *rx, uint64_t now_ns)
{
    const uint64_t limit_ns = UINT64_C(1000000) * rx->params.tuning->rx_drain_ms;
    const struct frame *frame;

    while ((frame = STAILQ_FIRST(&rx->waiting)) && now_ns - frame->arrived_ns >= limit_ns)
        drop_head(rx, NETBACK_RX_DROP_FULL);
}

/* ---- Giving. --------------------------------------------------------------------------------------------------------- */

static uint32_t need_of(const struct frame *frame)
{
    struct netif_meta meta = frame->meta;

    if (!frame->cut)
        return netif_rx_need(frame->length, &meta);
    meta.gso = NETIF_GSO_NONE;
    return netif_rx_need((uint32_t)frame->segments.size_max, &meta);
}

/* The next segment of a frame. Returns NULL when there is no buffer now. */
static struct frame *next_segment(struct rx *rx, struct frame *whole)
{
    struct frame *segment = frames_get(rx->params.frames);

    if (!segment)
        return NULL;
    int length = offload_segment_next(&whole->segments, segment->bytes, (size_t)NETIF_RX_LENGTH_MAX);
    if (length <= 0)
        abort(); /* it is taken off with its last one */
    segment->length = (uint32_t)length;
    segment->meta = whole->meta;
    segment->meta.gso = NETIF_GSO_NONE;
    segment->meta.csum_blank = false;
    segment->meta.data_validated = true;
    return segment;
}

/* The next frame to be laid: the head of the list, then off it; or a segment of it. */
static struct frame *next_frame(struct rx *rx)
{
    struct frame *head = STAILQ_FIRST(&rx->waiting), *frame = head;

    if (head->cut)
        frame = next_segment(rx, head);
    if (!head->cut || head->segments.done == head->segments.count)
        take_off(rx, head);
    if (head->cut && head->segments.done == head->segments.count)
        frames_put(rx->params.frames, head);
    return frame;
}

static void add_copies(struct rx_batch *batch, const struct frame *frame, const struct netif_lay *lay)
{
    uint8_t *at = frame->bytes;

    for (uint32_t i = 0; i < lay->piece_count; i++) {
        const struct netif_piece *piece = &lay->pieces[i];
        batch->copies[batch->pieces++] =
            (struct xendev_copy){.gref = piece->gref, .offset = piece->offset, .length = piece->length, .local = at};
        at += piece->length;
    }
}

/* Lays what there is room for. */
static void lay(struct rx *rx)
{
    struct rx_batch *batch = rx->batch;
    const struct frame *head;

    batch->count = batch->pieces = 0;
    while (batch->count < BATCH_FRAMES && BATCH_PIECES - batch->pieces >= NETIF_RX_PIECES_MAX &&
           (head = STAILQ_FIRST(&rx->waiting)) && need_of(head) <= netif_rx_room(&rx->ring)) {
        struct frame *frame = next_frame(rx);
        if (!frame)
            return; /* buffers come back with this batch */
        if (netif_rx_lay(&rx->ring, frame->length, &frame->meta, &batch->lays[batch->count]) < 0)
            abort(); /* its length was checked (fit.c), and the room */
        add_copies(batch, frame, &batch->lays[batch->count]);
        batch->frames[batch->count++] = frame;
    }
}

/* Copies the batch, and marks the pieces that failed. */
static void deliver(struct rx *rx)
{
    struct rx_batch *batch = rx->batch;
    uint32_t copy = 0;

    rx->params.counters->rx_copies += batch->pieces;
    if (xendev_grants_copy(rx->params.grants, rx->params.domid, XENDEV_COPY_TO_GUEST, batch->copies, batch->pieces) ==
        0)
        return;
    for (uint32_t i = 0; i < batch->count; i++)
        for (uint32_t piece = 0; piece < batch->lays[i].piece_count; piece++)
            if (batch->copies[copy++].status != 0)
                batch->lays[i].failed |= 1u << piece;
}

static void finish(struct rx *rx)
{
    struct netback_queue_counters *counters = rx->params.counters;
    struct rx_batch *batch = rx->batch;

    for (uint32_t i = 0; i < batch->count; i++) {
        const struct netif_lay *done = &batch->lays[i];
        netif_rx_finish(&rx->ring, done);
        if (done->failed) {
            counters->rx_drops[NETBACK_RX_DROP_GRANT]++;
        } else {
            counters->rx_packets++;
            counters->rx_bytes += batch->frames[i]->length;
            counters->rx_gso += done->meta.gso != NETIF_GSO_NONE;
            if (capture_is_on(rx->params.capture))
                capture_frame(rx->params.capture, CAPTURE_RECEIVED, batch->frames[i]->bytes, batch->frames[i]->length,
                              &batch->frames[i]->meta);
        }
        frames_put(rx->params.frames, batch->frames[i]);
    }
}

/* ---- A turn. --------------------------------------------------------------------------------------------------------- */

static enum rx_change judge(struct rx *rx, uint64_t now_ns)
{
    const uint64_t limit_ns = UINT64_C(1000000) * rx->params.tuning->rx_stall_ms;
    const struct frame *head = STAILQ_FIRST(&rx->waiting);
    bool goes_on = rx->batch->count > 0 ? stall_given(&rx->stall) : stall_room(&rx->stall, netif_rx_room(&rx->ring));

    if (head && need_of(head) > netif_rx_room(&rx->ring)) {
        rx->params.counters->rx_full += !rx->stall.waiting;
        stall_wait(&rx->stall, need_of(head), now_ns);
    }
    if (stall_check(&rx->stall, limit_ns, now_ns)) {
        rx->params.counters->rx_stalls++;
        rx_drop_waiting(rx);
        return RX_STALLED;
    }
    return goes_on ? RX_GOES_ON : RX_SAME;
}

int rx_turn(struct rx *rx, uint64_t now_ns, enum rx_change *ret_change)
{
    int err = netif_rx_fill(&rx->ring);
    if (err < 0)
        return err;

    lay(rx);
    if (rx->batch->count > 0) {
        deliver(rx);
        finish(rx);
        capture_flush(rx->params.capture);
    }
    drop_late(rx, now_ns);
    *ret_change = judge(rx, now_ns);
    return (int)rx->batch->count;
}

bool rx_wants_room(const struct rx *rx)
{
    return rx->stall.waiting;
}

bool rx_rearm(struct rx *rx)
{
    return netif_rx_rearm(&rx->ring, rx->stall.need);
}

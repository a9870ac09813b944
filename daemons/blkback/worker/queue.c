/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation.
 *
 * One turn moves a batch through the whole path, each step one function on private memory:
 *
 *     take -> accept (intake.h: decode, validate, bind to memory) -> fetch what is to be written from the guest -> drive_submit
 *     drive_reap -> deliver what was read to the guest -> answer -> publish
 *
 * A request lives in the slot of the same index as its journal entry, from accept to answer; so the ring bounds everything. Where its data is, and
 * whether fetching and delivering it is any work, is for memory.h. Disks that complete within disk_submit() are reaped in the same turn; of the others
 * the drive tells (drive.h), which all queues of a disk share.
 *
 * Idle: when a turn finds nothing, the ring is watched for a while (spin.h): then the guest need not send an event for
 * its next request. Else it sleeps.
 *
 * After a crash the requests found in the journal are executed one at a time (caution.h), each answered before the next is begun, what saw the fewest
 * crashes first. One that has crashed attempts_max processes, the last of them proved to be its doing, is not begun again: then the queue stops as it is.
 *
 * A barrier (barrier.h) is set aside in the journal when it was taken, and from then on no queue of the disk takes anything; when all have become quiet
 * it is handed out as a request of a dead worker is. Queues that are held up by that sleep as throttled ones do, until they are woken.
 *
 * Sleeping: the event channel stays masked from its event until the ring was found empty and re-armed, so an event
 * storm costs nothing while we work. A busy guest is served for TURNS_MAX turns, then the other devices get theirs.
 *
 * Throttled (throttle.h): new requests stay on the ring, and the queue rests until its gate wakes it. The event channel stays masked meanwhile.
 *
 * Draining: new requests stay on the ring; each turn only hands out what a dead worker left and answers what the disk has done, until
 * nothing is in flight and the journal can be marked. The successor, or queue_undrain(), finds the new ones by looking at the ring.
 */
#include "queue.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <backend/worker/spin.h>
#include <ring/back.h>
#include <xendev/event_channel.h>

#include "barrier.h"
#include "caution.h"
#include "describe.h"
#include "discard.h"
#include "drive.h"
#include "intake.h"
#include "memory.h"
#include "takeover.h"
#include "throttle.h"

#define BATCH_MAX INTAKE_MAX /* requests in one turn */
#define TURNS_MAX 64u        /* turns before other devices are served */

struct queue {
    struct queue_params params;
    struct ring_back ring;
    struct xendev_channel *channel;
    struct drive_user user;
    struct event *again;     /* fires at once, after the others had their turn */
    struct spin_watch watch; /* while idle and not asleep */
    struct caution_member caution;
    struct throttle_gate gate; /* new requests pass it */
    struct barrier_member barrier;
    bool barrier_is_new; /* the one set aside was taken by this process */
    bool alone;          /* what is in progress was begun alone */
    bool stopped;
    bool draining;
    bool drained; /* the journal is marked */
    bool asleep;  /* re-armed: the event channel will tell */

    struct intake intake;
    struct memory *memory;
    struct slot *slots;
};

static struct slot *slot_of_io(struct disk_io *io)
{
    return (struct slot *)((char *)io - offsetof(struct slot, drive.io));
}

static void answer(struct queue *queue, struct slot *slot, enum blkif_fault fault)
{
    uint8_t response[RING_RESPONSE_MAX] = {0};

    if (fault != BLKIF_FAULT_NONE)
        queue->params.counters->faults[fault]++;
    blkif_response_encode(queue->params.abi, slot->id, slot->response_code, (int16_t)blkif_fault_status(fault),
                          response);
    ring_back_respond(&queue->ring, (uint32_t)(slot - queue->slots), response);
    queue->caution.executing--;
    if (slot->barrier)
        barrier_lower(&queue->barrier);
}

/* ---- From the ring to the disk. ------------------------------------------------------------------------------------------ */

/* The requests of a dead worker first, and a barrier that begins; then new ones. As ring_back_consume(). */
static int take_request(struct queue *queue, struct ring_request *ret_request, bool *ret_replayed)
{
    if (ring_back_replay(&queue->ring, queue->alone, ret_request) == 1) {
        *ret_replayed = !(queue->barrier.begun && queue->barrier_is_new);
        queue->params.counters->replayed += *ret_replayed;
        return 1;
    }
    *ret_replayed = false;
    if (queue->draining || barrier_is_up(&queue->barrier) || !throttle_gate_lets(&queue->gate, &queue->ring))
        return 0;
    int got = ring_back_consume(&queue->ring, ret_request);
    if (got != 1)
        return got;
    throttle_gate_pay(&queue->gate, ret_request);
    if (!intake_is_barrier(ret_request, &queue->intake))
        return 1;
    ring_back_set_aside(&queue->ring, ret_request->index);
    queue->barrier_is_new = true;
    barrier_raise(&queue->barrier, 1);
    return 0;
}

/* Ends a request that memory was found for. */
static void finish(struct queue *queue, struct slot *slot, enum blkif_fault fault)
{
    memory_release(queue->memory, &slot->data);
    answer(queue, slot, fault);
}

/* Answers those of a batch that are refused, and those with nothing to be done. Returns how many are left. */
static unsigned settle(struct queue *queue, struct slot **batch, unsigned count)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < count; i++) {
        if (batch[i]->fault != BLKIF_FAULT_NONE || batch[i]->empty)
            answer(queue, batch[i], batch[i]->fault);
        else
            batch[kept++] = batch[i];
    }
    return kept;
}

/* Brings in the data of the writes of a batch, and answers those whose references are bad. Returns how many requests
 * are left for the disk. */
static unsigned fetch(struct queue *queue, struct slot **batch, unsigned count)
{
    struct memory_data *writes[BATCH_MAX];
    unsigned write_count = 0, kept = 0;

    for (unsigned i = 0; i < count; i++) {
        if (batch[i]->counted == BLKBACK_COUNTED_WRITE)
            writes[write_count++] = &batch[i]->data;
    }
    memory_fetch(queue->memory, writes, write_count);

    for (unsigned i = 0; i < count; i++) {
        if (batch[i]->data.failed)
            finish(queue, batch[i], BLKIF_FAULT_GRANT);
        else
            batch[kept++] = batch[i];
    }
    return kept;
}

/* Moves up to `most` requests, BATCH_MAX at most, from the ring to the disk; before them those that waited for memory. Returns how many went on, or
 * -EPROTO. */
static int start_requests(struct queue *queue, unsigned most)
{
    struct slot *batch[BATCH_MAX];
    struct disk_io *ios[BATCH_MAX];
    struct ring_request request;
    unsigned count = intake_resume(&queue->intake, batch);
    unsigned taken = count;
    bool replayed;
    int got = 0;

    while (taken < most && intake_has_room(&queue->intake) && (got = take_request(queue, &request, &replayed)) == 1) {
        queue->caution.executing++;
        intake_add(&queue->intake, &request, replayed);
        taken++;
    }
    if (got < 0)
        return got; /* what was taken stays in the journal, unanswered: the device is going away */

    count = intake_accept(&queue->intake, batch, count);
    count = settle(queue, batch, count);
    count = fetch(queue, batch, count);
    for (unsigned i = 0; i < count; i++)
        ios[i] = &batch[i]->drive.io;
    if (count > 0)
        drive_submit(&queue->user, ios, count);
    return (int)taken;
}

/* A timer, not event_active(): the loop looks at all its descriptors before it fires. */
static void run_soon(struct queue *queue)
{
    static const struct timeval at_once = {0};

    if (!queue->stopped)
        event_add(queue->again, &at_once);
}

/* ---- From the disk to the ring. ------------------------------------------------------------------------------------------ */

/* Goes on with a request of which the disk has done a part: a discard, or a barrier. Returns false when that was all. */
static bool go_on(struct queue *queue, struct slot *slot)
{
    struct disk_io *io = &slot->drive.io;

    if (io->result != 0 || !(slot->barrier ? barrier_next(&slot->job, &slot->step, io)
                                           : io->op == DISK_DISCARD && discard_next(&slot->job, io)))
        return false;
    drive_submit(&queue->user, &io, 1);
    run_soon(queue); /* a disk without a descriptor has done it by now */
    return true;
}

/* Hands out the data of the reads of a batch, and answers all of it but what goes on. */
static void deliver(struct queue *queue, struct disk_io *const *ios, unsigned count)
{
    struct memory_data *reads[BATCH_MAX];
    unsigned read_count = 0;

    for (unsigned i = 0; i < count; i++) {
        if (ios[i]->op == DISK_READ && ios[i]->result == 0)
            reads[read_count++] = &slot_of_io(ios[i])->data;
    }
    memory_deliver(queue->memory, reads, read_count);

    for (unsigned i = 0; i < count; i++) {
        struct slot *slot = slot_of_io(ios[i]);
        enum blkif_fault fault = BLKIF_FAULT_NONE;
        if (go_on(queue, slot))
            continue;
        if (ios[i]->result != 0)
            fault = BLKIF_FAULT_IO;
        else if (slot->data.failed)
            fault = BLKIF_FAULT_GRANT;
        else
            queue->params.counters->bytes[slot->counted] += slot->job.length;
        finish(queue, slot, fault);
    }
}

/* Returns how many there were. */
static unsigned finish_requests(struct queue *queue)
{
    struct disk_io *ios[BATCH_MAX];
    unsigned count, finished = 0;

    do {
        count = drive_reap(&queue->user, ios, BATCH_MAX);
        deliver(queue, ios, count);
        finished += count;
    } while (count == BATCH_MAX);
    return finished;
}

static void publish(struct queue *queue)
{
    if (ring_back_publish(&queue->ring)) {
        xendev_channel_notify(queue->channel);
        queue->params.counters->notifications++;
    }
}

/* ---- The loop. ------------------------------------------------------------------------------------------------------- */

static void note_indices(struct queue *queue)
{
    describe_indices(&queue->ring, queue->params.counters);
}

void queue_stop(struct queue *queue)
{
    queue->stopped = true;
    caution_leave(&queue->caution);
    barrier_leave(&queue->barrier);
    throttle_gate_close(&queue->gate);
    event_del(queue->again);
    spin_stop(&queue->watch);
}

static void fail(struct queue *queue)
{
    char reason[160];

    describe_impossible(&queue->ring, queue->params.index, reason, sizeof reason);
    queue_stop(queue);
    queue->params.failed(queue->params.arg, reason);
}

void queue_suspects(const struct queue *queue, struct blkback_suspects *suspects)
{
    takeover_suspects(&queue->ring, queue->params.abi, suspects);
}

/* Stops when the next request is one that must not be executed again. */
static bool park(struct queue *queue)
{
    struct ring_request request;
    struct blkback_request told;

    if (ring_back_peek(&queue->ring, &request) == 0 || !request.proved || request.crashes < queue->params.attempts_max)
        return false;
    describe_request(queue->params.abi, &request, &told);
    note_indices(queue);
    queue_stop(queue);
    queue->params.parked(queue->params.arg, &told);
    return true;
}

static void go_to_sleep(struct queue *queue)
{
    note_indices(queue);
    if (queue->asleep)
        return;
    queue->asleep = true;
    xendev_channel_unmask(queue->channel);
}

static void finish_draining(struct queue *queue)
{
    if (ring_back_drain(&queue->ring) < 0)
        return; /* the disk goes on with it */
    spin_stop(&queue->watch);
    queue->drained = true;
    queue->params.drained(queue->params.arg);
}

/* How many crashes the next request to be executed again has seen; UINT_MAX: there is none. */
static unsigned next_crashes(struct queue *queue)
{
    struct ring_request request;

    return ring_back_peek(&queue->ring, &request) == 1 ? request.crashes : UINT_MAX;
}

/* How far it is, for those who wait for that. */
static void tell_others(struct queue *queue)
{
    const bool suspicious = ring_back_suspects(&queue->ring) > 0 || (queue->alone && queue->caution.executing > 0);
    const unsigned crashes = next_crashes(queue);

    caution_update(&queue->caution, suspicious, suspicious ? crashes : UINT_MAX);
    barrier_update(&queue->barrier, queue->caution.executing > 0 || crashes != UINT_MAX);
}

/* Begins a barrier for which it is time. */
static void begin_barrier(struct queue *queue)
{
    if (!barrier_may_begin(&queue->barrier))
        return;
    barrier_begin(&queue->barrier);
    (void)ring_back_recall(&queue->ring);
    tell_others(queue);
}

/* What became of a turn. */
enum turn {
    TURN_IDLE, /* there was nothing to do */
    TURN_BUSY,
    TURN_WAIT, /* there may be more, which must wait: for memory, then the disk's descriptor wakes us, or for another queue, a barrier, or the gate */
    TURN_OVER, /* stopped: failed, or parked */
};

static enum turn turn(struct queue *queue)
{
    int taken;
    begin_barrier(queue);
    enum caution_verdict verdict = caution_ask(&queue->caution);

    if (verdict == CAUTION_ALONE && park(queue))
        return TURN_OVER;
    if (verdict != CAUTION_WAIT)
        queue->alone = verdict == CAUTION_ALONE;
    /* Those that wait for memory have begun: they go on in any case. */
    taken = start_requests(queue, verdict == CAUTION_WAIT ? 0 : queue->alone ? 1 : BATCH_MAX);
    if (taken < 0) {
        fail(queue);
        return TURN_OVER;
    }
    unsigned finished = finish_requests(queue);
    publish(queue);
    tell_others(queue);
    const bool busy = taken > 0 || finished > 0, held = !busy && !queue->draining && queue->gate.wait_ns > 0;
    if ((busy || held) && spin_busy(&queue->watch))
        queue->params.counters->polls_hit++;
    if (intake_waits(&queue->intake))
        return busy ? TURN_BUSY : TURN_WAIT;
    if (caution_ask(&queue->caution) == CAUTION_WAIT)
        return TURN_WAIT;
    if (barrier_is_up(&queue->barrier) && (!queue->draining || queue->barrier.waiting > 0))
        return busy || barrier_may_begin(&queue->barrier) ? TURN_BUSY : TURN_WAIT;
    if (held) {
        note_indices(queue);
        throttle_gate_rest(&queue->gate);
        return TURN_WAIT;
    }
    return busy ? TURN_BUSY : TURN_IDLE;
}

/* Until there is nothing to do: then it is watched for a while, or else slept on. */
static void run(struct queue *queue)
{
    if (queue->stopped || queue->drained)
        return;
    for (unsigned i = 0; i < TURNS_MAX; i++) {
        enum turn result = turn(queue);
        if (result == TURN_BUSY)
            continue;
        if (result == TURN_WAIT || result == TURN_OVER) {
            note_indices(queue);
            return;
        }
        if (queue->draining) {
            note_indices(queue);
            finish_draining(queue);
            return;
        }
        if (spin_idle(&queue->watch)) {
            note_indices(queue);
            return;
        }
        if (!ring_back_rearm(&queue->ring)) {
            go_to_sleep(queue);
            return;
        }
    }
    note_indices(queue);
    run_soon(queue);
}

static bool on_look(void *arg)
{
    struct queue *queue = arg;

    if (turn(queue) != TURN_BUSY)
        return false;
    run(queue);
    return true;
}

static void on_give_up(void *arg)
{
    struct queue *queue = arg;

    queue->params.counters->polls_missed++;
    run(queue);
}

static void on_event(void *arg)
{
    struct queue *queue = arg;

    queue->params.counters->events++;
    queue->asleep = false;
    run(queue);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    struct queue *queue = arg;

    (void)fd;
    (void)what;
    run(queue);
}

void queue_drain(struct queue *queue)
{
    queue->draining = true;
    run_soon(queue);
}

void queue_undrain(struct queue *queue)
{
    if (queue->drained)
        ring_back_undrain(&queue->ring);
    queue->draining = queue->drained = false;
    run_soon(queue);
}

void queue_resized(struct queue *queue)
{
    intake_resized(&queue->intake, queue->params.drive->disk);
}

/* ---- Open and close. ------------------------------------------------------------------------------------------------- */

static void wake(void *arg)
{
    run_soon(arg);
}

static void on_ready(void *arg)
{
    struct queue *queue = arg;

    if (!queue->stopped)
        run(queue);
}

static int allocate(struct queue *queue, uint32_t slots)
{
    const struct queue_params *params = &queue->params;
    struct memory_params memory = {
        .base = params->base,
        .grants = params->grants,
        .counters = params->counters,
        .domid = params->domid,
        .slots = slots,
        .batch = BATCH_MAX,
        .persistent = params->persistent,
        .indirect = params->indirect,
    };

    queue->slots = calloc(slots, sizeof *queue->slots);
    queue->again = evtimer_new(params->base, on_again, queue);
    if (!queue->slots || !queue->again)
        return -ENOMEM;
    int result = throttle_gate_open(&queue->gate, params->throttle, params->base);
    return result < 0 ? result : memory_open(&memory, &queue->memory);
}

int queue_open(const struct queue_params *params, struct queue **ret_queue, struct disk_error *ret_error)
{
    struct ring_layout layout = blkif_layout(params->abi, params->ring_order);
    struct disk_info info;
    int result = -ENOMEM;

    struct queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        goto failed;
    queue->params = *params;
    queue->gate = (struct throttle_gate){.counters = params->counters, .abi = params->abi, .wake = wake, .arg = queue};
    queue->watch = (struct spin_watch){.spin = params->spin, .look = on_look, .give_up = on_give_up, .arg = queue};
    disk_get_info(params->drive->disk, &info);
    params->counters->slots = layout.slots;
    intake_init(&queue->intake);

    result = allocate(queue, layout.slots);
    if (result < 0)
        goto failed;
    queue->intake.abi = params->abi;
    queue->intake.limits = intake_limits(&info, params->discard, params->indirect);
    queue->intake.discard_secure = info.discard_secure;
    queue->intake.counters = params->counters;
    queue->intake.memory = queue->memory;
    queue->intake.slots = queue->slots;
    result = takeover_ring(params, &layout, &queue->ring);
    if (result < 0)
        goto failed;
    result =
        xendev_channel_bind(params->events, params->domid, params->event_channel, on_event, queue, &queue->channel);
    if (result < 0)
        goto failed;

    /* The peer may be waiting for an event that its former back end never sent; ours comes with the channel's first
     * event, in on_event(). */
    if (params->recover)
        xendev_channel_notify(queue->channel);
    queue->user = (struct drive_user){.ready = on_ready, .wake = wake, .arg = queue};
    drive_join(params->drive, &queue->user);
    queue->caution = (struct caution_member){.wake = wake, .arg = queue};
    caution_join(params->caution, &queue->caution);
    queue->barrier = (struct barrier_member){.wake = wake, .arg = queue};
    barrier_join(params->barrier, &queue->barrier);
    barrier_raise(&queue->barrier, ring_back_set_aside_replays(&queue->ring, intake_is_barrier, &queue->intake));
    tell_others(queue);
    *ret_queue = queue;
    return 0;

failed:
    snprintf(ret_error->text, sizeof ret_error->text, "queue %u: ring of %u pages, event channel %u: %s", params->index,
             1u << params->ring_order, params->event_channel,
             result == -EPROTO ? "its indices are impossible" : strerrordesc_np(-result));
    queue_close(queue);
    return result;
}

void queue_close(struct queue *queue)
{
    if (!queue)
        return;
    spin_stop(&queue->watch);
    caution_leave(&queue->caution);
    barrier_leave(&queue->barrier);
    throttle_gate_close(&queue->gate);
    xendev_channel_close(queue->channel);
    drive_leave(&queue->user);
    if (queue->again)
        event_free(queue->again);
    memory_close(queue->memory);
    free(queue->slots);
    free(queue);
}

/* SPDX-License-Identifier: MIT */
/*
 * A worker that is killed at a chosen point, with frames under way in both directions.
 *
 * It is traced, one instruction after the other, and after each of them this looks at all that a successor will find: the journals, the rings, the
 * guest's pages, what is in the port. When that is as a point demands, the worker is killed there and then. So a point is something that outlives
 * the worker, and not a place in its code; the table of them follows a frame's way in either direction, store by store. What leaves no trace, the
 * beginning of a copy, and an event that is not sent yet, are placed by the simulator's faults.
 *
 * Of each point: every slot is answered, and none twice. A frame from the guest arrives once, or, when the guest had not seen it answered, once
 * more. One for the guest arrives once and in order, or, when the dead worker had read it and not announced it, perhaps never. None is torn.
 */
#include "rig.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "journal.h"
#include "shared.h"

#define PAGE        4096u
#define PIECE       900u /* bytes of a slot of a frame that the guest sends */
#define FIRST       2u   /* number of the first frame of those that a death meets, */
#define FRAMES      5u   /* which are so many each way */
#define LAST        (FIRST + FRAMES - 1)
#define POSTED      200u /* pages before them, the others then */
#define NUMBERS_MAX 1024u
#define UNTOUCHED   0x5a /* as card_post() leaves pages */
#define HANG_LIMIT  120u /* seconds on the way to a point */

static const struct netif_meta plain;
static struct card card;
static uint8_t bytes[NETIF_RX_LENGTH_MAX];
static struct got got;
static struct offload_virtio header;

/* ---- Frames. --------------------------------------------------------------------------------------------------------- */

/* Of one direction; their numbers count from 1. */
static struct {
    uint32_t given;            /* the latest */
    uint8_t came[NUMBERS_MAX]; /* how often each did */
    uint32_t latest;           /* of those that came, the last one */
    uint32_t steps_back;       /* from one to one with a lower number */
} sent, written;

/* From four slots to seven of the guest's transmit ring, one or two of its receive ring. */
static uint32_t length_of(uint32_t number)
{
    return 3000 + number * 1237 % 2900;
}

static uint32_t tx_slots(uint32_t number)
{
    return (length_of(number) + PIECE - 1) / PIECE;
}

static uint32_t rx_slots(uint32_t number)
{
    return (length_of(number) + PAGE - 1) / PAGE;
}

static uint32_t port_bytes(uint32_t number)
{
    return NETBACK_TAP_HEADER_SIZE + length_of(number);
}

static void make(uint32_t number)
{
    frame_make(bytes, length_of(number), number, 1, false);
}

static bool is_whole(const struct got *frame)
{
    const uint32_t number = frame_number(frame->bytes);

    make(number);
    return frame->length == length_of(number) && memcmp(frame->bytes, bytes, frame->length) == 0;
}

static void send_one(void)
{
    make(++sent.given);
    assert_true(card_send(&card, 0, bytes, length_of(sent.given), PIECE, &plain));
}

static void write_one(void)
{
    make(++written.given);
    assert_true(far_write(&card, 0, bytes, length_of(written.given), NULL));
}

static void on_received(const struct got *frame)
{
    const uint32_t number = frame_number(frame->bytes);

    assert_true(is_whole(frame));
    assert_true(number <= written.given);
    assert_true(number > written.latest);
    written.latest = number;
    written.came[number]++;
}

static void read_far(void)
{
    while (far_read(&card, 0, &got, &header)) {
        const uint32_t number = frame_number(got.bytes);
        assert_true(is_whole(&got));
        assert_true(number >= 1 && number <= sent.given);
        sent.steps_back += number <= sent.latest;
        sent.latest = number;
        sent.came[number]++;
    }
}

/* All that was sent is answered, and the last that was written has come. */
static bool all_done(void *arg)
{
    (void)arg;
    read_far();
    return card_is_answered(&card) && written.latest == written.given;
}

/* ---- What a successor would find. ------------------------------------------------------------------------------------ */

/* A ring and its journal. */
struct ring_now {
    struct ring_journal *journal;
    struct ring_shared *shared;
    struct ring_layout layout;
    uint32_t due;                        /* slots that the frames take which are under way */
    uint32_t first;                      /* where the next answer belongs, when the worker stood still */
    uint32_t slot[RING_REQUEST_MAX / 4]; /* what was there */
    uint32_t consumed_before;
    /* What changes. */
    uint32_t consumed;  /* since */
    uint32_t done;      /* entries */
    uint32_t announced; /* answers */
    bool began;         /* an answer is in its slot, at least a part of it */
    bool publishes;     /* a batch is promised, and not announced */
};

struct now {
    struct ring_now tx, rx;
    uint32_t sent_bytes;            /* in the port, on their way out */
    uint32_t unread_before, unread; /* bytes in the port for the guest */
    const uint8_t *first_page, *last_page;
    uint32_t first_length, last_length; /* of what comes into them */
};

static void see_ring(struct ring_now *ring)
{
    const uint64_t batch = journal_load(&ring->journal->batch);
    const uint32_t rsp_prod = shared_index_load(&ring->shared->rsp_prod);
    const volatile uint32_t *slot = shared_slot(ring->shared, &ring->layout, ring->first);
    uint32_t in_flight = 0;

    ring->done = 0;
    for (uint32_t i = 0; i < ring->layout.slots; i++) {
        const enum journal_state state = journal_word_state(journal_load(&ring->journal->entries[i].word));
        in_flight += state == JOURNAL_IN_FLIGHT;
        ring->done += state == JOURNAL_DONE;
    }
    ring->announced = rsp_prod - ring->first;
    ring->consumed = in_flight + ring->announced - ring->consumed_before;
    ring->consumed += ring->announced == 0 ? ring->done : 0;
    ring->publishes = (uint32_t)batch != rsp_prod;
    ring->began = false;
    for (uint32_t i = 0; i < ring->layout.request_size / 4; i++)
        ring->began |= slot[i] != ring->slot[i];
}

static void begin_ring(unsigned index, void *pages, struct ring_layout layout, struct ring_now *ret_ring)
{
    const struct netback_journal_place place = netback_journal_place(&card.order.connection, index);
    struct ring_now *ring = ret_ring;

    *ring = (struct ring_now){.layout = layout, .shared = pages};
    ring->journal = mmap(NULL, place.size, PROT_READ, MAP_SHARED, card.journal, (off_t)place.offset);
    assert_ptr_not_equal(ring->journal, MAP_FAILED);
    ring->first = shared_index_load(&ring->shared->rsp_prod);
    see_ring(ring);
    assert_int_equal(ring->done, 0);
    ring->consumed_before = ring->consumed;
}

static void end_ring(const struct ring_now *ring)
{
    munmap(ring->journal, ring_journal_size(&ring->layout));
}

/* After the frames were given, before the worker goes on. */
static void note_slot(struct ring_now *ring)
{
    shared_slot_read(shared_slot(ring->shared, &ring->layout, ring->first), ring->slot, ring->layout.request_size);
}

static uint32_t waiting_in(int port)
{
    int count;

    assert_int_equal(ioctl(port, FIONREAD, &count), 0);
    return (uint32_t)count;
}

static void see(struct now *now, bool port)
{
    see_ring(&now->tx);
    see_ring(&now->rx);
    if (!port)
        return;
    now->sent_bytes = waiting_in(card.far[0]);
    now->unread = waiting_in(card.port[0]);
}

/* ---- Points. --------------------------------------------------------------------------------------------------------- */

static bool taken_one(const struct ring_now *ring)
{
    return ring->consumed == 1;
}

static bool taken_all(const struct ring_now *ring)
{
    return ring->consumed >= ring->due && ring->done == 0 && !ring->began && ring->announced == 0;
}

static bool began_to_answer(const struct ring_now *ring)
{
    return ring->began && ring->done == 0 && ring->announced == 0;
}

static bool answered_one(const struct ring_now *ring)
{
    return ring->done == 1 && ring->announced == 0;
}

static bool answered_half(const struct ring_now *ring)
{
    return ring->done == ring->due / 2 && ring->announced == 0;
}

static bool answered_all(const struct ring_now *ring)
{
    return ring->done == ring->due && ring->announced == 0;
}

static bool promised(const struct ring_now *ring)
{
    return ring->publishes;
}

static bool announced(const struct ring_now *ring)
{
    return ring->announced == ring->due && ring->done == ring->due;
}

static bool freed_one(const struct ring_now *ring)
{
    return ring->announced == ring->due && ring->done == ring->due - 1;
}

static bool freed_all(const struct ring_now *ring)
{
    return ring->announced == ring->due && ring->done == 0;
}

static bool sent_one(const struct now *now)
{
    return now->sent_bytes > 0 && now->tx.done == 0 && !now->tx.began;
}

/* All are in the port, the last one is not answered. */
static bool sent_all(const struct now *now)
{
    uint32_t all = 0;

    for (uint32_t i = 0; i < FRAMES; i++)
        all += port_bytes(sent.given - i);
    return now->sent_bytes == all && now->tx.done == now->tx.due - tx_slots(sent.given);
}

static bool read_one(const struct now *now)
{
    return now->unread < now->unread_before;
}

static bool is_untouched(const uint8_t *page, uint32_t offset)
{
    static const uint8_t untouched[8] = {UNTOUCHED, UNTOUCHED, UNTOUCHED, UNTOUCHED,
                                         UNTOUCHED, UNTOUCHED, UNTOUCHED, UNTOUCHED};

    return memcmp(page + offset, untouched, sizeof untouched) == 0;
}

static bool read_all(const struct now *now)
{
    return now->unread == 0 && is_untouched(now->first_page, 0);
}

/* Its beginning or its end: the order is that of whoever copies. */
static bool is_begun(const uint8_t *page, uint32_t length)
{
    return is_untouched(page, 0) != is_untouched(page, length - 8);
}

static bool began_to_fill_the_first(const struct now *now)
{
    return is_begun(now->first_page, now->first_length);
}

static bool began_to_fill_the_last(const struct now *now)
{
    return is_begun(now->last_page, now->last_length);
}

static bool filled_all(const struct now *now)
{
    return !is_untouched(now->last_page, 0) && !is_untouched(now->last_page, now->last_length - 8) &&
           now->rx.done == 0 && !now->rx.began;
}

/* From where on it is traced; the copies are counted by the simulator. */
enum start {
    AWAKE,      /* where it sleeps: it has seen nothing yet */
    FETCHING,   /* before the last piece is copied from the guest */
    DELIVERING, /* before the first piece is copied to the guest */
    DELIVERED,  /* before the last one */
};

static const struct point {
    const char *name;
    enum start start;
    bool (*of_tx)(const struct ring_now *tx); /* one of these, */
    bool (*of_rx)(const struct ring_now *rx);
    bool (*of_all)(const struct now *now);
    const char *fault; /* or the simulator's rule */
} points[] = {
    {"from the guest: one slot in the journal", AWAKE, .of_tx = taken_one},
    {"from the guest: all slots in the journal", AWAKE, .of_tx = taken_all},
    {"from the guest: before the copy", .fault = "copy:kill@1"},
    {"from the guest: amid the copy", .fault = "copy:kill@9"},
    {"from the guest: a frame in the port, no answer", FETCHING, .of_all = sent_one},
    {"from the guest: the first answer begun in its slot", FETCHING, .of_tx = began_to_answer},
    {"from the guest: one slot of a frame answered", FETCHING, .of_tx = answered_one},
    {"from the guest: half of the slots answered", FETCHING, .of_tx = answered_half},
    {"from the guest: all frames in the port, the last without an answer", FETCHING, .of_all = sent_all},
    {"from the guest: all answered", FETCHING, .of_tx = answered_all},
    {"from the guest: the batch promised, not announced", DELIVERED, .of_tx = promised},
    {"from the guest: announced, all in the journal still", DELIVERED, .of_tx = announced},
    {"from the guest: announced, one out of the journal", DELIVERED, .of_tx = freed_one},
    {"from the guest: announced, out of the journal", DELIVERED, .of_tx = freed_all},
    {"for the guest: one frame read", FETCHING, .of_all = read_one},
    {"for the guest: all frames read", FETCHING, .of_all = read_all},
    {"for the guest: one page in the journal", FETCHING, .of_rx = taken_one},
    {"for the guest: the first page begun", DELIVERING, .of_all = began_to_fill_the_first},
    {"for the guest: the last page begun", DELIVERED, .of_all = began_to_fill_the_last},
    {"for the guest: all pages filled", DELIVERED, .of_all = filled_all},
    {"for the guest: the first answer begun in its slot", DELIVERED, .of_rx = began_to_answer},
    {"for the guest: one slot of a frame answered", DELIVERED, .of_rx = answered_one},
    {"for the guest: half of the slots answered", DELIVERED, .of_rx = answered_half},
    {"for the guest: all answered", DELIVERED, .of_rx = answered_all},
    {"for the guest: the batch promised, not announced", DELIVERED, .of_rx = promised},
    {"for the guest: announced, all in the journal still", DELIVERED, .of_rx = announced},
    {"for the guest: announced, one out of the journal", DELIVERED, .of_rx = freed_one},
    {"for the guest: announced, out of the journal", DELIVERED, .of_rx = freed_all},
    {"both: before the event of the answers", .fault = "notify:kill@1"},
    {"both: before the event of the frames", .fault = "notify:kill@2"},
};
#define POINTS (sizeof points / sizeof points[0])

static bool is_reached(const struct point *point, struct now *now)
{
    see(now, point->of_all != NULL);
    return (point->of_tx && point->of_tx(&now->tx)) || (point->of_rx && point->of_rx(&now->rx)) ||
           (point->of_all && point->of_all(now));
}

/* ---- Tracing. -------------------------------------------------------------------------------------------------------- */

/* Who waits is told. */
static void on_alarm(int number)
{
    (void)number;
}

/* Until the worker has stopped. Returns the signal. */
static int until_stopped(const char *point)
{
    int status;

    if (waitpid(rig_worker(), &status, 0) < 0)
        fail_msg("waited for %u s in vain, the worker was never at this point: %s", HANG_LIMIT, point);
    if (!WIFSTOPPED(status))
        fail_msg("the worker ended by itself, status %#x, before this point: %s", (unsigned)status, point);
    return WSTOPSIG(status);
}

static void go_on(enum __ptrace_request how)
{
    assert_int_equal(ptrace(how, rig_worker(), NULL, NULL), 0);
}

static void trace(const char *point)
{
    if (ptrace(PTRACE_SEIZE, rig_worker(), NULL, NULL) < 0) {
        fprintf(stderr, "tracing is not allowed here: %s\n", strerrordesc_np(errno));
        rig_close(NULL);
        exit(77);
    }
    go_on(PTRACE_INTERRUPT);
    until_stopped(point);
}

static void fault(const char *rule)
{
    char command[128];

    snprintf(command, sizeof command, "simxen fault %u %s", rig_domid(), rule);
    assert_int_equal(system(command), 0);
}

/* Lets the worker go to where the point's start is. */
static void run_to(const struct point *point, const struct now *now)
{
    const uint32_t copies[] = {
        [FETCHING] = now->tx.due, [DELIVERING] = now->tx.due + 1, [DELIVERED] = now->tx.due + now->rx.due};
    char rule[32];

    if (point->start == AWAKE)
        return;
    snprintf(rule, sizeof rule, "copy:stop@%u", copies[point->start]);
    fault(rule);
    go_on(PTRACE_CONT);
    assert_int_equal(until_stopped(point->name), SIGSTOP);
}

static void step_to(const struct point *point, struct now *now)
{
    while (!is_reached(point, now)) {
        go_on(PTRACE_SINGLESTEP);
        const int number = until_stopped(point->name);
        if (number != SIGTRAP)
            fail_msg("the worker got signal %d before this point: %s", number, point->name);
    }
}

/* ---- A death. -------------------------------------------------------------------------------------------------------- */

/* Of the worker, as the kernel tells it: 'S', it sleeps; 'Z', it is dead. */
static bool is_in_state(void *state)
{
    char path[32], found;

    snprintf(path, sizeof path, "/proc/%d/stat", rig_worker());
    FILE *stat = fopen(path, "r");
    assert_non_null(stat);
    assert_int_equal(fscanf(stat, "%*d (%*[^)]) %c", &found), 1);
    fclose(stat);
    return found == *(const char *)state;
}

/* A worker, and a card of which one frame has come each way; it has nothing to do. */
static void begin(void)
{
    memset(&sent, 0, sizeof sent);
    memset(&written, 0, sizeof written);
    rig_start(0);
    card_make(0, NETBACK_PORT_TAP, 2, &card); /* each ring has its channel; the frames are those of one queue */
    card.queues[0].came = on_received;
    card_post(&card, 0, POSTED);
    assert_int_equal(card_connect(&card, false, false), 0);
    send_one();
    write_one();
    rig_until("a frame each way", all_done, NULL);
    rig_until("the worker to sleep", is_in_state, "S");
}

/* Frames each way, and pages, for a worker that stands still. */
static void give(struct now *now)
{
    const struct card_queue *queue = &card.queues[0];

    now->first_page = queue->rx_pages + queue->taken * (size_t)PAGE; /* the next to be filled */
    for (uint32_t i = 0; i < FRAMES; i++) {
        write_one();
        send_one();
        now->tx.due += tx_slots(sent.given);
        now->rx.due += rx_slots(written.given);
    }
    card_post(&card, 0, NETIF_RING_SLOTS - POSTED);
    note_slot(&now->tx);
    note_slot(&now->rx);
    now->unread_before = waiting_in(card.port[0]);
    now->first_length = length_of(FIRST) < PAGE ? length_of(FIRST) : PAGE;
    now->last_page = now->first_page + (now->rx.due - 1) * (size_t)PAGE;
    now->last_length = length_of(LAST) - (rx_slots(LAST) - 1) * PAGE;
}

/* Frames are under way; the worker goes on to the point, and dies there. */
static void die_at(const struct point *point, struct now *now)
{
    trace(point->name);
    begin_ring(NETBACK_RING_TX(0), card.queues[0].tx_ring, netif_tx_layout(), &now->tx);
    begin_ring(NETBACK_RING_RX(0), card.queues[0].rx_ring, netif_rx_layout(), &now->rx);
    give(now);
    if (point->fault) {
        fault(point->fault);
        go_on(PTRACE_DETACH);
        rig_until(point->name, is_in_state, "Z");
    } else {
        alarm(HANG_LIMIT);
        run_to(point, now);
        step_to(point, now);
        alarm(0);
    }
    rig_kill();
    see(now, true);
    fault("none");
}

/* The last of the frames that have all of their slots, or bytes of the port, among the first so many. */
static uint32_t last_within(uint32_t room, uint32_t (*size)(uint32_t number))
{
    uint32_t number = FIRST;

    for (; number <= LAST && size(number) <= room; number++)
        room -= size(number);
    return number - 1;
}

static void check(const struct now *now)
{
    const uint32_t answered = last_within(now->tx.announced, tx_slots);
    const uint32_t received = last_within(now->rx.announced, rx_slots);
    const uint32_t read = last_within(now->unread_before - now->unread, port_bytes);

    for (uint32_t i = 1; i <= sent.given; i++) {
        const uint32_t most = i > answered && i <= LAST ? 2 : 1;
        if (sent.came[i] < 1 || sent.came[i] > most)
            fail_msg("frame %u from the guest came %u times; all up to %u were answered", i, sent.came[i], answered);
    }
    for (uint32_t i = 1; i <= written.given; i++) {
        const bool may_be_lost = i > received && i <= read;
        if (written.came[i] != 1 && !may_be_lost)
            fail_msg("frame %u for the guest did not come; all up to %u were read, up to %u announced", i, read,
                     received);
    }
    assert_true(sent.steps_back <= 1);
    assert_int_equal(card.queues[0].errors, 0);
    assert_int_equal(card.queues[0].failed, 0);
    assert_false(card.queues[0].broken);
}

static void killed_at(void **state)
{
    const struct point *point = *state;
    struct now now = {0};

    begin();
    die_at(point, &now);
    rig_start(0);
    assert_int_equal(card_connect(&card, true, false), 0);
    card.queues[0].keep_posting = true;
    /* Until each page is used again, and with them each slot. */
    const uint32_t taken = card.queues[0].taken;
    while (card.queues[0].taken - taken < NETIF_RING_SLOTS) {
        for (uint32_t i = 0; i < FRAMES; i++) {
            send_one();
            write_one();
        }
        rig_until("frames each way, and answers to all", all_done, NULL);
    }
    check(&now);
    end_ring(&now.tx);
    end_ring(&now.rx);
    card_disconnect(&card);
    card_free(&card);
    rig_kill();
}

int main(void)
{
    static struct CMUnitTest tests[POINTS];

    for (size_t i = 0; i < POINTS; i++)
        tests[i] = (struct CMUnitTest){.name = points[i].name,
                                       .test_func = killed_at,
                                       .teardown_func = rig_end_worker,
                                       .initial_state = (void *)&points[i]};
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm}, NULL); /* without SA_RESTART */
    return cmocka_run_group_tests(tests, rig_open, rig_close);
}

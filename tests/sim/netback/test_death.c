/* SPDX-License-Identifier: MIT */
/*
 * Workers that die, are drained, or get another supervisor, under a card in use.
 *
 * What a guest may see of that: a frame it sent may go out twice, one on its way to it may be lost. What it may not: a slot that is never answered,
 * or twice; a frame that is torn, or comes again, or after a later one.
 */
#include "rig.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ring/back.h>
#include <ring/netif_ctrl.h>
#include <supervise/crash.h>
#include <supervise/greeting.h>

#define KILLS 60u

static const struct netif_meta plain;
static struct card card;
static uint8_t bytes[NETIF_RX_LENGTH_MAX];
static struct got got;
static struct offload_virtio header;

static void begin(void)
{
    rig_start(0);
    card_make(0, NETBACK_PORT_TAP, 1, &card);
    card.queues[0].keep_posting = true;
    card_post(&card, 0, NETIF_RING_SLOTS);
    assert_int_equal(card_connect(&card, false, false), 0);
}

static void end(void)
{
    assert_false(card.queues[0].broken);
    card_disconnect(&card);
    card_free(&card);
    rig_kill();
}

static bool all_answered(void *arg)
{
    (void)arg;
    while (far_read(&card, 0, &got, &header))
        ;
    return card_is_answered(&card);
}

static bool far_has_read(void *arg)
{
    (void)arg;
    return far_read(&card, 0, &got, &header);
}

static bool has_received(void *arg)
{
    return card.queues[0].received >= *(uint32_t *)arg;
}

/* Every page of the guest's is filled once and answered once: as many frames as there are pages arrive, in their order. */
static void all_pages_serve(void)
{
    uint32_t due = card.queues[0].received + NETIF_RING_SLOTS;

    for (uint32_t i = 0; i < NETIF_RING_SLOTS;) {
        frame_make(bytes, 64, 1000000 + i, 1, false);
        if (far_write(&card, 0, bytes, 64, NULL))
            i++;
        rig_step();
    }
    rig_until("a frame in each page", has_received, &due);
    for (uint32_t i = 0; i < NETIF_RING_SLOTS; i++)
        assert_int_equal(card.queues[0].log[(due - NETIF_RING_SLOTS + i) % RX_LOG], 1000000 + i);
}

static void both_ways_once(uint32_t number)
{
    uint32_t due = card.queues[0].received + 1;

    frame_make(bytes, 3000, number, 1, false);
    assert_true(card_send(&card, 0, bytes, 3000, 700, &plain));
    rig_until("a frame from the guest", far_has_read, NULL);
    assert_int_equal(frame_number(got.bytes), number);
    assert_true(far_write(&card, 0, bytes, 3000, NULL));
    rig_until("a frame for the guest", has_received, &due);
    assert_int_equal(frame_number(card.queues[0].last.bytes), number);
    rig_until("answers to all the guest sent", all_answered, NULL);
}

/* What the far end has read, by number. */
static uint8_t seen[1u << 16];
static uint32_t checked; /* of what the guest received */

static void check_far(void)
{
    while (far_read(&card, 0, &got, &header)) {
        const uint32_t number = frame_number(got.bytes);
        frame_make(bytes, 64 + number % 4000, number, 1, false);
        assert_int_equal(got.length, 64 + number % 4000);
        assert_memory_equal(got.bytes, bytes, got.length);
        seen[number] = 1;
    }
}

static bool all_answered_and_checked(void *arg)
{
    (void)arg;
    check_far();
    return card_is_answered(&card);
}

/* What the guest received, byte by byte. */
static void check_whole(const struct got *frame)
{
    static uint8_t due[NETIF_RX_LENGTH_MAX];
    const uint32_t number = frame_number(frame->bytes), length = 64 + number % 4000;

    frame_make(due, length, number, 1, false);
    assert_int_equal(frame->length, length);
    assert_memory_equal(frame->bytes, due, length);
}

static void check_received(void)
{
    static uint32_t latest;

    for (; checked < card.queues[0].received; checked++) {
        const uint32_t number = card.queues[0].log[checked % RX_LOG];
        assert_true(checked == 0 || number > latest);
        latest = number;
    }
}

/* Traffic both ways for a while that no other run has. */
static void rush(uint32_t *sent, uint32_t *written)
{
    const unsigned steps = (unsigned)rand() % 20;

    for (unsigned i = 0; i < steps; i++) {
        for (unsigned burst = 0; burst < 10; burst++) {
            frame_make(bytes, 64 + *sent % 4000, *sent, 1, false);
            if (card_send(&card, 0, bytes, 64 + *sent % 4000, 900, &plain))
                ++*sent;
            frame_make(bytes, 64 + *written % 4000, *written, 1, false);
            if (far_write(&card, 0, bytes, 64 + *written % 4000, NULL))
                ++*written;
        }
        check_far();
        check_received();
        rig_step();
    }
}

static void killed_again_and_again(void **state)
{
    uint32_t sent = 1, written = 1, missing = 0;

    (void)state;
    srand(1);
    begin();
    card.queues[0].came = check_whole;
    for (unsigned i = 0; i < KILLS; i++) {
        rush(&sent, &written);
        rig_kill();
        if (rand() % 2)
            rush(&sent, &written); /* what comes while nobody serves */
        rig_start(0);
        assert_int_equal(card_connect(&card, true, false), 0);
        assert_false(card.queues[0].broken);
    }
    rig_until("answers to all the guest sent", all_answered_and_checked, NULL);
    check_far();
    check_received();
    assert_int_equal(card.queues[0].errors, 0);
    assert_int_equal(card.queues[0].failed, 0);
    for (uint32_t i = 1; i < sent; i++)
        missing += !seen[i];
    assert_true(missing <= card.counters->queues[0].tx_drops[NETBACK_TX_DROP_PORT]); /* the socket was full */
    assert_true(sent > KILLS && written > KILLS);
    for (unsigned i = 0; i < 200; i++) { /* what waits in the port */
        rig_step();
        check_received();
    }
    card.queues[0].came = NULL;
    all_pages_serve();
    end();
}

static void crash_at(uint32_t length, bool armed)
{
    char command[128];

    snprintf(command, sizeof command, armed ? "simxen fault %u copy/%u:crash@*" : "simxen fault %u none", rig_domid(),
             length);
    assert_int_equal(system(command), 0);
}

/* A packet that crashes whoever copies it is tried as often as it may be, then dropped; the ones around it pass. */
static void a_packet_that_crashes_is_dropped_in_the_end(void **state)
{
    unsigned crashes = 0;

    (void)state;
    begin();
    card.order.attempts_max = 2;
    both_ways_once(1);
    crash_at(777, true);
    frame_make(bytes, 500, 2, 1, false);
    assert_true(card_send(&card, 0, bytes, 500, 4096, &plain));
    frame_make(bytes, 777, 3, 1, false);
    assert_true(card_send(&card, 0, bytes, 777, 4096, &plain));
    frame_make(bytes, 600, 4, 1, false);
    assert_true(card_send(&card, 0, bytes, 600, 4096, &plain));
    while (crashes < 2) {
        int status = rig_wait();
        assert_true(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) != 0));
        crashes++;
        rig_start(0);
        assert_int_equal(card_connect(&card, true, true), 0);
    }
    rig_until("answers to all the guest sent", all_answered, NULL);
    assert_true(card.queues[0].errors >= 1);
    assert_true(card.counters->queues[0].tx_faults[NETIF_FAULT_CRASH] >= 1);
    crash_at(0, false);
    both_ways_once(5);
    end();
}

static bool far_has_read_number(void *arg)
{
    return far_read(&card, 0, &got, &header) && frame_number(got.bytes) == *(uint32_t *)arg;
}

/* A worker that had published and not told: the next one tells. */
static void an_event_that_was_not_sent_is_sent_after_all(void **state)
{
    char command[64];
    uint32_t number = 2;

    (void)state;
    begin();
    both_ways_once(1);
    snprintf(command, sizeof command, "simxen fault %u notify:swallow@*", rig_domid());
    assert_int_equal(system(command), 0);
    frame_make(bytes, 100, number, 1, false);
    assert_true(card_send(&card, 0, bytes, 100, 4096, &plain));
    rig_until("a frame from the guest", far_has_read_number, &number);
    for (unsigned i = 0; i < 100; i++)
        rig_step();
    assert_false(card_is_answered(&card));
    rig_kill();
    crash_at(0, false); /* nothing is swallowed any more */
    rig_start(0);
    assert_int_equal(card_connect(&card, true, false), 0);
    rig_until("the event that was not sent", all_answered, NULL);
    both_ways_once(3);
    end();
}

static enum ring_journal_use use_of(unsigned ring)
{
    const struct netback_journal_place place = netback_journal_place(&card.order.connection, ring);
    struct ring_journal_head head;

    assert_int_equal(pread(card.journal, &head, sizeof head, (off_t)place.offset), sizeof head);
    return (enum ring_journal_use)ring_journal_head_judge(&head, card.order.connection.generation);
}

static void drained_it_leaves_nothing_in_flight(void **state)
{
    (void)state;
    begin();
    both_ways_once(1);
    card.order.tuning.rate_bytes = 1; /* packets that wait for credit are in flight */
    card.order.tuning.rate_us = 4000000000;
    card_tune(&card);
    for (uint32_t i = 0; i < 8; i++) {
        frame_make(bytes, 30000, i, 1, false);
        assert_true(card_send(&card, 0, bytes, 30000, 4096, &plain));
    }
    for (unsigned i = 0; i < 200; i++)
        rig_step();
    assert_int_equal(use_of(0), RING_JOURNAL_IN_USE);
    rig_greet(GREETING_DRAIN);
    int status = rig_wait();
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    for (unsigned ring = 0; ring < netback_ring_count(&card.order.connection); ring++)
        assert_int_equal(use_of(ring), RING_JOURNAL_DRAINED);
    assert_false(card_is_answered(&card)); /* the others are still on the ring */

    rig_start(0);
    card.order.tuning.rate_bytes = 0;
    assert_int_equal(card_connect(&card, true, false), 0);
    rig_until("answers to all the guest sent", all_answered, NULL);
    both_ways_once(9);
    all_pages_serve();
    end();
}

static void another_supervisor_is_told_what_it_holds(void **state)
{
    struct netback_message message;
    int fds[12];
    unsigned count;

    (void)state;
    begin();
    both_ways_once(1);
    rig_greet(GREETING_ADOPT);
    rig_hear(BACKEND_HELD, &message, fds, &count);
    assert_int_equal(message.head.devid, 0);
    assert_int_equal(message.head.generation, card.order.connection.generation);
    assert_int_equal(message.head.result, 0);
    assert_int_equal(count, 1);
    rig_hear(BACKEND_HELD_ALL, &message, NULL, NULL);

    /* It is the port: what the guest sends is sent through it. */
    close(card.port[0]);
    card.port[0] = fds[0];
    both_ways_once(2);
    rig_kill();
    rig_start(0);
    assert_int_equal(card_connect(&card, true, false), 0);
    both_ways_once(3);
    all_pages_serve();
    end();
}

/* What is let go of is never recovered. */
static void a_retired_journal_is_refused(void **state)
{
    (void)state;
    begin();
    both_ways_once(1);
    card_disconnect(&card);
    assert_int_equal(card_connect(&card, true, false), -ESTALE);
    card_free(&card);
    rig_kill();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(killed_again_and_again, rig_end_worker),
        cmocka_unit_test_teardown(a_packet_that_crashes_is_dropped_in_the_end, rig_end_worker),
        cmocka_unit_test_teardown(an_event_that_was_not_sent_is_sent_after_all, rig_end_worker),
        cmocka_unit_test_teardown(drained_it_leaves_nothing_in_flight, rig_end_worker),
        cmocka_unit_test_teardown(another_supervisor_is_told_what_it_holds, rig_end_worker),
        cmocka_unit_test_teardown(a_retired_journal_is_refused, rig_end_worker),
    };

    return cmocka_run_group_tests(tests, rig_open, rig_close);
}

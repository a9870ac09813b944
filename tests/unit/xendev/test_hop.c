/* SPDX-License-Identifier: MIT */
/*
 * The back end's state machine: the step for every pair of states, what no step may ever do, and the dances of real
 * front ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hop.h"

static const struct hop_view base = {
    .node_there = true, .front_there = true, .domain_there = true, .online = true, .hotplug_done = true};

/* ---- Every pair. ---- */

/* Rows: our state 0..8; columns: the front end's. One letter a step:
 * . stay  P prepare  2 write InitWait  C connect  R resume  4 write Connected  5 write Closing  D disconnect  6 write
 * Closed */
static const char letters[HOP_COUNT] = {
    [HOP_STAY] = '.',      [HOP_PREPARE] = 'P', [HOP_INIT_WAIT] = '2',  [HOP_CONNECT] = 'C', [HOP_RESUME] = 'R',
    [HOP_CONNECTED] = '4', [HOP_CLOSING] = '5', [HOP_DISCONNECT] = 'D', [HOP_CLOSED] = '6',  [HOP_FORGET] = 'F',
};

static const char *const expected[HOLD_COUNT][XENBUS_STATES] = {
    [HOLD_NOTHING] = {".........", "PPPPPPPPP", "PPPPPPPPP", "555555555", "555555555", "666666666", ".P.......",
                      "555555555", "555555555"},
    [HOLD_FOUND] = {"DDDDDDDDD", "DDDDDDDDD", "DDDDDDDDD", "DDDDDDDDD", "DDRRRRDRR", "DDRRRRDRR", "DDDDDDDDD",
                    "DDDDDDDDD", "DDDDDDDDD"},
    [HOLD_PREPARED] = {"DDDDDDDDD", "222222222", "222222222", "DDDDDDDDD", "DDDDDDDDD", "DDDDD.DDD", "222222222",
                       "DDDDDDDDD", "DDDDDDDDD"},
    [HOLD_WAITING] = {"DDDDDDDDD", "DDDDDDDDD", "...CC55..", "DDDDDDDDD", "DDDDDDDDD", "DDDDD.DDD", "DDDDDDDDD",
                      "DDDDDDDDD", "DDDDDDDDD"},
    [HOLD_CONNECTED] = {"DDDDDDDDD", "DDDDDDDDD", "DD4445544", "DDDDDDDDD", "DD...5D..", "DD....D..", "DDDDDDDDD",
                        "DDDDDDDDD", "DDDDDDDDD"},
};

static void every_pair_has_its_step(void **state)
{
    (void)state;
    for (int hold = 0; hold < HOLD_COUNT; hold++) {
        for (int own = 0; own < XENBUS_STATES; own++) {
            for (int front = 0; front < XENBUS_STATES; front++) {
                struct hop_view view = base;
                view.hold = (enum hop_hold)hold;
                view.own = (enum xenbus_state)own;
                view.front = (enum xenbus_state)front;
                if (letters[hop_next(&view)] != expected[hold][own][front])
                    fail_msg("hold %d own %d front %d: %c, not %c", hold, own, front, letters[hop_next(&view)],
                             expected[hold][own][front]);
            }
        }
    }
}

/* ---- What no step may ever do. ---- */

/* Calls `check` with every view there can be. */
static void for_every_view(void (*check)(const struct hop_view *view))
{
    for (unsigned bits = 0; bits < 1u << 10; bits++) {
        for (int hold = 0; hold < HOLD_COUNT; hold++) {
            for (int own = 0; own < XENBUS_STATES; own++) {
                for (int front = 0; front < XENBUS_STATES; front++) {
                    const struct hop_view view = {
                        .own = (enum xenbus_state)own,
                        .front = (enum xenbus_state)front,
                        .hold = (enum hop_hold)hold,
                        .busy = bits & 1,
                        .node_there = bits & 2,
                        .front_there = bits & 4,
                        .online = bits & 8,
                        .hotplug_done = bits & 16,
                        .refused = bits & 32,
                        .failed = bits & 64,
                        .front_moved = bits & 128,
                        .front_left = bits & 256,
                        .domain_there = bits & 512,
                    };
                    check(&view);
                }
            }
        }
    }
}

static void check_lawful(const struct hop_view *view)
{
    enum hop hop = hop_next(view);

    if (view->busy)
        assert_int_equal(hop, HOP_STAY);
    else if (!view->node_there || !view->domain_there)
        assert_true(hop == HOP_FORGET || hop == HOP_DISCONNECT);
    else if (!view->front_there)
        assert_true(hop == HOP_DISCONNECT || hop == HOP_CLOSING || hop == HOP_CLOSED || hop == HOP_STAY);

    switch (hop) {
    case HOP_STAY:
        break;
    case HOP_PREPARE:
        assert_int_equal(view->hold, HOLD_NOTHING);
        assert_true(view->own == XENBUS_INITIALISING || view->own == XENBUS_INIT_WAIT || view->own == XENBUS_CLOSED);
        break;
    case HOP_INIT_WAIT:
        assert_int_equal(view->hold, HOLD_PREPARED);
        break;
    case HOP_CONNECT:
        assert_true(view->own == XENBUS_INIT_WAIT && view->hold == HOLD_WAITING && view->hotplug_done &&
                    !view->refused && !view->failed);
        assert_true(view->front == XENBUS_INITIALISED || view->front == XENBUS_CONNECTED);
        break;
    case HOP_RESUME:
        assert_true(view->hold == HOLD_FOUND && !view->failed);
        assert_true(view->own == XENBUS_CONNECTED || view->own == XENBUS_CLOSING);
        break;
    case HOP_CONNECTED:
        assert_true(view->own == XENBUS_INIT_WAIT && view->hold == HOLD_CONNECTED && !view->failed);
        /* Nobody's new life is told that it is connected when its former one was. */
        assert_true(view->front != XENBUS_INITIALISING && view->front != XENBUS_CLOSED);
        assert_false(view->front_left && (view->front == XENBUS_INITIALISED || view->front == XENBUS_CONNECTED));
        break;
    case HOP_CLOSING:
        assert_true(view->own != XENBUS_CLOSING && view->own != XENBUS_CLOSED && view->own != XENBUS_INITIALISING);
        /* What could be resumed is retired first, unless the front end is still allowed to use it. */
        assert_true(
            view->hold == HOLD_NOTHING || view->hold == HOLD_WAITING ||
            (view->hold == HOLD_CONNECTED &&
             (view->front == XENBUS_CLOSING || (view->own == XENBUS_INIT_WAIT && view->front == XENBUS_CLOSED))));
        break;
    case HOP_DISCONNECT:
        assert_int_not_equal(view->hold, HOLD_NOTHING);
        break;
    case HOP_CLOSED:
        assert_true(view->own == XENBUS_CLOSING && view->hold == HOLD_NOTHING);
        break;
    case HOP_FORGET:
        assert_int_equal(view->hold, HOLD_NOTHING);
        assert_true(!view->node_there || !view->domain_there);
        break;
    default:
        fail();
    }
}

static void no_step_is_unlawful(void **state)
{
    (void)state;
    for_every_view(check_lawful);
}

/* ---- A device moved by hop_next(), as backend.c does it. ---- */

struct machine {
    struct hop_view view;
    bool prepare_fails;
    bool connect_fails;
    char trace[64]; /* the steps taken */
    unsigned steps;
};

static void machine_finish(struct machine *machine, enum hop hop)
{
    struct hop_view *view = &machine->view;

    switch (hop) {
    case HOP_PREPARE:
        view->failed = false;
        view->front_moved = false;
        view->refused = machine->prepare_fails;
        view->hold = HOLD_PREPARED;
        break;
    case HOP_CONNECT:
        view->front_left = false;
        __attribute__((fallthrough));
    case HOP_RESUME:
        view->failed |= machine->connect_fails;
        view->hold = machine->connect_fails ? view->hold : HOLD_CONNECTED;
        break;
    case HOP_DISCONNECT:
        view->hold = HOLD_NOTHING;
        break;
    case HOP_INIT_WAIT:
        view->own = XENBUS_INIT_WAIT;
        view->hold = HOLD_WAITING;
        break;
    case HOP_CONNECTED:
        view->own = XENBUS_CONNECTED;
        break;
    case HOP_CLOSING:
        view->own = XENBUS_CLOSING;
        break;
    default: /* HOP_CLOSED */
        view->own = XENBUS_CLOSED;
        break;
    }
}

/* Moves until it stays or is forgotten; returns the steps of this move. */
static const char *machine_run(struct machine *machine)
{
    const char *from = machine->trace + machine->steps;

    for (;;) {
        enum hop hop = hop_next(&machine->view);
        if (hop == HOP_STAY)
            return from;
        assert_true(machine->steps < sizeof(machine->trace) - 1);
        machine->trace[machine->steps++] = letters[hop];
        if (hop == HOP_FORGET)
            return from;
        machine_finish(machine, hop);
    }
}

static const char *machine_front(struct machine *machine, enum xenbus_state front)
{
    machine->view.front = front;
    machine->view.front_moved = true;
    machine->view.front_left |= front == XENBUS_CLOSING || front == XENBUS_CLOSED || front == XENBUS_INITIALISING;
    return machine_run(machine);
}

static struct machine fresh_machine(void)
{
    struct machine machine = {.view = base};

    machine.view.own = XENBUS_INITIALISING;
    machine.view.front = XENBUS_INITIALISING;
    return machine;
}

static void check_terminates(const struct hop_view *view)
{
    for (unsigned fails = 0; fails < 4; fails++) {
        struct machine machine = {.view = *view, .prepare_fails = fails & 1, .connect_fails = fails & 2};

        machine_run(&machine);
        assert_true(machine.steps <= 10);
    }
}

static void every_view_comes_to_rest(void **state)
{
    (void)state;
    for_every_view(check_terminates);
}

/* ---- The dances of real front ends. ---- */

static void linux_connects_and_is_detached_in_use(void **state)
{
    struct machine machine = fresh_machine();

    (void)state;
    machine.view.hotplug_done = false;
    assert_string_equal(machine_run(&machine), "P2");
    assert_string_equal(machine_front(&machine, XENBUS_INITIALISED), "");
    machine.view.hotplug_done = true;
    assert_string_equal(machine_run(&machine), "C4");
    assert_string_equal(machine_front(&machine, XENBUS_CONNECTED), "");

    machine.view.online = false; /* xl block-detach */
    machine.view.own = XENBUS_CLOSING;
    assert_string_equal(machine_run(&machine), "");
    assert_string_equal(machine_front(&machine, XENBUS_CLOSING), ""); /* "device in use": still served */
    assert_string_equal(machine_front(&machine, XENBUS_CLOSED), "D6");
    machine.view.node_there = false;
    assert_string_equal(machine_run(&machine), "F");
}

static void minios_jumps_to_connected(void **state)
{
    struct machine machine = fresh_machine();

    (void)state;
    machine.view.front = XENBUS_CONNECTED;
    assert_string_equal(machine_run(&machine), "P2C4");
}

static void grub_stays_initialised_and_is_replaced(void **state)
{
    struct machine machine = fresh_machine();

    (void)state;
    machine_run(&machine);
    assert_string_equal(machine_front(&machine, XENBUS_INITIALISED), "C4");
    assert_string_equal(machine_front(&machine, XENBUS_CLOSING), "5");
    assert_string_equal(machine_front(&machine, XENBUS_CLOSED), "D6");
    assert_string_equal(machine_front(&machine, XENBUS_INITIALISING), "P2");
    assert_string_equal(machine_front(&machine, XENBUS_INITIALISED), "C4");
}

static void a_front_end_that_begins_anew_unseen_is_closed_first(void **state)
{
    struct machine machine = fresh_machine();

    (void)state;
    machine_run(&machine);
    machine_front(&machine, XENBUS_CONNECTED);
    assert_string_equal(machine_front(&machine, XENBUS_INITIALISING), "D56P2");
}

static void a_front_end_whose_new_beginning_was_missed_is_connected_again(void **state)
{
    struct machine machine = fresh_machine();

    (void)state;
    machine_run(&machine);
    machine_front(&machine, XENBUS_CONNECTED);
    assert_string_equal(machine_front(&machine, XENBUS_CLOSING), "5");
    assert_string_equal(machine_front(&machine, XENBUS_CLOSED), "D6");
    assert_string_equal(machine_front(&machine, XENBUS_CONNECTED), "P2C4");
    assert_string_equal(machine_front(&machine, XENBUS_CLOSING), "5");
    assert_string_equal(machine_front(&machine, XENBUS_CONNECTED), "D6P2C4"); /* Closed was missed, too */
}

static void a_front_end_that_stays_connected_when_it_is_closed_is_not_connected_again(void **state)
{
    struct machine machine = fresh_machine();

    (void)state;
    machine_run(&machine);
    machine_front(&machine, XENBUS_INITIALISED);
    machine.view.failed = true; /* it broke the protocol */
    assert_string_equal(machine_run(&machine), "D56");
    assert_string_equal(machine_front(&machine, XENBUS_CONNECTED), "");
    assert_string_equal(machine_front(&machine, XENBUS_CONNECTED), "");
    assert_string_equal(machine_front(&machine, XENBUS_CLOSED), "");
    assert_string_equal(machine_front(&machine, XENBUS_INITIALISED), "P2C4");
}

static void windows_closes_before_it_connects(void **state)
{
    struct machine machine = fresh_machine();

    (void)state;
    machine_run(&machine);
    assert_string_equal(machine_front(&machine, XENBUS_CLOSING), "5");
    assert_string_equal(machine_front(&machine, XENBUS_CLOSED), "D6");
    assert_string_equal(machine_front(&machine, XENBUS_INITIALISING), "P2");
    assert_string_equal(machine_front(&machine, XENBUS_CONNECTED), "C4");
}

static void a_refused_device_waits_at_init_wait_for_its_removal(void **state)
{
    struct machine machine = fresh_machine();

    (void)state;
    machine.prepare_fails = true;
    assert_string_equal(machine_run(&machine), "P2");
    assert_string_equal(machine_front(&machine, XENBUS_CONNECTED), "");
    machine.view.online = false;
    machine.view.own = XENBUS_CLOSING;
    assert_string_equal(machine_run(&machine), "D6");
}

static void a_failed_connect_is_closed_and_not_tried_again_by_itself(void **state)
{
    struct machine machine = fresh_machine();

    (void)state;
    machine.connect_fails = true;
    machine_run(&machine);
    assert_string_equal(machine_front(&machine, XENBUS_INITIALISED), "CD56");
    machine.connect_fails = false;
    assert_string_equal(machine_front(&machine, XENBUS_INITIALISING), "P2");
}

static void a_failure_before_the_front_end_moved_is_not_repeated(void **state)
{
    struct machine machine = fresh_machine();

    (void)state;
    machine_run(&machine);
    machine.view.failed = true;
    assert_string_equal(machine_run(&machine), "D56");
    assert_string_equal(machine_front(&machine, XENBUS_INITIALISING), "P2");
}

/* What is seen when a connect that took long has ended: a crash kernel found InitWait and went on from there. */
static void a_front_end_that_begins_anew_while_it_is_connected_to_is_connected_anew(void **state)
{
    static const enum xenbus_state seen[] = {XENBUS_INITIALISING, XENBUS_INITIALISED, XENBUS_CONNECTED};

    (void)state;
    for (unsigned i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
        struct machine machine = fresh_machine();
        machine_run(&machine);
        machine.view.hold = HOLD_CONNECTED; /* Connected is not yet written */
        machine.view.front_left = true;
        machine.view.front = seen[i];
        assert_string_equal(machine_run(&machine), seen[i] == XENBUS_INITIALISING ? "DP2" : "DP2C4");
        assert_string_equal(machine_front(&machine, XENBUS_CONNECTED), seen[i] == XENBUS_INITIALISING ? "C4" : "");
    }
}

/* Its new life, before Closed was written, was its last move. */
static void a_front_end_that_left_a_failed_connect_is_served_anew(void **state)
{
    struct machine machine = fresh_machine();

    (void)state;
    machine_run(&machine);
    machine.view.front_moved = true; /* to Initialised, and back to Initialising while it was connected to */
    machine.view.front_left = true;
    machine.view.failed = true;
    assert_string_equal(machine_run(&machine), "D56P2");
    assert_string_equal(machine_front(&machine, XENBUS_INITIALISED), "C4");
}

static void a_destroyed_domain_is_torn_down(void **state)
{
    struct machine machine = fresh_machine();

    (void)state;
    machine_run(&machine);
    machine_front(&machine, XENBUS_CONNECTED);
    machine.view.domain_there = false;
    assert_string_equal(machine_run(&machine), "DF");
}

/* As xl destroy does it: the front end's node goes first, and the hotplug script still has to read ours. */
static void a_removed_front_end_is_closed(void **state)
{
    struct machine machine = fresh_machine();

    (void)state;
    machine_run(&machine);
    machine_front(&machine, XENBUS_CONNECTED);
    machine.view.front_there = false;
    machine.view.online = false;
    machine.view.own = XENBUS_CLOSING;
    machine.view.front = XENBUS_UNKNOWN;
    assert_string_equal(machine_run(&machine), "D6");
    machine.view.node_there = false;
    assert_string_equal(machine_run(&machine), "F");
}

static void a_node_removed_by_force_is_torn_down(void **state)
{
    struct machine machine = fresh_machine();

    (void)state;
    machine_run(&machine);
    machine_front(&machine, XENBUS_CONNECTED);
    machine.view.node_there = false;
    machine.view.own = XENBUS_UNKNOWN;
    assert_string_equal(machine_run(&machine), "DF");
}

static void a_device_made_anew_under_our_feet_is_served_anew(void **state)
{
    struct machine machine = fresh_machine();

    (void)state;
    machine_run(&machine);
    machine_front(&machine, XENBUS_CONNECTED);
    machine.view.own = XENBUS_INITIALISING;
    machine.view.front = XENBUS_INITIALISING;
    assert_string_equal(machine_run(&machine), "DP2");
}

static void a_daemon_that_starts_late_goes_on(void **state)
{
    static const struct {
        enum xenbus_state own, front;
        const char *steps;
    } cases[] = {
        {XENBUS_INITIALISING, XENBUS_INITIALISING, "P2"},
        {XENBUS_INIT_WAIT, XENBUS_INITIALISED, "DP2C4"},
        {XENBUS_CONNECTED, XENBUS_CONNECTED, "R"},
        {XENBUS_CONNECTED, XENBUS_CLOSING, "R5"},
        {XENBUS_CONNECTED, XENBUS_CLOSED, "D56"},
        {XENBUS_CLOSING, XENBUS_CONNECTED, "R"},
        {XENBUS_CLOSING, XENBUS_CLOSED, "D6"},
        {XENBUS_CLOSED, XENBUS_CLOSED, "D"},
        {XENBUS_CLOSED, XENBUS_INITIALISING, "DP2"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct machine machine = {.view = base};
        machine.view.own = cases[i].own;
        machine.view.front = cases[i].front;
        if (cases[i].own >= XENBUS_INIT_WAIT)
            machine.view.hold = HOLD_FOUND;
        assert_string_equal(machine_run(&machine), cases[i].steps);
    }
}

static void what_cannot_be_resumed_is_closed(void **state)
{
    struct machine machine = {.view = base, .connect_fails = true};

    (void)state;
    machine.view.own = machine.view.front = XENBUS_CONNECTED;
    machine.view.hold = HOLD_FOUND;
    assert_string_equal(machine_run(&machine), "RD56");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_has_its_step),
        cmocka_unit_test(no_step_is_unlawful),
        cmocka_unit_test(every_view_comes_to_rest),
        cmocka_unit_test(linux_connects_and_is_detached_in_use),
        cmocka_unit_test(minios_jumps_to_connected),
        cmocka_unit_test(grub_stays_initialised_and_is_replaced),
        cmocka_unit_test(a_front_end_that_begins_anew_unseen_is_closed_first),
        cmocka_unit_test(a_front_end_whose_new_beginning_was_missed_is_connected_again),
        cmocka_unit_test(a_front_end_that_stays_connected_when_it_is_closed_is_not_connected_again),
        cmocka_unit_test(windows_closes_before_it_connects),
        cmocka_unit_test(a_refused_device_waits_at_init_wait_for_its_removal),
        cmocka_unit_test(a_failed_connect_is_closed_and_not_tried_again_by_itself),
        cmocka_unit_test(a_failure_before_the_front_end_moved_is_not_repeated),
        cmocka_unit_test(a_front_end_that_begins_anew_while_it_is_connected_to_is_connected_anew),
        cmocka_unit_test(a_front_end_that_left_a_failed_connect_is_served_anew),
        cmocka_unit_test(a_destroyed_domain_is_torn_down),
        cmocka_unit_test(a_removed_front_end_is_closed),
        cmocka_unit_test(a_node_removed_by_force_is_torn_down),
        cmocka_unit_test(a_device_made_anew_under_our_feet_is_served_anew),
        cmocka_unit_test(a_daemon_that_starts_late_goes_on),
        cmocka_unit_test(what_cannot_be_resumed_is_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

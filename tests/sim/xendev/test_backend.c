/* SPDX-License-Identifier: MIT */
/*
 * Back ends on a real xenstored: discovery, the state machine's effects and writes, and everybody else's bad manners.
 *
 * The test plays toolstack and guest through a connection of its own; the daemon's effects leave a letter each in a
 * trace (P C R D F, as in test_hop.c).
 */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <xendev/xenbus.h>

#define DEVID 51712u

static struct stage {
    struct rig rig;
    struct xendev_bus *bus;
    char trace[4096];
    unsigned steps;
    bool hold;                      /* effects are not ended by themselves */
    struct xendev_backend *pending; /* ...this one's */
    void (*meanwhile)(void);        /* happens during the next effect */
    const char *refuse;             /* prepare fails with this reason */
    const char *break_connect;      /* connect and resume do */
    bool busy;                      /* an effect is under way */
    bool overtaken;                 /* the toolstack detaches once the back end has read `online`, next time */
} stage;

static char back[64], front[64];
static uint32_t domid;

/* ---- The daemon. ---- */

static void step(char letter)
{
    if (stage.steps < sizeof(stage.trace) - 1)
        stage.trace[stage.steps++] = letter;
}

static void effect(struct xendev_backend *device, char letter, const char *reason)
{
    assert_false(stage.busy); /* one at a time */
    step(letter);
    stage.busy = true;
    stage.pending = device;
    if (stage.meanwhile != NULL) {
        stage.meanwhile();
        stage.meanwhile = NULL;
    }
    if (stage.hold)
        return;
    stage.busy = false;
    xendev_backend_done(device, reason != NULL ? -EIO : 0, reason);
}

static void end_pending(int result, const char *reason)
{
    stage.busy = false;
    stage.hold = false;
    xendev_backend_done(stage.pending, result, reason);
}

static void prepare(struct xendev_backend *device)
{
    assert_ptr_equal(xendev_bus_owner(xendev_backend_bus(device)), &stage);
    xendev_backend_set_data(device, &stage);
    effect(device, 'P', stage.refuse);
}

static void connect_device(struct xendev_backend *device)
{
    assert_ptr_equal(xendev_backend_data(device), &stage);
    effect(device, 'C', stage.break_connect);
}

static void resume(struct xendev_backend *device)
{
    effect(device, 'R', stage.break_connect);
}

static void disconnect(struct xendev_backend *device)
{
    effect(device, 'D', NULL);
}

static void release(struct xendev_backend *device)
{
    assert_false(stage.busy);
    stage.pending = NULL;
    (void)device;
    step('F');
}

static const struct xendev_backend_ops ops = {prepare, connect_device, resume, disconnect, release};

static void bus_open(void)
{
    assert_int_equal(xendev_bus_open(stage.rig.store, "vbd", &ops, &stage, &stage.bus), 0);
}

static void settle(void)
{
    rig_settle(&stage.rig);
}

/* The effects since the last call. */
static const char *effects(void)
{
    static char copy[sizeof(stage.trace)];

    settle();
    memcpy(copy, stage.trace, stage.steps);
    copy[stage.steps] = '\0';
    stage.steps = 0;
    return copy;
}

static struct xendev_backend *only_device(void)
{
    struct xendev_backend *device = xendev_bus_next(stage.bus, NULL);

    assert_non_null(device);
    assert_null(xendev_bus_next(stage.bus, device));
    return device;
}

/* ---- Toolstack and guest. ---- */

static void attach_keys(const char *const *keys)
{
    assert_int_equal(xendev_toolstack_attach(stage.rig.other, "vbd", domid, DEVID, keys, NULL), 0);
}

static void attach(void)
{
    attach_keys(NULL);
}

static void detach(void)
{
    assert_int_equal(xendev_toolstack_detach(stage.rig.other, "vbd", domid, DEVID), 0);
}

/* Stands before libxendev's own function, by the linker. */
int __real_xendev_store_read(struct xendev_store *store, xendev_txn txn, const char *dir, const char *key,
                             char **ret_value);
int __wrap_xendev_store_read(struct xendev_store *store, xendev_txn txn, const char *dir, const char *key,
                             char **ret_value);
int __wrap_xendev_store_read(struct xendev_store *store, xendev_txn txn, const char *dir, const char *key,
                             char **ret_value)
{
    int result = __real_xendev_store_read(store, txn, dir, key, ret_value);

    if (stage.overtaken && key != NULL && strcmp(key, "online") == 0) {
        stage.overtaken = false;
        detach();
    }
    return result;
}

/* After the back end's directory was removed alone. */
static void attach_again(void)
{
    rig_remove(&stage.rig, front, NULL);
    attach();
}

static void guest(const char *state)
{
    rig_write(&stage.rig, front, "state", state);
}

static const char *own_state(void)
{
    return rig_read(&stage.rig, back, "state");
}

static void connect_guest(void)
{
    attach();
    assert_string_equal(effects(), "P");
    guest("3");
    assert_string_equal(effects(), "C");
    guest("4");
    assert_string_equal(effects(), "");
    assert_string_equal(own_state(), "4");
}

static bool node_exists(const char *path)
{
    char *value;

    if (xendev_store_read(stage.rig.other, XENDEV_NO_TXN, path, NULL, &value) < 0)
        return false;
    free(value);
    return true;
}

static int set_up(void **state)
{
    (void)state;
    memset(&stage, 0, sizeof(stage));
    rig_open(&stage.rig);
    domid = rig_domain_create();
    snprintf(back, sizeof(back), "/local/domain/0/backend/vbd/%u/%u", domid, DEVID);
    snprintf(front, sizeof(front), "/local/domain/%u/device/vbd/%u", domid, DEVID);
    bus_open();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    xendev_bus_close(stage.bus);
    rig_domain_destroy(domid);
    rig_remove(&stage.rig, back, NULL);
    rig_close(&stage.rig);
    return 0;
}

/* ---- Living and dying as intended. ---- */

static void a_device_lives_and_goes(void **state)
{
    char parent[64];

    (void)state;
    connect_guest();
    assert_string_equal(rig_read(&stage.rig, back, "ringback-status"), "ready");
    struct xendev_backend *device = only_device();
    assert_int_equal(xendev_backend_domid(device), domid);
    assert_int_equal(xendev_backend_devid(device), DEVID);
    assert_string_equal(xendev_backend_path(device), back);
    assert_string_equal(xendev_backend_front(device), front);
    assert_int_equal(xendev_backend_state(device), XENBUS_CONNECTED);
    assert_int_equal(xendev_backend_front_state(device), XENBUS_CONNECTED);
    assert_null(xendev_backend_error(device));

    detach();
    guest("5");
    assert_string_equal(effects(), ""); /* in use: served on */
    guest("6");
    assert_string_equal(effects(), "D");
    assert_string_equal(own_state(), "6");
    assert_int_equal(xendev_toolstack_forget(stage.rig.other, "vbd", domid, DEVID), 0);
    assert_string_equal(effects(), "F");
    assert_null(xendev_bus_next(stage.bus, NULL));
    assert_false(node_exists(back));
    assert_false(node_exists(front));
    snprintf(parent, sizeof(parent), "/local/domain/0/backend/vbd/%u", domid);
    assert_false(node_exists(parent));
    snprintf(parent, sizeof(parent), "/libxl/%u/device", domid);
    assert_false(node_exists(parent));
}

static void the_hotplug_script_is_waited_for(void **state)
{
    static const char *const keys[] = {"script", "/etc/xen/scripts/block-ringback", NULL};

    (void)state;
    attach_keys(keys);
    guest("3");
    assert_string_equal(effects(), "P");
    assert_string_equal(own_state(), "2");
    rig_write(&stage.rig, back, "hotplug-status", "error");
    assert_string_equal(effects(), "");
    rig_write(&stage.rig, back, "hotplug-status", "connected");
    assert_string_equal(effects(), "C");
    assert_string_equal(own_state(), "4");
}

static void keys_older_than_the_daemon_count(void **state)
{
    static const char *const keys[] = {"script", "x", "hotplug-status", "connected", NULL};

    (void)state;
    xendev_bus_close(stage.bus);
    attach_keys(keys);
    guest("4");
    bus_open();
    assert_string_equal(effects(), "PC");
    assert_string_equal(own_state(), "4");
}

static void a_refused_device_tells_why(void **state)
{
    (void)state;
    stage.refuse = "vhd: no\nfooter";
    attach();
    guest("3");
    assert_string_equal(effects(), "P");
    assert_string_equal(own_state(), "2");
    assert_string_equal(rig_read(&stage.rig, back, "ringback-status"), "error");
    assert_string_equal(rig_read(&stage.rig, back, "ringback-error"), "vhd: no?footer");
    assert_string_equal(rig_read(&stage.rig, back, "hotplug-error"), "vhd: no?footer");
    assert_string_equal(rig_read(&stage.rig, back, "error"), "vhd: no?footer");
    assert_string_equal(xendev_backend_error(only_device()), "vhd: no?footer");
    detach();
    assert_string_equal(effects(), "D");
    assert_string_equal(own_state(), "6");
}

static void a_detach_overtakes_a_look(void **state)
{
    (void)state;
    stage.refuse = "no image";
    attach();
    assert_string_equal(effects(), "P");
    stage.overtaken = true;
    rig_write(&stage.rig, back, "hotplug-status", "connected");
    assert_string_equal(effects(), "D");
    assert_false(stage.overtaken);
    assert_string_equal(own_state(), "6");
}

static void a_new_life_may_be_accepted(void **state)
{
    (void)state;
    stage.refuse = "no image";
    attach();
    assert_string_equal(effects(), "P");
    assert_string_equal(rig_read(&stage.rig, back, "hotplug-error"), "no image");
    stage.refuse = NULL;
    guest("6");
    assert_string_equal(effects(), "D");
    guest("1");
    assert_string_equal(effects(), "P");
    assert_string_equal(own_state(), "2");
    assert_string_equal(rig_read(&stage.rig, back, "ringback-status"), "ready");
    assert_string_equal(rig_read(&stage.rig, back, "ringback-error"), "");
    assert_string_equal(rig_read(&stage.rig, back, "hotplug-error"), "");
    assert_string_equal(rig_read(&stage.rig, back, "error"), "");
}

static void a_script_keeps_its_error(void **state)
{
    (void)state;
    attach();
    assert_string_equal(effects(), "P");
    rig_write(&stage.rig, back, "hotplug-error", "no such bridge");
    guest("6");
    assert_string_equal(effects(), "D");
    guest("1");
    assert_string_equal(effects(), "P");
    assert_string_equal(rig_read(&stage.rig, back, "hotplug-error"), "no such bridge");
}

static void a_new_life_clears_the_error(void **state)
{
    (void)state;
    stage.break_connect = "bad ring reference";
    attach();
    guest("3");
    assert_string_equal(effects(), "PCD");
    assert_string_equal(own_state(), "6");
    assert_string_equal(rig_read(&stage.rig, back, "error"), "bad ring reference");
    stage.break_connect = NULL;
    guest("1");
    assert_string_equal(effects(), "P");
    assert_string_equal(own_state(), "2");
    assert_string_equal(rig_read(&stage.rig, back, "error"), "");
    assert_string_equal(rig_read(&stage.rig, back, "ringback-status"), "ready");
}

static void a_front_end_begins_anew(void **state)
{
    (void)state;
    connect_guest();
    for (unsigned life = 0; life < 100; life++) { /* kexec; leaked watches would show */
        guest("5");
        assert_string_equal(effects(), "");
        assert_string_equal(own_state(), "5");
        guest("6");
        assert_string_equal(effects(), "D");
        guest("1");
        assert_string_equal(effects(), "P");
        assert_string_equal(own_state(), "2");
        guest("4"); /* as Mini-OS */
        assert_string_equal(effects(), "C");
        assert_string_equal(own_state(), "4");
    }
}

static void a_beginning_that_was_missed_is_a_new_life(void **state)
{
    (void)state;
    connect_guest();
    guest("5");
    assert_string_equal(effects(), "");
    guest("6");
    assert_string_equal(effects(), "D");
    guest("4"); /* Mini-OS, whose 1 nobody saw */
    assert_string_equal(effects(), "PC");
    assert_string_equal(own_state(), "4");
}

static void begin_anew(void)
{
    guest("1");
    guest("3");
}

/* A crash kernel finds InitWait and stands where its predecessor stood: it must not take that one's Connected for its
 * own. Its writes become known during connect... */
static void a_new_life_during_connect_is_connected_to_itself(void **state)
{
    (void)state;
    attach();
    assert_string_equal(effects(), "P");
    stage.hold = true;
    guest("3");
    assert_string_equal(effects(), "C");
    begin_anew();
    assert_string_equal(effects(), "");
    end_pending(0, NULL);
    assert_string_equal(effects(), "DPC");
    assert_string_equal(own_state(), "4");
    guest("4");
    assert_string_equal(effects(), "");
}

/* ...or their events wait for the loop when connect has ended. */
static void a_new_life_is_seen_before_connected_is_written(void **state)
{
    (void)state;
    attach();
    assert_string_equal(effects(), "P");
    stage.meanwhile = begin_anew;
    guest("3");
    assert_string_equal(effects(), "CDPC");
    assert_string_equal(own_state(), "4");
}

/* What was connected to went away before that ended, badly; the new life waits for InitWait. */
static void a_new_life_during_a_connect_that_fails_is_served(void **state)
{
    (void)state;
    attach();
    assert_string_equal(effects(), "P");
    stage.hold = true;
    guest("3");
    assert_string_equal(effects(), "C");
    guest("1");
    assert_string_equal(effects(), "");
    end_pending(-ECANCELED, "no longer wanted");
    assert_string_equal(effects(), "DP");
    assert_string_equal(own_state(), "2");
    guest("3");
    assert_string_equal(effects(), "C");
    assert_string_equal(own_state(), "4");
}

static void domain_0_is_a_guest_too(void **state)
{
    char zero[] = "/local/domain/0/device/vbd/51712";

    (void)state;
    assert_int_equal(xendev_toolstack_attach(stage.rig.other, "vbd", 0, DEVID, NULL, NULL), 0);
    rig_write(&stage.rig, zero, "state", "3");
    assert_string_equal(effects(), "PC");
    assert_int_equal(xendev_toolstack_detach(stage.rig.other, "vbd", 0, DEVID), 0);
    rig_write(&stage.rig, zero, "state", "6");
    assert_string_equal(effects(), "D");
    assert_int_equal(xendev_toolstack_forget(stage.rig.other, "vbd", 0, DEVID), 0);
    assert_string_equal(effects(), "F");
}

/* ---- Being restarted. ---- */

static void a_connected_device_is_resumed_without_a_word(void **state)
{

    (void)state;
    connect_guest();
    xendev_bus_close(stage.bus);
    rig_write(&stage.rig, back, "error", "untouched");
    bus_open();
    assert_string_equal(effects(), "R");
    assert_string_equal(own_state(), "4");
    assert_string_equal(rig_read(&stage.rig, back, "error"), "untouched");
    detach();
    guest("6");
    assert_string_equal(effects(), "D");
}

static void a_device_in_use_while_closing_is_resumed(void **state)
{
    (void)state;
    connect_guest();
    detach();
    guest("5");
    assert_string_equal(effects(), "");
    xendev_bus_close(stage.bus);
    bus_open();
    assert_string_equal(effects(), "R");
    guest("6");
    assert_string_equal(effects(), "D");
    assert_string_equal(own_state(), "6");
}

static void a_device_that_cannot_be_resumed_is_closed(void **state)
{
    (void)state;
    connect_guest();
    xendev_bus_close(stage.bus);
    stage.break_connect = "the journal is gone";
    bus_open();
    assert_string_equal(effects(), "RD");
    assert_string_equal(own_state(), "6");
    assert_string_equal(rig_read(&stage.rig, back, "error"), "the journal is gone");
}

/* A predecessor may have died when all was connected and only Connected not written. */
static void a_device_found_waiting_is_disconnected_first(void **state)
{
    (void)state;
    attach();
    assert_string_equal(effects(), "P");
    xendev_bus_close(stage.bus);
    guest("3");
    bus_open();
    assert_string_equal(effects(), "DPC");
    assert_string_equal(own_state(), "4");
}

static void a_device_found_waiting_alone_is_disconnected_before_it_is_closed(void **state)
{
    (void)state;
    attach();
    assert_string_equal(effects(), "P");
    xendev_bus_close(stage.bus);
    rig_remove(&stage.rig, front, NULL);
    bus_open();
    assert_string_equal(effects(), "D");
    assert_string_equal(own_state(), "6");
}

static void what_died_with_the_daemon_is_cleaned_up(void **state)
{
    (void)state;
    connect_guest();
    xendev_bus_close(stage.bus);
    rig_domain_destroy(domid);
    assert_true(node_exists(back));
    bus_open();
    assert_string_equal(effects(), "DF");
    assert_false(node_exists(back));
    domid = rig_domain_create(); /* for tear_down */
}

static void a_lost_connection_is_lived_through(void **state)
{
    (void)state;
    connect_guest();
    rig_cut(&stage.rig);
    while (stage.rig.lost == 0)
        event_base_loop(stage.rig.base, EVLOOP_ONCE);
    assert_string_equal(own_state(), "4");
    xendev_bus_close(stage.bus);
    xendev_store_close(stage.rig.store);
    rig_open_store(&stage.rig);
    bus_open();
    assert_string_equal(effects(), "R");
}

static void cut(void)
{
    rig_cut(&stage.rig);
}

/* As an effect that reads something: it finds out. */
static void cut_and_ask(void)
{
    char *value;

    rig_cut(&stage.rig);
    assert_int_equal(xendev_store_read(stage.rig.store, XENDEV_NO_TXN, back, "state", &value), -ENOTCONN);
}

static void a_connection_may_be_lost_during_an_effect(void **state)
{
    (void)state;
    stage.meanwhile = cut;
    attach();
    while (stage.rig.lost == 0) /* the state that follows the effect cannot be written */
        event_base_loop(stage.rig.base, EVLOOP_ONCE);
    xendev_bus_close(stage.bus);
    xendev_store_close(stage.rig.store);
    rig_open_store(&stage.rig);
    bus_open();
    assert_string_equal(effects(), "PP");
    assert_string_equal(own_state(), "2");
}

static void nothing_follows_from_what_fails_with_the_connection(void **state)
{
    char *value;

    (void)state;
    connect_guest();
    xendev_bus_close(stage.bus);
    stage.meanwhile = cut_and_ask;
    stage.break_connect = "the connection broke";
    bus_open(); /* a new process, which resumes */
    while (stage.rig.lost == 0)
        event_base_loop(stage.rig.base, EVLOOP_ONCE);
    xendev_bus_close(stage.bus);
    xendev_store_close(stage.rig.store);
    stage.break_connect = NULL;
    rig_open_store(&stage.rig);
    bus_open();
    assert_string_equal(effects(), "RR"); /* and no D between them */
    assert_string_equal(own_state(), "4");
    assert_int_equal(xendev_store_read(stage.rig.other, XENDEV_NO_TXN, back, "error", &value), -ENOENT);
}

/* ---- Dying otherwise. ---- */

static void a_destroyed_domain_leaves_nothing(void **state)
{
    (void)state;
    connect_guest();
    rig_domain_destroy(domid);
    assert_string_equal(effects(), "DF");
    assert_false(node_exists(back));
    assert_null(xendev_bus_next(stage.bus, NULL));
    domid = rig_domain_create(); /* for tear_down */
}

static void a_domain_may_die_before_its_nodes(void **state)
{
    char home[32];

    (void)state;
    connect_guest();
    rig_domain_destroy(domid);
    guest("4"); /* so that only the death of the domain is to be seen */
    assert_string_equal(effects(), "DF");
    assert_false(node_exists(back));
    snprintf(home, sizeof(home), "/local/domain/%u", domid);
    rig_remove(&stage.rig, home, NULL);
    domid = rig_domain_create(); /* for tear_down */
}

/* xl destroy removes the front end's directory first, and its hotplug script reads ours last. */
static void a_front_end_directory_that_goes_leaves_ours_to_the_toolstack(void **state)
{
    (void)state;
    connect_guest();
    rig_remove(&stage.rig, front, NULL);
    assert_string_equal(effects(), "D");
    assert_string_equal(own_state(), "6");
    rig_remove(&stage.rig, back, NULL);
    assert_string_equal(effects(), "F");
    assert_false(node_exists(back));
}

static void a_node_removed_by_force_is_not_written_again(void **state)
{
    (void)state;
    connect_guest();
    stage.hold = true;
    rig_remove(&stage.rig, back, NULL);
    assert_string_equal(effects(), "D");
    end_pending(0, NULL);
    assert_string_equal(effects(), "F");
    assert_false(node_exists(back));
}

static void remove_node(void)
{
    rig_remove(&stage.rig, back, NULL);
}

static void a_node_removed_during_an_effect_is_not_written_again(void **state)
{
    (void)state;
    stage.meanwhile = remove_node;
    attach();
    assert_string_equal(effects(), "PDF");
    assert_false(node_exists(back));
    attach_again();
    assert_string_equal(effects(), "P");
    stage.meanwhile = remove_node;
    guest("3");
    assert_string_equal(effects(), "CDF");
    assert_false(node_exists(back));
}

/* As an effect does that has not heard of it yet. */
static void remove_node_and_write_a_feature(void)
{
    rig_remove(&stage.rig, back, NULL);
    rig_write(&stage.rig, back, "feature-flush-cache", "1");
}

static void what_an_effect_writes_into_a_removed_node_goes_too(void **state)
{
    (void)state;
    attach();
    assert_string_equal(effects(), "P");
    stage.meanwhile = remove_node_and_write_a_feature;
    guest("3");
    assert_string_equal(effects(), "CDF");
    assert_false(node_exists(back));
}

static void a_detach_during_an_effect_is_not_overwritten(void **state)
{
    (void)state;
    attach();
    assert_string_equal(effects(), "P");
    stage.meanwhile = detach;
    guest("3");
    assert_string_equal(effects(), "C");
    assert_string_equal(own_state(), "5");
    guest("6");
    assert_string_equal(effects(), "D");
    assert_string_equal(own_state(), "6");
}

static void a_device_made_anew_is_served_anew(void **state)
{
    (void)state;
    connect_guest();
    assert_int_equal(xendev_toolstack_forget(stage.rig.other, "vbd", domid, DEVID), 0);
    attach();
    const char *seen = effects();
    assert_true(strcmp(seen, "DP") == 0 || strcmp(seen, "DFP") == 0);
    assert_string_equal(own_state(), "2");
}

/* ---- Failing. ---- */

static void a_broken_protocol_closes_the_device(void **state)
{
    (void)state;
    connect_guest();
    xendev_backend_fail(only_device(), "producer ahead of the ring");
    assert_string_equal(own_state(), "4"); /* nothing happens under the caller's feet */
    assert_string_equal(effects(), "D");
    assert_string_equal(own_state(), "6");
    assert_string_equal(rig_read(&stage.rig, back, "error"), "producer ahead of the ring");
    guest("4"); /* it does not care: that is no new life */
    assert_string_equal(effects(), "");
    guest("6");
    guest("1");
    assert_string_equal(effects(), "P");
}

static void a_failure_during_an_effect_waits_for_its_end(void **state)
{
    (void)state;
    attach();
    assert_string_equal(effects(), "P");
    stage.hold = true;
    guest("3");
    assert_string_equal(effects(), "C");
    xendev_backend_fail(only_device(), "worker died");
    assert_string_equal(effects(), "");
    assert_string_equal(own_state(), "2");
    end_pending(0, NULL);
    assert_string_equal(effects(), "D");
    assert_string_equal(own_state(), "6");
}

static void an_end_without_an_effect_is_ignored(void **state)
{
    (void)state;
    connect_guest();
    xendev_backend_done(only_device(), -EIO, "late");
    assert_string_equal(effects(), "");
    assert_string_equal(own_state(), "4");
    assert_null(xendev_backend_error(only_device()));
}

/* ---- Hostile, or merely odd. ---- */

static void a_front_end_of_another_domain_is_not_served(void **state)
{
    char other[64];

    (void)state;
    snprintf(other, sizeof(other), "/local/domain/%u/device/vbd/%u", domid + 1, DEVID);
    attach();
    rig_write(&stage.rig, back, "frontend", other);
    assert_string_equal(effects(), "");
    assert_null(xendev_bus_next(stage.bus, NULL));
    rig_write(&stage.rig, back, "frontend", front);
    assert_string_equal(effects(), "P");
}

static void a_front_end_id_that_disagrees_is_not_served(void **state)
{
    (void)state;
    attach();
    rig_write(&stage.rig, back, "frontend-id", "0");
    assert_string_equal(effects(), "");
    assert_null(xendev_bus_next(stage.bus, NULL));
}

static void nonsense_in_the_front_ends_state_is_a_close(void **state)
{
    (void)state;
    connect_guest();
    guest("44");
    assert_string_equal(effects(), "D");
    assert_string_equal(own_state(), "6");
}

static void ten_thousand_random_states_are_survived(void **state)
{
    static const char *const states[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "", "x"};
    unsigned seed = 349;
    const char *named = getenv("RINGBACK_TEST_SEED");

    (void)state;
    if (named != NULL)
        seed = (unsigned)strtoul(named, NULL, 10);
    print_message("seed %u\n", seed);
    attach();
    for (unsigned i = 0; i < 10000; i++) {
        seed = seed * 1103515245u + 12345u;
        guest(states[(seed >> 16) % (sizeof(states) / sizeof(states[0]))]);
        event_base_loop(stage.rig.base, EVLOOP_NONBLOCK);
    }
    guest("6");
    settle();
    assert_string_equal(own_state(), "6");
    stage.steps = 0;
    guest("1");
    assert_string_equal(effects(), "P");
    guest("3");
    assert_string_equal(effects(), "C");
    assert_string_equal(own_state(), "4");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_device_lives_and_goes),
        TEST(the_hotplug_script_is_waited_for),
        TEST(keys_older_than_the_daemon_count),
        TEST(a_refused_device_tells_why),
        TEST(a_detach_overtakes_a_look),
        TEST(a_new_life_may_be_accepted),
        TEST(a_script_keeps_its_error),
        TEST(a_new_life_clears_the_error),
        TEST(a_front_end_begins_anew),
        TEST(a_beginning_that_was_missed_is_a_new_life),
        TEST(a_new_life_during_connect_is_connected_to_itself),
        TEST(a_new_life_is_seen_before_connected_is_written),
        TEST(a_new_life_during_a_connect_that_fails_is_served),
        TEST(domain_0_is_a_guest_too),
        TEST(a_connected_device_is_resumed_without_a_word),
        TEST(a_device_in_use_while_closing_is_resumed),
        TEST(a_device_that_cannot_be_resumed_is_closed),
        TEST(a_device_found_waiting_is_disconnected_first),
        TEST(a_device_found_waiting_alone_is_disconnected_before_it_is_closed),
        TEST(what_died_with_the_daemon_is_cleaned_up),
        TEST(a_lost_connection_is_lived_through),
        TEST(a_connection_may_be_lost_during_an_effect),
        TEST(nothing_follows_from_what_fails_with_the_connection),
        TEST(a_destroyed_domain_leaves_nothing),
        TEST(a_domain_may_die_before_its_nodes),
        TEST(a_front_end_directory_that_goes_leaves_ours_to_the_toolstack),
        TEST(a_node_removed_by_force_is_not_written_again),
        TEST(a_node_removed_during_an_effect_is_not_written_again),
        TEST(what_an_effect_writes_into_a_removed_node_goes_too),
        TEST(a_detach_during_an_effect_is_not_overwritten),
        TEST(a_device_made_anew_is_served_anew),
        TEST(a_broken_protocol_closes_the_device),
        TEST(a_failure_during_an_effect_waits_for_its_end),
        TEST(an_end_without_an_effect_is_ignored),
        TEST(a_front_end_of_another_domain_is_not_served),
        TEST(a_front_end_id_that_disagrees_is_not_served),
        TEST(nonsense_in_the_front_ends_state_is_a_close),
        TEST(ten_thousand_random_states_are_survived),
    };

    rig_require_host();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * What a toolstack makes of a device, who may touch it, and a front end that follows its back end.
 */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <xendev/xenbus.h>

#define DEVID 51728u

static struct rig rig;
static uint32_t domid;
static char back[64], front[64], note[64];

static int set_up(void **state)
{
    (void)state;
    rig_open(&rig);
    domid = rig_domain_create();
    snprintf(back, sizeof(back), "/local/domain/0/backend/vbd/%u/%u", domid, DEVID);
    snprintf(front, sizeof(front), "/local/domain/%u/device/vbd/%u", domid, DEVID);
    snprintf(note, sizeof(note), "/libxl/%u/device/vbd/%u", domid, DEVID);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_domain_destroy(domid);
    rig_remove(&rig, back, NULL);
    rig_close(&rig);
    return 0;
}

static void attach(void)
{
    static const char *const backend_keys[] = {"params", "vhd:/x%s", "mode", "w", NULL};
    static const char *const frontend_keys[] = {"virtual-device", "51728", NULL};

    assert_int_equal(xendev_toolstack_attach(rig.store, "vbd", domid, DEVID, backend_keys, frontend_keys), 0);
}

static void a_device_has_what_libxl_gives_it(void **state)
{
    char id[16];

    (void)state;
    attach();
    snprintf(id, sizeof(id), "%u", domid);
    assert_string_equal(rig_read(&rig, back, "frontend"), front);
    assert_string_equal(rig_read(&rig, back, "frontend-id"), id);
    assert_string_equal(rig_read(&rig, back, "online"), "1");
    assert_string_equal(rig_read(&rig, back, "state"), "1");
    assert_string_equal(rig_read(&rig, back, "params"), "vhd:/x%s");
    assert_string_equal(rig_read(&rig, back, "mode"), "w");
    assert_string_equal(rig_read(&rig, front, "backend"), back);
    assert_string_equal(rig_read(&rig, front, "backend-id"), "0");
    assert_string_equal(rig_read(&rig, front, "state"), "1");
    assert_string_equal(rig_read(&rig, front, "virtual-device"), "51728");
    assert_string_equal(rig_read(&rig, note, "backend"), back);
    assert_string_equal(rig_read(&rig, note, "frontend"), front);
    assert_string_equal(rig_read(&rig, note, "params"), "vhd:/x%s");
}

static void a_device_is_attached_once_and_to_a_domain(void **state)
{
    (void)state;
    attach();
    rig_write(&rig, back, "state", "4");
    assert_int_equal(xendev_toolstack_attach(rig.store, "vbd", domid, DEVID, NULL, NULL), -EEXIST);
    assert_string_equal(rig_read(&rig, back, "state"), "4");
    rig_remove(&rig, back, NULL);
    assert_int_equal(xendev_toolstack_attach(rig.store, "vbd", domid, DEVID, NULL, NULL), -EEXIST);
    assert_int_equal(xendev_toolstack_attach(rig.store, "vbd", domid + 1000, DEVID, NULL, NULL), -ENOENT);
    assert_int_equal(xendev_toolstack_detach(rig.store, "vbd", domid + 1000, DEVID), -ENOENT);
    assert_int_equal(xendev_toolstack_forget(rig.store, "vbd", domid + 1000, DEVID), 0);
}

/* Runs a xenstore command with a path of the device as some domain; whether it was allowed. */
static bool may(uint32_t as, const char *command, const char *dir, const char *rest)
{
    char line[256];

    snprintf(line, sizeof(line), "%s %s/%s", command, dir, rest);
    return rig_domain_exec(as, line) == 0;
}

static void each_may_do_what_libxl_allows(void **state)
{
    uint32_t stranger = rig_domain_create();

    (void)state;
    attach();
    rig_write(&rig, back, "feature-late", "1");
    rig_write(&rig, front, "mtu", "1500");
    assert_true(may(domid, "xenstore-write", front, "ring-ref 8"));
    assert_true(may(domid, "xenstore-write", front, "state 3"));
    assert_true(may(domid, "xenstore-read", back, "state"));
    assert_true(may(domid, "xenstore-read", back, "feature-late"));
    assert_false(may(domid, "xenstore-write", back, "state 6"));
    assert_false(may(domid, "xenstore-write", back, "new 1"));
    assert_false(may(domid, "xenstore-write", note, "params 1"));
    assert_false(may(stranger, "xenstore-read", front, "ring-ref"));
    assert_false(may(stranger, "xenstore-read", back, "state"));
    assert_false(may(stranger, "xenstore-write", front, "state 6"));
    assert_string_equal(rig_read(&rig, front, "ring-ref"), "8");
    rig_domain_destroy(stranger);
}

/* ---- The front end. ---- */

struct seen {
    char trace[32]; /* the states it was told */
    unsigned count;
    struct xendev_frontend *frontend;
    bool close; /* from within the next call */
};

static void on_backend(void *arg, enum xenbus_state state)
{
    struct seen *seen = arg;

    assert_true(seen->count < sizeof(seen->trace) - 1);
    seen->trace[seen->count++] = (char)('0' + state);
    if (seen->close) {
        xendev_frontend_close(seen->frontend);
        seen->frontend = NULL;
    }
}

static void a_front_end_follows_its_back_end(void **state)
{
    struct seen seen = {0};

    (void)state;
    assert_int_equal(xendev_frontend_open(rig.store, front, on_backend, &seen, &seen.frontend), -ENOENT);
    attach();
    assert_int_equal(xendev_frontend_open(rig.store, front, on_backend, &seen, &seen.frontend), 0);
    assert_string_equal(xendev_frontend_path(seen.frontend), front);
    assert_string_equal(xendev_frontend_backend_path(seen.frontend), back);
    assert_int_equal(xendev_frontend_backend_domid(seen.frontend), 0);
    rig_settle(&rig);
    rig_write(&rig, back, "state", "2");
    rig_settle(&rig);
    rig_write(&rig, back, "state", "2"); /* no change */
    rig_settle(&rig);
    assert_int_equal(xendev_frontend_switch(seen.frontend, XENBUS_INITIALISED), 0);
    assert_string_equal(rig_read(&rig, front, "state"), "3");
    rig_write(&rig, back, "state", "4");
    rig_settle(&rig);
    assert_int_equal(xendev_toolstack_forget(rig.other, "vbd", domid, DEVID), 0);
    rig_settle(&rig);
    assert_string_equal(seen.trace, "1240");
    assert_int_equal(xendev_frontend_switch(seen.frontend, XENBUS_CLOSED), -ENOENT);
    assert_string_equal(rig_read(&rig, front, "state"), "");
    xendev_frontend_close(seen.frontend);
}

static void a_front_end_may_be_closed_by_what_it_hears(void **state)
{
    struct seen seen = {.close = true};

    (void)state;
    attach();
    assert_int_equal(xendev_frontend_open(rig.store, front, on_backend, &seen, &seen.frontend), 0);
    rig_write(&rig, back, "state", "2");
    rig_settle(&rig);
    rig_write(&rig, back, "state", "4");
    rig_settle(&rig);
    assert_int_equal(seen.count, 1);
    assert_null(seen.frontend);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_device_has_what_libxl_gives_it),
        TEST(a_device_is_attached_once_and_to_a_domain),
        TEST(each_may_do_what_libxl_allows),
        TEST(a_front_end_follows_its_back_end),
        TEST(a_front_end_may_be_closed_by_what_it_hears),
    };

    rig_require_host();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

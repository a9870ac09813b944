/* SPDX-License-Identifier: MIT */
/*
 * Each guest has a slot of the budget to itself, also beside guests that a new supervisor has not taken over yet.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <supervise/rundir.h>
#include <xendev/grant.h>

#include "blkback/blkback.h"
#include "blkback/mappings.h"

static char path[] = "/tmp/test_mappings.XXXXXX";
static struct blkback blkback;
static struct blkback_guest guests[4];

static int setup(void **state)
{
    (void)state;
    memcpy(strrchr(path, '.') + 1, "XXXXXX", 6);
    assert_non_null(mkdtemp(path));
    memset(guests, 0, sizeof(guests));
    LIST_INIT(&blkback.backend.guests);
    blkback.backend.run_dir = rundir_open(path);
    return blkback.backend.run_dir < 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(guests) / sizeof(guests[0]); i++) {
        if (guests[i].guest.backend != NULL)
            close(guests[i].guest.dir);
    }
    close(blkback.backend.run_dir);
    return rundir_remove(AT_FDCWD, path);
}

/* As a guest that is taken over, or new. Returns its slot. */
static uint32_t load(unsigned which)
{
    struct guest *guest = &guests[which].guest;

    guest->backend = &blkback.backend;
    guests[which].slot = MAPPINGS_NO_SLOT;
    snprintf(guest->name, sizeof(guest->name), "%u-life", which + 1);
    LIST_INSERT_HEAD(&blkback.backend.guests, guest, entry);
    guest->dir = rundir_enter(blkback.backend.run_dir, guest->name);
    assert_true(guest->dir >= 0);
    assert_int_equal(mappings_assign(guest), 0);
    return guests[which].slot;
}

/* A new supervisor: nobody is loaded. */
static void restart(void)
{
    for (size_t i = 0; i < sizeof(guests) / sizeof(guests[0]); i++) {
        if (guests[i].guest.backend != NULL)
            close(guests[i].guest.dir);
        guests[i].guest.backend = NULL;
    }
    LIST_INIT(&blkback.backend.guests);
}

static void test_kept(void **state)
{
    const uint32_t first = load(0), second = load(1);

    (void)state;
    assert_int_not_equal(first, second);
    restart();
    assert_int_equal(load(1), second);
    assert_int_equal(load(0), first);
}

static void test_not_loaded_yet(void **state)
{
    const uint32_t first = load(0), second = load(1);
    uint32_t third;

    (void)state;
    restart();
    third = load(2); /* new, and seen before the others are */
    assert_int_not_equal(third, first);
    assert_int_not_equal(third, second);
    assert_int_equal(load(0), first);
    assert_int_equal(load(1), second);
}

static void test_nonsense(void **state)
{
    const uint32_t first = load(0), nonsense = XENDEV_BUDGET_SLOTS;

    (void)state;
    load(1);
    assert_int_equal(rundir_write(guests[1].guest.dir, "slot", &nonsense, sizeof(nonsense)), 0);
    load(2);
    assert_int_equal(rundir_write(guests[2].guest.dir, "slot", &first, sizeof(first)), 0); /* another's */
    assert_int_equal(rundir_write(blkback.backend.run_dir, "file", "", 0), 0);
    restart();
    assert_int_equal(load(0), first);
    assert_int_not_equal(load(1), first);
    assert_int_not_equal(load(2), first);
    assert_int_not_equal(guests[1].slot, guests[2].slot);
    assert_true(guests[1].slot < XENDEV_BUDGET_SLOTS && guests[2].slot < XENDEV_BUDGET_SLOTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_loaded_yet, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nonsense, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

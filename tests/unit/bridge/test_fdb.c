/* SPDX-License-Identifier: MIT */
/*
 * The forwarding table: learning, moving, ageing by a clock that the test turns, and who pays when there are too many addresses.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bridge/fdb.h>

#define AGEING   300000
#define PER_PORT 100u
#define ENTRIES  250u

static const uint8_t key[FDB_KEY_SIZE] = "0123456789abcde";
static struct fdb *fdb;
static struct fdb_port ports[4];

static int setup(void **state)
{
    const struct fdb_limits limits = {.entries_max = ENTRIES, .per_port_max = PER_PORT, .ageing = AGEING};

    (void)state;
    if (fdb_new(key, &limits, &fdb) < 0)
        return -1;
    for (size_t i = 0; i < 4; i++)
        if (fdb_port_add(fdb, &ports[i], NULL, NULL) < 0)
            return -1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++)
        fdb_port_remove(fdb, &ports[i]);
    assert_int_equal(fdb_count(fdb), 0);
    fdb_free(fdb);
    return 0;
}

/* Address number `number` of `port`. */
static const uint8_t *mac(unsigned port, unsigned number)
{
    static uint8_t macs[4][FDB_MAC_SIZE];
    static unsigned turn;
    uint8_t *made = macs[turn++ % 4];

    made[0] = 2;
    made[1] = (uint8_t)port;
    made[2] = (uint8_t)(number >> 24);
    made[3] = (uint8_t)(number >> 16);
    made[4] = (uint8_t)(number >> 8);
    made[5] = (uint8_t)number;
    return made;
}

static void learn(unsigned port, unsigned number, int64_t now)
{
    assert_in_range(fdb_learn(fdb, &ports[port], mac(port, number), now), 0, 1);
}

static bool knows(unsigned port, unsigned number, int64_t now)
{
    return fdb_find(fdb, mac(port, number), now) == &ports[port];
}

static void learns_and_finds(void **state)
{
    (void)state;
    assert_null(fdb_find(fdb, mac(0, 1), 0));
    assert_int_equal(fdb_learn(fdb, &ports[0], mac(0, 1), 0), 1);
    assert_int_equal(fdb_learn(fdb, &ports[0], mac(0, 1), 0), 0);
    assert_true(knows(0, 1, 0));
    assert_int_equal(fdb_count(fdb), 1);
}

static void follows_who_moves(void **state)
{
    (void)state;
    learn(0, 1, 0);
    assert_int_equal(fdb_learn(fdb, &ports[1], mac(0, 1), 1), 1);
    assert_ptr_equal(fdb_find(fdb, mac(0, 1), 1), &ports[1]);
    assert_int_equal(ports[0].count, 0);
    assert_int_equal(ports[1].count, 1);
    assert_int_equal(fdb_count(fdb), 1);
}

static void forgets_what_is_old(void **state)
{
    (void)state;
    learn(0, 1, 1000);
    learn(0, 2, 2000);
    assert_true(knows(0, 1, 1000 + AGEING - 1));
    assert_false(knows(0, 1, 1000 + AGEING));
    assert_true(knows(0, 2, 1000 + AGEING));
    learn(0, 2, 3000);
    assert_int_equal(fdb_age(fdb, 2000 + AGEING), 1);
    assert_int_equal(fdb_count(fdb), 1);
    assert_true(knows(0, 2, 3000 + AGEING - 1));
    assert_int_equal(fdb_age(fdb, 3000 + AGEING), 1);
    assert_int_equal(fdb_count(fdb), 0);
}

static void a_port_displaces_its_own(void **state)
{
    (void)state;
    learn(1, 0, 0);
    for (unsigned i = 0; i < 100000; i++) {
        learn(0, i, i);
        if (i % 50 == 0)
            assert_int_equal(fdb_learn(fdb, &ports[0], mac(0, 0), i), 0); /* in use: never the oldest */
    }
    assert_int_equal(ports[0].count, PER_PORT);
    assert_true(ports[0].displaced >= 100000 - 2 * PER_PORT);
    assert_int_equal(ports[1].displaced, 0);
    assert_true(knows(1, 0, 0));
    assert_true(knows(0, 0, 100000));
    assert_true(knows(0, 99999, 100000));
    assert_false(knows(0, 99000, 100000));
}

static void who_has_most_pays(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++)
        learn(3, i, 0);
    for (unsigned i = 0; i < 1000; i++)
        for (unsigned port = 0; port < 3; port++)
            learn(port, i, i);
    assert_int_equal(fdb_count(fdb), ENTRIES);
    for (unsigned port = 0; port < 3; port++)
        assert_in_range(ports[port].count, (ENTRIES - 20) / 3, (ENTRIES - 20) / 3 + 1);
    assert_int_equal(ports[3].displaced, 0);
    for (unsigned i = 0; i < 20; i++)
        assert_true(knows(3, i, 1000));
    for (unsigned i = 20; i < 60; i++) /* and there is room for its new ones */
        learn(3, i, 1000);
    assert_int_equal(ports[3].count, 60);
    assert_int_equal(ports[3].displaced, 0);
    assert_int_equal(fdb_count(fdb), ENTRIES);
}

static void moving_heeds_the_limits(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PER_PORT; i++) {
        learn(0, i, 0);
        learn(1, i, 0);
    }
    assert_int_equal(fdb_learn(fdb, &ports[1], mac(0, 7), 1), 1);
    assert_int_equal(ports[0].count, PER_PORT - 1);
    assert_int_equal(ports[1].count, PER_PORT);
    assert_false(knows(1, 0, 1));
    assert_ptr_equal(fdb_find(fdb, mac(0, 7), 1), &ports[1]);
}

static void limits_can_change(void **state)
{
    const struct fdb_limits fewer = {.entries_max = 30, .per_port_max = 20, .ageing = 10};

    (void)state;
    for (unsigned i = 0; i < PER_PORT; i++) {
        learn(0, i, i);
        learn(1, i, i);
    }
    fdb_set_limits(fdb, &fewer);
    assert_int_equal(fdb_count(fdb), 30);
    assert_int_equal(ports[0].count, 15);
    assert_true(knows(0, PER_PORT - 1, PER_PORT));
    assert_false(knows(0, PER_PORT - 1, PER_PORT + 10));
}

static void an_owner_cannot_be_robbed(void **state)
{
    struct fdb_port owner;

    (void)state;
    learn(0, 1, 0); /* it was there first, but is not the owner */
    assert_int_equal(fdb_port_add(fdb, &owner, mac(0, 1), NULL), 0);
    assert_ptr_equal(fdb_find(fdb, mac(0, 1), 0), &owner);
    assert_int_equal(fdb_learn(fdb, &ports[0], mac(0, 1), 1), -EPERM);
    for (unsigned i = 0; i < 1000; i++)
        learn(0, 100 + i, 1);
    assert_int_equal(fdb_age(fdb, 1000 * AGEING), PER_PORT);
    assert_ptr_equal(fdb_find(fdb, mac(0, 1), 1000 * AGEING), &owner);
    assert_int_equal(fdb_count(fdb), 0);
    fdb_port_remove(fdb, &owner);
    assert_null(fdb_find(fdb, mac(0, 1), 0));
    learn(0, 1, 2);
    assert_true(knows(0, 1, 2));
}

static void of_two_owners_who_sent_last_has_it(void **state)
{
    struct fdb_port here, there;

    (void)state;
    assert_int_equal(fdb_port_add(fdb, &here, mac(0, 1), NULL), 0);
    assert_int_equal(fdb_port_add(fdb, &there, mac(0, 1), NULL), 0);
    assert_ptr_equal(fdb_find(fdb, mac(0, 1), 0), &here);
    assert_int_equal(fdb_learn(fdb, &there, mac(0, 1), 1), 1);
    assert_ptr_equal(fdb_find(fdb, mac(0, 1), 1), &there);
    assert_int_equal(fdb_learn(fdb, &ports[0], mac(0, 1), 1), -EPERM);
    fdb_port_remove(fdb, &there);
    assert_ptr_equal(fdb_find(fdb, mac(0, 1), 1), &here); /* also when it is silent */
    assert_int_equal(fdb_learn(fdb, &here, mac(0, 1), 2), 0);
    assert_int_equal(fdb_port_add(fdb, &there, mac(0, 1), NULL), 0);
    assert_int_equal(fdb_port_own(fdb, &here, NULL), 0);
    assert_ptr_equal(fdb_find(fdb, mac(0, 1), 3), &there);
    fdb_port_remove(fdb, &here);
    fdb_port_remove(fdb, &there);
    assert_null(fdb_find(fdb, mac(0, 1), 3));
}

static void an_owner_may_change(void **state)
{
    (void)state;
    learn(0, 1, 0);
    learn(0, 2, 0);
    assert_int_equal(fdb_port_own(fdb, &ports[0], mac(0, 2)), 0);
    assert_false(knows(0, 1, 0));
    assert_true(knows(0, 2, 10 * AGEING));
    assert_int_equal(fdb_port_own(fdb, &ports[0], mac(0, 3)), 0);
    assert_false(knows(0, 2, 0));
    assert_true(knows(0, 3, 0));
    assert_int_equal(fdb_port_own(fdb, &ports[0], NULL), 0);
    assert_false(knows(0, 3, 0));
    assert_int_equal(fdb_learn(fdb, &ports[1], mac(0, 3), 0), 1);
}

static void count_seen(void *arg, const struct fdb_seen *entry)
{
    unsigned *counts = arg;

    counts[entry->own]++;
    assert_int_equal(entry->seen, entry->own ? 0 : 5);
}

static void tells_all(void **state)
{
    unsigned counts[2] = {0, 0};
    uint64_t before;

    (void)state;
    for (unsigned i = 0; i < 10; i++)
        learn(0, i, 5);
    before = fdb_changes(fdb);
    learn(0, 3, 5);
    assert_int_equal(fdb_changes(fdb), before);
    assert_int_equal(fdb_port_own(fdb, &ports[1], mac(1, 1)), 0);
    assert_true(fdb_changes(fdb) != before);
    fdb_each(fdb, count_seen, counts);
    assert_int_equal(counts[0], 10);
    assert_int_equal(counts[1], 1);
}

/* Whatever happens, counts and limits hold, and nobody but the one with most has entries displaced. */
static void holds_under_anything(void **state)
{
    (void)state;
    srandom(1);
    for (unsigned i = 0; i < 200000; i++) {
        const unsigned port = (unsigned)random() % 4;
        const struct fdb_port before = ports[port];

        if (i % 1000 == 999)
            assert_int_equal(fdb_port_own(fdb, &ports[port], before.owns ? NULL : mac(9, port)), 0);
        else if (i % 777 == 0)
            fdb_age(fdb, i + AGEING - 500);
        else
            assert_in_range(fdb_learn(fdb, &ports[port], mac((unsigned)random() % 2, (unsigned)random() % 400), i), 0,
                            1);
        unsigned sum = 0;
        for (size_t p = 0; p < 4; p++) {
            assert_true(ports[p].count <= PER_PORT);
            sum += ports[p].count;
        }
        assert_int_equal(sum, fdb_count(fdb));
        assert_true(sum <= ENTRIES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(learns_and_finds, setup, teardown),
        cmocka_unit_test_setup_teardown(follows_who_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(forgets_what_is_old, setup, teardown),
        cmocka_unit_test_setup_teardown(a_port_displaces_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(who_has_most_pays, setup, teardown),
        cmocka_unit_test_setup_teardown(moving_heeds_the_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_can_change, setup, teardown),
        cmocka_unit_test_setup_teardown(an_owner_cannot_be_robbed, setup, teardown),
        cmocka_unit_test_setup_teardown(of_two_owners_who_sent_last_has_it, setup, teardown),
        cmocka_unit_test_setup_teardown(an_owner_may_change, setup, teardown),
        cmocka_unit_test_setup_teardown(tells_all, setup, teardown),
        cmocka_unit_test_setup_teardown(holds_under_anything, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

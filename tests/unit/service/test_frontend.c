/* SPDX-License-Identifier: MIT */
/*
 * What front ends state: the forms peers really use are understood, everything else is refused. The store is a table.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xendev/store.h>

#include "blkback/frontend.h"

/* Of libxendev: what every number in xenstore goes through. */
int parse_decimal(const char *text, uint64_t max, uint64_t *ret_value);

/* ---- The store. -------------------------------------------------------------------------------------------------------------- */

static const char *const *table; /* alternating keys and values */

static const char *find(const char *key)
{
    for (const char *const *at = table; at[0] != NULL; at += 2) {
        if (strcmp(at[0], key) == 0)
            return at[1];
    }
    return NULL;
}

int xendev_store_read(struct xendev_store *store, xendev_txn txn, const char *dir, const char *key, char **ret_value)
{
    const char *value = find(key);

    (void)store;
    (void)txn;
    assert_string_equal(dir, "/local/domain/3/device/vbd/51712");
    if (value == NULL)
        return -ENOENT;
    *ret_value = strdup(value);
    return 0;
}

int xendev_store_read_u32(struct xendev_store *store, xendev_txn txn, const char *dir, const char *key,
                          uint32_t *ret_value)
{
    uint64_t number;
    char *value;
    int err = xendev_store_read(store, txn, dir, key, &value);

    if (err < 0)
        return err;
    err = parse_decimal(value, UINT32_MAX, &number);
    free(value);
    if (err == 0)
        *ret_value = (uint32_t)number;
    return err;
}

static int read_keys(const char *const *keys, struct blkback_connection *connection, struct backend_error *error)
{
    table = keys;
    return frontend_read(NULL, "/local/domain/3/device/vbd/51712", 4, connection, error);
}

/* ---- What is understood. ------------------------------------------------------------------------------------------------------ */

static void linux_with_one_page(void **state)
{
    static const char *const keys[] = {
        "ring-ref", "8", "event-channel", "15", "protocol", "x86_64-abi", "feature-persistent", "1", NULL};
    struct blkback_connection connection;
    struct backend_error error;

    (void)state;
    assert_int_equal(read_keys(keys, &connection, &error), 0);
    assert_int_equal(connection.version, BLKBACK_CONNECTION_VERSION);
    assert_int_equal(connection.ring_order, 0);
    assert_int_equal(connection.queues[0].ring_refs[0], 8);
    assert_int_equal(connection.queues[0].event_channel, 15);
    assert_int_equal(connection.abi, BLKIF_ABI_X86_64);
    assert_int_equal(connection.persistent, 1);
    assert_int_equal(connection.generation, 0);
}

static void linux_with_four_pages(void **state)
{
    static const char *const keys[] = {"ring-page-order", "2",         "ring-ref0", "8",          "ring-ref1",
                                       "4294967295",      "ring-ref2", "11",        "ring-ref3",  "9",
                                       "event-channel",   "15",        "protocol",  "x86_32-abi", NULL};
    struct blkback_connection connection;
    struct backend_error error;

    (void)state;
    assert_int_equal(read_keys(keys, &connection, &error), 0);
    assert_int_equal(connection.ring_order, 2);
    assert_int_equal(connection.queues[0].ring_refs[0], 8);
    assert_int_equal(connection.queues[0].ring_refs[1], 4294967295u);
    assert_int_equal(connection.queues[0].ring_refs[3], 9);
    assert_int_equal(connection.abi, BLKIF_ABI_X86_32);
}

/* With an order stated the numbered key counts, without one the plain key; either is taken alone. */
static void one_page_is_named_in_two_ways(void **state)
{
    static const char *const both[] = {"ring-ref", "1", "ring-ref0", "2", "event-channel", "5", NULL};
    static const char *const both_order[] = {"ring-page-order", "0", "ring-ref", "1", "ring-ref0", "2",
                                             "event-channel",   "5", NULL};
    static const char *const numbered[] = {"ring-ref0", "2", "event-channel", "5", NULL};
    static const char *const plain_order[] = {"ring-page-order", "0", "ring-ref", "1", "event-channel", "5", NULL};
    static const struct {
        const char *const *keys;
        uint32_t ref;
    } cases[] = {{both, 1}, {both_order, 2}, {numbered, 2}, {plain_order, 1}};
    struct blkback_connection connection;
    struct backend_error error;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(read_keys(cases[i].keys, &connection, &error), 0);
        assert_int_equal(connection.queues[0].ring_refs[0], cases[i].ref);
    }
}

static void linux_with_two_queues(void **state)
{
    static const char *const keys[] = {"multi-queue-num-queues",
                                       "2",
                                       "ring-page-order",
                                       "1",
                                       "queue-0/ring-ref0",
                                       "8",
                                       "queue-0/ring-ref1",
                                       "9",
                                       "queue-0/event-channel",
                                       "15",
                                       "queue-1/ring-ref0",
                                       "10",
                                       "queue-1/ring-ref1",
                                       "11",
                                       "queue-1/event-channel",
                                       "16",
                                       "ring-ref",
                                       "1",
                                       "event-channel",
                                       "5",
                                       NULL};
    static const char *const one[] = {"multi-queue-num-queues", "1", "ring-ref", "8", "event-channel", "15", NULL};
    struct blkback_connection connection;
    struct backend_error error;

    (void)state;
    assert_int_equal(read_keys(keys, &connection, &error), 0);
    assert_int_equal(connection.queue_count, 2);
    assert_int_equal(connection.ring_order, 1);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(connection.queues[i].ring_refs[0], 8 + 2 * i);
        assert_int_equal(connection.queues[i].ring_refs[1], 9 + 2 * i);
        assert_int_equal(connection.queues[i].event_channel, 15 + i);
    }
    assert_int_equal(read_keys(one, &connection, &error), 0);
    assert_int_equal(connection.queue_count, 1);
    assert_int_equal(connection.queues[0].ring_refs[0], 8);
}

static void without_protocol_x86_means_32_bits(void **state)
{
    static const char *const keys[] = {"ring-ref", "1", "event-channel", "5", NULL};
    const enum blkif_abi native = blkif_abi_native();
    struct blkback_connection connection;
    struct backend_error error;

    (void)state;
    assert_int_equal(read_keys(keys, &connection, &error), 0);
    assert_int_equal(connection.abi, native == BLKIF_ABI_X86_64 ? BLKIF_ABI_X86_32 : native);
}

/* Only a plain 1 promises that the same references are used for ever. */
static void anything_else_declines_persistent_grants(void **state)
{
    static const char *const values[] = {"0", "", "2", "yes", "-1", "4294967296", "1 "};
    struct blkback_connection connection;
    struct backend_error error;

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        const char *const keys[] = {"ring-ref", "1", "event-channel", "5", "feature-persistent", values[i], NULL};
        assert_int_equal(read_keys(keys, &connection, &error), 0);
        assert_int_equal(connection.persistent, 0);
    }
    static const char *const absent[] = {"ring-ref", "1", "event-channel", "5", NULL};
    assert_int_equal(read_keys(absent, &connection, &error), 0);
    assert_int_equal(connection.persistent, 0);
}

/* ---- What is refused. ------------------------------------------------------------------------------------------------------------ */

static void assert_refused(const char *const *keys, const char *named)
{
    struct blkback_connection connection;
    struct backend_error error = {""};

    memset(&connection, 0x5a, sizeof(connection));
    assert_true(read_keys(keys, &connection, &error) < 0);
    assert_non_null(strstr(error.text, named));
    assert_int_equal(connection.version, 0x5a5a5a5a);
    assert_int_equal(connection.queues[0].ring_refs[0], 0x5a5a5a5a);
}

static void hostile_numbers_are_refused(void **state)
{
    static const char *const hostile[] = {"",
                                          " ",
                                          "-1",
                                          "+1",
                                          "0x10",
                                          "1 ",
                                          " 1",
                                          "1\n",
                                          "4294967296",
                                          "1e3",
                                          "%n%s",
                                          "NaN",
                                          "99999999999999999999999999999999999999"};

    (void)state;
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        const char *const ring_ref[] = {"ring-ref", hostile[i], "event-channel", "5", NULL};
        const char *const port[] = {"ring-ref", "1", "event-channel", hostile[i], NULL};
        const char *const order[] = {"ring-page-order", hostile[i], "ring-ref", "1", "event-channel", "5", NULL};
        assert_refused(ring_ref, "ring-ref");
        assert_refused(port, "event-channel");
        assert_refused(order, "ring-page-order");
    }
}

static void impossible_queues_are_refused(void **state)
{
    static const char *const counts[] = {"0", "5", "4294967295", "4294967296", "-1", "", "x"};
    static const char *const cases[][4] = {
        {"queue-1/ring-ref", "x", "queue-1/event-channel", "16"},
        {"queue-1/ring-ref", "9", "queue-1/event-channel", "0"},
        {"queue-1/ring-ref", "9", "event-channel", "16"},
        {"ring-ref", "9", "queue-1/event-channel", "16"},
        {"queue-1/ring-ref", "8", "queue-1/event-channel", "16"},
        {"queue-1/ring-ref", "9", "queue-1/event-channel", "15"},
    };
    static const char *const named[] = {"queue-1/ring-ref is no number",
                                        "queue-1/event-channel is impossible",
                                        "queue-1/event-channel is missing",
                                        "queue-1/ring-ref is missing",
                                        "queue-1/ring has a page of another queue's",
                                        "queue-1/event-channel is another queue's"};

    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        const char *const keys[] = {"multi-queue-num-queues", counts[i], "ring-ref", "1", "event-channel", "5", NULL};
        assert_refused(keys, "multi-queue-num-queues");
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *const keys[] = {"multi-queue-num-queues",
                                    "2",
                                    "queue-0/ring-ref",
                                    "8",
                                    "queue-0/event-channel",
                                    "15",
                                    cases[i][0],
                                    cases[i][1],
                                    cases[i][2],
                                    cases[i][3],
                                    NULL};
        assert_refused(keys, named[i]);
    }
}

static void impossible_orders_are_refused(void **state)
{
    static const char *const orders[] = {"5", "31", "32", "33", "64", "4294967295"};

    (void)state;
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        const char *const keys[] = {"ring-page-order", orders[i], "ring-ref", "1", "ring-ref0", "1",
                                    "event-channel",   "5",       NULL};
        assert_refused(keys, "ring-page-order");
    }
}

static void missing_keys_are_refused(void **state)
{
    static const char *const none[] = {NULL};
    static const char *const no_port[] = {"ring-ref", "1", NULL};
    static const char *const queues[] = {
        "multi-queue-num-queues", "4", "queue-0/ring-ref", "1", "event-channel", "5", NULL};
    static const char *const gap[] = {"ring-page-order", "1", "ring-ref0", "1", "event-channel", "5", NULL};

    (void)state;
    assert_refused(none, "ring-ref is missing");
    assert_refused(no_port, "event-channel is missing");
    assert_refused(queues, "queue-0/event-channel is missing");
    assert_refused(gap, "ring-ref1 is missing");
}

static void impossible_channels_and_protocols_are_refused(void **state)
{
    static const char *const port0[] = {"ring-ref", "1", "event-channel", "0", NULL};
    static const char *const port_large[] = {"ring-ref", "1", "event-channel", "131072", NULL};
    static const char *const protocols[] = {"", "x86_64", "X86_64-ABI", "x86_64-abi ", "%s%n"};

    (void)state;
    assert_refused(port0, "event-channel");
    assert_refused(port_large, "event-channel");
    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
        const char *const keys[] = {"ring-ref", "1", "event-channel", "5", "protocol", protocols[i], NULL};
        assert_refused(keys, "protocol");
    }
}

static void impossible_records_are_refused(void **state)
{
    const struct blkback_connection good = {.version = BLKBACK_CONNECTION_VERSION,
                                            .generation = 1,
                                            .ring_order = BLKIF_RING_ORDER_MAX,
                                            .queue_count = BLKBACK_QUEUES_MAX,
                                            .indirect_segments = BLKIF_INDIRECT_SEGMENTS,
                                            .image = {.kind = "raw"}};
    struct blkback_connection bad[8];

    (void)state;
    assert_true(frontend_connection_is_valid(&good));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        bad[i] = good;
    bad[0].version++;
    bad[1].generation = 0;
    bad[2].ring_order++;
    bad[3].abi = BLKIF_ABIS;
    memset(bad[4].image.kind, 'x', sizeof(bad[4].image.kind));
    bad[5].queue_count++;
    bad[6].queue_count = 0;
    bad[7].indirect_segments++;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(frontend_connection_is_valid(&bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linux_with_one_page),
        cmocka_unit_test(linux_with_four_pages),
        cmocka_unit_test(linux_with_two_queues),
        cmocka_unit_test(one_page_is_named_in_two_ways),
        cmocka_unit_test(without_protocol_x86_means_32_bits),
        cmocka_unit_test(anything_else_declines_persistent_grants),
        cmocka_unit_test(hostile_numbers_are_refused),
        cmocka_unit_test(impossible_queues_are_refused),
        cmocka_unit_test(impossible_orders_are_refused),
        cmocka_unit_test(missing_keys_are_refused),
        cmocka_unit_test(impossible_channels_and_protocols_are_refused),
        cmocka_unit_test(impossible_records_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The connection to a real xenstored: values, transactions, watches, and its loss.
 */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

static struct rig rig;

static int set_up(void **state)
{
    (void)state;
    rig_open(&rig);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_close(&rig);
    return 0;
}

/* ---- Values. ---- */

static void a_value_comes_back(void **state)
{
    char *value;

    (void)state;
    assert_int_equal(xendev_store_write(rig.store, XENDEV_NO_TXN, "/test", "a", "x%d", 5), 0);
    assert_int_equal(xendev_store_read(rig.store, XENDEV_NO_TXN, "/test", "a", &value), 0);
    assert_string_equal(value, "x5");
    free(value);
    assert_int_equal(xendev_store_write(rig.store, XENDEV_NO_TXN, "/test", "a", "%s", ""), 0);
    assert_int_equal(xendev_store_read(rig.store, XENDEV_NO_TXN, "/test/a", NULL, &value), 0);
    assert_string_equal(value, "");
    free(value);
}

static void a_value_is_not_there_or_no_string(void **state)
{
    char *value = NULL;

    (void)state;
    assert_int_equal(xendev_store_read(rig.store, XENDEV_NO_TXN, "/test", "missing", &value), -ENOENT);
    assert_int_equal(xendev_store_write(rig.store, XENDEV_NO_TXN, "/test", "a", "x%cy", 0), 0);
    assert_int_equal(xendev_store_read(rig.store, XENDEV_NO_TXN, "/test", "a", &value), -EINVAL);
    assert_null(value);
}

static void numbers_are_read_strictly(void **state)
{
    uint32_t small = 7;
    uint64_t large = 7;

    (void)state;
    rig_write(&rig, "/test", "n", "4294967296");
    assert_int_equal(xendev_store_read_u32(rig.store, XENDEV_NO_TXN, "/test", "n", &small), -ERANGE);
    assert_int_equal(small, 7);
    assert_int_equal(xendev_store_read_u64(rig.store, XENDEV_NO_TXN, "/test", "n", &large), 0);
    assert_true(large == 4294967296u);
    rig_write(&rig, "/test", "n", "12 ");
    assert_int_equal(xendev_store_read_u64(rig.store, XENDEV_NO_TXN, "/test", "n", &large), -EINVAL);
    rig_write(&rig, "/test", "n", "12");
    assert_int_equal(xendev_store_read_u32(rig.store, XENDEV_NO_TXN, "/test", "n", &small), 0);
    assert_int_equal(small, 12);
}

static void what_is_too_long_is_refused_and_the_next_call_works(void **state)
{
    static char big[XENDEV_VALUE_MAX + 2];
    uint32_t value;

    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    assert_int_equal(xendev_store_write(rig.store, XENDEV_NO_TXN, "/test", "a", "%s", big), -E2BIG);
    assert_int_equal(xendev_store_write(rig.store, XENDEV_NO_TXN, "/test", big, "1"), -ENAMETOOLONG);
    big[3000] = '\0';
    assert_true(xendev_store_write(rig.store, XENDEV_NO_TXN, "/test", big, "1") < 0);
    assert_true(xendev_store_write(rig.store, XENDEV_NO_TXN, "/test", "no such//name", "1") < 0);
    assert_int_equal(xendev_store_write(rig.store, XENDEV_NO_TXN, "/test", "a", "1"), 0);
    assert_int_equal(xendev_store_read_u32(rig.store, XENDEV_NO_TXN, "/test", "a", &value), 0);
    assert_int_equal(rig.lost, 0);
}

static void a_directory_is_listed(void **state)
{
    char **names, key[16];
    unsigned found = 0;

    (void)state;
    assert_int_equal(xendev_store_list(rig.store, XENDEV_NO_TXN, "/test/missing", &names), -ENOENT);
    rig_write(&rig, "/test", NULL, "");
    assert_int_equal(xendev_store_list(rig.store, XENDEV_NO_TXN, "/test", &names), 0);
    assert_null(names[0]);
    free(names);

    for (unsigned i = 0; i < 1000; i++) { /* more than one answer holds */
        snprintf(key, sizeof(key), "name-%04u", i);
        rig_write(&rig, "/test", key, "");
    }
    assert_int_equal(xendev_store_list(rig.store, XENDEV_NO_TXN, "/test", &names), 1000);
    for (; names[found] != NULL; found++)
        assert_int_equal(strncmp(names[found], "name-", 5), 0);
    assert_int_equal(found, 1000);
    free(names);
}

static void removing_twice_is_no_error(void **state)
{
    (void)state;
    rig_write(&rig, "/test/a/b", "c", "1");
    assert_int_equal(xendev_store_remove(rig.store, XENDEV_NO_TXN, "/test", "a"), 0);
    assert_int_equal(xendev_store_remove(rig.store, XENDEV_NO_TXN, "/test", "a"), 0);
    assert_string_equal(rig_read(&rig, "/test/a/b", "c"), "");
}

/* ---- Transactions. ---- */

struct body {
    unsigned runs;
    unsigned conflicts; /* runs that meet one */
    int result;
};

static int run_body(struct xendev_store *store, xendev_txn txn, void *arg)
{
    struct body *body = arg;
    uint32_t value;

    body->runs++;
    int result = xendev_store_read_u32(store, txn, "/test", "counter", &value);
    if (result < 0)
        return result;
    if (body->runs <= body->conflicts)
        rig_write(&rig, "/test", "counter", "5");
    result = xendev_store_write(store, txn, "/test", "counter", "%u", value + 1);
    return result < 0 ? result : body->result;
}

static void a_transaction_is_committed_once(void **state)
{
    struct body body = {0};

    (void)state;
    rig_write(&rig, "/test", "counter", "1");
    assert_int_equal(xendev_store_transact(rig.store, run_body, &body), 0);
    assert_int_equal(body.runs, 1);
    assert_string_equal(rig_read(&rig, "/test", "counter"), "2");
}

static void a_transaction_is_undone_when_its_body_fails(void **state)
{
    struct body body = {.result = -EPROTO};

    (void)state;
    rig_write(&rig, "/test", "counter", "1");
    assert_int_equal(xendev_store_transact(rig.store, run_body, &body), -EPROTO);
    assert_int_equal(body.runs, 1);
    assert_string_equal(rig_read(&rig, "/test", "counter"), "1");
}

static void a_conflict_is_tried_again(void **state)
{
    struct body body = {.conflicts = 3};

    (void)state;
    rig_write(&rig, "/test", "counter", "1");
    assert_int_equal(xendev_store_transact(rig.store, run_body, &body), 0);
    assert_int_equal(body.runs, 4);
    assert_string_equal(rig_read(&rig, "/test", "counter"), "6");
}

static void endless_conflicts_end(void **state)
{
    struct body body = {.conflicts = 1000000};

    (void)state;
    rig_write(&rig, "/test", "counter", "1");
    assert_int_equal(xendev_store_transact(rig.store, run_body, &body), -EAGAIN);
    assert_int_equal(body.runs, XENDEV_TXN_RETRIES);
    assert_string_equal(rig_read(&rig, "/test", "counter"), "5");
}

/* ---- Watches. ---- */

struct seen {
    unsigned calls;
    char last[128];
    struct xendev_watch *watch;
    struct xendev_watch **remove; /* removed from within the call */
    bool close;                   /* the store is closed from within the call */
};

static void on_changed(void *arg, const char *path)
{
    struct seen *seen = arg;

    seen->calls++;
    snprintf(seen->last, sizeof(seen->last), "%s", path);
    if (seen->remove != NULL) {
        xendev_watch_remove(*seen->remove);
        *seen->remove = NULL;
    }
    if (seen->close) {
        xendev_store_close(rig.store);
        rig.store = NULL;
    }
}

static void watch(struct seen *seen, const char *path)
{
    assert_int_equal(xendev_watch_add(rig.store, path, on_changed, seen, &seen->watch), 0);
}

/* All events of what was written so far are with us, not yet delivered: an answer comes after them. */
static void fetch_events(void)
{
    char *value;

    xendev_store_read(rig.store, XENDEV_NO_TXN, "/test", "missing", &value);
}

static void a_watch_tells_once_at_first_and_then_of_changes(void **state)
{
    struct seen seen = {0};

    (void)state;
    watch(&seen, "/test/w");
    rig_settle(&rig);
    assert_int_equal(seen.calls, 1);
    assert_string_equal(seen.last, "/test/w");
    rig_write(&rig, "/test/w", "x", "1");
    rig_settle(&rig);
    assert_true(seen.calls >= 2);
    assert_string_equal(seen.last, "/test/w/x");
    unsigned calls = seen.calls;
    rig_write(&rig, "/test/v", "x", "1");
    rig_settle(&rig);
    assert_int_equal(seen.calls, calls);
}

static void a_flood_is_one_event_a_node(void **state)
{
    struct seen seen = {0};

    (void)state;
    watch(&seen, "/test/w");
    rig_settle(&rig);
    rig_write(&rig, "/test/w", "state", "1");
    rig_settle(&rig);
    seen.calls = 0;
    for (unsigned flood = 1; flood <= 20; flood++) {
        for (unsigned i = 0; i < 1000; i++)
            rig_write(&rig, "/test/w", "state", i % 2 == 0 ? "4" : "5");
        fetch_events();
        event_base_loop(rig.base, EVLOOP_NONBLOCK);
        rig_settle(&rig);
        assert_int_equal(seen.calls, flood);
        assert_string_equal(seen.last, "/test/w/state");
    }
}

static void more_nodes_than_fit_become_one(void **state)
{
    struct seen seen = {0};
    char key[16];

    (void)state;
    rig_write(&rig, "/test/w", NULL, "");
    watch(&seen, "/test/w");
    rig_settle(&rig);
    seen.calls = 0;
    for (unsigned i = 0; i < 64; i++) {
        snprintf(key, sizeof(key), "%u", i);
        rig_write(&rig, "/test/w", key, "");
    }
    fetch_events();
    rig_settle(&rig);
    assert_int_equal(seen.calls, 64);

    seen.calls = 0;
    for (unsigned i = 0; i < 500; i++) {
        snprintf(key, sizeof(key), "%u", i);
        rig_write(&rig, "/test/w", key, "");
    }
    fetch_events();
    rig_settle(&rig);
    assert_int_equal(seen.calls, 1);
    assert_string_equal(seen.last, "/test/w");
}

static void a_watch_may_remove_itself(void **state)
{
    struct seen seen = {0};

    (void)state;
    watch(&seen, "/test/w");
    seen.remove = &seen.watch;
    rig_write(&rig, "/test/w", "a", "1");
    rig_write(&rig, "/test/w", "b", "1");
    fetch_events();
    rig_settle(&rig);
    assert_int_equal(seen.calls, 1);
}

static void a_watch_may_remove_another_that_is_due(void **state)
{
    struct seen first = {0}, second = {0};

    (void)state;
    watch(&first, "/test/w");
    watch(&second, "/test/w");
    rig_settle(&rig);
    first.calls = second.calls = 0;
    first.remove = &second.watch;
    second.remove = &first.watch;
    rig_write(&rig, "/test/w", NULL, "1");
    fetch_events();
    rig_settle(&rig);
    assert_int_equal(first.calls + second.calls, 1);
    xendev_watch_remove(first.watch);
    xendev_watch_remove(second.watch);
}

static void a_removed_watch_is_silent(void **state)
{
    struct seen seen = {0}, again = {0};

    (void)state;
    watch(&seen, "/test/w");
    rig_settle(&rig);
    rig_write(&rig, "/test/w", NULL, "1");
    fetch_events();
    xendev_watch_remove(seen.watch);
    watch(&again, "/test/w");
    rig_settle(&rig);
    assert_int_equal(seen.calls, 1);
    assert_int_equal(again.calls, 1);
}

static void the_store_may_be_closed_by_a_watch(void **state)
{
    struct seen first = {.close = true}, second = {.close = true};

    (void)state;
    watch(&first, "/test/w");
    watch(&second, "/test/w");
    while (rig.store != NULL)
        event_base_loop(rig.base, EVLOOP_ONCE);
    assert_int_equal(first.calls + second.calls, 1);
}

/* ---- Loss. ---- */

static bool is_lost(void *arg)
{
    (void)arg;
    return rig.lost > 0;
}

static void a_lost_connection_is_told_once(void **state)
{
    struct seen seen = {0};
    struct xendev_watch *another;
    char *value;

    (void)state;
    watch(&seen, "/test/w");
    rig_settle(&rig);
    rig_cut(&rig);
    rig_run_until(&rig, is_lost, NULL); /* nobody calls: the store finds out by itself */
    assert_int_equal(rig.lost, 1);
    assert_int_equal(xendev_store_read(rig.store, XENDEV_NO_TXN, "/", NULL, &value), -ENOTCONN);
    assert_int_equal(xendev_store_write(rig.store, XENDEV_NO_TXN, "/test", "a", "1"), -ENOTCONN);
    assert_int_equal(xendev_watch_add(rig.store, "/test", on_changed, &seen, &another), -ENOTCONN);
    assert_int_equal(xendev_domain_exists(rig.store, 0), -ENOTCONN);
    event_base_loop(rig.base, EVLOOP_NONBLOCK);
    assert_int_equal(rig.lost, 1);
    xendev_watch_remove(seen.watch);
}

static void a_call_finds_the_connection_lost(void **state)
{
    struct body body = {0};
    struct seen seen = {0};

    (void)state;
    rig_write(&rig, "/test", "counter", "1");
    watch(&seen, "/test/w");
    rig_cut(&rig);
    assert_int_equal(xendev_store_transact(rig.store, run_body, &body), -ENOTCONN);
    assert_int_equal(rig.lost, 0); /* told from the loop only */
    event_base_loop(rig.base, EVLOOP_NONBLOCK);
    assert_int_equal(rig.lost, 1);
}

static void a_connection_without_watches_is_lost_too(void **state)
{
    char *value;

    (void)state;
    rig_cut(&rig);
    assert_int_equal(xendev_store_read(rig.store, XENDEV_NO_TXN, "/", NULL, &value), -ENOTCONN);
    event_base_loop(rig.base, EVLOOP_NONBLOCK);
    assert_int_equal(rig.lost, 1);
}

static void on_lost_reopen(void *arg)
{
    struct rig *lost = arg;

    lost->lost++;
    xendev_store_close(lost->store);
    rig_open_store(lost);
}

static void another_store_is_opened_from_within(void **state)
{
    struct seen seen = {0}, again = {0};

    (void)state;
    xendev_store_close(rig.store);
    assert_int_equal(xendev_store_open(rig.base, on_lost_reopen, &rig, &rig.store), 0);
    watch(&seen, "/test/w");
    rig_cut(&rig);
    rig_run_until(&rig, is_lost, NULL);
    watch(&again, "/test/w");
    rig_settle(&rig);
    assert_int_equal(again.calls, 1);
    assert_int_equal(rig.lost, 1);
}

/* ---- Domains. ---- */

static void domains_come_and_go(void **state)
{
    uint32_t domid = rig_domain_create();

    (void)state;
    assert_int_equal(xendev_domain_exists(rig.store, 0), 1);
    assert_int_equal(xendev_domain_exists(rig.store, domid), 1);
    assert_int_equal(xendev_domain_exists(rig.store, domid + 1000), 0);
    rig_domain_destroy(domid);
    assert_int_equal(xendev_domain_exists(rig.store, domid), 0);
}

static void a_domain_has_an_identity(void **state)
{
    char first[XENDEV_IDENTITY_SIZE], second[XENDEV_IDENTITY_SIZE], home[32];
    uint32_t domid = rig_domain_create();

    (void)state;
    assert_int_equal(xendev_domain_identity(rig.store, domid, first), 0);
    assert_int_equal(strspn(first, "0123456789abcdef-"), 36);
    assert_int_equal(strlen(first), 36);

    snprintf(home, sizeof(home), "/local/domain/%u", domid);
    assert_int_equal(xendev_store_remove(rig.store, XENDEV_NO_TXN, rig_read(&rig, home, "vm"), NULL), 0);
    assert_int_equal(xendev_domain_identity(rig.store, domid, second), 0);
    assert_string_equal(first, second);
    rig_write(&rig, home, "vm", "/vm/17-a");
    assert_int_equal(xendev_domain_identity(rig.store, domid, second), 0);
    assert_string_equal(second, "17-a");
    rig_write(&rig, home, "vm", "/vm/../etc");
    assert_int_equal(xendev_domain_identity(rig.store, domid, second), 0);
    assert_string_equal(second, "none");
    rig_domain_destroy(domid);
    assert_int_equal(xendev_domain_identity(rig.store, domid, second), 0);
    assert_string_equal(second, "none");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_value_comes_back),
        TEST(a_value_is_not_there_or_no_string),
        TEST(numbers_are_read_strictly),
        TEST(what_is_too_long_is_refused_and_the_next_call_works),
        TEST(a_directory_is_listed),
        TEST(removing_twice_is_no_error),
        TEST(a_transaction_is_committed_once),
        TEST(a_transaction_is_undone_when_its_body_fails),
        TEST(a_conflict_is_tried_again),
        TEST(endless_conflicts_end),
        TEST(a_watch_tells_once_at_first_and_then_of_changes),
        TEST(a_flood_is_one_event_a_node),
        TEST(more_nodes_than_fit_become_one),
        TEST(a_watch_may_remove_itself),
        TEST(a_watch_may_remove_another_that_is_due),
        TEST(a_removed_watch_is_silent),
        TEST(the_store_may_be_closed_by_a_watch),
        TEST(a_lost_connection_is_told_once),
        TEST(a_call_finds_the_connection_lost),
        TEST(a_connection_without_watches_is_lost_too),
        TEST(another_store_is_opened_from_within),
        TEST(domains_come_and_go),
        TEST(a_domain_has_an_identity),
    };

    rig_require_host();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

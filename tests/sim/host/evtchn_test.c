/* SPDX-License-Identifier: MIT */
/*
 * The simulator's event channels behave as Xen's.
 */
#include "simtest.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* A guest with a port for domain 0, and domain 0 bound to it, both quiet. */
struct pair {
    uint32_t domid;
    xenevtchn_handle *guest, *dom0;
    int guest_port, dom0_port;
};

static int pair_setup(void **state)
{
    struct pair *pair = calloc(1, sizeof(*pair));

    assert_non_null(pair);
    pair->domid = simtest_create();
    pair->guest = simtest_evtchn(pair->domid);
    pair->dom0 = simtest_evtchn(0);
    pair->guest_port = xenevtchn_bind_unbound_port(pair->guest, 0);
    assert_true(pair->guest_port > 0);
    pair->dom0_port = xenevtchn_bind_interdomain(pair->dom0, pair->domid, (evtchn_port_t)pair->guest_port);
    assert_true(pair->dom0_port > 0);
    *state = pair;
    return 0;
}

static int pair_teardown(void **state)
{
    struct pair *pair = *state;

    xenevtchn_close(pair->dom0);
    xenevtchn_close(pair->guest);
    simtest_destroy(pair->domid);
    free(pair);
    return 0;
}

static void notify(xenevtchn_handle *handle, int port)
{
    assert_int_equal(xenevtchn_notify(handle, (evtchn_port_t)port), 0);
}

static void test_binding_makes_the_local_port_pending(void **state)
{
    struct pair *pair = *state;

    simtest_take(pair->dom0, pair->dom0_port);
    simtest_quiet(pair->dom0);
    simtest_quiet(pair->guest);
}

static void test_events_travel_both_ways(void **state)
{
    struct pair *pair = *state;

    simtest_take(pair->dom0, pair->dom0_port);
    for (int i = 0; i < 100; i++) {
        notify(pair->guest, pair->guest_port);
        simtest_take(pair->dom0, pair->dom0_port);
        notify(pair->dom0, pair->dom0_port);
        simtest_take(pair->guest, pair->guest_port);
    }
    simtest_quiet(pair->dom0);
    simtest_quiet(pair->guest);
}

static void test_masked_from_delivery_until_unmask(void **state)
{
    struct pair *pair = *state;

    simtest_take(pair->dom0, pair->dom0_port);
    notify(pair->guest, pair->guest_port);
    notify(pair->guest, pair->guest_port);
    assert_int_equal(xenevtchn_pending(pair->dom0), pair->dom0_port);
    simtest_quiet(pair->dom0);
    notify(pair->guest, pair->guest_port);
    simtest_quiet(pair->dom0);
    assert_int_equal(xenevtchn_unmask(pair->dom0, (evtchn_port_t)pair->dom0_port), 0);
    simtest_take(pair->dom0, pair->dom0_port);
    simtest_quiet(pair->dom0);
}

static void test_nothing_pending_on_a_nonblocking_handle(void **state)
{
    struct pair *pair = *state;

    assert_int_equal(fcntl(xenevtchn_fd(pair->guest), F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(xenevtchn_pending(pair->guest), -1);
    assert_int_equal(errno, EAGAIN);
}

static void test_a_bound_port_is_not_bound_twice(void **state)
{
    struct pair *pair = *state;

    assert_int_equal(xenevtchn_bind_interdomain(pair->dom0, pair->domid, (evtchn_port_t)pair->guest_port), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(xenevtchn_bind_interdomain(pair->dom0, pair->domid, 4000), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(xenevtchn_bind_interdomain(pair->dom0, pair->domid, 1u << 31), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(xenevtchn_bind_interdomain(pair->dom0, 32000, 1), -1);
    assert_int_equal(errno, ESRCH);
}

static void test_a_closed_end_is_rebound_by_the_same_domain_only(void **state)
{
    struct pair *pair = *state;
    uint32_t other = simtest_create();
    xenevtchn_handle *stranger = simtest_evtchn(other);

    assert_int_equal(xenevtchn_unbind(pair->dom0, (evtchn_port_t)pair->dom0_port), 0);
    notify(pair->guest, pair->guest_port); /* dropped, not an error */
    assert_int_equal(xenevtchn_bind_interdomain(stranger, pair->domid, (evtchn_port_t)pair->guest_port), -1);
    assert_int_equal(errno, EINVAL);
    pair->dom0_port = xenevtchn_bind_interdomain(pair->dom0, pair->domid, (evtchn_port_t)pair->guest_port);
    assert_true(pair->dom0_port > 0);
    notify(pair->dom0, pair->dom0_port);
    simtest_take(pair->guest, pair->guest_port);
    xenevtchn_close(stranger);
    simtest_destroy(other);
}

static void test_a_closed_handle_closes_its_ports(void **state)
{
    struct pair *pair = *state;

    xenevtchn_close(pair->dom0);
    pair->dom0 = simtest_evtchn(0);
    pair->dom0_port = xenevtchn_bind_interdomain(pair->dom0, pair->domid, (evtchn_port_t)pair->guest_port);
    assert_true(pair->dom0_port > 0);
    simtest_take(pair->dom0, pair->dom0_port);
}

static void test_ports_belong_to_their_handle(void **state)
{
    struct pair *pair = *state;
    xenevtchn_handle *other = simtest_evtchn(0);

    assert_int_equal(xenevtchn_notify(other, (evtchn_port_t)pair->dom0_port), -1);
    assert_int_equal(errno, ENOTCONN);
    assert_int_equal(xenevtchn_unbind(other, (evtchn_port_t)pair->dom0_port), -1);
    assert_int_equal(errno, ENOTCONN);
    assert_int_equal(xenevtchn_unbind(other, 1u << 20), -1);
    assert_int_equal(errno, EINVAL);
    xenevtchn_close(other);
    notify(pair->dom0, pair->dom0_port);
    simtest_take(pair->guest, pair->guest_port);
}

static void test_restricted_handle_reaches_one_domain(void **state)
{
    struct pair *pair = *state;
    int port;

    assert_int_equal(xenevtchn_restrict(pair->dom0, 0), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(xenevtchn_restrict(pair->dom0, (domid_t)pair->domid), 0);
    assert_int_equal(xenevtchn_restrict(pair->dom0, (domid_t)pair->domid), -1);
    assert_int_equal(errno, EACCES);
    assert_int_equal(xenevtchn_bind_unbound_port(pair->dom0, pair->domid + 1), -1);
    assert_int_equal(errno, EACCES);
    assert_int_equal(xenevtchn_bind_interdomain(pair->dom0, 0, 1), -1);
    assert_int_equal(errno, EACCES);
    assert_int_equal(xenevtchn_bind_virq(pair->dom0, 0), -1);
    assert_int_equal(errno, EACCES);
    port = xenevtchn_bind_unbound_port(pair->guest, 0);
    assert_true(xenevtchn_bind_interdomain(pair->dom0, pair->domid, (evtchn_port_t)port) > 0);
    notify(pair->dom0, pair->dom0_port);
    simtest_take(pair->guest, pair->guest_port);
}

static void test_domain_zero_binds_to_itself(void **state)
{
    struct pair *pair = *state;
    xenevtchn_handle *front = simtest_evtchn(0);
    int unbound = xenevtchn_bind_unbound_port(front, 0);
    int bound = xenevtchn_bind_interdomain(pair->dom0, 0, (evtchn_port_t)unbound);

    assert_true(bound > 0 && bound != unbound);
    notify(front, unbound);
    simtest_take(pair->dom0, pair->dom0_port);
    simtest_take(pair->dom0, bound);
    xenevtchn_close(front);
}

static void test_virq_is_bound_once(void **state)
{
    struct pair *pair = *state;
    int port = xenevtchn_bind_virq(pair->guest, 2);

    assert_true(port > 0);
    assert_int_equal(xenevtchn_bind_virq(pair->guest, 2), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(xenevtchn_bind_virq(pair->guest, 99), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(xenevtchn_unbind(pair->guest, (evtchn_port_t)port), 0);
    assert_true(xenevtchn_bind_virq(pair->guest, 2) > 0);
}

static void test_fdopen_continues_a_handle(void **state)
{
    struct pair *pair = *state;
    xenevtchn_handle *again = xenevtchn_fdopen(NULL, dup(xenevtchn_fd(pair->dom0)), 0);

    assert_non_null(again);
    xenevtchn_close(pair->dom0);
    pair->dom0 = again;
    simtest_take(again, pair->dom0_port);
    notify(pair->guest, pair->guest_port);
    simtest_take(again, pair->dom0_port);
    assert_null(xenevtchn_fdopen(NULL, 0, 0));
}

static void test_every_port_of_a_domain_can_be_pending(void **state)
{
    struct pair *pair = *state;
    int port = 0, count = 0, taken = 0;

    simtest_take(pair->dom0, pair->dom0_port);
    while ((port = xenevtchn_bind_unbound_port(pair->guest, 0)) > 0) {
        assert_true(xenevtchn_bind_interdomain(pair->dom0, pair->domid, (evtchn_port_t)port) > 0 || errno == ENOSPC);
        count++;
    }
    assert_int_equal(errno, ENOSPC);
    assert_true(count > 4000);
    while (simtest_readable(xenevtchn_fd(pair->dom0), 0) > 0) {
        assert_true(xenevtchn_pending(pair->dom0) > 0);
        taken++;
    }
    assert_true(taken > 4000);
}

static void test_destroying_the_guest_unbinds_its_peers(void **state)
{
    struct pair *pair = *state;
    uint32_t other = simtest_create();
    xenevtchn_handle *doomed = simtest_evtchn(other);
    int port = xenevtchn_bind_unbound_port(doomed, 0);
    int bound = xenevtchn_bind_interdomain(pair->dom0, other, (evtchn_port_t)port);

    assert_true(bound > 0);
    simtest_destroy(other);
    notify(pair->dom0, bound); /* dropped */
    assert_int_equal(xenevtchn_notify(doomed, (evtchn_port_t)port), -1);
    assert_int_equal(xenevtchn_bind_unbound_port(doomed, 0), -1);
    xenevtchn_close(doomed);
    assert_int_equal(xenevtchn_unbind(pair->dom0, (evtchn_port_t)bound), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_binding_makes_the_local_port_pending),
        TEST(test_events_travel_both_ways),
        TEST(test_masked_from_delivery_until_unmask),
        TEST(test_nothing_pending_on_a_nonblocking_handle),
        TEST(test_a_bound_port_is_not_bound_twice),
        TEST(test_a_closed_end_is_rebound_by_the_same_domain_only),
        TEST(test_a_closed_handle_closes_its_ports),
        TEST(test_ports_belong_to_their_handle),
        TEST(test_restricted_handle_reaches_one_domain),
        TEST(test_domain_zero_binds_to_itself),
        TEST(test_virq_is_bound_once),
        TEST(test_fdopen_continues_a_handle),
        TEST(test_every_port_of_a_domain_can_be_pending),
        TEST(test_destroying_the_guest_unbinds_its_peers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

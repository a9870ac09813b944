/* SPDX-License-Identifier: MIT */
/*
 * Event channels and grants between two domains. One process plays both: on the simulator a handle belongs to the
 * domain that the environment names while it is opened.
 */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <xendev/event_channel.h>
#include <xendev/grant.h>

static struct event_base *base;
static uint32_t domid;
static struct xendev_events *back_events, *front_events;
static struct xendev_grants *grants;
static struct xendev_share *share;

struct end {
    struct xendev_channel *channel;
    unsigned fired;
    bool unmask; /* at once, from within `fired` */
    bool close;
};

static void on_fired(void *arg)
{
    struct end *end = arg;

    end->fired++;
    if (end->unmask)
        assert_int_equal(xendev_channel_unmask(end->channel), 0);
    if (end->close) {
        xendev_channel_close(end->channel);
        end->channel = NULL;
    }
}

static void act_as(uint32_t domain)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", domain);
    setenv("SIMXEN_DOMID", text, 1);
}

static int set_up(void **state)
{
    (void)state;
    base = event_base_new();
    domid = rig_domain_create();
    act_as(domid);
    assert_int_equal(xendev_events_open(base, &front_events), 0);
    assert_int_equal(xendev_share_open(&share), 0);
    act_as(0);
    assert_int_equal(xendev_events_open(base, &back_events), 0);
    assert_int_equal(xendev_grants_open(&grants), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    xendev_grants_close(grants);
    xendev_share_close(share);
    xendev_events_close(back_events);
    xendev_events_close(front_events);
    event_base_free(base);
    rig_domain_destroy(domid);
    return 0;
}

/* Runs the loop until the end has fired so often. */
static void until_fired(struct end *end, unsigned times)
{
    while (end->fired < times)
        event_base_loop(base, EVLOOP_ONCE);
}

/* Everything sent so far is delivered: events of one handle come in order, so another channel's event comes after them.
 */
static void drain(void)
{
    struct end offered = {0}, bound = {0};
    uint32_t port;

    assert_int_equal(xendev_channel_offer(front_events, 0, on_fired, &offered, &offered.channel, &port), 0);
    assert_int_equal(xendev_channel_bind(back_events, domid, port, on_fired, &bound, &bound.channel), 0);
    until_fired(&bound, 1);
    assert_int_equal(xendev_channel_notify(bound.channel), 0);
    until_fired(&offered, 1);
    xendev_channel_close(bound.channel);
    xendev_channel_close(offered.channel);
}

static void pair(struct end *front, struct end *back, uint32_t *ret_port)
{
    assert_int_equal(xendev_channel_offer(front_events, 0, on_fired, front, &front->channel, ret_port), 0);
    assert_int_equal(xendev_channel_bind(back_events, domid, *ret_port, on_fired, back, &back->channel), 0);
    until_fired(back, 1); /* once, by being bound */
}

static void a_port_stays_masked_until_its_receiver_wants_more(void **state)
{
    struct end front = {0}, back = {0};
    uint32_t port;

    (void)state;
    pair(&front, &back, &port);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(xendev_channel_notify(front.channel), 0);
    drain();
    assert_int_equal(back.fired, 1);
    assert_int_equal(xendev_channel_unmask(back.channel), 0);
    until_fired(&back, 2); /* a hundred events are one */
    drain();
    assert_int_equal(back.fired, 2);
}

static void events_go_both_ways(void **state)
{
    struct end front = {.unmask = true}, back = {.unmask = true};
    uint32_t port;

    (void)state;
    pair(&front, &back, &port);
    for (unsigned i = 0; i < 1000; i++) {
        unsigned before = front.fired;
        assert_int_equal(xendev_channel_notify(back.channel), 0);
        until_fired(&front, before + 1);
        before = back.fired;
        assert_int_equal(xendev_channel_notify(front.channel), 0);
        until_fired(&back, before + 1);
    }
}

static void a_channel_may_be_closed_by_its_event(void **state)
{
    struct end front = {0}, back = {.unmask = true};
    uint32_t port;

    (void)state;
    pair(&front, &back, &port);
    back.unmask = false;
    assert_int_equal(xendev_channel_unmask(back.channel), 0);
    back.close = true;
    assert_int_equal(xendev_channel_notify(front.channel), 0);
    until_fired(&back, 2);
    assert_null(back.channel);

    /* Our end closed: the port may be bound again, by us. */
    back.close = false;
    assert_int_equal(xendev_channel_bind(back_events, domid, port, on_fired, &back, &back.channel), 0);
    until_fired(&back, 3);
}

static void a_port_is_bound_once_and_must_exist(void **state)
{
    struct end front = {0}, back = {0}, second = {0};
    uint32_t port;

    (void)state;
    pair(&front, &back, &port);
    assert_int_equal(xendev_channel_bind(back_events, domid, port, on_fired, &second, &second.channel), -EINVAL);
    assert_true(xendev_channel_bind(back_events, domid, 4000000000u, on_fired, &second, &second.channel) < 0);
    assert_null(second.channel);
}

static void a_restricted_handle_reaches_its_domain_only(void **state)
{
    struct end front = {0}, back = {0};
    uint32_t port;

    (void)state;
    assert_int_equal(xendev_events_restrict(back_events, 0x7ff5), -EINVAL);
    assert_int_equal(xendev_events_restrict(back_events, domid), 0);
    pair(&front, &back, &port);
    assert_true(xendev_channel_bind(back_events, domid + 1, 1, on_fired, &back, &back.channel) < 0);
}

static void pages_are_shared_copied_and_mapped(void **state)
{
    uint32_t grefs[3];
    void *shared, *mapped;
    char local[6000], zero[4096] = {0};
    struct xendev_copy pieces[] = {
        {.offset = 4090, .length = 6, .local = local},
        {.gref = 0xfffffff0u, .offset = 0, .length = 6, .local = local + 100},
        {.offset = 0, .length = 4096, .local = local + 200},
    };

    (void)state;
    assert_int_equal(xendev_share_pages(share, 0, 3, grefs, &shared), 0);
    assert_memory_equal(shared, zero, 4096);
    memcpy((char *)shared + 4090, "secret", 6);
    memset((char *)shared + 8192, 'z', 4096);
    pieces[0].gref = grefs[0];
    pieces[2].gref = grefs[2];
    assert_int_equal(xendev_grants_copy(grants, domid, XENDEV_COPY_FROM_GUEST, pieces, 3), 1);
    assert_int_equal(pieces[1].status, -EFAULT);
    assert_memory_equal(local, "secret", 6);
    assert_int_equal(local[200 + 4095], 'z');

    memcpy(local, "answer", 6);
    assert_int_equal(xendev_grants_copy(grants, domid, XENDEV_COPY_TO_GUEST, pieces, 1), 0);
    assert_memory_equal((char *)shared + 4090, "answer", 6);

    assert_int_equal(xendev_grants_map(grants, domid, grefs, 3, &mapped), 0);
    assert_memory_equal(mapped, shared, 3 * 4096);
    ((char *)mapped)[8192] = '!';
    assert_int_equal(((char *)shared)[8192], '!');
    xendev_grants_unmap(grants, mapped, 3);

    grefs[1] = 0xfffffff0u;
    mapped = NULL;
    assert_true(xendev_grants_map(grants, domid, grefs, 3, &mapped) < 0);
    assert_null(mapped);
    xendev_share_free(share, shared, 3);
    assert_int_equal(xendev_grants_copy(grants, domid, XENDEV_COPY_FROM_GUEST, pieces, 1), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_port_stays_masked_until_its_receiver_wants_more),
        TEST(events_go_both_ways),
        TEST(a_channel_may_be_closed_by_its_event),
        TEST(a_port_is_bound_once_and_must_exist),
        TEST(a_restricted_handle_reaches_its_domain_only),
        TEST(pages_are_shared_copied_and_mapped),
    };

    rig_require_host();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

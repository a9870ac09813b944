/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "netback/worker/multicast.h"

static struct multicast list;
static const uint8_t everybody[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static int change(enum netif_multicast what, uint8_t first, uint8_t last)
{
    const struct netif_meta meta = {.multicast = what, .address = {first, 0, 0, 0, 0, last}};

    return multicast_change(&list, &meta);
}

static bool wants(uint8_t first, uint8_t last)
{
    const uint8_t address[] = {first, 0, 0, 0, 0, last};

    return multicast_wants(&list, address);
}

static int begin(void **state)
{
    (void)state;
    memset(&list, 0, sizeof list);
    return 0;
}

static void only_multicasts_have_to_be_asked_for(void **state)
{
    (void)state;
    assert_true(wants(2, 1));
    assert_true(multicast_wants(&list, everybody));
    assert_false(wants(1, 1));
    assert_int_equal(change(NETIF_MULTICAST_ADD, 1, 1), 0);
    assert_true(wants(1, 1));
    assert_false(wants(1, 2));
    assert_int_equal(change(NETIF_MULTICAST_DEL, 1, 1), 0);
    assert_false(wants(1, 1));
    assert_int_equal(change(NETIF_MULTICAST_ADD, 2, 1), -EINVAL);
    assert_int_equal(list.count, 0);
}

static void there_is_no_place_for_more(void **state)
{
    (void)state;
    for (uint8_t i = 0; i < MULTICAST_MAX; i++)
        assert_int_equal(change(NETIF_MULTICAST_ADD, 1, i), 0);
    assert_int_equal(change(NETIF_MULTICAST_ADD, 1, 3), 0); /* it is there */
    assert_int_equal(change(NETIF_MULTICAST_ADD, 1, 200), -ENOSPC);
    assert_int_equal(change(NETIF_MULTICAST_DEL, 1, 10), 0);
    assert_int_equal(change(NETIF_MULTICAST_DEL, 1, 10), 0); /* nor does that matter */
    assert_int_equal(change(NETIF_MULTICAST_ADD, 1, 200), 0);
    for (uint8_t i = 0; i < MULTICAST_MAX; i++)
        assert_int_equal(wants(1, i), i != 10);
    assert_true(wants(1, 200));
}

/* What a process leaves that was killed while it took an address away. */
static void an_address_that_is_there_twice_goes_at_once(void **state)
{
    (void)state;
    for (uint8_t i = 0; i < 3; i++)
        assert_int_equal(change(NETIF_MULTICAST_ADD, 1, i), 0);
    memcpy(list.addresses[0], list.addresses[2], NETIF_ADDRESS_LEN);
    multicast_recover(&list);
    assert_int_equal(change(NETIF_MULTICAST_DEL, 1, 2), 0);
    assert_false(wants(1, 2));
    assert_true(wants(1, 1));
    assert_int_equal(list.count, 1);
}

static void nonsense_is_all_multicasts(void **state)
{
    (void)state;
    list.count = MULTICAST_MAX + 1;
    multicast_recover(&list);
    assert_int_equal(list.count, 0);
    assert_true(wants(1, 77));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(only_multicasts_have_to_be_asked_for, begin),
        cmocka_unit_test_setup(there_is_no_place_for_more, begin),
        cmocka_unit_test_setup(an_address_that_is_there_twice_goes_at_once, begin),
        cmocka_unit_test_setup(nonsense_is_all_multicasts, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Strings out of xenstore: what is taken, and what a guest may write without being believed.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define xenbus_state xen_xenbus_state /* Xen's header uses the tag ours does */
#include <xen/io/xenbus.h>
#undef xenbus_state

#include "parse.h"

#define ROOT "/local/domain/0/backend/vbd"

static void decimal_takes_digits_only(void **state)
{
    static const char *const refused[] = {"", " 1", "1 ", "+1", "-1", "0x1", "1\n", "a", "1a", "1.0", "٣"};
    uint64_t value = 77;

    (void)state;
    for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_int_equal(parse_decimal(refused[i], UINT64_MAX, &value), -EINVAL);
    assert_int_equal(value, 77);
    assert_int_equal(parse_decimal("0", UINT64_MAX, &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(parse_decimal("00042", UINT64_MAX, &value), 0);
    assert_int_equal(value, 42);
}

static void decimal_knows_its_limit(void **state)
{
    uint64_t value = 77;

    (void)state;
    assert_int_equal(parse_decimal("18446744073709551615", UINT64_MAX, &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(parse_decimal("18446744073709551616", UINT64_MAX, &value), -ERANGE);
    assert_int_equal(parse_decimal("99999999999999999999999999", UINT64_MAX, &value), -ERANGE);
    assert_int_equal(parse_decimal("4294967295", UINT32_MAX, &value), 0);
    assert_true(value == UINT32_MAX);
    assert_int_equal(parse_decimal("4294967296", UINT32_MAX, &value), -ERANGE);
    assert_int_equal(parse_decimal("4294967296x", UINT32_MAX, &value), -EINVAL);
    assert_int_equal(parse_decimal("7", 6, &value), -ERANGE);
    assert_int_equal(parse_decimal("6", 6, &value), 0);
    assert_int_equal(parse_decimal("0", 0, &value), 0);
    assert_int_equal(parse_decimal("1", 0, &value), -ERANGE);
}

static void state_is_one_digit(void **state)
{
    static const char *const refused[] = {"", "0", "9", "44", "04", "4 ", " 4", "-1", "Connected"};

    (void)state;
    for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_int_equal(parse_state(refused[i]), XENBUS_UNKNOWN);
    assert_int_equal(parse_state(NULL), XENBUS_UNKNOWN);
    assert_int_equal(parse_state("1"), XENBUS_INITIALISING);
    assert_int_equal(parse_state("8"), XENBUS_RECONFIGURED);
}

static void states_have_the_numbers_of_xen(void **state)
{
    (void)state;
    assert_int_equal(XENBUS_UNKNOWN, XenbusStateUnknown);
    assert_int_equal(XENBUS_INITIALISING, XenbusStateInitialising);
    assert_int_equal(XENBUS_INIT_WAIT, XenbusStateInitWait);
    assert_int_equal(XENBUS_INITIALISED, XenbusStateInitialised);
    assert_int_equal(XENBUS_CONNECTED, XenbusStateConnected);
    assert_int_equal(XENBUS_CLOSING, XenbusStateClosing);
    assert_int_equal(XENBUS_CLOSED, XenbusStateClosed);
    assert_int_equal(XENBUS_RECONFIGURING, XenbusStateReconfiguring);
    assert_int_equal(XENBUS_RECONFIGURED, XenbusStateReconfigured);
}

static void bus_path_names_a_device(void **state)
{
    struct parse_bus_path path = parse_bus_path(ROOT, ROOT "/3/51712/state");

    (void)state;
    assert_int_equal(path.what, PARSE_BUS_DEVICE);
    assert_int_equal(path.domid, 3);
    assert_int_equal(path.devid, 51712);
    assert_string_equal(path.key, "state");

    path = parse_bus_path(ROOT, ROOT "/0/0");
    assert_int_equal(path.what, PARSE_BUS_DEVICE);
    assert_string_equal(path.key, "");

    path = parse_bus_path(ROOT, ROOT "/32751/4294967295/queue-0/x");
    assert_int_equal(path.what, PARSE_BUS_DEVICE);
    assert_true(path.devid == UINT32_MAX);
    assert_string_equal(path.key, "queue-0/x");
}

static void bus_path_may_be_about_all(void **state)
{
    static const char *const all[] = {ROOT, ROOT "/3", "/local/domain/0/backend", "/local/domain/0", "/"};

    (void)state;
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        assert_int_equal(parse_bus_path(ROOT, all[i]).what, PARSE_BUS_ALL);
}

static void bus_path_may_be_nothing_of_ours(void **state)
{
    static const char *const other[] = {ROOT "3/1",
                                        ROOT "/03/1",
                                        ROOT "/x/1",
                                        ROOT "/3/",
                                        ROOT "/3/01",
                                        ROOT "/3/ 1",
                                        ROOT "//1",
                                        ROOT "/32752/1",
                                        ROOT "/3/-1",
                                        ROOT "/3/4294967296",
                                        ROOT "/3/1x/y",
                                        "@introduceDomain",
                                        "/local/domain/0/backend/vif/3/0"};

    (void)state;
    for (unsigned i = 0; i < sizeof(other) / sizeof(other[0]); i++)
        assert_int_equal(parse_bus_path(ROOT, other[i]).what, PARSE_BUS_OTHER);
}

static void front_path_is_below_its_own_domain(void **state)
{
    static const char *const refused[] = {
        "",
        "/local/domain/3/device/vbd",
        "/local/domain/3/device/vbd/",
        "/local/domain/3/device//51712",
        "/local/domain/3/device/vbd/51712/x",
        "/local/domain/3/device/vbd/..",
        "/local/domain/3/device/vbd/5 1",
        "/local/domain/4/device/vbd/51712",
        "/local/domain/33/device/vbd/51712",
        "/local/domain/0/backend/vbd/51712",
        "device/vbd/51712",
    };
    char too_long[PARSE_PATH_SIZE + 64] = "/local/domain/3/device/vbd/";

    (void)state;
    for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_false(parse_front_path_valid(refused[i], 3));
    memset(too_long + strlen(too_long), '1', PARSE_PATH_SIZE);
    assert_false(parse_front_path_valid(too_long, 3));
    too_long[PARSE_PATH_SIZE - 1] = '\0';
    assert_true(parse_front_path_valid(too_long, 3));
    assert_true(parse_front_path_valid("/local/domain/3/device/vbd/51712", 3));
    assert_true(parse_front_path_valid("/local/domain/0/device/vif/0", 0));
}

static void identity_is_fit_for_a_file_name(void **state)
{
    char identity[16] = "unchanged";

    (void)state;
    assert_false(parse_identity("", sizeof(identity), identity));
    assert_false(parse_identity("a/b", sizeof(identity), identity));
    assert_false(parse_identity("..", sizeof(identity), identity));
    assert_false(parse_identity("0123456789abcdef", sizeof(identity), identity));
    assert_string_equal(identity, "unchanged");
    assert_true(parse_identity("0123-56789ABCde", sizeof(identity), identity));
    assert_string_equal(identity, "0123-56789ABCde");
}

static void reason_is_cut_and_printable(void **state)
{
    char reason[8];

    (void)state;
    parse_reason("a\nb\x1b[c", sizeof(reason), reason);
    assert_string_equal(reason, "a?b?[c");
    parse_reason("0123456789", sizeof(reason), reason);
    assert_string_equal(reason, "0123456");
    parse_reason("", sizeof(reason), reason);
    assert_string_equal(reason, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimal_takes_digits_only),
        cmocka_unit_test(decimal_knows_its_limit),
        cmocka_unit_test(state_is_one_digit),
        cmocka_unit_test(states_have_the_numbers_of_xen),
        cmocka_unit_test(bus_path_names_a_device),
        cmocka_unit_test(bus_path_may_be_about_all),
        cmocka_unit_test(bus_path_may_be_nothing_of_ours),
        cmocka_unit_test(front_path_is_below_its_own_domain),
        cmocka_unit_test(identity_is_fit_for_a_file_name),
        cmocka_unit_test(reason_is_cut_and_printable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

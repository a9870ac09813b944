/* SPDX-License-Identifier: MIT */
/*
 * Names and numbers of virtual disks. The numbers are those of xen-vbd-interface(7) and of libxl.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vdev.h"

static const struct {
    const char *name;
    uint32_t number;
} pairs[] = {
    {"xvda", 51712},     {"xvda1", 51713},     {"xvdb", 51728},       {"xvdp15", 51967}, {"xvdq", 268439552},
    {"xvdz", 268441856}, {"xvdaa", 268442112}, {"xvda16", 268435472}, {"sda", 2048},     {"sdp15", 2303},
    {"hda", 768},        {"hdb1", 833},        {"hdc", 5632},         {"hdd63", 5759},   {"xvdzz", 268614912},
};

static void names_become_numbers_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        uint32_t number = 0;
        char name[VDEV_NAME_SIZE];
        assert_int_equal(vdev_parse(pairs[i].name, &number), 0);
        assert_int_equal(number, pairs[i].number);
        vdev_name(number, name);
        assert_string_equal(name, pairs[i].name);
    }
}

static void other_spellings_are_taken(void **state)
{
    (void)state;
    uint32_t number = 0;
    assert_int_equal(vdev_parse("d1", &number), 0);
    assert_int_equal(number, 51728);
    assert_int_equal(vdev_parse("d16p3", &number), 0);
    assert_int_equal(number, 268439555);
    assert_int_equal(vdev_parse("51728", &number), 0);
    assert_int_equal(number, 51728);
    assert_int_equal(vdev_parse("7", &number), 0);
    assert_int_equal(number, 7);
}

static void every_extended_disk_survives_a_round_trip(void **state)
{
    (void)state;
    for (uint32_t disk = 16; disk < 1u << 20; disk += 37) {
        uint32_t number = 1u << 28 | disk << 8 | disk % 256;
        uint32_t parsed = 0;
        char name[VDEV_NAME_SIZE];
        vdev_name(number, name);
        assert_int_equal(vdev_parse(name, &parsed), 0);
        assert_int_equal(parsed, number);
    }
}

static void a_number_without_a_name_names_itself(void **state)
{
    (void)state;
    char name[VDEV_NAME_SIZE];
    vdev_name(7, name);
    assert_string_equal(name, "7");
    vdev_name(UINT32_MAX, name);
    assert_string_equal(name, "4294967295");
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",       "xvd",      "xvd1",      "xvdA",      "xvda256", "xvda1b", "xvda-1",
                                        "hde",    "hda64",    "sdq",       "sda16",     "vda",     "d",      "d1p",
                                        "d1p256", "d1x",      "hd",        "51728x",    "-1",      " 1",     "0x1",
                                        "xvda ",  "d1048576", "xvdzzzzzz", "4294967296"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        uint32_t number = 99;
        assert_int_equal(vdev_parse(texts[i], &number), -EINVAL);
        assert_int_equal(number, 99);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_become_numbers_and_back),
        cmocka_unit_test(other_spellings_are_taken),
        cmocka_unit_test(every_extended_disk_survives_a_round_trip),
        cmocka_unit_test(a_number_without_a_name_names_itself),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

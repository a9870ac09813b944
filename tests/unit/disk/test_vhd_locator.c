/* SPDX-License-Identifier: MIT */
/* Paths to parents: each form there and back, what other writers leave in them, and what may be followed. */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <disk/parent.h>

#include "vhd/locator.h"

static const char *const paths[] = {
    "./base.vhd", "./a/b c/d%e.vhd", "./\xc3\xa4\xe2\x82\xac.vhd", "./\xf0\x9f\x98\x80.vhd", "x",
};

static void test_there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        for (unsigned form = 0; form < VHD_LOCATOR_FORMS; form++) {
            uint8_t bytes[512];
            char text[512];
            int length = vhd_locator_encode((enum vhd_locator_form)form, paths[i], bytes, sizeof bytes);
            assert_true(length > 0);
            assert_int_equal(vhd_locator_decode((enum vhd_locator_form)form, bytes, (size_t)length, text, sizeof text),
                             0);
            assert_string_equal(text, paths[i]);
            assert_int_equal(vhd_locator_form(vhd_locator_code((enum vhd_locator_form)form)), form);
            /* Room is never overrun, to the byte. */
            for (size_t size = 0; size < (size_t)length; size++)
                assert_int_equal(vhd_locator_encode((enum vhd_locator_form)form, paths[i], bytes, size), -EINVAL);
            for (size_t size = 1; size <= strlen(paths[i]); size++)
                assert_int_equal(vhd_locator_decode((enum vhd_locator_form)form, bytes, (size_t)length, text, size),
                                 -EINVAL);
        }
    assert_int_equal(vhd_locator_form((const uint8_t *)"Wi2k"), VHD_LOCATOR_FORMS);
}

static void test_names(void **state)
{
    (void)state;
    uint8_t bytes[VHD_NAME_SIZE];
    char text[600], longest[300];
    assert_true(vhd_name_encode("./sub/n\xc3\xa4me.vhd", bytes) > 0);
    assert_memory_equal(bytes, "\0n\0\xe4\0m", 6);
    assert_int_equal(vhd_name_decode(bytes, text, sizeof text), 0);
    assert_string_equal(text, "n\xc3\xa4me.vhd");
    memset(longest, 'a', sizeof longest - 1);
    longest[299] = '\0';
    assert_int_equal(vhd_name_encode(longest, bytes), -EINVAL);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(vhd_name_decode(bytes, text, sizeof text), -EINVAL);
}

/* What comes from elsewhere: backslashes, zeros behind the end, half of a pair, malformed escapes. */
static void test_from_elsewhere(void **state)
{
    (void)state;
    static const struct {
        enum vhd_locator_form form;
        const char *bytes;
        size_t length;
        const char *text; /* NULL: refused */
    } rows[] = {
        {VHD_LOCATOR_W2RU, ".\0\\\0a\0", 6, "./a"},
        {VHD_LOCATOR_W2RU, "a\0\0\0b\0", 6, "a"},
        {VHD_LOCATOR_W2RU, "a\0b", 3, "a"},
        {VHD_LOCATOR_W2KU, "C\0:\0\\\0a\0", 8, "C:/a"},
        {VHD_LOCATOR_W2RU, "\0\0", 2, NULL},
        {VHD_LOCATOR_W2RU, "", 0, NULL},
        {VHD_LOCATOR_W2RU, "\x00\xd8", 2, NULL},
        {VHD_LOCATOR_W2RU, "\x00\xd8\x41\x00", 4, NULL},
        {VHD_LOCATOR_W2RU, "\x00\xdc\x41\x00", 4, NULL},
        {VHD_LOCATOR_MACX, "file://./a", 10, "./a"},
        {VHD_LOCATOR_MACX, "file://a%20b", 12, "a b"},
        {VHD_LOCATOR_MACX, "file://a%2fb", 12, "a/b"},
        {VHD_LOCATOR_MACX, "file://a\0b", 10, "a"},
        {VHD_LOCATOR_MACX, "file://a%0", 10, NULL},
        {VHD_LOCATOR_MACX, "file://a%zz", 11, NULL},
        {VHD_LOCATOR_MACX, "file://a%00", 11, NULL},
        {VHD_LOCATOR_MACX, "file://\xff", 8, NULL},
        {VHD_LOCATOR_MACX, "file://", 7, NULL},
        {VHD_LOCATOR_MACX, "http://a", 8, NULL},
        {VHD_LOCATOR_MACX, "file", 4, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[64] = "";
        int result =
            vhd_locator_decode(rows[i].form, (const uint8_t *)rows[i].bytes, rows[i].length, text, sizeof text);
        assert_int_equal(result, rows[i].text ? 0 : -EINVAL);
        if (rows[i].text)
            assert_string_equal(text, rows[i].text);
    }
    static const char *const no_utf8[] = {
        "\x80", "\xc0\x80", "\xc3", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xe2\x82"};
    uint8_t bytes[64];
    for (size_t i = 0; i < sizeof no_utf8 / sizeof *no_utf8; i++)
        for (unsigned form = 0; form < VHD_LOCATOR_FORMS; form++)
            assert_int_equal(vhd_locator_encode((enum vhd_locator_form)form, no_utf8[i], bytes, sizeof bytes), -EINVAL);
}

static void test_policy(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "./a", "a/b", "a/./b", "..a", "a..", "a/..b/c", ".../a", "ab:c"};
    static const char *const bad[] = {"",     "/a", "//a",  "..",   "../a", "a/..",    "a/../b",
                                      "./..", "C:", "c:/a", "a\nb", "\x7f", "a/\x1b[m"};
    struct disk_error error;
    char longest[DISK_LOCATOR_SIZE];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(disk_locator_check(good[i], &error), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        error.text[0] = '\0';
        assert_int_equal(disk_locator_check(bad[i], &error), -EPERM);
        assert_true(error.text[0]);
    }
    memset(longest, 'a', sizeof longest); /* without an end */
    assert_int_equal(disk_locator_check(longest, &error), -EPERM);
}

/* An image keeps what it says of its parent; the identifier, the kind, each path once. */
static void test_image_says(void **state)
{
    (void)state;
    static const uint8_t uuid[16] = {1, 2, 3}, none[16];
    static struct disk_parent parent;
    struct disk_error error;
    for (unsigned raw = 0; raw < 2; raw++) {
        int fd = open(rig_path(raw ? "raw-child" : "child"), O_RDWR | O_CREAT | O_EXCL, 0600);
        assert_int_equal(vhd_create_child(fd, 1 << 20, raw ? none : uuid, "sub/b\xc3\xa4se.vhd", &error), 0);
        assert_int_equal(disk_parent_read(disk_kind_find("vhd"), fd, &parent, &error), 1);
        assert_string_equal(disk_kind_name(parent.kind), raw ? "raw" : "vhd");
        assert_memory_equal(parent.uuid, raw ? none : uuid, 16);
        assert_int_equal(parent.count, 2); /* the three forms are the same path */
        assert_string_equal(parent.locators[0], "./sub/b\xc3\xa4se.vhd");
        assert_string_equal(parent.locators[1], "b\xc3\xa4se.vhd");
        close(fd);
    }
    int fd = open(rig_path("alone"), O_RDWR | O_CREAT | O_EXCL, 0600);
    assert_int_equal(vhd_create_child(fd, 1 << 20, uuid, "../base.vhd", &error), -EPERM);
    assert_int_equal(vhd_create_child(fd, 1 << 20, uuid, "\xff", &error), -EINVAL);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(vhd_create(fd, VHD_DYNAMIC, 1 << 20, &error), 0);
    assert_int_equal(disk_parent_read(disk_kind_find("vhd"), fd, &parent, &error), 0);
    assert_int_equal(disk_parent_read(disk_kind_find("raw"), fd, &parent, &error), 0);
    assert_int_equal(disk_parent_read(disk_kind_find("vhd"), -1, &parent, &error), -EBADF);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_names),      cmocka_unit_test(test_from_elsewhere),
        cmocka_unit_test(test_policy),         cmocka_unit_test(test_image_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

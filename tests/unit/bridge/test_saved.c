/* SPDX-License-Identifier: MIT */
/*
 * Saved tables: what was written is read, and what cannot be is refused.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <bridge/saved.h>

#define COUNT 3u
#define SIZE  (SAVED_HEADER_SIZE + COUNT * SAVED_ENTRY_SIZE)

static uint8_t bytes[SIZE];

static int setup(void **state)
{
    (void)state;
    saved_encode_header(bytes, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        const struct saved_entry entry = {.seen = i * 1000, .mac = {2, 0, 0, 0, 0, (uint8_t)i}, .port = "vif1.0"};
        saved_encode_entry(bytes, i, &entry);
    }
    return 0;
}

static void is_read_back(void **state)
{
    struct saved_entry entry;
    uint32_t count;

    (void)state;
    assert_int_equal(saved_size(COUNT), SIZE);
    assert_int_equal(saved_decode_header(bytes, SIZE, &count), 0);
    assert_int_equal(count, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(saved_decode_entry(bytes, i, 2000, &entry), 0);
        assert_int_equal(entry.seen, i * 1000);
        assert_int_equal(entry.mac[5], i);
        assert_string_equal(entry.port, "vif1.0");
    }
}

static void another_file_is_refused(void **state)
{
    uint32_t count;

    (void)state;
    assert_int_equal(saved_decode_header(bytes, 15, &count), -EBADMSG);
    assert_int_equal(saved_decode_header(bytes, SIZE - 1, &count), -EBADMSG);
    assert_int_equal(saved_decode_header(bytes, SIZE + 1, &count), -EBADMSG);
    bytes[12] = 2;
    assert_int_equal(saved_decode_header(bytes, SIZE, &count), -EBADMSG);
    memset(bytes + 12, 0xff, 4);
    assert_int_equal(saved_decode_header(bytes, SIZE, &count), -EBADMSG);
    bytes[8] = 9;
    assert_int_equal(saved_decode_header(bytes, SIZE, &count), -EPROTONOSUPPORT);
    bytes[0] ^= 1;
    assert_int_equal(saved_decode_header(bytes, SIZE, &count), -EBADMSG);
}

static void a_wrong_entry_is_refused(void **state)
{
    struct saved_entry entry;

    (void)state;
    assert_int_equal(saved_decode_entry(bytes, 2, 1999, &entry), -EBADMSG); /* in the future */
    bytes[SAVED_HEADER_SIZE + 8] |= 1;                                      /* a multicast address */
    assert_int_equal(saved_decode_entry(bytes, 0, 2000, &entry), -EBADMSG);
    memset(bytes + SAVED_HEADER_SIZE + 8, 0, 6);
    assert_int_equal(saved_decode_entry(bytes, 0, 2000, &entry), -EBADMSG);
    memset(bytes + SAVED_HEADER_SIZE + SAVED_ENTRY_SIZE, 0xff, 8); /* before the clock began */
    assert_int_equal(saved_decode_entry(bytes, 1, 2000, &entry), -EBADMSG);
    bytes[SAVED_HEADER_SIZE + 2 * SAVED_ENTRY_SIZE + 16] = '/';
    assert_int_equal(saved_decode_entry(bytes, 2, 2000, &entry), -EBADMSG);
    memset(bytes + SAVED_HEADER_SIZE + 2 * SAVED_ENTRY_SIZE + 16, 'a', PORT_NAME_SIZE);
    assert_int_equal(saved_decode_entry(bytes, 2, 2000, &entry), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(is_read_back, setup),
        cmocka_unit_test_setup(another_file_is_refused, setup),
        cmocka_unit_test_setup(a_wrong_entry_is_refused, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

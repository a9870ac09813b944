/* SPDX-License-Identifier: MIT */
/*
 * Rates in xl's words.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rate.h"

static void good_rates_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
        uint32_t window_us;
    } rates[] = {
        {"10Mb/s", 62500, 50000},
        {"250KB/s@20ms", 5000, 20000},
        {"1GB/s@1s", 1000000000, 1000000},
        {"1Gb/s@2", 250000000, 2000000},
        {"8000b/s@1s", 1000, 1000000},
        {"4000000B/s@500us", 2000, 500},
        {"4000000B/s@500u", 2000, 500},
        {"4000000B/s@7m", 28000, 7000},
        {"4294967295GB/s@1us", 4294967295000000u * 1000 / 1000000, 1},
    };
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct rate rate = {.bytes = 1};
        if (rate_parse(rates[i].text, &rate) != 0)
            fail_msg("%s is not read", rates[i].text);
        assert_int_equal(rate.bytes, rates[i].bytes);
        assert_int_equal(rate.window_us, rates[i].window_us);
    }
}

static void what_is_no_rate_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",           "10",           "Mb/s",    "10Mb",    "10mb/s",      "10Tb/s",    "-1Mb/s",
        " 1Mb/s",     "1 Mb/s",       "1Mb/s ",  "1Mb/s@",  "1Mb/s@ms",    "1Mb/s@1ns", "1Mb/s@1mss",
        "1Mb/s@-1ms", "1Mb/s@1ms@1s", "1Mb/sec", "1.5Mb/s", "62500,50000", "none"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct rate rate = {.bytes = 77, .window_us = 78};
        if (rate_parse(texts[i], &rate) != -EINVAL)
            fail_msg("'%s' is not refused", texts[i]);
        assert_int_equal(rate.bytes, 77);
        assert_int_equal(rate.window_us, 78);
    }
}

static void what_cannot_be_counted_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"0Mb/s",
                                        "7b/s",
                                        "1B/s@1us",
                                        "1Mb/s@0ms",
                                        "4294967296B/s",
                                        "99999999999999999999B/s",
                                        "1Mb/s@4295s",
                                        "1Mb/s@99999999999999999999us",
                                        "4294967295GB/s@4294s"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct rate rate = {.bytes = 77};
        if (rate_parse(texts[i], &rate) != -ERANGE)
            fail_msg("'%s' is not refused", texts[i]);
        assert_int_equal(rate.bytes, 77);
    }
}

static void rates_are_shown_as_they_are_told(void **state)
{
    (void)state;
    static const struct {
        struct rate rate;
        const char *text;
    } rates[] = {{{62500, 50000}, "10Mb/s"},     {{5000, 20000}, "2Mb/s"},  {{1, 1000000}, "8b/s"},
                 {{187500, 1000000}, "1.5Mb/s"}, {{125, 1}, "1Gb/s"},       {{15432099, 1000000}, "123.5Mb/s"},
                 {{1250000, 1}, "10000Gb/s"},    {{1, 1500000}, "5.333b/s"}};
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        char text[RATE_TEXT_SIZE];
        rate_format(&rates[i].rate, text);
        assert_string_equal(text, rates[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_rates_are_read),
        cmocka_unit_test(what_is_no_rate_is_refused),
        cmocka_unit_test(what_cannot_be_counted_is_refused),
        cmocka_unit_test(rates_are_shown_as_they_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

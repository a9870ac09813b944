/* SPDX-License-Identifier: MIT */
/*
 * Network cards in xl's words.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "card.h"

static struct card card;
static char reason[CARD_REASON_SIZE];

static int parse(const char *first, const char *second)
{
    const char *const operands[] = {first, second, NULL};
    memset(&card, 0xee, sizeof(card));
    reason[0] = '\0';
    return card_parse(operands, &card, reason);
}

static void a_card_has_xls_defaults(void **state)
{
    (void)state;
    assert_int_equal(parse(NULL, NULL), 0);
    assert_string_equal(card.bridge, "xenbr0");
    assert_string_equal(card.script, "/etc/xen/scripts/vif-bridge");
    assert_string_equal(card.mac, "");
    assert_string_equal(card.ip, "");
    assert_string_equal(card.vifname, "");
    assert_int_equal(card.rate.bytes, 0);
    assert_int_equal(card.mtu, 0);
    assert_false(card.has_devid);
}

static void every_word_is_taken(void **state)
{
    (void)state;
    assert_int_equal(parse("bridge=br0.7:8,mac=00:16:3E:Ab:cd:01, script = vif-ringback",
                           "rate=10Mb/s@20ms,mtu=9000,"
                           "ip=10.0.0.1/24 fe80::1,vifname=mail0,devid=3,type=vif"),
                     0);
    assert_string_equal(card.bridge, "br0.7:8");
    assert_string_equal(card.mac, "00:16:3e:ab:cd:01");
    assert_string_equal(card.script, "/etc/xen/scripts/vif-ringback");
    assert_int_equal(card.rate.bytes, 25000);
    assert_int_equal(card.rate.window_us, 20000);
    assert_int_equal(card.mtu, 9000);
    assert_string_equal(card.ip, "10.0.0.1/24 fe80::1");
    assert_string_equal(card.vifname, "mail0");
    assert_true(card.has_devid);
    assert_int_equal(card.devid, 3);
}

static void a_script_is_a_path_a_name_or_none(void **state)
{
    (void)state;
    assert_int_equal(parse("script=/usr/local/bin/plug", NULL), 0);
    assert_string_equal(card.script, "/usr/local/bin/plug");
    assert_int_equal(parse("script=none", NULL), 0);
    assert_string_equal(card.script, "");
    assert_string_equal(card.bridge, ""); /* nobody would put it there */
    assert_int_equal(parse("script=none,bridge=lan", NULL), 0);
    assert_string_equal(card.bridge, "lan");
}

static void what_is_wrong_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *told;
    } wrong[] = {
        {"", "'' is not KEY=VALUE"},
        {"bridge", "'bridge' is not KEY=VALUE"},
        {"bridge=br0,", "'' is not KEY=VALUE"},
        {"model=e1000", "a network card has no 'model'"},
        {"bridg=x", "a network card has no 'bridg'"},
        {"=x", "a network card has no ''"},
        {"bridge=", "bridge= has no value"},
        {"bridge= ,mtu=1500", "bridge= has no value"},
        {"mtu=1500,mtu=1500", "mtu= is given twice"},
        {"bridge=a b", "bridge='a b' is not a name"},
        {"bridge=../x", "is not a name"},
        {"vifname=sixteen-letters-", "too long: at most 15"},
        {"mac=00:16:3e:00:00", "mac=00:16:3e:00:00 is not an address"},
        {"mac=00-16-3e-00-00-01", "is not an address"},
        {"mac=00:16:3e:00:00:0g", "is not an address"},
        {"mac=00:16:3e:00:00:001", "is not an address"},
        {"mac=00:00:00:00:00:00", "is not an address"},
        {"mac=01:16:3e:00:00:01", "is a multicast address"},
        {"mac=ff:ff:ff:ff:ff:ff", "is a multicast address"},
        {"script=dir/plug", "use a path that begins with /"},
        {"rate=10", "is not a rate"},
        {"rate=0Mb/s", "too small or too large"},
        {"mtu=67", "is not a number from 68 to 65521"},
        {"mtu=65522", "is not a number"},
        {"mtu=-1", "is not a number"},
        {"mtu=1500x", "is not a number"},
        {"devid=1000000", "is not a number from 0 to 999999"},
        {"devid=99999999999999999999", "is not a number"},
        {"ip=10.0.0.1;reboot", "is not a list of addresses"},
        {"type=ioemu", "only vif can be attached"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (parse(wrong[i].text, NULL) != -EINVAL)
            fail_msg("'%s' is not refused", wrong[i].text);
        if (strstr(reason, wrong[i].told) == NULL)
            fail_msg("'%s' is refused with '%s'", wrong[i].text, reason);
        assert_int_equal((unsigned char)card.bridge[0], 0xee); /* untouched */
    }
}

static void long_values_are_refused(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "bridge=", "mac=", "script=", "script=/", "rate=", "mtu=", "ip=", "vifname=", "devid=", "type=", ""};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char text[600];
        for (size_t length = 240; length < 260; length++) {
            memset(text, '1', sizeof(text));
            memcpy(text, keys[i], strlen(keys[i]));
            text[strlen(keys[i]) + length] = '\0';
            int result = parse(text, NULL);
            if (result == 0 && (strncmp(text, "ip=", 3) != 0 || length > 255) && strncmp(text, "script=", 7) != 0)
                fail_msg("'%s' is not refused", text);
        }
    }
}

static void a_made_up_address_is_a_guests(void **state)
{
    (void)state;
    static const uint8_t high[3] = {0xff, 0xff, 0x0a};
    card_make_mac(&card, high);
    assert_string_equal(card.mac, "00:16:3e:7f:ff:0a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_card_has_xls_defaults),           cmocka_unit_test(every_word_is_taken),
        cmocka_unit_test(a_script_is_a_path_a_name_or_none), cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(long_values_are_refused),           cmocka_unit_test(a_made_up_address_is_a_guests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * What ringctl prints of what the daemon says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "render.h"

static const char device_text[] =
    "{\"domid\":3,\"devid\":51728,\"name\":\"xvdb\",\"kind\":\"vhd\",\"source\":\"vhd:/srv/"
    "a.vhd\",\"parents\":[\"/srv/b.vhd\",\"/srv/c.raw\"],\"mode\":\"rw\",\"size\":67108864,\"sector_size\":512,"
    "\"physical_sector_size\":4096,\"state\":\"Connected\",\"front_state\":\"Connected\",\"activity\":\"connected\","
    "\"last_error\":null,"
    "\"ring\":{\"protocol\":\"x86_64-abi\",\"order\":0,\"slots\":32,\"in_flight\":1},\"queues\":[{"
    "\"event_channel\":5,\"req_prod\":7,\"requests\":{\"read\":3}},{\"event_channel\":6,\"req_prod\":17}],\"requests\":"
    "{\"read\":4,\"write\":2,\"flush\":1},\"bytes\":{\"read\":1536,"
    "\"write\":8192,\"flush\":0},"
    "\"throttle\":{\"iops_total\":500,\"iops_total_max\":50,\"bps_total\":null,\"bps_total_max\":null,\"waits\":3,"
    "\"waited_ns\":1234567},"
    "\"errors\":{\"operation\":5,\"range\":0},\"replayed\":1,\"events\":9,\"notifications\":8,\"polls\":{\"hit\":6,"
    "\"missed\":2},\"worker\":{\"state\":"
    "\"served\",\"pid\":42,\"version\":\"1.2.3\",\"origin\":\"adopted\",\"restarts\":1,"
    "\"guest_restarts\":1,\"last_death\":\"killed by signal 9\",\"last_recovery_ms\":12}}";

static char *rendered(void (*render)(const json_t *value, FILE *stream), const char *text)
{
    char *output = NULL;
    size_t length = 0;
    json_t *value = json_loads(text, 0, NULL);
    assert_non_null(value);
    FILE *stream = open_memstream(&output, &length);
    render(value, stream);
    fclose(stream);
    json_decref(value);
    return output;
}

static void the_table_is_aligned(void **state)
{
    (void)state;
    char text[2048];
    snprintf(text, sizeof(text), "[%s, {\"domid\":12,\"devid\":768}]", device_text);
    char *output = rendered(render_disks, text);
    assert_string_equal(
        output,
        "DOM    DEV  NAME  KIND  SIZE  MODE  STATE      RING  INFLIGHT  READ  WRITTEN  RESTARTS  SOURCE\n"
        "  3  51728  xvdb  vhd    64M  rw    Connected    32         1  1.5K       8K         1  vhd:/srv/a.vhd\n"
        " 12    768  -     -        -  -     -             -         -     -        -         -  -\n");
    free(output);
}

static void an_empty_table_has_its_head(void **state)
{
    (void)state;
    char *output = rendered(render_disks, "[]");
    assert_int_equal(strncmp(output, "DOM  DEV  NAME", 14), 0);
    assert_string_equal(strchr(output, '\n'), "\n");
    free(output);
}

static void a_device_is_told_whole(void **state)
{
    (void)state;
    static const char *const lines[] = {"  name            xvdb\n",
                                        "  last error      -\n",
                                        "  size            64M (67108864 bytes)\n",
                                        "parents\n  /srv/b.vhd\n  /srv/c.raw\n",
                                        "queue 0\n  event channel   5\n",
                                        "  req_prod        7\n",
                                        "queue 1\n  event channel   6\n",
                                        "  req_prod        17\n",
                                        "  replayed        1\n",
                                        "  polls missed    2\n",
                                        "limits\n  requests/s      500\n  at once         50\n  bytes/s         -\n",
                                        "  waits           3\n  waited (ns)     1234567\n",
                                        "  bytes read      1.5K (1536 bytes)\n",
                                        "errors\n  operation               5\n",
                                        "  version         1.2.3\n",
                                        "  origin          adopted\n",
                                        "  last death      killed by signal 9\n",
                                        "  recovery (ms)   12\n"};
    char *output = rendered(render_disk, device_text);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (strstr(output, lines[i]) == NULL)
            fail_msg("'%s' is not in\n%s", lines[i], output);
    free(output);
}

static const char parked_text[] =
    "{\"domid\":3,\"devid\":51728,\"name\":\"xvdb\",\"state\":\"Connected\",\"activity\":\"parked\","
    "\"parked\":{\"when\":1700000000,\"version\":\"1.2.3\",\"request\":{\"operation\":\"write\",\"sector\":2048,"
    "\"sectors\":3,\"id\":\"0x11\",\"attempts\":3},\"death\":\"killed by signal 11\",\"signal\":11,"
    "\"address\":\"0x20\",\"backtrace\":[\"worker+0x1\",\"libc.so.6+0x2\"]},"
    "\"crash\":{\"when\":1700000001,\"death\":\"exited with status 1\",\"signal\":null,\"address\":null,"
    "\"backtrace\":[],\"suspects\":40,\"requests\":[{\"operation\":\"read\",\"sector\":8,\"sectors\":1,\"id\":"
    "\"0x1\",\"attempts\":1}]}}";

static void a_parked_device_shows(void **state)
{
    (void)state;
    static const char *const lines[] = {"\nparked: ",
                                        "  request         write of 3 sectors at 2048, id 0x11, attempts 3\n",
                                        "  by version      1.2.3\n",
                                        "  when            2023-11-14 22:13:20 UTC\n",
                                        "  death           killed by signal 11\n",
                                        "  address         0x20\n",
                                        "  at              worker+0x1\n  from            libc.so.6+0x2\n",
                                        "\nlast crash ",
                                        "  death           exited with status 1\n",
                                        "  were in flight  40\n",
                                        "read of 1 sectors at 8, id 0x1, attempts 1\n"};
    char text[2048];
    char *output = rendered(render_disk, parked_text);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (strstr(output, lines[i]) == NULL)
            fail_msg("'%s' is not in\n%s", lines[i], output);
    free(output);
    snprintf(text, sizeof(text), "[%s]", parked_text);
    output = rendered(render_disks, text);
    assert_non_null(strstr(output, " Parked "));
    assert_null(strstr(output, "Connected"));
    free(output);
}

static void a_device_without_anything_is_no_trouble(void **state)
{
    (void)state;
    char *output = rendered(render_disk, "{}");
    assert_non_null(strstr(output, "errors\n  none\n"));
    assert_null(strstr(output, "parked"));
    assert_null(strstr(output, "crash"));
    free(output);
}

static void sizes_have_units(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *shown;
    } sizes[] = {{"{\"size\":0}", "0B ("},
                 {"{\"size\":1023}", "1023B ("},
                 {"{\"size\":1024}", "1K ("},
                 {"{\"size\":1099511627776}", "1T ("},
                 {"{\"size\":9223372036854775807}", "7.9E ("}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *output = rendered(render_disk, sizes[i].json);
        assert_non_null(strstr(output, sizes[i].shown));
        free(output);
    }
}

/* ---- Cards. ------------------------------------------------------------------------------------------------------ */

static const char card_text[] =
    "{\"class\":\"card\",\"domid\":3,\"devid\":0,\"name\":\"vif0\",\"kind\":\"tap\",\"netdev\":\"vif3.0\",\"bridge\":"
    "\"xenbr0\",\"mac\":\"00:16:3e:01:02:03\",\"mtu\":1500,\"rate\":{\"bytes\":62500,\"window_us\":50000},\"state\":"
    "\"Connected\",\"front_state\":\"Connected\",\"activity\":\"connected\",\"last_error\":null,\"carrier\":true,"
    "\"multicast_control\":false,\"features\":[\"sg\",\"gso-tcpv4\"],\"queues\":[{\"tx\":{\"packets\":11,\"bytes\":"
    "1536,"
    "\"gso\":2,\"drops\":{\"size\":4,\"port\":0},\"replayed\":1,\"copies\":12,\"waits\":13,\"channel\":5,\"ring\":{"
    "\"req_prod\":7,\"req_cons\":6,\"rsp_prod\":5,\"req_event\":8,\"rsp_event\":9,\"in_flight\":1,\"slots\":256}},"
    "\"rx\":{"
    "\"packets\":21,\"bytes\":2048,\"gso\":22,\"drops\":{\"full\":0},\"copies\":23,\"full\":24,\"stalls\":25,"
    "\"waiting\":"
    "1024,\"channel\":6,\"ring\":{\"req_prod\":70,\"slots\":257}},\"events\":31,\"notifications\":32,\"polls\":{"
    "\"hit\":33,"
    "\"missed\":34}},{}],\"tx\":{\"packets\":11,\"bytes\":1536,\"drops\":4},\"rx\":{\"packets\":21,\"bytes\":2048,"
    "\"drops\":"
    "0},\"control_ring\":{\"requests\":41,\"refused\":42,\"hash\":true},\"recovery_ns\":51,\"worker\":{\"state\":"
    "\"served\","
    "\"pid\":42,\"version\":\"1.2.3\",\"origin\":\"started\",\"restarts\":1,\"last_death\":null,\"last_recovery_ms\":"
    "12},"
    "\"crash\":{\"when\":1700000001,\"death\":\"killed by signal "
    "11\",\"address\":\"0x20\",\"backtrace\":[\"worker+0x1\"]}}";

static void the_table_of_cards_is_aligned(void **state)
{
    (void)state;
    char text[4096];
    snprintf(text, sizeof(text), "[%s, {\"domid\":12,\"rate\":null,\"carrier\":false}]", card_text);
    char *output = rendered(render_cards, text);
    assert_string_equal(
        output,
        "DOM  NAME  KIND  NETDEV  MAC                 MTU    RATE  STATE      CARRIER  QUEUES    TX  TXDROPS  RX  "
        "RXDROPS  RESTARTS  BRIDGE\n"
        "  3  vif0  tap   vif3.0  00:16:3e:01:02:03  1500  10Mb/s  Connected  yes           2  1.5K        4  2K  "
        "      0         1  xenbr0\n"
        " 12  -     -     -       -                     -       -  -          no            -     -        -   -  "
        "      -         -  -\n");
    free(output);
}

static void a_card_is_told_whole(void **state)
{
    (void)state;
    /* In this order. */
    static const char *const lines[] = {
        "device\n  domain          3\n",
        "  last error      -\n",
        "card\n  kind            tap\n",
        "  carrier         yes\n",
        "  multicast filter",
        "no\n",
        "  rate            10Mb/s (62500 bytes each 50000 us)\n",
        "  guest takes     sg, gso-tcpv4\n",
        "sent by the guest (tx)\n  packets         11\n",
        "  bytes           1.5K (1536 bytes)\n  dropped         4\n",
        "received by the guest (rx)\n  packets         21\n",
        "queue 0\n  events          31\n  notifications   32\n",
        "  polls missed    34\n",
        "queue 0 tx\n",
        "  replayed        1\n",
        "  waits for rate  13\n",
        "  slots           256\n",
        "  rsp_event       9\n",
        "queue 0 tx drops\n  size                    4\nqueue 0 rx\n",
        "  stalls          25\n  waiting         1K (1024 bytes)\n",
        "  slots           257\n",
        "queue 0 rx drops\n  none\nqueue 1\n",
        "control ring\n  requests        41\n  refused         42\n  hash            yes\n",
        "worker\n  state           served\n",
        "  recovery (ms)   12\n",
        "last crash ",
        "  death           killed by signal 11\n",
        "  at              worker+0x1\n"};
    char *output = rendered(render_card, card_text);
    const char *rest = output;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        rest = strstr(rest, lines[i]);
        if (rest == NULL)
            fail_msg("'%s' is not there, or too early, in\n%s", lines[i], output);
    }
    free(output);
}

static void a_card_without_anything_is_no_trouble(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}", "{\"rate\":{\"bytes\":-1,\"window_us\":0},\"queues\":7,\"features\":{},\"tx\":[],\"control_ring\":null}",
        "{\"rate\":{\"bytes\":1,\"window_us\":99999999999},\"queues\":[null,[]],\"crash\":null}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *output = rendered(render_card, texts[i]);
        assert_non_null(strstr(output, "  rate            -\n"));
        assert_non_null(strstr(output, "  guest takes     -\n"));
        assert_null(strstr(output, "control ring"));
        assert_null(strstr(output, "crash"));
        free(output);
    }
    char *output = rendered(render_card, "{\"rate\":null}");
    assert_non_null(strstr(output, "  rate            no limit\n"));
    free(output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_aligned),
        cmocka_unit_test(an_empty_table_has_its_head),
        cmocka_unit_test(a_device_is_told_whole),
        cmocka_unit_test(a_device_without_anything_is_no_trouble),
        cmocka_unit_test(a_parked_device_shows),
        cmocka_unit_test(sizes_have_units),
        cmocka_unit_test(the_table_of_cards_is_aligned),
        cmocka_unit_test(a_card_is_told_whole),
        cmocka_unit_test(a_card_without_anything_is_no_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

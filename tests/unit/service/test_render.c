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
    "a.vhd\",\"mode\":\"rw\",\"size\":67108864,\"sector_size\":512,"
    "\"physical_sector_size\":4096,\"state\":\"Connected\",\"front_state\":\"Connected\",\"activity\":\"connected\","
    "\"last_error\":null,"
    "\"ring\":{\"protocol\":\"x86_64-abi\",\"order\":0,\"slots\":32,\"event_channel\":5,\"req_prod\":7,\"req_cons\":7,"
    "\"rsp_prod\":6,\"req_event\":8,"
    "\"rsp_event\":7,\"in_flight\":1},\"requests\":{\"read\":4,\"write\":2,\"flush\":1},\"bytes\":{\"read\":1536,"
    "\"write\":8192,\"flush\":0},"
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
    char *output = rendered(render_table, text);
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
    char *output = rendered(render_table, "[]");
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
                                        "  req_prod        7\n",
                                        "  replayed        1\n",
                                        "  polls missed    2\n",
                                        "  bytes read      1.5K (1536 bytes)\n",
                                        "errors\n  operation               5\n",
                                        "  version         1.2.3\n",
                                        "  origin          adopted\n",
                                        "  last death      killed by signal 9\n",
                                        "  recovery (ms)   12\n"};
    char *output = rendered(render_device, device_text);
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
    char *output = rendered(render_device, parked_text);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (strstr(output, lines[i]) == NULL)
            fail_msg("'%s' is not in\n%s", lines[i], output);
    free(output);
    snprintf(text, sizeof(text), "[%s]", parked_text);
    output = rendered(render_table, text);
    assert_non_null(strstr(output, " Parked "));
    assert_null(strstr(output, "Connected"));
    free(output);
}

static void a_device_without_anything_is_no_trouble(void **state)
{
    (void)state;
    char *output = rendered(render_device, "{}");
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
        char *output = rendered(render_device, sizes[i].json);
        assert_non_null(strstr(output, sizes[i].shown));
        free(output);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_aligned),   cmocka_unit_test(an_empty_table_has_its_head),
        cmocka_unit_test(a_device_is_told_whole), cmocka_unit_test(a_device_without_anything_is_no_trouble),
        cmocka_unit_test(a_parked_device_shows),  cmocka_unit_test(sizes_have_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

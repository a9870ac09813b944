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

static const char device_text[] = "{\"name\":\"3/"
                                  "51728\",\"domid\":3,\"devid\":51728,\"kind\":\"vbd\",\"vdev\":\"xvdb\",\"state\":"
                                  "\"Connected\",\"frontend-state\":\"Connected\","
                                  "\"doing\":\"connected\",\"disk\":{\"spec\":\"vhd:/srv/"
                                  "a.vhd\",\"kind\":\"vhd\",\"mode\":\"rw\",\"bytes\":67108864,\"sector-size\":512,"
                                  "\"physical-sector-size\":4096},\"ring\":{\"protocol\":\"x86_64-abi\",\"order\":0,"
                                  "\"slots\":32,\"event-channel\":5,\"req-prod\":7,\"req-cons\":7,"
                                  "\"rsp-prod\":6,\"req-event\":8,\"rsp-event\":7,\"in-flight\":1},\"requests\":{"
                                  "\"read\":{\"count\":4,\"bytes\":1536},"
                                  "\"write\":{\"count\":2,\"bytes\":8192},\"flush\":{\"count\":1,\"bytes\":0}},"
                                  "\"faults\":{\"operation\":5,\"range\":0},\"events\":9,"
                                  "\"notifications\":8,\"worker\":{\"state\":\"served\",\"pid\":42,\"restarts\":1,"
                                  "\"last-death\":\"killed by signal 9\",\"last-recovery-ms\":12,"
                                  "\"replayed\":1},\"last-error\":null}";

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
                                        "  bytes read      1.5K (1536 bytes)\n",
                                        "errors\n  operation               5\n",
                                        "  last death      killed by signal 9\n",
                                        "  recovery (ms)   12\n"};
    char *output = rendered(render_device, device_text);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (strstr(output, lines[i]) == NULL)
            fail_msg("'%s' is not in\n%s", lines[i], output);
    free(output);
}

static void a_device_without_anything_is_no_trouble(void **state)
{
    (void)state;
    char *output = rendered(render_device, "{}");
    assert_non_null(strstr(output, "errors\n  none\n"));
    free(output);
}

static void sizes_have_units(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *shown;
    } sizes[] = {{"{\"disk\":{\"bytes\":0}}", "0B ("},
                 {"{\"disk\":{\"bytes\":1023}}", "1023B ("},
                 {"{\"disk\":{\"bytes\":1024}}", "1K ("},
                 {"{\"disk\":{\"bytes\":1099511627776}}", "1T ("},
                 {"{\"disk\":{\"bytes\":9223372036854775807}}", "7.9E ("}};
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
        cmocka_unit_test(sizes_have_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

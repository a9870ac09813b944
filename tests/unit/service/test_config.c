/* SPDX-License-Identifier: MIT */
/*
 * Configuration: what a file and an option may say, and how what they may not say is refused.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <service/config.h>

struct values {
    char *title;
    char *path;
    uint64_t count;
    uint64_t size;
    bool enabled;
    unsigned level;
};

static const struct config_key keys[] = {
    {.name = "title",
     .type = CONFIG_STRING,
     .offset = offsetof(struct values, title),
     .fallback = "none",
     .help = "a title"},
    {.name = "path",
     .type = CONFIG_PATH,
     .offset = offsetof(struct values, path),
     .fallback = "/tmp",
     .help = "a path"},
    {.name = "count",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct values, count),
     .fallback = "7",
     .min = 1,
     .max = 100,
     .help = "a count"},
    {.name = "size", .type = CONFIG_SIZE, .offset = offsetof(struct values, size), .fallback = "64K", .help = "a size"},
    {.name = "enabled",
     .type = CONFIG_BOOL,
     .offset = offsetof(struct values, enabled),
     .fallback = "yes",
     .help = "a switch"},
    {.name = "level",
     .type = CONFIG_CHOICE,
     .offset = offsetof(struct values, level),
     .fallback = "mid",
     .choices = "low|mid|high",
     .help = "a level"},
};

static const struct config_key other_keys[] = {
    {.name = "other", .type = CONFIG_STRING, .offset = 0, .fallback = "x", .help = "kept nowhere"},
};

struct fixture {
    struct values values;
    struct config_table tables[2];
    struct config_error error;
    char file[32];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture->tables[0] = (struct config_table){"main", keys, sizeof(keys) / sizeof(keys[0]), &fixture->values};
    fixture->tables[1] = (struct config_table){"checked", other_keys, 1, NULL};
    strcpy(fixture->file, "/tmp/test_config.XXXXXX");
    int fd = mkstemp(fixture->file);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(config_set_defaults(fixture->tables, 2, &fixture->error), 0);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    config_fini(fixture->tables, 2);
    unlink(fixture->file);
    free(fixture);
    return 0;
}

static int read_text(struct fixture *fixture, const char *text)
{
    FILE *file = fopen(fixture->file, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return config_read_file(fixture->tables, 2, fixture->file, &fixture->error);
}

static int set(struct fixture *fixture, const char *argument)
{
    return config_set_argument(fixture->tables, 2, argument, &fixture->error);
}

static void refused(struct fixture *fixture, const char *text, unsigned line, const char *reason)
{
    char expected[512];
    assert_int_equal(read_text(fixture, text), -EINVAL);
    snprintf(expected, sizeof(expected), "%s:%u: %s", fixture->file, line, reason);
    assert_string_equal(fixture->error.text, expected);
}

static void defaults_are_set(void **state)
{
    struct fixture *fixture = *state;
    assert_string_equal(fixture->values.title, "none");
    assert_string_equal(fixture->values.path, "/tmp");
    assert_int_equal(fixture->values.count, 7);
    assert_int_equal(fixture->values.size, 65536);
    assert_true(fixture->values.enabled);
    assert_int_equal(fixture->values.level, 1);
}

static void a_file_sets_every_type(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(
        read_text(
            fixture,
            "# comment\n; comment\n\n[main]\ntitle = two words\npath=/a b\n  count =\t100\nsize = 2G\nenabled = no\n"
            "level = high ; why\n[checked]\nother = y\n"),
        0);
    assert_string_equal(fixture->values.title, "two words");
    assert_string_equal(fixture->values.path, "/a b");
    assert_int_equal(fixture->values.count, 100);
    assert_int_equal(fixture->values.size, 2ull << 30);
    assert_false(fixture->values.enabled);
    assert_int_equal(fixture->values.level, 2);
}

static void the_last_of_equal_keys_counts(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(read_text(fixture, "[main]\ntitle = a\ntitle = b\n"), 0);
    assert_string_equal(fixture->values.title, "b");
}

static void an_unknown_key_is_refused_with_its_line(void **state)
{
    refused(*state, "[main]\ntitle = a\ntitel = b\n", 3, "unknown key 'titel' in [main]");
    refused(*state, "[checked]\ntitle = a\n", 2, "unknown key 'title' in [checked]");
    refused(*state, "title = a\n", 1, "title: outside of any [section]");
}

static void an_unknown_section_is_refused_even_when_empty(void **state)
{
    refused(*state, "[main]\n[mian]\n", 2, "unknown section [mian]");
}

static void a_bad_value_is_refused_with_its_line(void **state)
{
    refused(*state, "[main]\ncount = many\n", 2, "count: 'many' is not a number");
    refused(*state, "[main]\ncount = 101\n", 2, "count: 101 is not between 1 and 100");
    refused(*state, "[main]\ncount = -1\n", 2, "count: '-1' is not a number");
    refused(*state, "[main]\ncount = 99999999999999999999\n", 2, "count: '99999999999999999999' is too large");
    refused(*state, "[main]\n\nsize = 1X\n", 3, "size: '1X' is not a size (as 65536, 64K, 16M, 2G)");
    refused(*state, "[main]\nsize = 16777216T\n", 2, "size: '16777216T' is too large");
    refused(*state, "[main]\nenabled = maybe\n", 2, "enabled: 'maybe' is neither yes nor no");
    refused(*state, "[main]\nlevel = hi\n", 2, "level: 'hi' is none of low|mid|high");
    refused(*state, "[main]\npath = relative\n", 2, "path: 'relative' is not an absolute path");
    refused(*state, "[main]\ntitle =\n", 2, "title: empty");
}

static void nonsense_is_refused_with_its_line(void **state)
{
    refused(*state, "[main]\nnonsense\n", 2, "neither a [section] nor KEY = VALUE");
    refused(*state, "[main\n", 1, "neither a [section] nor KEY = VALUE");
}

static void a_line_longer_than_the_buffer_is_refused(void **state)
{
    char text[400] = "[main]\ntitle = ";
    memset(text + strlen(text), 'x', 300);
    refused(*state, text, 2, "line too long");
}

static void the_first_error_is_the_one_told(void **state)
{
    refused(*state, "[main]\ncount = x\nlevel = y\n", 2, "count: 'x' is not a number");
}

static void a_missing_file_is_told(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(config_read_file(fixture->tables, 2, "/nonexistent/file", &fixture->error), -ENOENT);
    assert_string_equal(fixture->error.text, "/nonexistent/file: No such file or directory");
}

static void options_set_keys(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(set(fixture, "--count=9"), 0);
    assert_int_equal(set(fixture, "--title=a=b"), 0);
    assert_int_equal(fixture->values.count, 9);
    assert_string_equal(fixture->values.title, "a=b");
}

static void wrong_options_are_refused(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(set(fixture, "--colour=red"), -EINVAL);
    assert_string_equal(fixture->error.text, "unknown option '--colour=red'");
    assert_int_equal(set(fixture, "--count"), -EINVAL);
    assert_string_equal(fixture->error.text, "--count: needs a value, as --count=7");
    assert_int_equal(set(fixture, "--count=0"), -EINVAL);
    assert_string_equal(fixture->error.text, "--count: 0 is not between 1 and 100");
    assert_int_equal(set(fixture, "--coun=1"), -EINVAL);
    assert_int_equal(fixture->values.count, 7);
}

static void every_key_is_in_the_help(void **state)
{
    struct fixture *fixture = *state;
    char text[4096] = "";
    FILE *stream = fmemopen(text, sizeof(text), "w");
    config_print_help(fixture->tables, 2, stream);
    fclose(stream);
    assert_non_null(strstr(text, "[main]\n"));
    assert_non_null(strstr(text, "  --level=low|mid|high\n      a level (mid)\n"));
    assert_non_null(strstr(text, "  --size=SIZE\n      a size (64K)\n"));
    assert_non_null(strstr(text, "  --enabled=yes|no\n"));
    assert_non_null(strstr(text, "[checked]\n  --other=TEXT\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(defaults_are_set, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_sets_every_type, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_of_equal_keys_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unknown_key_is_refused_with_its_line, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unknown_section_is_refused_even_when_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bad_value_is_refused_with_its_line, setup, teardown),
        cmocka_unit_test_setup_teardown(nonsense_is_refused_with_its_line, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_longer_than_the_buffer_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_error_is_the_one_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_file_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(options_set_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_options_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(every_key_is_in_the_help, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

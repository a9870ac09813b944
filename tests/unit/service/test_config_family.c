/* SPDX-License-Identifier: MIT */
/*
 * Sections of which a file may have any number, and those of other daemons.
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
    char *color;
    uint64_t count;
};

static const char *check_color(const char *text)
{
    return strcmp(text, "mauve") == 0 ? "no such color" : NULL;
}

static const struct config_key keys[] = {
    {.name = "color",
     .type = CONFIG_STRING,
     .offset = offsetof(struct values, color),
     .fallback = "none",
     .check = check_color,
     .help = "a color"},
    {.name = "count",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct values, count),
     .fallback = "7",
     .max = 100,
     .help = "a count"},
};

static const struct config_table tables[] = {{.section = "foreign"}, {.section = "herd *"}};

static bool name_is_valid(const char *name)
{
    return name[0] != '\0' && strchr(name, '/') == NULL;
}

static struct config_family family = {
    .kind = "thing", .keys = keys, .key_count = 2, .max = 3, .name_is_valid = name_is_valid};
static struct config_error error;

static int read_text(const char *text)
{
    char path[] = "/tmp/test_config_family.XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    config_family_fini(&family);
    int result = config_read_file_with(tables, 2, &family, path, &error);
    unlink(path);
    return result;
}

static const struct values *values(unsigned index)
{
    return family.tables[index].values;
}

static void each_has_its_own(void **state)
{
    (void)state;
    assert_int_equal(read_text("[thing one]\ncolor = red\n[thing two]\n[thing one]\ncount = 3\n"), 0);
    assert_int_equal(family.count, 2);
    assert_string_equal(config_family_name(&family, 0), "one");
    assert_string_equal(values(0)->color, "red");
    assert_int_equal(values(0)->count, 3);
    assert_string_equal(config_family_name(&family, 1), "two");
    assert_string_equal(values(1)->color, "none");
    assert_int_equal(values(1)->count, 7);
}

static void refuse(const char *text, const char *reason)
{
    assert_int_equal(read_text(text), -EINVAL);
    assert_non_null(strstr(error.text, reason));
}

static void what_is_wrong_is_told(void **state)
{
    (void)state;
    refuse("[thing one]\ncolor = mauve\n", ":2: color: 'mauve': no such color");
    refuse("[thing one]\ncount = 101\n", ":2: count: 101 is not between 0 and 100");
    refuse("[thing one]\nsize = 1\n", ":2: unknown key 'size' in [thing one]");
    refuse("[thing]\n", ":1: [thing ]: not a name");
    refuse("[thing a/b]\n", ":1: [thing a/b]: not a name");
    refuse("[things]\n", ":1: unknown section [things]");
    refuse("[thing a]\n[thing b]\n[thing c]\n[thing d]\n", ":4: [thing d]: one section too many of this kind");
}

static void what_is_others_is_not_judged(void **state)
{
    (void)state;
    assert_int_equal(read_text("[foreign]\nwhatever = 1\n[herd a]\nanything = 2\n[thing x]\ncount = 1\n"), 0);
    assert_int_equal(values(0)->count, 1);
    refuse("[herd]\n", ":1: unknown section [herd]");
    refuse("[foreigner]\n", ":1: unknown section [foreigner]");
}

static int teardown(void **state)
{
    (void)state;
    config_family_fini(&family);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_its_own),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(what_is_others_is_not_judged),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}

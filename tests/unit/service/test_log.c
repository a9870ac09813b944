/* SPDX-License-Identifier: MIT */
/*
 * The log: what a line looks like, and that a source cannot write without bound.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <service/log.h>

static char file[] = "/tmp/test_log.XXXXXX";
static int saved_stderr;

/* Standard error goes to a file while a test runs. */
static int setup(void **state)
{
    (void)state;
    strcpy(file + strlen(file) - 6, "XXXXXX");
    int fd = mkstemp(file);
    if (fd < 0)
        return -1;
    saved_stderr = dup(STDERR_FILENO);
    dup2(fd, STDERR_FILENO);
    close(fd);
    unsetenv("JOURNAL_STREAM");
    log_init(LOG_LEVEL_INFO);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    unlink(file);
    return 0;
}

static const char *written(void)
{
    static char text[16384];
    int fd = open(file, O_RDONLY);
    ssize_t length = read(fd, text, sizeof(text) - 1);
    close(fd);
    assert_true(length >= 0);
    text[length] = '\0';
    return text;
}

static unsigned lines(const char *text)
{
    unsigned count = 0;
    while ((text = strchr(text, '\n')) != NULL) {
        count++;
        text++;
    }
    return count;
}

static void the_source_is_in_front(void **state)
{
    (void)state;
    struct log_source source;
    log_source_init(&source, "vbd %u/%u", 3, 51712);
    log_warning(&source, "bad request %d", 7);
    log_info(NULL, "serves");
    assert_string_equal(written(), "vbd 3/51712: bad request 7\nserves\n");
}

static void lower_levels_are_left_out(void **state)
{
    (void)state;
    log_debug(NULL, "not yet");
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug(NULL, "now");
    log_set_level(LOG_LEVEL_ERROR);
    log_warning(NULL, "no more");
    assert_string_equal(written(), "now\n");
}

static void the_journal_gets_priorities(void **state)
{
    (void)state;
    struct stat status;
    char stream[64];
    assert_int_equal(fstat(STDERR_FILENO, &status), 0);
    snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_init(LOG_LEVEL_DEBUG);
    log_error(NULL, "a");
    log_warning(NULL, "b");
    log_info(NULL, "c");
    log_debug(NULL, "d");
    assert_string_equal(written(), "<3>a\n<4>b\n<6>c\n<7>d\n");
}

static void another_stream_is_not_the_journal(void **state)
{
    (void)state;
    setenv("JOURNAL_STREAM", "1:1", 1);
    log_init(LOG_LEVEL_INFO);
    log_error(NULL, "plain");
    assert_string_equal(written(), "plain\n");
}

static void a_guests_string_cannot_forge_a_line(void **state)
{
    (void)state;
    log_warning(NULL, "key '%s'", "x\n<3>xenstored: dead\x1b[2J\xff");
    assert_string_equal(written(), "key 'x\\x0a<3>xenstored: dead\\x1b[2J\\xff'\n");
}

static void a_long_message_is_cut(void **state)
{
    (void)state;
    char text[3 * LOG_LINE_MAX];
    memset(text, '\n', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    log_error(NULL, "%s", text);
    assert_int_equal(lines(written()), 1);
    assert_int_equal(strlen(written()), 4 * (LOG_LINE_MAX - 1) + 1);
}

static void a_source_may_only_write_so_much(void **state)
{
    (void)state;
    struct log_source noisy;
    struct log_source quiet;
    log_source_init(&noisy, "noisy");
    log_source_init(&quiet, "quiet");
    for (unsigned i = 0; i < 1000; i++)
        log_warning(&noisy, "again");
    log_warning(&quiet, "once");
    assert_int_equal(lines(written()), LOG_BURST + 1);
    assert_non_null(strstr(written(), "quiet: once\n"));

    /* Time goes by. */
    noisy.refilled -= LOG_REFILL_SECONDS;
    log_warning(&noisy, "later");
    log_warning(&noisy, "too much");
    assert_non_null(strstr(written(), "noisy: 980 messages left out\nnoisy: later\n"));
    assert_null(strstr(written(), "too much"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_source_is_in_front, setup, teardown),
        cmocka_unit_test_setup_teardown(lower_levels_are_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(the_journal_gets_priorities, setup, teardown),
        cmocka_unit_test_setup_teardown(another_stream_is_not_the_journal, setup, teardown),
        cmocka_unit_test_setup_teardown(a_guests_string_cannot_forge_a_line, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_message_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(a_source_may_only_write_so_much, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

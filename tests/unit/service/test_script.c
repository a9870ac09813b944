/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a hotplug script. Built with a limit of one second.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hotplug.h"

static char directory[] = "/tmp/test_script.XXXXXX";
static char script[64], trace[64];
static char said[HOTPLUG_SAID_SIZE];

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(script, sizeof(script), "%s/script", directory);
    snprintf(trace, sizeof(trace), "%s/trace", directory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(script);
    unlink(trace);
    return rmdir(directory);
}

/* Runs a script of this text, which may write to "$(dirname $0)/trace". */
static int run(const char *text)
{
    FILE *file = fopen(script, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", text);
    fclose(file);
    assert_int_equal(chmod(script, 0700), 0);
    said[0] = '\0';
    return hotplug_run(script, "online", "vif", 3, 4, true, said);
}

static void its_end_is_told(void **state)
{
    (void)state;
    assert_int_equal(run("exit 0"), 0);
    assert_int_equal(run("exit 7"), -EIO);
    assert_string_equal(said, "exited with status 7");
    assert_int_equal(run("kill -TERM $$"), -EIO);
    assert_string_equal(said, "was killed by signal 15");
    assert_int_equal(run("[ \"$*\" = 'online type_if=vif' ]"), 0);
    assert_int_equal(run("[ $XENBUS_PATH = backend/vif/3/4 ] && [ $vif = vif3.4 ]"), 0);
}

static void what_cannot_be_run_is_told(void **state)
{
    (void)state;
    assert_int_equal(hotplug_run("/nonexistent", "online", "vif", 3, 4, true, said), -ENOENT);
    assert_string_equal(said, "cannot be run: No such file or directory");
}

/* It, and what it started. */
static void one_that_hangs_is_ended(void **state)
{
    long started = 0;
    (void)state;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_int_equal(run("sleep 20 & echo $! >${0%/*}/trace; wait"), -ETIMEDOUT);
    assert_string_equal(said, "was not done within 1 s");
    FILE *file = fopen(trace, "r");
    assert_non_null(file);
    char line[32];
    assert_non_null(fgets(line, sizeof(line), file));
    fclose(file);
    started = strtol(line, NULL, 10);
    int status = 0;
    assert_int_equal(waitpid((pid_t)started, &status, 0), started);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_end_is_told),
        cmocka_unit_test(what_cannot_be_run_is_told),
        cmocka_unit_test(one_that_hangs_is_ended),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

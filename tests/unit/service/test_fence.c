/* SPDX-License-Identifier: MIT */
/*
 * The fence: it is passed when nobody holds its write end, and not before.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <liburing.h>

#include <supervise/fence.h>
#include <supervise/rundir.h>

static const struct timeval forever = {.tv_sec = 30};

static char path[64];
static int dir;
static struct event_base *base;
static struct fence *fence;
static bool passed;

static int setup(void **state)
{
    (void)state;
    strcpy(path, "/tmp/test_fence.XXXXXX");
    if (mkdtemp(path) == NULL)
        return -1;
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    base = event_base_new();
    passed = false;
    return fence_open(base, dir, "fence", &fence);
}

static int teardown(void **state)
{
    (void)state;
    fence_close(fence);
    event_base_free(base);
    close(dir);
    return rundir_remove(AT_FDCWD, path);
}

static void on_passed(void *arg)
{
    *(bool *)arg = true;
    event_base_loopbreak(base);
}

static void look(void)
{
    for (int i = 0; i < 20 && !passed; i++) {
        event_base_loop(base, EVLOOP_NONBLOCK);
        usleep(1000);
    }
}

/* Runs the loop until the fence is passed. */
static void wait_passed(void)
{
    event_base_loopexit(base, &forever);
    while (!passed && event_base_loop(base, EVLOOP_ONCE) == 0 && !event_base_got_exit(base))
        ;
    assert_true(passed);
}

static void passed_at_once_without_a_writer(void **state)
{
    (void)state;
    assert_int_equal(fence_wait(fence, on_passed, &passed), 0);
    assert_false(passed); /* never from within */
    wait_passed();
}

static void waits_for_the_last_copy(void **state)
{
    int writer = fence_writer(fence);
    int copy = dup(writer);

    (void)state;
    assert_true(writer >= 0);
    assert_int_equal(fence_wait(fence, on_passed, &passed), 0);
    look();
    close(writer);
    look();
    assert_false(passed);
    close(copy);
    wait_passed();

    /* And again for the next worker. */
    passed = false;
    writer = fence_writer(fence);
    assert_int_equal(fence_wait(fence, on_passed, &passed), 0);
    look();
    assert_false(passed);
    close(writer);
    wait_passed();
}

static void what_is_written_does_not_pass_it(void **state)
{
    char junk[30000];
    int writer = fence_writer(fence);

    (void)state;
    memset(junk, 'j', sizeof(junk));
    assert_int_equal(write(writer, junk, sizeof(junk)), sizeof(junk));
    assert_int_equal(fence_wait(fence, on_passed, &passed), 0);
    look();
    assert_false(passed);
    close(writer);
    wait_passed();
}

static void holds_for_a_supervisor_that_was_restarted(void **state)
{
    int writer = fence_writer(fence);

    (void)state;
    fence_close(fence);
    assert_int_equal(fence_open(base, dir, "fence", &fence), 0);
    assert_int_equal(fence_wait(fence, on_passed, &passed), 0);
    look();
    assert_false(passed);
    close(writer);
    wait_passed();
}

static void passed_when_the_writer_is_killed(void **state)
{
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        if (fence_writer(fence) < 0)
            _exit(1);
        kill(getpid(), SIGSTOP);
        _exit(0);
    }
    waitpid(child, NULL, WUNTRACED);
    assert_int_equal(fence_wait(fence, on_passed, &passed), 0);
    look();
    assert_false(passed);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    wait_passed();
}

/* A ring that holds the write end keeps the fence up after every descriptor was closed. */
static void waits_for_an_io_uring(void **state)
{
    struct io_uring ring;
    int writer = fence_writer(fence);

    (void)state;
    if (io_uring_queue_init(4, &ring, 0) < 0) {
        close(writer);
        skip();
    }
    assert_int_equal(io_uring_register_files(&ring, &writer, 1), 0);
    close(writer);
    assert_int_equal(fence_wait(fence, on_passed, &passed), 0);
    look();
    assert_false(passed);
    io_uring_queue_exit(&ring);
    wait_passed();
}

static void another_kind_of_file_is_refused(void **state)
{
    struct fence *other = NULL;

    (void)state;
    assert_int_equal(rundir_write(dir, "file", "x", 1), 0);
    assert_int_equal(fence_open(base, dir, "file", &other), -EINVAL);
    assert_int_equal(symlinkat("fence", dir, "link"), 0);
    assert_int_equal(fence_open(base, dir, "link", &other), -ELOOP);
    assert_null(other);
}

static void closing_ends_a_wait(void **state)
{
    (void)state;
    assert_int_equal(fence_wait(fence, on_passed, &passed), 0);
    fence_close(fence);
    fence = NULL;
    look();
    assert_false(passed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(passed_at_once_without_a_writer, setup, teardown),
        cmocka_unit_test_setup_teardown(waits_for_the_last_copy, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_written_does_not_pass_it, setup, teardown),
        cmocka_unit_test_setup_teardown(holds_for_a_supervisor_that_was_restarted, setup, teardown),
        cmocka_unit_test_setup_teardown(passed_when_the_writer_is_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(waits_for_an_io_uring, setup, teardown),
        cmocka_unit_test_setup_teardown(another_kind_of_file_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(closing_ends_a_wait, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

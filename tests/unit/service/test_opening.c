/* SPDX-License-Identifier: MIT */
/*
 * Errands, and images opened by them: a kind of disk of our own, whose files take until we say so.
 */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include <blkback/opening.h>
#include <kind.h>

/* What the slow kind waits for, and what it then gives: the write end of a pipe, which tells when its last copy is closed. */
static sem_t go;
static int image[2];

static int slow_open(const struct disk_source *source, bool read_only, struct disk_error *ret_error)
{
    while (sem_wait(&go) < 0)
        continue;
    if (read_only)
        return disk_refuse(ret_error, -EROFS, "%s is slow and to be written", source->path);
    int fd = fcntl(image[1], F_DUPFD_CLOEXEC, 0);
    close(image[1]);
    return fd;
}

static const struct disk_kind slow_kind = {.name = "slow", .source_open = slow_open};
static const struct disk_source source = {.kind = &slow_kind, .path = "/slow"};

struct fixture {
    struct event_base *base;
    struct errand *errand;
    unsigned calls;
    int result, fd;
    struct disk_error error;
};

static void done(void *arg, int result, int fd, const struct disk_error *error)
{
    struct fixture *fixture = arg;

    fixture->calls++;
    fixture->result = result;
    fixture->fd = fd;
    fixture->error = *error;
    fixture->errand = NULL;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    fixture->base = event_base_new();
    fixture->fd = -1;
    assert_int_equal(sem_init(&go, 0, 0), 0);
    assert_int_equal(pipe2(image, O_CLOEXEC), 0);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    close(image[0]);
    event_base_free(fixture->base);
    free(fixture);
    return 0;
}

/* Starts an opening and sees that the loop does not wait for it. */
static void start(struct fixture *fixture, bool read_only)
{
    assert_int_equal(opening_start(fixture->base, &source, read_only, done, fixture, &fixture->errand), 0);
    event_base_loop(fixture->base, EVLOOP_NONBLOCK);
    assert_int_equal(fixture->calls, 0);
}

static void let_go(void)
{
    assert_int_equal(sem_post(&go), 0);
}

/* Waits until nobody has the image open any more. */
static void expect_image_closed(void)
{
    char byte;

    assert_int_equal(read(image[0], &byte, 1), 0);
}

static void the_loop_goes_on_until_it_is_open(void **state)
{
    struct fixture *fixture = *state;
    char byte;

    start(fixture, false);
    let_go();
    event_base_dispatch(fixture->base);
    assert_int_equal(fixture->calls, 1);
    assert_int_equal(fixture->result, 0);
    assert_true(fixture->fd >= 0);
    assert_int_equal(fcntl(fixture->fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(fixture->fd, "x", 1), 1);
    assert_int_equal(read(image[0], &byte, 1), 1);
    close(fixture->fd);
    expect_image_closed();
}

static void a_failure_tells_its_reason(void **state)
{
    struct fixture *fixture = *state;

    start(fixture, true);
    let_go();
    event_base_dispatch(fixture->base);
    assert_int_equal(fixture->calls, 1);
    assert_int_equal(fixture->result, -EROFS);
    assert_int_equal(fixture->fd, -1);
    assert_string_equal(fixture->error.text, "/slow is slow and to be written");
    close(image[1]);
}

static void what_nobody_wants_any_more_is_closed(void **state)
{
    struct fixture *fixture = *state;

    start(fixture, false);
    errand_cancel(fixture->errand);
    let_go();
    expect_image_closed();
    event_base_dispatch(fixture->base); /* nothing is left on it */
    assert_int_equal(fixture->calls, 0);
}

/* ---- What is not only opened. ------------------------------------------------------------------------------------------------ */

static int slow_run(void *job, int *ret_fd, struct disk_error *ret_error)
{
    (void)job;
    (void)ret_fd;
    (void)ret_error;
    while (sem_wait(&go) < 0)
        continue;
    return 0;
}

static void tell_undone(void *job)
{
    assert_int_equal(write(*(int *)job, "u", 1), 1);
}

static void tell_freed(void *job)
{
    assert_int_equal(write(*(int *)job, "f", 1), 1);
    free(job);
}

static const struct errand_work slow_work = {.run = slow_run, .undo = tell_undone, .free = tell_freed};

static void start_work(struct fixture *fixture)
{
    int *job = malloc(sizeof(*job));

    assert_non_null(job);
    *job = image[1];
    assert_int_equal(errand_start(fixture->base, &slow_work, job, done, fixture, &fixture->errand), 0);
}

static void what_is_wanted_is_not_undone(void **state)
{
    struct fixture *fixture = *state;
    char byte;

    start_work(fixture);
    let_go();
    event_base_dispatch(fixture->base);
    assert_int_equal(fixture->calls, 1);
    assert_int_equal(fixture->result, 0);
    assert_int_equal(fixture->fd, -1);
    assert_int_equal(read(image[0], &byte, 1), 1);
    assert_int_equal(byte, 'f');
    close(image[1]);
}

static void what_nobody_wants_any_more_is_undone(void **state)
{
    struct fixture *fixture = *state;
    char byte;

    start_work(fixture);
    errand_cancel(fixture->errand);
    let_go();
    assert_int_equal(read(image[0], &byte, 1), 1);
    assert_int_equal(byte, 'u');
    assert_int_equal(read(image[0], &byte, 1), 1);
    assert_int_equal(byte, 'f');
    assert_int_equal(fixture->calls, 0);
    close(image[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_loop_goes_on_until_it_is_open, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failure_tells_its_reason, setup, teardown),
        cmocka_unit_test_setup_teardown(what_nobody_wants_any_more_is_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_wanted_is_not_undone, setup, teardown),
        cmocka_unit_test_setup_teardown(what_nobody_wants_any_more_is_undone, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

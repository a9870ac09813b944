/* SPDX-License-Identifier: MIT */
/*
 * Queues that share a disk: each gets what it gave, and is told of it, whoever asked the disk.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "blkback/worker/drive.h"

/* ---- The disk: what was submitted is done when it is told to be. ------------------------------------------------------------ */

#define IOS 100u

static struct {
    int pipe[2]; /* readable while something is done; -1: it has no descriptor */
    struct disk_io *submitted[IOS];
    unsigned count;
    unsigned done; /* of those, from the first on */
    unsigned reaped;
} the_disk;

int disk_fd(const struct disk *disk)
{
    (void)disk;
    return the_disk.pipe[0];
}

void disk_submit(struct disk *disk, struct disk_io *const *ios, unsigned count)
{
    (void)disk;
    for (unsigned i = 0; i < count; i++)
        the_disk.submitted[the_disk.count++] = ios[i];
}

unsigned disk_reap(struct disk *disk, struct disk_io **ret_ios, unsigned max)
{
    unsigned count = 0;
    char byte;

    (void)disk;
    while (count < max && the_disk.reaped < the_disk.done)
        ret_ios[count++] = the_disk.submitted[the_disk.reaped++];
    if (the_disk.reaped == the_disk.done)
        while (read(the_disk.pipe[0], &byte, 1) == 1)
            ;
    return count;
}

static void finish(unsigned count)
{
    the_disk.done += count;
    assert_true(the_disk.done <= the_disk.count);
    assert_int_equal(write(the_disk.pipe[1], "", 1), 1);
}

/* ---- The queues. ------------------------------------------------------------------------------------------------------------ */

struct queue {
    struct drive_user user;
    struct drive_io ios[IOS];
    unsigned readied, woken;
};

static struct event_base *base;
static struct drive drive;
static struct queue queues[3];

static void on_ready(void *arg)
{
    ((struct queue *)arg)->readied++;
}

static void on_wake(void *arg)
{
    ((struct queue *)arg)->woken++;
}

static int setup(void **state)
{
    (void)state;
    memset(&the_disk, 0, sizeof(the_disk));
    memset(queues, 0, sizeof(queues));
    assert_int_equal(pipe2(the_disk.pipe, O_NONBLOCK | O_CLOEXEC), 0);
    base = event_base_new();
    assert_int_equal(drive_init(&drive, base, NULL), 0);
    for (unsigned i = 0; i < 3; i++) {
        queues[i].user = (struct drive_user){.ready = on_ready, .wake = on_wake, .arg = &queues[i]};
        drive_join(&drive, &queues[i].user);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    drive_stop(&drive);
    drive_stop(&drive);
    for (unsigned i = 0; i < 3; i++)
        drive_leave(&queues[i].user);
    drive_leave(&queues[0].user);
    event_base_free(base);
    close(the_disk.pipe[0]);
    close(the_disk.pipe[1]);
    return 0;
}

static void submit(unsigned queue, unsigned from, unsigned count)
{
    struct disk_io *ios[IOS];

    for (unsigned i = 0; i < count; i++)
        ios[i] = &queues[queue].ios[from + i].io;
    drive_submit(&queues[queue].user, ios, count);
}

static void reap(unsigned queue, unsigned max, unsigned from, unsigned count)
{
    struct disk_io *ios[IOS];

    assert_int_equal(drive_reap(&queues[queue].user, ios, max), count);
    for (unsigned i = 0; i < count; i++)
        assert_ptr_equal(ios[i], &queues[queue].ios[from + i].io);
}

/* ---- Tests. ----------------------------------------------------------------------------------------------------------------- */

static void each_gets_its_own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        submit(0, i, 1);
        submit(1, i, 1);
    }
    finish(20);
    reap(0, 16, 0, 10);
    assert_int_equal(queues[0].woken, 0);
    assert_int_equal(queues[1].woken, 1); /* once for all of them */
    assert_int_equal(queues[2].woken, 0);
    reap(2, 16, 0, 0);
    reap(1, 4, 0, 4);
    reap(1, 16, 4, 6);
    reap(1, 16, 10, 0);
    assert_int_equal(queues[0].woken + queues[2].woken, 0);
    submit(1, 10, 1);
    finish(1);
    reap(0, 16, 10, 0);
    assert_int_equal(queues[1].woken, 2); /* it had been emptied */
}

static void many_are_fetched_at_once(void **state)
{
    (void)state;
    submit(1, 0, 60);
    submit(0, 0, 40);
    finish(100);
    reap(0, 40, 0, 40);
    assert_int_equal(the_disk.reaped, 100);
    reap(1, 60, 0, 60);
}

static void the_loop_tells_those_it_concerns(void **state)
{
    (void)state;
    submit(0, 0, 2);
    submit(2, 0, 1);
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_int_equal(queues[0].readied + queues[1].readied + queues[2].readied, 0);
    finish(3);
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_true(queues[0].readied == 1 && queues[1].readied == 0 && queues[2].readied == 1);
    assert_int_equal(queues[0].woken + queues[1].woken + queues[2].woken, 0);
    reap(0, 16, 0, 2);
    reap(2, 16, 0, 1);
    drive_stop(&drive);
    submit(0, 2, 1);
    finish(1);
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_int_equal(queues[0].readied, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_gets_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(many_are_fetched_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(the_loop_tells_those_it_concerns, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

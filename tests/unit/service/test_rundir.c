/* SPDX-License-Identifier: MIT */
/*
 * Run directories: names, whole files, and the record of a worker, which must never name another process.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <supervise/rundir.h>

static char path[64];
static int dir;

static int setup(void **state)
{
    char nested[96];

    (void)state;
    strcpy(path, "/tmp/test_rundir.XXXXXX");
    if (mkdtemp(path) == NULL)
        return -1;
    snprintf(nested, sizeof(nested), "%s/run/blkback", path);
    dir = rundir_open(nested);
    return dir < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    close(dir);
    return rundir_remove(AT_FDCWD, path);
}

static void guest_names_are_read_back(void **state)
{
    char name[RUNDIR_NAME_SIZE];
    const char *identity;
    uint32_t domid;

    (void)state;
    assert_int_equal(rundir_guest_name(4294967295u, "ab-12.7", name), 0);
    assert_string_equal(name, "4294967295-ab-12.7");
    assert_int_equal(rundir_guest_parse(name, &domid, &identity), 0);
    assert_int_equal(domid, 4294967295u);
    assert_string_equal(identity, "ab-12.7");
}

static void names_nobody_here_makes_are_refused(void **state)
{
    static const char *const names[] = {
        "",    "7",    "-x",   "07-x", "7-", "7-a/b", "4294967296-x", "7-a b", "99999999999999999999-x",
        "x-7", " 7-x", "+7-x", "7-a\n"};
    static const char *const devices[] = {"", "x", "07", "7x", "-7", " 7", "4294967296", "worker"};
    char name[RUNDIR_NAME_SIZE] = "untouched";
    char long_identity[RUNDIR_NAME_SIZE];
    const char *identity;
    uint32_t number;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(rundir_guest_parse(names[i], &number, &identity), -EINVAL);
    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
        assert_int_equal(rundir_device_parse(devices[i], &number), -EINVAL);
    assert_int_equal(rundir_device_parse("51712", &number), 0);
    assert_int_equal(number, 51712);

    memset(long_identity, 'a', sizeof(long_identity) - 1);
    long_identity[sizeof(long_identity) - 1] = '\0';
    assert_int_equal(rundir_guest_name(1, long_identity, name), -ENAMETOOLONG);
    assert_int_equal(rundir_guest_name(1, "../x", name), -EINVAL);
    assert_int_equal(rundir_guest_name(1, "", name), -EINVAL);
    assert_string_equal(name, "untouched");
}

static void files_are_replaced_as_a_whole(void **state)
{
    char content[8] = "";
    int old;

    (void)state;
    assert_int_equal(rundir_write(dir, "connection", "first..", 8), 0);
    old = openat(dir, "connection", O_RDONLY);
    assert_int_equal(rundir_write(dir, "connection", "second.", 8), 0);
    assert_int_equal(rundir_read(dir, "connection", content, sizeof(content)), 0);
    assert_string_equal(content, "second.");
    /* Whoever has the former one open sees it unchanged. */
    assert_int_equal(read(old, content, sizeof(content)), 8);
    assert_string_equal(content, "first..");
    close(old);
}

static void files_of_another_size_are_refused(void **state)
{
    char content[8] = "kept";

    (void)state;
    assert_int_equal(rundir_write(dir, "connection", "short", 5), 0);
    assert_int_equal(rundir_read(dir, "connection", content, sizeof(content)), -EBADMSG);
    assert_int_equal(rundir_file(dir, "connection", 6), -EBADMSG);
    assert_int_equal(rundir_read(dir, "missing", content, sizeof(content)), -ENOENT);
    assert_string_equal(content, "kept");
}

static void new_files_are_zero_and_another_inode(void **state)
{
    char bytes[4096];
    struct stat first, second;
    int fd = rundir_create(dir, "journal", sizeof(bytes));
    int again;

    (void)state;
    assert_true(fd >= 0);
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(pwrite(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
    again = rundir_create(dir, "journal", sizeof(bytes));
    assert_true(again >= 0);
    assert_int_equal(pread(again, bytes, sizeof(bytes), 0), sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        assert_int_equal(bytes[i], 0);
    fstat(fd, &first);
    fstat(again, &second);
    assert_int_not_equal(first.st_ino, second.st_ino);
    close(fd);
    close(again);
}

static void links_are_not_followed(void **state)
{
    char byte;

    (void)state;
    assert_int_equal(rundir_write(dir, "file", "x", 1), 0);
    assert_int_equal(symlinkat("file", dir, "link"), 0);
    assert_int_equal(symlinkat("/tmp", dir, "7-x"), 0);
    assert_int_equal(rundir_read(dir, "link", &byte, 1), -ELOOP);
    assert_true(rundir_enter(dir, "7-x") < 0);
    assert_int_equal(rundir_remove(dir, "7-x"), 0);
    assert_int_equal(access("/tmp", F_OK), 0);
}

static int count_found(void *arg, int in, const char *name)
{
    (void)in;
    (void)name;
    ++*(unsigned *)arg;
    return 0;
}

static void trees_are_removed(void **state)
{
    int guest = rundir_enter(dir, "7-x");
    int device = rundir_enter(guest, "51712");
    unsigned left = 0;

    (void)state;
    assert_int_equal(rundir_write(device, "connection", "x", 1), 0);
    assert_int_equal(mkfifoat(guest, "fence", 0600), 0);
    close(device);
    close(guest);
    assert_int_equal(rundir_remove(dir, "7-x"), 0);
    assert_int_equal(rundir_each(dir, count_found, &left), 0);
    assert_int_equal(left, 0);
    assert_int_equal(rundir_remove(dir, "7-x"), 0);
}

static void recorded_worker_is_found(void **state)
{
    pid_t child = fork();
    pid_t found = 0;
    siginfo_t info;
    int pidfd;

    (void)state;
    if (child == 0) {
        pause();
        _exit(0);
    }
    assert_int_equal(rundir_worker_write(dir, child), 0);
    pidfd = rundir_worker_open(dir, &found);
    assert_true(pidfd >= 0);
    assert_int_equal(found, child);
    close(pidfd);
    kill(child, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(rundir_worker_open(dir, &found), -ESRCH); /* it has ended, and waits for whoever reaps it */
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(rundir_worker_open(dir, &found), -ESRCH);
}

/* A process of the recorded number that started at another time is another one. */
static void process_that_reuses_the_number_is_not_the_worker(void **state)
{
    char text[64];
    pid_t pid;
    int length = snprintf(text, sizeof(text), "%d 1\n", getpid());

    (void)state;
    assert_int_equal(rundir_worker_write(dir, getpid()), 0);
    int pidfd = rundir_worker_open(dir, &pid);
    assert_true(pidfd >= 0);
    close(pidfd);
    assert_int_equal(rundir_write(dir, "worker", text, (size_t)length), 0);
    assert_int_equal(rundir_worker_open(dir, &pid), -ESRCH);
}

static void useless_records_are_refused(void **state)
{
    pid_t pid;

    (void)state;
    assert_int_equal(rundir_worker_open(dir, &pid), -ENOENT);
    assert_int_equal(rundir_write(dir, "worker", "", 0), 0);
    assert_int_equal(rundir_worker_open(dir, &pid), -ESRCH);
    assert_int_equal(rundir_write(dir, "worker", "what?\n", 6), 0);
    assert_int_equal(rundir_worker_open(dir, &pid), -EBADMSG);
    assert_int_equal(rundir_write(dir, "worker", "-1 5\n", 5), 0);
    assert_int_equal(rundir_worker_open(dir, &pid), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guest_names_are_read_back),
        cmocka_unit_test(names_nobody_here_makes_are_refused),
        cmocka_unit_test_setup_teardown(files_are_replaced_as_a_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(files_of_another_size_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(new_files_are_zero_and_another_inode, setup, teardown),
        cmocka_unit_test_setup_teardown(links_are_not_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(trees_are_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(recorded_worker_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(process_that_reuses_the_number_is_not_the_worker, setup, teardown),
        cmocka_unit_test_setup_teardown(useless_records_are_refused, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

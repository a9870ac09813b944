/* SPDX-License-Identifier: MIT */
/*
 * The nbd kind against servers: nbdkit and qemu-nbd, which are as they should be, and tests/lib/nbdserver.py, which is not. Each has a socket of
 * its own in the test's folder and ends with the test.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"

#define SIZE (8u << 20)

extern char **environ;

static pid_t server;

/* ---- Servers. -------------------------------------------------------------------------------------------------------------- */

static void stop(int signal_number)
{
    if (server <= 0)
        return;
    kill(server, signal_number);
    waitpid(server, NULL, 0);
    server = 0;
}

static int teardown(void **state)
{
    (void)state;
    stop(SIGKILL);
    return 0;
}

static char *uri(void)
{
    static char text[300];
    snprintf(text, sizeof text, "nbd:nbd+unix:///?socket=%s", rig_path("socket"));
    return text;
}

/* Until somebody listens. */
static void await_server(void)
{
    struct disk_source source;
    struct disk_error error;
    assert_int_equal(disk_source_parse(uri(), &source, &error), 0);
    for (int i = 0; i < 1000; i++) {
        int fd = disk_source_open(&source, false, &error);
        if (fd >= 0) {
            close(fd);
            return;
        }
        poll(NULL, 0, 20);
    }
    fail_msg("no server: %s", error.text);
}

/* Starts a server by a shell command. */
static void start(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void start(const char *format, ...)
{
    char command[1024] = "exec ";
    char *argv[] = {"sh", "-c", command, NULL};
    va_list args;
    va_start(args, format);
    vsnprintf(command + 5, sizeof command - 5, format, args);
    va_end(args);
    unlink(rig_path("socket"));
    assert_int_equal(posix_spawnp(&server, "sh", NULL, NULL, argv, environ), 0);
    await_server();
}

static void make_image(uint64_t size)
{
    unlink(rig_path("image"));
    int fd = open(rig_path("image"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    close(fd);
}

static void start_nbdkit(const char *options)
{
    start("nbdkit -f -U %s %s", rig_path("socket"), options);
}

static void start_nbdkit_file(const char *filters, const char *options)
{
    start("nbdkit -f -U %s %s file %s %s 2>/dev/null", rig_path("socket"), filters, rig_path("image"), options);
}

static void start_bad(const char *how)
{
    make_image(SIZE);
    start("%s/nbdserver.py %s %s %s", TEST_LIB, rig_path("socket"), rig_path("image"), how);
}

/* ---- Disks. ---------------------------------------------------------------------------------------------------------------- */

static int dial(void)
{
    struct disk_source source;
    struct disk_error error;
    assert_int_equal(disk_source_parse(uri(), &source, &error), 0);
    int fd = disk_source_open(&source, false, &error);
    if (fd < 0)
        fail_msg("%s", error.text);
    return fd;
}

/* A disk that is known beforehand, and has no connection yet. */
static struct disk *open_known(uint64_t size, unsigned patience_s)
{
    struct disk_export server_says = {
        .size = size, .physical_sector_size = 4096, .discard_granularity = 4096, .patience_s = patience_s};
    struct disk_params params = {
        .kind = disk_kind_find("nbd"), .fd = -1, .server = &server_says, .fence_fd = -1, .depth = RIG_DEPTH};
    struct disk *disk;
    struct disk_error error;
    assert_int_equal(disk_open(&params, &disk, &error), 0);
    return disk;
}

static void wait_readable(struct disk *disk)
{
    struct pollfd ready = {.fd = disk_fd(disk), .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 30000), 1);
}

/* Lets the disk work until it wants a connection. */
static void await_want(struct disk *disk, struct disk_error *ret_why)
{
    struct disk_io *none;
    while (!disk_wants_connection(disk, ret_why)) {
        wait_readable(disk);
        assert_int_equal(disk_reap(disk, &none, 1), 0);
    }
}

struct request {
    struct disk_io io;
    struct iovec iov;
};

static void submit(struct disk *disk, struct request *request, enum disk_op op, uint64_t offset, void *buffer,
                   size_t length)
{
    struct disk_io *list = &request->io;
    request->iov = (struct iovec){.iov_base = buffer, .iov_len = length};
    request->io = (struct disk_io){.op = op, .offset = offset, .iov = &request->iov, .iov_count = op != DISK_FLUSH};
    disk_submit(disk, &list, 1);
}

/* Until one is done; hands out connections as they are wanted. */
static struct disk_io *finish(struct disk *disk)
{
    struct disk_io *done;
    struct disk_error why;
    while (disk_reap(disk, &done, 1) == 0) {
        wait_readable(disk);
        if (disk_wants_connection(disk, &why))
            disk_connect(disk, dial());
    }
    return done;
}

static void expect_refused(const char *why)
{
    struct disk *disk = NULL;
    struct disk_error error;
    assert_true(rig_try_open(uri(), false, &disk, &error) < 0);
    if (!strstr(error.text, why))
        fail_msg("refused, but not for '%s': %s", why, error.text);
    for (const char *c = error.text; *c; c++)
        assert_in_range(*c, 0x20, 0x7e);
}

/* ---- Servers as they should be. ----------------------------------------------------------------------------------------------- */

/* Writes and reads back in pieces of many sizes, cut into buffers of many sizes, and compares with a copy. */
static void check_content(struct disk *disk, const char *image)
{
    uint8_t *copy = rig_alloc(SIZE), *data = rig_alloc(2u << 20), *back = rig_alloc(2u << 20);
    uint64_t seed = rig_seed();
    for (unsigned round = 0; round < 60; round++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t length = ((seed >> 33) % 2048 + 1) * DISK_SECTOR_SIZE;
        uint64_t offset = (seed >> 20) % ((SIZE - length) / DISK_SECTOR_SIZE) * DISK_SECTOR_SIZE;
        size_t part = round % 3 == 0 ? length : round % 3 == 1 ? 4096 : 512;
        struct iovec iov[4096];
        int count = 0;
        for (size_t i = 0; i < length; i++)
            data[i] = (uint8_t)(seed >> (i % 8)) ^ (uint8_t)(i >> 9);
        memcpy(copy + offset, data, length);
        /* Backwards in memory, so that no two are one run. */
        for (size_t done = 0; done < length; done += iov[count++].iov_len) {
            size_t size = length - done < part ? length - done : part;
            iov[count] = (struct iovec){.iov_base = back + length - done - size, .iov_len = size};
            memcpy(iov[count].iov_base, data + done, size);
        }
        struct disk_io io = {.op = DISK_WRITE, .offset = offset, .iov = iov, .iov_count = count, .result = 1};
        struct disk_io *list = &io;
        disk_submit(disk, &list, 1);
        assert_ptr_equal(finish(disk), &io);
        assert_int_equal(io.result, 0);
        memset(back, 0, length);
        io.op = DISK_READ;
        disk_submit(disk, &list, 1);
        assert_ptr_equal(finish(disk), &io);
        assert_int_equal(io.result, 0);
        size_t done = 0;
        for (int i = 0; i < count; done += iov[i++].iov_len)
            assert_memory_equal(iov[i].iov_base, data + done, iov[i].iov_len);
    }
    assert_int_equal(rig_io(disk, DISK_FLUSH, 0, NULL, 0), 0);
    if (image) {
        int fd = open(image, O_RDONLY | O_CLOEXEC);
        uint8_t *there = rig_alloc(SIZE);
        assert_int_equal(pread(fd, there, SIZE, 0), SIZE);
        assert_memory_equal(there, copy, SIZE);
        free(there);
        close(fd);
    }
    free(copy);
    free(data);
    free(back);
}

static void test_nbdkit(void **state)
{
    struct disk_info info;
    (void)state;
    make_image(SIZE);
    start_nbdkit_file("", "");
    struct disk *disk = rig_open(uri(), false);
    disk_get_info(disk, &info);
    assert_int_equal(info.size, SIZE);
    assert_string_equal(info.engine, "libnbd");
    assert_int_not_equal(info.discard_granularity, 0);
    check_content(disk, rig_path("image"));
    disk_close(disk);
}

static void test_qemu(void **state)
{
    (void)state;
    make_image(SIZE);
    start("qemu-nbd -t -e 4 -f raw -x '' -k %s %s", rig_path("socket"), rig_path("image"));
    struct disk *disk = rig_open(uri(), false);
    check_content(disk, rig_path("image"));
    disk_close(disk);
}

/* A server that takes 64 KiB at most: requests are cut. */
static void test_largest_block(void **state)
{
    (void)state;
    make_image(SIZE);
    start_nbdkit_file("--filter=blocksize-policy", "blocksize-maximum=64K blocksize-error-policy=error");
    struct disk *disk = rig_open(uri(), false);
    check_content(disk, rig_path("image"));
    disk_close(disk);
}

static void test_many_at_once(void **state)
{
    struct request requests[RIG_DEPTH];
    uint8_t *data = rig_alloc(SIZE);
    (void)state;
    make_image(SIZE);
    start_nbdkit_file("", "");
    struct disk *disk = rig_open(uri(), false);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < RIG_DEPTH; i++) {
            memset(data + i * 65536, (int)(round + i), 65536);
            submit(disk, &requests[i], DISK_WRITE, i * 65536, data + i * 65536, 65536);
        }
        for (unsigned i = 0; i < RIG_DEPTH; i++)
            assert_int_equal(finish(disk)->result, 0);
    }
    uint8_t *back = rig_read_all(disk);
    assert_memory_equal(back, data, RIG_DEPTH * 65536);
    free(back);
    free(data);
    disk_close(disk);
}

static void test_discard(void **state)
{
    struct stat before, after;
    uint8_t *data = rig_alloc(SIZE);
    (void)state;
    make_image(SIZE);
    start_nbdkit_file("", "");
    struct disk *disk = rig_open(uri(), false);
    memset(data, 7, SIZE);
    for (unsigned at = 0; at < SIZE; at += 1u << 20)
        assert_int_equal(rig_io(disk, DISK_WRITE, at, data, 1u << 20), 0);
    assert_int_equal(rig_io(disk, DISK_FLUSH, 0, NULL, 0), 0);
    assert_int_equal(stat(rig_path("image"), &before), 0);
    struct disk_io io = {.op = DISK_DISCARD, .offset = 1u << 20, .length = 4u << 20, .result = 1}, *list = &io;
    disk_submit(disk, &list, 1);
    assert_ptr_equal(finish(disk), &io);
    assert_int_equal(io.result, 0);
    assert_int_equal(stat(rig_path("image"), &after), 0);
    assert_int_equal(before.st_blocks - after.st_blocks, (4u << 20) / 512);
    assert_int_equal(rig_io(disk, DISK_READ, SIZE - 4096, data, 4096), 0);
    assert_int_equal(data[0], 7);
    free(data);
    disk_close(disk);
}

/* Without flush and trim a server has no commands for them: the one is nothing to be done, the other is not offered. */
static void test_no_flush_no_trim(void **state)
{
    struct disk_info info;
    (void)state;
    start("nbdkit -f -U %s eval get_size='echo 1M' pread='head -c $3 /dev/zero' pwrite='cat >/dev/null' "
          "can_flush='exit 3' "
          "can_trim='exit 3' 2>/dev/null",
          rig_path("socket"));
    struct disk *disk = rig_open(uri(), false);
    disk_get_info(disk, &info);
    assert_int_equal(info.discard_granularity, 0);
    assert_int_equal(rig_io(disk, DISK_FLUSH, 0, NULL, 0), 0);
    disk_close(disk);
}

static void test_huge(void **state)
{
    struct disk_info info;
    uint8_t *data = rig_alloc(4096);
    (void)state;
    start_nbdkit("memory size=7E");
    struct disk *disk = rig_open(uri(), false);
    disk_get_info(disk, &info);
    assert_int_equal(info.size, UINT64_C(7) << 60);
    data[0] = 9;
    assert_int_equal(rig_io(disk, DISK_WRITE, info.size - 4096, data, 4096), 0);
    data[0] = 0;
    assert_int_equal(rig_io(disk, DISK_READ, info.size - 4096, data, 4096), 0);
    assert_int_equal(data[0], 9);
    free(data);
    disk_close(disk);
}

/* ---- What is refused. ------------------------------------------------------------------------------------------------------- */

static void test_refused(void **state)
{
    static const char *const cases[][2] = {
        {"odd 1000", "1000 bytes: not a positive multiple"},
        {"odd 0", "0 bytes: not a positive multiple"},
        {"blocks 4096", "no blocks of less than 4096 bytes"},
        {"readonly", "read-only"},
        {"refuses", "no export named"},
        {"garbage", "magic"},
        {"mute", "did not say within 10 s"},
        {"odd 18446744073709551104", "not a positive multiple"},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        start_bad(cases[i][0]);
        expect_refused(cases[i][1]);
        stop(SIGKILL);
    }
    expect_refused("cannot connect");
}

static void test_read_only(void **state)
{
    struct disk *disk = NULL;
    struct disk_error error;
    uint8_t *data = rig_alloc(512);
    (void)state;
    start_bad("readonly");
    assert_int_equal(rig_try_open(uri(), true, &disk, &error), 0);
    assert_int_equal(rig_io(disk, DISK_READ, 0, data, 512), 0);
    assert_int_equal(rig_io(disk, DISK_WRITE, 0, data, 512), -EROFS);
    free(data);
    disk_close(disk);
}

/* ---- Connections that end. --------------------------------------------------------------------------------------------------- */

/* The server is killed again and again under requests: all of them are carried out. */
static void test_killed(void **state)
{
    struct request requests[RIG_DEPTH];
    uint8_t *data = rig_alloc(SIZE);
    struct disk_error why;
    unsigned left = 0;
    (void)state;
    make_image(SIZE);
    struct disk *disk = open_known(SIZE, 0);
    for (unsigned kill_number = 0; kill_number < 10; kill_number++) {
        start_nbdkit_file("", "");
        if (disk_wants_connection(disk, &why))
            disk_connect(disk, dial());
        for (unsigned i = 0; i < RIG_DEPTH; i++) {
            memset(data + i * 65536, (int)(kill_number * 40 + i), 65536);
            submit(disk, &requests[i], DISK_WRITE, i * 65536, data + i * 65536, 65536);
        }
        for (left = RIG_DEPTH; left > RIG_DEPTH - kill_number; left--)
            assert_int_equal(finish(disk)->result, 0);
        stop(SIGKILL);
        start_nbdkit_file("", "");
        for (; left > 0; left--)
            assert_int_equal(finish(disk)->result, 0);
        stop(SIGKILL);
        await_want(disk, &why);
        start_nbdkit_file("", "");
        disk_connect(disk, dial());
        uint8_t *back = rig_read_all(disk);
        assert_memory_equal(back, data, RIG_DEPTH * 65536);
        free(back);
        stop(SIGKILL);
        await_want(disk, &why);
        start_nbdkit_file("", "");
        disk_connect(disk, dial());
        stop(SIGKILL);
    }
    free(data);
    disk_close(disk);
}

/* Connections that break off in the middle of an answer are made anew. Each server does so the first time only. */
static void test_breaks_off(void **state)
{
    static const char *const kinds[] = {"short", "magic", "cookie", "hangs-up", "shutdown"};
    struct request request;
    struct disk_error why;
    uint8_t *data = rig_alloc(65536);
    (void)state;
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        start_bad(kinds[i]);
        struct disk *disk = open_known(SIZE, 0);
        await_want(disk, &why);
        disk_connect(disk, dial());
        submit(disk, &request, DISK_READ, 0, data, 65536);
        await_want(disk, &why);
        assert_int_not_equal(strlen(why.text), 0);
        stop(SIGKILL);
        start_nbdkit_file("", "");
        disk_connect(disk, dial());
        assert_ptr_equal(finish(disk), &request.io);
        assert_int_equal(request.io.result, 0);
        disk_close(disk);
        stop(SIGKILL);
    }
    free(data);
}

/* A server that has less than it had is not believed to have the same disk. */
static void test_shrinks(void **state)
{
    struct disk_error why;
    (void)state;
    start_bad("good");
    struct disk *disk = open_known(SIZE, 0);
    await_want(disk, &why);
    disk_connect(disk, dial());
    uint8_t *all = rig_read_all(disk);
    free(all);
    stop(SIGKILL);
    start_bad("odd 4194304");
    await_want(disk, &why);
    disk_connect(disk, dial());
    await_want(disk, &why);
    assert_non_null(strstr(why.text, "has 4194304 bytes now, and had 8388608"));
    disk_close(disk);
}

static void test_server_errors(void **state)
{
    uint8_t *data = rig_alloc(512);
    (void)state;
    start_bad("errors");
    struct disk *disk = rig_open(uri(), false);
    assert_int_equal(rig_io(disk, DISK_READ, 0, data, 512), -EIO);
    assert_int_equal(rig_io(disk, DISK_WRITE, 0, data, 512), -EIO);
    free(data);
    disk_close(disk);
}

/* ---- Patience. ---------------------------------------------------------------------------------------------------------------- */

/* Without a server requests fail when patience runs out, and then at once, until there is one. */
static void test_patience(void **state)
{
    struct request requests[4];
    uint8_t *data = rig_alloc(4096);
    struct disk_error why;
    (void)state;
    struct disk *disk = open_known(SIZE, 1);
    await_want(disk, &why);
    for (unsigned i = 0; i < 4; i++)
        submit(disk, &requests[i], DISK_READ, i * 4096, data, 4096);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(finish(disk)->result, -EIO);
    submit(disk, &requests[0], DISK_WRITE, 0, data, 4096);
    assert_int_equal(finish(disk)->result, -EIO);
    make_image(SIZE);
    start_nbdkit_file("", "");
    disk_connect(disk, dial());
    /* It is believed in when it has shaken hands. */
    do {
        assert_false(disk_wants_connection(disk, &why));
        submit(disk, &requests[0], DISK_WRITE, 0, data, 4096);
    } while (finish(disk)->result < 0);
    free(data);
    disk_close(disk);
}

/* One that is there and does not answer is given up the same way; and one that has patience without end waits. */
static void test_deaf(void **state)
{
    struct request request;
    struct disk_io *none;
    struct disk_error why;
    uint8_t *data = rig_alloc(4096);
    (void)state;
    start_bad("deaf");
    struct disk *disk = open_known(SIZE, 1);
    await_want(disk, &why);
    disk_connect(disk, dial());
    submit(disk, &request, DISK_READ, 0, data, 4096);
    struct pollfd ready = {.fd = disk_fd(disk), .events = POLLIN};
    while (disk_reap(disk, &none, 1) == 0)
        assert_int_equal(poll(&ready, 1, 30000), 1);
    assert_int_equal(request.io.result, -EIO);
    assert_true(disk_wants_connection(disk, &why));
    assert_non_null(strstr(why.text, "did not answer within 1 s"));
    disk_close(disk);

    disk = open_known(SIZE, 0);
    await_want(disk, &why);
    disk_connect(disk, dial());
    submit(disk, &request, DISK_READ, 0, data, 4096);
    for (int i = 0; i < 15; i++) {
        poll(NULL, 0, 100);
        assert_int_equal(disk_reap(disk, &none, 1), 0);
    }
    assert_int_equal(disk_in_flight(disk), 1);
    disk_close(disk); /* does not wait for it */
    free(data);
}

static int has_servers(void **state)
{
    struct disk_error error;
    (void)state;
    if (!rig_has("nbdkit") || !rig_has("qemu-nbd") || !rig_has("python3"))
        exit(77);
    return disk_kind_load(disk_kind_find("nbd"), &error);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_nbdkit),        TEST(test_qemu),       TEST(test_largest_block),
        TEST(test_many_at_once),  TEST(test_discard),    TEST(test_no_flush_no_trim),
        TEST(test_huge),          TEST(test_refused),    TEST(test_read_only),
        TEST(test_killed),        TEST(test_breaks_off), TEST(test_shrinks),
        TEST(test_server_errors), TEST(test_patience),   TEST(test_deaf),
    };
    return cmocka_run_group_tests(tests, has_servers, NULL);
}

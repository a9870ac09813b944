/* SPDX-License-Identifier: MIT */
/* What is the same for all kinds, over each engine: io_uring on a disk file system, pread on tmpfs, a mapping for RAM
 * disks. */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE (4u << 20)

static char shm_path[64];

/* One of "file" (the test's folder), "tmpfs", "ram". */
static struct disk *open_kind(const char *which, bool read_only, int fence_fd, struct disk_error *ret_error)
{
    struct disk_source source = {
        .kind = disk_kind_find(strcmp(which, "ram") == 0 ? "ram" : "raw"), .size = SIZE, .create = true};
    snprintf(source.path, sizeof source.path, "%s", strcmp(which, "file") == 0 ? rig_path("disk") : shm_path);
    if (strcmp(which, "ram") != 0)
        assert_int_equal(rig_run("truncate -s %u %s", SIZE, source.path), 0);
    int fd = disk_source_open(&source, read_only, ret_error);
    if (fd < 0)
        fail_msg("%s", ret_error->text);
    struct disk_params params = {
        .kind = source.kind, .fd = fd, .fence_fd = fence_fd, .read_only = read_only, .depth = RIG_DEPTH};
    struct disk *disk = NULL;
    if (disk_open(&params, &disk, ret_error) < 0)
        fail_msg("%s", ret_error->text);
    return disk;
}

static void remove_files(void)
{
    unlink(shm_path);
    unlink(rig_path("disk"));
}

/* ---- Transfers against a copy in memory. --------------------------------------------------------------------------- */

struct job {
    struct disk_io io; /* first */
    struct iovec iov[90];
    uint8_t *buffer;
    uint32_t sector, count;
};

static void job_make(struct job *job, uint64_t *random, uint32_t slot, uint8_t *copy)
{
    /* Each slot has its own part of the disk, so that requests in flight do not overlap. */
    uint32_t part = SIZE / DISK_SECTOR_SIZE / RIG_DEPTH, done = 0;
    job->count = 1 + (uint32_t)(log_random(random) % (log_random(random) % 4 ? 16 : part));
    job->sector = slot * part + (uint32_t)(log_random(random) % (part - job->count + 1));
    job->io = (struct disk_io){.op = log_random(random) % 2 ? DISK_WRITE : DISK_READ,
                               .offset = (uint64_t)job->sector * DISK_SECTOR_SIZE,
                               .iov = job->iov};
    while (done < job->count) {
        uint32_t length = 1 + (uint32_t)(log_random(random) % 8);
        if (length > job->count - done || job->io.iov_count == 89)
            length = job->count - done;
        job->iov[job->io.iov_count++] = (struct iovec){.iov_base = job->buffer + (size_t)done * DISK_SECTOR_SIZE,
                                                       .iov_len = (size_t)length * DISK_SECTOR_SIZE};
        done += length;
    }
    size_t bytes = (size_t)job->count * DISK_SECTOR_SIZE;
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t value = log_random(random);
        memcpy(job->buffer + i, &value, 8);
    }
    if (job->io.op == DISK_WRITE)
        memcpy(copy + job->io.offset, job->buffer, bytes);
}

static unsigned wait_some(struct disk *disk, struct disk_io **done, unsigned max)
{
    unsigned count;
    while ((count = disk_reap(disk, done, max)) == 0) {
        struct pollfd ready = {.fd = disk_fd(disk), .events = POLLIN};
        assert_true(ready.fd >= 0); /* else all had ended within disk_submit() */
        assert_int_equal(poll(&ready, 1, 20000), 1);
    }
    return count;
}

static void transfer(const char *which, const char *engine, uint64_t seed)
{
    struct disk_error error;
    struct disk *disk = open_kind(which, false, -1, &error);
    struct disk_info info;
    disk_get_info(disk, &info);
    assert_int_equal(info.size, SIZE);
    assert_int_equal(info.sector_size, 512);
    assert_false(info.read_only);
    if (engine)
        assert_string_equal(info.engine, engine);

    static struct job jobs[RIG_DEPTH];
    struct disk_io *batch[RIG_DEPTH], *done[RIG_DEPTH];
    uint8_t *copy = rig_alloc(SIZE);
    for (unsigned i = 0; i < RIG_DEPTH; i++)
        jobs[i].buffer = rig_alloc(SIZE / RIG_DEPTH);
    for (unsigned round = 0; round < 60; round++) {
        unsigned count = 1 + (unsigned)(log_random(&seed) % RIG_DEPTH), reaped = 0;
        for (unsigned i = 0; i < count; i++) {
            job_make(&jobs[i], &seed, i, copy);
            batch[i] = &jobs[i].io;
        }
        disk_submit(disk, batch, count);
        assert_int_equal(disk_in_flight(disk), count);
        while (reaped < count)
            reaped += wait_some(disk, done + reaped, 1 + (unsigned)(log_random(&seed) % 5));
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(jobs[i].io.result, 0);
            if (jobs[i].io.op == DISK_READ)
                assert_memory_equal(jobs[i].buffer, copy + jobs[i].io.offset, (size_t)jobs[i].count * DISK_SECTOR_SIZE);
        }
        assert_int_equal(disk_in_flight(disk), 0);
    }
    assert_int_equal(rig_io(disk, DISK_FLUSH, 0, NULL, 0), 0);
    disk_close(disk);

    disk = open_kind(which, true, -1, &error); /* what another process finds */
    uint8_t *all = rig_read_all(disk);
    assert_memory_equal(all, copy, SIZE);
    disk_close(disk);
    free(all);
    free(copy);
    for (unsigned i = 0; i < RIG_DEPTH; i++)
        free(jobs[i].buffer);
    remove_files();
}

static void test_transfer_file(void **state)
{
    (void)state;
    transfer("file", NULL, rig_seed());
}

static void test_transfer_tmpfs(void **state)
{
    (void)state;
    transfer("tmpfs", "pread", rig_seed());
}

static void test_transfer_ram(void **state)
{
    (void)state;
    transfer("ram", "mmap", rig_seed());
}

static void test_block_device(void **state)
{
    (void)state;
    const char *file = rig_path("loop");
    assert_int_equal(rig_run("truncate -s 1M %s", file), 0);
    if (rig_run("losetup -f --show %s > %s", file, rig_path("name")) != 0)
        skip();
    char command[256], device[64] = "";
    snprintf(command, sizeof command, "losetup -j %s | cut -d: -f1", file);
    FILE *pipe = popen(command, "r");
    assert_non_null(fgets(device, sizeof device, pipe));
    pclose(pipe);
    device[strcspn(device, "\n")] = 0;

    struct disk *disk = rig_open(device, false);
    struct disk_info info;
    disk_get_info(disk, &info);
    uint8_t *bytes = rig_alloc(4096), *back = rig_alloc(4096);
    memset(bytes, 0x5a, 4096);
    int wrote = rig_io(disk, DISK_WRITE, 8192, bytes, 4096), read = rig_io(disk, DISK_READ, 8192, back, 4096);
    int flushed = rig_io(disk, DISK_FLUSH, 0, NULL, 0);
    disk_close(disk);
    struct disk_error error;
    char spec[80];
    snprintf(spec, sizeof spec, "vhd:%s", device);
    int vhd = rig_try_open(spec, false, &disk, &error);
    rig_run("losetup -d %s", device);
    assert_int_equal(info.size, 1 << 20);
    assert_int_equal(wrote | read | flushed, 0);
    assert_memory_equal(bytes, back, 4096);
    assert_int_equal(vhd, -EINVAL);
    free(bytes);
    free(back);
}

/* ---- Requests that are refused. ------------------------------------------------------------------------------------ */

static void test_bad_requests(void **state)
{
    (void)state;
    struct disk_error error;
    struct disk *disk = open_kind("file", false, -1, &error);
    uint8_t *buffer = rig_alloc(8192);
    struct iovec misplaced = {.iov_base = buffer + 8, .iov_len = 512}, uneven = {.iov_base = buffer, .iov_len = 500};
    struct iovec pair[2] = {{.iov_base = buffer, .iov_len = 512}, {.iov_base = buffer, .iov_len = 512}};
    struct iovec huge[2] = {{.iov_base = buffer, .iov_len = 512}, {.iov_base = buffer, .iov_len = SIZE_MAX & ~511ull}};
    struct iovec empty = {.iov_base = buffer, .iov_len = 0};
    const struct disk_io bad[] = {
        {.op = DISK_READ, .offset = 256, .iov = pair, .iov_count = 1},
        {.op = DISK_READ, .offset = SIZE, .iov = pair, .iov_count = 1},
        {.op = DISK_WRITE, .offset = SIZE - 512, .iov = pair, .iov_count = 2},
        {.op = DISK_READ, .offset = UINT64_MAX - 511, .iov = pair, .iov_count = 2},
        {.op = DISK_READ, .offset = 0, .iov = huge, .iov_count = 2},
        {.op = DISK_READ, .offset = 0, .iov = &misplaced, .iov_count = 1},
        {.op = DISK_READ, .offset = 0, .iov = &uneven, .iov_count = 1},
        {.op = DISK_READ, .offset = 0, .iov = &empty, .iov_count = 1},
        {.op = DISK_WRITE, .offset = 0, .iov = pair, .iov_count = 0},
        {.op = DISK_OPS, .offset = 0, .iov = pair, .iov_count = 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct disk_io io = bad[i], *list = &io, *done = NULL;
        disk_submit(disk, &list, 1);
        assert_int_equal(disk_reap(disk, &done, 1), 1);
        assert_ptr_equal(done, &io);
        assert_int_equal(io.result, -EINVAL);
        assert_int_equal(rig_io(disk, DISK_READ, SIZE - 512, buffer, 512), 0);
    }
    disk_close(disk);
    free(buffer);
    remove_files();
}

static void test_read_only(void **state)
{
    (void)state;
    static const char *const kinds[] = {"file", "tmpfs", "ram"};
    uint8_t *buffer = rig_alloc(512);
    for (size_t i = 0; i < 3; i++) {
        struct disk_error error;
        remove_files();
        struct disk *disk = open_kind(kinds[i], true, -1, &error);
        memset(buffer, 0xee, 512);
        assert_int_equal(rig_io(disk, DISK_WRITE, 0, buffer, 512), -EROFS);
        assert_int_equal(rig_io(disk, DISK_READ, 0, buffer, 512), 0);
        assert_int_equal(buffer[0], 0);
        assert_int_equal(rig_io(disk, DISK_FLUSH, 0, NULL, 0), 0);
        disk_close(disk);
    }
    free(buffer);
    remove_files();
}

static void test_too_deep(void **state)
{
    (void)state;
    struct disk_error error;
    struct disk *disk = open_kind("file", false, -1, &error);
    uint8_t *buffer = rig_alloc(512);
    struct iovec iov = {.iov_base = buffer, .iov_len = 512};
    struct disk_io ios[RIG_DEPTH + 1], *list[RIG_DEPTH + 1], *done[RIG_DEPTH + 1];
    for (unsigned i = 0; i <= RIG_DEPTH; i++) {
        ios[i] = (struct disk_io){.op = DISK_READ, .offset = 512ull * i, .iov = &iov, .iov_count = 1};
        list[i] = &ios[i];
    }
    disk_submit(disk, list, RIG_DEPTH + 1);
    for (unsigned reaped = 0; reaped <= RIG_DEPTH;)
        reaped += wait_some(disk, done + reaped, RIG_DEPTH + 1);
    assert_int_equal(ios[RIG_DEPTH].result, -EBUSY);
    for (unsigned i = 0; i < RIG_DEPTH; i++)
        assert_int_equal(ios[i].result, 0);
    assert_int_equal(rig_io(disk, DISK_READ, 0, buffer, 512), 0);
    disk_close(disk);
    free(buffer);
    remove_files();
}

static void test_close_in_flight(void **state)
{
    (void)state;
    struct disk_error error;
    struct disk *disk = open_kind("file", false, -1, &error);
    uint8_t *buffer = rig_alloc(1 << 20);
    struct iovec iov = {.iov_base = buffer, .iov_len = 1 << 20};
    struct disk_io io = {.op = DISK_WRITE, .iov = &iov, .iov_count = 1}, *list = &io;
    disk_submit(disk, &list, 1);
    disk_close(disk); /* the buffer is not used after this */
    free(buffer);
    disk_close(NULL);
    remove_files();
}

/* ---- Files that are not what they should be. ----------------------------------------------------------------------- */

static void test_bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *size, *reason;
    } bad[] = {{"raw", "0", "0 bytes"}, {"raw", "1000", "1000 bytes: not a positive multiple"}};
    struct disk *disk = NULL;
    struct disk_error error;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *path = rig_path("bad");
        char spec[256];
        assert_int_equal(rig_run("rm -f %s; truncate -s %s %s", path, bad[i].size, path), 0);
        snprintf(spec, sizeof spec, "%s:%s", bad[i].spec, path);
        assert_int_equal(rig_try_open(spec, false, &disk, &error), -EINVAL);
        assert_non_null(strstr(error.text, bad[i].reason));
    }
    /* A descriptor of the wrong sort, and RAM without its memory. */
    struct disk_params params = {
        .kind = disk_kind_find("raw"), .fd = open("/dev/null", O_RDWR), .fence_fd = -1, .depth = 1};
    assert_int_equal(disk_open(&params, &disk, &error), -EINVAL);
    params.fd = -1;
    assert_int_equal(disk_open(&params, &disk, &error), -EBADF);
    assert_int_equal(rig_run("truncate -s 1M %s", shm_path), 0);
    params.kind = disk_kind_find("ram");
    params.fd = open(shm_path, O_RDWR);
    assert_int_equal(disk_open(&params, &disk, &error), -EINVAL);
    assert_non_null(strstr(error.text, "all of its memory"));
    params.fd = -1;
    assert_int_equal(disk_open(&params, &disk, &error), -EBADF);
    assert_null(disk);
    remove_files();
}

static void shrunk(const char *which, const char *path)
{
    struct disk_error error;
    struct disk *disk = open_kind(which, false, -1, &error);
    uint8_t *buffer = rig_alloc(8192);
    assert_int_equal(truncate(path, SIZE / 2 + 4096), 0);
    assert_int_equal(rig_io(disk, DISK_READ, SIZE / 2, buffer, 8192), -EIO); /* 4096 bytes of it are there */
    assert_int_equal(rig_io(disk, DISK_READ, SIZE / 2, buffer, 4096), 0);
    disk_close(disk);
    free(buffer);
    remove_files();
}

static void test_shrunk_file(void **state)
{
    (void)state;
    shrunk("file", rig_path("disk"));
    shrunk("tmpfs", shm_path);
}

/* ---- Requests of a batch that follow each other, which an engine may carry out as one. ------------------------------ */

#define ROW      RIG_DEPTH
#define ROW_SIZE ((size_t)8192) /* of each of them, in two buffers */

struct row {
    struct disk_io io; /* first */
    struct iovec iov[2];
    uint8_t *buffer;
};

static void submit_row(struct disk *disk, struct row *row, enum disk_op op, const uint8_t *content)
{
    struct disk_io *batch[ROW], *done[ROW];
    unsigned reaped = 0;
    for (unsigned i = 0; i < ROW; i++) {
        for (unsigned half = 0; half < 2; half++)
            row[i].iov[half] =
                (struct iovec){.iov_base = row[i].buffer + half * (ROW_SIZE / 2), .iov_len = ROW_SIZE / 2};
        row[i].io = (struct disk_io){.op = op, .offset = (uint64_t)i * ROW_SIZE, .iov = row[i].iov, .iov_count = 2};
        if (op == DISK_WRITE)
            memcpy(row[i].buffer, content + (size_t)i * ROW_SIZE, ROW_SIZE);
        else
            memset(row[i].buffer, 0, ROW_SIZE);
        batch[i] = &row[i].io;
    }
    disk_submit(disk, batch, ROW);
    while (reaped < ROW)
        reaped += wait_some(disk, done + reaped, ROW - reaped);
}

static void in_a_row(const char *which, const char *path)
{
    struct disk_error error;
    struct disk *disk = open_kind(which, false, -1, &error);
    uint8_t *content = rig_alloc(ROW * ROW_SIZE);
    static struct row row[ROW];
    uint64_t random = rig_seed();
    for (size_t i = 0; i < ROW * ROW_SIZE; i += 8) {
        uint64_t value = log_random(&random);
        memcpy(content + i, &value, 8);
    }
    for (unsigned i = 0; i < ROW; i++)
        row[i].buffer = rig_alloc(ROW_SIZE);

    submit_row(disk, row, DISK_WRITE, content);
    for (unsigned i = 0; i < ROW; i++)
        assert_int_equal(row[i].io.result, 0);
    submit_row(disk, row, DISK_READ, NULL);
    for (unsigned i = 0; i < ROW; i++) {
        assert_int_equal(row[i].io.result, 0);
        assert_memory_equal(row[i].buffer, content + (size_t)i * ROW_SIZE, ROW_SIZE);
    }

    /* The file ends within the fourth of them now: it fails, and those behind it, and none before it. */
    assert_int_equal(truncate(path, 3 * ROW_SIZE + 512), 0);
    submit_row(disk, row, DISK_READ, NULL);
    for (unsigned i = 0; i < ROW; i++) {
        assert_int_equal(row[i].io.result, i < 3 ? 0 : -EIO);
        if (i < 3)
            assert_memory_equal(row[i].buffer, content + (size_t)i * ROW_SIZE, ROW_SIZE);
    }
    disk_close(disk);
    for (unsigned i = 0; i < ROW; i++)
        free(row[i].buffer);
    free(content);
    remove_files();
}

static void test_in_a_row(void **state)
{
    (void)state;
    in_a_row("file", rig_path("disk"));
    in_a_row("tmpfs", shm_path);
}

/* ---- io_uring: closed behind itself, and held by the fence. -------------------------------------------------------- */

static bool uses_io_uring(const struct disk *disk)
{
    struct disk_info info;
    disk_get_info(disk, &info);
    return strcmp(info.engine, "io_uring") == 0;
}

static void test_ring_is_restricted(void **state)
{
    (void)state;
    struct disk_error error;
    struct disk *disk = open_kind("file", false, -1, &error);
    if (uses_io_uring(disk)) {
        int fd = open("/etc/hostname", O_RDONLY);
        assert_int_equal(syscall(__NR_io_uring_register, disk_fd(disk), IORING_REGISTER_FILES, &fd, 1), -1);
        assert_int_equal(errno, EACCES);
        close(fd);
    }
    disk_close(disk);
    remove_files();
}

/* The other end of the fence hangs up only after the process is gone and its ring with it. */
static void test_fence(void **state)
{
    (void)state;
    int fence[2], told[2];
    assert_int_equal(pipe2(fence, O_CLOEXEC), 0);
    assert_int_equal(pipe2(told, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        struct disk_error error;
        struct disk *disk = open_kind("file", false, fence[1], &error);
        uint8_t *buffer = rig_alloc(1 << 20);
        struct iovec iov = {.iov_base = buffer, .iov_len = 1 << 20};
        struct disk_io io = {.op = DISK_WRITE, .iov = &iov, .iov_count = 1}, *list = &io;
        close(fence[0]);
        close(fence[1]);
        disk_submit(disk, &list, 1);
        char kind = uses_io_uring(disk) ? 'u' : 'p';
        if (write(told[1], &kind, 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    close(fence[1]);
    char kind = 0;
    assert_int_equal(read(told[0], &kind, 1), 1);
    struct pollfd hangup = {.fd = fence[0], .events = POLLIN};
    if (kind == 'u')
        assert_int_equal(poll(&hangup, 1, 50), 0); /* the ring holds it, with every descriptor closed */
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(poll(&hangup, 1, 20000), 1);
    assert_true(hangup.revents & POLLHUP);
    close(fence[0]);
    close(told[0]);
    close(told[1]);
    remove_files();
}

/* ---- Discards, and files that grow. --------------------------------------------------------------------------------- */

/* One request without buffers. */
static int request(struct disk *disk, enum disk_op op, uint64_t offset, uint64_t length)
{
    struct disk_io io = {.op = op, .offset = offset, .length = length}, *list = &io;
    disk_submit(disk, &list, 1);
    while (disk_reap(disk, &list, 1) == 0)
        poll(NULL, 0, 1);
    return io.result;
}

/* What is discarded is zeros, and what is beside it as it was. */
static void test_discard(void **state)
{
    (void)state;
    static const char *const kinds[] = {"file", "tmpfs", "ram"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct disk_error error;
        struct disk_info info;
        struct disk *disk = open_kind(kinds[i], false, -1, &error);
        uint8_t *buffer = rig_alloc(65536);
        disk_get_info(disk, &info);
        assert_int_equal(info.discard_granularity, 4096);
        memset(buffer, 0x5a, 65536);
        assert_int_equal(rig_io(disk, DISK_WRITE, 0, buffer, 65536), 0);
        assert_int_equal(request(disk, DISK_DISCARD, 512, 40960), 0);
        assert_int_equal(rig_io(disk, DISK_READ, 0, buffer, 65536), 0);
        for (size_t at = 0; at < 65536; at++)
            assert_int_equal(buffer[at], at >= 512 && at < 512 + 40960 ? 0 : 0x5a);
        assert_int_equal(request(disk, DISK_DISCARD, 0, SIZE), 0);
        assert_int_equal(request(disk, DISK_DISCARD, SIZE - 512, 1024), -EINVAL);
        assert_int_equal(rig_io(disk, DISK_READ, SIZE - 65536, buffer, 65536), 0);
        disk_close(disk);
        if (strcmp(kinds[i], "ram") == 0) { /* it has all of its memory still, or it could not be opened */
            struct disk_params params = {
                .kind = disk_kind_find("ram"), .fd = open(shm_path, O_RDWR), .fence_fd = -1, .depth = 1};
            assert_int_equal(disk_open(&params, &disk, &error), 0);
            disk_close(disk);
        }
        free(buffer);
        remove_files();
    }
}

static void test_grown_file(void **state)
{
    (void)state;
    static const char *const kinds[] = {"file", "tmpfs"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *path = strcmp(kinds[i], "file") == 0 ? rig_path("disk") : shm_path;
        struct disk_error error;
        struct disk_info info;
        struct disk *disk = open_kind(kinds[i], false, -1, &error);
        uint8_t *buffer = rig_alloc(4096);
        memset(buffer, 1, 4096);
        assert_int_equal(request(disk, DISK_RESIZE, 2 * SIZE, 0), -EINVAL); /* it has not grown yet */
        assert_int_equal(truncate(path, 2 * SIZE), 0);
        assert_int_equal(rig_io(disk, DISK_WRITE, SIZE, buffer, 4096), -EINVAL);
        assert_int_equal(request(disk, DISK_RESIZE, SIZE - 512, 0), -EINVAL);
        assert_int_equal(request(disk, DISK_RESIZE, SIZE + 100, 0), -EINVAL);
        assert_int_equal(request(disk, DISK_RESIZE, 2 * SIZE + 512, 0), -EINVAL);
        assert_int_equal(request(disk, DISK_RESIZE, 2 * SIZE, 0), 0);
        assert_int_equal(request(disk, DISK_RESIZE, 2 * SIZE, 0), 0);
        disk_get_info(disk, &info);
        assert_int_equal(info.size, 2 * SIZE);
        assert_int_equal(rig_io(disk, DISK_WRITE, 2 * SIZE - 4096, buffer, 4096), 0);
        assert_int_equal(rig_io(disk, DISK_WRITE, 2 * SIZE, buffer, 512), -EINVAL);
        disk_close(disk);
        free(buffer);
        remove_files();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_a_row),        cmocka_unit_test(test_transfer_file),
        cmocka_unit_test(test_transfer_tmpfs),  cmocka_unit_test(test_transfer_ram),
        cmocka_unit_test(test_block_device),    cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_read_only),       cmocka_unit_test(test_too_deep),
        cmocka_unit_test(test_close_in_flight), cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_shrunk_file),     cmocka_unit_test(test_ring_is_restricted),
        cmocka_unit_test(test_fence),           cmocka_unit_test(test_discard),
        cmocka_unit_test(test_grown_file),
    };
    snprintf(shm_path, sizeof shm_path, "/dev/shm/ringback-test.%d", getpid());
    return cmocka_run_group_tests(tests, NULL, NULL);
}

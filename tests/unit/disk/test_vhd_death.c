/* SPDX-License-Identifier: MIT */
/*
 * What is not a power cut: a process killed at its n-th operation on the file or at a random moment, a full file
 * system, and I/O errors anywhere. Each time the image opens afterwards and holds every acknowledged write.
 */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vhd/vhd.h"

#define SECTORS 30000u /* of the disk: eight blocks of 2 MiB, the last in part */
#define CHUNK   8u     /* sectors in one write, none across two others */
#define CHUNKS  (SECTORS / CHUNK)

/* What the child tells the parent, in memory that outlives it: per chunk the last write submitted and the last
 * acknowledged. */
struct told {
    uint32_t submitted[CHUNKS], acked[CHUNKS];
    uint32_t next;
};

static void fill(uint8_t *bytes, uint32_t chunk, uint32_t version)
{
    for (uint32_t i = 0; i < CHUNK * DISK_SECTOR_SIZE; i += 8) {
        memcpy(bytes + i, &chunk, 4);
        memcpy(bytes + i + 4, &version, 4);
    }
}

static struct file *open_engine(const char *path, int fence_fd)
{
    struct disk_error error;
    struct file *file = NULL;
    int fd = file_open_path(path, O_RDWR, &error);
    struct disk_params params = {.fd = fd, .fence_fd = fence_fd, .depth = RIG_DEPTH};
    if (fd < 0 || file_open(&params, &file, &error) < 0)
        fail_msg("%s", error.text);
    return file;
}

static struct disk *open_vhd(struct file *file)
{
    struct disk *disk = NULL;
    struct disk_error error;
    if (vhd_open_file(file, false, RIG_DEPTH, &disk, &error) < 0)
        fail_msg("%s", error.text);
    return disk;
}

/* ---- The child: writes until it is killed. ------------------------------------------------------------------------- */

static void write_until_killed(struct disk *disk, struct told *told, uint64_t random)
{
    struct child_io {
        struct disk_io io; /* first */
        struct iovec iov;
        uint32_t chunk, version;
        bool busy;
    } work[16] = {0};
    struct disk_io *done[16];
    for (;;) {
        for (unsigned i = 0; i < 16; i++) {
            uint32_t chunk = (uint32_t)(log_random(&random) % CHUNKS);
            bool taken = work[i].busy || told->submitted[chunk] != told->acked[chunk];
            if (taken || log_random(&random) % 2)
                continue;
            if (!work[i].iov.iov_base)
                work[i].iov = (struct iovec){.iov_base = rig_alloc(CHUNK * DISK_SECTOR_SIZE),
                                             .iov_len = CHUNK * DISK_SECTOR_SIZE};
            work[i].io = (struct disk_io){.op = DISK_WRITE,
                                          .offset = (uint64_t)chunk * CHUNK * DISK_SECTOR_SIZE,
                                          .iov = &work[i].iov,
                                          .iov_count = 1};
            work[i].chunk = chunk;
            work[i].version = ++told->next;
            work[i].busy = true;
            fill(work[i].iov.iov_base, chunk, work[i].version);
            told->submitted[chunk] = work[i].version;
            struct disk_io *io = &work[i].io;
            disk_submit(disk, &io, 1);
        }
        unsigned count = disk_reap(disk, done, 16);
        for (unsigned i = 0; i < count; i++) {
            struct child_io *ended = (struct child_io *)done[i];
            if (ended->io.result != 0)
                _exit(3);
            told->acked[ended->chunk] = ended->version;
            ended->busy = false;
        }
    }
}

static const struct file_ops *real_ops;
static unsigned operations_left;

static void start_and_die(struct file *file, struct file_io *io)
{
    real_ops->start(file, io);
    if (--operations_left == 0) {
        real_ops->kick(file);
        kill(getpid(), SIGKILL);
    }
}

/* ---- The parent. --------------------------------------------------------------------------------------------------- */

/* Every sector holds what was acknowledged last or, of a write in flight, that. Then does what the journal has a
 * successor do: executes again what was in flight. */
static void succeed(const char *path, struct told *told)
{
    struct disk *disk = open_vhd(open_engine(path, -1));
    uint8_t *bytes = rig_read_all(disk);
    uint8_t *acked = rig_alloc(CHUNK * DISK_SECTOR_SIZE), *submitted = rig_alloc(CHUNK * DISK_SECTOR_SIZE);
    for (uint32_t chunk = 0; chunk < CHUNKS; chunk++) {
        memset(acked, 0, CHUNK * DISK_SECTOR_SIZE);
        if (told->acked[chunk])
            fill(acked, chunk, told->acked[chunk]);
        fill(submitted, chunk, told->submitted[chunk]);
        for (size_t at = 0; at < CHUNK * DISK_SECTOR_SIZE; at += DISK_SECTOR_SIZE) {
            const uint8_t *found = bytes + (size_t)chunk * CHUNK * DISK_SECTOR_SIZE + at;
            bool pending = told->submitted[chunk] != told->acked[chunk];
            if (memcmp(found, acked + at, DISK_SECTOR_SIZE) != 0 &&
                (!pending || memcmp(found, submitted + at, DISK_SECTOR_SIZE) != 0))
                fail_msg("chunk %u: write %u was acknowledged, %u submitted, found is %08x", chunk, told->acked[chunk],
                         told->submitted[chunk], *(const uint32_t *)(const void *)(found + 4));
        }
        if (told->submitted[chunk] != told->acked[chunk]) {
            assert_int_equal(rig_io(disk, DISK_WRITE, (uint64_t)chunk * CHUNK * DISK_SECTOR_SIZE, submitted,
                                    CHUNK * DISK_SECTOR_SIZE),
                             0);
            told->acked[chunk] = told->submitted[chunk];
        }
    }
    disk_close(disk);
    free(bytes);
    free(acked);
    free(submitted);
}

static void run_child(const char *path, struct told *told, uint64_t random, unsigned operations)
{
    int fence[2];
    assert_int_equal(pipe2(fence, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        struct file *file = open_engine(path, fence[1]);
        struct file_ops dying = *file->ops;
        struct disk *disk = open_vhd(file);
        close(fence[0]);
        close(fence[1]);
        if (operations > 0) {
            real_ops = file->ops;
            operations_left = operations;
            dying.start = start_and_die;
            file->ops = &dying;
        }
        write_until_killed(disk, told, random);
    }
    close(fence[1]);
    if (operations == 0) {
        struct timespec moment = {.tv_nsec = (long)(log_random(&random) % 30000000)};
        nanosleep(&moment, NULL);
        kill(child, SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    struct pollfd hangup = {.fd = fence[0], .events = POLLIN};
    assert_int_equal(poll(&hangup, 1, 20000), 1); /* its last I/O has ended */
    close(fence[0]);
}

static void make_image(const char *path)
{
    struct disk_error error;
    unlink(path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    assert_int_equal(vhd_create(fd, VHD_DYNAMIC, (uint64_t)SECTORS * DISK_SECTOR_SIZE, &error), 0);
    close(fd);
}

/* Killed at the first operation of a new image, then at the second, ..., and at random moments. */
static void die_often(const char *path)
{
    uint64_t random = rig_seed();
    struct told *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(told, MAP_FAILED);
    unsigned long kills = rig_number("RINGBACK_KILLS", 60);
    for (unsigned i = 0; i < kills; i++) {
        if (i % 30 == 0) {
            make_image(path);
            memset(told, 0, sizeof *told);
        }
        run_child(path, told, log_random(&random), i % 60 < 30 ? 1 + i % 30 : 0);
        succeed(path, told);
    }
    print_message("%lu kills, %u writes\n", kills, told->next);
    if (rig_has("qemu-img"))
        assert_int_equal(rig_run("qemu-img convert -f vpc -O raw %s %s", path, rig_path("converted")), 0);
    munmap(told, sizeof *told);
    unlink(path);
}

static void test_killed_on_disk(void **state)
{
    (void)state;
    die_often(rig_path("killed.vhd"));
}

static void test_killed_on_tmpfs(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof path, "/dev/shm/ringback-killed.%d", getpid());
    die_often(path);
}

/* ---- A full file system. ------------------------------------------------------------------------------------------- */

/* Fills the disk until the file system is full, makes room, goes on. */
static void fill_up(const char *folder)
{
    char path[256], filler[256], *written = calloc(SECTORS * DISK_SECTOR_SIZE / 65536 + 1, 1);
    snprintf(path, sizeof path, "%s/full.vhd", folder);
    snprintf(filler, sizeof filler, "%s/filler", folder);
    make_image(path);
    assert_int_equal(rig_run("fallocate -l $(($(df --output=avail -B1 %s | tail -1) - 9437184)) %s", folder, filler),
                     0);
    uint8_t *bytes = rig_alloc(65536), *back = rig_alloc(65536);
    unsigned refused = 0;
    for (unsigned life = 0; life < 3; life++) {
        struct disk *disk = open_vhd(open_engine(path, -1));
        for (uint32_t i = 0; i < SECTORS * DISK_SECTOR_SIZE / 65536; i++) {
            memset(bytes, (int)(1 + i % 255), 65536);
            uint64_t at = (uint64_t)(i * 67 % (SECTORS * DISK_SECTOR_SIZE / 65536)) * 65536;
            if (written[at / 65536] && life < 2)
                continue;
            int result = rig_io(disk, DISK_WRITE, at, bytes, 65536);
            if (result == 0)
                written[at / 65536] = (char)(1 + i % 255);
            else
                assert_int_equal(result, -ENOSPC);
            refused += result != 0;
            if (life == 2)
                assert_int_equal(result, 0);
        }
        disk_close(disk);
        disk = open_vhd(open_engine(path, -1)); /* what it holds, seen by another */
        for (uint32_t i = 0; i < SECTORS * DISK_SECTOR_SIZE / 65536; i++) {
            assert_int_equal(rig_io(disk, DISK_READ, (uint64_t)i * 65536, back, 65536), 0);
            if (written[i]) {
                memset(bytes, written[i], 65536);
                assert_memory_equal(back, bytes, 65536);
            }
        }
        disk_close(disk);
        assert_true(refused > 0);
        if (life == 1)
            unlink(filler); /* room for the rest */
    }
    if (rig_has("qemu-img"))
        assert_int_equal(rig_run("qemu-img info -f vpc %s", path), 0);
    unlink(path);
    free(bytes);
    free(back);
    free(written);
}

/* The kernel lets go of a ring's files a moment after the ring is closed. */
static void unmount(const char *folder)
{
    assert_int_equal(rig_run("for i in $(seq 100); do umount %s && exit 0; sleep 0.1; done; exit 1", folder), 0);
}

static void test_full_tmpfs(void **state)
{
    (void)state;
    const char *folder = rig_path("full");
    mkdir(folder, 0700);
    if (rig_run("mount -t tmpfs -o size=24M none %s", folder) != 0)
        skip();
    fill_up(folder);
    unmount(folder);
}

static void test_full_ext4(void **state)
{
    (void)state;
    const char *folder = rig_path("full4"), *image = rig_path("ext4");
    mkdir(folder, 0700);
    if (rig_run("truncate -s 32M %s && mkfs.ext4 -q -m 0 %s && mount -o loop %s %s", image, image, image, folder) != 0)
        skip();
    fill_up(folder);
    unmount(folder);
}

/* ---- Errors anywhere. ---------------------------------------------------------------------------------------------- */

static uint64_t fate_random;
static unsigned fate_in;

static int sometimes_fails(struct log_file *log, const struct file_io *io)
{
    (void)log;
    (void)io;
    return fate_in > 0 && log_random(&fate_random) % fate_in == 0 ? -EIO : 0;
}

/* Any operation may fail. A write that failed left the old content or the new, sector by sector; one that succeeded
 * is there. */
static void test_errors(void **state)
{
    (void)state;
    uint64_t random = rig_seed(), clock = 0;
    enum { RUN = 4, PLACES = 120 };
    unsigned failures = 0;
    for (unsigned round = 0; round < 60; round++) {
        struct rig_image image;
        struct disk *disk = NULL;
        struct disk_error error;
        uint32_t may[PLACES][2] = {0}; /* what a place may hold: the last success, and failures since in one number */
        bool torn[PLACES] = {false};
        rig_image_new(&image, PLACES * RUN * DISK_SECTOR_SIZE, round % 2 ? VHD_MIN_BLOCK : 2 * VHD_MIN_BLOCK);
        uint8_t *data = rig_alloc(2 * VHD_MIN_BLOCK), bits[DISK_SECTOR_SIZE] = {0};
        if (round % 3 == 0) /* blocks with clear bits, over garbage */
            for (uint32_t block = 0; block < image.blocks; block += 2) {
                memset(data, 0xbd, 2 * VHD_MIN_BLOCK);
                rig_image_add(&image, block, 0, bits, data);
            }
        struct log_file *log = log_file_new(&image.file, &random, &clock);
        fate_random = random;
        assert_int_equal(vhd_open_file(&log->file, false, 4, &disk, &error), 0);
        log->fate = sometimes_fails;
        fate_in = 3 + (unsigned)(log_random(&random) % 20);
        for (uint32_t i = 1; i <= 200; i++) {
            uint32_t place = (uint32_t)(log_random(&random) % PLACES);
            fill(data, place, i);
            int result =
                rig_io(disk, DISK_WRITE, (uint64_t)place * RUN * DISK_SECTOR_SIZE, data, RUN * DISK_SECTOR_SIZE);
            failures += result != 0;
            torn[place] = result != 0;
            may[place][result != 0] = i;
            if (result == 0)
                may[place][1] = i;
        }
        fate_in = 0;
        struct log_image left = {0};
        for (unsigned pass = 0; pass < 2; pass++) { /* seen by this process, then by the next */
            uint8_t *bytes = rig_read_all(disk);
            for (uint32_t place = 0; place < PLACES; place++)
                for (uint32_t sector = 0; sector < RUN; sector++) {
                    uint8_t *found = bytes + ((size_t)place * RUN + sector) * DISK_SECTOR_SIZE;
                    uint32_t version;
                    memcpy(&version, found + 4, 4);
                    if (version != may[place][0] &&
                        !(torn[place] && version > may[place][0] && version <= may[place][1]))
                        fail_msg("round %u: place %u holds %u, not %u", round, place, version, may[place][0]);
                    memset(data, 0, DISK_SECTOR_SIZE);
                    if (version)
                        fill(data, place, version);
                    assert_memory_equal(found, data, DISK_SECTOR_SIZE);
                }
            free(bytes);
            log_image_copy(&log->image, &left);
            disk_close(disk);
            if (pass == 0) {
                log = log_file_new(&left, &random, &clock);
                assert_int_equal(vhd_open_file(&log->file, true, 4, &disk, &error), 0);
            }
        }
        log_image_free(&left);
        log_image_free(&image.file);
        free(data);
    }
    print_message("%u writes failed\n", failures);
    assert_true(failures > 0);
}

/* An image whose metadata cannot be read is refused with the reason. */
static void test_errors_at_open(void **state)
{
    (void)state;
    uint64_t random = 1, clock = 0;
    struct rig_image image;
    rig_image_new(&image, 1 << 20, VHD_MIN_BLOCK);
    for (unsigned i = 0; i < 20; i++) {
        struct disk *disk = NULL;
        struct disk_error error = {""};
        struct log_file *log = log_file_new(&image.file, &random, &clock);
        log->fate = sometimes_fails;
        fate_in = 1 + i % 3;
        int result = vhd_open_file(&log->file, false, 4, &disk, &error);
        if (result == 0)
            disk_close(disk);
        else
            assert_true(result == -EIO && error.text[0]);
        assert_true(fate_in > 1 || result == -EIO);
    }
    log_image_free(&image.file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_on_disk), cmocka_unit_test(test_killed_on_tmpfs),
        cmocka_unit_test(test_full_tmpfs),     cmocka_unit_test(test_full_ext4),
        cmocka_unit_test(test_errors),         cmocka_unit_test(test_errors_at_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

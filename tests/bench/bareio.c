/* SPDX-License-Identifier: MIT */
/*
 * What the machine does without a back end: random reads of a file by memcpy() from a mapping, by pread(), or by io_uring, in one thread. Prints how many
 * a second.
 *
 * usage: bareio memcpy|pread|uring FILE BYTES DEPTH SECONDS
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MAX 512u

static int fd;
static char *mapping, *buffers;
static size_t bytes;
static unsigned depth;
static uint64_t places, seed = 1;

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Somewhere in the file. */
static uint64_t place(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % places * bytes;
}

static void die(const char *what)
{
    fprintf(stderr, "bareio: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Each of these does `depth` reads. */
static void by_memcpy(void)
{
    for (unsigned i = 0; i < depth; i++)
        memcpy(buffers + i * bytes, mapping + place(), bytes);
}

static void by_pread(void)
{
    for (unsigned i = 0; i < depth; i++)
        if (pread(fd, buffers + i * bytes, bytes, (off_t)place()) != (ssize_t)bytes)
            die("pread");
}

/* All at once, and all waited for: a ring that is kept full does no worse. */
static void by_uring(void)
{
    static struct io_uring ring;
    static int made;
    struct io_uring_cqe *cqe;

    if (!made && io_uring_queue_init(DEPTH_MAX, &ring, 0) < 0)
        die("io_uring");
    made = 1;
    for (unsigned i = 0; i < depth; i++)
        io_uring_prep_read(io_uring_get_sqe(&ring), fd, buffers + i * bytes, (unsigned)bytes, place());
    if (io_uring_submit_and_wait(&ring, depth) < 0)
        die("io_uring");
    for (unsigned i = 0; i < depth; i++) {
        if (io_uring_wait_cqe(&ring, &cqe) < 0 || cqe->res != (int)bytes)
            die("a read by io_uring");
        io_uring_cqe_seen(&ring, cqe);
    }
}

int main(int argc, char **argv)
{
    void (*reads)(void) = by_memcpy;
    struct stat st;
    uint64_t count = 0;

    if (argc != 6)
        return 2;
    if (strcmp(argv[1], "pread") == 0)
        reads = by_pread;
    else if (strcmp(argv[1], "uring") == 0)
        reads = by_uring;
    bytes = strtoul(argv[3], NULL, 10);
    depth = (unsigned)strtoul(argv[4], NULL, 10);
    fd = open(argv[2], O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        die(argv[2]);
    if (bytes == 0 || depth == 0 || depth > DEPTH_MAX || (uint64_t)st.st_size < bytes)
        return 2;
    places = (uint64_t)st.st_size / bytes;
    mapping = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    buffers = aligned_alloc(4096, (depth * bytes + 4095) / 4096 * 4096);
    if (mapping == MAP_FAILED || !buffers)
        die("memory");

    const double seconds = strtod(argv[5], NULL), start = now();
    double end = start;
    for (; end - start < seconds; end = now(), count += depth)
        reads();
    printf("%.0f\n", (double)count / (end - start));
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * To be preloaded into workers: keeps a log of what they ask of io_uring and of what has ended, in their order, in the file that IOLOG names.
 *
 * The file is mapped before the worker closes itself in, and shared by all of them: a count of 8 bytes, then a record for each beginning and each end.
 * tests/lib/iolog.py reads it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RECORDS (UINT64_C(1) << 20)

struct record {
    uint64_t io;     /* which, of those under way */
    uint64_t offset; /* bytes */
    uint32_t pid;
    uint8_t begins;
    uint8_t op; /* IORING_OP_* */
    uint8_t pad[2];
};

struct logged {
    _Atomic uint64_t count;
    struct record records[RECORDS];
};

static struct logged *logged;
static int (*real_submit)(struct io_uring *ring);
static unsigned (*real_peek)(struct io_uring *ring, struct io_uring_cqe **cqes, unsigned count);

int io_uring_submit(struct io_uring *ring);
unsigned io_uring_peek_batch_cqe(struct io_uring *ring, struct io_uring_cqe **cqes, unsigned count);

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("IOLOG");

    *(void **)&real_submit = dlsym(RTLD_NEXT, "io_uring_submit");
    *(void **)&real_peek = dlsym(RTLD_NEXT, "io_uring_peek_batch_cqe");
    if (path == NULL || strncmp(program_invocation_short_name, "blkbackd-worker", 15) != 0)
        return;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof *logged) < 0)
        abort();
    logged = mmap(NULL, sizeof *logged, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (logged == MAP_FAILED)
        abort();
    close(fd);
}

static void add(const struct record *record)
{
    uint64_t place = atomic_load(&logged->count);

    if (place == RECORDS)
        abort();
    logged->records[place] = *record;
    logged->records[place].pid = (uint32_t)getpid();
    atomic_store(&logged->count, place + 1); /* one worker at a time has the disk */
}

int io_uring_submit(struct io_uring *ring)
{
    for (unsigned i = ring->sq.sqe_head; logged != NULL && i != ring->sq.sqe_tail; i++) {
        const struct io_uring_sqe *sqe = &ring->sq.sqes[i & (*ring->sq.kring_entries - 1)];
        add(&(struct record){.begins = 1, .op = sqe->opcode, .offset = sqe->off, .io = sqe->user_data});
    }
    return real_submit(ring);
}

unsigned io_uring_peek_batch_cqe(struct io_uring *ring, struct io_uring_cqe **cqes, unsigned count)
{
    unsigned found = real_peek(ring, cqes, count);

    for (unsigned i = 0; logged != NULL && i < found; i++)
        add(&(struct record){.io = cqes[i]->user_data});
    return found;
}

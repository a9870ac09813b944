/* SPDX-License-Identifier: MIT */
/*
 * I/O by io_uring.
 *
 * The ring is made disabled, given its files, restricted to reads, writes, syncs and holes of registered files, and only
 * then enabled: a process that later closes itself in behind seccomp (which does not see what goes through a ring)
 * can reach nothing but this image, and needs io_uring_enter() alone.
 *
 * The fence descriptor is registered beside the image. The kernel lets go of registered files when the ring is freed,
 * which is after its last request ended, also when the process was killed: who holds the other end of that pipe sees
 * it hang up then.
 *
 * The ring's own descriptor is the one to poll: readable while completions wait, so there is no eventfd to drain.
 */
#include "file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Indices of the registered files: the image, the fence, the parents. */
#define URING_IMAGE  0
#define URING_FENCE  1
#define URING_PARENT 2

#define URING_SPARE  8 /* operations beyond the caller's depth: a kind's own metadata */
#define URING_REAPED 64

struct uring_file {
    struct file file;
    int *fds; /* by member */
    unsigned fd_count;
    struct io_uring ring;
};

static struct io_uring_sqe *uring_get_sqe(struct uring_file *uring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
    if (sqe)
        return sqe;
    /* More started at once than the ring has room for: what is in it goes to the kernel, which empties it. */
    file_kick(&uring->file);
    return io_uring_get_sqe(&uring->ring);
}

static void uring_start(struct file *file, struct file_io *io)
{
    struct uring_file *uring = (struct uring_file *)file;
    struct io_uring_sqe *sqe = uring_get_sqe(uring);
    int index = io->member == 0 ? URING_IMAGE : URING_PARENT + (int)io->member - 1;
    int count = 0;
    const struct iovec *iov;
    switch (io->op) {
    case FILE_READ:
        iov = file_io_next(io, &count);
        if (count == 1)
            io_uring_prep_read(sqe, index, iov->iov_base, (unsigned)iov->iov_len, io->offset);
        else
            io_uring_prep_readv(sqe, index, iov, (unsigned)count, io->offset);
        break;
    case FILE_WRITE:
        iov = file_io_next(io, &count);
        if (count == 1)
            io_uring_prep_write(sqe, index, iov->iov_base, (unsigned)iov->iov_len, io->offset);
        else
            io_uring_prep_writev(sqe, index, iov, (unsigned)count, io->offset);
        break;
    case FILE_SYNC:
        io_uring_prep_fsync(sqe, index, IORING_FSYNC_DATASYNC);
        break;
    case FILE_PUNCH:
        io_uring_prep_fallocate(sqe, index, FILE_PUNCH_MODE, (off_t)io->offset, (off_t)io->length);
        break;
    }
    /* What could not be done without waiting may wait, in a thread of the kernel's. */
    io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE | (io->retries > 0 ? IOSQE_ASYNC : 0));
    io_uring_sqe_set_data(sqe, io);
}

static void uring_kick(struct file *file)
{
    struct uring_file *uring = (struct uring_file *)file;
    while (io_uring_sq_ready(&uring->ring) > 0) {
        int returned = io_uring_submit(&uring->ring);
        if (returned == -EAGAIN || returned == -EBUSY)
            poll(NULL, 0, 1); /* the kernel is short of memory for requests */
        else if (returned < 0 && returned != -EINTR)
            abort(); /* the ring is not what we made: nothing it says can be trusted */
    }
}

static unsigned uring_poll(struct file *file, bool wait)
{
    struct uring_file *uring = (struct uring_file *)file;
    struct io_uring_cqe *cqes[URING_REAPED];
    unsigned ended = 0;

    if (wait && file->in_flight > 0) {
        struct io_uring_cqe *first;
        while (io_uring_wait_cqe(&uring->ring, &first) == -EINTR)
            ;
    }
    unsigned count;
    while ((count = io_uring_peek_batch_cqe(&uring->ring, cqes, URING_REAPED)) > 0) {
        for (unsigned i = 0; i < count; i++) {
            struct file_io *io = io_uring_cqe_get_data(cqes[i]);
            int returned = cqes[i]->res;
            if (file_io_account(io, returned)) {
                file_io_end(file, io);
                ended++;
            } else {
                uring_start(file, io);
            }
        }
        io_uring_cq_advance(&uring->ring, count);
    }
    return ended;
}

static void uring_close(struct file *file)
{
    struct uring_file *uring = (struct uring_file *)file;
    io_uring_queue_exit(&uring->ring);
    for (unsigned i = 0; i < uring->fd_count; i++)
        close(uring->fds[i]);
    free(uring->fds);
    free(uring);
}

static const struct file_ops uring_ops = {
    .name = "io_uring",
    .start = uring_start,
    .kick = uring_kick,
    .poll = uring_poll,
    .close = uring_close,
};

/* The shared library of liburing 2.3 does not export its functions for these two. */
static int uring_register(struct io_uring *ring, unsigned opcode, const void *argument, unsigned count)
{
    return syscall(__NR_io_uring_register, ring->ring_fd, opcode, argument, count) < 0 ? -errno : 0;
}

static int uring_restrict(struct io_uring *ring)
{
    static const uint8_t allowed[] = {IORING_OP_READ,   IORING_OP_READV, IORING_OP_WRITE,
                                      IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_FALLOCATE};
    struct io_uring_restriction restrictions[sizeof allowed + 2];
    unsigned count = 0;

    memset(restrictions, 0, sizeof restrictions);
    for (; count < sizeof allowed; count++) {
        restrictions[count].opcode = IORING_RESTRICTION_SQE_OP;
        restrictions[count].sqe_op = allowed[count];
    }
    restrictions[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    restrictions[count++].sqe_flags = IOSQE_FIXED_FILE | IOSQE_ASYNC;
    restrictions[count].opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
    restrictions[count++].sqe_flags = IOSQE_FIXED_FILE;
    return uring_register(ring, IORING_REGISTER_RESTRICTIONS, restrictions, count);
}

/* Registers what the ring may reach. `files` has room for the parents and URING_PARENT more. */
static int uring_register_files(struct uring_file *uring, const struct disk_params *params, int *files)
{
    files[URING_IMAGE] = params->fd;
    files[URING_FENCE] = params->fence_fd; /* -1: an empty place */
    for (unsigned i = 0; i < params->parent_count; i++)
        files[URING_PARENT + i] = params->parents[i];
    return io_uring_register_files(&uring->ring, files, URING_PARENT + params->parent_count);
}

int file_open_uring(const struct disk_params *params, struct file **ret_file)
{
    int result = -ENOMEM;
    struct uring_file *uring = calloc(1, sizeof *uring);
    int *fds = calloc(params->parent_count + 1, sizeof *fds);
    int *files = calloc(params->parent_count + URING_PARENT, sizeof *files);
    if (!uring || !fds || !files)
        goto free_file;
    result = io_uring_queue_init(params->depth + URING_SPARE, &uring->ring, IORING_SETUP_R_DISABLED);
    if (result < 0)
        goto free_file;

    result = uring_register_files(uring, params, files);
    if (result < 0)
        goto exit_ring;
    result = uring_restrict(&uring->ring);
    if (result < 0)
        goto exit_ring;
    result = uring_register(&uring->ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    if (result < 0)
        goto exit_ring;

    fds[0] = params->fd;
    if (params->parent_count > 0)
        memcpy(fds + 1, params->parents, params->parent_count * sizeof *fds);
    free(files);
    uring->file.ops = &uring_ops;
    uring->file.poll_fd = uring->ring.ring_fd;
    uring->fds = fds;
    uring->fd_count = params->parent_count + 1;
    *ret_file = &uring->file;
    return 0;

exit_ring:
    io_uring_queue_exit(&uring->ring);
free_file:
    free(files);
    free(fds);
    free(uring);
    return result;
}

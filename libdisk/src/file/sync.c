/* SPDX-License-Identifier: MIT */
/*
 * I/O on the spot: what was started is carried out within file_kick(), in the order in which it came.
 *
 * Reads that follow each other, in the queue and in the file, are one system call, and so are writes: that is what a guest's
 * sequential I/O comes as. When such a call ends early or fails, its operations go on one by one, so that an error is the error of its
 * own operation.
 */
#include "file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define SYNC_MERGED 64 /* most buffers in a merged call */

struct sync_file {
    struct file file;
    int *fds; /* by member */
    unsigned fd_count;
    struct file_io_list started;
};

static int64_t sync_transfer(int fd, enum file_op op, const struct iovec *iov, int count, uint64_t offset)
{
    ssize_t returned;
    if (op == FILE_READ && count == 1) /* without a list to copy it is a little cheaper */
        returned = pread(fd, iov->iov_base, iov->iov_len, (off_t)offset);
    else if (op == FILE_READ)
        returned = preadv(fd, iov, count, (off_t)offset);
    else if (count == 1)
        returned = pwrite(fd, iov->iov_base, iov->iov_len, (off_t)offset);
    else
        returned = pwritev(fd, iov, count, (off_t)offset);
    return returned < 0 ? -errno : returned;
}

static int64_t sync_call(int fd, struct file_io *io)
{
    if (io->op == FILE_SYNC)
        return fdatasync(fd) < 0 ? -errno : 0;
    if (io->op == FILE_PUNCH)
        return fallocate(fd, FILE_PUNCH_MODE, (off_t)io->offset, (off_t)io->length) < 0 ? -errno : 0;
    int count = 0;
    const struct iovec *iov = file_io_next(io, &count);
    return sync_transfer(fd, io->op, iov, count, io->offset);
}

static void sync_run(struct sync_file *sync, struct file_io *io)
{
    while (!file_io_account(io, sync_call(sync->fds[io->member], io)))
        ;
}

/* Appends the buffers of an operation to the `*count` there are. False when it does not fit. */
static bool sync_add(struct file_io *io, struct iovec *iov, int *count)
{
    int own = 0;
    size_t length = 0;
    const struct iovec *next = file_io_next(io, &own);
    if (own < 1 || own > SYNC_MERGED - *count)
        return false;
    for (int i = 0; i < own; i++) {
        iov[*count + i] = next[i];
        length += next[i].iov_len;
    }
    if (length != io->length)
        return false;
    *count += own;
    return true;
}

/* Carries out the operations from the first of those started to the last, exclusively, in one call as far as it goes. */
static void sync_run_merged(struct sync_file *sync, const struct file_io *end, const struct iovec *iov, int count)
{
    struct file_io *io = TAILQ_FIRST(&sync->started);
    int64_t left = sync_transfer(sync->fds[io->member], io->op, iov, count, io->offset);
    for (; io != end; io = TAILQ_NEXT(io, entry)) {
        int64_t part = left < (int64_t)io->length ? left : (int64_t)io->length;
        if (part > 0)
            left -= part;
        if (part <= 0 || !file_io_account(io, part))
            sync_run(sync, io);
    }
}

/* Whether `io` goes on where one that ends at `end` leaves off. */
static bool sync_follows(const struct file_io *io, const struct file_io *first, uint64_t end)
{
    return io && (io->op == FILE_READ || io->op == FILE_WRITE) && io->op == first->op && io->member == first->member &&
           io->offset == end;
}

static void sync_kick(struct file *file)
{
    struct sync_file *sync = (struct sync_file *)file;
    struct iovec iov[SYNC_MERGED];
    struct file_io *first, *io;
    while ((first = TAILQ_FIRST(&sync->started))) {
        uint64_t end = first->offset + first->length;
        int count = 0;
        io = TAILQ_NEXT(first, entry);
        if (sync_follows(io, first, end) && sync_add(first, iov, &count)) {
            while (sync_follows(io, first, end) && sync_add(io, iov, &count)) {
                end += io->length;
                io = TAILQ_NEXT(io, entry);
            }
            sync_run_merged(sync, io, iov, count);
        } else {
            sync_run(sync, first);
        }
        while ((first = TAILQ_FIRST(&sync->started)) != io) {
            TAILQ_REMOVE(&sync->started, first, entry);
            TAILQ_INSERT_TAIL(&file->ended, first, entry);
        }
    }
}

static void sync_start(struct file *file, struct file_io *io)
{
    struct sync_file *sync = (struct sync_file *)file;
    TAILQ_INSERT_TAIL(&sync->started, io, entry);
}

static void sync_close(struct file *file)
{
    struct sync_file *sync = (struct sync_file *)file;
    for (unsigned i = 0; i < sync->fd_count; i++)
        close(sync->fds[i]);
    free(sync->fds);
    free(sync);
}

static const struct file_ops sync_ops = {
    .name = "pread",
    .start = sync_start,
    .kick = sync_kick,
    .poll = file_poll_ended,
    .close = sync_close,
};

int file_open_sync(const struct disk_params *params, struct file **ret_file)
{
    struct sync_file *sync = calloc(1, sizeof *sync);
    int *fds = calloc(params->parent_count + 1, sizeof *fds);
    if (!sync || !fds) {
        free(sync);
        free(fds);
        return -ENOMEM;
    }
    fds[0] = params->fd;
    if (params->parent_count > 0)
        memcpy(fds + 1, params->parents, params->parent_count * sizeof *fds);
    sync->file.ops = &sync_ops;
    sync->file.poll_fd = -1;
    sync->fds = fds;
    sync->fd_count = params->parent_count + 1;
    TAILQ_INIT(&sync->started);
    TAILQ_INIT(&sync->file.ended);
    *ret_file = &sync->file;
    return 0;
}

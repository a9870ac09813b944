/* SPDX-License-Identifier: MIT */
/*
 * I/O on the spot: an operation is carried out within file_start() and waits in a list for file_poll() to announce it, so that
 * a completion that starts the next operation does not recurse.
 */
#include "file/file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

struct sync_file {
    struct file file;
    int fd;
    TAILQ_HEAD(, file_io) ended; /* carried out, not announced */
};

static int64_t sync_call(int fd, struct file_io *io)
{
    int count = 0;
    const struct iovec *iov;
    ssize_t returned = -1;
    switch (io->op) {
    case FILE_READ:
        iov = file_io_next(io, &count);
        returned = preadv(fd, iov, count, (off_t)io->offset);
        break;
    case FILE_WRITE:
        iov = file_io_next(io, &count);
        returned = pwritev(fd, iov, count, (off_t)io->offset);
        break;
    case FILE_SYNC:
        returned = fdatasync(fd);
        break;
    }
    return returned < 0 ? -errno : returned;
}

static void sync_start(struct file *file, struct file_io *io)
{
    struct sync_file *sync = (struct sync_file *)file;
    while (!file_io_account(io, sync_call(sync->fd, io)))
        ;
    TAILQ_INSERT_TAIL(&sync->ended, io, entry);
}

static void sync_kick(struct file *file)
{
    (void)file; /* nothing is ever left to hand over */
}

static unsigned sync_poll(struct file *file, bool wait)
{
    struct sync_file *sync = (struct sync_file *)file;
    struct file_io *io;
    unsigned count = 0;
    (void)wait; /* what was started has ended */
    while ((io = TAILQ_FIRST(&sync->ended))) {
        TAILQ_REMOVE(&sync->ended, io, entry);
        file_io_end(file, io);
        count++;
    }
    return count;
}

static void sync_close(struct file *file)
{
    struct sync_file *sync = (struct sync_file *)file;
    close(sync->fd);
    free(sync);
}

static const struct file_ops sync_ops = {
    .name = "pread",
    .start = sync_start,
    .kick = sync_kick,
    .poll = sync_poll,
    .close = sync_close,
};

int file_open_sync(int fd, struct file **ret_file)
{
    struct sync_file *sync = calloc(1, sizeof *sync);
    if (!sync)
        return -ENOMEM;
    sync->file.ops = &sync_ops;
    sync->file.poll_fd = -1;
    sync->fd = fd;
    TAILQ_INIT(&sync->ended);
    *ret_file = &sync->file;
    return 0;
}

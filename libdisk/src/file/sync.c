/* SPDX-License-Identifier: MIT */
/* I/O on the spot: an operation is one system call after the other within file_start(). */
#include "file/file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

struct sync_file {
    struct file file;
    int fd;
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
    TAILQ_INSERT_TAIL(&file->ended, io, entry);
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
    .kick = file_kick_nothing,
    .poll = file_poll_ended,
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
    TAILQ_INIT(&sync->file.ended);
    *ret_file = &sync->file;
    return 0;
}

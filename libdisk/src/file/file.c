/* SPDX-License-Identifier: MIT */
/* The half of the engine that does not depend on how I/O reaches the kernel: cursors, short transfers, the choice of
 * engine. */
#include "file/file.h"

#include <errno.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kind.h"

#define FILE_RETRIES 16 /* times an operation is tried again after EINTR or EAGAIN before the error is passed on */

/* ---- Cursors. ------------------------------------------------------------------------------------------------------ */

void file_io_single(struct file_io *io, enum file_op op, uint64_t offset, void *buffer, size_t length)
{
    io->op = op;
    io->member = 0;
    io->offset = offset;
    io->single = (struct iovec){.iov_base = buffer, .iov_len = length};
    io->iov = &io->single;
    io->skip = 0;
    io->length = length;
}

const struct iovec *file_io_next(struct file_io *io, int *ret_count)
{
    /* Whole buffers to the end, and not too many: no copy of the array is needed. */
    size_t left = io->length;
    int count = 0;
    if (io->skip == 0) {
        while (left > 0 && count < IOV_MAX && io->iov[count].iov_len <= left)
            left -= io->iov[count++].iov_len;
        if (left == 0 || count == IOV_MAX) {
            *ret_count = count;
            return io->iov;
        }
    }

    left = io->length;
    size_t skip = io->skip;
    for (count = 0; count < FILE_SLICE && left > 0; count++) {
        size_t length = io->iov[count].iov_len - skip;
        if (length > left)
            length = left;
        io->slice[count] = (struct iovec){.iov_base = (char *)io->iov[count].iov_base + skip, .iov_len = length};
        left -= length;
        skip = 0;
    }
    *ret_count = count;
    return io->slice;
}

void file_io_advance(struct file_io *io, size_t count)
{
    io->offset += count;
    io->length -= count;
    io->skip += count;
    while (io->skip > 0 && io->skip >= io->iov->iov_len) {
        io->skip -= io->iov->iov_len;
        io->iov++;
    }
}

bool file_io_is_zero(const struct file_io *io, size_t length)
{
    const struct iovec *iov = io->iov;
    for (size_t skip = io->skip; length > 0; skip = 0, iov++) {
        const char *bytes = (const char *)iov->iov_base + skip;
        size_t part = iov->iov_len - skip < length ? iov->iov_len - skip : length;
        if (part > 0 && (bytes[0] != 0 || memcmp(bytes, bytes + 1, part - 1) != 0))
            return false;
        length -= part;
    }
    return true;
}

bool file_io_account(struct file_io *io, int64_t returned)
{
    if ((returned == -EINTR || returned == -EAGAIN) && io->retries < FILE_RETRIES) {
        io->retries++;
        return false;
    }
    if (returned < 0) {
        io->result = (int)returned;
        return true;
    }
    if (io->op == FILE_SYNC || io->op == FILE_PUNCH) {
        io->result = 0;
        return true;
    }
    if (returned == 0 && io->length > 0) { /* the end of a file that was longer when it was opened */
        io->result = -EIO;
        return true;
    }
    io->retries = 0;
    file_io_advance(io, (size_t)returned);
    io->result = 0;
    return io->length == 0;
}

/* ---- Operations. --------------------------------------------------------------------------------------------------- */

void file_start(struct file *file, struct file_io *io)
{
    io->retries = 0;
    file->in_flight++;
    file->ops->start(file, io);
}

void file_kick(struct file *file)
{
    file->ops->kick(file);
}

unsigned file_poll(struct file *file, bool wait)
{
    return file->ops->poll(file, wait);
}

void file_io_end(struct file *file, struct file_io *io)
{
    file->in_flight--;
    io->done(io);
}

void file_kick_nothing(struct file *file)
{
    (void)file; /* nothing is ever left to hand over */
}

unsigned file_poll_ended(struct file *file, bool wait)
{
    struct file_io *io;
    unsigned count = 0;
    (void)wait; /* what was started has ended */
    while ((io = TAILQ_FIRST(&file->ended))) {
        TAILQ_REMOVE(&file->ended, io, entry);
        file_io_end(file, io);
        count++;
    }
    return count;
}

void file_drain(struct file *file)
{
    while (file->in_flight > 0) {
        file_kick(file);
        file_poll(file, true);
    }
}

static void file_run_done(struct file_io *io)
{
    (void)io; /* file_drain() saw it end */
}

int64_t file_run(struct file *file, unsigned member, enum file_op op, uint64_t offset, void *buffer, size_t length)
{
    struct file_io io = {.done = file_run_done};
    file_io_single(&io, op, offset, buffer, length);
    io.member = member;
    file_start(file, &io);
    file_drain(file);
    return io.result < 0 && io.length == length ? io.result : (int64_t)(length - io.length);
}

uint64_t file_size(const struct file *file, unsigned member)
{
    return member == 0 ? file->size : file->parent_sizes[member - 1];
}

int64_t file_measure(const struct file *file)
{
    struct stat st;
    uint64_t size = 0;
    if (file->is_block_device)
        return ioctl(file->fd, BLKGETSIZE64, &size) < 0 ? -errno : (int64_t)size;
    return fstat(file->fd, &st) < 0 ? -errno : (int64_t)st.st_size;
}

/* ---- The choice of engine. ----------------------------------------------------------------------------------------- */

/* A file system without RWF_NOWAIT would have io_uring hand each request to a thread, at more than the cost of the
 * copy. */
static bool file_takes_nowait(int fd)
{
    void *buffer = NULL;
    if (posix_memalign(&buffer, 4096, 4096) != 0)
        return false;
    struct iovec iov = {.iov_base = buffer, .iov_len = 4096};
    bool takes = preadv2(fd, &iov, 1, 0, RWF_NOWAIT) >= 0 || errno != EOPNOTSUPP;
    free(buffer);
    return takes;
}

static int file_describe(int fd, struct file *file, struct disk_error *ret_error)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return disk_refuse(ret_error, -errno, "cannot stat the image: %s", strerror(errno));
    if (S_ISREG(st.st_mode)) {
        file->size = (uint64_t)st.st_size;
        file->logical_size = DISK_SECTOR_SIZE;
        file->physical_size = 4096;
        return 0;
    }
    if (!S_ISBLK(st.st_mode))
        return disk_refuse(ret_error, -EINVAL, "the image is neither a regular file nor a block device");

    unsigned physical = 0;
    int logical = 0;
    if (ioctl(fd, BLKGETSIZE64, &file->size) < 0 || ioctl(fd, BLKPBSZGET, &physical) < 0 ||
        ioctl(fd, BLKSSZGET, &logical) < 0)
        return disk_refuse(ret_error, -errno, "cannot read the sizes of the block device: %s", strerror(errno));
    file->logical_size = (uint32_t)logical;
    file->physical_size = physical;
    file->is_block_device = true;
    return 0;
}

static int file_describe_parents(const struct disk_params *params, struct file *file, struct disk_error *ret_error)
{
    file->parent_count = params->parent_count;
    if (params->parent_count == 0)
        return 0;
    file->parent_sizes = calloc(params->parent_count, sizeof *file->parent_sizes);
    if (!file->parent_sizes)
        return disk_refuse(ret_error, -ENOMEM, "out of memory for %u parents", params->parent_count);
    for (unsigned i = 0; i < params->parent_count; i++) {
        struct stat st;
        if (fstat(params->parents[i], &st) < 0)
            return disk_refuse(ret_error, -errno, "cannot stat parent %u: %s", i + 1, strerror(errno));
        if (!S_ISREG(st.st_mode))
            return disk_refuse(ret_error, -EINVAL, "parent %u is not a regular file", i + 1);
        file->parent_sizes[i] = (uint64_t)st.st_size;
    }
    return 0;
}

/* The same file twice would be a chain that never ends. */
static int file_check_distinct(const struct disk_params *params, struct disk_error *ret_error)
{
    struct stat one, other;
    for (unsigned i = 0; i <= params->parent_count; i++)
        for (unsigned k = 0; k < i; k++) {
            if (fstat(params->parents[i - 1], &one) < 0 || fstat(k ? params->parents[k - 1] : params->fd, &other) < 0)
                return disk_refuse(ret_error, -errno, "cannot stat a parent: %s", strerror(errno));
            if (one.st_dev == other.st_dev && one.st_ino == other.st_ino)
                return disk_refuse(ret_error, -ELOOP, "the chain of parents is a loop: files %u and %u are the same", k,
                                   i);
        }
    return 0;
}

static bool file_all_take_nowait(const struct disk_params *params)
{
    bool takes = file_takes_nowait(params->fd);
    for (unsigned i = 0; takes && i < params->parent_count; i++)
        takes = file_takes_nowait(params->parents[i]);
    return takes;
}

int file_open(const struct disk_params *params, struct file **ret_file, struct disk_error *ret_error)
{
    struct file about = {0};
    struct file *file = NULL;
    int result = file_describe(params->fd, &about, ret_error);
    if (result == 0)
        result = file_describe_parents(params, &about, ret_error);
    if (result == 0)
        result = file_check_distinct(params, ret_error);
    if (result < 0)
        goto fail;
    /* Without io_uring (old kernel, kernel.io_uring_disabled) every file is served on the spot. */
    if (params->plain || !file_all_take_nowait(params) || file_open_uring(params, &file) < 0)
        result = file_open_sync(params, &file);
    if (result < 0) {
        (void)disk_refuse(ret_error, result, "cannot set up I/O for the image: %s", strerror(-result));
        goto fail;
    }
    file->fd = params->fd;
    file->size = about.size;
    file->logical_size = about.logical_size;
    file->physical_size = about.physical_size;
    file->is_block_device = about.is_block_device;
    file->parent_count = about.parent_count;
    file->parent_sizes = about.parent_sizes;
    *ret_file = file;
    return 0;

fail:
    disk_params_close(params);
    free(about.parent_sizes);
    return result;
}

void file_close(struct file *file)
{
    if (!file)
        return;
    free(file->parent_sizes);
    file->ops->close(file);
}

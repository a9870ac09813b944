/* SPDX-License-Identifier: MIT */
/*
 * Disks, whatever their kind: requests are checked here, counted, given to the kind, and handed back to the caller.
 *
 *     disk_submit   check -> disk_request from the pool -> kind->start ... file_kick: one system call for the batch
 *     disk_reap     file_poll -> completions -> disk_request_finish -> disk.done -> the caller
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "kind.h"

int disk_init(struct disk *disk, const struct disk_kind *kind, struct file *file, bool read_only, unsigned depth)
{
    disk->requests = calloc(depth, sizeof *disk->requests);
    if (!disk->requests)
        return -ENOMEM;
    TAILQ_INIT(&disk->free_requests);
    TAILQ_INIT(&disk->done);
    for (unsigned i = 0; i < depth; i++) {
        disk->requests[i].disk = disk;
        TAILQ_INSERT_TAIL(&disk->free_requests, &disk->requests[i], entry);
    }
    disk->kind = kind;
    disk->file = file;
    disk->info = (struct disk_info){
        .size = file->size,
        .sector_size = DISK_SECTOR_SIZE,
        .physical_sector_size = file->physical_size,
        .read_only = read_only,
        .discard_secure = kind->discards_securely,
        .engine = file->ops->name,
    };
    return 0;
}

void disk_fini(struct disk *disk)
{
    file_close(disk->file);
    free(disk->requests);
}

int disk_open(const struct disk_params *params, struct disk **ret_disk, struct disk_error *ret_error)
{
    return params->kind->open(params, ret_disk, ret_error);
}

void disk_close(struct disk *disk)
{
    if (!disk)
        return;
    file_drain(disk->file);
    disk->kind->close(disk);
}

void disk_get_info(const struct disk *disk, struct disk_info *ret_info)
{
    *ret_info = disk->info;
}

int disk_fd(const struct disk *disk)
{
    return disk->file->poll_fd;
}

unsigned disk_in_flight(const struct disk *disk)
{
    return disk->in_flight;
}

int disk_ready(struct disk *disk, struct disk_error *ret_error)
{
    return disk->kind->ready ? disk->kind->ready(disk, ret_error) : 1;
}

bool disk_wants_connection(struct disk *disk, struct disk_error *ret_why)
{
    return disk->kind->wants_connection && disk->kind->wants_connection(disk, ret_why);
}

void disk_connect(struct disk *disk, int fd)
{
    if (disk->kind->connect)
        disk->kind->connect(disk, fd);
    else
        close(fd);
}

void disk_params_close(const struct disk_params *params)
{
    if (params->fd >= 0)
        close(params->fd);
    for (unsigned i = 0; i < params->parent_count; i++)
        close(params->parents[i]);
}

static int disk_check_range(const struct disk *disk, const struct disk_io *io, uint64_t *ret_length)
{
    if ((io->offset | io->length) % disk->info.sector_size || io->offset >= disk->info.size || io->length == 0 ||
        io->length > disk->info.size - io->offset)
        return -EINVAL;
    *ret_length = io->length;
    return 0;
}

/* Returns 0 and the bytes asked for, or why the request is refused. */
static int disk_check(const struct disk *disk, const struct disk_io *io, uint64_t *ret_length)
{
    uint64_t length = 0;
    if ((unsigned)io->op >= DISK_OPS)
        return -EINVAL;
    if (io->op >= DISK_DISCARD && !(disk->kind->ops & 1u << io->op))
        return -EOPNOTSUPP;
    if (io->op != DISK_READ && io->op != DISK_FLUSH && disk->info.read_only)
        return -EROFS;
    if (io->op == DISK_DISCARD || io->op == DISK_PULL)
        return disk_check_range(disk, io, ret_length);
    if (io->op != DISK_READ && io->op != DISK_WRITE) {
        *ret_length = 0;
        return 0;
    }
    if (io->offset % disk->info.sector_size || io->offset >= disk->info.size)
        return -EINVAL;
    for (int i = 0; i < io->iov_count; i++) {
        size_t part = io->iov[i].iov_len;
        if (part == 0 || (part | (uintptr_t)io->iov[i].iov_base) % DISK_SECTOR_SIZE)
            return -EINVAL;
        if (part > disk->info.size - io->offset - length)
            return -EINVAL;
        length += part;
    }
    if (length == 0 || length % disk->info.sector_size)
        return -EINVAL;
    *ret_length = length;
    return 0;
}

static void disk_io_finish(struct disk *disk, struct disk_io *io, int result)
{
    io->result = result;
    TAILQ_INSERT_TAIL(&disk->done, io, entry);
}

void disk_request_finish(struct disk_request *request, int result)
{
    struct disk *disk = request->disk;
    disk_io_finish(disk, request->io, result);
    TAILQ_INSERT_HEAD(&disk->free_requests, request, entry);
}

static void disk_request_passed(struct file_io *file_io)
{
    bool vain = file_io->op == FILE_PUNCH && file_io->result == -EOPNOTSUPP; /* a discard is advice */
    disk_request_finish((struct disk_request *)file_io, vain ? 0 : file_io->result);
}

void disk_request_pass(struct disk_request *request)
{
    static const enum file_op ops[DISK_OPS] = {
        [DISK_READ] = FILE_READ,
        [DISK_WRITE] = FILE_WRITE,
        [DISK_FLUSH] = FILE_SYNC,
        [DISK_DISCARD] = FILE_PUNCH,
    };
    struct file_io *file_io = &request->file_io;
    file_io->op = ops[request->io->op];
    file_io->member = 0;
    file_io->offset = request->io->offset;
    file_io->length = request->length;
    file_io->done = disk_request_passed;
    file_start(request->disk->file, file_io);
}

static void disk_start(struct disk *disk, struct disk_io *io)
{
    uint64_t length = 0;
    io->copied = 0;
    disk->in_flight++;
    int result = disk_check(disk, io, &length);
    struct disk_request *request = TAILQ_FIRST(&disk->free_requests);
    if (result == 0 && !request)
        result = -EBUSY; /* more than the depth the disk was opened with */
    if (result < 0) {
        disk_io_finish(disk, io, result);
        return;
    }
    TAILQ_REMOVE(&disk->free_requests, request, entry);
    request->io = io;
    request->length = length;
    request->done = 0;
    request->layer = 0;
    request->place = 0;
    request->slot = NULL;
    request->file_io.iov = io->iov;
    request->file_io.skip = 0;
    disk->kind->start(disk, request);
}

void disk_submit(struct disk *disk, struct disk_io *const *ios, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        disk_start(disk, ios[i]);
    if (disk->file->poll_fd < 0)
        file_drain(disk->file); /* there is no descriptor to wait on: all of it ends here */
    else
        file_kick(disk->file);
}

unsigned disk_reap(struct disk *disk, struct disk_io **ret_ios, unsigned max)
{
    struct disk_io *io;
    unsigned count = 0;
    file_poll(disk->file, false);
    file_kick(disk->file); /* completions may have started what follows them */
    while (count < max && (io = TAILQ_FIRST(&disk->done))) {
        TAILQ_REMOVE(&disk->done, io, entry);
        ret_ios[count++] = io;
    }
    disk->in_flight -= count;
    return count;
}

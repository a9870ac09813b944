/* SPDX-License-Identifier: MIT */
/*
 * I/O by memcpy() from and to a mapping of the file: over twice as fast as pread() for 4 KiB (1.5 million a second
 * against 0.63 million on the machine this was measured on), since there is no system call.
 *
 * A page that is not there, and cannot be made, would be a SIGBUS. So the file must have all of its memory before it
 * is mapped: whoever opens the source sees to that, and here it is checked.
 */
#include "ram/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kind.h"

struct map_file {
    struct file file;
    char *bytes;
};

static void map_copy(struct map_file *map, struct file_io *io)
{
    int count;
    while (io->length > 0) {
        const struct iovec *iov = file_io_next(io, &count);
        size_t length = iov->iov_len;
        if (io->op == FILE_READ)
            memcpy(iov->iov_base, map->bytes + io->offset, length);
        else
            memcpy(map->bytes + io->offset, iov->iov_base, length);
        file_io_advance(io, length);
    }
}

static void map_start(struct file *file, struct file_io *io)
{
    struct map_file *map = (struct map_file *)file;
    io->result = 0;
    if (io->op == FILE_PUNCH) /* all of the memory was promised: a hole could not be filled again for certain */
        memset(map->bytes + io->offset, 0, io->length);
    if (io->op == FILE_READ || io->op == FILE_WRITE) /* memory has nothing more stable behind it to sync to */
        map_copy(map, io);
    TAILQ_INSERT_TAIL(&file->ended, io, entry);
}

static void map_close(struct file *file)
{
    struct map_file *map = (struct map_file *)file;
    munmap(map->bytes, file->size);
    free(map);
}

static const struct file_ops map_ops = {
    .name = "mmap",
    .start = map_start,
    .kick = file_kick_nothing,
    .poll = file_poll_ended,
    .close = map_close,
};

int map_open(int fd, bool read_only, struct file **ret_file, struct disk_error *ret_error)
{
    struct stat st;
    int result = 0;
    struct map_file *map = calloc(1, sizeof *map);
    if (!map) {
        result = disk_refuse(ret_error, -ENOMEM, "out of memory");
        goto fail;
    }
    if (fstat(fd, &st) < 0) {
        result = disk_refuse(ret_error, -errno, "cannot stat the RAM disk's file: %s", strerror(errno));
        goto fail;
    }
    if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_blocks * 512 < st.st_size) {
        result = disk_refuse(ret_error, -EINVAL, "the RAM disk's file does not have all of its memory");
        goto fail;
    }
    map->bytes = mmap(NULL, (size_t)st.st_size, read_only ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map->bytes == MAP_FAILED) {
        result = disk_refuse(ret_error, -errno, "cannot map the RAM disk's file: %s", strerror(errno));
        goto fail;
    }
    map->file = (struct file){
        .ops = &map_ops,
        .size = (uint64_t)st.st_size,
        .physical_size = 4096,
        .poll_fd = -1,
    };
    TAILQ_INIT(&map->file.ended);
    *ret_file = &map->file;
    close(fd); /* the mapping holds the file, and the lock on it */
    return 0;

fail:
    close(fd);
    free(map);
    return result;
}

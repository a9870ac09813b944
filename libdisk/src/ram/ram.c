/* SPDX-License-Identifier: MIT */
/*
 * ram: a disk in memory, that is in a file on a tmpfs, so that its content outlives the process that serves it.
 *
 * The file gets all of its memory when it is made: a tmpfs that is too full is found out when the disk is attached,
 * not by the guest. So a discard makes zeros, and gives nothing back: what was discarded is
 * overwritten where it was, but for what the host has written to a swap device.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ram/map.h"
#include "raw/raw.h"

static int ram_source_parse(const char *text, struct disk_source *source, struct disk_error *ret_error)
{
    static const char units[] = "KMGT";
    uint64_t size = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(size, 10u, &size) || __builtin_add_overflow(size, (unsigned)(*at - '0'), &size))
            return disk_refuse(ret_error, -EINVAL, "the size \"%.40s\" is too large", text);
    const char *unit = *at ? strchr(units, *at) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (at == text || (*at && !unit) || (unit && at[1]))
        return disk_refuse(ret_error, -EINVAL, "\"%.40s\" is no size: digits, then K, M, G, T or nothing", text);
    if (size > (uint64_t)INT64_MAX >> shift)
        return disk_refuse(ret_error, -EINVAL, "the size \"%.40s\" is too large", text);
    size <<= shift;
    if (size == 0 || size % DISK_SECTOR_SIZE)
        return disk_refuse(ret_error, -EINVAL, "the size \"%.40s\" is not a positive multiple of %u bytes", text,
                           DISK_SECTOR_SIZE);
    source->size = size;
    return 0;
}

static int ram_allocate(int fd, const struct disk_source *source, struct disk_error *ret_error)
{
    int result;
    do
        result = fallocate(fd, 0, 0, (off_t)source->size);
    while (result < 0 && errno == EINTR);
    if (result < 0)
        return disk_refuse(ret_error, -errno, "no memory for %.180s: %s", source->path, strerror(errno));
    return 0;
}

/* Makes the file if it may be made, or continues what is there: one whose maker died before it had its size or its
 * memory gets them now. */
static int ram_prepare(const struct disk_source *source, struct disk_error *ret_error)
{
    const int flags = O_RDWR | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK;
    int fd = open(source->path, flags | (source->create ? O_CREAT : 0), 0600);
    if (fd < 0)
        return disk_refuse(ret_error, -errno, "cannot %s %.180s: %s", source->create ? "create" : "continue",
                           source->path, strerror(errno));
    struct stat st;
    int result = 0;
    if (fstat(fd, &st) < 0)
        result = disk_refuse(ret_error, -errno, "cannot stat %.180s: %s", source->path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        result = disk_refuse(ret_error, -EINVAL, "%.180s is not a regular file", source->path);
    else if ((st.st_size != 0 || !source->create) && (uint64_t)st.st_size != source->size)
        result = disk_refuse(ret_error, -EINVAL, "%.120s holds a disk of %" PRId64 " bytes, not of %" PRIu64,
                             source->path, (int64_t)st.st_size, source->size);
    else if (st.st_blocks * 512 < (off_t)source->size)
        result = ram_allocate(fd, source, ret_error);
    close(fd);
    return result;
}

static int ram_source_open(const struct disk_source *source, bool read_only, struct disk_error *ret_error)
{
    int result = ram_prepare(source, ret_error);
    return result < 0 ? result : disk_path_open(source, read_only, ret_error);
}

static int ram_open(const struct disk_params *params, struct disk **ret_disk, struct disk_error *ret_error)
{
    struct file *file = NULL;
    int result = map_open(params->fd, params->read_only, &file, ret_error);
    if (result == 0)
        result = raw_open_file(&disk_kind_ram, file, params, ret_disk, ret_error);
    if (result == 0)
        (*ret_disk)->info.discard_granularity = (*ret_disk)->info.physical_sector_size;
    return result;
}

const struct disk_kind disk_kind_ram = {
    .name = "ram",
    .ops = 1u << DISK_DISCARD,
    .discards_securely = true,
    .source_parse = ram_source_parse,
    .source_open = ram_source_open,
    .open = ram_open,
    .close = raw_close,
    .start = raw_start,
};

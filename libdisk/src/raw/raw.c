/* SPDX-License-Identifier: MIT */
/*
 * raw: a file or block device whose bytes are the disk's.
 *
 * A block device's sectors are the disk's, since partition tables count in them. Those of more than 512 bytes are reached through the page cache: direct I/O
 * would have every one of a guest's segments hold whole sectors, and a guest need not cut its memory so.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "raw/raw.h"

void raw_close(struct disk *disk)
{
    disk_fini(disk);
    free(disk);
}

/* The disk gets what somebody has given its file, or less of it. */
static int raw_resize(struct disk *disk, uint64_t size)
{
    int64_t there = file_measure(disk->file);
    if (there < 0)
        return (int)there;
    if (size % disk->info.sector_size || size < disk->info.size || size > (uint64_t)there)
        return -EINVAL;
    disk->info.size = disk->file->size = size;
    return 0;
}

void raw_start(struct disk *disk, struct disk_request *request)
{
    if (request->io->op == DISK_RESIZE)
        disk_request_finish(request, raw_resize(disk, request->io->offset));
    else
        disk_request_pass(request);
}

int raw_open_file(const struct disk_kind *kind, struct file *file, const struct disk_params *params,
                  struct disk **ret_disk, struct disk_error *ret_error)
{
    int result;
    if (file->size == 0 || file->size % DISK_SECTOR_SIZE) {
        result = disk_refuse(ret_error, -EINVAL, "the image has %" PRIu64 " bytes: not a positive multiple of %u",
                             file->size, DISK_SECTOR_SIZE);
        goto close_file;
    }
    struct disk *disk = calloc(1, sizeof *disk);
    if (!disk || disk_init(disk, kind, file, params->read_only, params->depth) < 0) {
        free(disk);
        result = disk_refuse(ret_error, -ENOMEM, "out of memory");
        goto close_file;
    }
    *ret_disk = disk;
    return 0;

close_file:
    file_close(file);
    return result;
}

static int raw_open(const struct disk_params *params, struct disk **ret_disk, struct disk_error *ret_error)
{
    struct file *file = NULL;
    if (params->parent_count > 0) {
        disk_params_close(params);
        return disk_refuse(ret_error, -EINVAL, "a raw image has no parent");
    }
    int result = file_open(params, &file, ret_error);
    if (result == 0)
        result = raw_open_file(&disk_kind_raw, file, params, ret_disk, ret_error);
    if (result == 0) {
        (*ret_disk)->info.sector_size = file->logical_size;
        (*ret_disk)->info.discard_granularity = (*ret_disk)->info.physical_sector_size;
    }
    return result;
}

const struct disk_kind disk_kind_raw = {
    .name = "raw",
    .ops = 1u << DISK_DISCARD | 1u << DISK_RESIZE,
    .source_parse = disk_path_parse,
    .source_open = disk_path_open,
    .open = raw_open,
    .close = raw_close,
    .start = raw_start,
};

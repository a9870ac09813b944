/* SPDX-License-Identifier: MIT */
/*
 * vhd: Microsoft's disk images, fixed and dynamic. vhd.h says how a dynamic one is written; here requests are taken
 * through their blocks, one extent after the other.
 */
#include "vhd/vhd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a request meets at its current place. */
enum vhd_extent {
    VHD_EXTENT_ZERO, /* reads as zeros */
    VHD_EXTENT_DATA, /* is in the file */
    VHD_EXTENT_WAIT, /* waits in a slot */
};

/* The bits of a block from `sector` on that are alike: what they mean, and in `length` how far, at most as far as it
 * was. */
static enum vhd_extent vhd_map_bits(const uint8_t *bits, uint32_t sector, uint64_t *length)
{
    bool set = vhd_bit(bits, sector);
    uint32_t count = 1, most = (uint32_t)(*length / DISK_SECTOR_SIZE);
    while (count < most && vhd_bit(bits, sector + count) == set)
        count++;
    *length = (uint64_t)count * DISK_SECTOR_SIZE;
    return set ? VHD_EXTENT_DATA : VHD_EXTENT_ZERO;
}

/* What is at byte `within` of a block; shortens `length` to what is alike. May make the request wait. */
static enum vhd_extent vhd_map(struct vhd_disk *vhd, struct disk_request *request, uint32_t block, uint32_t within,
                               uint64_t *length)
{
    bool writes = request->io->op == DISK_WRITE;
    if (vhd->map[block] == VHD_MAP_FULL)
        return VHD_EXTENT_DATA;

    struct vhd_slot *slot = vhd_slot_find(vhd, block);
    if (slot && slot->state != VHD_SLOT_READY)
        TAILQ_INSERT_TAIL(&slot->waiters, request, entry);
    else if (slot && !writes)
        return vhd_map_bits(slot->bits, within / DISK_SECTOR_SIZE, length);
    else if (slot)
        vhd_slot_fill(slot, request);
    else if (vhd->image.bat[block] != VHD_ABSENT)
        vhd_slot_load(vhd, block, request);
    else if (writes)
        vhd_slot_allocate(vhd, block, request);
    else
        return VHD_EXTENT_ZERO;
    return VHD_EXTENT_WAIT;
}

static void vhd_transferred(struct file_io *file_io)
{
    struct disk_request *request = (struct disk_request *)file_io;
    if (file_io->result < 0)
        disk_request_finish(request, file_io->result);
    else
        vhd_step((struct vhd_disk *)request->disk, request);
}

static void vhd_zero(struct file_io *file_io)
{
    int count;
    while (file_io->length > 0) {
        const struct iovec *iov = file_io_next(file_io, &count);
        memset(iov->iov_base, 0, iov->iov_len);
        file_io_advance(file_io, iov->iov_len);
    }
}

void vhd_step(struct vhd_disk *vhd, struct disk_request *request)
{
    const struct vhd_image *image = &vhd->image;
    const uint32_t block_size = image->header.block_size;
    struct file_io *file_io = &request->file_io;

    while (request->done < request->length) {
        uint64_t at = request->io->offset + request->done;
        uint32_t block = (uint32_t)(at / block_size), within = (uint32_t)(at % block_size);
        uint64_t length = request->length - request->done;
        if (length > block_size - within)
            length = block_size - within;

        enum vhd_extent extent = vhd_map(vhd, request, block, within, &length);
        if (extent == VHD_EXTENT_WAIT)
            return;
        request->done += length;
        file_io->length = length;
        if (extent == VHD_EXTENT_ZERO) {
            vhd_zero(file_io);
            continue;
        }
        file_io->op = request->io->op == DISK_WRITE ? FILE_WRITE : FILE_READ;
        file_io->offset = ((uint64_t)image->bat[block] + image->bitmap_sectors) * DISK_SECTOR_SIZE + within;
        file_io->done = vhd_transferred;
        file_start(vhd->disk.file, file_io);
        return;
    }
    disk_request_finish(request, 0);
}

static void vhd_start(struct disk *disk, struct disk_request *request)
{
    struct vhd_disk *vhd = (struct vhd_disk *)disk;
    /* What was acknowledged has its metadata written: a flush is a sync and nothing else. */
    if (request->io->op == DISK_FLUSH || vhd->image.footer.type == VHD_FIXED)
        disk_request_pass(request);
    else
        vhd_step(vhd, request);
}

static void vhd_free(struct vhd_disk *vhd)
{
    vhd_pool_fini(vhd);
    vhd_bat_fini(vhd);
    vhd_slots_fini(vhd);
    vhd_image_fini(&vhd->image);
    free(vhd);
}

static void vhd_close(struct disk *disk)
{
    disk_fini(disk);
    vhd_free((struct vhd_disk *)disk);
}

int vhd_open_file(struct file *file, bool read_only, unsigned depth, struct disk **ret_disk,
                  struct disk_error *ret_error)
{
    int result;
    struct vhd_disk *vhd = calloc(1, sizeof *vhd);
    if (!vhd) {
        result = disk_refuse(ret_error, -ENOMEM, "out of memory");
        goto close_file;
    }
    result = vhd_image_load(file, &vhd->image, ret_error);
    if (result < 0)
        goto free_disk;
    vhd->disk.file = file;
    if (vhd->image.footer.type == VHD_DYNAMIC &&
        (vhd_slots_init(vhd, depth) < 0 || vhd_bat_init(vhd) < 0 || vhd_pool_init(vhd) < 0)) {
        result = disk_refuse(ret_error, -ENOMEM, "out of memory for %u blocks", vhd->image.blocks);
        goto free_disk;
    }
    if (disk_init(&vhd->disk, &disk_kind_vhd, file, read_only, depth) < 0) {
        result = disk_refuse(ret_error, -ENOMEM, "out of memory");
        goto free_disk;
    }
    vhd->disk.info.size = vhd->image.size;
    *ret_disk = &vhd->disk;
    return 0;

free_disk:
    vhd_free(vhd);
close_file:
    file_close(file);
    return result;
}

static int vhd_open(const struct disk_params *params, struct disk **ret_disk, struct disk_error *ret_error)
{
    struct file *file = NULL;
    int result = file_open(params->fd, params->fence_fd, params->depth, &file, ret_error);
    if (result < 0)
        return result;
    if (file->is_block_device) {
        file_close(file);
        return disk_refuse(ret_error, -EINVAL, "a VHD image must be in a file: a block device has no end to move");
    }
    return vhd_open_file(file, params->read_only, params->depth, ret_disk, ret_error);
}

const struct disk_kind disk_kind_vhd = {
    .name = "vhd",
    .source_parse = disk_path_parse,
    .source_open = disk_path_open,
    .open = vhd_open,
    .close = vhd_close,
    .start = vhd_start,
};

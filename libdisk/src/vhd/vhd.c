/* SPDX-License-Identifier: MIT */
/*
 * vhd: Microsoft's disk images, fixed, dynamic and differencing. vhd.h says how they are written; here requests are taken
 * through their blocks, one extent after the other.
 */
#include "vhd/vhd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is at byte `within` of a block; shortens `length` to what is alike. May make the request wait. */
static enum vhd_extent vhd_map_read(struct vhd_disk *vhd, struct disk_request *request, uint32_t block, uint32_t within,
                                    uint64_t *length)
{
    if (vhd->map[block] == VHD_MAP_FULL)
        return VHD_EXTENT_DATA;
    struct vhd_slot *slot = vhd_slot_find(vhd, block);
    if (slot && slot->state == VHD_SLOT_READY)
        return vhd_run_of_bits(slot->bits, within / DISK_SECTOR_SIZE, length) ? VHD_EXTENT_DATA : VHD_EXTENT_ABSENT;
    if (slot)
        TAILQ_INSERT_TAIL(&slot->waiters, request, entry);
    else if (vhd->image.bat[block] != VHD_ABSENT)
        vhd_slot_load(vhd, block, request);
    else
        return VHD_EXTENT_ABSENT;
    return VHD_EXTENT_WAIT;
}

/* Zeros where there is nothing, not even a parent, need not be written. */
static bool vhd_is_vain(const struct vhd_disk *vhd, const struct disk_request *request, uint64_t length)
{
    return vhd->parent_count == 0 && file_io_is_zero(&request->file_io, length);
}

/* The same for a write to a block that is not full. */
static enum vhd_extent vhd_map_partial(struct vhd_disk *vhd, struct disk_request *request, struct vhd_slot *slot,
                                       uint32_t within, uint64_t length)
{
    uint64_t alike = length;
    bool set = vhd_run_of_bits(slot->bits, within / DISK_SECTOR_SIZE, &alike);
    if (set && alike == length)
        return VHD_EXTENT_DATA;
    if (!set && alike == length && vhd_is_vain(vhd, request, length))
        return VHD_EXTENT_SKIP;
    if (vhd->parent_count > 0) {
        vhd_slot_pin(slot);
        request->slot = slot; /* whose bits follow */
        return VHD_EXTENT_DATA;
    }
    if (slot->pins > 0)
        vhd_slot_drain(slot, request);
    else
        vhd_slot_fill(slot, request);
    return VHD_EXTENT_WAIT;
}

static enum vhd_extent vhd_map_write(struct vhd_disk *vhd, struct disk_request *request, uint32_t block,
                                     uint32_t within, uint64_t length)
{
    if (vhd->map[block] == VHD_MAP_FULL)
        return VHD_EXTENT_DATA;
    struct vhd_slot *slot = vhd_slot_find(vhd, block);
    if (slot && slot->state == VHD_SLOT_READY)
        return vhd_map_partial(vhd, request, slot, within, length);
    if (slot)
        TAILQ_INSERT_TAIL(&slot->waiters, request, entry);
    else if (vhd->image.bat[block] != VHD_ABSENT)
        vhd_slot_load(vhd, block, request);
    else if (vhd_is_vain(vhd, request, length))
        return VHD_EXTENT_SKIP;
    else
        vhd_slot_allocate(vhd, block, request);
    return VHD_EXTENT_WAIT;
}

/* What is to be done at the request's place: the file's member and offset, when it is data. */
static enum vhd_extent vhd_map(struct vhd_disk *vhd, struct disk_request *request, uint64_t at, uint64_t *length,
                               uint64_t *ret_offset)
{
    const struct vhd_image *image = &vhd->image;
    uint32_t block = (uint32_t)(at / image->header.block_size), within = (uint32_t)(at % image->header.block_size);
    enum vhd_extent extent;
    if (*length > image->header.block_size - within)
        *length = image->header.block_size - within;
    if (request->layer > 0) { /* it has waited for what a parent says */
        if (*length > request->extent)
            *length = request->extent;
        return vhd_chain_map(vhd, request, at, length, ret_offset);
    }
    if (request->io->op == DISK_WRITE)
        extent = vhd_map_write(vhd, request, block, within, *length);
    else
        extent = vhd_map_read(vhd, request, block, within, length);
    if (extent == VHD_EXTENT_DATA)
        *ret_offset = ((uint64_t)image->bat[block] + image->bitmap_sectors) * DISK_SECTOR_SIZE + within;
    if (extent != VHD_EXTENT_ABSENT || vhd->parent_count == 0)
        return extent;
    request->layer = 1;
    request->place = 0;
    return vhd_chain_map(vhd, request, at, length, ret_offset);
}

/* ---- Transfers. ---------------------------------------------------------------------------------------------------- */

void vhd_transfer(struct vhd_disk *vhd, struct disk_request *request, void (*done)(struct file_io *))
{
    request->epoch = vhd->epoch;
    vhd->transfers[request->epoch]++;
    request->file_io.done = done;
    file_start(vhd->disk.file, &request->file_io);
}

void vhd_transfer_ended(struct vhd_disk *vhd, const struct disk_request *request)
{
    if (--vhd->transfers[request->epoch] == 0 && request->epoch != vhd->epoch)
        vhd_reclaim_drained(vhd);
}

static void vhd_transferred(struct file_io *file_io)
{
    struct disk_request *request = (struct disk_request *)file_io;
    struct vhd_disk *vhd = (struct vhd_disk *)request->disk;
    struct vhd_slot *slot = request->slot;
    vhd_transfer_ended(vhd, request);
    request->layer = 0;
    if (file_io->result < 0) {
        request->slot = NULL;
        disk_request_finish(request, file_io->result);
        if (slot)
            vhd_slot_unpin(slot);
    } else if (slot) {
        vhd_commit_add(vhd, request);
    } else {
        vhd_step(vhd, request);
    }
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

/* Moves a read or a write on. */
static void vhd_step_data(struct vhd_disk *vhd, struct disk_request *request)
{
    struct file_io *file_io = &request->file_io;
    bool writes = request->io->op == DISK_WRITE;
    while (request->done < request->length) {
        uint64_t length = request->length - request->done, offset = 0;
        enum vhd_extent extent = vhd_map(vhd, request, request->io->offset + request->done, &length, &offset);
        if (extent == VHD_EXTENT_WAIT)
            return;
        if (extent == VHD_EXTENT_BAD) {
            disk_request_finish(request, -EIO);
            return;
        }
        request->done += length;
        request->extent = length;
        file_io->length = length;
        if (extent == VHD_EXTENT_DATA) {
            file_io->op = writes ? FILE_WRITE : FILE_READ;
            file_io->member = request->layer;
            file_io->offset = offset;
            vhd_transfer(vhd, request, vhd_transferred);
            return;
        }
        request->layer = 0;
        if (extent == VHD_EXTENT_SKIP)
            file_io_advance(file_io, length);
        else
            vhd_zero(file_io);
    }
    disk_request_finish(request, 0);
}

void vhd_step(struct vhd_disk *vhd, struct disk_request *request)
{
    if (request == &vhd->puller.request)
        vhd_pull_step(vhd);
    else if (request->io->op == DISK_DISCARD)
        vhd_discard_request(vhd, request);
    else if (request->io->op == DISK_PULL)
        vhd_pull_request(vhd, request);
    else
        vhd_step_data(vhd, request);
}

void vhd_fail(struct vhd_disk *vhd, struct disk_request *request, int result)
{
    if (request == &vhd->puller.request)
        vhd_pull_fail(vhd, result);
    else
        disk_request_finish(request, result);
}

static void vhd_start(struct disk *disk, struct disk_request *request)
{
    struct vhd_disk *vhd = (struct vhd_disk *)disk;
    /* What was acknowledged has its metadata written: a flush is a sync and nothing else. */
    const bool fixed = vhd->image.footer.type == VHD_FIXED;
    if (request->io->op == DISK_RESIZE || request->io->op == DISK_SETTLE)
        vhd_change_request(vhd, request);
    else if (fixed && request->io->op == DISK_PULL)
        disk_request_finish(request, 0);
    else if (fixed || request->io->op == DISK_FLUSH)
        disk_request_pass(request);
    else
        vhd_step(vhd, request);
}

/* ---- Opening. ------------------------------------------------------------------------------------------------------ */

static void vhd_free(struct vhd_disk *vhd)
{
    free(vhd->batmap_header);
    vhd_change_fini(vhd);
    vhd_reclaim_fini(vhd);
    vhd_pull_fini(vhd);
    vhd_cache_fini(vhd);
    vhd_pool_fini(vhd);
    vhd_bat_fini(vhd);
    vhd_slots_fini(vhd);
    vhd_layers_free(vhd->parents, vhd->layer_count);
    vhd_image_fini(&vhd->image);
    free(vhd);
}

static void vhd_close(struct disk *disk)
{
    disk_fini(disk);
    vhd_free((struct vhd_disk *)disk);
}

/* Puts right, before anything else is written, what a writer left half done. */
static int vhd_tidy(struct vhd_disk *vhd, struct disk_error *ret_error)
{
    int result = 0;
    if (vhd->image.tail_differs)
        result = vhd_image_write_tail(vhd->disk.file, &vhd->image);
    if (result == 0 && (vhd->image.batmap.stale || vhd->image.batmap.torn))
        result = vhd_image_clear_batmap(vhd->disk.file, &vhd->image);
    if (result < 0)
        return disk_refuse(ret_error, result, "cannot put the image's metadata right: %s", strerror(-result));
    return 0;
}

static int vhd_init(struct vhd_disk *vhd, bool read_only, unsigned depth, struct disk_error *ret_error)
{
    int result = vhd_image_load(vhd->disk.file, &vhd->image, ret_error);
    if (result == 0)
        result = vhd_layers_load(vhd->disk.file, &vhd->image, &vhd->parents, ret_error);
    if (result < 0)
        return result;
    vhd->parent_count = vhd->layer_count = vhd->disk.file->parent_count;
    if (!read_only)
        result = vhd_tidy(vhd, ret_error);
    if (result < 0)
        return result;
    void *sector = NULL;
    if (vhd->image.batmap.header != 0 && posix_memalign(&sector, 4096, DISK_SECTOR_SIZE) != 0)
        return disk_refuse(ret_error, -ENOMEM, "out of memory");
    vhd->batmap_header = sector;
    vhd_commit_init(vhd);
    vhd_reclaim_init(vhd);
    TAILQ_INIT(&vhd->batmap_waiters);
    if (vhd->image.footer.type != VHD_FIXED &&
        (vhd_slots_init(vhd, depth) < 0 || vhd_bat_init(vhd) < 0 || vhd_pool_init(vhd) < 0))
        return disk_refuse(ret_error, -ENOMEM, "out of memory for %u blocks", vhd->image.blocks);
    if ((vhd->parent_count > 0 && (vhd_cache_init(vhd, depth) < 0 || vhd_pull_init(vhd) < 0)) ||
        vhd_change_init(vhd) < 0)
        return disk_refuse(ret_error, -ENOMEM, "out of memory");
    return 0;
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
    vhd->disk.file = file;
    result = vhd_init(vhd, read_only, depth, ret_error);
    if (result < 0)
        goto free_disk;
    if (disk_init(&vhd->disk, &disk_kind_vhd, file, read_only, depth) < 0) {
        result = disk_refuse(ret_error, -ENOMEM, "out of memory");
        goto free_disk;
    }
    vhd->disk.info.size = vhd->image.size;
    vhd->disk.info.parents = vhd->parent_count;
    vhd->disk.info.discard_granularity = 4096;
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
    int result = file_open(params, &file, ret_error);
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
    .ops = 1u << DISK_DISCARD | 1u << DISK_PULL | 1u << DISK_SETTLE | 1u << DISK_RESIZE,
    .source_parse = disk_path_parse,
    .source_open = disk_path_open,
    .parent_read = vhd_parent_read,
    .open = vhd_open,
    .close = vhd_close,
    .start = vhd_start,
};

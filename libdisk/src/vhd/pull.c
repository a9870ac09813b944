/* SPDX-License-Identifier: MIT */
/*
 * Giving a child what its parents hold, so that it can do without them: block by block, in the filler's turns.
 *
 *     run of clear bits -> search in the chain -> read -> write to the block's place -> ... -> sync -> bits and entry
 *
 * The block's other requests wait meanwhile. What is zeros is left absent: without a parent it reads the same. Nothing is done twice that
 * was done before, and at whatever moment it is cut short, the image reads as it did.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/vhd.h"

#define PULL_SECTORS 512u /* of the buffer */

/* ---- Requests. ----------------------------------------------------------------------------------------------------- */

void vhd_pull_request(struct vhd_disk *vhd, struct disk_request *request)
{
    const uint32_t block_size = vhd->image.header.block_size;
    while (request->done < request->length && vhd->parent_count > 0) {
        uint64_t at = request->io->offset + request->done;
        uint32_t block = (uint32_t)(at / block_size);
        struct vhd_slot *slot = vhd_slot_find(vhd, block);
        if (slot && slot->state != VHD_SLOT_READY) {
            TAILQ_INSERT_TAIL(&slot->waiters, request, entry);
            return;
        }
        if (slot && slot->pins > 0) {
            vhd_slot_drain(slot, request);
            return;
        }
        bool full = vhd->map[block] == VHD_MAP_FULL;
        if (!full && !slot && vhd->image.bat[block] != VHD_ABSENT) {
            vhd_slot_load(vhd, block, request);
            return;
        }
        request->done += block_size - at % block_size; /* where it is when the block is done */
        if (full)
            continue;
        if (slot)
            TAILQ_REMOVE(&vhd->idle, slot, entry);
        else
            slot = vhd_slot_get(vhd, block);
        int result;
        if (!vhd_slot_pull(slot, request, &result))
            return;
        if (result < 0) {
            vhd_fail(vhd, request, result);
            return;
        }
    }
    if (request->io->offset <= vhd->pulled && request->io->offset + request->length > vhd->pulled)
        vhd->pulled = request->io->offset + request->length;
    disk_request_finish(request, 0);
}

/* ---- One block. ---------------------------------------------------------------------------------------------------- */

static struct vhd_slot *pull_slot(struct vhd_disk *vhd)
{
    return TAILQ_FIRST(&vhd->filler.queue);
}

static void pull_transfer(struct vhd_disk *vhd, enum file_op op, unsigned member, uint64_t offset,
                          void (*done)(struct file_io *))
{
    struct vhd_puller *puller = &vhd->puller;
    file_io_single(&puller->request.file_io, op, offset, puller->buffer, (size_t)puller->run * DISK_SECTOR_SIZE);
    puller->request.file_io.member = member;
    puller->request.file_io.done = done;
    file_start(vhd->disk.file, &puller->request.file_io);
}

static struct vhd_disk *pull_disk(struct file_io *io)
{
    return (struct vhd_disk *)((struct disk_request *)io)->disk;
}

static void pull_go_on(struct vhd_disk *vhd)
{
    struct vhd_puller *puller = &vhd->puller;
    puller->at += puller->run;
    puller->run = 0;
    puller->request.layer = 0;
    vhd_pull_step(vhd);
}

void vhd_pull_fail(struct vhd_disk *vhd, int result)
{
    struct vhd_image *image = &vhd->image;
    struct vhd_slot *slot = pull_slot(vhd);
    if (vhd->puller.allocated) { /* the entry may be written or not: its place is lost until the next open */
        image->bat[slot->block] = VHD_ABSENT;
        image->used--;
    }
    vhd_filler_end(&vhd->filler, result);
}

static void pull_part_ended(struct vhd_slot *slot)
{
    struct vhd_disk *vhd = slot->vhd;
    if (--slot->parts > 0)
        return;
    int result = slot->entry_result < 0 ? slot->entry_result : slot->bitmap_result;
    if (slot->entry_result == 0)
        vhd->puller.allocated = false; /* it is in the table */
    memcpy(slot->bits, slot->next, vhd_slot_bytes(vhd));
    if (result < 0)
        vhd_pull_fail(vhd, result);
    else
        vhd_filler_end(&vhd->filler, 0);
}

static void pull_bitmap_written(struct file_io *io)
{
    struct vhd_slot *slot = (struct vhd_slot *)io;
    slot->bitmap_result = io->result;
    pull_part_ended(slot);
}

void vhd_pull_entered(struct vhd_slot *slot)
{
    pull_part_ended(slot);
}

static void pull_synced(struct file_io *io)
{
    struct vhd_filler *filler = (struct vhd_filler *)io;
    struct vhd_disk *vhd = filler->vhd;
    struct vhd_slot *slot = pull_slot(vhd);
    if (io->result < 0) {
        vhd_pull_fail(vhd, io->result);
        return;
    }
    slot->entry_result = 0;
    slot->parts = vhd->puller.allocated ? 2 : 1;
    vhd_slot_start(slot, FILE_WRITE, pull_bitmap_written);
    if (vhd->puller.allocated)
        vhd_bat_write(vhd, slot);
}

static void pull_end(struct vhd_disk *vhd)
{
    struct vhd_filler *filler = &vhd->filler;
    if (!vhd->puller.copied) {
        vhd_filler_end(filler, 0);
        return;
    }
    file_io_single(&filler->io, FILE_SYNC, 0, NULL, 0);
    filler->io.done = pull_synced;
    file_start(vhd->disk.file, &filler->io);
}

static void pull_written(struct file_io *io)
{
    struct vhd_disk *vhd = pull_disk(io);
    struct vhd_puller *puller = &vhd->puller;
    if (io->result < 0) {
        vhd_pull_fail(vhd, io->result);
        return;
    }
    vhd_set_bits(pull_slot(vhd)->next, puller->at, puller->run);
    pull_slot(vhd)->owner->io->copied += (uint64_t)puller->run * DISK_SECTOR_SIZE;
    puller->copied = true;
    pull_go_on(vhd);
}

static void pull_write(struct vhd_disk *vhd)
{
    const struct vhd_image *image = &vhd->image;
    uint64_t sector = (uint64_t)image->bat[pull_slot(vhd)->block] + image->bitmap_sectors + vhd->puller.at;
    pull_transfer(vhd, FILE_WRITE, 0, sector * DISK_SECTOR_SIZE, pull_written);
}

void vhd_pull_placed(struct vhd_slot *slot)
{
    slot->vhd->puller.allocated = true;
    pull_write(slot->vhd);
}

static void pull_read(struct file_io *io)
{
    struct vhd_disk *vhd = pull_disk(io);
    struct vhd_puller *puller = &vhd->puller;
    struct vhd_slot *slot = pull_slot(vhd);
    if (io->result < 0) {
        vhd_pull_fail(vhd, io->result);
        return;
    }
    struct iovec iov = {.iov_base = puller->buffer, .iov_len = (size_t)puller->run * DISK_SECTOR_SIZE};
    struct file_io all = {.iov = &iov};
    if (file_io_is_zero(&all, iov.iov_len))
        pull_go_on(vhd);
    else if (vhd->image.bat[slot->block] == VHD_ABSENT)
        vhd_pool_take(vhd, slot);
    else
        pull_write(vhd);
}

void vhd_pull_step(struct vhd_disk *vhd)
{
    struct vhd_puller *puller = &vhd->puller;
    struct vhd_slot *slot = pull_slot(vhd);
    while (puller->at < puller->end) {
        uint64_t length = (uint64_t)(puller->end - puller->at) * DISK_SECTOR_SIZE, offset = 0;
        if (length > (uint64_t)PULL_SECTORS * DISK_SECTOR_SIZE)
            length = (uint64_t)PULL_SECTORS * DISK_SECTOR_SIZE;
        if (vhd_run_of_bits(slot->next, puller->at, &length)) {
            puller->at += (uint32_t)(length / DISK_SECTOR_SIZE);
            continue;
        }
        if (puller->request.layer == 0) {
            puller->request.layer = 1;
            puller->request.place = 0;
        } else if (length > puller->request.extent) {
            length = puller->request.extent;
        }
        uint64_t at = (uint64_t)slot->block * vhd->image.header.block_size + (uint64_t)puller->at * DISK_SECTOR_SIZE;
        enum vhd_extent extent = vhd_chain_map(vhd, &puller->request, at, &length, &offset);
        puller->run = (uint32_t)(length / DISK_SECTOR_SIZE);
        if (extent == VHD_EXTENT_WAIT)
            return;
        if (extent == VHD_EXTENT_BAD) {
            vhd_pull_fail(vhd, -EIO);
            return;
        }
        if (extent == VHD_EXTENT_DATA) {
            pull_transfer(vhd, FILE_READ, puller->request.layer, offset, pull_read);
            return;
        }
        puller->at += puller->run;
        puller->request.layer = 0;
    }
    pull_end(vhd);
}

void vhd_pull_start(struct vhd_slot *slot)
{
    struct vhd_disk *vhd = slot->vhd;
    struct vhd_puller *puller = &vhd->puller;
    uint64_t left = vhd->image.size - (uint64_t)slot->block * vhd->image.header.block_size;
    if (left > vhd->image.header.block_size)
        left = vhd->image.header.block_size;
    memcpy(slot->next, slot->bits, vhd_slot_bytes(vhd));
    puller->at = puller->run = 0;
    puller->end = (uint32_t)(left / DISK_SECTOR_SIZE);
    puller->copied = puller->allocated = false;
    puller->request.layer = 0;
    vhd_pull_step(vhd);
}

int vhd_pull_init(struct vhd_disk *vhd)
{
    void *buffer;
    if (posix_memalign(&buffer, 4096, (size_t)PULL_SECTORS * DISK_SECTOR_SIZE) != 0)
        return -ENOMEM;
    vhd->puller.buffer = buffer;
    vhd->puller.request.disk = &vhd->disk;
    return 0;
}

void vhd_pull_fini(struct vhd_disk *vhd)
{
    free(vhd->puller.buffer);
}

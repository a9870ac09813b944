/* SPDX-License-Identifier: MIT */
/*
 * Discards.
 *
 * Without a parent, a piece that is a whole block takes its entry from the table; of a part of one the bits are cleared, and the place in the
 * file is made a hole; when none of its bits is left, the block goes, too. What remains partial is made full before it is written again.
 * Until the next sync the old entry or bits may come back, and show zeros or what was there: what a discard may leave.
 *
 * A map of full blocks (tapdisk's) is emptied before the first bit is cleared.
 *
 * With a parent, what the image does not hold stays as it is, and what it holds becomes a hole under bits that stay set.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "vhd/vhd.h"

/* ---- Holes. -------------------------------------------------------------------------------------------------------- */

static void discard_punched(struct file_io *io)
{
    struct disk_request *request = (struct disk_request *)io;
    struct vhd_disk *vhd = (struct vhd_disk *)request->disk;
    vhd_transfer_ended(vhd, request);
    if (io->result < 0 && io->result != -EOPNOTSUPP)
        disk_request_finish(request, io->result);
    else
        vhd_step(vhd, request);
}

/* Makes a hole of a piece of a block that is there, and moves on. */
static void discard_punch(struct vhd_disk *vhd, struct disk_request *request, uint32_t block, uint32_t within,
                          uint64_t length)
{
    const struct vhd_image *image = &vhd->image;
    request->file_io.op = FILE_PUNCH;
    request->file_io.member = 0;
    request->file_io.offset = ((uint64_t)image->bat[block] + image->bitmap_sectors) * DISK_SECTOR_SIZE + within;
    request->file_io.length = length;
    request->done += length;
    vhd_transfer(vhd, request, discard_punched);
}

/* ---- tapdisk's map. ------------------------------------------------------------------------------------------------ */

static void batmap_part_ended(struct vhd_disk *vhd, int result)
{
    struct disk_request_list waiters = TAILQ_HEAD_INITIALIZER(waiters);
    struct disk_request *request;
    if (result < 0)
        vhd->batmap_result = result;
    if (--vhd->batmap_parts > 0)
        return;
    if (vhd->batmap_result == 0)
        vhd->image.batmap.header = 0; /* there is nothing left to clear in it */
    TAILQ_CONCAT(&waiters, &vhd->batmap_waiters, entry);
    while ((request = TAILQ_FIRST(&waiters))) {
        TAILQ_REMOVE(&waiters, request, entry);
        if (vhd->batmap_result < 0)
            vhd_fail(vhd, request, vhd->batmap_result);
        else
            vhd_step(vhd, request);
    }
}

static void batmap_written(struct file_io *io)
{
    struct vhd_disk *vhd = (struct vhd_disk *)((char *)io - offsetof(struct vhd_disk, batmap_io));
    batmap_part_ended(vhd, io->result);
}

static void batmap_header_written(struct file_io *io)
{
    struct vhd_disk *vhd = (struct vhd_disk *)((char *)io - offsetof(struct vhd_disk, batmap_header_io));
    batmap_part_ended(vhd, io->result);
}

/* What is now known of full blocks is in vhd_disk.map: the bits are not needed. */
static void batmap_empty(struct vhd_disk *vhd, struct disk_request *request)
{
    struct vhd_batmap *batmap = &vhd->image.batmap;
    TAILQ_INSERT_TAIL(&vhd->batmap_waiters, request, entry);
    if (vhd->batmap_parts > 0)
        return;
    vhd->batmap_parts = 2;
    vhd->batmap_result = 0;
    memset(batmap->bits, 0, (size_t)batmap->sectors * DISK_SECTOR_SIZE);
    vhd_image_empty_batmap(&vhd->image, vhd->batmap_header);
    file_io_single(&vhd->batmap_header_io, FILE_WRITE, batmap->header * DISK_SECTOR_SIZE, vhd->batmap_header,
                   DISK_SECTOR_SIZE);
    vhd->batmap_header_io.done = batmap_header_written;
    file_start(vhd->disk.file, &vhd->batmap_header_io);
    file_io_single(&vhd->batmap_io, FILE_WRITE, batmap->start * DISK_SECTOR_SIZE, batmap->bits,
                   (size_t)batmap->sectors * DISK_SECTOR_SIZE);
    vhd->batmap_io.done = batmap_written;
    file_start(vhd->disk.file, &vhd->batmap_io);
}

/* ---- Entries and bits. --------------------------------------------------------------------------------------------- */

void vhd_discard_entered(struct vhd_slot *slot)
{
    struct vhd_disk *vhd = slot->vhd;
    struct disk_request *owner = slot->owner;
    int result = slot->entry_result;
    if (result == 0)
        vhd_reclaim_add(vhd, slot->place); /* else it is not known whether the table names it still */
    vhd->image.used--;                     /* now, so that the pool makes no place for one that is on its way back */
    vhd_slot_release(slot, VHD_MAP_UNKNOWN, 0);
    if (result < 0)
        vhd_fail(vhd, owner, result);
    else
        vhd_step(vhd, owner);
}

/* Takes the block out of the table. */
static void discard_block(struct vhd_slot *slot)
{
    struct vhd_image *image = &slot->vhd->image;
    slot->place = image->bat[slot->block];
    image->bat[slot->block] = VHD_ABSENT;
    vhd_bat_write(slot->vhd, slot);
}

static void discard_bits_punched(struct file_io *io)
{
    struct vhd_slot *slot = (struct vhd_slot *)io;
    struct disk_request *owner = slot->owner;
    struct vhd_disk *vhd = slot->vhd;
    int result = io->result == -EOPNOTSUPP ? 0 : io->result; /* the bits are cleared all the same */
    vhd_slot_rest(slot);
    if (result < 0)
        vhd_fail(vhd, owner, result);
    else
        vhd_step(vhd, owner);
}

static void discard_bits_written(struct file_io *io)
{
    struct vhd_slot *slot = (struct vhd_slot *)io;
    struct vhd_disk *vhd = slot->vhd;
    struct disk_request *owner = slot->owner;
    uint64_t sector = (uint64_t)vhd->image.bat[slot->block] + vhd->image.bitmap_sectors + slot->first;
    if (io->result < 0) {
        vhd_slot_release(slot, VHD_MAP_UNKNOWN, 0);
        vhd_fail(vhd, owner, io->result);
        return;
    }
    memcpy(slot->bits, slot->next, vhd_slot_bytes(vhd));
    /* Before those who waited: a write of theirs must not be made a hole. */
    file_io_single(&slot->io, FILE_PUNCH, sector * DISK_SECTOR_SIZE, NULL, (size_t)slot->count * DISK_SECTOR_SIZE);
    slot->io.done = discard_bits_punched;
    file_start(vhd->disk.file, &slot->io);
}

/* Begins with the piece of a slot's block that begins at sector `first`. */
static void discard_start(struct vhd_slot *slot, struct disk_request *owner, uint32_t first, uint64_t length,
                          bool whole)
{
    struct vhd_disk *vhd = slot->vhd;
    owner->done += length;
    slot->state = VHD_SLOT_DISCARDING;
    slot->owner = owner;
    slot->first = first;
    slot->count = (uint32_t)(length / DISK_SECTOR_SIZE);
    if (owner->io->offset + owner->done == vhd->image.size) /* what is behind the disk's end is of no use to anybody */
        slot->count = vhd->image.block_sectors - first;
    memcpy(slot->next, slot->bits, vhd_slot_bytes(vhd));
    vhd_clear_bits(slot->next, first, slot->count);
    bool empty = true;
    for (uint32_t i = 0; i < vhd->image.block_sectors / 8; i++)
        empty &= slot->next[i] == 0;
    if (whole || empty)
        discard_block(slot);
    else
        vhd_slot_start(slot, FILE_WRITE, discard_bits_written);
}

/* ---- Requests. ----------------------------------------------------------------------------------------------------- */

/* A block in the image of a child. True when the request has to wait; else it has been moved on. */
static bool discard_in_child(struct vhd_disk *vhd, struct disk_request *request, uint32_t block, uint32_t within,
                             uint64_t length)
{
    struct vhd_slot *slot = vhd_slot_find(vhd, block);
    bool full = vhd->map[block] == VHD_MAP_FULL;
    if (!full && !slot) {
        vhd_slot_load(vhd, block, request);
        return true;
    }
    if (full || vhd_run_of_bits(slot->bits, within / DISK_SECTOR_SIZE, &length)) {
        discard_punch(vhd, request, block, within, length);
        return true;
    }
    request->done += length;
    return false;
}

/* The same for one that stands by itself. */
static void discard_alone(struct vhd_disk *vhd, struct disk_request *request, uint32_t block, uint32_t within,
                          uint64_t length, bool whole)
{
    struct vhd_slot *slot = vhd_slot_find(vhd, block);
    if (vhd->image.batmap.header != 0) {
        batmap_empty(vhd, request);
        return;
    }
    if (slot && slot->pins > 0) {
        vhd_slot_drain(slot, request);
        return;
    }
    if (!slot && vhd->map[block] != VHD_MAP_FULL && !whole) {
        vhd_slot_load(vhd, block, request);
        return;
    }
    if (slot)
        TAILQ_REMOVE(&vhd->idle, slot, entry);
    else
        slot = vhd_slot_get(vhd, block);
    discard_start(slot, request, within / DISK_SECTOR_SIZE, length, whole);
}

void vhd_discard_request(struct vhd_disk *vhd, struct disk_request *request)
{
    const struct vhd_image *image = &vhd->image;
    const uint32_t block_size = image->header.block_size;
    while (request->done < request->length) {
        uint64_t at = request->io->offset + request->done, length = request->length - request->done;
        uint32_t block = (uint32_t)(at / block_size), within = (uint32_t)(at % block_size);
        if (length > block_size - within)
            length = block_size - within;
        struct vhd_slot *slot = vhd_slot_find(vhd, block);
        if (slot && slot->state != VHD_SLOT_READY) {
            TAILQ_INSERT_TAIL(&slot->waiters, request, entry);
            return;
        }
        if (image->bat[block] == VHD_ABSENT) {
            request->done += length;
            continue;
        }
        if (vhd->parent_count > 0) {
            if (discard_in_child(vhd, request, block, within, length))
                return;
            continue;
        }
        bool whole = within == 0 && (length == block_size || at + length == image->size);
        discard_alone(vhd, request, block, within, length, whole);
        return;
    }
    disk_request_finish(request, 0);
}

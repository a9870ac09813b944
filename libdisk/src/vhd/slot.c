/* SPDX-License-Identifier: MIT */
/*
 * Blocks that are not full, and how they become so.
 *
 *               vhd_slot_load                         vhd_slot_fill
 *     (none) ------------------> LOADING -> READY ------------------> FILLING --> full
 *        |                          |                                             ^
 *        |                          +------------- all bits set ------------------+
 *        +---------------------> ALLOCATING ---------------------------------------+
 *               vhd_slot_allocate
 *
 * LOADING, ALLOCATING and FILLING hold requests, which are stepped again at the end of the state, or ended with its
 * error. After an error nothing is known of the block, and the next request finds out from the file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/vhd.h"

static size_t slot_bytes(const struct vhd_disk *vhd)
{
    return (size_t)vhd->image.bitmap_sectors * DISK_SECTOR_SIZE;
}

struct vhd_slot *vhd_slot_find(struct vhd_disk *vhd, uint32_t block)
{
    uint16_t index = vhd->map[block];
    return index == VHD_MAP_UNKNOWN || index == VHD_MAP_FULL ? NULL : &vhd->slots[index - 1];
}

/* A slot for a block that has none: one at rest for the longest time, of which there always is one. */
static struct vhd_slot *slot_get(struct vhd_disk *vhd, uint32_t block, enum vhd_slot_state state,
                                 struct disk_request *request)
{
    struct vhd_slot *slot = TAILQ_FIRST(&vhd->idle);
    TAILQ_REMOVE(&vhd->idle, slot, entry);
    if (slot->state == VHD_SLOT_READY)
        vhd->map[slot->block] = VHD_MAP_UNKNOWN;
    slot->block = block;
    slot->state = state;
    vhd->map[block] = (uint16_t)(slot - vhd->slots + 1);
    TAILQ_INSERT_TAIL(&slot->waiters, request, entry);
    return slot;
}

static void slot_wake(struct vhd_slot *slot, int result)
{
    struct disk_request_list waiters = TAILQ_HEAD_INITIALIZER(waiters);
    struct disk_request *request;
    TAILQ_CONCAT(&waiters, &slot->waiters, entry);
    while ((request = TAILQ_FIRST(&waiters))) {
        TAILQ_REMOVE(&waiters, request, entry);
        if (result < 0)
            disk_request_finish(request, result);
        else
            vhd_step(slot->vhd, request);
    }
}

/* Ends the slot's work: its block is full, or unknown after an error. */
static void slot_release(struct vhd_slot *slot, int result)
{
    struct vhd_disk *vhd = slot->vhd;
    vhd->map[slot->block] = result < 0 ? VHD_MAP_UNKNOWN : VHD_MAP_FULL;
    slot->state = VHD_SLOT_EMPTY;
    TAILQ_INSERT_HEAD(&vhd->idle, slot, entry);
    slot_wake(slot, result);
}

static void slot_start(struct vhd_slot *slot, enum file_op op, void (*done)(struct file_io *))
{
    struct vhd_disk *vhd = slot->vhd;
    file_io_single(&slot->io, op, (uint64_t)vhd->image.bat[slot->block] * DISK_SECTOR_SIZE, slot->bits,
                   slot_bytes(vhd));
    slot->io.done = done;
    file_start(vhd->disk.file, &slot->io);
}

/* ---- Loading. ------------------------------------------------------------------------------------------------------ */

static bool slot_is_full(const struct vhd_slot *slot)
{
    for (uint32_t i = 0; i < slot->vhd->image.block_sectors / 8; i++)
        if (slot->bits[i] != 0xff)
            return false;
    return true;
}

static void slot_loaded(struct file_io *io)
{
    struct vhd_slot *slot = (struct vhd_slot *)io;
    if (io->result < 0 || slot_is_full(slot)) {
        slot_release(slot, io->result);
        return;
    }
    slot->state = VHD_SLOT_READY;
    TAILQ_INSERT_TAIL(&slot->vhd->idle, slot, entry);
    slot_wake(slot, 0);
}

void vhd_slot_load(struct vhd_disk *vhd, uint32_t block, struct disk_request *request)
{
    slot_start(slot_get(vhd, block, VHD_SLOT_LOADING, request), FILE_READ, slot_loaded);
}

/* ---- Allocating. --------------------------------------------------------------------------------------------------- */

/* Bitmap and entry are written side by side: without the one the block's old bitmap counts, over zeros. */
static void slot_part_ended(struct vhd_slot *slot)
{
    struct vhd_image *image = &slot->vhd->image;
    if (--slot->parts > 0)
        return;
    if (slot->entry_result < 0) { /* which entry is on disk is unknown, so its place is lost until the next open */
        image->bat[slot->block] = VHD_ABSENT;
        image->used--;
    }
    slot_release(slot, slot->entry_result < 0 ? slot->entry_result : slot->bitmap_result);
}

static void slot_bitmap_written(struct file_io *io)
{
    struct vhd_slot *slot = (struct vhd_slot *)io;
    slot->bitmap_result = io->result;
    slot_part_ended(slot);
}

void vhd_slot_entered(struct vhd_slot *slot, int result)
{
    slot->entry_result = result;
    slot_part_ended(slot);
}

void vhd_slot_place(struct vhd_slot *slot, uint32_t sector)
{
    struct vhd_disk *vhd = slot->vhd;
    vhd->image.bat[slot->block] = sector;
    vhd->image.used++;
    slot->parts = 2;
    memset(slot->bits, 0xff, slot_bytes(vhd));
    slot_start(slot, FILE_WRITE, slot_bitmap_written);
    vhd_bat_write(vhd, slot);
}

void vhd_slot_fail(struct vhd_slot *slot, int result)
{
    slot_release(slot, result);
}

void vhd_slot_allocate(struct vhd_disk *vhd, uint32_t block, struct disk_request *request)
{
    vhd_pool_take(vhd, slot_get(vhd, block, VHD_SLOT_ALLOCATING, request));
}

/* ---- Filling: zeros under clear bits, sync, bits. ------------------------------------------------------------------ */

static void filler_start(struct vhd_filler *filler)
{
    const struct vhd_slot *slot = TAILQ_FIRST(&filler->queue);
    const struct vhd_image *image = &filler->vhd->image;
    if (slot)
        vhd_scrub_start(&filler->scrub, (uint64_t)image->bat[slot->block] + image->bitmap_sectors, image->block_sectors,
                        slot->bits);
}

static void filler_end(struct vhd_filler *filler, int result)
{
    struct vhd_slot *slot = TAILQ_FIRST(&filler->queue);
    TAILQ_REMOVE(&filler->queue, slot, entry);
    filler_start(filler);
    slot_release(slot, result);
}

static void filler_bitmap_written(struct file_io *io)
{
    struct vhd_slot *slot = (struct vhd_slot *)io;
    filler_end(&slot->vhd->filler, io->result);
}

static void filler_synced(struct file_io *io)
{
    struct vhd_filler *filler = (struct vhd_filler *)io;
    struct vhd_slot *slot = TAILQ_FIRST(&filler->queue);
    if (io->result < 0) {
        filler_end(filler, io->result);
        return;
    }
    memset(slot->bits, 0xff, slot_bytes(filler->vhd));
    slot_start(slot, FILE_WRITE, filler_bitmap_written);
}

static void filler_scrubbed(struct vhd_scrub *scrub, int result)
{
    struct vhd_filler *filler = scrub->owner;
    if (result < 0) {
        filler_end(filler, result);
        return;
    }
    file_io_single(&filler->io, FILE_SYNC, 0, NULL, 0);
    filler->io.done = filler_synced;
    file_start(filler->vhd->disk.file, &filler->io);
}

void vhd_slot_fill(struct vhd_slot *slot, struct disk_request *request)
{
    struct vhd_disk *vhd = slot->vhd;
    bool first = TAILQ_EMPTY(&vhd->filler.queue);
    TAILQ_REMOVE(&vhd->idle, slot, entry);
    slot->state = VHD_SLOT_FILLING;
    TAILQ_INSERT_TAIL(&slot->waiters, request, entry);
    TAILQ_INSERT_TAIL(&vhd->filler.queue, slot, entry);
    if (first)
        filler_start(&vhd->filler);
}

/* ---- Making and ending. -------------------------------------------------------------------------------------------- */

int vhd_slots_init(struct vhd_disk *vhd, unsigned depth)
{
    size_t bytes = slot_bytes(vhd);
    void *buffers = NULL;
    vhd->slot_count = depth + VHD_SLOTS_IDLE;
    vhd->slots = calloc(vhd->slot_count, sizeof *vhd->slots);
    vhd->map = calloc(vhd->image.blocks, sizeof *vhd->map);
    if (!vhd->slots || !vhd->map || posix_memalign(&buffers, 4096, vhd->slot_count * bytes) != 0)
        return -ENOMEM;
    vhd->buffers = buffers;
    TAILQ_INIT(&vhd->idle);
    for (unsigned i = 0; i < vhd->slot_count; i++) {
        struct vhd_slot *slot = &vhd->slots[i];
        slot->vhd = vhd;
        slot->bits = vhd->buffers + i * bytes;
        TAILQ_INIT(&slot->waiters);
        TAILQ_INSERT_TAIL(&vhd->idle, slot, entry);
    }
    vhd->filler.vhd = vhd;
    TAILQ_INIT(&vhd->filler.queue);
    return vhd_scrub_init(&vhd->filler.scrub, vhd->disk.file, &vhd->filler, filler_scrubbed);
}

void vhd_slots_fini(struct vhd_disk *vhd)
{
    vhd_scrub_fini(&vhd->filler.scrub);
    free(vhd->buffers);
    free(vhd->map);
    free(vhd->slots);
}

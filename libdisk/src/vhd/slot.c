/* SPDX-License-Identifier: MIT */
/*
 * Blocks that are not full, and how they become so.
 *
 *               vhd_slot_load                   vhd_slot_fill, _pull
 *     (none) ------------------> LOADING -> READY ------------------> FILLING --> full, or READY
 *        |                          |      | ^  | discard.c                       ^
 *        |                          |      | |  +----------> DISCARDING --> READY, or (none)
 *        |                          |      | +-- with a parent ---+               |
 *        |                          +------|--- all bits set -----|---------------+
 *        +---------------------> ALLOCATING|----------------------+---------------+
 *               vhd_slot_allocate          | vhd_slot_pin
 *                                          v
 *                            READY, pinned --> DRAINING --> READY
 *                                          --> BROKEN ----> (none)
 *
 * All but READY hold requests, which are stepped again at the end of the state, or ended with its
 * error. After an error nothing is known of the block, and the next request finds out from the file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/vhd.h"

size_t vhd_slot_bytes(const struct vhd_disk *vhd)
{
    return (size_t)vhd->image.bitmap_sectors * DISK_SECTOR_SIZE;
}

struct vhd_slot *vhd_slot_find(struct vhd_disk *vhd, uint32_t block)
{
    uint16_t index = vhd->map[block];
    return index == VHD_MAP_UNKNOWN || index == VHD_MAP_FULL ? NULL : &vhd->slots[index - 1];
}

/* One at rest for the longest time, of which there always is one. */
struct vhd_slot *vhd_slot_get(struct vhd_disk *vhd, uint32_t block)
{
    struct vhd_slot *slot = TAILQ_FIRST(&vhd->idle);
    TAILQ_REMOVE(&vhd->idle, slot, entry);
    if (slot->state == VHD_SLOT_READY)
        vhd->map[slot->block] = VHD_MAP_UNKNOWN;
    slot->block = block;
    slot->owner = NULL;
    memset(slot->bits, vhd->map[block] == VHD_MAP_FULL ? 0xff : 0, vhd_slot_bytes(vhd));
    vhd->map[block] = (uint16_t)(slot - vhd->slots + 1);
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
            vhd_fail(slot->vhd, request, result);
        else
            vhd_step(slot->vhd, request);
    }
}

void vhd_slot_release(struct vhd_slot *slot, uint16_t map, int result)
{
    struct vhd_disk *vhd = slot->vhd;
    vhd->map[slot->block] = map;
    slot->state = VHD_SLOT_EMPTY;
    TAILQ_INSERT_HEAD(&vhd->idle, slot, entry);
    slot_wake(slot, result);
}

void vhd_slot_take(struct vhd_slot *slot, enum vhd_slot_state state)
{
    TAILQ_REMOVE(&slot->vhd->idle, slot, entry);
    slot->state = state;
}

bool vhd_slot_is_full(const struct vhd_slot *slot)
{
    for (uint32_t i = 0; i < slot->vhd->image.block_sectors / 8; i++)
        if (slot->bits[i] != 0xff)
            return false;
    return true;
}

void vhd_slot_rest(struct vhd_slot *slot)
{
    if (vhd_slot_is_full(slot)) {
        vhd_slot_release(slot, VHD_MAP_FULL, 0);
        return;
    }
    slot->state = VHD_SLOT_READY;
    TAILQ_INSERT_TAIL(&slot->vhd->idle, slot, entry);
    slot_wake(slot, 0);
}

void vhd_slot_start(struct vhd_slot *slot, enum file_op op, void (*done)(struct file_io *))
{
    struct vhd_disk *vhd = slot->vhd;
    file_io_single(&slot->io, op, (uint64_t)vhd->image.bat[slot->block] * DISK_SECTOR_SIZE,
                   op == FILE_READ ? slot->bits : slot->next, vhd_slot_bytes(vhd));
    slot->io.done = done;
    file_start(vhd->disk.file, &slot->io);
}

/* ---- Pins. --------------------------------------------------------------------------------------------------------- */

void vhd_slot_pin(struct vhd_slot *slot)
{
    if (slot->pins++ == 0)
        TAILQ_REMOVE(&slot->vhd->idle, slot, entry);
}

void vhd_slot_unpin(struct vhd_slot *slot)
{
    if (--slot->pins > 0)
        return;
    if (slot->state == VHD_SLOT_BROKEN)
        vhd_slot_release(slot, VHD_MAP_UNKNOWN, 0);
    else
        vhd_slot_rest(slot);
}

void vhd_slot_drain(struct vhd_slot *slot, struct disk_request *request)
{
    slot->state = VHD_SLOT_DRAINING;
    TAILQ_INSERT_HEAD(&slot->waiters, request, entry);
}

/* ---- Loading. ------------------------------------------------------------------------------------------------------ */

static void slot_loaded(struct file_io *io)
{
    struct vhd_slot *slot = (struct vhd_slot *)io;
    if (io->result < 0)
        vhd_slot_release(slot, VHD_MAP_UNKNOWN, io->result);
    else
        vhd_slot_rest(slot);
}

void vhd_slot_load(struct vhd_disk *vhd, uint32_t block, struct disk_request *request)
{
    struct vhd_slot *slot = vhd_slot_get(vhd, block);
    slot->state = VHD_SLOT_LOADING;
    TAILQ_INSERT_TAIL(&slot->waiters, request, entry);
    vhd_slot_start(slot, FILE_READ, slot_loaded);
}

/* ---- Allocating. --------------------------------------------------------------------------------------------------- */

/* Bitmap and entry are written side by side: without the one the block's old bitmap counts, over zeros. With a parent the old one,
 * of zeros, is what is wanted. */
static void slot_part_ended(struct vhd_slot *slot)
{
    struct vhd_image *image = &slot->vhd->image;
    if (--slot->parts > 0)
        return;
    int result = slot->entry_result < 0 ? slot->entry_result : slot->bitmap_result;
    if (slot->entry_result < 0) { /* which entry is on disk is unknown, so its place is lost until the next open */
        image->bat[slot->block] = VHD_ABSENT;
        image->used--;
    }
    if (result < 0)
        vhd_slot_release(slot, VHD_MAP_UNKNOWN, result);
    else
        vhd_slot_rest(slot);
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
    if (slot->state == VHD_SLOT_FILLING)
        vhd_pull_entered(slot);
    else if (slot->state == VHD_SLOT_DISCARDING)
        vhd_discard_entered(slot);
    else
        slot_part_ended(slot);
}

void vhd_slot_place(struct vhd_slot *slot, uint32_t sector)
{
    struct vhd_disk *vhd = slot->vhd;
    vhd->image.bat[slot->block] = sector;
    vhd->image.used++;
    if (slot->state == VHD_SLOT_FILLING) {
        vhd_pull_placed(slot);
        return;
    }
    slot->parts = 1;
    slot->bitmap_result = 0;
    if (vhd->parent_count == 0) {
        slot->parts = 2;
        memset(slot->bits, 0xff, vhd_slot_bytes(vhd));
        memset(slot->next, 0xff, vhd_slot_bytes(vhd));
        vhd_slot_start(slot, FILE_WRITE, slot_bitmap_written);
    }
    vhd_bat_write(vhd, slot);
}

void vhd_slot_fail(struct vhd_slot *slot, int result)
{
    if (slot->state == VHD_SLOT_FILLING)
        vhd_pull_fail(slot->vhd, result);
    else
        vhd_slot_release(slot, VHD_MAP_UNKNOWN, result);
}

void vhd_slot_allocate(struct vhd_disk *vhd, uint32_t block, struct disk_request *request)
{
    struct vhd_slot *slot = vhd_slot_get(vhd, block);
    slot->state = VHD_SLOT_ALLOCATING;
    TAILQ_INSERT_TAIL(&slot->waiters, request, entry);
    vhd_pool_take(vhd, slot);
}

/* ---- Filling: zeros under clear bits, sync, bits. ------------------------------------------------------------------ */

static void filler_start(struct vhd_filler *filler)
{
    struct vhd_slot *slot = TAILQ_FIRST(&filler->queue);
    const struct vhd_image *image = &filler->vhd->image;
    if (slot->owner)
        vhd_pull_start(slot);
    else
        vhd_scrub_start(&filler->scrub, (uint64_t)image->bat[slot->block] + image->bitmap_sectors, image->block_sectors,
                        slot->bits);
}

void vhd_filler_end(struct vhd_filler *filler, int result)
{
    struct vhd_disk *vhd = filler->vhd;
    struct vhd_slot *slot = TAILQ_FIRST(&filler->queue);
    struct disk_request *owner = slot->owner;
    TAILQ_REMOVE(&filler->queue, slot, fill);
    if (!TAILQ_EMPTY(&filler->queue))
        filler_start(filler);
    /* What was copied for somebody else is no matter of those who waited. */
    if (result < 0)
        vhd_slot_release(slot, VHD_MAP_UNKNOWN, owner ? 0 : result);
    else if (vhd->image.bat[slot->block] == VHD_ABSENT)
        vhd_slot_release(slot, VHD_MAP_UNKNOWN, 0);
    else
        vhd_slot_rest(slot);
    if (owner && owner == filler->starting) {
        filler->starting = NULL;
        filler->started = result;
    } else if (owner && result < 0)
        vhd_fail(vhd, owner, result);
    else if (owner)
        vhd_step(vhd, owner);
}

static void filler_bitmap_written(struct file_io *io)
{
    struct vhd_slot *slot = (struct vhd_slot *)io;
    memset(slot->bits, 0xff, vhd_slot_bytes(slot->vhd));
    vhd_filler_end(&slot->vhd->filler, io->result);
}

static void filler_synced(struct file_io *io)
{
    struct vhd_filler *filler = (struct vhd_filler *)io;
    struct vhd_slot *slot = TAILQ_FIRST(&filler->queue);
    if (io->result < 0) {
        vhd_filler_end(filler, io->result);
        return;
    }
    memset(slot->next, 0xff, vhd_slot_bytes(filler->vhd));
    vhd_slot_start(slot, FILE_WRITE, filler_bitmap_written);
}

static void filler_scrubbed(struct vhd_scrub *scrub, int result)
{
    struct vhd_filler *filler = scrub->owner;
    if (result < 0) {
        vhd_filler_end(filler, result);
        return;
    }
    file_io_single(&filler->io, FILE_SYNC, 0, NULL, 0);
    filler->io.done = filler_synced;
    file_start(filler->vhd->disk.file, &filler->io);
}

static void filler_add(struct vhd_slot *slot)
{
    struct vhd_filler *filler = &slot->vhd->filler;
    bool first = TAILQ_EMPTY(&filler->queue);
    slot->state = VHD_SLOT_FILLING;
    TAILQ_INSERT_TAIL(&filler->queue, slot, fill);
    if (first)
        filler_start(filler);
}

void vhd_slot_fill(struct vhd_slot *slot, struct disk_request *request)
{
    TAILQ_REMOVE(&slot->vhd->idle, slot, entry);
    TAILQ_INSERT_TAIL(&slot->waiters, request, entry);
    slot->owner = NULL;
    filler_add(slot);
}

bool vhd_slot_pull(struct vhd_slot *slot, struct disk_request *owner, int *ret_result)
{
    struct vhd_filler *filler = &slot->vhd->filler;
    slot->owner = owner;
    filler->starting = owner;
    filler_add(slot);
    bool ended = filler->starting == NULL;
    filler->starting = NULL;
    if (ended)
        *ret_result = filler->started;
    return ended;
}

/* ---- Making and ending. -------------------------------------------------------------------------------------------- */

int vhd_slots_init(struct vhd_disk *vhd, unsigned depth)
{
    const struct vhd_image *image = &vhd->image;
    size_t bytes = vhd_slot_bytes(vhd);
    void *buffers = NULL;
    vhd->slot_count = depth + VHD_SLOTS_IDLE;
    vhd->slots = calloc(vhd->slot_count, sizeof *vhd->slots);
    vhd->map = calloc(image->blocks, sizeof *vhd->map);
    if (!vhd->slots || !vhd->map || posix_memalign(&buffers, 4096, (size_t)2 * vhd->slot_count * bytes) != 0)
        return -ENOMEM;
    vhd->buffers = buffers;
    TAILQ_INIT(&vhd->idle);
    for (unsigned i = 0; i < vhd->slot_count; i++) {
        struct vhd_slot *slot = &vhd->slots[i];
        slot->vhd = vhd;
        slot->bits = vhd->buffers + (size_t)2 * i * bytes;
        slot->next = slot->bits + bytes;
        TAILQ_INIT(&slot->waiters);
        TAILQ_INIT(&slot->written);
        TAILQ_INIT(&slot->joined);
        TAILQ_INSERT_TAIL(&vhd->idle, slot, entry);
    }
    for (uint32_t i = 0; image->batmap.bits && !image->batmap.torn && i < image->blocks; i++)
        if (image->bat[i] != VHD_ABSENT && vhd_bit(image->batmap.bits, i))
            vhd->map[i] = VHD_MAP_FULL;
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

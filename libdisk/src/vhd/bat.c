/* SPDX-License-Identifier: MIT */
/*
 * The block allocation table on disk. One write at a time, of a page of entries: two writes of the same sector in
 * flight together have no order, and an older copy could land last. The entries of a page are independent, so it may
 * be torn between sectors. While the table itself is being moved, entries wait.
 */
#include <errno.h>
#include <stdlib.h>

#include "vhd/vhd.h"

static void bat_start(struct vhd_bat *bat);

static void bat_written(struct file_io *io)
{
    struct vhd_bat *bat = (struct vhd_bat *)io;
    struct vhd_slot_list written = TAILQ_HEAD_INITIALIZER(written);
    struct vhd_slot *slot;
    int result = io->result;
    /* Requests that go on may queue more entries: these wait until all of this write have been told. */
    TAILQ_CONCAT(&written, &bat->joined, entry);
    while ((slot = TAILQ_FIRST(&written))) {
        TAILQ_REMOVE(&written, slot, entry);
        vhd_slot_entered(slot, result);
    }
    bat->busy = false;
    bat_start(bat);
    vhd_change_proceed(bat->vhd);
}

/* None can be written: it is not known which table counts. */
static void bat_refuse(struct vhd_bat *bat)
{
    struct vhd_slot *slot;
    while ((slot = TAILQ_FIRST(&bat->queued))) {
        TAILQ_REMOVE(&bat->queued, slot, entry);
        vhd_slot_entered(slot, -EIO);
    }
}

static void bat_start(struct vhd_bat *bat)
{
    struct vhd_slot *slot = TAILQ_FIRST(&bat->queued), *next;
    if (!slot || bat->busy || bat->vhd->change.request)
        return;
    if (bat->lost) {
        bat_refuse(bat);
        return;
    }
    bat->busy = true;
    const struct vhd_image *image = &bat->vhd->image;
    uint32_t page = slot->block / VHD_BAT_PAGE;
    for (; slot; slot = next) {
        next = TAILQ_NEXT(slot, entry);
        if (slot->block / VHD_BAT_PAGE == page) {
            TAILQ_REMOVE(&bat->queued, slot, entry);
            TAILQ_INSERT_TAIL(&bat->joined, slot, entry);
        }
    }
    uint32_t first = page * VHD_BAT_PAGE;
    uint32_t count = image->bat_count - first < VHD_BAT_PAGE ? image->bat_count - first : VHD_BAT_PAGE;
    for (uint32_t i = 0; i < count; i++)
        vhd_put32(bat->page + 4ull * i, image->bat[first + i]);
    file_io_single(&bat->io, FILE_WRITE, image->header.table_offset + 4ull * first, bat->page, 4ull * count);
    bat->io.done = bat_written;
    file_start(bat->vhd->disk.file, &bat->io);
}

void vhd_bat_write(struct vhd_disk *vhd, struct vhd_slot *slot)
{
    TAILQ_INSERT_TAIL(&vhd->bat.queued, slot, entry);
    bat_start(&vhd->bat);
}

void vhd_bat_resume(struct vhd_disk *vhd)
{
    bat_start(&vhd->bat);
}

int vhd_bat_init(struct vhd_disk *vhd)
{
    void *page;
    if (posix_memalign(&page, 4096, sizeof(uint32_t) * VHD_BAT_PAGE) != 0)
        return -ENOMEM;
    vhd->bat.vhd = vhd;
    vhd->bat.page = page;
    TAILQ_INIT(&vhd->bat.queued);
    TAILQ_INIT(&vhd->bat.joined);
    return 0;
}

void vhd_bat_fini(struct vhd_disk *vhd)
{
    free(vhd->bat.page);
}

/* SPDX-License-Identifier: MIT */
/*
 * Places for new blocks, made ahead of need and in the background:
 *
 *     footer at the new end -> zeros over gaps -> sync -> ready
 *
 * Fresh places lie between the old end and the new one: a hole in the file, zeros without being written. Gaps are
 * inside the file: places of blocks that were discarded (reclaim.c), or whose entry was lost, or never written, by whoever died
 * before us. Bitmap and data are zeros. The run in the
 * background starts when half of the places are gone, so that in steady state no request waits for a sync.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/vhd.h"

static void pool_start(struct vhd_pool *pool);

/* Places made at once: enough bytes to be rare, not so many that a small disk's file grows much beyond it. */
static uint32_t pool_ahead(const struct vhd_image *image)
{
    uint32_t count = VHD_AHEAD_SIZE / image->header.block_size;
    return count > VHD_AHEAD ? VHD_AHEAD : count;
}

/* Absent blocks that have no place waiting for them. */
static uint32_t pool_unserved(const struct vhd_pool *pool)
{
    const struct vhd_image *image = &pool->vhd->image;
    return image->blocks - image->used - pool->ready_count;
}

static void pool_serve(struct vhd_pool *pool)
{
    struct vhd_slot *slot;
    while (pool->ready_count > 0 && (slot = TAILQ_FIRST(&pool->waiting))) {
        TAILQ_REMOVE(&pool->waiting, slot, entry);
        uint32_t sector = pool->ready[0];
        memmove(pool->ready, pool->ready + 1, --pool->ready_count * sizeof *pool->ready);
        vhd_slot_place(slot, sector);
    }
    /* Places that are about to come back need not be made. */
    bool may_wait = TAILQ_EMPTY(&pool->waiting) && pool->vhd->reclaim.busy && pool->vhd->image.gap_count == 0;
    if (!pool->busy && !may_wait && !pool->vhd->change.request && pool_unserved(pool) > 0 &&
        pool->ready_count <= pool_ahead(&pool->vhd->image) / 2)
        pool_start(pool);
}

static void pool_end(struct vhd_pool *pool, int result)
{
    struct vhd_slot *slot;
    pool->busy = false;
    if (result == 0) {
        memcpy(pool->ready + pool->ready_count, pool->making, pool->making_count * sizeof *pool->ready);
        pool->ready_count += pool->making_count;
        pool->vhd->image.end = pool->new_end;
        pool_serve(pool);
        vhd_change_proceed(pool->vhd);
        return;
    }
    /* The gaps are what they were. The next attempt extends the file from the same end. */
    for (uint32_t i = 0; i < pool->dirty; i++)
        vhd_image_add_gap(&pool->vhd->image, pool->making[i]);
    while ((slot = TAILQ_FIRST(&pool->waiting))) {
        TAILQ_REMOVE(&pool->waiting, slot, entry);
        vhd_slot_fail(slot, result);
    }
    vhd_change_proceed(pool->vhd);
}

static void pool_synced(struct file_io *io)
{
    pool_end((struct vhd_pool *)io, io->result);
}

static void pool_scrub(struct vhd_pool *pool)
{
    const struct vhd_image *image = &pool->vhd->image;
    if (pool->scrubbed < pool->dirty) {
        vhd_scrub_start(&pool->scrub, pool->making[pool->scrubbed], vhd_image_span(image), NULL);
        return;
    }
    file_io_single(&pool->io, FILE_SYNC, 0, NULL, 0);
    pool->io.done = pool_synced;
    file_start(pool->vhd->disk.file, &pool->io);
}

static void pool_scrubbed(struct vhd_scrub *scrub, int result)
{
    struct vhd_pool *pool = scrub->owner;
    pool->scrubbed++;
    if (result < 0)
        pool_end(pool, result);
    else
        pool_scrub(pool);
}

static void pool_extended(struct file_io *io)
{
    struct vhd_pool *pool = (struct vhd_pool *)io;
    if (io->result < 0)
        pool_end(pool, io->result);
    else
        pool_scrub(pool);
}

static void pool_start(struct vhd_pool *pool)
{
    struct vhd_image *image = &pool->vhd->image;
    uint32_t wanted = pool_ahead(image) - pool->ready_count;
    if (wanted > pool_unserved(pool))
        wanted = pool_unserved(pool);
    pool->busy = true;
    pool->making_count = pool->dirty = pool->scrubbed = 0;
    while (pool->making_count < wanted && image->gap_count > 0)
        pool->making[pool->making_count++] = image->gaps[--image->gap_count];
    pool->dirty = pool->making_count;

    /* Gaps first, and by themselves: a full file system must not keep them from being used. */
    pool->new_end = image->end;
    while (pool->dirty == 0 && pool->making_count < wanted) {
        /* Where the footer was, there are no zeros: a bit that is set there would hide what a parent holds. */
        bool footer = pool->new_end == image->end && pool->vhd->parent_count > 0;
        uint64_t place = vhd_image_align(image, pool->new_end + footer);
        if (place + vhd_image_span(image) > VHD_ABSENT)
            break; /* a table entry has 32 bits */
        pool->making[pool->making_count++] = (uint32_t)place;
        pool->new_end = place + vhd_image_span(image);
    }
    if (pool->making_count == 0) {
        pool_end(pool, -ENOSPC);
    } else if (pool->dirty > 0) {
        pool_scrub(pool);
    } else {
        memcpy(pool->footer, image->footer_bytes, VHD_FOOTER_SIZE);
        file_io_single(&pool->io, FILE_WRITE, pool->new_end * DISK_SECTOR_SIZE, pool->footer, VHD_FOOTER_SIZE);
        pool->io.done = pool_extended;
        file_start(pool->vhd->disk.file, &pool->io);
    }
}

void vhd_pool_take(struct vhd_disk *vhd, struct vhd_slot *slot)
{
    TAILQ_INSERT_TAIL(&vhd->pool.waiting, slot, entry);
    pool_serve(&vhd->pool);
}

void vhd_pool_resume(struct vhd_disk *vhd)
{
    pool_serve(&vhd->pool);
}

int vhd_pool_init(struct vhd_disk *vhd)
{
    void *footer;
    if (posix_memalign(&footer, 4096, VHD_FOOTER_SIZE) != 0)
        return -ENOMEM;
    vhd->pool.vhd = vhd;
    vhd->pool.footer = footer;
    TAILQ_INIT(&vhd->pool.waiting);
    return vhd_scrub_init(&vhd->pool.scrub, vhd->disk.file, &vhd->pool, pool_scrubbed);
}

void vhd_pool_fini(struct vhd_disk *vhd)
{
    vhd_scrub_fini(&vhd->pool.scrub);
    free(vhd->pool.footer);
}

/* SPDX-License-Identifier: MIT */
/*
 * Places of discarded blocks, back to the pool. Their entries are gone from the table, in memory and in the file. But a transfer that began
 * before may still be under way in the place: so before a place can be another block's,
 *
 *     a new epoch begins -> all transfers of the one before have ended -> the places are made holes -> they are gaps
 *
 * Places that come meanwhile wait for the next round. A power cut may bring an entry back until the pool syncs, which it does before it
 * gives any place away; the block is then zeros, or what was there.
 */
#include <errno.h>
#include <stdlib.h>

#include "vhd/vhd.h"

static void reclaim_start(struct vhd_reclaim *reclaim);

static void reclaim_end(struct vhd_reclaim *reclaim)
{
    reclaim->busy = false;
    reclaim_start(reclaim);
}

static void reclaim_punched(struct file_io *io);

static void reclaim_punch(struct vhd_reclaim *reclaim)
{
    struct vhd_image *image = &reclaim->vhd->image;
    if (reclaim->round_at == reclaim->round_count) {
        reclaim_end(reclaim);
        return;
    }
    file_io_single(&reclaim->io, FILE_PUNCH, (uint64_t)reclaim->round[reclaim->round_at] * DISK_SECTOR_SIZE, NULL,
                   (size_t)vhd_image_span(image) * DISK_SECTOR_SIZE);
    reclaim->io.done = reclaim_punched;
    file_start(reclaim->vhd->disk.file, &reclaim->io);
}

static void reclaim_punched(struct file_io *io)
{
    struct vhd_reclaim *reclaim = (struct vhd_reclaim *)io;
    /* Where it could not be made a hole, the pool writes zeros. */
    vhd_image_add_gap(&reclaim->vhd->image, reclaim->round[reclaim->round_at++]);
    reclaim_punch(reclaim);
}

void vhd_reclaim_drained(struct vhd_disk *vhd)
{
    struct vhd_reclaim *reclaim = &vhd->reclaim;
    if (!reclaim->draining)
        return;
    reclaim->draining = false;
    reclaim_punch(reclaim);
}

static void reclaim_start(struct vhd_reclaim *reclaim)
{
    struct vhd_disk *vhd = reclaim->vhd;
    if (reclaim->busy || reclaim->pending_count == 0)
        return;
    free(reclaim->round);
    reclaim->round = reclaim->pending;
    reclaim->round_count = reclaim->pending_count;
    reclaim->round_at = 0;
    reclaim->pending = NULL;
    reclaim->pending_count = reclaim->pending_capacity = 0;

    unsigned old = vhd->epoch;
    reclaim->busy = reclaim->draining = true;
    vhd->epoch = !old;
    if (vhd->transfers[old] == 0)
        vhd_reclaim_drained(vhd);
}

void vhd_reclaim_add(struct vhd_disk *vhd, uint32_t sector)
{
    struct vhd_reclaim *reclaim = &vhd->reclaim;
    if (reclaim->pending_count == reclaim->pending_capacity) {
        uint32_t more = reclaim->pending_capacity ? 2 * reclaim->pending_capacity : 64;
        uint32_t *pending = realloc(reclaim->pending, more * sizeof *pending);
        if (!pending)
            return; /* not used until the next open */
        reclaim->pending = pending;
        reclaim->pending_capacity = more;
    }
    reclaim->pending[reclaim->pending_count++] = sector;
    reclaim_start(reclaim);
}

void vhd_reclaim_init(struct vhd_disk *vhd)
{
    vhd->reclaim.vhd = vhd;
}

void vhd_reclaim_fini(struct vhd_disk *vhd)
{
    free(vhd->reclaim.pending);
    free(vhd->reclaim.round);
}

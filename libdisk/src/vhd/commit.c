/* SPDX-License-Identifier: MIT */
/*
 * Setting bits behind data, in the image of a child:
 *
 *     data is written -> queued -> sync -> slot.written -> bits are written, of all that are there -> the request goes on
 *
 * Until then the sectors count as the parent's: a later write to them comes this way, too, so that none is acknowledged whose bits are not
 * in the file.
 */
#include <string.h>

#include "vhd/vhd.h"

static void commit_start(struct vhd_commit *commit);
static void commit_write(struct vhd_slot *slot);

/* The piece of a request that was written last: sectors of its block. */
static void commit_piece(const struct vhd_disk *vhd, const struct disk_request *request, uint32_t *ret_first,
                         uint32_t *ret_count)
{
    uint64_t at = request->io->offset + request->done - request->extent;
    *ret_first = (uint32_t)(at % vhd->image.header.block_size / DISK_SECTOR_SIZE);
    *ret_count = (uint32_t)(request->extent / DISK_SECTOR_SIZE);
}

static void commit_end(struct vhd_disk *vhd, struct disk_request *request, int result)
{
    request->slot = NULL;
    if (result < 0)
        vhd_fail(vhd, request, result);
    else
        vhd_step(vhd, request);
}

/* Ends all of a list; each had pinned the slot. */
static void commit_end_all(struct vhd_slot *slot, struct disk_request_list *list, int result)
{
    struct disk_request_list ended = TAILQ_HEAD_INITIALIZER(ended);
    struct disk_request *request;
    unsigned count = 0;
    TAILQ_CONCAT(&ended, list, entry);
    while ((request = TAILQ_FIRST(&ended))) {
        TAILQ_REMOVE(&ended, request, entry);
        commit_end(slot->vhd, request, result);
        count++;
    }
    for (; count > 0; count--) /* the last may end the slot */
        vhd_slot_unpin(slot);
}

static void commit_written(struct file_io *io)
{
    struct vhd_slot *slot = (struct vhd_slot *)io;
    slot->writing = false;
    if (io->result == 0)
        memcpy(slot->bits, slot->next, vhd_slot_bytes(slot->vhd));
    else
        slot->state = VHD_SLOT_BROKEN;
    vhd_slot_pin(slot); /* while it is looked at */
    commit_end_all(slot, &slot->joined, io->result);
    commit_write(slot);
    vhd_slot_unpin(slot);
}

static void commit_write(struct vhd_slot *slot)
{
    struct disk_request *request;
    uint32_t first, count;
    if (slot->writing || TAILQ_EMPTY(&slot->written))
        return;
    if (slot->state == VHD_SLOT_BROKEN) {
        commit_end_all(slot, &slot->written, slot->io.result);
        return;
    }
    memcpy(slot->next, slot->bits, vhd_slot_bytes(slot->vhd));
    TAILQ_FOREACH (request, &slot->written, entry) {
        commit_piece(slot->vhd, request, &first, &count);
        vhd_set_bits(slot->next, first, count);
    }
    TAILQ_CONCAT(&slot->joined, &slot->written, entry);
    slot->writing = true;
    vhd_slot_start(slot, FILE_WRITE, commit_written);
}

static void commit_synced(struct file_io *io)
{
    struct vhd_commit *commit = (struct vhd_commit *)io;
    struct disk_request_list synced = TAILQ_HEAD_INITIALIZER(synced), failed = TAILQ_HEAD_INITIALIZER(failed);
    struct disk_request *request;
    TAILQ_CONCAT(&synced, &commit->syncing, entry);
    while ((request = TAILQ_FIRST(&synced))) {
        struct vhd_slot *slot = request->slot;
        TAILQ_REMOVE(&synced, request, entry);
        TAILQ_INSERT_TAIL(io->result < 0 ? &failed : &slot->written, request, entry);
        if (io->result < 0)
            commit_end_all(slot, &failed, io->result);
        else
            commit_write(slot);
    }
    commit->busy = false;
    commit_start(commit);
}

static void commit_start(struct vhd_commit *commit)
{
    if (commit->busy || TAILQ_EMPTY(&commit->queued))
        return;
    commit->busy = true;
    TAILQ_CONCAT(&commit->syncing, &commit->queued, entry);
    file_io_single(&commit->io, FILE_SYNC, 0, NULL, 0);
    commit->io.done = commit_synced;
    file_start(commit->vhd->disk.file, &commit->io);
}

void vhd_commit_add(struct vhd_disk *vhd, struct disk_request *request)
{
    TAILQ_INSERT_TAIL(&vhd->commit.queued, request, entry);
    commit_start(&vhd->commit);
}

void vhd_commit_init(struct vhd_disk *vhd)
{
    vhd->commit.vhd = vhd;
    TAILQ_INIT(&vhd->commit.queued);
    TAILQ_INIT(&vhd->commit.syncing);
}

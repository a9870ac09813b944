/* SPDX-License-Identifier: MIT */
/*
 * Changes of what the footer says: the disk's size, or that it has no parent any more. While others read and write.
 *
 *     pool and table come to rest -> [what is behind the old end, in the last block, is made zeros]
 *       -> [footer at a new end -> sync -> header and table in front of it] -> sync
 *       -> footer's copy -> sync           this one sector makes the change
 *       -> footer at the end -> sync -> in memory, and pool and table go on
 *
 * A larger table is written behind all blocks, with a header of its own, and the old ones are left as they are; so whichever footer counts,
 * what it names is whole. Readers of the copy see the change at once, those of the footer at the end a moment later: no entry is written
 * in between, so both see the same content. Whoever opens the image for writing puts the footer at the end right first.
 *
 * When it is not known whether the copy was written, it is not known which table counts, and no entry is written any more until the next
 * open.
 *
 * An image lets go of its parents only when all they hold has been pulled: absent blocks and clear bits then mean zeros, before and after.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/vhd.h"

#define CHANGE_CHUNK 65536u /* bytes of the table written at once */

enum change_step {
    CHANGE_EXTEND,
    CHANGE_EXTENDED,
    CHANGE_HEADER,
    CHANGE_TABLE,
    CHANGE_PREPARED,
    CHANGE_COPY,
    CHANGE_MADE,
    CHANGE_TAIL,
    CHANGE_TOLD,
    CHANGE_DONE,
};

static void change_next(struct vhd_change *change);

/* ---- The end. ------------------------------------------------------------------------------------------------------ */

static void change_end(struct vhd_change *change, int result)
{
    struct vhd_disk *vhd = change->vhd;
    struct disk_request *request = change->request;
    free(change->bat);
    free(change->map);
    change->bat = NULL;
    change->map = NULL;
    change->request = NULL;
    vhd_bat_resume(vhd);
    if (vhd->image.footer.type != VHD_FIXED)
        vhd_pool_resume(vhd);
    disk_request_finish(request, result);
}

/* What the files say is so from now on. */
static void change_apply(struct vhd_change *change)
{
    struct vhd_disk *vhd = change->vhd;
    struct vhd_image *image = &vhd->image;
    if (change->map) {
        memcpy(change->bat, image->bat, image->blocks * sizeof *image->bat);
        memcpy(change->map, vhd->map, image->blocks * sizeof *vhd->map);
        free(image->bat);
        free(vhd->map);
        image->bat = change->bat;
        vhd->map = change->map;
        image->bat_count = change->bat_count;
        image->blocks = change->header.max_entries;
        image->batmap.header = 0; /* its place is not behind the table any more */
        change->bat = NULL;
        change->map = NULL;
    }
    image->header = change->header;
    image->footer = change->footer;
    memcpy(image->footer_bytes, change->footer_bytes, VHD_FOOTER_SIZE);
    image->end = change->new_end;
    image->size = vhd->disk.info.size = change->size;
    if (change->footer.type == VHD_DYNAMIC)
        vhd->parent_count = vhd->disk.info.parents = 0;
}

/* ---- Its steps. ---------------------------------------------------------------------------------------------------- */

static void change_ended(struct file_io *io)
{
    struct vhd_change *change = (struct vhd_change *)io;
    unsigned step = change->step - 1; /* which has ended */
    if (io->result == 0) {
        change_next(change);
        return;
    }
    if (step == CHANGE_COPY || step == CHANGE_MADE)
        change->vhd->bat.lost = change->moves;
    else if (step > CHANGE_MADE && change->vhd->image.footer.type != VHD_FIXED)
        change_apply(change); /* it is made; the footer at the end comes with the next blocks */
    change_end(change, io->result);
}

static void change_io(struct vhd_change *change, enum file_op op, uint64_t sector, size_t length)
{
    file_io_single(&change->io, op, sector * DISK_SECTOR_SIZE, change->buffer, length);
    change->io.done = change_ended;
    file_start(change->vhd->disk.file, &change->io);
}

static void change_write_footer(struct vhd_change *change, const uint8_t *bytes, uint64_t sector)
{
    memcpy(change->buffer, bytes, VHD_FOOTER_SIZE);
    change_io(change, FILE_WRITE, sector, VHD_FOOTER_SIZE);
}

/* Writes the next part of the table: what entries say now, or will say when those that wait are written. */
static void change_write_table(struct vhd_change *change)
{
    const struct vhd_image *image = &change->vhd->image;
    uint32_t count = change->bat_count - change->written;
    if (count > CHANGE_CHUNK / 4)
        count = CHANGE_CHUNK / 4;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = change->written + i;
        vhd_put32(change->buffer + 4ull * i, at < image->blocks ? image->bat[at] : VHD_ABSENT);
    }
    uint64_t sector = change->header.table_offset / DISK_SECTOR_SIZE + vhd_table_sectors(change->written);
    change->written += count;
    if (change->written < change->bat_count)
        change->step--; /* again */
    change_io(change, FILE_WRITE, sector, 4ull * count);
}

static void change_next(struct vhd_change *change)
{
    struct vhd_disk *vhd = change->vhd;
    struct vhd_image *image = &vhd->image;
    bool fixed = image->footer.type == VHD_FIXED;
    if (!change->moves && change->step < CHANGE_PREPARED)
        change->step = CHANGE_PREPARED;
    if (fixed && change->step == CHANGE_COPY)
        change->step = CHANGE_TAIL; /* there is no copy */
    switch ((enum change_step)change->step++) {
    case CHANGE_EXTEND:
        change_write_footer(change, image->footer_bytes, change->new_end);
        break;
    case CHANGE_HEADER:
        vhd_header_encode(&change->header, change->buffer);
        change_io(change, FILE_WRITE, change->footer.header_offset / DISK_SECTOR_SIZE, VHD_HEADER_SIZE);
        break;
    case CHANGE_TABLE:
        change_write_table(change);
        break;
    case CHANGE_COPY:
        change_write_footer(change, change->footer_bytes, 0);
        break;
    case CHANGE_TAIL:
        change_write_footer(change, change->footer_bytes, change->new_end);
        break;
    case CHANGE_EXTENDED:
    case CHANGE_PREPARED:
    case CHANGE_MADE:
    case CHANGE_TOLD:
        change_io(change, FILE_SYNC, 0, 0);
        break;
    case CHANGE_DONE:
        if (fixed && change->new_end > image->end && change->written == 0) {
            /* The old footer is now the disk's, and should be zeros. */
            change->written = 1;
            change->step = CHANGE_TOLD;
            memset(change->buffer, 0, VHD_FOOTER_SIZE);
            change_io(change, FILE_WRITE, image->end, VHD_FOOTER_SIZE);
            break;
        }
        change_apply(change);
        change_end(change, 0);
        break;
    }
}

static void change_scrubbed(struct vhd_scrub *scrub, int result)
{
    struct vhd_change *change = scrub->owner;
    if (result < 0)
        change_end(change, result);
    else
        change_next(change);
}

/* Begins, with what is behind the old end in the last block: a writer may have left something there. */
static void change_begin(struct vhd_change *change)
{
    const struct vhd_image *image = &change->vhd->image;
    change->begun = true;
    change->step = CHANGE_EXTEND;
    change->written = 0;
    if (image->footer.type == VHD_FIXED) {
        change_next(change);
        return;
    }
    uint32_t within = (uint32_t)(image->size % image->header.block_size / DISK_SECTOR_SIZE);
    uint32_t last = image->bat[image->blocks - 1];
    change->new_end = image->end;
    if (change->moves) {
        change->footer.header_offset = image->end * DISK_SECTOR_SIZE;
        change->header.table_offset = change->footer.header_offset + VHD_HEADER_SIZE;
        change->new_end = image->end + VHD_HEADER_SIZE / DISK_SECTOR_SIZE + vhd_table_sectors(change->bat_count);
    }
    memcpy(change->footer_bytes, image->footer_bytes, VHD_FOOTER_SIZE);
    vhd_footer_change(&change->footer, change->footer_bytes);
    if (change->size > image->size && within > 0 && last != VHD_ABSENT)
        vhd_scrub_start(&change->scrub, (uint64_t)last + image->bitmap_sectors + within, image->block_sectors - within,
                        NULL);
    else
        change_next(change);
}

void vhd_change_proceed(struct vhd_disk *vhd)
{
    struct vhd_change *change = &vhd->change;
    if (change->request && !change->begun && !vhd->pool.busy && !vhd->bat.busy)
        change_begin(change);
}

/* ---- Requests. ----------------------------------------------------------------------------------------------------- */

static void change_set_size(struct vhd_footer *footer, uint64_t size)
{
    footer->current_size = size;
    footer->geometry = vhd_geometry_for(size / DISK_SECTOR_SIZE);
    if (memcmp(footer->creator, "vpc ", 4) == 0 || memcmp(footer->creator, "qemu", 4) == 0)
        memcpy(footer->creator, "win ", 4); /* whose size is what the field says, not the geometry */
}

/* Parents that go on behind the old end would show there. */
static bool change_shows_parents(const struct vhd_disk *vhd)
{
    return vhd->parent_count > 0 && vhd->parents[0].image.size > vhd->image.size;
}

static int change_prepare_resize(struct vhd_change *change, uint64_t size)
{
    const struct vhd_disk *vhd = change->vhd;
    const struct vhd_image *image = &vhd->image;
    if (size % DISK_SECTOR_SIZE || size < image->size || size > VHD_MAX_SIZE)
        return -EINVAL;
    if (change_shows_parents(vhd))
        return -ENOTSUP;
    change_set_size(&change->footer, size);
    change->size = size;
    if (image->footer.type == VHD_FIXED) {
        vhd_footer_encode(&change->footer, change->footer_bytes);
        change->new_end = size / DISK_SECTOR_SIZE > image->end ? size / DISK_SECTOR_SIZE : image->end;
        return 0;
    }
    uint64_t blocks = (size + image->header.block_size - 1) / image->header.block_size;
    if (blocks <= image->blocks)
        return 0;
    if (blocks > VHD_MAX_BLOCKS)
        return -EFBIG;
    change->moves = true; /* also where the table has room: its entries beyond the disk's end are not of zeros */
    if (memcmp(change->footer.creator, "tap", 4) == 0)
        memcpy(change->footer.creator, "win ",
               4); /* behind a table of its own tapdisk expects its map of full blocks */
    change->header.max_entries = (uint32_t)blocks;
    change->bat_count = (uint32_t)(vhd_table_sectors(blocks) * (DISK_SECTOR_SIZE / 4));
    change->bat = calloc(change->bat_count, sizeof *change->bat);
    change->map = calloc(change->bat_count, sizeof *change->map);
    if (!change->bat || !change->map)
        return -ENOMEM;
    memset(change->bat, 0xff, change->bat_count * sizeof *change->bat);
    return 0;
}

static int change_prepare_settle(struct vhd_change *change)
{
    const struct vhd_disk *vhd = change->vhd;
    if (vhd->pulled < vhd->image.size)
        return -EBUSY; /* not all is here */
    change->footer.type = VHD_DYNAMIC;
    return 0;
}

void vhd_change_request(struct vhd_disk *vhd, struct disk_request *request)
{
    struct vhd_change *change = &vhd->change;
    bool nothing = request->io->op == DISK_SETTLE ? vhd->parent_count == 0 : request->io->offset == vhd->image.size;
    if (change->request || nothing) {
        disk_request_finish(request, nothing ? 0 : -EBUSY);
        return;
    }
    change->footer = vhd->image.footer;
    change->header = vhd->image.header;
    change->size = vhd->image.size;
    change->moves = change->begun = false;
    int result = request->io->op == DISK_SETTLE ? change_prepare_settle(change)
                                                : change_prepare_resize(change, request->io->offset);
    if (result < 0) {
        free(change->bat);
        free(change->map);
        change->bat = NULL;
        change->map = NULL;
        disk_request_finish(request, result);
        return;
    }
    change->request = request;
    vhd_change_proceed(vhd);
}

int vhd_change_init(struct vhd_disk *vhd)
{
    struct vhd_change *change = &vhd->change;
    void *buffer;
    if (posix_memalign(&buffer, 4096, CHANGE_CHUNK) != 0)
        return -ENOMEM;
    change->vhd = vhd;
    change->buffer = buffer;
    return vhd_scrub_init(&change->scrub, vhd->disk.file, change, change_scrubbed);
}

void vhd_change_fini(struct vhd_disk *vhd)
{
    vhd_scrub_fini(&vhd->change.scrub);
    free(vhd->change.buffer);
}

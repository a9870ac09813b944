/* SPDX-License-Identifier: MIT */
/*
 * Reading and checking the metadata of an image: which footer counts, where header and table are, that every block lies
 * inside the file and apart from everything else.
 *
 * Which footer counts. A fixed disk has one, at the end. A dynamic disk has one at the end and a copy at offset 0;
 * growth may overwrite the one at the end, so after a crash the copy counts. A guest writes sector 0 of a fixed disk
 * as it likes, so a valid footer of a fixed disk at the end is believed before anything at offset 0. Footers of a
 * dynamic disk that disagree are refused.
 */
#include "vhd/image.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "kind.h"

#define IMAGE_CHUNK   65536u /* bytes of the table read at once */
#define IMAGE_ENTRIES (DISK_SECTOR_SIZE / 4)

/* A part of the file that is not a block: [start, end) in sectors. */
struct region {
    const char *name;
    uint64_t start, end;
};

struct placed {
    uint32_t sector;
    uint32_t index;
};

static uint64_t round_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

static int image_read(struct file *file, uint64_t offset, void *buffer, size_t length, const char *what,
                      struct disk_error *ret_error)
{
    int64_t result = file_run(file, FILE_READ, offset, buffer, length);
    if (result < 0)
        return disk_refuse(ret_error, (int)result, "cannot read the %s at byte %" PRIu64 ": %s", what, offset,
                           strerror((int)-result));
    if ((uint64_t)result < length)
        return disk_refuse(ret_error, -EINVAL, "the file ends inside the %s at byte %" PRIu64, what, offset);
    return 0;
}

/* ---- Footers. ------------------------------------------------------------------------------------------------------ */

/* The footer at the end: 512 bytes, or 511 as early writers left it. */
static int image_load_tail(struct file *file, uint8_t *buffer, struct vhd_footer *ret_footer,
                           struct disk_error *ret_error)
{
    uint64_t rest = file->size % VHD_FOOTER_SIZE;
    if (rest != 0 && rest != VHD_FOOTER_SIZE - 1)
        return disk_refuse(ret_error, -EINVAL,
                           "the file's size of %" PRIu64 " bytes leaves no room for a footer at the end", file->size);
    uint64_t offset = file->size - (rest ? rest : VHD_FOOTER_SIZE);
    memset(buffer, 0, VHD_FOOTER_SIZE);
    int64_t result = file_run(file, FILE_READ, offset, buffer, VHD_FOOTER_SIZE);
    if (result < 0)
        return disk_refuse(ret_error, (int)result, "cannot read the footer: %s", strerror((int)-result));
    return vhd_footer_decode(buffer, ret_footer, ret_error);
}

static int image_load_footer(struct file *file, uint8_t *buffer, struct vhd_image *image, struct disk_error *ret_error)
{
    if (file->size < VHD_FOOTER_SIZE - 1)
        return disk_refuse(ret_error, -EINVAL, "the file has %" PRIu64 " bytes: too short for a VHD image", file->size);

    struct vhd_footer tail = {0}, head = {0};
    uint8_t tail_bytes[VHD_FOOTER_SIZE];
    struct disk_error head_error = {""};
    int tail_result = image_load_tail(file, buffer, &tail, ret_error);
    image->end = file->size / DISK_SECTOR_SIZE; /* before a footer of 511 bytes, too */
    if (tail_result == 0 && file->size % VHD_FOOTER_SIZE == 0)
        image->end--;
    if (tail_result == 0 && tail.type == VHD_FIXED) {
        image->footer = tail;
        return 0;
    }

    memcpy(tail_bytes, buffer, VHD_FOOTER_SIZE);
    int head_result = image_read(file, 0, buffer, VHD_FOOTER_SIZE, "copy of the footer", &head_error);
    if (head_result == 0)
        head_result = vhd_footer_decode(buffer, &head, &head_error);
    if (head_result == 0 && head.type == VHD_FIXED)
        head_result =
            disk_refuse(&head_error, -EINVAL, "the footer of a fixed disk is at the beginning, not at the end");

    if (tail_result < 0 && head_result < 0)
        return tail_result; /* with the reason the end gave */
    if (tail_result == 0 && head_result == 0 && !vhd_footer_agrees(&tail, &head))
        return disk_refuse(ret_error, -EINVAL, "the footer and its copy at offset 0 disagree about the disk");
    image->footer = head_result == 0 ? head : tail;
    memcpy(image->footer_bytes, head_result == 0 ? buffer : tail_bytes, VHD_FOOTER_SIZE);
    if (image->footer.type == VHD_DIFFERENCING)
        return disk_refuse(ret_error, -ENOTSUP,
                           "it is a differencing image, the child of another: only fixed and dynamic "
                           "images are served");
    return 0;
}

/* ---- Header and table. --------------------------------------------------------------------------------------------- */

static int image_load_header(struct file *file, uint8_t *buffer, struct vhd_image *image, struct disk_error *ret_error)
{
    uint64_t offset = image->footer.header_offset;
    uint64_t end = image->end * DISK_SECTOR_SIZE;
    if (offset % DISK_SECTOR_SIZE || offset < VHD_FOOTER_SIZE)
        return disk_refuse(ret_error, -EINVAL,
                           "the dynamic header's offset %" PRIu64 " is not a sector behind the footer's copy", offset);
    if (offset > end || end - offset < VHD_HEADER_SIZE)
        return disk_refuse(ret_error, -EINVAL, "the dynamic header at byte %" PRIu64 " lies past the end of the file",
                           offset);
    int result = image_read(file, offset, buffer, VHD_HEADER_SIZE, "dynamic header", ret_error);
    if (result < 0)
        return result;
    return vhd_header_decode(buffer, &image->header, ret_error);
}

static int image_check_header(struct vhd_image *image, struct disk_error *ret_error)
{
    const struct vhd_header *header = &image->header;
    uint64_t end = image->end * DISK_SECTOR_SIZE;
    uint64_t blocks = (image->size + header->block_size - 1) / header->block_size;
    if (blocks > header->max_entries)
        return disk_refuse(ret_error, -EINVAL, "the table has %u entries, the disk has %" PRIu64 " blocks",
                           header->max_entries, blocks);
    if (header->max_entries > VHD_MAX_BLOCKS)
        return disk_refuse(ret_error, -EINVAL, "the table has %u entries: more than %u", header->max_entries,
                           VHD_MAX_BLOCKS);

    uint64_t offset = header->table_offset;
    uint64_t length = round_up(4ull * header->max_entries, DISK_SECTOR_SIZE);
    uint64_t header_end = image->footer.header_offset + VHD_HEADER_SIZE;
    if (offset % DISK_SECTOR_SIZE)
        return disk_refuse(ret_error, -EINVAL, "the table's offset %" PRIu64 " is not a multiple of %u", offset,
                           DISK_SECTOR_SIZE);
    if (offset < VHD_FOOTER_SIZE)
        return disk_refuse(ret_error, -EINVAL, "the table's offset %" PRIu64 " is inside the footer's copy", offset);
    if (offset > end || end - offset < length)
        return disk_refuse(ret_error, -EINVAL,
                           "the table of %u entries at byte %" PRIu64 " lies past the end of the file",
                           header->max_entries, offset);
    if (offset < header_end && image->footer.header_offset < offset + length)
        return disk_refuse(ret_error, -EINVAL, "the table at byte %" PRIu64 " overlaps the dynamic header", offset);

    image->blocks = (uint32_t)blocks;
    image->bat_count = (uint32_t)round_up(header->max_entries, IMAGE_ENTRIES);
    image->block_sectors = header->block_size / DISK_SECTOR_SIZE;
    image->bitmap_sectors = (uint32_t)(round_up(image->block_sectors / 8, DISK_SECTOR_SIZE) / DISK_SECTOR_SIZE);
    return 0;
}

static int image_load_table(struct file *file, uint8_t *buffer, struct vhd_image *image, struct disk_error *ret_error)
{
    image->bat = calloc(image->bat_count, sizeof *image->bat);
    if (!image->bat)
        return disk_refuse(ret_error, -ENOMEM, "out of memory for a table of %u entries", image->bat_count);
    for (uint32_t done = 0; done < image->bat_count;) {
        uint32_t count = image->bat_count - done;
        if (count > IMAGE_CHUNK / 4)
            count = IMAGE_CHUNK / 4;
        int result =
            image_read(file, image->header.table_offset + 4ull * done, buffer, 4ull * count, "table", ret_error);
        if (result < 0)
            return result;
        for (uint32_t i = 0; i < count; i++)
            image->bat[done + i] = vhd_get32(buffer + 4ull * i);
        done += count;
    }
    return 0;
}

/* ---- Blocks. ------------------------------------------------------------------------------------------------------- */

static int image_check_block(const struct vhd_image *image, const struct placed *block, const struct region regions[3],
                             struct disk_error *ret_error)
{
    uint64_t start = block->sector, end = start + vhd_image_span(image);
    for (int i = 0; i < 3; i++) {
        if (start >= regions[i].start && start < regions[i].end)
            return disk_refuse(ret_error, -EINVAL, "BAT entry %u points at sector %" PRIu64 ", inside the %s",
                               block->index, start, regions[i].name);
        if (start < regions[i].end && regions[i].start < end)
            return disk_refuse(ret_error, -EINVAL,
                               "BAT entry %u points at sector %" PRIu64 ": its block overlaps the %s", block->index,
                               start, regions[i].name);
    }
    if (end > image->end)
        return disk_refuse(ret_error, -EINVAL,
                           "BAT entry %u points at sector %" PRIu64 ": its block ends at sector %" PRIu64
                           ", past the end of the data at %" PRIu64,
                           block->index, start, end, image->end);
    return 0;
}

static int placed_compare(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->sector != y->sector)
        return x->sector < y->sector ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Remembers the places for blocks in [from, to). */
static void image_add_gaps(struct vhd_image *image, uint64_t from, uint64_t to)
{
    if (to > VHD_ABSENT)
        to = VHD_ABSENT; /* what lies beyond cannot be named by an entry */
    uint64_t at = vhd_image_align(image, from);
    while (image->gap_count < VHD_GAPS && at + vhd_image_span(image) <= to) {
        image->gaps[image->gap_count++] = (uint32_t)at;
        at = vhd_image_align(image, at + vhd_image_span(image));
    }
}

/* tapdisk keeps a map of full blocks behind the table. It is not used here, and not overwritten either. */
static int image_batmap_end(struct file *file, uint8_t *buffer, const struct vhd_image *image, uint64_t table_end,
                            uint64_t *ret_end, struct disk_error *ret_error)
{
    *ret_end = table_end;
    if (table_end >= image->end)
        return 0;
    int result =
        image_read(file, table_end * DISK_SECTOR_SIZE, buffer, DISK_SECTOR_SIZE, "sector behind the table", ret_error);
    if (result < 0 || memcmp(buffer, "tdbatmap", 8) != 0)
        return result;
    uint64_t offset = vhd_get64(buffer + 8) / DISK_SECTOR_SIZE;
    uint64_t sectors = vhd_get32(buffer + 16);
    *ret_end = offset > image->end || sectors > image->end - offset ? image->end : offset + sectors + 1;
    if (*ret_end < table_end + 1)
        *ret_end = table_end + 1;
    return 0;
}

/*
 * Collects the places the table names, in the file's order, with none out of bounds or upon another. Entries beyond the
 * disk's end count like the others: there are blocks to them when another reader takes the disk to be larger, as by the
 * size field where we go by the geometry.
 */
static int image_place_blocks(struct vhd_image *image, const struct region regions[3], struct placed *placed,
                              uint32_t *ret_count, struct disk_error *ret_error)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < image->header.max_entries; i++) {
        if (image->bat[i] == VHD_ABSENT)
            continue;
        placed[count] = (struct placed){.sector = image->bat[i], .index = i};
        int result = image_check_block(image, &placed[count++], regions, ret_error);
        if (result < 0)
            return result;
        if (i < image->blocks)
            image->used++;
    }
    qsort(placed, count, sizeof *placed, placed_compare);
    for (uint32_t i = 1; i < count; i++)
        if (placed[i].sector - placed[i - 1].sector < vhd_image_span(image))
            return disk_refuse(ret_error, -EINVAL,
                               "BAT entries %u and %u point at overlapping blocks, at sectors %u and %u",
                               placed[i - 1].index, placed[i].index, placed[i - 1].sector, placed[i].sector);
    *ret_count = count;
    return 0;
}

static int image_check_blocks(struct file *file, uint8_t *buffer, struct vhd_image *image, struct disk_error *ret_error)
{
    uint64_t header = image->footer.header_offset / DISK_SECTOR_SIZE;
    uint64_t table = image->header.table_offset / DISK_SECTOR_SIZE;
    uint64_t table_end = table + round_up(4ull * image->header.max_entries, DISK_SECTOR_SIZE) / DISK_SECTOR_SIZE;
    const struct region regions[3] = {
        {"footer's copy", 0, 1},
        {"header", header, header + VHD_HEADER_SIZE / DISK_SECTOR_SIZE},
        {"table", table, table_end},
    };

    struct placed *placed = calloc(image->header.max_entries, sizeof *placed);
    if (!placed)
        return disk_refuse(ret_error, -ENOMEM, "out of memory for a table of %u entries", image->header.max_entries);
    uint32_t count = 0;
    uint64_t from = 0;
    int result = image_place_blocks(image, regions, placed, &count, ret_error);
    if (result == 0)
        result = image_batmap_end(file, buffer, image, table_end, &from, ret_error);
    if (result == 0) {
        if (from < regions[1].end)
            from = regions[1].end;
        for (uint32_t i = 0; i < count; i++) {
            if (i > 0)
                image_add_gaps(image, from, placed[i].sector);
            if (from < (uint64_t)placed[i].sector + vhd_image_span(image))
                from = (uint64_t)placed[i].sector + vhd_image_span(image);
        }
        image_add_gaps(image, from, image->end);
    }
    free(placed);
    return result;
}

/* ---- The whole. ---------------------------------------------------------------------------------------------------- */

static int image_load_dynamic(struct file *file, uint8_t *buffer, struct vhd_image *image, struct disk_error *ret_error)
{
    int result = image_load_header(file, buffer, image, ret_error);
    if (result == 0)
        result = image_check_header(image, ret_error);
    if (result == 0)
        result = image_load_table(file, buffer, image, ret_error);
    if (result == 0)
        result = image_check_blocks(file, buffer, image, ret_error);
    return result;
}

int vhd_image_load(struct file *file, struct vhd_image *ret_image, struct disk_error *ret_error)
{
    struct vhd_image image = {0};
    void *buffer = NULL;
    if (posix_memalign(&buffer, 4096, IMAGE_CHUNK) != 0)
        return disk_refuse(ret_error, -ENOMEM, "out of memory");

    int result = image_load_footer(file, buffer, &image, ret_error);
    if (result == 0)
        result = vhd_footer_disk_size(&image.footer, &image.size, ret_error);
    if (result == 0 && image.footer.type == VHD_DYNAMIC)
        result = image_load_dynamic(file, buffer, &image, ret_error);
    else if (result == 0 && image.size / DISK_SECTOR_SIZE > image.end)
        result =
            disk_refuse(ret_error, -EINVAL, "the disk has %" PRIu64 " bytes, but only %" PRIu64 " precede the footer",
                        image.size, image.end * DISK_SECTOR_SIZE);
    free(buffer);
    if (result < 0)
        vhd_image_fini(&image);
    else
        *ret_image = image;
    return result;
}

void vhd_image_fini(struct vhd_image *image)
{
    free(image->bat);
    image->bat = NULL;
}

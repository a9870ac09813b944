/* SPDX-License-Identifier: MIT */
/*
 * Reading and checking the metadata of an image: which footer counts, where header and table are, that every block lies
 * inside the file and apart from everything else.
 *
 * Which footer counts. A fixed disk has one, at the end. A dynamic disk has one at the end and a copy at offset 0;
 * growth may overwrite the one at the end, so after a crash the copy counts. A guest writes sector 0 of a fixed disk
 * as it likes, so a valid footer of a fixed disk at the end is believed before anything at offset 0. Footers of a
 * dynamic disk that are of two different disks are refused; of one disk the copy counts, which is written first when the disk
 * is changed.
 *
 * The table of the image itself is held in memory, all of it: 4 bytes a block. That of a parent is read when it is needed
 * (cache.h): its entries are checked one by one, and two that point at the same block harm nobody who only reads.
 */
#include "vhd/image.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "kind.h"
#include "vhd/locator.h"

#define IMAGE_CHUNK   65536u /* bytes of the table read at once */
#define IMAGE_ENTRIES (DISK_SECTOR_SIZE / 4)

struct region {
    const char *name;
    uint64_t start, end; /* sectors, the end exclusively */
};

#define IMAGE_REGIONS (4 + VHD_LOCATORS) /* footer's copy, header, table, map of full blocks, locators */

/* The parts of the file that are not blocks. */
struct regions {
    struct region list[IMAGE_REGIONS];
    unsigned count;
};

struct placed {
    uint32_t sector;
    uint32_t index;
};

static uint64_t round_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

static int image_read(struct file *file, unsigned member, uint64_t offset, void *buffer, size_t length,
                      const char *what, struct disk_error *ret_error)
{
    int64_t result = file_run(file, member, FILE_READ, offset, buffer, length);
    if (result < 0)
        return disk_refuse(ret_error, (int)result, "cannot read the %s at byte %" PRIu64 ": %s", what, offset,
                           strerror((int)-result));
    if ((uint64_t)result < length)
        return disk_refuse(ret_error, -EINVAL, "the file ends inside the %s at byte %" PRIu64, what, offset);
    return 0;
}

/* ---- Footers. ------------------------------------------------------------------------------------------------------ */

/* The footer at the end: 512 bytes, or 511 as early writers left it. */
static int image_load_tail(struct file *file, unsigned member, uint8_t *buffer, struct vhd_footer *ret_footer,
                           struct disk_error *ret_error)
{
    uint64_t size = file_size(file, member);
    uint64_t rest = size % VHD_FOOTER_SIZE;
    if (rest != 0 && rest != VHD_FOOTER_SIZE - 1)
        return disk_refuse(ret_error, -EINVAL,
                           "the file's size of %" PRIu64 " bytes leaves no room for a footer at the end", size);
    uint64_t offset = size - (rest ? rest : VHD_FOOTER_SIZE);
    memset(buffer, 0, VHD_FOOTER_SIZE);
    int64_t result = file_run(file, member, FILE_READ, offset, buffer, VHD_FOOTER_SIZE);
    if (result < 0)
        return disk_refuse(ret_error, (int)result, "cannot read the footer: %s", strerror((int)-result));
    return vhd_footer_decode(buffer, ret_footer, ret_error);
}

static int image_load_footer(struct file *file, unsigned member, uint8_t *buffer, struct vhd_image *image,
                             struct disk_error *ret_error)
{
    uint64_t size = file_size(file, member);
    if (size < VHD_FOOTER_SIZE - 1)
        return disk_refuse(ret_error, -EINVAL, "the file has %" PRIu64 " bytes: too short for a VHD image", size);

    struct vhd_footer tail = {0}, head = {0};
    uint8_t tail_bytes[VHD_FOOTER_SIZE];
    struct disk_error head_error = {""};
    int tail_result = image_load_tail(file, member, buffer, &tail, ret_error);
    image->end = size / DISK_SECTOR_SIZE; /* before a footer of 511 bytes, too */
    if (tail_result == 0 && size % VHD_FOOTER_SIZE == 0)
        image->end--;
    memcpy(tail_bytes, buffer, VHD_FOOTER_SIZE);
    if (tail_result == 0 && tail.type == VHD_FIXED) {
        image->footer = tail;
        memcpy(image->footer_bytes, tail_bytes, VHD_FOOTER_SIZE);
        return 0;
    }

    int head_result = image_read(file, member, 0, buffer, VHD_FOOTER_SIZE, "copy of the footer", &head_error);
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
    image->tail_differs = tail_result == 0 && head_result == 0 && memcmp(buffer, tail_bytes, VHD_FOOTER_SIZE) != 0;
    return 0;
}

/* ---- Header and table. --------------------------------------------------------------------------------------------- */

static int image_load_header(struct file *file, unsigned member, uint8_t *buffer, struct vhd_image *image,
                             struct disk_error *ret_error)
{
    uint64_t offset = image->footer.header_offset;
    uint64_t end = image->end * DISK_SECTOR_SIZE;
    if (offset % DISK_SECTOR_SIZE || offset < VHD_FOOTER_SIZE)
        return disk_refuse(ret_error, -EINVAL,
                           "the dynamic header's offset %" PRIu64 " is not a sector behind the footer's copy", offset);
    if (offset > end || end - offset < VHD_HEADER_SIZE)
        return disk_refuse(ret_error, -EINVAL, "the dynamic header at byte %" PRIu64 " lies past the end of the file",
                           offset);
    int result = image_read(file, member, offset, buffer, VHD_HEADER_SIZE, "dynamic header", ret_error);
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
    uint64_t length = vhd_table_sectors(header->max_entries) * DISK_SECTOR_SIZE;
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
            image_read(file, 0, image->header.table_offset + 4ull * done, buffer, 4ull * count, "table", ret_error);
        if (result < 0)
            return result;
        for (uint32_t i = 0; i < count; i++)
            image->bat[done + i] = vhd_get32(buffer + 4ull * i);
        done += count;
    }
    return 0;
}

/* ---- What else is in the file. ------------------------------------------------------------------------------------- */

static void regions_add(struct regions *regions, const char *name, uint64_t start, uint64_t sectors)
{
    regions->list[regions->count++] = (struct region){name, start, start + sectors};
}

static void regions_make(const struct vhd_image *image, struct regions *ret_regions)
{
    ret_regions->count = 0;
    regions_add(ret_regions, "footer's copy", 0, 1);
    regions_add(ret_regions, "header", image->footer.header_offset / DISK_SECTOR_SIZE,
                VHD_HEADER_SIZE / DISK_SECTOR_SIZE);
    regions_add(ret_regions, "table", image->header.table_offset / DISK_SECTOR_SIZE,
                vhd_table_sectors(image->header.max_entries));
    if (image->footer.type != VHD_DIFFERENCING)
        return;
    for (unsigned i = 0; i < VHD_LOCATORS; i++) {
        const struct vhd_locator *locator = &image->header.locators[i];
        uint64_t start = locator->offset / DISK_SECTOR_SIZE;
        uint64_t sectors =
            (locator->offset % DISK_SECTOR_SIZE + locator->length + DISK_SECTOR_SIZE - 1) / DISK_SECTOR_SIZE;
        if (vhd_locator_form(locator->code) != VHD_LOCATOR_FORMS && locator->length > 0 && start < image->end &&
            sectors <= image->end - start)
            regions_add(ret_regions, "locator of the parent", start, sectors);
    }
}

bool vhd_image_has_place(const struct vhd_image *image, uint32_t sector)
{
    uint64_t start = sector, end = start + vhd_image_span(image);
    uint64_t header = image->footer.header_offset / DISK_SECTOR_SIZE;
    uint64_t table = image->header.table_offset / DISK_SECTOR_SIZE;
    if (start < 1 || end > image->end)
        return false;
    return (end <= header || start >= header + VHD_HEADER_SIZE / DISK_SECTOR_SIZE) &&
           (end <= table || start >= table + vhd_table_sectors(image->header.max_entries));
}

/* ---- tapdisk's map of full blocks. --------------------------------------------------------------------------------- */

/* Whether a block begins in front of `end`, and behind `begin`: sectors. */
static bool image_has_block(const struct vhd_image *image, uint64_t begin, uint64_t end)
{
    for (uint32_t i = 0; i < image->blocks; i++) {
        if (image->bat[i] != VHD_ABSENT && image->bat[i] + vhd_image_span(image) > begin && image->bat[i] < end)
            return true;
    }
    return false;
}

/* Finds the map. What claims to be one and is not whole is left alone, and not overwritten with blocks either. What claims sectors that the file does not
 * have is none: blocks may come to lie there, and then it claims theirs. */
static int image_load_batmap(struct file *file, uint8_t *buffer, struct vhd_image *image, struct regions *regions,
                             struct disk_error *ret_error)
{
    const struct region *table = &regions->list[2];
    if (table->end >= image->end)
        return 0;
    int result = image_read(file, 0, table->end * DISK_SECTOR_SIZE, buffer, DISK_SECTOR_SIZE, "sector behind the table",
                            ret_error);
    struct vhd_batmap_header header;
    uint8_t header_bytes[DISK_SECTOR_SIZE];
    memcpy(header_bytes, buffer, DISK_SECTOR_SIZE);
    if (result < 0 || !vhd_batmap_decode(buffer, &header))
        return result;
    uint64_t start = header.offset / DISK_SECTOR_SIZE, end = start + header.sectors;
    const uint64_t behind = end > table->end ? end : table->end + 1;
    if (start > image->end || end > image->end || image_has_block(image, table->end, behind))
        return 0;
    regions_add(regions, "map of full blocks", table->end, behind - table->end);

    size_t bytes = (image->blocks + 7u) / 8u;
    bool whole = header.version == VHD_BATMAP_VERSION && header.offset % DISK_SECTOR_SIZE == 0 && start > table->end &&
                 end == start + header.sectors && header.sectors <= VHD_BATMAP_MOST &&
                 bytes <= (uint64_t)header.sectors * DISK_SECTOR_SIZE;
    if (!whole || memcmp(image->footer.creator, "tap", 4) != 0)
        return 0; /* of other creators nobody reads it, and it may be of an earlier time */
    size_t length = (size_t)header.sectors * DISK_SECTOR_SIZE;
    uint8_t *map = NULL;
    if (posix_memalign((void **)&map, 4096, length) != 0)
        return disk_refuse(ret_error, -ENOMEM, "out of memory for the map of full blocks");
    result = image_read(file, 0, start * DISK_SECTOR_SIZE, map, length, "map of full blocks", ret_error);
    if (result == 0) {
        image->batmap = (struct vhd_batmap){
            .header = table->end, .start = start, .sectors = header.sectors, .checksum = header.checksum, .bits = map};
        memcpy(image->batmap.header_bytes, header_bytes, DISK_SECTOR_SIZE);
        image->batmap.torn = vhd_checksum(map, length, length) != header.checksum;
        for (uint32_t i = 0; i < image->blocks; i++)
            image->batmap.stale |= vhd_bit(map, i) && image->bat[i] == VHD_ABSENT;
        return 0;
    }
    free(map);
    return result;
}

void vhd_image_empty_batmap(const struct vhd_image *image, uint8_t ret_header[DISK_SECTOR_SIZE])
{
    const struct vhd_batmap *batmap = &image->batmap;
    const struct vhd_batmap_header header = {
        .offset = batmap->start * DISK_SECTOR_SIZE,
        .sectors = batmap->sectors,
        .version = VHD_BATMAP_VERSION,
        .checksum = ~0u, /* of zeros */
    };
    memcpy(ret_header, batmap->header_bytes, DISK_SECTOR_SIZE);
    vhd_batmap_encode(&header, ret_header);
}

static int image_write(struct file *file, uint64_t sector, const void *bytes, size_t length)
{
    int result = -EIO;
    void *buffer = NULL;
    if (posix_memalign(&buffer, 4096, length) != 0)
        return -ENOMEM;
    memcpy(buffer, bytes, length);
    int64_t written = file_run(file, 0, FILE_WRITE, sector * DISK_SECTOR_SIZE, buffer, length);
    if (written == (int64_t)length)
        result = (int)file_run(file, 0, FILE_SYNC, 0, NULL, 0);
    else if (written < 0)
        result = (int)written;
    free(buffer);
    return result;
}

int vhd_image_write_tail(struct file *file, const struct vhd_image *image)
{
    return image_write(file, image->end, image->footer_bytes, VHD_FOOTER_SIZE);
}

int vhd_image_clear_batmap(struct file *file, struct vhd_image *image)
{
    uint8_t header[DISK_SECTOR_SIZE];
    struct vhd_batmap *batmap = &image->batmap;
    memset(batmap->bits, 0, (size_t)batmap->sectors * DISK_SECTOR_SIZE);
    vhd_image_empty_batmap(image, header);
    int result = image_write(file, batmap->header, header, sizeof header);
    if (result == 0)
        result = image_write(file, batmap->start, batmap->bits, (size_t)batmap->sectors * DISK_SECTOR_SIZE);
    if (result == 0)
        batmap->header = 0; /* there is nothing left to clear in it */
    return result;
}

/* ---- Blocks. ------------------------------------------------------------------------------------------------------- */

static int image_check_block(const struct vhd_image *image, const struct placed *block, const struct regions *regions,
                             struct disk_error *ret_error)
{
    uint64_t start = block->sector, end = start + vhd_image_span(image);
    for (unsigned i = 0; i < regions->count; i++) {
        const struct region *region = &regions->list[i];
        if (start >= region->start && start < region->end)
            return disk_refuse(ret_error, -EINVAL, "BAT entry %u points at sector %" PRIu64 ", inside the %s",
                               block->index, start, region->name);
        if (start < region->end && region->start < end)
            return disk_refuse(ret_error, -EINVAL,
                               "BAT entry %u points at sector %" PRIu64 ": its block overlaps the %s", block->index,
                               start, region->name);
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

void vhd_image_add_gap(struct vhd_image *image, uint32_t sector)
{
    if (image->gap_count == image->gap_capacity) {
        uint32_t more = image->gap_capacity ? 2 * image->gap_capacity : 64;
        uint32_t *gaps = more > VHD_GAPS_MOST ? NULL : realloc(image->gaps, more * sizeof *gaps);
        if (!gaps)
            return; /* found again at the next open */
        image->gaps = gaps;
        image->gap_capacity = more;
    }
    image->gaps[image->gap_count++] = sector;
}

/* Remembers the places for blocks in [from, to). */
static void image_add_gaps(struct vhd_image *image, uint64_t from, uint64_t to)
{
    if (to > VHD_ABSENT)
        to = VHD_ABSENT; /* what lies beyond cannot be named by an entry */
    uint64_t at = vhd_image_align(image, from);
    while (image->gap_count < VHD_GAPS_MOST && at + vhd_image_span(image) <= to) {
        vhd_image_add_gap(image, (uint32_t)at);
        at = vhd_image_align(image, at + vhd_image_span(image));
    }
}

/* The places between what is in the file: blocks, in the file's order, and regions. */
static void image_find_gaps(struct vhd_image *image, const struct regions *regions, const struct placed *placed,
                            uint32_t count)
{
    uint64_t from = 0;
    for (uint32_t i = 0; i <= count; i++) {
        uint64_t to = i < count ? placed[i].sector : image->end;
        while (from < to) { /* up to the next region, then on behind it */
            const struct region *next = NULL;
            for (unsigned k = 0; k < regions->count; k++) {
                const struct region *region = &regions->list[k];
                if (region->end > from && region->start < to && (!next || region->start < next->start))
                    next = region;
            }
            if (next && next->start > from)
                image_add_gaps(image, from, next->start);
            else if (!next)
                image_add_gaps(image, from, to);
            from = next ? next->end : to;
        }
        if (i < count && from < to + vhd_image_span(image))
            from = to + vhd_image_span(image);
    }
}

/*
 * Collects the places the table names, in the file's order, with none out of bounds or upon another. Entries beyond the
 * disk's end count like the others: there are blocks to them when another reader takes the disk to be larger, as by the
 * size field where we go by the geometry.
 */
static int image_place_blocks(struct vhd_image *image, const struct regions *regions, struct placed *placed,
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

static int image_check_blocks(struct vhd_image *image, const struct regions *regions, struct disk_error *ret_error)
{
    struct placed *placed = calloc(image->header.max_entries, sizeof *placed);
    if (!placed)
        return disk_refuse(ret_error, -ENOMEM, "out of memory for a table of %u entries", image->header.max_entries);
    uint32_t count = 0;
    int result = image_place_blocks(image, regions, placed, &count, ret_error);
    if (result == 0)
        image_find_gaps(image, regions, placed, count);
    free(placed);
    return result;
}

/* ---- The whole. ---------------------------------------------------------------------------------------------------- */

static int image_load_dynamic(struct file *file, uint8_t *buffer, struct vhd_image *image, struct disk_error *ret_error)
{
    struct regions regions;
    int result = image_load_header(file, 0, buffer, image, ret_error);
    if (result == 0)
        result = image_check_header(image, ret_error);
    if (result == 0)
        result = image_load_table(file, buffer, image, ret_error);
    if (result == 0) {
        regions_make(image, &regions);
        result = image_load_batmap(file, buffer, image, &regions, ret_error);
    }
    if (result == 0)
        result = image_check_blocks(image, &regions, ret_error);
    return result;
}

static int image_check_fixed(const struct vhd_image *image, struct disk_error *ret_error)
{
    if (image->size / DISK_SECTOR_SIZE <= image->end)
        return 0;
    return disk_refuse(ret_error, -EINVAL, "the disk has %" PRIu64 " bytes, but only %" PRIu64 " precede the footer",
                       image->size, image->end * DISK_SECTOR_SIZE);
}

static int image_load(struct file *file, unsigned member, bool whole, struct vhd_image *ret_image,
                      struct disk_error *ret_error)
{
    struct vhd_image image = {0};
    void *buffer = NULL;
    if (posix_memalign(&buffer, 4096, IMAGE_CHUNK) != 0)
        return disk_refuse(ret_error, -ENOMEM, "out of memory");

    int result = image_load_footer(file, member, buffer, &image, ret_error);
    if (result == 0)
        result = vhd_footer_disk_size(&image.footer, &image.size, ret_error);
    if (result == 0 && image.footer.type == VHD_FIXED) {
        result = image_check_fixed(&image, ret_error);
    } else if (result == 0 && whole) {
        result = image_load_dynamic(file, buffer, &image, ret_error);
    } else if (result == 0) {
        result = image_load_header(file, member, buffer, &image, ret_error);
        if (result == 0)
            result = image_check_header(&image, ret_error);
    }
    free(buffer);
    if (result < 0)
        vhd_image_fini(&image);
    else
        *ret_image = image;
    return result;
}

int vhd_image_load(struct file *file, struct vhd_image *ret_image, struct disk_error *ret_error)
{
    return image_load(file, 0, true, ret_image, ret_error);
}

int vhd_image_load_parent(struct file *file, unsigned member, struct vhd_image *ret_image, struct disk_error *ret_error)
{
    return image_load(file, member, false, ret_image, ret_error);
}

void vhd_image_fini(struct vhd_image *image)
{
    free(image->bat);
    free(image->gaps);
    free(image->batmap.bits);
    image->bat = NULL;
    image->gaps = NULL;
    image->batmap.bits = NULL;
}

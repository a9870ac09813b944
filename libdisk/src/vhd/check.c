/* SPDX-License-Identifier: MIT */
/*
 * Looking at images from outside: what they say, what is wrong with them, and putting it right.
 *
 * What can be put right: a footer that is lost or old, from the other one; entries of the table that point at what cannot be a block, whose
 * data is lost in any case; a map of full blocks that is wrong, which is made one of none. What cannot: a header, and blocks that overlap.
 */
#include <disk/vhd.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kind.h"
#include "vhd/image.h"

#define CHECK_CHUNK 65536u

struct check {
    struct file *file;
    bool repair;
    void (*found)(void *arg, const char *text, bool repaired);
    void *arg;
    int left;        /* findings that are not put right */
    uint8_t *buffer; /* CHECK_CHUNK bytes, aligned */
};

static int check_open(int fd, struct file **ret_file, struct disk_error *ret_error)
{
    struct disk_params params = {.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0), .fence_fd = -1, .plain = true, .depth = 1};
    if (params.fd < 0)
        return disk_refuse(ret_error, -errno, "cannot use the image's descriptor: %s", strerror(errno));
    return file_open(&params, ret_file, ret_error);
}

/* ---- What it says. ------------------------------------------------------------------------------------------------- */

int vhd_describe(int fd, struct vhd_about *ret_about, struct disk_error *ret_error)
{
    struct file *file = NULL;
    struct vhd_image image;
    int result = check_open(fd, &file, ret_error);
    if (result < 0)
        return result;
    result = vhd_image_load(file, &image, ret_error);
    file_close(file);
    if (result < 0)
        return result;
    *ret_about = (struct vhd_about){
        .type = (enum vhd_type)image.footer.type,
        .size = image.size,
        .block_size = image.header.block_size,
        .blocks = image.blocks,
        .used = image.used,
    };
    memcpy(ret_about->uuid, image.footer.uuid, sizeof ret_about->uuid);
    memcpy(ret_about->creator, image.footer.creator, sizeof image.footer.creator);
    if (image.footer.type == VHD_DIFFERENCING)
        memcpy(ret_about->parent_uuid, image.header.parent_uuid, sizeof ret_about->parent_uuid);
    vhd_image_fini(&image);
    return 0;
}

/* ---- Findings. ----------------------------------------------------------------------------------------------------- */

static void __attribute__((format(printf, 3, 4)))
check_found(struct check *check, bool repaired, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    check->left += !repaired;
    check->found(check->arg, text, repaired);
}

static int check_sync(struct check *check, struct disk_error *ret_error)
{
    int result = (int)file_run(check->file, 0, FILE_SYNC, 0, NULL, 0);
    return result < 0 ? disk_refuse(ret_error, result, "cannot sync the image: %s", strerror(-result)) : 0;
}

/* Writes `length` bytes of the buffer, and syncs. */
static int check_write(struct check *check, uint64_t offset, size_t length, struct disk_error *ret_error)
{
    int64_t result = file_run(check->file, 0, FILE_WRITE, offset, check->buffer, length);
    if (result != (int64_t)length)
        return disk_refuse(ret_error, result < 0 ? (int)result : -EIO, "cannot write the image at byte %" PRIu64 ": %s",
                           offset, strerror(result < 0 ? (int)-result : EIO));
    return check_sync(check, ret_error);
}

static int check_read(struct check *check, uint64_t offset, size_t length, struct disk_error *ret_error)
{
    memset(check->buffer, 0, length);
    if (offset >= check->file->size)
        return 0; /* a footer that was cut off */
    int64_t result = file_run(check->file, 0, FILE_READ, offset, check->buffer, length);
    return result < 0 ? disk_refuse(ret_error, (int)result, "cannot read the image at byte %" PRIu64 ": %s", offset,
                                    strerror((int)-result))
                      : 0;
}

/* ---- Footers. ------------------------------------------------------------------------------------------------------ */

static int check_footers(struct check *check, const struct vhd_image *image, struct disk_error *ret_error)
{
    struct vhd_footer footer;
    struct disk_error error = {""};
    uint64_t offsets[2] = {image->end * DISK_SECTOR_SIZE, 0};
    static const char *const names[2] = {"footer at the end", "copy of the footer at the beginning"};
    for (unsigned i = 0; i < (image->footer.type == VHD_FIXED ? 1 : 2); i++) {
        int result = check_read(check, offsets[i], VHD_FOOTER_SIZE, ret_error);
        if (result < 0)
            return result;
        if (vhd_footer_decode(check->buffer, &footer, &error) == 0) {
            if (memcmp(check->buffer, image->footer_bytes, VHD_FOOTER_SIZE) == 0 &&
                (i == 1 || check->file->size == offsets[0] + VHD_FOOTER_SIZE))
                continue;
            snprintf(error.text, sizeof error.text, "it is of an earlier time, or has 511 bytes");
        }
        if (check->repair) {
            memcpy(check->buffer, image->footer_bytes, VHD_FOOTER_SIZE);
            result = check_write(check, offsets[i], VHD_FOOTER_SIZE, ret_error);
            if (result < 0)
                return result;
        }
        check_found(check, check->repair, "the %s is not good: %.150s", names[i], error.text);
    }
    return 0;
}

/* ---- The table. ---------------------------------------------------------------------------------------------------- */

struct check_block {
    uint32_t sector, index;
};

static int check_compare(const void *a, const void *b)
{
    const struct check_block *x = a, *y = b;
    return x->sector < y->sector ? -1 : x->sector > y->sector;
}

/* Looks at the entries in the buffer, from `first` on; collects the good ones. True when one was taken out. */
static bool check_entries(struct check *check, const struct vhd_image *image, uint32_t first, uint32_t count,
                          struct check_block *blocks, uint32_t *block_count)
{
    bool changed = false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t entry = vhd_get32(check->buffer + 4ull * i);
        if (entry == VHD_ABSENT)
            continue;
        if (vhd_image_has_place(image, entry)) {
            blocks[(*block_count)++] = (struct check_block){.sector = entry, .index = first + i};
            continue;
        }
        check_found(check, check->repair,
                    "the table's entry %u points at sector %u, where no block can be: its data is lost", first + i,
                    entry);
        vhd_put32(check->buffer + 4ull * i, VHD_ABSENT);
        changed = true;
    }
    return changed;
}

static int check_table(struct check *check, const struct vhd_image *image, struct disk_error *ret_error)
{
    uint32_t total = image->header.max_entries, block_count = 0;
    struct check_block *blocks = calloc(total, sizeof *blocks);
    int result = 0;
    if (!blocks)
        return disk_refuse(ret_error, -ENOMEM, "out of memory for a table of %u entries", total);
    for (uint32_t done = 0; result == 0 && done < total;) {
        uint32_t count = total - done < CHECK_CHUNK / 4 ? total - done : CHECK_CHUNK / 4;
        uint64_t offset = image->header.table_offset + 4ull * done;
        size_t length = (size_t)vhd_table_sectors(count) * DISK_SECTOR_SIZE;
        result = check_read(check, offset, length, ret_error);
        if (result == 0 && check_entries(check, image, done, count, blocks, &block_count) && check->repair)
            result = check_write(check, offset, length, ret_error);
        done += count;
    }
    qsort(blocks, block_count, sizeof *blocks, check_compare);
    for (uint32_t i = 1; result == 0 && i < block_count; i++)
        if (blocks[i].sector - blocks[i - 1].sector < vhd_image_span(image))
            check_found(check, false, "the table's entries %u and %u point at overlapping blocks, at sectors %u and %u",
                        blocks[i - 1].index, blocks[i].index, blocks[i - 1].sector, blocks[i].sector);
    free(blocks);
    return result;
}

/* ---- The map of full blocks. --------------------------------------------------------------------------------------- */

/* True when it says of a block that is not there, or not full, that it is. */
static int check_batmap_bits(struct check *check, const struct vhd_image *image, uint32_t *ret_block, bool *ret_wrong,
                             struct disk_error *ret_error)
{
    const uint32_t bytes = image->block_sectors / 8;
    *ret_wrong = false;
    for (uint32_t block = 0; block < image->blocks && !*ret_wrong; block++) {
        if (!vhd_bit(image->batmap.bits, block))
            continue;
        *ret_block = block;
        *ret_wrong = image->bat[block] == VHD_ABSENT;
        if (*ret_wrong)
            break;
        int result = check_read(check, (uint64_t)image->bat[block] * DISK_SECTOR_SIZE,
                                (size_t)image->bitmap_sectors * DISK_SECTOR_SIZE, ret_error);
        if (result < 0)
            return result;
        for (uint32_t i = 0; i < bytes; i++)
            *ret_wrong |= check->buffer[i] != 0xff;
    }
    return 0;
}

static int check_batmap(struct check *check, struct vhd_image *image, struct disk_error *ret_error)
{
    struct vhd_batmap_header header;
    uint32_t block = 0;
    bool wrong = false;
    uint64_t behind = image->header.table_offset / DISK_SECTOR_SIZE + vhd_table_sectors(image->header.max_entries);
    if (memcmp(image->footer.creator, "tap", 4) != 0 || behind >= image->end)
        return 0;
    int result = check_read(check, behind * DISK_SECTOR_SIZE, DISK_SECTOR_SIZE, ret_error);
    if (result < 0 || !vhd_batmap_decode(check->buffer, &header))
        return result;
    if (!image->batmap.bits && !image->batmap.torn) {
        check_found(check, false, "the map of full blocks is not where it could be");
        return 0;
    }
    if (image->batmap.torn)
        wrong = true;
    else
        result = check_batmap_bits(check, image, &block, &wrong, ret_error);
    if (result < 0 || !wrong)
        return result;
    if (check->repair) {
        result = vhd_image_clear_batmap(check->file, image);
        if (result < 0)
            return disk_refuse(ret_error, result, "cannot write the map of full blocks: %s", strerror(-result));
    }
    if (image->batmap.torn)
        check_found(check, check->repair, "the checksum of the map of full blocks is wrong");
    else
        check_found(check, check->repair, "the map of full blocks says that block %u is full, which it is not", block);
    return 0;
}

/* ---- The whole. ---------------------------------------------------------------------------------------------------- */

static int check_all(struct check *check, struct disk_error *ret_error)
{
    struct vhd_image image = {0};
    struct disk_error error = {""};
    int result = vhd_image_load_parent(check->file, 0, &image, ret_error);
    if (result < 0)
        return result;
    result = check_footers(check, &image, ret_error);
    if (result == 0 && image.footer.type != VHD_FIXED)
        result = check_table(check, &image, ret_error);
    bool table = image.footer.type != VHD_FIXED;
    int left = check->left;
    vhd_image_fini(&image);
    if (result < 0 || !table)
        return result;

    if (vhd_image_load(check->file, &image, &error) < 0) { /* what is wrong that was not found yet */
        if (left == 0)
            check_found(check, false, "%s", error.text);
        return 0;
    }
    result = check_batmap(check, &image, ret_error);
    vhd_image_fini(&image);
    return result;
}

int vhd_check(int fd, bool repair, void (*found)(void *arg, const char *text, bool repaired), void *arg,
              struct disk_error *ret_error)
{
    struct check check = {.repair = repair, .found = found, .arg = arg};
    void *buffer = NULL;
    if (posix_memalign(&buffer, 4096, CHECK_CHUNK) != 0)
        return disk_refuse(ret_error, -ENOMEM, "out of memory");
    check.buffer = buffer;
    struct file *file = NULL;
    int result = check_open(fd, &file, ret_error);
    if (result == 0 && file) {
        check.file = file;
        result = check_all(&check, ret_error);
        file_close(file);
    }
    free(buffer);
    return result < 0 ? result : check.left;
}

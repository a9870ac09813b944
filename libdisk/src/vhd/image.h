/* SPDX-License-Identifier: MIT */
/* What is known of a VHD image once it was read and checked: nothing behind this line meets a malformed value. */
#ifndef DISK_VHD_IMAGE_H
#define DISK_VHD_IMAGE_H

#include "file/file.h"
#include "vhd/format.h"

#define VHD_GAPS 64 /* places for blocks inside the file that are remembered; others stay unused */

struct vhd_image {
    struct vhd_footer footer;
    uint8_t footer_bytes[VHD_FOOTER_SIZE]; /* as it was read, to be written behind new blocks */
    struct vhd_header header;              /* of a dynamic disk, as all that follows `size` */
    uint64_t size;                         /* bytes: of the disk */
    uint32_t blocks;                       /* of the disk; the last may lie partly beyond its size */
    uint32_t used;                         /* of these, those that are in the table */
    uint32_t bitmap_sectors;
    uint32_t block_sectors;  /* without the bitmap */
    uint32_t *bat;           /* sector of each block's bitmap, or VHD_ABSENT */
    uint32_t bat_count;      /* entries held: of the disk, behind its end, and in the rest of the table's last sector */
    uint64_t end;            /* sector behind all blocks: where the trailing footer is, or belongs */
    uint32_t gaps[VHD_GAPS]; /* sectors where a block fits that no entry names; what is there is unknown */
    uint32_t gap_count;
};

/* Reads and checks the metadata. Returns 0, or -errno with `ret_error` filled. The file is not written. */
int vhd_image_load(struct file *file, struct vhd_image *ret_image, struct disk_error *ret_error);
void vhd_image_fini(struct vhd_image *image);

/* The sectors a block takes, bitmap included. */
static inline uint32_t vhd_image_span(const struct vhd_image *image)
{
    return image->bitmap_sectors + image->block_sectors;
}

/* The first sector not before `from` where a block may begin so that its data is aligned to 4 KiB in the file. */
static inline uint64_t vhd_image_align(const struct vhd_image *image, uint64_t from)
{
    return ((from + image->bitmap_sectors + 7) & ~7ull) - image->bitmap_sectors;
}

#endif

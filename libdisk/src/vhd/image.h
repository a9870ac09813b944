/* SPDX-License-Identifier: MIT */
/* What is known of a VHD image once it was read and checked: nothing behind this line meets a malformed value. */
#ifndef DISK_VHD_IMAGE_H
#define DISK_VHD_IMAGE_H

#include "file/file.h"
#include "vhd/format.h"

/* tapdisk's map of blocks whose bitmap is all ones, behind the table. A hint: without it bitmaps are read. */
struct vhd_batmap {
    uint64_t header; /* sector of its header; 0: there is none */
    uint64_t start;  /* sector of the map */
    uint8_t header_bytes[DISK_SECTOR_SIZE];
    uint32_t sectors;
    uint32_t checksum;
    bool stale;    /* it names blocks that are absent */
    bool torn;     /* its checksum is wrong */
    uint8_t *bits; /* of image.blocks; nothing to go by when it is torn */
};

struct vhd_image {
    struct vhd_footer footer;
    uint8_t footer_bytes[VHD_FOOTER_SIZE]; /* as it was read, to be written behind new blocks */
    bool tail_differs;                     /* the footer at the end is of an earlier time */
    struct vhd_header header;              /* of a dynamic disk, as all that follows `size` */
    uint64_t size;                         /* bytes: of the disk */
    uint32_t blocks;                       /* of the disk; the last may lie partly beyond its size */
    uint32_t used;                         /* of these, those that are in the table */
    uint32_t bitmap_sectors;
    uint32_t block_sectors; /* without the bitmap */
    uint32_t *bat;          /* sector of each block's bitmap, or VHD_ABSENT */
    uint32_t bat_count;     /* entries held: of the disk, behind its end, and in the rest of the table's last sector */
    uint64_t end;           /* sector behind all blocks: where the trailing footer is, or belongs */
    uint32_t *gaps;         /* sectors where a block fits that no entry names; what is there is unknown */
    uint32_t gap_count, gap_capacity;
    struct vhd_batmap batmap;
};

#define VHD_GAPS_MOST (1u << 20) /* places that are remembered; others stay unused until the next open */

/* Reads and checks the metadata. Returns 0, or -errno with `ret_error` filled. The file is not written. */
int vhd_image_load(struct file *file, struct vhd_image *ret_image, struct disk_error *ret_error);

/* The same for a parent, or what is needed to find one: the table is left in the file, its entries are yet to be checked with vhd_image_has_place(). */
int vhd_image_load_parent(struct file *file, unsigned member, struct vhd_image *ret_image,
                          struct disk_error *ret_error);
void vhd_image_fini(struct vhd_image *image);

/* Writes the footer at the end, or a map of full blocks that names none, and waits for it. Return 0 or -errno. */
int vhd_image_write_tail(struct file *file, const struct vhd_image *image);
int vhd_image_clear_batmap(struct file *file, struct vhd_image *image);

/* What is to be written for that: the sector of its header, with what else is in it. */
void vhd_image_empty_batmap(const struct vhd_image *image, uint8_t ret_header[DISK_SECTOR_SIZE]);

/* Remembers a place that no entry names. */
void vhd_image_add_gap(struct vhd_image *image, uint32_t sector);

/* True when a block at this sector lies inside the file, apart from footer, header and table. */
bool vhd_image_has_place(const struct vhd_image *image, uint32_t sector);

/* The sectors of a table of `entries`. */
static inline uint64_t vhd_table_sectors(uint64_t entries)
{
    return (4 * entries + DISK_SECTOR_SIZE - 1) / DISK_SECTOR_SIZE;
}

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

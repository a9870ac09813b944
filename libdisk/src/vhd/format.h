/* SPDX-License-Identifier: MIT */
/*
 * The structures of a VHD file, decoded from bytes and encoded into them, apart from any I/O.
 * Layout: Microsoft, "Virtual Hard Disk Image Format Specification", version 1.0 (2006). All numbers are big-endian.
 */
#ifndef DISK_VHD_FORMAT_H
#define DISK_VHD_FORMAT_H

#include <disk/vhd.h>

#define VHD_FOOTER_SIZE 512u
#define VHD_HEADER_SIZE 1024u
#define VHD_LOCATORS    8u
#define VHD_NAME_SIZE   512u        /* bytes of the parent's name in the header */
#define VHD_ABSENT      0xffffffffu /* BAT entry of a block that is not there */
#define VHD_NO_OFFSET   UINT64_MAX  /* data offset of a fixed disk's footer and of the dynamic header */
#define VHD_MAX_SIZE    (2040ull << 30)
#define VHD_MIN_BLOCK   (4u << 10)
#define VHD_MAX_BLOCK   (16u << 20)
#define VHD_MAX_BLOCKS  (2040u << 11) /* what we hold in memory: all of the largest disk in blocks of 512 KiB */
#define VHD_BLOCK_SIZE  (2u << 20)    /* of images made here */

struct vhd_geometry {
    uint16_t cylinders;
    uint8_t heads;
    uint8_t sectors; /* per track */
};

struct vhd_footer {
    uint64_t header_offset; /* bytes; VHD_NO_OFFSET for a fixed disk */
    uint32_t timestamp;     /* seconds since 2000-01-01 00:00 UTC */
    uint8_t creator[4];
    uint32_t creator_version;
    uint8_t creator_host[4];
    uint64_t original_size; /* bytes */
    uint64_t current_size;  /* bytes; see vhd_footer_disk_size() */
    struct vhd_geometry geometry;
    uint32_t type;
    uint8_t uuid[16];
};

/* Where one form of the path to the parent is. What is there is for locator.h. */
struct vhd_locator {
    uint8_t code[4];
    uint32_t space;  /* room: in sectors or, of some writers, in bytes; not relied on */
    uint32_t length; /* bytes */
    uint64_t offset; /* bytes: where in the file */
};

/* The header of a dynamic or differencing disk. */
struct vhd_header {
    uint64_t table_offset; /* bytes: the block allocation table */
    uint32_t max_entries;
    uint32_t block_size;         /* bytes, without the bitmap */
    uint8_t parent_uuid[16];     /* of a differencing disk, as the rest; zeros for a raw parent */
    uint32_t parent_time;        /* of the parent's last change, as vhd_footer.timestamp; not relied on */
    uint8_t name[VHD_NAME_SIZE]; /* the parent's, UTF-16, big-endian, zeros behind it */
    struct vhd_locator locators[VHD_LOCATORS];
};

/* Checks cookie, checksum, version and type. Returns 0, or -EINVAL with `ret_error` filled.
 * A footer of 511 bytes is given with a zero behind it. */
int vhd_footer_decode(const uint8_t bytes[VHD_FOOTER_SIZE], struct vhd_footer *ret_footer,
                      struct disk_error *ret_error);
void vhd_footer_encode(const struct vhd_footer *footer, uint8_t ret_bytes[VHD_FOOTER_SIZE]);

/* The same into bytes that were read, of which what struct vhd_footer does not have is kept. */
void vhd_footer_change(const struct vhd_footer *footer, uint8_t ret_bytes[VHD_FOOTER_SIZE]);

/* True when two copies of a footer are of the same disk. They may be of different times: one is always written before the other. */
bool vhd_footer_agrees(const struct vhd_footer *a, const struct vhd_footer *b);

/* The disk's size in bytes: the size field, or the geometry for writers that mean it. Returns 0, or -EINVAL. */
int vhd_footer_disk_size(const struct vhd_footer *footer, uint64_t *ret_size, struct disk_error *ret_error);

/* Checks cookie, checksum, version and the range of the block size. Returns as vhd_footer_decode(). */
int vhd_header_decode(const uint8_t bytes[VHD_HEADER_SIZE], struct vhd_header *ret_header,
                      struct disk_error *ret_error);
void vhd_header_encode(const struct vhd_header *header, uint8_t ret_bytes[VHD_HEADER_SIZE]);

/* The header of tapdisk's map of full blocks, in the sector behind the table. */
struct vhd_batmap_header {
    uint64_t offset; /* bytes: the map */
    uint32_t sectors;
    uint32_t version;
    uint32_t checksum; /* of the map: vhd_checksum() without a field */
};

#define VHD_BATMAP_VERSION 0x00010002u
#define VHD_BATMAP_MOST    (VHD_MAX_BLOCKS / 8 / DISK_SECTOR_SIZE) /* sectors of one that is read */

/* True when it is one, by its cookie. Encoding leaves what is beyond these fields as it is. */
bool vhd_batmap_decode(const uint8_t bytes[DISK_SECTOR_SIZE], struct vhd_batmap_header *ret_header);
void vhd_batmap_encode(const struct vhd_batmap_header *header, uint8_t ret_bytes[DISK_SECTOR_SIZE]);

/* The geometry the specification's appendix computes for a size in sectors. */
struct vhd_geometry vhd_geometry_for(uint64_t sectors);

/* The ones' complement of the sum of all bytes but the four at `field`. */
uint32_t vhd_checksum(const uint8_t *bytes, size_t length, size_t field);

static inline uint16_t vhd_get16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline uint32_t vhd_get32(const uint8_t *bytes)
{
    return (uint32_t)vhd_get16(bytes) << 16 | vhd_get16(bytes + 2);
}

static inline uint64_t vhd_get64(const uint8_t *bytes)
{
    return (uint64_t)vhd_get32(bytes) << 32 | vhd_get32(bytes + 4);
}

static inline void vhd_put16(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static inline void vhd_put32(uint8_t *bytes, uint32_t value)
{
    vhd_put16(bytes, (uint16_t)(value >> 16));
    vhd_put16(bytes + 2, (uint16_t)value);
}

static inline void vhd_put64(uint8_t *bytes, uint64_t value)
{
    vhd_put32(bytes, (uint32_t)(value >> 32));
    vhd_put32(bytes + 4, (uint32_t)value);
}

static inline void vhd_set_bits(uint8_t *bits, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++)
        bits[i / 8] |= (uint8_t)(0x80u >> i % 8);
}

static inline void vhd_clear_bits(uint8_t *bits, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++)
        bits[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
}

/* Bitmaps: the first sector is the most significant bit of the first byte. */
static inline bool vhd_bit(const uint8_t *bits, uint32_t index)
{
    return bits[index / 8] & 0x80u >> index % 8;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The structures of a VHD file, decoded from bytes and encoded into them, apart from any I/O.
 * Layout: Microsoft, "Virtual Hard Disk Image Format Specification", version 1.0 (2006). All numbers are big-endian.
 */
#ifndef DISK_VHD_FORMAT_H
#define DISK_VHD_FORMAT_H

#include <disk/vhd.h>

#define VHD_FOOTER_SIZE  512u
#define VHD_HEADER_SIZE  1024u
#define VHD_DIFFERENCING 4u          /* beside enum vhd_type; recognised, not served */
#define VHD_ABSENT       0xffffffffu /* BAT entry of a block that is not there */
#define VHD_NO_OFFSET    UINT64_MAX  /* data offset of a fixed disk's footer and of the dynamic header */
#define VHD_MAX_SIZE     (2040ull << 30)
#define VHD_MIN_BLOCK    (4u << 10)
#define VHD_MAX_BLOCK    (16u << 20)
#define VHD_MAX_BLOCKS   (2040u << 11) /* what we hold in memory: all of the largest disk in blocks of 512 KiB */
#define VHD_BLOCK_SIZE   (2u << 20)    /* of images made here */

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

/* The header of a dynamic disk. The fields of a differencing one's parent are not decoded. */
struct vhd_header {
    uint64_t table_offset; /* bytes: the block allocation table */
    uint32_t max_entries;
    uint32_t block_size; /* bytes, without the bitmap */
};

/* Checks cookie, checksum, version and type. Returns 0, or -EINVAL with `ret_error` filled.
 * A footer of 511 bytes is given with a zero behind it. */
int vhd_footer_decode(const uint8_t bytes[VHD_FOOTER_SIZE], struct vhd_footer *ret_footer,
                      struct disk_error *ret_error);
void vhd_footer_encode(const struct vhd_footer *footer, uint8_t ret_bytes[VHD_FOOTER_SIZE]);

/* True when two copies of a footer say the same of the disk. */
bool vhd_footer_agrees(const struct vhd_footer *a, const struct vhd_footer *b);

/* The disk's size in bytes: the size field, or the geometry for writers that mean it. Returns 0, or -EINVAL. */
int vhd_footer_disk_size(const struct vhd_footer *footer, uint64_t *ret_size, struct disk_error *ret_error);

/* Checks cookie, checksum, version and the range of the block size. Returns as vhd_footer_decode(). */
int vhd_header_decode(const uint8_t bytes[VHD_HEADER_SIZE], struct vhd_header *ret_header,
                      struct disk_error *ret_error);
void vhd_header_encode(const struct vhd_header *header, uint8_t ret_bytes[VHD_HEADER_SIZE]);

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

/* Bitmaps: the first sector is the most significant bit of the first byte. */
static inline bool vhd_bit(const uint8_t *bits, uint32_t index)
{
    return bits[index / 8] & 0x80u >> index % 8;
}

#endif

/* SPDX-License-Identifier: MIT */
/* Bytes to structures and back: footer, dynamic header, geometry. No I/O, no state. */
#include "vhd/format.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "kind.h"

/* Offsets of the footer's fields. */
enum {
    FOOTER_COOKIE = 0,
    FOOTER_FEATURES = 8,
    FOOTER_VERSION = 12,
    FOOTER_DATA_OFFSET = 16,
    FOOTER_TIMESTAMP = 24,
    FOOTER_CREATOR = 28,
    FOOTER_CREATOR_VERSION = 32,
    FOOTER_CREATOR_HOST = 36,
    FOOTER_ORIGINAL_SIZE = 40,
    FOOTER_CURRENT_SIZE = 48,
    FOOTER_CYLINDERS = 56,
    FOOTER_HEADS = 58,
    FOOTER_SECTORS = 59,
    FOOTER_TYPE = 60,
    FOOTER_CHECKSUM = 64,
    FOOTER_UUID = 68,
};

/* Offsets of the dynamic header's fields. */
enum {
    HEADER_COOKIE = 0,
    HEADER_DATA_OFFSET = 8,
    HEADER_TABLE_OFFSET = 16,
    HEADER_VERSION = 24,
    HEADER_MAX_ENTRIES = 28,
    HEADER_BLOCK_SIZE = 32,
    HEADER_CHECKSUM = 36,
    HEADER_PARENT_UUID = 40,
    HEADER_PARENT_TIME = 56,
    HEADER_NAME = 64,
    HEADER_LOCATORS = HEADER_NAME + VHD_NAME_SIZE,
};

/* Offsets of a locator's fields. */
enum {
    LOCATOR_CODE = 0,
    LOCATOR_SPACE = 4,
    LOCATOR_LENGTH = 8,
    LOCATOR_OFFSET = 16,
    LOCATOR_SIZE = 24,
};

static const uint8_t footer_cookie[8] = "conectix";
static const uint8_t header_cookie[8] = "cxsparse";

#define VHD_VERSION           0x00010000u
#define VHD_FEATURES_RESERVED 2u /* always set */
#define VHD_MAX_CYLINDERS     65535u
#define VHD_MAX_HEADS         16u
#define VHD_MAX_TRACK         255u

uint32_t vhd_checksum(const uint8_t *bytes, size_t length, size_t field)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < length; i++)
        if (i < field || i >= field + 4)
            sum += bytes[i];
    return ~sum;
}

int vhd_footer_decode(const uint8_t bytes[VHD_FOOTER_SIZE], struct vhd_footer *ret_footer, struct disk_error *ret_error)
{
    if (memcmp(bytes + FOOTER_COOKIE, footer_cookie, sizeof footer_cookie) != 0)
        return disk_refuse(ret_error, -EINVAL, "the footer does not begin with \"conectix\"");
    uint32_t stored = vhd_get32(bytes + FOOTER_CHECKSUM);
    uint32_t computed = vhd_checksum(bytes, VHD_FOOTER_SIZE, FOOTER_CHECKSUM);
    if (stored != computed)
        return disk_refuse(ret_error, -EINVAL, "the footer's checksum is %08x, its bytes give %08x", stored, computed);
    uint32_t version = vhd_get32(bytes + FOOTER_VERSION);
    if (version >> 16 != VHD_VERSION >> 16)
        return disk_refuse(ret_error, -EINVAL, "the footer's version is %08x, not 0001xxxx", version);
    uint32_t type = vhd_get32(bytes + FOOTER_TYPE);
    if (type != VHD_FIXED && type != VHD_DYNAMIC && type != VHD_DIFFERENCING)
        return disk_refuse(ret_error, -EINVAL, "the footer's disk type is %u, not 2, 3 or 4", type);

    *ret_footer = (struct vhd_footer){
        .header_offset = vhd_get64(bytes + FOOTER_DATA_OFFSET),
        .timestamp = vhd_get32(bytes + FOOTER_TIMESTAMP),
        .creator_version = vhd_get32(bytes + FOOTER_CREATOR_VERSION),
        .original_size = vhd_get64(bytes + FOOTER_ORIGINAL_SIZE),
        .current_size = vhd_get64(bytes + FOOTER_CURRENT_SIZE),
        .geometry = {.cylinders = vhd_get16(bytes + FOOTER_CYLINDERS),
                     .heads = bytes[FOOTER_HEADS],
                     .sectors = bytes[FOOTER_SECTORS]},
        .type = type,
    };
    memcpy(ret_footer->creator, bytes + FOOTER_CREATOR, sizeof ret_footer->creator);
    memcpy(ret_footer->creator_host, bytes + FOOTER_CREATOR_HOST, sizeof ret_footer->creator_host);
    memcpy(ret_footer->uuid, bytes + FOOTER_UUID, sizeof ret_footer->uuid);
    return 0;
}

void vhd_footer_encode(const struct vhd_footer *footer, uint8_t ret_bytes[VHD_FOOTER_SIZE])
{
    memset(ret_bytes, 0, VHD_FOOTER_SIZE);
    memcpy(ret_bytes + FOOTER_COOKIE, footer_cookie, sizeof footer_cookie);
    vhd_put32(ret_bytes + FOOTER_FEATURES, VHD_FEATURES_RESERVED);
    vhd_put32(ret_bytes + FOOTER_VERSION, VHD_VERSION);
    vhd_footer_change(footer, ret_bytes);
}

void vhd_footer_change(const struct vhd_footer *footer, uint8_t ret_bytes[VHD_FOOTER_SIZE])
{
    vhd_put64(ret_bytes + FOOTER_DATA_OFFSET, footer->header_offset);
    vhd_put32(ret_bytes + FOOTER_TIMESTAMP, footer->timestamp);
    memcpy(ret_bytes + FOOTER_CREATOR, footer->creator, sizeof footer->creator);
    vhd_put32(ret_bytes + FOOTER_CREATOR_VERSION, footer->creator_version);
    memcpy(ret_bytes + FOOTER_CREATOR_HOST, footer->creator_host, sizeof footer->creator_host);
    vhd_put64(ret_bytes + FOOTER_ORIGINAL_SIZE, footer->original_size);
    vhd_put64(ret_bytes + FOOTER_CURRENT_SIZE, footer->current_size);
    vhd_put16(ret_bytes + FOOTER_CYLINDERS, footer->geometry.cylinders);
    ret_bytes[FOOTER_HEADS] = footer->geometry.heads;
    ret_bytes[FOOTER_SECTORS] = footer->geometry.sectors;
    vhd_put32(ret_bytes + FOOTER_TYPE, footer->type);
    memcpy(ret_bytes + FOOTER_UUID, footer->uuid, sizeof footer->uuid);
    vhd_put32(ret_bytes + FOOTER_CHECKSUM, vhd_checksum(ret_bytes, VHD_FOOTER_SIZE, FOOTER_CHECKSUM));
}

bool vhd_footer_agrees(const struct vhd_footer *a, const struct vhd_footer *b)
{
    return (a->type == VHD_FIXED) == (b->type == VHD_FIXED) && memcmp(a->uuid, b->uuid, sizeof a->uuid) == 0;
}

int vhd_footer_disk_size(const struct vhd_footer *footer, uint64_t *ret_size, struct disk_error *ret_error)
{
    const struct vhd_geometry *geometry = &footer->geometry;
    uint64_t size = footer->current_size;
    /* Virtual PC, and QEMU unless told otherwise, mean the geometry, unless it is at its maximum. */
    bool chs = memcmp(footer->creator, "vpc ", 4) == 0 || memcmp(footer->creator, "qemu", 4) == 0;
    bool largest = geometry->cylinders == VHD_MAX_CYLINDERS && geometry->heads == VHD_MAX_HEADS &&
                   geometry->sectors == VHD_MAX_TRACK;
    if (chs && !largest)
        size = (uint64_t)geometry->cylinders * geometry->heads * geometry->sectors * DISK_SECTOR_SIZE;
    if (size == 0 || size % DISK_SECTOR_SIZE)
        return disk_refuse(ret_error, -EINVAL, "the disk's size of %" PRIu64 " bytes is not a positive multiple of %u",
                           size, DISK_SECTOR_SIZE);
    if (size > VHD_MAX_SIZE)
        return disk_refuse(ret_error, -EINVAL, "the disk's size of %" PRIu64 " bytes exceeds 2040 GiB", size);
    *ret_size = size;
    return 0;
}

int vhd_header_decode(const uint8_t bytes[VHD_HEADER_SIZE], struct vhd_header *ret_header, struct disk_error *ret_error)
{
    if (memcmp(bytes + HEADER_COOKIE, header_cookie, sizeof header_cookie) != 0)
        return disk_refuse(ret_error, -EINVAL, "the dynamic header does not begin with \"cxsparse\"");
    uint32_t stored = vhd_get32(bytes + HEADER_CHECKSUM);
    uint32_t computed = vhd_checksum(bytes, VHD_HEADER_SIZE, HEADER_CHECKSUM);
    if (stored != computed)
        return disk_refuse(ret_error, -EINVAL, "the dynamic header's checksum is %08x, its bytes give %08x", stored,
                           computed);
    uint32_t version = vhd_get32(bytes + HEADER_VERSION);
    if (version >> 16 != VHD_VERSION >> 16)
        return disk_refuse(ret_error, -EINVAL, "the dynamic header's version is %08x, not 0001xxxx", version);
    uint32_t block_size = vhd_get32(bytes + HEADER_BLOCK_SIZE);
    if (block_size < VHD_MIN_BLOCK || block_size > VHD_MAX_BLOCK || (block_size & (block_size - 1)))
        return disk_refuse(ret_error, -EINVAL, "the block size of %u bytes is not a power of two from 4 KiB to 16 MiB",
                           block_size);
    *ret_header = (struct vhd_header){
        .table_offset = vhd_get64(bytes + HEADER_TABLE_OFFSET),
        .max_entries = vhd_get32(bytes + HEADER_MAX_ENTRIES),
        .block_size = block_size,
        .parent_time = vhd_get32(bytes + HEADER_PARENT_TIME),
    };
    memcpy(ret_header->parent_uuid, bytes + HEADER_PARENT_UUID, sizeof ret_header->parent_uuid);
    memcpy(ret_header->name, bytes + HEADER_NAME, sizeof ret_header->name);
    for (size_t i = 0; i < VHD_LOCATORS; i++) {
        const uint8_t *from = bytes + HEADER_LOCATORS + i * LOCATOR_SIZE;
        struct vhd_locator *locator = &ret_header->locators[i];
        memcpy(locator->code, from + LOCATOR_CODE, sizeof locator->code);
        locator->space = vhd_get32(from + LOCATOR_SPACE);
        locator->length = vhd_get32(from + LOCATOR_LENGTH);
        locator->offset = vhd_get64(from + LOCATOR_OFFSET);
    }
    return 0;
}

void vhd_header_encode(const struct vhd_header *header, uint8_t ret_bytes[VHD_HEADER_SIZE])
{
    memset(ret_bytes, 0, VHD_HEADER_SIZE);
    memcpy(ret_bytes + HEADER_COOKIE, header_cookie, sizeof header_cookie);
    vhd_put64(ret_bytes + HEADER_DATA_OFFSET, VHD_NO_OFFSET);
    vhd_put64(ret_bytes + HEADER_TABLE_OFFSET, header->table_offset);
    vhd_put32(ret_bytes + HEADER_VERSION, VHD_VERSION);
    vhd_put32(ret_bytes + HEADER_MAX_ENTRIES, header->max_entries);
    vhd_put32(ret_bytes + HEADER_BLOCK_SIZE, header->block_size);
    memcpy(ret_bytes + HEADER_PARENT_UUID, header->parent_uuid, sizeof header->parent_uuid);
    vhd_put32(ret_bytes + HEADER_PARENT_TIME, header->parent_time);
    memcpy(ret_bytes + HEADER_NAME, header->name, sizeof header->name);
    for (size_t i = 0; i < VHD_LOCATORS; i++) {
        uint8_t *to = ret_bytes + HEADER_LOCATORS + i * LOCATOR_SIZE;
        const struct vhd_locator *locator = &header->locators[i];
        memcpy(to + LOCATOR_CODE, locator->code, sizeof locator->code);
        vhd_put32(to + LOCATOR_SPACE, locator->space);
        vhd_put32(to + LOCATOR_LENGTH, locator->length);
        vhd_put64(to + LOCATOR_OFFSET, locator->offset);
    }
    vhd_put32(ret_bytes + HEADER_CHECKSUM, vhd_checksum(ret_bytes, VHD_HEADER_SIZE, HEADER_CHECKSUM));
}

/* Offsets of the map's header. */
enum {
    BATMAP_COOKIE = 0,
    BATMAP_OFFSET = 8,
    BATMAP_SECTORS = 16,
    BATMAP_VERSION = 20,
    BATMAP_CHECKSUM = 24,
};

static const uint8_t batmap_cookie[8] = "tdbatmap";

bool vhd_batmap_decode(const uint8_t bytes[DISK_SECTOR_SIZE], struct vhd_batmap_header *ret_header)
{
    if (memcmp(bytes + BATMAP_COOKIE, batmap_cookie, sizeof batmap_cookie) != 0)
        return false;
    *ret_header = (struct vhd_batmap_header){
        .offset = vhd_get64(bytes + BATMAP_OFFSET),
        .sectors = vhd_get32(bytes + BATMAP_SECTORS),
        .version = vhd_get32(bytes + BATMAP_VERSION),
        .checksum = vhd_get32(bytes + BATMAP_CHECKSUM),
    };
    return true;
}

void vhd_batmap_encode(const struct vhd_batmap_header *header, uint8_t ret_bytes[DISK_SECTOR_SIZE])
{
    memcpy(ret_bytes + BATMAP_COOKIE, batmap_cookie, sizeof batmap_cookie);
    vhd_put64(ret_bytes + BATMAP_OFFSET, header->offset);
    vhd_put32(ret_bytes + BATMAP_SECTORS, header->sectors);
    vhd_put32(ret_bytes + BATMAP_VERSION, header->version);
    vhd_put32(ret_bytes + BATMAP_CHECKSUM, header->checksum);
}

struct vhd_geometry vhd_geometry_for(uint64_t sectors)
{
    const uint64_t largest = (uint64_t)VHD_MAX_CYLINDERS * VHD_MAX_HEADS * VHD_MAX_TRACK;
    uint64_t per_track, heads, tracks; /* tracks: cylinders times heads */
    if (sectors > largest)
        sectors = largest;

    if (sectors >= (uint64_t)VHD_MAX_CYLINDERS * 16 * 63) {
        per_track = VHD_MAX_TRACK;
        heads = VHD_MAX_HEADS;
        tracks = sectors / per_track;
    } else {
        per_track = 17;
        tracks = sectors / per_track;
        heads = (tracks + 1023) / 1024;
        if (heads < 4)
            heads = 4;
        if (tracks >= heads * 1024 || heads > 16) {
            per_track = 31;
            heads = 16;
            tracks = sectors / per_track;
        }
        if (tracks >= heads * 1024) {
            per_track = 63;
            heads = 16;
            tracks = sectors / per_track;
        }
    }
    return (struct vhd_geometry){
        .cylinders = (uint16_t)(tracks / heads),
        .heads = (uint8_t)heads,
        .sectors = (uint8_t)per_track,
    };
}

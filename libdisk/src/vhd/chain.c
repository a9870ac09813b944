/* SPDX-License-Identifier: MIT */
/*
 * What parents hold: the nearest that has a sector counts. A parent that is smaller than what is asked for ends there, and what is below it
 * does not show behind its end.
 *
 * A search that has to wait for metadata goes on where it was, so that it ends whatever happens to the cache meanwhile: parents do not change.
 */
#include "vhd/vhd.h"

bool vhd_run_of_bits(const uint8_t *bits, uint32_t sector, uint64_t *length)
{
    const bool set = vhd_bit(bits, sector);
    const uint32_t end = sector + (uint32_t)(*length / DISK_SECTOR_SIZE);
    const uint8_t whole = set ? 0xff : 0; /* eight like the first */
    uint32_t at = sector + 1;
    while (at < end && (at % 8 != 0 ? vhd_bit(bits, at) == set : bits[at / 8] == whole))
        at += at % 8 != 0 ? 1 : 8;
    while (at < end && vhd_bit(bits, at) == set)
        at++;
    if (at > end)
        at = end;
    *length = (uint64_t)(at - sector) * DISK_SECTOR_SIZE;
    return set;
}

/* What is in the block of a dynamic parent at byte `within`. */
static enum vhd_extent chain_map_block(struct vhd_disk *vhd, struct disk_request *request, uint32_t block,
                                       uint32_t within, uint64_t *length, uint64_t *ret_offset)
{
    const struct vhd_image *image = &vhd->parents[request->layer - 1].image;
    const uint8_t *bytes;
    size_t count;
    if (request->place == 0) {
        bytes = vhd_cache_get(vhd, request->layer, image->header.table_offset + 4ull * block, request, &count);
        if (!bytes)
            return VHD_EXTENT_WAIT;
        uint32_t place = vhd_get32(bytes);
        if (place == VHD_ABSENT)
            return VHD_EXTENT_ABSENT;
        if (!vhd_image_has_place(image, place))
            return VHD_EXTENT_BAD;
        request->place = place;
    }
    uint32_t sector = within / DISK_SECTOR_SIZE;
    uint64_t start = (uint64_t)request->place * DISK_SECTOR_SIZE;
    bytes = vhd_cache_get(vhd, request->layer, start + sector / 8, request, &count);
    if (!bytes)
        return VHD_EXTENT_WAIT;
    uint64_t known = (8 * (uint64_t)count - sector % 8) * DISK_SECTOR_SIZE;
    if (*length > known)
        *length = known;
    if (!vhd_run_of_bits(bytes, sector % 8, length))
        return VHD_EXTENT_ABSENT;
    *ret_offset = start + (uint64_t)image->bitmap_sectors * DISK_SECTOR_SIZE + within;
    return VHD_EXTENT_DATA;
}

enum vhd_extent vhd_chain_map(struct vhd_disk *vhd, struct disk_request *request, uint64_t at, uint64_t *length,
                              uint64_t *ret_offset)
{
    for (; request->layer <= vhd->parent_count; request->layer++, request->place = 0) {
        const struct vhd_layer *layer = &vhd->parents[request->layer - 1];
        const struct vhd_image *image = &layer->image;
        if (at >= image->size)
            return VHD_EXTENT_ABSENT;
        if (*length > image->size - at)
            *length = image->size - at;
        if (layer->raw || image->footer.type == VHD_FIXED) {
            *ret_offset = at;
            return VHD_EXTENT_DATA;
        }
        uint32_t within = (uint32_t)(at % image->header.block_size);
        if (*length > image->header.block_size - within)
            *length = image->header.block_size - within;
        request->extent = *length;
        enum vhd_extent extent =
            chain_map_block(vhd, request, (uint32_t)(at / image->header.block_size), within, length, ret_offset);
        if (extent != VHD_EXTENT_ABSENT)
            return extent;
    }
    return VHD_EXTENT_ABSENT;
}

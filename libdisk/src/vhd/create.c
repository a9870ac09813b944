/* SPDX-License-Identifier: MIT */
/*
 * New images. The creator is stated as "win ", the one that every reader takes for "the size field counts": QEMU
 * takes the size of unknown creators from the geometry, which is seldom exact.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "kind.h"
#include "vhd/format.h"

#define CREATE_EPOCH       946684800 /* 2000-01-01 00:00 UTC */
#define CREATE_HEADER      VHD_FOOTER_SIZE
#define CREATE_TABLE       (CREATE_HEADER + VHD_HEADER_SIZE)
#define CREATE_CHUNK       65536u
#define CREATE_WIN_VERSION 0x000a0000u

static int create_write(int fd, uint64_t offset, const void *bytes, size_t length, struct disk_error *ret_error)
{
    while (length > 0) {
        ssize_t written = pwrite(fd, bytes, length, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return disk_refuse(ret_error, written < 0 ? -errno : -EIO, "cannot write the image: %s",
                               strerror(written < 0 ? errno : EIO));
        bytes = (const char *)bytes + written;
        offset += (size_t)written;
        length -= (size_t)written;
    }
    return 0;
}

/* Header and table of a dynamic image. `buffer` holds CREATE_CHUNK bytes. */
static int create_dynamic(int fd, uint64_t size, uint8_t *buffer, uint64_t *ret_end, struct disk_error *ret_error)
{
    const struct vhd_header header = {
        .table_offset = CREATE_TABLE,
        .max_entries = (uint32_t)((size + VHD_BLOCK_SIZE - 1) / VHD_BLOCK_SIZE),
        .block_size = VHD_BLOCK_SIZE,
    };
    vhd_header_encode(&header, buffer);
    int result = create_write(fd, CREATE_HEADER, buffer, VHD_HEADER_SIZE, ret_error);

    uint64_t at = CREATE_TABLE;
    uint64_t end = at + (4ull * header.max_entries + DISK_SECTOR_SIZE - 1) / DISK_SECTOR_SIZE * DISK_SECTOR_SIZE;
    memset(buffer, 0xff, CREATE_CHUNK); /* VHD_ABSENT */
    while (result == 0 && at < end) {
        size_t length = end - at < CREATE_CHUNK ? (size_t)(end - at) : CREATE_CHUNK;
        result = create_write(fd, at, buffer, length, ret_error);
        at += length;
    }
    *ret_end = end;
    return result;
}

static int create_image(int fd, enum vhd_type type, uint64_t size, uint8_t *buffer, struct disk_error *ret_error)
{
    struct vhd_footer footer = {
        .header_offset = type == VHD_DYNAMIC ? CREATE_HEADER : VHD_NO_OFFSET,
        .timestamp = (uint32_t)(time(NULL) - CREATE_EPOCH),
        .creator = {'w', 'i', 'n', ' '},
        .creator_version = CREATE_WIN_VERSION,
        .creator_host = {'W', 'i', '2', 'k'},
        .original_size = size,
        .current_size = size,
        .geometry = vhd_geometry_for(size / DISK_SECTOR_SIZE),
        .type = type,
    };
    uuid_generate(footer.uuid);

    int result = 0;
    uint64_t end = size;
    if (type == VHD_DYNAMIC)
        result = create_dynamic(fd, size, buffer, &end, ret_error);
    vhd_footer_encode(&footer, buffer);
    if (result == 0 && type == VHD_DYNAMIC)
        result = create_write(fd, 0, buffer, VHD_FOOTER_SIZE, ret_error);
    if (result == 0)
        result = create_write(fd, end, buffer, VHD_FOOTER_SIZE, ret_error);
    if (result == 0 && fsync(fd) < 0)
        result = disk_refuse(ret_error, -errno, "cannot sync the image: %s", strerror(errno));
    return result;
}

int vhd_create(int fd, enum vhd_type type, uint64_t size, struct disk_error *ret_error)
{
    struct stat st;
    if (type != VHD_FIXED && type != VHD_DYNAMIC)
        return disk_refuse(ret_error, -EINVAL, "only fixed and dynamic images are made, not type %u", (unsigned)type);
    if (size == 0 || size % DISK_SECTOR_SIZE || size > VHD_MAX_SIZE)
        return disk_refuse(ret_error, -EINVAL, "the size of %" PRIu64 " bytes is not a multiple of %u up to 2040 GiB",
                           size, DISK_SECTOR_SIZE);
    if (fstat(fd, &st) < 0)
        return disk_refuse(ret_error, -errno, "cannot stat the image: %s", strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size != 0)
        return disk_refuse(ret_error, -EEXIST, "the image is not an empty regular file");

    uint8_t *buffer = malloc(CREATE_CHUNK);
    if (!buffer)
        return disk_refuse(ret_error, -ENOMEM, "out of memory");
    int result = create_image(fd, type, size, buffer, ret_error);
    free(buffer);
    return result;
}

/* SPDX-License-Identifier: MIT */
/*
 * New images. The creator is stated as "win ", the one that every reader takes for "the size field counts": QEMU
 * takes the size of unknown creators from the geometry, which is seldom exact.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "kind.h"
#include "vhd/image.h"
#include "vhd/locator.h"

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

struct creation {
    int fd;
    enum vhd_type type;
    uint64_t size;
    const uint8_t *parent_uuid; /* of a child's, as the next */
    const char *path;
    uint8_t *buffer; /* CREATE_CHUNK bytes */
};

/* One form of the path to the parent, at `*at`, which is moved behind it. */
static int create_locator(const struct creation *creation, enum vhd_locator_form form, uint64_t *at,
                          struct vhd_locator *ret_locator, struct disk_error *ret_error)
{
    memset(creation->buffer, 0, CREATE_CHUNK);
    int length = vhd_locator_encode(form, creation->path, creation->buffer, CREATE_CHUNK / 2);
    if (length < 0 || (unsigned)length > VHD_LOCATOR_MOST)
        return disk_refuse(ret_error, -EINVAL, "the path \"%.100s\" to the parent cannot be written", creation->path);
    uint32_t space = ((uint32_t)length + DISK_SECTOR_SIZE - 1) / DISK_SECTOR_SIZE;
    *ret_locator = (struct vhd_locator){.space = space, .length = (uint32_t)length, .offset = *at};
    memcpy(ret_locator->code, vhd_locator_code(form), sizeof ret_locator->code);
    int result = create_write(creation->fd, *at, creation->buffer, (size_t)space * DISK_SECTOR_SIZE, ret_error);
    *at += (uint64_t)space * DISK_SECTOR_SIZE;
    return result;
}

/* Header, table and locators of an image with a table. */
static int create_table(const struct creation *creation, uint64_t *ret_end, struct disk_error *ret_error)
{
    struct vhd_header header = {
        .table_offset = CREATE_TABLE,
        .max_entries = (uint32_t)((creation->size + VHD_BLOCK_SIZE - 1) / VHD_BLOCK_SIZE),
        .block_size = VHD_BLOCK_SIZE,
    };
    uint8_t *buffer = creation->buffer;
    uint64_t at = CREATE_TABLE, end = at + vhd_table_sectors(header.max_entries) * DISK_SECTOR_SIZE;
    int result = 0;
    memset(buffer, 0xff, CREATE_CHUNK); /* VHD_ABSENT */
    while (result == 0 && at < end) {
        size_t length = end - at < CREATE_CHUNK ? (size_t)(end - at) : CREATE_CHUNK;
        result = create_write(creation->fd, at, buffer, length, ret_error);
        at += length;
    }
    if (creation->type == VHD_DIFFERENCING) {
        memcpy(header.parent_uuid, creation->parent_uuid, sizeof header.parent_uuid);
        if (result == 0 && vhd_name_encode(creation->path, header.name) < 0)
            result =
                disk_refuse(ret_error, -EINVAL, "the parent's name in \"%.100s\" cannot be written", creation->path);
        for (unsigned form = 0; result == 0 && form < VHD_LOCATOR_FORMS; form++)
            result = create_locator(creation, (enum vhd_locator_form)form, &end, &header.locators[form], ret_error);
    }
    if (result == 0) {
        vhd_header_encode(&header, buffer);
        result = create_write(creation->fd, CREATE_HEADER, buffer, VHD_HEADER_SIZE, ret_error);
    }
    *ret_end = end;
    return result;
}

static int create_image(const struct creation *creation, struct disk_error *ret_error)
{
    const bool fixed = creation->type == VHD_FIXED;
    struct vhd_footer footer = {
        .header_offset = fixed ? VHD_NO_OFFSET : CREATE_HEADER,
        .timestamp = (uint32_t)(time(NULL) - CREATE_EPOCH),
        .creator = {'w', 'i', 'n', ' '},
        .creator_version = CREATE_WIN_VERSION,
        .creator_host = {'W', 'i', '2', 'k'},
        .original_size = creation->size,
        .current_size = creation->size,
        .geometry = vhd_geometry_for(creation->size / DISK_SECTOR_SIZE),
        .type = creation->type,
    };
    uuid_generate(footer.uuid);

    int result = 0;
    uint64_t end = creation->size;
    if (!fixed)
        result = create_table(creation, &end, ret_error);
    vhd_footer_encode(&footer, creation->buffer);
    if (result == 0 && !fixed)
        result = create_write(creation->fd, 0, creation->buffer, VHD_FOOTER_SIZE, ret_error);
    if (result == 0)
        result = create_write(creation->fd, end, creation->buffer, VHD_FOOTER_SIZE, ret_error);
    if (result == 0 && fsync(creation->fd) < 0)
        result = disk_refuse(ret_error, -errno, "cannot sync the image: %s", strerror(errno));
    return result;
}

static int create(struct creation *creation, struct disk_error *ret_error)
{
    struct stat st;
    uint64_t size = creation->size;
    if (size == 0 || size % DISK_SECTOR_SIZE || size > VHD_MAX_SIZE)
        return disk_refuse(ret_error, -EINVAL, "the size of %" PRIu64 " bytes is not a multiple of %u up to 2040 GiB",
                           size, DISK_SECTOR_SIZE);
    if (fstat(creation->fd, &st) < 0)
        return disk_refuse(ret_error, -errno, "cannot stat the image: %s", strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size != 0)
        return disk_refuse(ret_error, -EEXIST, "the image is not an empty regular file");

    creation->buffer = malloc(CREATE_CHUNK);
    if (!creation->buffer)
        return disk_refuse(ret_error, -ENOMEM, "out of memory");
    int result = create_image(creation, ret_error);
    free(creation->buffer);
    return result;
}

int vhd_create(int fd, enum vhd_type type, uint64_t size, struct disk_error *ret_error)
{
    struct creation creation = {.fd = fd, .type = type, .size = size};
    if (type != VHD_FIXED && type != VHD_DYNAMIC)
        return disk_refuse(ret_error, -EINVAL, "only fixed and dynamic images stand by themselves, not type %u",
                           (unsigned)type);
    return create(&creation, ret_error);
}

int vhd_create_child(int fd, uint64_t size, const uint8_t uuid[DISK_UUID_SIZE], const char *path,
                     struct disk_error *ret_error)
{
    char dotted[DISK_LOCATOR_SIZE + 2];
    struct creation creation = {.fd = fd, .type = VHD_DIFFERENCING, .size = size, .parent_uuid = uuid, .path = dotted};
    int result = disk_locator_check(path, ret_error);
    if (result < 0)
        return result;
    snprintf(dotted, sizeof dotted, "%s%s", path[0] == '.' && path[1] == '/' ? "" : "./", path);
    return create(&creation, ret_error);
}

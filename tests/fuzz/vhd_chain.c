/* SPDX-License-Identifier: MIT */
/*
 * Chains: a sound child over a parent that is the input, which anybody may have made. The first byte says which checksums of the parent are put
 * right, and whether it is named by its identifier. What opens is read, written, discarded, pulled and settled; and all of the input is
 * looked at as an image of its own, by check and repair.
 */
#include <disk/vhd.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vhd/format.h"

#define LENGTH 4096u
#define PROBES 12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void seal(uint8_t *image, size_t size, uint8_t which)
{
    if (size < VHD_FOOTER_SIZE + VHD_HEADER_SIZE)
        return;
    uint64_t header = vhd_get64(image + 16);
    if (which & 1 && header <= size - VHD_HEADER_SIZE)
        vhd_put32(image + header + 36, vhd_checksum(image + header, VHD_HEADER_SIZE, 36));
    if (which & 2)
        vhd_put32(image + 64, vhd_checksum(image, VHD_FOOTER_SIZE, 64));
    if (which & 4)
        memcpy(image + (size - VHD_FOOTER_SIZE), image, VHD_FOOTER_SIZE);
}

static int make_file(const uint8_t *bytes, size_t size)
{
    int fd = memfd_create("image", MFD_CLOEXEC);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
        abort();
    return fd;
}

static int transfer(struct disk *disk, enum disk_op op, uint64_t offset, uint64_t length, void *bytes)
{
    struct iovec iov = {.iov_base = bytes, .iov_len = (size_t)length};
    struct disk_io io = {.op = op, .offset = offset, .length = length, .iov = &iov, .iov_count = bytes ? 1 : 0};
    struct disk_io *list = &io;
    disk_submit(disk, &list, 1);
    if (disk_reap(disk, &list, 1) != 1)
        abort();
    return io.result;
}

static void exercise(struct disk *disk)
{
    _Alignas(4096) static uint8_t bytes[LENGTH], back[LENGTH];
    bool written[PROBES] = {false};
    struct disk_info info;
    disk_get_info(disk, &info);
    for (uint64_t i = 0; i < PROBES; i++) {
        uint64_t at = i * (info.size - LENGTH) / PROBES / 512 * 512;
        memset(bytes, 0x40 + (int)i, LENGTH);
        (void)transfer(disk, DISK_READ, at, LENGTH, back);
        if (i % 3 == 0)
            written[i] = transfer(disk, DISK_WRITE, at, LENGTH, bytes) == 0;
        if (i % 3 == 1)
            (void)transfer(disk, DISK_DISCARD, at, LENGTH, NULL);
    }
    if (transfer(disk, DISK_PULL, 0, info.size, NULL) == 0 && transfer(disk, DISK_SETTLE, 0, 0, NULL) != 0)
        abort();
    for (uint64_t i = 0; i < PROBES; i += 3) {
        uint64_t at = i * (info.size - LENGTH) / PROBES / 512 * 512;
        memset(bytes, 0x40 + (int)i, LENGTH);
        if (written[i] && (transfer(disk, DISK_READ, at, LENGTH, back) != 0 || memcmp(bytes, back, LENGTH) != 0))
            abort();
    }
}

static void open_child(const uint8_t *parent, size_t size, bool raw)
{
    struct disk_error error;
    uint8_t uuid[16] = {0};
    if (!raw && size >= VHD_FOOTER_SIZE)
        memcpy(uuid, parent + 68, sizeof uuid);
    int fd = memfd_create("child", MFD_CLOEXEC), parent_fd = make_file(parent, size);
    if (vhd_create_child(fd, 5 << 20, uuid, "parent", &error) < 0)
        abort();
    struct disk_params params = {.kind = disk_kind_find("vhd"),
                                 .fd = fd,
                                 .parents = &parent_fd,
                                 .parent_count = 1,
                                 .fence_fd = -1,
                                 .plain = true,
                                 .depth = 2};
    struct disk *disk = NULL;
    if (disk_open(&params, &disk, &error) == 0)
        exercise(disk);
    disk_close(disk);
}

static void found(void *arg, const char *text, bool repaired)
{
    (void)arg;
    if (strlen(text) == 0)
        abort();
    (void)repaired;
}

static void look_at(const uint8_t *image, size_t size)
{
    struct disk_error error;
    struct vhd_about about;
    struct disk_parent *parent = calloc(1, sizeof *parent);
    int fd = make_file(image, size);
    (void)vhd_describe(fd, &about, &error);
    (void)disk_parent_read(disk_kind_find("vhd"), fd, parent, &error);
    for (unsigned i = 0; i < parent->count; i++)
        if (strnlen(parent->locators[i], DISK_LOCATOR_SIZE) == DISK_LOCATOR_SIZE)
            abort();
    int before = vhd_check(fd, false, found, NULL, &error);
    int left = vhd_check(fd, true, found, NULL, &error);
    if (before >= 0 && left >= 0 && (left > before || vhd_check(fd, false, found, NULL, &error) != left))
        abort(); /* what is repaired stays so, and nothing gets worse */
    if (left == 0 && vhd_describe(fd, &about, &error) < 0)
        abort(); /* what is in order opens */
    close(fd);
    free(parent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 65536)
        return 0;
    uint8_t *image = malloc(size);
    if (!image)
        abort();
    memcpy(image, data + 1, size - 1);
    seal(image, size - 1, data[0]);
    open_child(image, size - 1, data[0] & 8);
    look_at(image, size - 1);
    free(image);
    return 0;
}

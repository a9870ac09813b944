/* SPDX-License-Identifier: MIT */
/*
 * Whole images. The first byte says which checksums are put right, the rest is the file. What opens is written and
 * read through all of its blocks that are near enough; then it must open again, and hold what was written.
 */
#include <disk/vhd.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vhd/format.h"

#define PROBES 24
#define LENGTH 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void seal_footer(uint8_t *footer)
{
    vhd_put32(footer + 64, vhd_checksum(footer, VHD_FOOTER_SIZE, 64));
}

static void seal(uint8_t *image, size_t size, uint8_t which)
{
    if (size < VHD_FOOTER_SIZE)
        return;
    if (which & 1)
        seal_footer(image);
    if (which & 2)
        seal_footer(image + (size - VHD_FOOTER_SIZE));
    if (which & 4)
        memmove(image + (size - VHD_FOOTER_SIZE), image, VHD_FOOTER_SIZE);
    uint64_t header = vhd_get64(image + 16);
    if (!(which & 8) && size >= VHD_HEADER_SIZE && header <= size - VHD_HEADER_SIZE)
        vhd_put32(image + header + 36, vhd_checksum(image + header, VHD_HEADER_SIZE, 36));
    if (which & 1)
        seal_footer(image); /* the header may have been inside it */
}

static struct disk *open_image(int fd, bool read_only)
{
    struct disk_params params = {
        .kind = disk_kind_find("vhd"), .fd = dup(fd), .fence_fd = -1, .read_only = read_only, .depth = 2};
    struct disk *disk = NULL;
    struct disk_error error;
    return disk_open(&params, &disk, &error) < 0 ? NULL : disk;
}

static int transfer(struct disk *disk, enum disk_op op, uint64_t offset, void *bytes)
{
    struct iovec iov = {.iov_base = bytes, .iov_len = LENGTH};
    struct disk_io io = {.op = op,
                         .offset = offset,
                         .length = op == DISK_DISCARD ? LENGTH : 0,
                         .iov = &iov,
                         .iov_count = op == DISK_READ || op == DISK_WRITE ? 1 : 0};
    struct disk_io *list = &io;
    disk_submit(disk, &list, 1);
    if (disk_reap(disk, &list, 1) != 1)
        abort();
    return io.result;
}

/* Places all over the disk, most of them near a block's edge. */
static uint64_t probe(uint64_t size, unsigned index)
{
    uint64_t step = size / PROBES, at = index * step;
    if (index % 3)
        at = at / 4096 * 4096 + (index % 3 == 1 ? 3584 : 0);
    at = at / 512 * 512;
    return at > size - LENGTH ? size - LENGTH : at;
}

static void exercise(int fd)
{
    _Alignas(512) static uint8_t bytes[LENGTH], back[LENGTH];
    bool written[PROBES] = {false};
    struct disk *disk = open_image(fd, false);
    if (!disk)
        return;
    struct disk_info info;
    disk_get_info(disk, &info);
    if (info.size >= LENGTH)
        for (unsigned i = 0; i < PROBES; i++) {
            (void)transfer(disk, DISK_READ, probe(info.size, i), back);
            memset(bytes, 0x11, LENGTH);
            written[i] = transfer(disk, DISK_WRITE, probe(info.size, i), bytes) == 0;
        }
    (void)transfer(disk, DISK_FLUSH, 0, NULL);
    bool apart = info.size / PROBES >= 8192; /* no probe reaches into the next */
    for (unsigned i = 1; i < PROBES && apart; i += 3) {
        written[i] = false;
        (void)transfer(disk, DISK_DISCARD, probe(info.size, i), NULL);
    }
    disk_close(disk);

    disk = open_image(fd, true);
    if (!disk)
        abort(); /* what we accept and write to stays acceptable */
    for (unsigned i = 0; i < PROBES; i++)
        if (written[i] &&
            (transfer(disk, DISK_READ, probe(info.size, i), back) != 0 || memcmp(bytes, back, LENGTH) != 0))
            abort();
    disk_close(disk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 65536)
        return 0;
    uint8_t *image = malloc(size);
    int fd = memfd_create("image", MFD_CLOEXEC);
    if (!image || fd < 0)
        abort();
    memcpy(image, data + 1, size - 1);
    seal(image, size - 1, data[0]);
    if (write(fd, image, size - 1) == (ssize_t)(size - 1))
        exercise(fd);
    close(fd);
    free(image);
    return 0;
}

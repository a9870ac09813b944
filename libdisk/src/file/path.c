/* SPDX-License-Identifier: MIT */
/* Opening an image by its path, safely: what is there may be a FIFO or a device whose mere opening has effects. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kind.h"

void file_set_direct(int fd, bool is_block_device)
{
    unsigned alignment = 0; /* 0: unknown, or O_DIRECT is not supported */
    if (is_block_device) {
        int sector = 0;
        if (ioctl(fd, BLKSSZGET, &sector) == 0)
            alignment = (unsigned)sector;
    } else {
        struct statx about = {0};
        if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &about) == 0 && (about.stx_mask & STATX_DIOALIGN) &&
            about.stx_dio_mem_align <= DISK_SECTOR_SIZE)
            alignment = about.stx_dio_offset_align;
    }
    int flags = fcntl(fd, F_GETFL);
    if (alignment > 0 && alignment <= DISK_SECTOR_SIZE && flags >= 0)
        (void)fcntl(fd, F_SETFL, flags | O_DIRECT); /* refused: the page cache serves */
}

int file_open_path(const char *path, int flags, struct disk_error *ret_error)
{
    /* O_PATH looks without opening; the second open is of what was looked at, not of what the path names by then. */
    int handle = open(path, O_PATH | O_CLOEXEC);
    if (handle < 0)
        return disk_refuse(ret_error, -errno, "cannot open %.180s: %s", path, strerror(errno));

    int fd;
    struct stat st;
    char reopen[64];
    if (fstat(handle, &st) < 0) {
        fd = disk_refuse(ret_error, -errno, "cannot stat %.180s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
        fd = disk_refuse(ret_error, -EINVAL, "%.180s is neither a regular file nor a block device", path);
    } else {
        snprintf(reopen, sizeof reopen, "/proc/self/fd/%d", handle);
        fd = open(reopen, flags | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
            fd = disk_refuse(ret_error, -errno, "cannot open %.180s: %s", path, strerror(errno));
        else
            file_set_direct(fd, S_ISBLK(st.st_mode));
    }
    close(handle);
    return fd;
}

/* SPDX-License-Identifier: MIT */
/*
 * Making VHD images. Layout: Microsoft, "Virtual Hard Disk Image Format Specification", version 1.0 (2006).
 */
#ifndef DISK_VHD_H
#define DISK_VHD_H

#include <disk/disk.h>

enum vhd_type {
    VHD_FIXED = 2,
    VHD_DYNAMIC = 3,
};

/* Writes an empty image of `size` bytes (a multiple of 512, up to 2040 GiB) into the empty file `fd`, and syncs it.
 * Returns 0, or -errno with `ret_error` filled. */
int vhd_create(int fd, enum vhd_type type, uint64_t size, struct disk_error *ret_error);

#endif

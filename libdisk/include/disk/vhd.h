/* SPDX-License-Identifier: MIT */
/*
 * VHD images beside their use as disks. Layout: Microsoft, "Virtual Hard Disk Image Format Specification", version 1.0 (2006).
 *
 * Chains are changed while they are used. A snapshot is a new child of the image that is written so far: make it, close the disk, open
 * the child with the image and its parents below it. The other way, a chain is coalesced into its last child by requests to the disk, between
 * those of its guest, as slowly as its owner likes:
 *
 *     DISK_PULL [0, n), [n, 2n), ... up to the end      what parents hold is copied into the image
 *     DISK_SETTLE                                       it stands by itself
 *
 * Each request may fail or be cut short with its process: the image reads as before, and the sequence begins again from the start, where
 * what is done is only looked at. It is given up by sending no more. Parents are never written, so they may have other children.
 * DISK_SETTLE is -EBUSY when not all was pulled since the disk was opened.
 *
 * DISK_RESIZE makes a disk larger: -EINVAL for a smaller size or none that can be, -ENOTSUP where a parent is larger than the
 * disk and would show, -EBUSY while another change is under way. disk_get_info() tells the new size when it has completed.
 */
#ifndef DISK_VHD_H
#define DISK_VHD_H

#include <disk/parent.h>

enum vhd_type {
    VHD_FIXED = 2,
    VHD_DYNAMIC = 3,
    VHD_DIFFERENCING = 4,
};

/* Writes an empty image of `size` bytes (a multiple of 512, up to 2040 GiB) into the empty file `fd`, and syncs it.
 * Returns 0, or -errno with `ret_error` filled. */
int vhd_create(int fd, enum vhd_type type, uint64_t size, struct disk_error *ret_error);

/* The same for a child that holds nothing yet. `uuid` is the parent's, zeros for a raw one; `path` leads to it from the child's folder, in
 * UTF-8, and may be followed (disk_locator_check()). */
int vhd_create_child(int fd, uint64_t size, const uint8_t uuid[DISK_UUID_SIZE], const char *path,
                     struct disk_error *ret_error);

/* What an image says of itself. */
struct vhd_about {
    enum vhd_type type;
    uint64_t size; /* bytes: of the disk */
    uint8_t uuid[DISK_UUID_SIZE];
    uint8_t parent_uuid[DISK_UUID_SIZE]; /* of a child's; zeros for a raw one */
    char creator[5];
    uint32_t block_size; /* bytes; 0 for a fixed disk, as what follows */
    uint32_t blocks, used;
};

/* Reads that from `fd`, which stays the caller's. Returns 0, or -errno with `ret_error` filled: the image is malformed. */
int vhd_describe(int fd, struct vhd_about *ret_about, struct disk_error *ret_error);

/* Looks for what is wrong with an image by itself, its parents apart, and with `repair` puts right what can be: `found` is called with a
 * sentence for each finding. Returns how many are left, or -errno with `ret_error` filled when no more could be found out. `fd` stays the
 * caller's, who has locked it. Everything is written in an order that leaves the image no worse when it is cut short. */
int vhd_check(int fd, bool repair, void (*found)(void *arg, const char *text, bool repaired), void *arg,
              struct disk_error *ret_error);

#endif

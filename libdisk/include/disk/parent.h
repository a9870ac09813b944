/* SPDX-License-Identifier: MIT */
/*
 * Parents: the images that a differencing image is the child of.
 *
 * A disk never opens a file. Who reads images learns from one what its parent is called (disk_parent_read); who opens files decides
 * whether that may be followed (disk_parent_open), and hands back a descriptor. With all of a chain, disk_open() begins. The two may be
 * different processes: then what the first says is as little to be trusted as the image. Offline, disk_chain_open() does both.
 *
 * What is followed: a relative path that stays below the folder of the image that names it, also through symbolic links, to a regular
 * file. Absolute paths, "..", FIFOs, sockets and devices are refused; so is a chain in which a file or an identifier comes twice.
 */
#ifndef DISK_PARENT_H
#define DISK_PARENT_H

#include <disk/disk.h>

#define DISK_LOCATORS     9    /* eight, and the name in the header */
#define DISK_LOCATOR_SIZE 1024 /* bytes of text, its end included */
#define DISK_UUID_SIZE    16

/* What an image says of its parent: nothing of it is to be trusted. */
struct disk_parent {
    const struct disk_kind *kind; /* of the parent: vhd, or raw */
    uint8_t uuid[DISK_UUID_SIZE]; /* the parent's; zeros for a raw one */
    unsigned count;
    char locators[DISK_LOCATORS][DISK_LOCATOR_SIZE]; /* paths in UTF-8, the best first, none twice */
};

/* Reads what the image of `kind` in `fd`, which stays the caller's, says of its parent. Returns 1; 0 when it stands by itself, as all
 * kinds but vhd do; or -errno with `ret_error` filled. */
int disk_parent_read(const struct disk_kind *kind, int fd, struct disk_parent *ret_parent,
                     struct disk_error *ret_error);

/* Whether a locator may be followed, by its text alone. Returns 0, or -EPERM with `ret_error` filled. */
int disk_locator_check(const char *locator, struct disk_error *ret_error);

/* Opens the parent read-only, by the first locator that leads to a file. `folder_fd` is the folder of the child. Returns a descriptor the
 * caller owns, with one of the parent's folder in `ret_folder_fd` and the index of the locator in `ret_locator`; or -errno with
 * `ret_error` filled: -EPERM when a locator was refused and none of the others led to a file. */
int disk_parent_open(int folder_fd, const struct disk_parent *parent, int *ret_folder_fd, unsigned *ret_locator,
                     struct disk_error *ret_error);

/* The folder of an open image, as a descriptor the caller owns, or -errno with `ret_error` filled. Symbolic links to the image have been
 * followed: locators are relative to where it is. */
int disk_folder_open(int fd, struct disk_error *ret_error);

/* An image and all of its parents, open. */
struct disk_chain {
    const struct disk_kind *kind;
    int fd;
    unsigned parent_count;
    int *parents;            /* descriptors, the nearest first */
    char (*paths)[PATH_MAX]; /* of the parents, where they were found */
};

/* Opens an image by its path, and its parents, each locked: the image for writing unless `read_only`. Returns 0, or -errno with
 * `ret_error` filled. */
int disk_chain_open(const struct disk_source *source, bool read_only, struct disk_chain *ret_chain,
                    struct disk_error *ret_error);

/* Closes what disk_chain_to_disk() has not taken. Takes one of zeros but for `fd`, which is then -1. */
void disk_chain_close(struct disk_chain *chain);

/* disk_open() with the descriptors of the chain, which are the disk's from then on, also on failure; without io_uring. */
int disk_chain_to_disk(struct disk_chain *chain, bool read_only, unsigned depth, struct disk **ret_disk,
                       struct disk_error *ret_error);

#endif

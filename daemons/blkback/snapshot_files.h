/* SPDX-License-Identifier: MIT */
/*
 * The files of a snapshot: the image's name goes over to a new child of it, and its content gets the name that is given. All of it is done as
 * errands, of which each may be cut short by a kill at any of its steps.
 */
#ifndef BLKBACK_SNAPSHOT_FILES_H
#define BLKBACK_SNAPSHOT_FILES_H

#include <limits.h>
#include <stdint.h>

#include <disk/parent.h>

#include "errand.h"

/* Plain data: it is recorded as it is. */
struct snapshot_files {
    char image[PATH_MAX];    /* the disk's, where it is */
    char name[NAME_MAX + 1]; /* that its content is to have, in the same folder */
    uint64_t device, inode;  /* of the image before the snapshot */
};

/* Names them: `file` is a path in the image's folder, or a name alone. In another folder the content would not find its own parents. Touches nothing. Returns 0, or -errno with `ret_error` filled. */
int snapshot_files_name(int image, const char *file, struct snapshot_files *ret_files, struct disk_error *ret_error);

/* Makes the child, for an image of that size and identifier, under a name of its own. Hands over its descriptor, locked for a writer. The descriptors
 * that are passed stay the caller's, as with all of these. Returns 0 or -errno. */
int snapshot_files_make(struct event_base *base, const struct snapshot_files *files, int image, uint64_t size,
                        const uint8_t uuid[DISK_UUID_SIZE], errand_done done, void *arg, struct errand **ret_errand);
/* The child takes the image's place, which nobody may be writing to. Hands over the image as a parent, to read; what of `image` is locked becomes
 * locked as for readers. On failure the image is where it was. Returns 0 or -errno. */
int snapshot_files_swap(struct event_base *base, const struct snapshot_files *files, int image, int child,
                        errand_done done, void *arg, struct errand **ret_errand);
/* Removes what is left of a snapshot that did not come to be; of one that did, nothing. Returns 0 or -errno. */
int snapshot_files_clear(struct event_base *base, const struct snapshot_files *files, errand_done done, void *arg,
                         struct errand **ret_errand);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Opens an image, or the parent of one, as an errand.
 */
#ifndef BLKBACK_OPENING_H
#define BLKBACK_OPENING_H

#include <stdbool.h>

#include <disk/disk.h>

#include "errand.h"

struct disk_parent;

/* Starts disk_source_open(); the source is copied. Returns 0 or -errno. */
int opening_start(struct event_base *base, const struct disk_source *source, bool read_only, errand_done done,
                  void *arg, struct errand **ret_errand);
/* The same by disk_parent_open(), for the parent of the image in `child`, which stays the caller's: a parent is copied, too. */
int opening_start_parent(struct event_base *base, int child, const struct disk_parent *parent, errand_done done,
                         void *arg, struct errand **ret_errand);

#endif

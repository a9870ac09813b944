/* SPDX-License-Identifier: MIT */
/*
 * Opens an image, or the parent of one, away from the loop: making a RAM disk of many GiB, or opening a file on a file system that does not answer, takes long, and
 * the other disks cannot wait for it.
 */
#ifndef BLKBACK_OPENING_H
#define BLKBACK_OPENING_H

#include <stdbool.h>

#include <disk/disk.h>

struct disk_parent;
struct event_base;
struct opening;

/* Called once, from the loop: `fd` is the callee's, or -errno with the reason in `error`. The opening is freed. */
typedef void (*opening_done)(void *arg, int fd, const struct disk_error *error);

/* Starts disk_source_open() in a thread; the source is copied. Returns 0 or -errno. */
int opening_start(struct event_base *base, const struct disk_source *source, bool read_only, opening_done done,
                  void *arg, struct opening **ret_opening);
/* The same by disk_parent_open(), for the parent of the image in `child`, which stays the caller's: a parent is copied, too. */
int opening_start_parent(struct event_base *base, int child, const struct disk_parent *parent, opening_done done,
                         void *arg, struct opening **ret_opening);
/* Waits for nothing and calls nobody: what is opened later is closed. Takes NULL. */
void opening_cancel(struct opening *opening);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * RAM disks' files: "GUEST-DEVID" each, in a directory of their own.
 */
#ifndef BLKBACK_RAM_H
#define BLKBACK_RAM_H

#include <limits.h>

struct backend;
struct vbd;

/* The path of the disk's, should it be one. */
void ram_path(const struct vbd *vbd, char ret_path[PATH_MAX]);
/* Removes it, if it is there; a worker that holds it goes on with it. */
void ram_remove(struct vbd *vbd);
/* Removes those of guests and disks that are gone. Returns 0 or -errno. */
int ram_sweep(struct backend *backend);

#endif

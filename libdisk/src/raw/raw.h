/* SPDX-License-Identifier: MIT */
/* A disk whose bytes are those of a file, one to one: the raw kind, and what ram shares with it. */
#ifndef DISK_RAW_H
#define DISK_RAW_H

#include "kind.h"

/* Makes the disk over a file, which it takes over also on failure. */
int raw_open_file(const struct disk_kind *kind, struct file *file, const struct disk_params *params,
                  struct disk **ret_disk, struct disk_error *ret_error);
void raw_close(struct disk *disk);
void raw_start(struct disk *disk, struct disk_request *request);

#endif

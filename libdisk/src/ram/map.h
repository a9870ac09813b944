/* SPDX-License-Identifier: MIT */
/* An engine for files that are memory anyway: mapped, and copied from and to. */
#ifndef DISK_RAM_MAP_H
#define DISK_RAM_MAP_H

#include "file/file.h"

/* Maps a tmpfs file that has all of its memory. Takes `fd` over, also on failure. Returns as file_open() does. */
int map_open(int fd, bool read_only, struct file **ret_file, struct disk_error *ret_error);

#endif

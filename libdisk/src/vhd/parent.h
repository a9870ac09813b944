/* SPDX-License-Identifier: MIT */
/* The images below a child: what it says of them, and whether what was handed over is that. */
#ifndef DISK_VHD_PARENT_H
#define DISK_VHD_PARENT_H

#include <disk/parent.h>

#include "vhd/image.h"

/* A parent, read-only. */
struct vhd_layer {
    struct vhd_image image; /* without its table; of a raw parent only `size` */
    bool raw;
};

/* As disk_parent_read(). */
int vhd_parent_read(int fd, struct disk_parent *ret_parent, struct disk_error *ret_error);

/* Loads the parents of `image`, which are the members of `file` from 1 on, and checks that each is the one its child names, and that the
 * last has none. Returns 0 with `ret_layers` for vhd_layers_free(), or -errno with `ret_error` filled. */
int vhd_layers_load(struct file *file, const struct vhd_image *image, struct vhd_layer **ret_layers,
                    struct disk_error *ret_error);
void vhd_layers_free(struct vhd_layer *layers, unsigned count);

#endif

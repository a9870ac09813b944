/* SPDX-License-Identifier: MIT */
/* vhd */
#include <errno.h>
#include "kind.h"

static int vhd_open(const struct disk_params *params, struct disk **ret_disk, struct disk_error *ret_error)
{
    (void)params;
    (void)ret_disk;
    return disk_refuse(ret_error, -ENOTSUP, "VHD images are not served");
}

const struct disk_kind disk_kind_vhd = {
    .name = "vhd",
    .source_parse = disk_path_parse,
    .source_open = disk_path_open,
    .open = vhd_open,
};

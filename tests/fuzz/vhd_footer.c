/* SPDX-License-Identifier: MIT */
/* Footers: the checksum is put right, and what is accepted must survive being encoded and decoded again. */
#include <stdlib.h>
#include <string.h>

#include "vhd/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[VHD_FOOTER_SIZE] = {0};
    struct vhd_footer footer, again;
    struct disk_error error;
    uint64_t disk_size;
    memcpy(bytes, data, size < sizeof bytes ? size : sizeof bytes);
    (void)vhd_footer_decode(bytes, &footer, &error);

    memcpy(bytes, "conectix", 8);
    vhd_put32(bytes + 64, vhd_checksum(bytes, sizeof bytes, 64));
    if (vhd_footer_decode(bytes, &footer, &error) < 0)
        return 0;
    vhd_footer_encode(&footer, bytes);
    if (vhd_footer_decode(bytes, &again, &error) < 0 || !vhd_footer_agrees(&footer, &again))
        abort();
    if (vhd_footer_disk_size(&footer, &disk_size, &error) == 0 &&
        (disk_size == 0 || disk_size > VHD_MAX_SIZE || disk_size % 512))
        abort();
    return 0;
}

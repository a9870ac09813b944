/* SPDX-License-Identifier: MIT */
/* Dynamic headers: as with footers. */
#include <stdlib.h>
#include <string.h>

#include "vhd/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[VHD_HEADER_SIZE] = {0};
    struct vhd_header header, again;
    struct disk_error error;
    memcpy(bytes, data, size < sizeof bytes ? size : sizeof bytes);
    (void)vhd_header_decode(bytes, &header, &error);

    memcpy(bytes, "cxsparse", 8);
    vhd_put32(bytes + 36, vhd_checksum(bytes, sizeof bytes, 36));
    if (vhd_header_decode(bytes, &header, &error) < 0)
        return 0;
    vhd_header_encode(&header, bytes);
    if (vhd_header_decode(bytes, &again, &error) < 0 || memcmp(&header, &again, sizeof header) != 0)
        abort();
    return 0;
}

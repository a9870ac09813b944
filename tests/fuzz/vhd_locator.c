/* SPDX-License-Identifier: MIT */
/* Locators, names and maps of full blocks: what decodes encodes to what decodes to the same, and no text is longer than its room. The first byte
 * says which form, the second how much room there is. */
#include <stdlib.h>
#include <string.h>

#include <disk/parent.h>

#include "vhd/locator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_locator(enum vhd_locator_form form, const uint8_t *bytes, size_t length, size_t room)
{
    char *text = malloc(room + 1), *again = malloc(room + 1); /* of their very size, so that a byte too many is found */
    uint8_t back[4 * 256 + 16];
    struct disk_error error;
    if (!text || !again)
        abort();
    if (vhd_locator_decode(form, bytes, length, text, room) == 0) {
        if (strlen(text) == 0 || strlen(text) >= room)
            abort();
        (void)disk_locator_check(text, &error);
        int encoded = vhd_locator_encode(form, text, back, sizeof back);
        if (encoded < 0 || vhd_locator_decode(form, back, (size_t)encoded, again, room) < 0 || strcmp(text, again) != 0)
            abort();
    }
    free(text);
    free(again);
}

static void check_name(const uint8_t *bytes, size_t length)
{
    uint8_t name[VHD_NAME_SIZE] = {0}, sector[DISK_SECTOR_SIZE] = {0};
    char text[DISK_LOCATOR_SIZE];
    struct vhd_batmap_header header;
    memcpy(name, bytes, length < sizeof name ? length : sizeof name);
    (void)vhd_name_decode(name, text, sizeof text);
    memcpy(sector, bytes, length < sizeof sector ? length : sizeof sector);
    (void)vhd_batmap_decode(sector, &header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 4096)
        return 0;
    size_t room = data[1] ? data[1] : 256u;
    check_locator((enum vhd_locator_form)(data[0] % VHD_LOCATOR_FORMS), data + 2, size - 2, room);
    check_name(data + 2, size - 2);
    return 0;
}

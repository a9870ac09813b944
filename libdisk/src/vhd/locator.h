/* SPDX-License-Identifier: MIT */
/*
 * Parent locators: the path to an image's parent, in the three forms that are in use. Bytes to text and back, no I/O.
 *
 *     W2ru   a relative path, UTF-16, little-endian: .\base.vhd
 *     W2ku   by its definition an absolute path, UTF-16, little-endian; written here, as XenServer does, with the relative one
 *     MacX   a URL, UTF-8: file://./base.vhd
 *
 * Text is UTF-8 with '/' between names, and as hostile as the image it is from: whether it may be followed is decided by whoever
 * opens files (disk/parent.h).
 */
#ifndef DISK_VHD_LOCATOR_H
#define DISK_VHD_LOCATOR_H

#include "vhd/format.h"

#define VHD_LOCATOR_MOST 4096u /* bytes of one that is read; longer ones are passed over */

enum vhd_locator_form {
    VHD_LOCATOR_W2RU,
    VHD_LOCATOR_W2KU,
    VHD_LOCATOR_MACX,
    VHD_LOCATOR_FORMS,
};

/* The form a code stands for, or VHD_LOCATOR_FORMS for one that is not in use. */
enum vhd_locator_form vhd_locator_form(const uint8_t code[4]);
const uint8_t *vhd_locator_code(enum vhd_locator_form form);

/* Writes the text of a locator, with its end, into `size` bytes. Returns 0, or -EINVAL: not in the form, empty, or too long. */
int vhd_locator_decode(enum vhd_locator_form form, const uint8_t *bytes, size_t length, char *ret_text, size_t size);

/* Writes a relative path in a form. Returns its length in bytes, or -EINVAL: not UTF-8, or too long for `size`. */
int vhd_locator_encode(enum vhd_locator_form form, const char *path, uint8_t *ret_bytes, size_t size);

/* The name in the header: of the file alone. Return as the above do. */
int vhd_name_decode(const uint8_t bytes[VHD_NAME_SIZE], char *ret_text, size_t size);
int vhd_name_encode(const char *path, uint8_t ret_bytes[VHD_NAME_SIZE]);

#endif

/* SPDX-License-Identifier: MIT */
/* Paths in UTF-16 of both orders, and in URLs. */
#include "vhd/locator.h"

#include <errno.h>
#include <string.h>

static const uint8_t locator_codes[VHD_LOCATOR_FORMS][4] = {
    [VHD_LOCATOR_W2RU] = {'W', '2', 'r', 'u'},
    [VHD_LOCATOR_W2KU] = {'W', '2', 'k', 'u'},
    [VHD_LOCATOR_MACX] = {'M', 'a', 'c', 'X'},
};

static const char url_scheme[] = "file://";

enum vhd_locator_form vhd_locator_form(const uint8_t code[4])
{
    unsigned form = 0;
    while (form < VHD_LOCATOR_FORMS && memcmp(code, locator_codes[form], 4) != 0)
        form++;
    return (enum vhd_locator_form)form;
}

const uint8_t *vhd_locator_code(enum vhd_locator_form form)
{
    return locator_codes[form];
}

/* ---- Text that is being written. ----------------------------------------------------------------------------------- */

struct text {
    char *bytes;
    size_t size, length;
};

/* Appends a character in UTF-8. Returns 0 or -EINVAL. */
static int text_add(struct text *text, uint32_t c)
{
    uint8_t bytes[4];
    size_t count = 1;
    if (c < 0x80) {
        bytes[0] = (uint8_t)c;
    } else if (c < 0x800) {
        bytes[0] = (uint8_t)(0xc0 | c >> 6);
        bytes[1] = (uint8_t)(0x80 | (c & 0x3f));
        count = 2;
    } else if (c < 0x10000) {
        bytes[0] = (uint8_t)(0xe0 | c >> 12);
        bytes[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        bytes[2] = (uint8_t)(0x80 | (c & 0x3f));
        count = 3;
    } else {
        bytes[0] = (uint8_t)(0xf0 | c >> 18);
        bytes[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        bytes[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        bytes[3] = (uint8_t)(0x80 | (c & 0x3f));
        count = 4;
    }
    if (c == 0 || count >= text->size - text->length) /* one byte is for the end */
        return -EINVAL;
    memcpy(text->bytes + text->length, bytes, count);
    text->length += count;
    return 0;
}

static int text_end(struct text *text)
{
    if (text->length == 0)
        return -EINVAL;
    text->bytes[text->length] = '\0';
    return 0;
}

/* ---- UTF-8. -------------------------------------------------------------------------------------------------------- */

/* The next character of a string of UTF-8, and how many bytes it has; 0 of them at the end. -EINVAL when it is none. */
static int utf8_next(const char *at, uint32_t *ret_c)
{
    const uint8_t *bytes = (const uint8_t *)at;
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    int count = bytes[0] < 0x80 ? 1 : bytes[0] >= 0xf0 ? 4 : bytes[0] >= 0xe0 ? 3 : bytes[0] >= 0xc0 ? 2 : 0;
    uint32_t c = count == 1 ? bytes[0] : bytes[0] & (0x7fu >> count);
    if (count == 0 || bytes[0] >= 0xf8)
        return -EINVAL;
    for (int i = 1; i < count; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return -EINVAL;
        c = c << 6 | (bytes[i] & 0x3f);
    }
    if (c < least[count] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return -EINVAL;
    *ret_c = c;
    return c == 0 ? 0 : count;
}

/* ---- UTF-16. ------------------------------------------------------------------------------------------------------- */

struct utf16 {
    bool big_endian;
    bool backslash; /* stands for '/' */
};

static uint16_t utf16_get(const struct utf16 *kind, const uint8_t *bytes)
{
    return (uint16_t)(kind->big_endian ? bytes[0] << 8 | bytes[1] : bytes[1] << 8 | bytes[0]);
}

static void utf16_put(const struct utf16 *kind, uint8_t *bytes, uint16_t unit)
{
    bytes[0] = (uint8_t)(kind->big_endian ? unit >> 8 : unit);
    bytes[1] = (uint8_t)(kind->big_endian ? unit : unit >> 8);
}

/* Up to the first zero, or all of it. */
static int utf16_decode(const struct utf16 *kind, const uint8_t *bytes, size_t length, struct text *text)
{
    for (size_t at = 0; at + 2 <= length; at += 2) {
        uint32_t c = utf16_get(kind, bytes + at);
        if (c == 0)
            break;
        if (c >= 0xd800 && c < 0xe000) {
            uint32_t low = at + 4 <= length ? utf16_get(kind, bytes + at + 2) : 0;
            if (c >= 0xdc00 || low < 0xdc00 || low >= 0xe000)
                return -EINVAL;
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            at += 2;
        }
        if (c == '\\' && kind->backslash)
            c = '/';
        if (text_add(text, c) < 0)
            return -EINVAL;
    }
    return text_end(text);
}

static int utf16_encode(const struct utf16 *kind, const char *path, uint8_t *bytes, size_t size)
{
    size_t length = 0;
    uint32_t c;
    int count;
    while ((count = utf8_next(path, &c)) > 0) {
        path += count;
        if (c == '/' && kind->backslash)
            c = '\\';
        size_t units = c < 0x10000 ? 1 : 2;
        if (2 * units > size - length)
            return -EINVAL;
        if (units == 2) {
            utf16_put(kind, bytes + length, (uint16_t)(0xd800 + ((c - 0x10000) >> 10)));
            length += 2;
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }
        utf16_put(kind, bytes + length, (uint16_t)c);
        length += 2;
    }
    return count < 0 ? count : (int)length;
}

/* ---- URLs. --------------------------------------------------------------------------------------------------------- */

static int url_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

static int url_decode(const uint8_t *bytes, size_t length, char *text, size_t size)
{
    const size_t scheme = sizeof url_scheme - 1;
    size_t at = scheme, done = 0;
    if (length < scheme || memcmp(bytes, url_scheme, scheme) != 0)
        return -EINVAL;
    for (; at < length && bytes[at] != 0; at++) {
        uint8_t c = bytes[at];
        if (c == '%') {
            int high = at + 2 < length ? url_digit(bytes[at + 1]) : -1;
            int low = high >= 0 ? url_digit(bytes[at + 2]) : -1;
            if (low < 0 || (high == 0 && low == 0))
                return -EINVAL;
            c = (uint8_t)(high << 4 | low);
            at += 2;
        }
        if (done + 1 >= size)
            return -EINVAL;
        text[done++] = (char)c;
    }
    if (done == 0)
        return -EINVAL;
    text[done] = '\0';

    uint32_t c;
    int count;
    while ((count = utf8_next(text, &c)) > 0)
        text += count;
    return count;
}

static bool url_is_plain(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c && strchr("-._~/", c));
}

static int url_encode(const char *path, uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t length = sizeof url_scheme - 1;
    uint32_t c;
    int count;
    for (const char *at = path; (count = utf8_next(at, &c)) != 0; at += count)
        if (count < 0)
            return count;
    if (size < length)
        return -EINVAL;
    memcpy(bytes, url_scheme, length);
    for (; *path; path++) {
        uint8_t byte = (uint8_t)*path;
        if (size - length < 3)
            return -EINVAL;
        if (url_is_plain(byte)) {
            bytes[length++] = byte;
        } else {
            bytes[length++] = '%';
            bytes[length++] = (uint8_t)digits[byte >> 4];
            bytes[length++] = (uint8_t)digits[byte & 15];
        }
    }
    return (int)length;
}

/* ---- Locators and names. ------------------------------------------------------------------------------------------- */

int vhd_locator_decode(enum vhd_locator_form form, const uint8_t *bytes, size_t length, char *ret_text, size_t size)
{
    static const struct utf16 windows = {.big_endian = false, .backslash = true};
    struct text text = {.bytes = ret_text, .size = size};
    if (form == VHD_LOCATOR_MACX)
        return url_decode(bytes, length, ret_text, size);
    return utf16_decode(&windows, bytes, length, &text);
}

int vhd_locator_encode(enum vhd_locator_form form, const char *path, uint8_t *ret_bytes, size_t size)
{
    /* Readers of the absolute form, which ours is not, take it as it is: with '/'. */
    struct utf16 kind = {.big_endian = false, .backslash = form == VHD_LOCATOR_W2RU};
    return form == VHD_LOCATOR_MACX ? url_encode(path, ret_bytes, size) : utf16_encode(&kind, path, ret_bytes, size);
}

int vhd_name_decode(const uint8_t bytes[VHD_NAME_SIZE], char *ret_text, size_t size)
{
    static const struct utf16 kind = {.big_endian = true, .backslash = true};
    struct text text = {.bytes = ret_text, .size = size};
    return utf16_decode(&kind, bytes, VHD_NAME_SIZE, &text);
}

int vhd_name_encode(const char *path, uint8_t ret_bytes[VHD_NAME_SIZE])
{
    static const struct utf16 kind = {.big_endian = true};
    const char *slash = strrchr(path, '/');
    memset(ret_bytes, 0, VHD_NAME_SIZE);
    return utf16_encode(&kind, slash ? slash + 1 : path, ret_bytes, VHD_NAME_SIZE - 2);
}

/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing saved tables: see saved.h.
 */
#include "saved.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define MAGIC UINT64_C(0x6264666b6361626b) /* "kbackfdb" */

static_assert(PORT_NAME_SIZE == 32, "or another version of the file");

size_t saved_size(uint32_t count)
{
    return SAVED_HEADER_SIZE + (size_t)count * SAVED_ENTRY_SIZE;
}

void saved_encode_header(uint8_t *bytes, uint32_t count)
{
    const uint64_t magic = MAGIC;
    const uint32_t version = SAVED_VERSION;

    memcpy(bytes, &magic, 8);
    memcpy(bytes + 8, &version, 4);
    memcpy(bytes + 12, &count, 4);
}

void saved_encode_entry(uint8_t *bytes, uint32_t index, const struct saved_entry *entry)
{
    uint8_t *at = bytes + saved_size(index);

    memcpy(at, &entry->seen, 8);
    memcpy(at + 8, entry->mac, 6);
    memset(at + 14, 0, 2);
    memset(at + 16, 0, PORT_NAME_SIZE);
    memcpy(at + 16, entry->port, strnlen(entry->port, PORT_NAME_SIZE - 1));
}

int saved_decode_header(const uint8_t *bytes, size_t size, uint32_t *ret_count)
{
    uint64_t magic;
    uint32_t version, count;

    if (size < SAVED_HEADER_SIZE)
        return -EBADMSG;
    memcpy(&magic, bytes, 8);
    memcpy(&version, bytes + 8, 4);
    memcpy(&count, bytes + 12, 4);
    if (magic != MAGIC)
        return -EBADMSG;
    if (version != SAVED_VERSION)
        return -EPROTONOSUPPORT;
    if (size != saved_size(count))
        return -EBADMSG;
    *ret_count = count;
    return 0;
}

int saved_decode_entry(const uint8_t *bytes, uint32_t index, int64_t now, struct saved_entry *ret_entry)
{
    static const uint8_t no_mac[6];
    const uint8_t *at = bytes + saved_size(index);
    struct saved_entry entry;

    memcpy(&entry.seen, at, 8);
    memcpy(entry.mac, at + 8, 6);
    memcpy(entry.port, at + 16, PORT_NAME_SIZE);
    if (memchr(entry.port, '\0', PORT_NAME_SIZE) == NULL || !port_name_is_valid(entry.port))
        return -EBADMSG;
    if (entry.seen < 0 || entry.seen > now || (entry.mac[0] & 1) != 0 || memcmp(entry.mac, no_mac, 6) == 0)
        return -EBADMSG;
    *ret_entry = entry;
    return 0;
}

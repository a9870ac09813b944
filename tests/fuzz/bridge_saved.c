/* SPDX-License-Identifier: MIT */
/*
 * A saved forwarding table: what is read of it can be a table, and is the same when it is written and read again.
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <bridge/saved.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW 1000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct saved_entry entry, again;
    uint8_t bytes[SAVED_HEADER_SIZE + SAVED_ENTRY_SIZE];
    uint32_t count;
    int err = saved_decode_header(data, size, &count);

    if (err < 0) {
        assert(err == -EBADMSG || err == -EPROTONOSUPPORT);
        return 0;
    }
    assert(size == saved_size(count));
    for (uint32_t i = 0; i < count; i++) {
        err = saved_decode_entry(data, i, NOW, &entry);
        if (err < 0) {
            assert(err == -EBADMSG);
            continue;
        }
        assert(entry.seen >= 0 && entry.seen <= NOW && !(entry.mac[0] & 1) && port_name_is_valid(entry.port));
        saved_encode_header(bytes, 1);
        saved_encode_entry(bytes, 0, &entry);
        assert(saved_decode_header(bytes, sizeof(bytes), &(uint32_t){0}) == 0);
        assert(saved_decode_entry(bytes, 0, NOW, &again) == 0);
        assert(again.seen == entry.seen && memcmp(again.mac, entry.mac, 6) == 0 && strcmp(again.port, entry.port) == 0);
    }
    return 0;
}

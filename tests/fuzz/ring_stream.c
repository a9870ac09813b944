/* SPDX-License-Identifier: MIT */
/*
 * A byte stream whose peer moves the indices: reads and writes stay within the buffer, and while nobody cheats what
 * goes in comes out.
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <ring/stream.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    uint32_t room = 1u << data[0] % 8;
    uint8_t *buffer = calloc(1, room); /* on the heap, where AddressSanitizer guards it */
    assert(buffer);
    _Atomic uint32_t producer = 0xfffffff0, consumer = 0xfffffff0;
    struct ring_stream stream = {buffer, room, &producer, &consumer};
    uint8_t sent = 0, received = 0, bytes[256];
    bool honest = true;

    for (size_t i = 1; i + 1 < size; i += 2) {
        uint8_t operand = data[i + 1];
        ssize_t count = 0;
        switch (data[i] % 4) {
        case 0:
            for (unsigned k = 0; k < operand; k++)
                bytes[k] = (uint8_t)(sent + k);
            count = ring_stream_write(&stream, bytes, operand);
            if (count > 0)
                sent = (uint8_t)(sent + count);
            break;
        case 1:
            count = ring_stream_read(&stream, bytes, operand);
            for (ssize_t k = 0; k < count && honest; k++)
                assert(bytes[k] == (uint8_t)(received + k));
            received = (uint8_t)(received + (count > 0 ? count : 0));
            break;
        case 2:
            producer += (uint32_t)(int8_t)operand << operand % 24;
            honest = false;
            break;
        default:
            consumer += (uint32_t)(int8_t)operand << operand % 24;
            honest = false;
        }
        assert(count == -EPROTO || (count >= 0 && count <= operand));
        assert(!honest || (count >= 0 && producer - consumer <= room));
    }
    free(buffer);
    return 0;
}

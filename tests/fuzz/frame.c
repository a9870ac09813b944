/* SPDX-License-Identifier: MIT */
/*
 * A frame ring, one of whose ends writes what it likes: the input is a script of the calls of both, of deaths, and of
 * mutations. Reads and writes stay within the buffer; while nobody cheats, what goes in comes out. The first byte: where
 * the indices start.
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <ring/frame.h>

#include "script.h"

#define CAPACITY FRAME_CAPACITY_MIN
#define HEAD     0u
#define TAIL     64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct work {
    uint8_t *memory; /* on the heap, where AddressSanitizer guards it */
    struct frame_producer producer;
    struct frame_consumer consumer;
    bool honest;
    uint32_t put, shown, got, released; /* frames */
};

static void put(struct work *work, struct script *script)
{
    static uint8_t bytes[FRAME_LENGTH_MAX + 256];
    const uint32_t length = (uint32_t)next(script) << 9 | next(script);
    const struct netif_meta meta = {.hashed = true, .hash = work->put};
    memset(bytes, (uint8_t)work->put, length < sizeof bytes ? length : sizeof bytes);
    int rc = frame_producer_put(&work->producer, &meta, bytes, length);
    if (length == 0 || length > FRAME_LENGTH_MAX)
        assert(rc == -EMSGSIZE);
    else
        assert(rc == 0 || rc == -ENOSPC || (rc == -EPROTO && !work->honest));
    work->put += rc == 0;
}

static void get(struct work *work)
{
    static uint8_t bytes[FRAME_LENGTH_MAX];
    struct netif_meta meta;
    uint32_t length;
    int rc = frame_consumer_get(&work->consumer, &meta, bytes, &length);
    if (rc == 1)
        assert(length > 0 && length <= FRAME_LENGTH_MAX);
    assert(work->consumer.head_seen - work->consumer.tail <= CAPACITY);
    assert(work->consumer.head_seen - work->consumer.released <= CAPACITY);
    if (!work->honest) {
        assert(rc == 0 || rc == 1 || rc == -EPROTO);
        return;
    }
    assert(rc == (work->got != work->shown));
    if (rc == 1) {
        assert(meta.hash == work->got && bytes[0] == (uint8_t)work->got && bytes[length - 1] == bytes[0]);
        work->got++;
    }
}

/* Both ends. One that was lied to does not come back. */
static bool die(struct work *work)
{
    int rc = frame_producer_attach(&work->producer, work->memory, frame_size(CAPACITY), CAPACITY);
    assert(rc == 0 || (rc == -EPROTO && !work->honest));
    if (rc == 0)
        assert(frame_consumer_attach(&work->consumer, work->memory, frame_size(CAPACITY), CAPACITY) == 0);
    work->put = work->shown;
    work->got = work->released;
    return rc == 0;
}

static void mutate(struct work *work, struct script *script)
{
    const uint8_t where = next(script);
    const uint32_t by = (uint32_t)(int8_t)next(script) * (where & 0x80 ? 0x10001u : 4u);
    const size_t place = where & 1 ? HEAD
                         : where & 2
                             ? TAIL
                             : FRAME_HEADER_SIZE + ((work->consumer.tail + ((uint32_t)where & 0x7c)) & (CAPACITY - 4));
    uint32_t word;
    memcpy(&word, work->memory + place, sizeof word);
    word += by;
    memcpy(work->memory + place, &word, sizeof word);
    work->honest = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct script script = {data, size};
    struct work work = {.honest = true};
    work.memory = aligned_alloc(64, frame_size(CAPACITY));
    assert(work.memory);
    memset(work.memory, 0, frame_size(CAPACITY));
    const uint32_t start = 0u - 4u * next(&script);
    assert(frame_format(work.memory, frame_size(CAPACITY), CAPACITY, start) == 0);

    bool alive = die(&work);
    while (script.left > 0 && alive)
        switch (next(&script) % 8) {
        case 0 ... 1:
            put(&work, &script);
            break;
        case 2:
            frame_producer_publish(&work.producer);
            work.shown = work.put;
            break;
        case 3:
            get(&work);
            break;
        case 4:
            frame_consumer_release(&work.consumer);
            work.released = work.got;
            break;
        case 5:
            frame_producer_rearm(&work.producer, next(&script));
            frame_consumer_rearm(&work.consumer);
            break;
        case 6:
            mutate(&work, &script);
            break;
        default:
            alive = die(&work);
        }
    free(work.memory);
    return 0;
}

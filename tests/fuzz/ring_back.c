/* SPDX-License-Identifier: MIT */
/*
 * A back end at work between the mutations of a hostile peer: the input is a script of both. The first byte chooses the
 * ring's size, then each byte is an operation with its operands behind it.
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <ring/back.h>

#include "script.h"

#define SLOTS_MAX 32u
#define START     0xfffffff0u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(64) uint8_t pages[RING_HEADER_SIZE + SLOTS_MAX * 112];
static _Alignas(64) uint8_t journal[2 * RING_PAGE_SIZE];

/* The peer's moves. */
static void mutate(struct script *script, uint8_t move)
{
    uint8_t place = next(script);
    const unsigned index = 4 * (place % 4u);
    uint32_t value = 0;
    switch (move) {
    case 0:                   /* an index by a little */
        value = next(script); /* -128..127 */
        set_index(pages, index, get_index(pages, index) + (value ^ 0x80) - 0x80);
        break;
    case 1: /* an index anywhere */
        for (unsigned i = 0; i < 4; i++)
            value = value << 8 | next(script);
        set_index(pages, index, value);
        break;
    default: /* a byte of a slot */
        pages[RING_HEADER_SIZE + place * 14u] = next(script);
    }
}

struct work {
    struct ring_back back;
    struct ring_layout layout;
    bool busy[SLOTS_MAX];
    uint32_t in_flight;
};

static void consume(struct work *work)
{
    struct ring_request request;
    int rc = ring_back_consume(&work->back, &request);
    assert(rc == 0 || rc == 1 || rc == -EPROTO);
    if (rc == 1) {
        assert(request.index < work->layout.slots && !work->busy[request.index] && request.crashes == 0);
        work->busy[request.index] = true;
        work->in_flight++;
    }
}

static void respond(struct work *work, uint8_t which)
{
    for (uint32_t i = 0; i < work->layout.slots; i++) {
        uint32_t index = (which + i) % work->layout.slots;
        if (work->busy[index]) {
            ring_back_respond(&work->back, index, "0123456789abcdef");
            work->busy[index] = false;
            work->in_flight--;
            return;
        }
    }
}

/* A peer can make a recovery fail, by its indices alone; then the device starts anew. */
static void die(struct work *work)
{
    struct ring_request request;
    int rc = ring_back_recover(&work->back, pages, sizeof pages, &work->layout, journal, sizeof journal, 1, true);
    assert(rc == 0 || rc == -EPROTO);
    if (rc == 0) {
        uint32_t replayed = 0;
        for (; ring_back_replay(&work->back, false, &request) == 1; replayed++)
            assert(work->busy[request.index] && request.crashes > 0);
        assert(replayed == work->in_flight);
        return;
    }
    set_index(pages, 0, get_index(pages, 8));
    memset(work->busy, 0, sizeof work->busy);
    work->in_flight = 0;
    assert(ring_back_attach(&work->back, pages, sizeof pages, &work->layout, journal, sizeof journal, 1) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct work work;
    struct script script = {data, size};
    memset(&work, 0, sizeof work);
    memset(pages, 0, sizeof pages);
    for (unsigned place = 0; place < 4; place++)
        set_index(pages, 4 * place, START + place % 2);
    work.layout = (struct ring_layout){1u << next(&script) % 6, 112, 112, 16, 0xdff};
    assert(ring_back_attach(&work.back, pages, sizeof pages, &work.layout, journal, sizeof journal, 1) == 0);

    while (script.left > 0) {
        uint8_t operation = next(&script);
        switch (operation % 8) {
        case 0 ... 2:
            mutate(&script, operation % 8);
            break;
        case 3:
            consume(&work);
            break;
        case 4:
            respond(&work, next(&script));
            break;
        case 5:
            ring_back_publish(&work.back);
            break;
        case 6:
            ring_back_rearm(&work.back);
            break;
        default:
            die(&work);
        }
        struct ring_indices indices;
        ring_back_indices(&work.back, &indices);
        assert(indices.in_flight == work.in_flight && work.in_flight <= work.layout.slots);
    }
    return 0;
}

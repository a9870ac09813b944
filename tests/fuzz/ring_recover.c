/* SPDX-License-Identifier: MIT */
/*
 * Recovery from arbitrary bytes, of journal and ring. The first byte: the ring's size, and whether the journal's header
 * is kept whole, so that the entries behind it are reached. Then come the ring's four indices, then the journal.
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <ring/back.h>

#define SLOTS_MAX       16u
#define GENERATION      9u
#define JOURNAL_MUTABLE 56u /* where its header ends and the batch begins: see libring/src/journal.h */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(64) uint8_t pages[RING_PAGE_SIZE];
static _Alignas(64) uint8_t journal[RING_PAGE_SIZE];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ring_back back;
    if (size < 17)
        return 0;
    struct ring_layout layout = {1u << data[0] % 5, 16, 16, 8, 0xff};
    size_t first = data[0] & 0x80 ? 0 : JOURNAL_MUTABLE;

    memset(pages, 0, sizeof pages);
    memset(journal, 0, sizeof journal);
    assert(ring_back_attach(&back, pages, sizeof pages, &layout, journal, sizeof journal, GENERATION) == 0);
    memcpy(pages, data + 1, 16);
    size_t count = size - 17 < sizeof journal - first ? size - 17 : sizeof journal - first;
    memcpy(journal + first, data + 17, count);

    static uint8_t pages_before[sizeof pages], journal_before[sizeof journal];
    memcpy(pages_before, pages, sizeof pages);
    memcpy(journal_before, journal, sizeof journal);
    int rc = ring_back_recover(&back, pages, sizeof pages, &layout, journal, sizeof journal, GENERATION, true);
    if (rc < 0) {
        assert(rc == -EBADMSG || rc == -ESTALE || rc == -EPROTO);
        assert(memcmp(pages, pages_before, sizeof pages) == 0 && memcmp(journal, journal_before, sizeof journal) == 0);
        return 0;
    }

    /* What it accepts is a ring that works. */
    struct ring_request request;
    bool busy[SLOTS_MAX] = {false};
    uint32_t served = 0;
    while (ring_back_replay(&back, true, &request) == 1 || ring_back_consume(&back, &request) == 1) {
        assert(request.index < layout.slots && !busy[request.index] && served < layout.slots);
        busy[request.index] = true;
        served++;
    }
    for (uint32_t i = 0; i < layout.slots; i++)
        if (busy[i])
            ring_back_respond(&back, i, "answered");
    ring_back_publish(&back);

    struct ring_indices indices;
    ring_back_indices(&back, &indices);
    assert(indices.in_flight == 0 && indices.rsp_prod == indices.req_cons && indices.req_cons == indices.req_prod);
    assert(ring_back_recover(&back, pages, sizeof pages, &layout, journal, sizeof journal, GENERATION, true) == 0);
    assert(ring_back_replay(&back, false, &request) == 0 && ring_back_suspects(&back) == 0);
    return 0;
}

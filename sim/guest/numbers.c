/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "net_packet.h"
#include "numbers.h"
#include "random.h"

#define PLACES_MAX (UINT64_C(1) << 28)

/* The bytes behind the header, from the n-th on. */
static void filler(uint8_t *bytes, size_t size, uint32_t flow, uint64_t place)
{
    struct random random = {.state = random_mix((uint64_t)flow << 32 ^ place)};

    for (size_t at = 0; at < size; at += 8) {
        uint64_t word = random_next(&random);
        memcpy(bytes + at, &word, size - at < 8 ? size - at : 8);
    }
}

void numbers_fill(uint8_t *bytes, size_t size, uint32_t flow, uint64_t place)
{
    net_put32(bytes, NUMBERS_MAGIC);
    net_put32(bytes + 4, flow);
    net_put32(bytes + 8, (uint32_t)(place >> 32));
    net_put32(bytes + 12, (uint32_t)place);
    net_put32(bytes + 16, (uint32_t)size);
    filler(bytes + NUMBERS_SIZE_MIN, size - NUMBERS_SIZE_MIN, flow, place);
}

static struct numbers_flow *flow_of(struct numbers *numbers, uint32_t flow)
{
    for (unsigned i = 0; i < numbers->count; i++) {
        if (numbers->flows[i].flow == flow)
            return &numbers->flows[i];
    }
    if (numbers->count == NUMBERS_FLOWS_MAX)
        return NULL;
    numbers->flows[numbers->count] = (struct numbers_flow){.flow = flow};
    return &numbers->flows[numbers->count++];
}

/* Makes room for a place. Returns whether there is. */
static bool reach(struct numbers_flow *flow, uint64_t place)
{
    if (place < flow->room)
        return true;
    if (place >= PLACES_MAX)
        return false;
    uint64_t room = flow->room == 0 ? 1u << 16 : flow->room;
    while (room <= place)
        room *= 2;
    uint8_t *seen = realloc(flow->seen, room / 8);
    if (seen == NULL)
        return false;
    memset(seen + flow->room / 8, 0, (room - flow->room) / 8);
    flow->seen = seen;
    flow->room = room;
    return true;
}

/* Whether the bytes are those that were sent; says of which place. */
static bool is_right(const uint8_t *bytes, size_t size, uint32_t *ret_flow, uint64_t *ret_place)
{
    uint8_t expected[UINT16_MAX + 1];

    if (size < NUMBERS_SIZE_MIN || net_get32(bytes) != NUMBERS_MAGIC)
        return false;
    uint32_t own = net_get32(bytes + 16);
    if (own < NUMBERS_SIZE_MIN || own > size || own > sizeof expected)
        return false;
    *ret_flow = net_get32(bytes + 4);
    *ret_place = (uint64_t)net_get32(bytes + 8) << 32 | net_get32(bytes + 12);
    numbers_fill(expected, own, *ret_flow, *ret_place);
    return memcmp(expected, bytes, own) == 0;
}

bool numbers_take(struct numbers *numbers, const uint8_t *bytes, size_t size)
{
    struct numbers_flow *flow = NULL;
    uint64_t place;
    uint32_t id;

    if (is_right(bytes, size, &id, &place))
        flow = flow_of(numbers, id);
    if (flow == NULL || !reach(flow, place)) {
        numbers->corrupt++;
        return false;
    }
    if ((flow->seen[place / 8] >> place % 8 & 1) != 0) {
        numbers->duplicated++;
        return false;
    }
    flow->seen[place / 8] = (uint8_t)(flow->seen[place / 8] | 1u << place % 8);
    flow->received++;
    if (place + 1 < flow->highest)
        numbers->reordered++;
    else
        flow->highest = place + 1;
    numbers->received++;
    numbers->bytes += size;
    return true;
}

uint64_t numbers_missing(const struct numbers *numbers)
{
    uint64_t missing = 0;

    for (unsigned i = 0; i < numbers->count; i++)
        missing += numbers->flows[i].highest - numbers->flows[i].received;
    return missing;
}

void numbers_free(struct numbers *numbers)
{
    for (unsigned i = 0; i < numbers->count; i++)
        free(numbers->flows[i].seen);
    *numbers = (struct numbers){0};
}

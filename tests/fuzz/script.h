/* SPDX-License-Identifier: MIT */
/*
 * What targets share whose input is a script: of calls, and of what a hostile peer writes meanwhile.
 */
#ifndef FUZZ_SCRIPT_H
#define FUZZ_SCRIPT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct script {
    const uint8_t *bytes;
    size_t left;
};

/* The next byte; zeros when there are no more. */
static inline uint8_t next(struct script *script)
{
    if (script->left == 0)
        return 0;
    script->left--;
    return *script->bytes++;
}

/* An index of a ring, `place` bytes from its start. */
static inline uint32_t get_index(const uint8_t *ring, unsigned place)
{
    uint32_t value;
    memcpy(&value, ring + place, sizeof value);
    return value;
}

static inline void set_index(uint8_t *ring, unsigned place, uint32_t value)
{
    memcpy(ring + place, &value, sizeof value);
}

#endif

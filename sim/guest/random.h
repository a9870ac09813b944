/* SPDX-License-Identifier: MIT */
/*
 * The guest's random numbers: splitmix64, so that a run is repeated by its seed.
 */
#ifndef GUEST_RANDOM_H
#define GUEST_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state;
};

static inline uint64_t random_mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

static inline uint64_t random_next(struct random *random)
{
    return random_mix(random->state += 0x9e3779b97f4a7c15u);
}

/* A number in 0..limit-1; limit is not 0. */
static inline uint64_t random_below(struct random *random, uint64_t limit)
{
    /* clang 14 takes numbers for 0 that it has just seen are above. NOLINTNEXTLINE(clang-analyzer-core.DivideZero) */
    return random_next(random) % limit;
}

#endif

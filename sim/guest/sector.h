/* SPDX-License-Identifier: MIT */
/*
 * What the guest writes: each sector says whose it is, so that no other sector, version or run can be taken for it.
 *
 * 64 little-endian words: a magic number, the run's seed, the sector's number, its version, 59 words that follow from these, a checksum.
 */
#ifndef GUEST_SECTOR_H
#define GUEST_SECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include <ring/blkif.h>

#define SECTOR_WORDS (BLKIF_SECTOR_SIZE / sizeof(uint64_t))

struct sector_stamp {
    uint64_t seed;
    uint64_t sector;
    uint64_t version;
};

/* Makes the content of one sector. */
void sector_fill(const struct sector_stamp *stamp, uint64_t ret_words[SECTOR_WORDS]);

/* Whether these are the words of some sector_fill(), whole; then `ret_stamp` says of which. */
bool sector_parse(const uint64_t words[SECTOR_WORDS], struct sector_stamp *ret_stamp);

#endif

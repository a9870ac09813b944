/* SPDX-License-Identifier: MIT */
/*
 * A sector's content is a function of its stamp: to verify one is to make it again.
 */
#include <string.h>

#include "random.h"
#include "sector.h"

#define SECTOR_MAGIC 0x524f544345534252u /* "RBSECTOR" */

enum { WORD_MAGIC, WORD_SEED, WORD_SECTOR, WORD_VERSION, WORD_FILL, WORD_CHECKSUM = SECTOR_WORDS - 1 };

void sector_fill(const struct sector_stamp *stamp, uint64_t ret_words[SECTOR_WORDS])
{
    struct random random = {random_mix(stamp->seed) ^ random_mix(stamp->sector + 1) ^ (stamp->version << 40)};
    uint64_t checksum = 0;

    ret_words[WORD_MAGIC] = SECTOR_MAGIC;
    ret_words[WORD_SEED] = stamp->seed;
    ret_words[WORD_SECTOR] = stamp->sector;
    ret_words[WORD_VERSION] = stamp->version;
    for (unsigned i = WORD_FILL; i < WORD_CHECKSUM; i++)
        ret_words[i] = random_next(&random);
    for (unsigned i = 0; i < WORD_CHECKSUM; i++)
        checksum = (checksum << 7 | checksum >> 57) ^ ret_words[i];
    ret_words[WORD_CHECKSUM] = checksum;
}

bool sector_parse(const uint64_t words[SECTOR_WORDS], struct sector_stamp *ret_stamp)
{
    if (words[WORD_MAGIC] != SECTOR_MAGIC)
        return false;

    struct sector_stamp stamp = {words[WORD_SEED], words[WORD_SECTOR], words[WORD_VERSION]};
    uint64_t again[SECTOR_WORDS];
    sector_fill(&stamp, again);
    if (memcmp(again, words, sizeof again) != 0)
        return false;
    *ret_stamp = stamp;
    return true;
}

/* SPDX-License-Identifier: MIT */
/*
 * The in-flight table as the living process sees it: lists over the journal's entries.
 *
 * An entry is in one list or in none: free (FREE), done (DONE, to be published), replay (IN_FLIGHT, to be handed out
 * again), aside (IN_FLIGHT, waits for others), or none (IN_FLIGHT, in the hands of the caller). Lists are heads and `next` numbers in struct ring_back; they
 * die with the process and are made anew from the entries' words.
 */
#ifndef RING_SRC_TABLE_H
#define RING_SRC_TABLE_H

#include <ring/back.h>

#include "journal.h"

#define TABLE_END UINT32_MAX

static inline void table_push(struct ring_back *back, uint32_t *head, uint32_t index)
{
    back->next[index] = *head;
    *head = index;
}

static inline uint32_t table_pop(struct ring_back *back, uint32_t *head)
{
    uint32_t index = *head;
    *head = back->next[index];
    return index;
}

/* Frees every entry of a list. The responses of all must have been announced. */
static inline void table_release(struct ring_back *back, uint32_t *head)
{
    while (*head != TABLE_END) {
        uint32_t index = table_pop(back, head);
        journal_commit(&back->journal->entries[index].word, journal_word(JOURNAL_FREE, 0));
        table_push(back, &back->free_head, index);
    }
}

/* Binds to pages and journal with empty lists. Returns 0, or -EINVAL. */
int table_bind(struct ring_back *back, void *pages, size_t pages_size, const struct ring_layout *layout, void *journal,
               size_t journal_size, uint64_t generation);

#endif

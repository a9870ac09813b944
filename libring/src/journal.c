/* SPDX-License-Identifier: MIT */
/* The journal's header: making it, checking it, draining it, retiring it. See journal.h for what the entries mean. */
#include <errno.h>
#include <string.h>

#include <ring/back.h>

#include "journal.h"
#include "shared.h"

/* FNV-1a, 64 bits: finds damage, not malice; a wrong header that passes is still never followed out of bounds. */
static uint64_t header_checksum(const struct ring_journal *journal)
{
    const uint8_t *bytes = (const uint8_t *)journal;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < offsetof(struct ring_journal, checksum); i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

size_t ring_journal_size(const struct ring_layout *layout)
{
    size_t size = sizeof(struct ring_journal) + (size_t)layout->slots * sizeof(struct journal_entry);
    return (size + RING_PAGE_SIZE - 1) & ~(size_t)(RING_PAGE_SIZE - 1);
}

int journal_fit(const void *journal, size_t journal_size, const struct ring_layout *layout)
{
    if ((uintptr_t)journal % _Alignof(struct ring_journal) != 0 || journal_size < ring_journal_size(layout))
        return -EINVAL;
    return 0;
}

void journal_format(struct ring_journal *journal, const struct ring_layout *layout, uint64_t generation,
                    uint32_t rsp_prod)
{
    if (journal_load(&journal->drained) != generation)
        journal_commit(&journal->drained, 0);
    journal_commit(&journal->generation, 0);

    journal->magic = JOURNAL_MAGIC;
    journal->version = JOURNAL_VERSION;
    journal->layout = *layout;
    journal->formatted = generation;
    journal->checksum = header_checksum(journal);
    memset(journal->reserved, 0, sizeof journal->reserved);
    memset(journal->entries, 0, layout->slots * sizeof journal->entries[0]);
    journal_commit(&journal->batch, journal_batch(rsp_prod, rsp_prod));

    journal_commit(&journal->generation, generation);
    journal_commit(&journal->drained, 0);
}

int journal_check(const struct ring_journal *journal, const struct ring_layout *layout, uint64_t generation)
{
    if (journal->magic != JOURNAL_MAGIC || journal->version != JOURNAL_VERSION)
        return -EBADMSG;
    uint64_t live = journal_load(&journal->generation);
    if (live == 0)
        return -ESTALE;
    if (journal->checksum != header_checksum(journal) || live != journal->formatted)
        return -EBADMSG;
    if (live != generation)
        return -ESTALE;
    if (memcmp(&journal->layout, layout, sizeof *layout) != 0)
        return -EBADMSG;
    return 0;
}

void ring_journal_retire(void *journal, size_t journal_size)
{
    if (journal_size >= sizeof(struct ring_journal))
        journal_commit(&((struct ring_journal *)journal)->generation, 0);
}

int ring_back_drain(struct ring_back *back)
{
    if (back->in_flight != 0 || back->done_count != 0)
        return -EBUSY;
    journal_commit(&back->journal->drained, journal_load(&back->journal->generation));
    return 0;
}

void ring_back_undrain(struct ring_back *back)
{
    journal_commit(&back->journal->drained, 0);
}

void ring_journal_head_drained(uint64_t generation, struct ring_journal_head *ret_head)
{
    *ret_head = (struct ring_journal_head){.magic = JOURNAL_MAGIC, .version = JOURNAL_VERSION, .drained = generation};
}

int ring_journal_head_judge(const struct ring_journal_head *head, uint64_t generation)
{
    if (head->magic != JOURNAL_MAGIC)
        return -EBADMSG;
    if (generation != 0 && head->drained == generation)
        return RING_JOURNAL_DRAINED;
    return head->version == JOURNAL_VERSION ? RING_JOURNAL_IN_USE : -EPROTONOSUPPORT;
}

uint32_t ring_journal_version(void)
{
    return JOURNAL_VERSION;
}

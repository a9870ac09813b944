/* SPDX-License-Identifier: MIT */
/*
 * The back end's side of a shared ring: consume, respond, publish, rearm.
 *
 * Indices. `rsp_prod` is what we published, `req_cons` what we consumed; between them stand the requests in flight and
 * those answered but not published (`done_count`). The peer may have rsp_prod + slots requests outstanding, so its
 * req_prod lies within [req_cons, rsp_prod + slots]; anything else is impossible.
 *
 * Slots. A response goes into the slot of rsp_prod + done_count at once, when it is given. That slot's request was
 * consumed before (responses never outnumber requests consumed), and the peer does not look at it before rsp_prod
 * moves. It may have belonged to *another* request that is still in flight: that one lives in its journal entry, no
 * longer in its slot.
 *
 * A request is in flight, a response is written, a batch is published by one store each. What a kill between any two
 * stores leaves and why it can be recovered is told in journal.h, store by store.
 */
#include <errno.h>
#include <stdlib.h>

#include <ring/back.h>

#include "shared.h"
#include "table.h"

int table_bind(struct ring_back *back, void *pages, size_t pages_size, const struct ring_layout *layout, void *journal,
               size_t journal_size, uint64_t generation)
{
    int rc = shared_check(pages, pages_size, layout);
    if (rc == 0)
        rc = journal_fit(journal, journal_size, layout);
    if (rc == 0 && generation == 0)
        rc = -EINVAL;
    if (rc < 0)
        return rc;

    back->shared = pages;
    back->journal = journal;
    back->layout = *layout;
    back->in_flight = 0;
    back->done_count = 0;
    back->next_sequence = 1;
    back->free_head = TABLE_END;
    back->done_head = TABLE_END;
    back->replay_head = TABLE_END;
    back->aside_head = TABLE_END;
    back->suspects = 0;
    back->in_order = false;
    return 0;
}

int ring_back_attach(struct ring_back *back, void *pages, size_t pages_size, const struct ring_layout *layout,
                     void *journal, size_t journal_size, uint64_t generation)
{
    int rc = table_bind(back, pages, pages_size, layout, journal, journal_size, generation);
    if (rc < 0)
        return rc;

    uint32_t rsp_prod = shared_index_load(&back->shared->rsp_prod);
    if (shared_index_load(&back->shared->req_prod) - rsp_prod > layout->slots)
        return -EPROTO;

    back->req_cons = rsp_prod;
    back->req_seen = rsp_prod;
    back->rsp_prod = rsp_prod;
    for (uint32_t i = layout->slots; i-- > 0;)
        table_push(back, &back->free_head, i);
    journal_format(back->journal, layout, generation, rsp_prod);
    return 0;
}

int ring_back_consume(struct ring_back *back, struct ring_request *ret_request)
{
    if (back->req_seen == back->req_cons) {
        /* Before: the producer. After: the requests it announces. */
        uint32_t req_prod = shared_index_acquire(&back->shared->req_prod);
        uint32_t room = back->layout.slots - (back->req_cons - back->rsp_prod);
        if (req_prod - back->req_cons > room)
            return -EPROTO;
        if (req_prod == back->req_cons)
            return 0;
        back->req_seen = req_prod;
    }

    uint32_t index = table_pop(back, &back->free_head);
    struct journal_entry *entry = &back->journal->entries[index];
    shared_slot_read(shared_slot(back->shared, &back->layout, back->req_cons), entry->request,
                     back->layout.request_size);
    atomic_store_explicit(&entry->attempts, journal_attempts(0, false, JOURNAL_START_TOGETHER), memory_order_relaxed);
    journal_commit(&entry->word, journal_word(JOURNAL_IN_FLIGHT, back->next_sequence));

    back->next_sequence++;
    back->req_cons++;
    back->in_flight++;
    *ret_request = (struct ring_request){.bytes = entry->request, .index = index};
    return 1;
}

void ring_back_unconsume(struct ring_back *back, uint32_t index)
{
    if (index >= back->layout.slots)
        abort();
    struct journal_entry *entry = &back->journal->entries[index];
    if (journal_word_state(journal_load(&entry->word)) != JOURNAL_IN_FLIGHT)
        abort();

    /* All of it, whatever the response's mask: a process that died may have left a response there. */
    volatile uint32_t *slot = shared_slot(back->shared, &back->layout, back->req_cons - 1);
    for (uint32_t i = 0; i < back->layout.request_size / 4; i++)
        slot[i] = entry->request[i];
    journal_commit(&entry->word, journal_word(JOURNAL_FREE, 0));
    table_push(back, &back->free_head, index);
    back->req_cons--;
    back->in_flight--;
}

void ring_back_respond(struct ring_back *back, uint32_t index, const void *response)
{
    if (index >= back->layout.slots)
        abort();
    struct journal_entry *entry = &back->journal->entries[index];
    if (journal_word_state(journal_load(&entry->word)) != JOURNAL_IN_FLIGHT)
        abort();

    uint32_t response_index = back->rsp_prod + back->done_count;
    shared_slot_write(shared_slot(back->shared, &back->layout, response_index), response, back->layout.response_size,
                      back->layout.response_mask);
    journal_commit(&entry->word, journal_word(JOURNAL_DONE, response_index));

    table_push(back, &back->done_head, index);
    back->done_count++;
    back->in_flight--;
}

bool ring_back_publish(struct ring_back *back)
{
    uint32_t base = back->rsp_prod;
    uint32_t target = base + back->done_count;
    if (target == base)
        return false;

    journal_commit(&back->journal->batch, journal_batch(base, target));
    /* Before: the batch, and the responses in their slots. After: the peer may read them; then look whether it sleeps.
     */
    shared_index_publish(&back->shared->rsp_prod, target);
    back->rsp_prod = target;
    back->done_count = 0;
    table_release(back, &back->done_head);
    return shared_event_due(base, target, shared_index_recheck(&back->shared->rsp_event));
}

bool ring_back_rearm(struct ring_back *back)
{
    return ring_back_rearm_for(back, 1);
}

bool ring_back_rearm_for(struct ring_back *back, uint32_t count)
{
    /* Before: what we sleep on. After: whether the peer published before it could see that. */
    shared_index_publish(&back->shared->req_event, back->req_cons + count);
    return shared_index_recheck(&back->shared->req_prod) - back->req_cons >= count;
}

void ring_back_indices(const struct ring_back *back, struct ring_indices *ret_indices)
{
    *ret_indices = (struct ring_indices){
        .req_prod = shared_index_load(&back->shared->req_prod),
        .req_event = shared_index_load(&back->shared->req_event),
        .rsp_prod = shared_index_load(&back->shared->rsp_prod),
        .rsp_event = shared_index_load(&back->shared->rsp_event),
        .req_cons = back->req_cons,
        .in_flight = back->in_flight,
    };
}

/* SPDX-License-Identifier: MIT */
/*
 * Continuing a ring whose process died: the table is made anew from the journal's words, the publication that was under
 * way is completed, and what was in progress is handed out again in its old order.
 *
 * Everything is checked before anything is changed. The journal is a file that outlived a process which may have been
 * corrupted: each word is loaded once and bounded before it is used as a number. The ring's indices are loaded once,
 * too; they are the peer's.
 *
 * A kill in here is like a kill in what it does: it takes back, settles attempts, frees announced entries, and publishes
 * (journal.h).
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <ring/back.h>

#include "shared.h"
#include "table.h"

/* What the scan of the entries finds. */
struct scan {
    uint32_t base, target;   /* the batch */
    uint32_t announced_head; /* DONE and below rsp_prod: to be freed */
    uint32_t done_span;      /* one past the highest distance from rsp_prod of a DONE entry not announced */
    uint64_t done_seen[RING_SLOTS_MAX / 64]; /* which distances were seen */
    bool done_misplaced;                     /* a DONE entry at an impossible or doubled distance */
    uint32_t done_at[RING_SLOTS_MAX];        /* of each distance seen, the entry */
};

/* Puts an entry into the replay list by its sequence number. Returns 0, or -EBADMSG when that number is taken. */
static int replay_insert(struct ring_back *back, uint32_t index, uint64_t sequence)
{
    uint32_t *link = &back->replay_head;
    while (*link != TABLE_END) {
        uint64_t other = journal_word_number(journal_load(&back->journal->entries[*link].word));
        if (other == sequence)
            return -EBADMSG;
        if (other > sequence)
            break;
        link = &back->next[*link];
    }
    table_push(back, link, index);
    back->in_flight++;
    if (sequence >= back->next_sequence)
        back->next_sequence = sequence + 1;
    return 0;
}

static void done_insert(struct ring_back *back, struct scan *scan, uint32_t index, uint32_t response_index)
{
    if (back->rsp_prod == scan->target && response_index - scan->base < scan->target - scan->base) {
        table_push(back, &scan->announced_head, index);
        return;
    }
    uint32_t distance = response_index - back->rsp_prod;
    if (distance >= back->layout.slots || (scan->done_seen[distance / 64] >> distance % 64 & 1) != 0) {
        scan->done_misplaced = true;
        return;
    }
    scan->done_seen[distance / 64] |= UINT64_C(1) << distance % 64;
    scan->done_at[distance] = index;
    if (distance >= scan->done_span)
        scan->done_span = distance + 1;
    table_push(back, &back->done_head, index);
    back->done_count++;
}

/* Puts each entry into its list. Returns 0, or -EBADMSG. */
static int scan_entries(struct ring_back *back, struct scan *scan)
{
    for (uint32_t i = back->layout.slots; i-- > 0;) {
        uint64_t word = journal_load(&back->journal->entries[i].word);
        uint64_t number = journal_word_number(word);
        int rc = 0;

        switch (journal_word_state(word)) {
        case JOURNAL_FREE:
            if (number != 0)
                return -EBADMSG;
            table_push(back, &back->free_head, i);
            break;
        case JOURNAL_IN_FLIGHT:
            if (number > JOURNAL_SEQUENCE_MAX)
                return -EBADMSG;
            rc = replay_insert(back, i, number);
            break;
        case JOURNAL_DONE:
            if (number > UINT32_MAX)
                return -EBADMSG;
            done_insert(back, scan, i, (uint32_t)number);
            break;
        default:
            return -EBADMSG;
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Whether indices and entries can be what a kill left. Returns 0, -EPROTO for the peer's doing, -EBADMSG for a damaged
 * journal. */
static int check_consistency(struct ring_back *back, const struct scan *scan, uint32_t req_prod)
{
    bool gap = scan->done_misplaced || scan->done_span != back->done_count;

    /* Before the publication all of its batch is there, and nothing else is DONE. If not, it did happen and the peer
     * took it back. */
    if (back->rsp_prod != scan->target && (gap || back->done_count != scan->target - scan->base))
        return -EPROTO;
    if (gap)
        return -EBADMSG;

    uint32_t consumed = back->in_flight + back->done_count;
    uint32_t requested = req_prod - back->rsp_prod;
    return requested < consumed || requested > back->layout.slots ? -EPROTO : 0;
}

/* Whether the numbers of all in flight leave room below for those that were answered before them. */
static bool can_take_back(const struct ring_back *back)
{
    return back->replay_head == TABLE_END ||
           journal_word_number(journal_load(&back->journal->entries[back->replay_head].word)) > back->done_count;
}

/* Puts what was answered and not published back in flight, the latest first. Their places on the ring are their order. */
static void take_back(struct ring_back *back, const struct scan *scan)
{
    if (back->next_sequence <= back->done_count)
        back->next_sequence = back->done_count + UINT64_C(1);

    for (uint32_t distance = back->done_count; distance-- > 0;) {
        const uint32_t index = scan->done_at[distance];
        journal_commit(&back->journal->entries[index].word, journal_word(JOURNAL_IN_FLIGHT, distance + UINT64_C(1)));
        table_push(back, &back->replay_head, index);
        back->in_flight++;
    }
    back->done_head = TABLE_END;
    back->done_count = 0;
}

/* Holds a crash against every request that the dead process had started; forgets that it did, after any other death. */
static void settle_attempts(struct ring_back *back, bool crashed)
{
    for (uint32_t i = back->replay_head; i != TABLE_END; i = back->next[i]) {
        struct journal_entry *entry = &back->journal->entries[i];
        uint64_t attempts = journal_load(&entry->attempts);
        uint32_t crashes = journal_attempts_crashes(attempts);
        uint32_t start = journal_attempts_start(attempts);
        bool proved = journal_attempts_proved(attempts);

        if (crashed && start != JOURNAL_START_NO) {
            crashes += crashes < JOURNAL_CRASHES_MAX;
            proved = proved || start == JOURNAL_START_ALONE;
        }
        if (start != JOURNAL_START_NO)
            journal_commit(&entry->attempts, journal_attempts(crashes, proved, JOURNAL_START_NO));
        back->suspects += crashes > 0;
    }
}

static int recover(struct ring_back *back, void *pages, size_t pages_size, const struct ring_layout *layout,
                   void *journal, size_t journal_size, uint64_t generation, bool crashed, bool in_order)
{
    int rc = table_bind(back, pages, pages_size, layout, journal, journal_size, generation);
    if (rc == 0 && back->journal->magic == JOURNAL_MAGIC && journal_load(&back->journal->drained) == generation)
        return ring_back_attach(back, pages, pages_size, layout, journal, journal_size, generation);
    if (rc == 0)
        rc = journal_check(back->journal, layout, generation);
    if (rc < 0)
        return rc;

    uint64_t batch = journal_load(&back->journal->batch);
    struct scan scan;
    memset(&scan, 0, offsetof(struct scan, done_at));
    scan.base = (uint32_t)(batch >> 32);
    scan.target = (uint32_t)batch;
    scan.announced_head = TABLE_END;
    if (scan.target - scan.base > layout->slots)
        return -EBADMSG;

    /* rsp_prod first: what a peer adds to req_prod later cannot make these two contradict each other. */
    back->rsp_prod = shared_index_load(&back->shared->rsp_prod);
    uint32_t req_prod = shared_index_acquire(&back->shared->req_prod);
    if (back->rsp_prod != scan.base && back->rsp_prod != scan.target)
        return -EPROTO;

    rc = scan_entries(back, &scan);
    if (rc == 0)
        rc = check_consistency(back, &scan, req_prod);
    const bool unpublished = in_order && back->rsp_prod == scan.target; /* not part of a batch */
    if (rc == 0 && unpublished && !can_take_back(back))
        rc = -EBADMSG;
    if (rc < 0)
        return rc;

    back->in_order = in_order;
    back->req_cons = back->rsp_prod + back->in_flight + back->done_count;
    back->req_seen = back->req_cons;
    if (unpublished)
        take_back(back, &scan);
    settle_attempts(back, crashed);
    table_release(back, &scan.announced_head);
    (void)ring_back_publish(back); /* the caller notifies anyway */
    return 0;
}

int ring_back_recover(struct ring_back *back, void *pages, size_t pages_size, const struct ring_layout *layout,
                      void *journal, size_t journal_size, uint64_t generation, bool crashed)
{
    return recover(back, pages, pages_size, layout, journal, journal_size, generation, crashed, false);
}

int ring_back_recover_in_order(struct ring_back *back, void *pages, size_t pages_size, const struct ring_layout *layout,
                               void *journal, size_t journal_size, uint64_t generation, bool crashed)
{
    return recover(back, pages, pages_size, layout, journal, journal_size, generation, crashed, true);
}

void ring_back_pardon(struct ring_back *back)
{
    for (uint32_t i = back->replay_head; i != TABLE_END; i = back->next[i])
        journal_commit(&back->journal->entries[i].attempts, journal_attempts(0, false, JOURNAL_START_NO));
    back->suspects = 0;
}

static void request_of(const struct ring_back *back, uint32_t index, struct ring_request *ret_request)
{
    const struct journal_entry *entry = &back->journal->entries[index];
    uint64_t attempts = journal_load(&entry->attempts);

    *ret_request = (struct ring_request){.bytes = entry->request,
                                         .index = index,
                                         .crashes = journal_attempts_crashes(attempts),
                                         .proved = journal_attempts_proved(attempts)};
}

/* The link to the next entry to be replayed: the first, or the first of those with the fewest crashes. The list is not
 * empty. */
static uint32_t *replay_next(struct ring_back *back)
{
    uint32_t *best = NULL;
    uint32_t fewest = UINT32_MAX;
    if (back->in_order)
        return &back->replay_head;

    for (uint32_t *link = &back->replay_head; *link != TABLE_END && fewest > 0; link = &back->next[*link]) {
        uint32_t crashes = journal_attempts_crashes(journal_load(&back->journal->entries[*link].attempts));
        if (crashes < fewest) {
            fewest = crashes;
            best = link;
        }
    }
    return best;
}

int ring_back_peek(struct ring_back *back, struct ring_request *ret_request)
{
    if (back->replay_head == TABLE_END)
        return 0;
    request_of(back, *replay_next(back), ret_request);
    return 1;
}

int ring_back_replay(struct ring_back *back, bool alone, struct ring_request *ret_request)
{
    if (back->replay_head == TABLE_END)
        return 0;

    uint32_t index = table_pop(back, replay_next(back));
    request_of(back, index, ret_request);
    back->suspects -= ret_request->crashes > 0;
    /* Before: how it was started. After: the request is executed, and may kill us. */
    journal_commit(&back->journal->entries[index].attempts,
                   journal_attempts(ret_request->crashes, ret_request->proved,
                                    alone ? JOURNAL_START_ALONE : JOURNAL_START_TOGETHER));
    return 1;
}

void ring_back_set_aside(struct ring_back *back, uint32_t index)
{
    if (index >= back->layout.slots)
        abort();
    struct journal_entry *entry = &back->journal->entries[index];
    if (journal_word_state(journal_load(&entry->word)) != JOURNAL_IN_FLIGHT)
        abort();

    uint64_t attempts = journal_load(&entry->attempts);
    journal_commit(&entry->attempts, journal_attempts(journal_attempts_crashes(attempts),
                                                      journal_attempts_proved(attempts), JOURNAL_START_NO));
    uint32_t *link = &back->aside_head;
    while (*link != TABLE_END)
        link = &back->next[*link];
    table_push(back, link, index);
}

uint32_t ring_back_set_aside_replays(struct ring_back *back,
                                     bool (*waits)(const struct ring_request *request, void *arg), void *arg)
{
    uint32_t *link = &back->replay_head;
    uint32_t count = 0;

    while (*link != TABLE_END) {
        struct ring_request request;
        request_of(back, *link, &request);
        if (!waits(&request, arg)) {
            link = &back->next[*link];
            continue;
        }
        ring_back_set_aside(back, table_pop(back, link));
        back->suspects -= request.crashes > 0;
        count++;
    }
    return count;
}

int ring_back_recall(struct ring_back *back)
{
    struct ring_request request;

    if (back->aside_head == TABLE_END)
        return 0;
    uint32_t index = table_pop(back, &back->aside_head);
    request_of(back, index, &request);
    back->suspects += request.crashes > 0;
    table_push(back, &back->replay_head, index);
    return 1;
}

uint32_t ring_back_suspects(const struct ring_back *back)
{
    return back->suspects;
}

uint32_t ring_back_suspects_list(const struct ring_back *back, struct ring_request *ret_requests, uint32_t room)
{
    const uint32_t heads[] = {back->replay_head, back->aside_head};
    uint32_t count = 0;

    for (unsigned list = 0; list < 2; list++)
        for (uint32_t i = heads[list]; i != TABLE_END && count < room; i = back->next[i]) {
            request_of(back, i, &ret_requests[count]);
            count += ret_requests[count].crashes > 0;
        }
    return count;
}

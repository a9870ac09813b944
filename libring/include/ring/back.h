/* SPDX-License-Identifier: MIT */
/*
 * The back end's side of a shared ring, together with its journal.
 *
 * The peer owns the ring pages and may change any byte at any time. Nobody outside libring holds a pointer into them: a
 * request is read once into the journal, which is private to us and outlives the process, and everything else works on
 * that copy. The journal *is* the in-flight table: a request lives in one of its entries from ring_back_consume() until
 * its response was published.
 *
 * One cycle:   consume* -> execute -> respond* -> publish -> notify if told to;   when consume returns 0: rearm, and
 * again if told to.
 *
 * A kill between any two stores of any of these functions is recoverable by ring_back_recover() in another process.
 * No system call, no allocation, no lock; one thread at a time.
 */
#ifndef RING_BACK_H
#define RING_BACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ring/layout.h>

struct ring_journal; /* the mapped file; layout in src/journal.h */
struct ring_shared;  /* the ring pages; layout in src/shared.h */

/* The beginning of every journal of every version. Frozen: a later version may use the reserved bytes for itself, nothing else changes. */
struct ring_journal_head {
    uint64_t magic;
    uint32_t version; /* of everything that is not in this struct */
    uint8_t reserved[52];
    uint64_t drained; /* the connection's generation: nothing is in flight; any version can take the ring over afresh */
    uint8_t reserved_too[56];
};

enum ring_journal_use {
    RING_JOURNAL_IN_USE, /* of this version: ring_back_recover() continues it */
    RING_JOURNAL_DRAINED, /* of any version: ring_back_recover() takes the ring over with any drained journal of this version */
};

/* A request between consume and publish. Owned by the ring; valid until it is responded to. */
struct ring_request {
    const void *bytes; /* `request_size` bytes in private memory: decode from here, as often as needed */
    uint32_t index;    /* 0..slots-1, unique among the requests in flight: use it to index your own table */
    uint32_t crashes;  /* how many processes crashed while they executed it; 0 unless replayed */
    bool proved;       /* one of them was executing nothing else */
};

/* Embedded by its user, its fields private. */
struct ring_back {
    struct ring_shared *shared;
    struct ring_journal *journal;
    struct ring_layout layout;
    uint32_t req_cons;      /* next request to read */
    uint32_t req_seen;      /* the peer's producer when last looked at, checked */
    uint32_t rsp_prod;      /* published so far */
    uint32_t in_flight;     /* consumed, not yet responded to */
    uint32_t done_count;    /* responded to, not yet published */
    uint64_t next_sequence; /* of the next request consumed; counts from 1 */
    uint32_t free_head;     /* entries in lists linked through `next`, see src/table.h */
    uint32_t done_head;
    uint32_t replay_head;
    uint32_t aside_head;
    uint32_t suspects; /* entries to be replayed that saw a crash */
    bool in_order;     /* replay in the order of consumption, whatever crashed */
    uint32_t next[RING_SLOTS_MAX];
};

/* Bytes of journal a ring of this layout needs: a multiple of RING_PAGE_SIZE. */
size_t ring_journal_size(const struct ring_layout *layout);

/* Starts a new connection: formats the journal for `generation` (never 0, never used before by this ring) and takes the
 * ring over at its current rsp_prod. `pages` are slots * slot_size + header bytes at least, mapped contiguously; both
 * memories stay the caller's and must outlive `back`.
 * Returns 0; -EINVAL for an impossible layout or size; -EPROTO when the ring's indices are impossible. */
int ring_back_attach(struct ring_back *back, void *pages, size_t pages_size, const struct ring_layout *layout,
                     void *journal, size_t journal_size, uint64_t generation);

/* Continues a connection whose process died; or, with a drained journal, takes the ring over as ring_back_attach(). Restores the table, completes or repeats the publication that was under
 * way, and leaves the requests that were in progress to ring_back_replay(). The caller notifies the peer once,
 * unconditionally, when done. `crashed`: that process ended by its own doing, which is held against the requests it had
 * started; false when somebody killed it, which says nothing about them.
 * Returns 0; -ESTALE when the journal is of another generation or retired; -EBADMSG when it is damaged or of another
 * layout or version; -EPROTO when the peer changed the ring to impossible indices; -EINVAL as attach. */
int ring_back_recover(struct ring_back *back, void *pages, size_t pages_size, const struct ring_layout *layout,
                      void *journal, size_t journal_size, uint64_t generation, bool crashed);

/* The same for a ring whose requests belong together in groups and are answered in the order they came: what was answered
 * and not yet published is in progress again, so that nobody sees a group's responses in part, nor begins in its
 * middle. Replay is in the order of consumption, whatever crashed. */
int ring_back_recover_in_order(struct ring_back *back, void *pages, size_t pages_size, const struct ring_layout *layout,
                               void *journal, size_t journal_size, uint64_t generation, bool crashed);

/* Hands out the requests that were in progress when the former process died: in the order they were consumed, but those
 * that saw the fewest crashes first. To be drained before the first ring_back_consume(). `alone`: nothing else is being
 * executed by this process, nor will be before this request is responded to; a crash then proves that it is to blame.
 * Returns 1, or 0 when there are no more. */
int ring_back_replay(struct ring_back *back, bool alone, struct ring_request *ret_request);

/* Tells which request ring_back_replay() hands out next. Returns 1, or 0 when there are no more. */
int ring_back_peek(struct ring_back *back, struct ring_request *ret_request);

/* How many of the requests left to be replayed saw a crash: as long as there are any, replay one at a time. Not of those set aside. */
uint32_t ring_back_suspects(const struct ring_back *back);
/* Lists them, `room` at most, in the order they were consumed; those set aside, too, behind the others. Returns how many. */
uint32_t ring_back_suspects_list(const struct ring_back *back, struct ring_request *ret_requests, uint32_t room);

/* Forgets every crash that was held against the requests left to be replayed. */
void ring_back_pardon(struct ring_back *back);

/* Sets aside a request that was taken and not begun, because it has to wait for others. Nothing has started it by that, whatever becomes of this
 * process. Aborts when it is not in flight. */
void ring_back_set_aside(struct ring_back *back, uint32_t index);
/* The same of all that are left to be replayed and that `waits` says it of. Returns how many. */
uint32_t ring_back_set_aside_replays(struct ring_back *back,
                                     bool (*waits)(const struct ring_request *request, void *arg), void *arg);
/* Has the first of those set aside handed out by ring_back_replay(). Returns 1, or 0 when there is none. */
int ring_back_recall(struct ring_back *back);

/* Marks the journal as drained: the ring can be taken over by another process, of any version. Nothing may be consumed any more. Returns
 * 0, or -EBUSY while something is in flight or not published. */
int ring_back_drain(struct ring_back *back);
/* Takes the mark away: consuming goes on. */
void ring_back_undrain(struct ring_back *back);

/* What a journal of any version is good for, by its head, for the connection of that generation. Returns enum ring_journal_use;
 * -EPROTONOSUPPORT when it holds requests in flight of another version, which cannot be continued; -EBADMSG when it is no journal. */
int ring_journal_head_judge(const struct ring_journal_head *head, uint64_t generation);
/* The head of a drained journal of this version; the rest of the file is zeroes. */
void ring_journal_head_drained(uint64_t generation, struct ring_journal_head *ret_head);
/* This version. */
uint32_t ring_journal_version(void);

/* Marks the journal as of no use for any recovery: call it before any back end state but Connected is written. */
void ring_journal_retire(void *journal, size_t journal_size);

/* Reads the next request. Returns 1; 0 when there is none; -EPROTO when the producer is impossible (the ring is then
 * unusable: disconnect). */
int ring_back_consume(struct ring_back *back, struct ring_request *ret_request);

/* Gives request `index` back to the ring, from which it is read again: the latest that was consumed, and only on a ring
 * that is answered in order. Its bytes are stored to its slot once more, where a response that was never published may
 * stand. Aborts when no such request is in flight. */
void ring_back_unconsume(struct ring_back *back, uint32_t index);

/* Finishes request `index` with `layout.response_size` bytes; the peer sees it at the next publish. Aborts when no such
 * request is in flight: that is the caller's mistake, never the peer's. */
void ring_back_respond(struct ring_back *back, uint32_t index, const void *response);

/* Makes all responses since the last publish visible, with one release store. Returns true when the peer asked for an
 * event. */
bool ring_back_publish(struct ring_back *back);

/* Asks the peer for an event with its next request. Returns true when a request came in meanwhile: consume again. */
bool ring_back_rearm(struct ring_back *back);
/* The same, with the request that makes `count` of them, 1 and more: for whom fewer are of no use. */
bool ring_back_rearm_for(struct ring_back *back, uint32_t count);

/* For inspection only: the ring's indices as of now, the peer's ones unvalidated. */
struct ring_indices {
    uint32_t req_prod, req_event, rsp_prod, rsp_event; /* shared */
    uint32_t req_cons;                                 /* ours */
    uint32_t in_flight;
};
void ring_back_indices(const struct ring_back *back, struct ring_indices *ret_indices);

#endif

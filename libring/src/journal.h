/* SPDX-License-Identifier: MIT */
/*
 * The journal: a ring's memory of what was consumed and not yet answered, in a file that outlives the process.
 *
 * It is not a copy of the in-flight table, it is that table: a request is copied from its ring slot straight into an
 * entry, is executed from there, and leaves the entry when its response is published. There are as many entries as
 * slots, and each entry is in one of three states:
 *
 *   FREE                 holds nothing.
 *   IN_FLIGHT(sequence)  holds a request. The sequence number counts requests consumed: the order to repeat them in.
 *   DONE(index)          its response stands in ring slot `index`, and is announced once rsp_prod has passed it.
 *
 * State and number are one atomic 64-bit word, so every step of a request is one store, the *commit*; everything else
 * written before it is scratch until then. Beside the entries stands one more such word, the *batch*: (base, target),
 * the values of the shared rsp_prod before and after the latest publication. Nothing else is ever stored on the data
 * path. Two things follow:
 *
 *   - Each consumed request is either announced by rsp_prod or sits in one entry. So the request consumer need not be
 *     stored: req_cons = rsp_prod + the entries that are IN_FLIGHT, or DONE and not announced.
 *   - A DONE entry tells by itself whether it was announced: its index is below rsp_prod or not. That is decided by one
 *     store to the shared page, so there is no moment at which a response could be announced twice or never.
 *
 * What a kill leaves after each store (s: scratch, C: commit, P: what the peer sees):
 *
 *   consume  s  request, attempts =     The entry is FREE, the slot is read again. No response can have replaced it:
 *               (0, TOGETHER)           responses go only to slots of requests that were consumed, and unconsume
 *                                       puts the request back.
 *            C  IN_FLIGHT(sequence)     Replayed.
 *   respond  s  response to its slot    Still IN_FLIGHT: replayed. Nothing announces the slot; another may take it.
 *            C  DONE(index)             Published by the recovery; the response is in its slot.
 *   unconsume s request to its slot     Still IN_FLIGHT: replayed. The slot may hold a response of a process that died
 *                                       before it published; the ring is in order, so nothing announces that now.
 *             C FREE, the latest        Read again from its slot.
 *               request first
 *   publish  C  batch (base, target)    rsp_prod is base, and DONE(base) to DONE(target - 1) exist: published again.
 *            P  rsp_prod = target       These entries are announced: freed, never answered again.
 *            C  FREE, for each          The rest is freed.
 *   recover  C  attempts = (n', NO),    Replayed. What is not settled yet is settled by the next recovery, which is told
 *               for each IN_FLIGHT      how *this* process died.
 *            C  FREE, for each          The same, for entries that were announced; then a publish as above.
 *   in order C  IN_FLIGHT(place), for  Those are replayed, the others are taken back by the next recovery, which counts
 *               each DONE, the latest   their places from the same rsp_prod. See below.
 *               first
 *   pardon   C  attempts = (0, NO)      Replayed, as one that never crashed a process.
 *   replay   C  attempts = (n, ALONE    Replayed again, after having been settled.
 *               or TOGETHER)
 *   aside    C  attempts = (n, NO)      Replayed. A crash is not held against it: it was not executed.
 *
 * A respond after a publish writes DONE(index >= target), so entries of two batches cannot be confused; a second
 * publish starts only when the entries of the first are FREE. Consuming into an entry that was just freed is a new
 * sequence number in an old place, again by one commit.
 *
 * Groups. A network packet spans several requests, whose responses must be announced by one store, or the guest reads a
 * packet without an end and the successor takes up in its middle. There the publication is what counts: only a batch
 * is a promise, and a publisher closes it behind a whole packet. A recovery in order republishes the batch that was
 * begun, and takes back every DONE entry that no batch speaks of: it is IN_FLIGHT again, with all others of its packet.
 * A DONE word has no sequence number left; but as responses are given in the order of consumption, its place behind
 * rsp_prod, counted from 1, serves for one: whatever is in flight came later and so has a higher number.
 *
 * The attempts of an entry are one more such word: how many processes *crashed* while they executed the request, and how
 * the latest one started it: not at all, together with others, or alone. The latter is stored before execution and says
 * nothing yet; the recovery settles it. After a crash, one that was started is counted; after any other death (somebody
 * killed the process) it is not: whatever is done to a process from outside, the count of a request stays. A request
 * that crashed a process in company is a suspect, one that did so alone has been proved to. Settling leaves "not at
 * all", so however often it is repeated, a crash counts once.
 *
 * The shared rsp_prod can be written by the peer. At recovery only base and target are legitimate, and base only
 * together with the whole batch in its entries. A peer that forges the value within these rules only loses or repeats
 * its own responses.
 *
 * Between versions. Every journal, of every version, begins with the same head (struct ring_journal_head in ring/back.h): what it is, of
 * which version, and whether it is *drained*: nothing is in flight, nothing waits to be announced, and the ring can be taken over afresh,
 * by any version. The mark is one more word, `drained`, committed when the last entry is FREE and nothing more will be consumed:
 *
 *   drain    C  drained = generation   Attached afresh at rsp_prod. Before it, recovered as ever; there is nothing to replay.
 *   undrain  C  drained = 0            The same the other way.
 *   attach      to a drained journal   Formatted under the mark: killed in between, it is still drained.
 *            C  drained = 0            From here on it is a journal in use.
 *
 * Only the order of our own stores matters here: a process that is killed leaves all stores of the instructions before,
 * and none of those after; its successor starts only when it is gone. So commits need the compiler to keep the
 * program's order, and nothing of the processor.
 */
#ifndef RING_SRC_JOURNAL_H
#define RING_SRC_JOURNAL_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ring/back.h>
#include <ring/layout.h>

#define JOURNAL_MAGIC UINT64_C(0x6c6e726a676e6972) /* "ringjrnl" */
#ifndef JOURNAL_VERSION
#define JOURNAL_VERSION 1u /* tests build others */
#endif
#define JOURNAL_SEQUENCE_MAX (UINT64_MAX >> 3) /* a million requests a second reach it in 73,000 years */

enum journal_state {
    JOURNAL_FREE = 0,
    JOURNAL_IN_FLIGHT = 1,
    JOURNAL_DONE = 2,
};

/* How the latest process started an entry's request: the lower half of its attempts. Journals of before there were any
 * crashes to count hold some other number there, and zero in the upper half: it was started, in company. */
#define JOURNAL_START_NO       0u
#define JOURNAL_START_TOGETHER 1u
#define JOURNAL_START_ALONE    0x80000000u

/* The upper half: crashes << 1 | whether one of them was alone. */
#define JOURNAL_CRASHES_MAX (UINT32_MAX >> 1)

struct journal_entry {
    _Atomic uint64_t word; /* number << 2 | enum journal_state */
    _Atomic uint64_t attempts;
    uint32_t request[RING_REQUEST_MAX / 4];
};

struct ring_journal {
    uint64_t magic;
    uint32_t version;
    struct ring_layout layout;
    uint64_t formatted;          /* the generation it was made for */
    uint64_t checksum;           /* of all before; a header that was scribbled on is refused */
    _Atomic uint64_t generation; /* the same while of use, 0 while being formatted and when retired */
    _Atomic uint64_t batch;      /* base << 32 | target */
    _Atomic uint64_t drained;    /* the generation, when drained; else 0 */
    uint8_t reserved[56];
    struct journal_entry entries[];
};

static_assert(sizeof(struct journal_entry) == 128, "two cache lines an entry");
static_assert(offsetof(struct ring_journal, entries) == 128, "entries start on a cache line");
static_assert(offsetof(struct ring_journal, version) == offsetof(struct ring_journal_head, version) &&
                  offsetof(struct ring_journal, drained) == offsetof(struct ring_journal_head, drained) &&
                  sizeof(struct ring_journal_head) == sizeof(struct ring_journal),
              "the head is frozen");

/* Returns 0, or -EINVAL when `journal` is too small for the layout or misaligned. */
int journal_fit(const void *journal, size_t journal_size, const struct ring_layout *layout);

/* Makes an empty journal whose next response index is `rsp_prod`. A kill at any store leaves the old one or one that is
 * refused; over one drained for this generation it leaves that or the new one. */
void journal_format(struct ring_journal *journal, const struct ring_layout *layout, uint64_t generation,
                    uint32_t rsp_prod);

/* Returns 0; -EBADMSG for a damaged header, another version or layout; -ESTALE for a retired journal or another
 * generation. */
int journal_check(const struct ring_journal *journal, const struct ring_layout *layout, uint64_t generation);

static inline uint64_t journal_word(enum journal_state state, uint64_t number)
{
    return number << 2 | (uint64_t)state;
}

static inline enum journal_state journal_word_state(uint64_t word)
{
    return (enum journal_state)(word & 3);
}

static inline uint64_t journal_word_number(uint64_t word)
{
    return word >> 2;
}

static inline uint64_t journal_attempts(uint32_t crashes, bool proved, uint32_t start)
{
    return (uint64_t)(crashes << 1 | (uint32_t)proved) << 32 | start;
}

static inline uint32_t journal_attempts_crashes(uint64_t attempts)
{
    return (uint32_t)(attempts >> 33);
}

static inline bool journal_attempts_proved(uint64_t attempts)
{
    return (attempts >> 32 & 1) != 0;
}

static inline uint32_t journal_attempts_start(uint64_t attempts)
{
    return (uint32_t)attempts;
}

static inline uint64_t journal_load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

/* Before: everything stored so far, journal or ring. After: the word, and only then what comes later in the program. */
static inline void journal_commit(_Atomic uint64_t *word, uint64_t value)
{
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(word, value, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
}

static inline uint64_t journal_batch(uint32_t base, uint32_t target)
{
    return (uint64_t)base << 32 | target;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * After a crash the requests that were in flight are suspects: each is executed alone, so that a second crash shows which of them is to blame.
 * Alone in the whole process: while any queue of the worker has suspects, one request of all queues is in progress at a time, and queues without
 * suspects begin nothing. Of all queues, too, those requests go first that saw the fewest crashes: what is good is answered before what is bad is tried
 * again, or parks its disk.
 */
#ifndef BLKBACK_WORKER_CAUTION_H
#define BLKBACK_WORKER_CAUTION_H

#include <stdbool.h>
#include <sys/queue.h>

struct caution;

/* A queue as the others see it; embedded in it, zeroed at first. `executing` is counted by its owner: requests begun and not answered. */
struct caution_member {
    LIST_ENTRY(caution_member) entry; /* in caution->members */
    struct caution *caution;          /* NULL: not a member */
    unsigned executing;
    bool was_executing;
    bool suspicious;
    unsigned crashes;        /* that its next request saw; UINT_MAX: it has none */
    void (*wake)(void *arg); /* it may begin something now; does not re-enter */
    void *arg;
};

struct caution {
    LIST_HEAD(, caution_member) members;
    unsigned suspicious; /* members */
};

enum caution_verdict {
    CAUTION_NONE,  /* begin as much as you like */
    CAUTION_ALONE, /* begin one request, and say that it is alone */
    CAUTION_WAIT,  /* begin nothing; you will be woken, or your own requests will end */
};

void caution_join(struct caution *caution, struct caution_member *member);
/* No member, no requests of its own that matter. May be repeated. */
void caution_leave(struct caution_member *member);
enum caution_verdict caution_ask(const struct caution_member *member);
/* To be told after each turn: whether it has suspects left, or one of them is in progress; and how many crashes the next one saw. Wakes whom that
 * concerns. */
void caution_update(struct caution_member *member, bool suspicious, unsigned crashes);

#endif

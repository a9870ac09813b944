/* SPDX-License-Identifier: MIT */
/*
 * Whether an idle ring is watched before it is slept on, and for how long. Numbers in, decisions out.
 *
 * Theory of operation. A ring that is asleep costs its guest an event, and both ends a processor that has to wake up. While we
 * watch it instead, the guest sends no events, and its request is found at once; but watching takes processor time whether
 * or not something comes. So:
 *
 *   - How long to watch follows from how long the last waits took: twice that, as far as the limit goes. Waits that are longer
 *     than the limit halve it, until it is not worth beginning. A disk that is not used is not watched.
 *   - A watch that found nothing is not repeated at once: one wait is slept through, then two, then four, ... until one succeeds. So a peer that
 *     cannot go on while we keep its processor busy is soon left alone.
 *   - Over both stands a budget for the whole process: a share of one processor, saved up over POLL_BUDGET_WINDOW_NS at most. All
 *     watching is paid from it, also what succeeds, because the guest decides that; only what sleeping would have cost us is given back for a success.
 *     So a guest can make us use no more than its requests would cost without watching, and the budget.
 */
#ifndef BACKEND_WORKER_POLL_H
#define BACKEND_WORKER_POLL_H

#include <stdbool.h>
#include <stdint.h>

#define POLL_BUDGET_WINDOW_NS 100000000u /* time over which an unused budget is saved up */
#define POLL_SLEEP_COST_NS    5000u      /* of our time: re-arming, the wake-up, taking the event */
#define POLL_TIME_MIN_NS      1000u      /* shorter watches are not begun */
#define POLL_SKIPS_MAX        64u        /* most waits that are slept through after a watch that found nothing */

struct poll_limits {
    uint64_t time_ns; /* longest watch; 0: there is none */
    unsigned percent; /* of one processor */
};

/* What a process may spend on watching. */
struct poll_budget {
    struct poll_limits limits;
    int64_t left_ns; /* below 0 when a watch took longer than was left, as when the process was not running */
    uint64_t filled_ns;
};

void poll_budget_init(struct poll_budget *budget, const struct poll_limits *limits, uint64_t now_ns);
/* Whether something is left. */
bool poll_budget_allows(struct poll_budget *budget, uint64_t now_ns);
void poll_budget_spend(struct poll_budget *budget, uint64_t spent_ns);

/* How one ring waits: from the moment when nothing is left to do until there is. Zeroed at first. */
struct poll_wait {
    bool waiting;
    bool watched;      /* this wait was, at its beginning */
    uint64_t since_ns; /* when it began */
    uint64_t spent_ns; /* on watching, in this wait */
    uint64_t time_ns;  /* how long to watch */
    unsigned skips;    /* waits to sleep through before watching again */
    unsigned backoff;  /* how many that were the last time; 0: the last watch succeeded */
};

/* Nothing is left to do. Returns how long to watch for it, 0: sleep. To be called once a wait. */
uint64_t poll_wait_begin(struct poll_wait *wait, struct poll_budget *budget, uint64_t now_ns);
/* Looked, and found nothing: `spent_ns` since the last look. Returns whether to look again. */
bool poll_wait_goes_on(struct poll_wait *wait, struct poll_budget *budget, uint64_t spent_ns, uint64_t now_ns);
/* There is work again; `watching`: it was found by a look, not after sleeping. */
void poll_wait_end(struct poll_wait *wait, struct poll_budget *budget, bool watching, uint64_t now_ns);

#endif

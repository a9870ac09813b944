/* SPDX-License-Identifier: MIT */
#include "poll.h"

/* ---- The budget. ------------------------------------------------------------------------------------------------------- */

static int64_t budget_full(const struct poll_budget *budget)
{
    return (int64_t)(POLL_BUDGET_WINDOW_NS / 100 * budget->limits.percent);
}

static void budget_add(struct poll_budget *budget, uint64_t ns)
{
    budget->left_ns += (int64_t)ns;
    if (budget->left_ns > budget_full(budget))
        budget->left_ns = budget_full(budget);
}

void poll_budget_init(struct poll_budget *budget, const struct poll_limits *limits, uint64_t now_ns)
{
    *budget = (struct poll_budget){.limits = *limits, .filled_ns = now_ns};
    budget->left_ns = budget_full(budget);
}

bool poll_budget_allows(struct poll_budget *budget, uint64_t now_ns)
{
    uint64_t passed = now_ns - budget->filled_ns;

    if (passed >= 100) { /* less would be rounded away */
        if (passed > 100 * (uint64_t)POLL_BUDGET_WINDOW_NS)
            passed = 100 * (uint64_t)POLL_BUDGET_WINDOW_NS; /* enough to fill it, even at one percent */
        budget_add(budget, passed / 100 * budget->limits.percent);
        budget->filled_ns = now_ns;
    }
    return budget->left_ns > 0;
}

void poll_budget_spend(struct poll_budget *budget, uint64_t spent_ns)
{
    /* A process that was stopped for an hour need not pay for it. */
    budget->left_ns -= (int64_t)(spent_ns > POLL_BUDGET_WINDOW_NS ? POLL_BUDGET_WINDOW_NS : spent_ns);
}

/* ---- One wait. ----------------------------------------------------------------------------------------------------------- */

uint64_t poll_wait_begin(struct poll_wait *wait, struct poll_budget *budget, uint64_t now_ns)
{
    wait->waiting = true;
    wait->since_ns = now_ns;
    wait->spent_ns = 0;
    wait->watched = false;
    if (wait->skips > 0) {
        wait->skips--;
        return 0;
    }
    if (wait->time_ns < POLL_TIME_MIN_NS || !poll_budget_allows(budget, now_ns))
        return 0;
    wait->watched = true;
    return wait->time_ns;
}

bool poll_wait_goes_on(struct poll_wait *wait, struct poll_budget *budget, uint64_t spent_ns, uint64_t now_ns)
{
    wait->spent_ns += spent_ns;
    poll_budget_spend(budget, spent_ns);
    return now_ns - wait->since_ns < wait->time_ns && poll_budget_allows(budget, now_ns);
}

/* How long to watch, after a wait that took `waited_ns`. */
static uint64_t next_time(uint64_t time_ns, uint64_t waited_ns, uint64_t limit_ns)
{
    if (waited_ns > limit_ns)
        return time_ns / 2;
    if (waited_ns > time_ns / 2)
        return waited_ns * 2 < limit_ns ? waited_ns * 2 : limit_ns;
    return time_ns - time_ns / 16; /* it is longer than needed */
}

void poll_wait_end(struct poll_wait *wait, struct poll_budget *budget, bool watching, uint64_t now_ns)
{
    if (!wait->waiting)
        return;
    wait->waiting = false;
    if (watching) {
        budget_add(budget, wait->spent_ns < POLL_SLEEP_COST_NS ? wait->spent_ns : POLL_SLEEP_COST_NS);
        wait->backoff = 0;
    } else if (wait->watched) {
        wait->backoff = wait->backoff == 0 ? 1 : wait->backoff * 2;
        if (wait->backoff > POLL_SKIPS_MAX)
            wait->backoff = POLL_SKIPS_MAX;
        wait->skips = wait->backoff;
    }
    wait->time_ns = next_time(wait->time_ns, now_ns - wait->since_ns, budget->limits.time_ns);
}

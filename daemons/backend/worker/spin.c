/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. All watched rings are in one list, looked at in turns, for a slice of SLICE_NS; then the event loop gets its turn, so that
 * sleeping rings, disks and the supervisor are heard, and the next slice follows at once. What is found is worked on within the look, as far as the
 * ring's own bound goes. The list is rotated: a ring that is never empty does not keep the others from being looked at.
 */
#include "spin.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include <event2/event.h>

#include <backend/clock.h>

#define SLICE_NS 50000u

/* A timer, not event_active(): the loop looks at all its descriptors before it fires. */
static const struct timeval at_once = {0};

struct spin {
    struct poll_budget budget;
    struct event *slice; /* fires at once */
    uint64_t looked_ns;  /* when the last look ended */
    TAILQ_HEAD(, spin_watch) watches;
};

/* Tells the processor that we wait, so that its other half, where there is one, runs faster. */
static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void unlist(struct spin_watch *watch)
{
    if (watch->listed)
        TAILQ_REMOVE(&watch->spin->watches, watch, entry);
    watch->listed = false;
}

/* Looks at one ring, and either it is worked on, or goes to the end of the list, or off it. */
static void look(struct spin *spin, struct spin_watch *watch)
{
    if (watch->look(watch->arg)) {
        spin->looked_ns = clock_now_ns();
        return;
    }
    /* What the event loop did between two slices is in it too: rather watched too little than too much. */
    uint64_t now = clock_now_ns(), spent = now - spin->looked_ns;
    spin->looked_ns = now;
    if (!watch->listed)
        return;
    unlist(watch);
    if (poll_wait_goes_on(&watch->wait, &spin->budget, spent, now)) {
        watch->listed = true;
        TAILQ_INSERT_TAIL(&spin->watches, watch, entry);
    } else {
        watch->give_up(watch->arg);
    }
}

static void on_slice(evutil_socket_t fd, short what, void *arg)
{
    struct spin *spin = arg;
    struct spin_watch *watch;
    uint64_t started = clock_now_ns();

    (void)fd;
    (void)what;
    do {
        relax();
        watch = TAILQ_FIRST(&spin->watches);
        if (watch != NULL)
            look(spin, watch);
    } while (watch != NULL && spin->looked_ns - started < SLICE_NS);
    if (!TAILQ_EMPTY(&spin->watches))
        event_add(spin->slice, &at_once);
}

int spin_new(struct event_base *base, const struct poll_limits *limits, struct spin **ret_spin)
{
    struct spin *spin = calloc(1, sizeof(*spin));
    struct poll_limits possible = *limits;
    cpu_set_t processors;

    if (spin == NULL)
        return -ENOMEM;
    spin->slice = evtimer_new(base, on_slice, spin);
    if (spin->slice == NULL) {
        free(spin);
        return -ENOMEM;
    }
    /* More processors than fit the set are more than one. */
    if (sched_getaffinity(0, sizeof(processors), &processors) == 0 && CPU_COUNT(&processors) < 2)
        possible.time_ns = 0;
    poll_budget_init(&spin->budget, &possible, clock_now_ns());
    TAILQ_INIT(&spin->watches);
    *ret_spin = spin;
    return 0;
}

void spin_free(struct spin *spin)
{
    if (spin == NULL)
        return;
    event_free(spin->slice);
    free(spin);
}

bool spin_idle(struct spin_watch *watch)
{
    struct spin *spin = watch->spin;
    uint64_t now = clock_now_ns();

    if (watch->wait.waiting || poll_wait_begin(&watch->wait, &spin->budget, now) == 0)
        return watch->listed;
    if (TAILQ_EMPTY(&spin->watches)) {
        spin->looked_ns = now;
        event_add(spin->slice, &at_once);
    }
    watch->listed = true;
    TAILQ_INSERT_TAIL(&spin->watches, watch, entry);
    return true;
}

bool spin_busy(struct spin_watch *watch)
{
    bool found = watch->listed;

    unlist(watch);
    if (watch->wait.waiting)
        poll_wait_end(&watch->wait, &watch->spin->budget, found, clock_now_ns());
    return found;
}

void spin_stop(struct spin_watch *watch)
{
    unlist(watch);
}

/* SPDX-License-Identifier: MIT */
/*
 * Watching the idle rings of a worker, within its event loop. When and for how long is poll.h's to say.
 */
#ifndef BACKEND_WORKER_SPIN_H
#define BACKEND_WORKER_SPIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "poll.h"

struct event_base;
struct spin;

/* Embedded by what is watched; its first three fields are the owner's to fill, the rest to zero. */
struct spin_watch {
    struct spin *spin;
    /* Looks whether there is work, and does it. Returns false when there was none; then the watch goes on, or ends with
     * give_up(). */
    bool (*look)(void *arg);
    /* Nothing came in time: to be slept on, or worked on, when something came after all. */
    void (*give_up)(void *arg);
    void *arg;

    struct poll_wait wait;
    bool listed;
    TAILQ_ENTRY(spin_watch) entry; /* spin.watches */
};

/* On a machine with one processor nothing is watched: whoever is waited for could not run. Returns 0 or -ENOMEM. */
int spin_new(struct event_base *base, const struct poll_limits *limits, struct spin **ret_spin);
void spin_free(struct spin *spin);

/* Nothing is left to do. Returns true when it is watched from now on; false: sleep on it. */
bool spin_idle(struct spin_watch *watch);
/* There was work; to be called before spin_idle() may be called again. Returns true when a watch found it. */
bool spin_busy(struct spin_watch *watch);
/* Stops watching for good. May be called from look() and give_up(). */
void spin_stop(struct spin_watch *watch);

#endif

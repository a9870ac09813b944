/* SPDX-License-Identifier: MIT */
/*
 * Write barriers: all that was taken before one, from any queue of the disk, is done and durable before the barrier's own data is written; and that is
 * durable before the barrier is answered and anything behind it is begun.
 *
 * A barrier is up from when it is taken from its ring until it is answered. While one is, no queue of the disk takes anything. So what is in flight
 * beside a barrier came before it: after a death, too, where a barrier that the journals hold is set aside until the rest was executed again.
 * "Before" and "behind" are by the order in which requests were taken: what a guest has sent by several rings and not been answered has no other.
 *
 *     barrier_raise -> all queues become quiet -> barrier_begin -> flush -> write -> flush -> answered: barrier_lower
 */
#ifndef BLKBACK_WORKER_BARRIER_H
#define BLKBACK_WORKER_BARRIER_H

#include <stdbool.h>
#include <sys/queue.h>

#include <disk/disk.h>
#include <ring/blkif.h>

/* A queue as the others of its disk see it; embedded in it, zeroed at first; `wake` and `arg` are its owner's to fill in. */
struct barrier_member {
    LIST_ENTRY(barrier_member) entry; /* in barrier->members */
    struct barrier *barrier;          /* NULL: not a member */
    unsigned waiting;                 /* barriers it has taken that have not begun */
    bool begun;                       /* one of its barriers has */
    bool busy; /* a request of its is in progress, or left to be executed again; barriers that wait do not count */
    void (*wake)(void *arg); /* it may begin or take something now; does not re-enter */
    void *arg;
};

/* What all queues of a disk share. */
struct barrier {
    LIST_HEAD(, barrier_member) members;
    unsigned up; /* barriers that are */
};

void barrier_init(struct barrier *barrier);
void barrier_join(struct barrier *barrier, struct barrier_member *member);
/* No member, no barriers of its own. May be repeated. */
void barrier_leave(struct barrier_member *member);

/* It has taken so many barriers. */
void barrier_raise(struct barrier_member *member, unsigned count);
/* Whether nothing may be taken. */
bool barrier_is_up(const struct barrier_member *member);
/* Whether a barrier of its own is to begin now. */
bool barrier_may_begin(const struct barrier_member *member);
void barrier_begin(struct barrier_member *member);
/* The one that was begun is answered. Wakes the others. */
void barrier_lower(struct barrier_member *member);
/* To be told after each turn. Wakes whose barriers waited for that. */
void barrier_update(struct barrier_member *member, bool busy);

/* ---- The steps of a barrier that has begun. ---------------------------------------------------------------------------- */

enum barrier_step { BARRIER_BEFORE, BARRIER_DATA, BARRIER_AFTER };

/* Fills the first step of a barrier. */
void barrier_first(enum barrier_step *ret_step, struct disk_io *ret_io);
/* Fills what follows the step that `io` has done. Returns false when that was all. */
bool barrier_next(const struct blkif_job *job, enum barrier_step *step, struct disk_io *io);

#endif

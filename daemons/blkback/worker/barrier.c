/* SPDX-License-Identifier: MIT */
/*
 * One barrier at a time is up, but for journals that hold several: these begin one after the other, in any order.
 */
#include "barrier.h"

#include <stddef.h>

void barrier_init(struct barrier *barrier)
{
    LIST_INIT(&barrier->members);
    barrier->up = 0;
}

void barrier_join(struct barrier *barrier, struct barrier_member *member)
{
    member->barrier = barrier;
    LIST_INSERT_HEAD(&barrier->members, member, entry);
}

static void wake_others(const struct barrier_member *member, bool only_waiting)
{
    const struct barrier_member *other;

    LIST_FOREACH (other, &member->barrier->members, entry)
        if (other != member && (!only_waiting || other->waiting > 0))
            other->wake(other->arg);
}

void barrier_leave(struct barrier_member *member)
{
    if (!member->barrier)
        return;
    if (member->barrier->up > 0)
        wake_others(member, false);
    member->barrier->up -= member->waiting + member->begun;
    LIST_REMOVE(member, entry);
    member->barrier = NULL;
}

void barrier_raise(struct barrier_member *member, unsigned count)
{
    member->waiting += count;
    member->barrier->up += count;
}

bool barrier_is_up(const struct barrier_member *member)
{
    return member->barrier->up > 0;
}

bool barrier_may_begin(const struct barrier_member *member)
{
    const struct barrier_member *other;

    if (member->waiting == 0)
        return false;
    LIST_FOREACH (other, &member->barrier->members, entry)
        if (other->busy || other->begun)
            return false;
    return true;
}

void barrier_begin(struct barrier_member *member)
{
    member->waiting--;
    member->begun = true;
}

void barrier_lower(struct barrier_member *member)
{
    member->begun = false;
    member->barrier->up--;
    wake_others(member, false);
}

void barrier_update(struct barrier_member *member, bool busy)
{
    const bool ended = member->busy && !busy;

    member->busy = busy;
    if (ended && member->barrier->up > 0)
        wake_others(member, true);
}

/* ---- The steps of a barrier that has begun. ---------------------------------------------------------------------------- */

void barrier_first(enum barrier_step *ret_step, struct disk_io *ret_io)
{
    *ret_step = BARRIER_BEFORE;
    ret_io->op = DISK_FLUSH;
    ret_io->offset = 0;
}

bool barrier_next(const struct blkif_job *job, enum barrier_step *step, struct disk_io *io)
{
    if (*step == BARRIER_AFTER || job->length == 0)
        return false;
    *step = *step == BARRIER_BEFORE ? BARRIER_DATA : BARRIER_AFTER;
    io->op = *step == BARRIER_DATA ? DISK_WRITE : DISK_FLUSH;
    io->offset = *step == BARRIER_DATA ? job->offset : 0;
    return true;
}

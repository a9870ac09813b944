/* SPDX-License-Identifier: MIT */
/*
 * Members that wait are woken when somebody's last request ends or when the last suspicion does; they ask again and may be told to wait again.
 */
#include "caution.h"

#include <stddef.h>

static void wake_others(const struct caution_member *member)
{
    const struct caution_member *other;

    LIST_FOREACH (other, &member->caution->members, entry)
        if (other != member)
            other->wake(other->arg);
}

void caution_join(struct caution *caution, struct caution_member *member)
{
    member->caution = caution;
    LIST_INSERT_HEAD(&caution->members, member, entry);
}

void caution_leave(struct caution_member *member)
{
    if (!member->caution)
        return;
    if (member->caution->suspicious > 0)
        wake_others(member);
    member->caution->suspicious -= member->suspicious;
    LIST_REMOVE(member, entry);
    member->caution = NULL;
}

enum caution_verdict caution_ask(const struct caution_member *member)
{
    const struct caution_member *other;

    if (member->caution->suspicious == 0)
        return CAUTION_NONE;
    if (!member->suspicious)
        return CAUTION_WAIT;
    LIST_FOREACH (other, &member->caution->members, entry)
        if (other->executing > 0 || (other->suspicious && other->crashes < member->crashes))
            return CAUTION_WAIT;
    return CAUTION_ALONE;
}

void caution_update(struct caution_member *member, bool suspicious, unsigned crashes)
{
    struct caution *caution = member->caution;
    bool ended = member->was_executing && member->executing == 0;
    bool cleared = member->suspicious && !suspicious;
    bool behind = suspicious && crashes > member->crashes; /* others may go before it now */

    member->crashes = crashes;
    if (caution->suspicious > 0 && (ended || cleared || behind))
        wake_others(member);
    caution->suspicious += suspicious;
    caution->suspicious -= member->suspicious;
    member->suspicious = suspicious;
    member->was_executing = member->executing > 0;
}

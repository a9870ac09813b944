/* SPDX-License-Identifier: MIT */
#include "stall.h"

void stall_wait(struct stall *stall, uint32_t need, uint64_t now_ns)
{
    if (!stall->waiting)
        stall->since_ns = now_ns;
    stall->waiting = true;
    stall->need = need;
}

bool stall_given(struct stall *stall)
{
    const bool over = stall->stalled;

    stall->waiting = false;
    stall->stalled = false;
    return over;
}

bool stall_room(struct stall *stall, uint32_t room)
{
    return stall->waiting && room >= stall->need && stall_given(stall);
}

bool stall_check(struct stall *stall, uint64_t limit_ns, uint64_t now_ns)
{
    if (!stall->waiting || stall->stalled || limit_ns == 0 || now_ns - stall->since_ns < limit_ns)
        return false;
    stall->stalled = true;
    return true;
}

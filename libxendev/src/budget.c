/* SPDX-License-Identifier: MIT */
/*
 * The host-wide budget of mapped references.
 *
 * Theory of operation. One counter for all processes would be wrong for ever after a process was killed between mapping
 * and counting. So each process counts in a slot of its own: it adds its claim there *first*, then adds up all slots,
 * and withdraws when the sum is beyond the limit. Of two that claim at the same moment, the one whose addition came
 * second sees both (the additions and the reads are sequentially consistent), so the limit is never passed; both may
 * see both and withdraw, which errs on the side that costs only a grant copy.
 *
 * A process killed anywhere in this leaves in its slot what it had mapped, or a claim more than that; its mappings died
 * with it, so the slot is simply zeroed by the supervisor once the process is reaped. Adding up 1024 slots is 4 KiB of
 * reads beside a hypercall for each page.
 *
 * The supervisor, which sets the limit and takes slots back, does so through the file: it maps nothing that workers can write.
 *
 * A worker that went bad can write nonsense here: others then map less or more than they should, which the kernel's own
 * limit bounds. The sum is 64 bits wide, so that no nonsense makes it wrap.
 */
#include "budget.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

struct xendev_grant_budget {
    _Atomic uint32_t limit;
    _Atomic uint32_t used[XENDEV_BUDGET_SLOTS];
};

size_t xendev_grant_budget_size(void)
{
    return sizeof(struct xendev_grant_budget);
}

static int file_store(int fd, size_t offset, uint32_t value)
{
    ssize_t written = pwrite(fd, &value, sizeof(value), (off_t)offset);

    if (written < 0)
        return -errno;
    return written == (ssize_t)sizeof(value) ? 0 : -EIO;
}

int xendev_grant_budget_init(int fd, uint32_t limit)
{
    return file_store(fd, offsetof(struct xendev_grant_budget, limit), limit);
}

int xendev_grant_budget_reclaim(int fd, unsigned slot)
{
    slot %= XENDEV_BUDGET_SLOTS;
    return file_store(fd, offsetof(struct xendev_grant_budget, used) + slot * sizeof(uint32_t), 0);
}

uint64_t xendev_grant_budget_used(const struct xendev_grant_budget *budget)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < XENDEV_BUDGET_SLOTS; i++)
        sum += atomic_load(&budget->used[i]);
    return sum;
}

int budget_claim(struct xendev_grant_budget *budget, unsigned slot, uint32_t count)
{
    /* Before: nothing of ours is counted. After: it is, and only then do we look at the others (sequentially
     * consistent, both). */
    atomic_fetch_add(&budget->used[slot], count);
    if (xendev_grant_budget_used(budget) <= atomic_load(&budget->limit))
        return 0;
    budget_release(budget, slot, count);
    return -ENOSPC;
}

void budget_release(struct xendev_grant_budget *budget, unsigned slot, uint32_t count)
{
    atomic_fetch_sub(&budget->used[slot], count);
}

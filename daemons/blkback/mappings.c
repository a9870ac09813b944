/* SPDX-License-Identifier: MIT */
/*
 * A slot is written down before it is first used. Two guests cannot have the same: one that is new gets a slot that no record names, whether its
 * guest has been taken over yet or not; and a record that is taken, or none, is replaced.
 */
#include "mappings.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <supervise/rundir.h>
#include <xendev/grant.h>

#include "blkback.h"

#define BUDGET_FILE "grants"
#define SLOT_FILE   "slot"

int mappings_open(const char *run_dir, uint32_t limit)
{
    const size_t size = xendev_grant_budget_size();
    int dir = rundir_open(run_dir);
    int fd;

    if (dir < 0)
        return dir;
    fd = rundir_file(dir, BUDGET_FILE, size);
    if (fd < 0) /* none yet, or not of this build */
        fd = rundir_create(dir, BUDGET_FILE, size);
    close(dir);
    int err = fd < 0 ? fd : xendev_grant_budget_init(fd, limit);
    if (fd >= 0 && err < 0)
        close(fd);
    return err < 0 ? err : fd;
}

static bool is_taken(const struct guest *guest, uint32_t slot)
{
    const struct guest *other;

    LIST_FOREACH (other, &guest->backend->guests, entry) {
        if (other != guest && blkback_guest_of_const(other)->slot == slot)
            return true;
    }
    return false;
}

struct slots {
    const struct guest *guest; /* who asks */
    bool taken[XENDEV_BUDGET_SLOTS];
};

/* Takes the slot that another guest's run directory records. */
static int note_slot(void *arg, int run_dir, const char *name)
{
    struct slots *slots = arg;
    uint32_t slot;
    int dir;

    if (strcmp(name, slots->guest->name) == 0)
        return 0;
    dir = rundir_find(run_dir, name);
    if (dir < 0)
        return dir == -ENOTDIR || dir == -ENOENT || dir == -ELOOP ? 0 : dir;
    if (rundir_read(dir, SLOT_FILE, &slot, sizeof(slot)) == 0 && slot < XENDEV_BUDGET_SLOTS)
        slots->taken[slot] = true;
    close(dir);
    return 0;
}

int mappings_assign(struct guest *guest)
{
    struct blkback_guest *own = blkback_guest_of(guest);
    struct slots slots = {.guest = guest};
    uint32_t slot = MAPPINGS_NO_SLOT;
    int err;

    if (rundir_read(guest->dir, SLOT_FILE, &slot, sizeof(slot)) == 0 && slot < XENDEV_BUDGET_SLOTS &&
        !is_taken(guest, slot)) {
        own->slot = slot;
        return 0;
    }
    err = rundir_each(guest->backend->run_dir, note_slot, &slots);
    if (err < 0)
        return err;
    for (slot = 0; slot < XENDEV_BUDGET_SLOTS && (slots.taken[slot] || is_taken(guest, slot));)
        slot++;
    own->slot = slot < XENDEV_BUDGET_SLOTS ? slot : MAPPINGS_NO_SLOT;
    return rundir_write(guest->dir, SLOT_FILE, &own->slot, sizeof(own->slot));
}

void mappings_reclaim(struct guest *guest)
{
    const uint32_t slot = blkback_guest_of(guest)->slot;

    if (slot != MAPPINGS_NO_SLOT) /* what stays counted only makes others copy */
        (void)xendev_grant_budget_reclaim(blkback_of(guest->backend)->budget, slot);
}

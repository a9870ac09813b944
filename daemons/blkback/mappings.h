/* SPDX-License-Identifier: MIT */
/*
 * The host-wide budget of mapped references (xendev/grant.h), as the supervisor keeps it.
 *
 * It is the file `grants` of the run directory, mapped by the workers alone. Each guest has a slot of it for its workers, one after the other,
 * recorded in the file `slot` of the guest's run directory: a worker goes on while supervisors come and go.
 */
#ifndef BLKBACK_MAPPINGS_H
#define BLKBACK_MAPPINGS_H

#include <stdint.h>

struct guest;

/* What a guest's worker may map is not counted, because all slots are taken: so it maps nothing. */
#define MAPPINGS_NO_SLOT UINT32_MAX

/* Opens the budget, made where it is missing, and sets its limit. Returns a descriptor, or -errno. */
int mappings_open(const char *run_dir, uint32_t limit);

/* Gives a new guest, a struct blkback_guest, the slot it had, or else one that no other guest has. Returns 0 or -errno. */
int mappings_assign(struct guest *guest);
/* No worker of the guest's is left. */
void mappings_reclaim(struct guest *guest);

#endif

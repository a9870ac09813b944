/* SPDX-License-Identifier: MIT */
/*
 * Another domain's pages: copied in batches, or mapped within a host-wide budget. One handle a thread.
 */
#ifndef XENDEV_GRANT_H
#define XENDEV_GRANT_H

#include <stddef.h>
#include <stdint.h>

#define XENDEV_PAGE_SIZE 4096u

struct xendev_grants;

/* Returns 0 or -errno. */
int xendev_grants_open(struct xendev_grants **ret_grants);
/* Unmaps what is still mapped. Takes NULL. */
void xendev_grants_close(struct xendev_grants *grants);

enum xendev_copy_direction { XENDEV_COPY_FROM_GUEST, XENDEV_COPY_TO_GUEST };

/* One piece, within one page of the guest. `local` may cross pages. */
struct xendev_copy {
    uint32_t gref;
    uint16_t offset; /* bytes */
    uint16_t length; /* bytes, offset + length <= XENDEV_PAGE_SIZE */
    void *local;
    int status; /* out: 0; -EFAULT: a bad reference; -EINVAL: it leaves its page; -EIO: the call failed */
};

/* Copies `count` pieces, all in one direction, in few calls whatever `count` is. A bad piece fails alone. Returns how
 * many failed; when the call itself failed every piece is marked failed. */
unsigned xendev_grants_copy(struct xendev_grants *grants, uint32_t domid, enum xendev_copy_direction direction,
                            struct xendev_copy *pieces, unsigned count);

/* Maps `count` references contiguously, writable: what cannot be done without, as a ring. Returns 0; -EFAULT when a
 * reference is bad. Undone only as a whole. */
int xendev_grants_map(struct xendev_grants *grants, uint32_t domid, const uint32_t *grefs, unsigned count,
                      void **ret_address);
/* The same for what could be copied as well: within the host-wide budget, and XENDEV_OPTIONAL_MAX references of one handle (the
 * kernel gives a process some 65,000 mappings in all). Returns as above, or -ENOSPC. */
#define XENDEV_OPTIONAL_MAX 32768u
int xendev_grants_map_optional(struct xendev_grants *grants, uint32_t domid, const uint32_t *grefs, unsigned count,
                               void **ret_address);
void xendev_grants_unmap(struct xendev_grants *grants, void *address, unsigned count);

/*
 * The host-wide budget of mapped references: shared memory with one slot for each process that maps. A process claims
 * in its own slot, then counts all slots, and takes its claim back when that is beyond the limit; so the limit holds
 * without a lock, and whatever a process held when it was killed stands in its slot alone, for the supervisor to give
 * back once the process is reaped (its mappings died with it).
 */
struct xendev_grant_budget;
#define XENDEV_BUDGET_SLOTS 1024u
size_t xendev_grant_budget_size(void);
/* Sets the limit in its file: xendev_grant_budget_size() bytes, zeroed when new. Slots in use are kept. Returns 0 or -errno. */
int xendev_grant_budget_init(int fd, uint32_t limit);
/* Gives back what a dead process held. Only after it was reaped. Returns 0 or -errno. */
int xendev_grant_budget_reclaim(int fd, unsigned slot);
/* References mapped or being mapped by all processes. */
uint64_t xendev_grant_budget_used(const struct xendev_grant_budget *budget);
/* Maps optional references within `budget` from now on, as `slot` (below XENDEV_BUDGET_SLOTS, of this process alone; its handles share it).
 * NULL, as at first: no limit. Only while nothing is mapped. */
void xendev_grants_set_budget(struct xendev_grants *grants, struct xendev_grant_budget *budget, unsigned slot);

/* The granting side, for our own guests: `count` zeroed pages shared with `domid`. Returns 0 or -errno. */
struct xendev_share;
int xendev_share_open(struct xendev_share **ret_share);
/* Pages still shared stay so until xendev_share_free() or the end of the process. Takes NULL. */
void xendev_share_close(struct xendev_share *share);
int xendev_share_pages(struct xendev_share *share, uint32_t domid, unsigned count, uint32_t *ret_grefs,
                       void **ret_address);
void xendev_share_free(struct xendev_share *share, void *address, unsigned count);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Persistent grants: a guest's pages that are mapped once and kept, by their references.
 *
 * Theory of operation. A front end with feature-persistent uses the same references again and again, so each is mapped when a request first names
 * it, and found in a table from then on. A page in use by a request is pinned. Whoever does not get a page copies instead, so nothing
 * here has to succeed:
 *
 *   - A full cache, or one beyond the host's budget, maps nothing more; a page not used for a whole period makes room for
 *     another. So a guest that names ever new references makes us map as many a period as the cache holds, and copy the rest.
 *   - After a reference that could not be mapped none is tried until the next period; its own request is copied,
 *     and answered by what the copy says.
 *   - Pages not used for MAPCACHE_IDLE_PERIODS are unmapped.
 *
 * Each reference is a mapping of its own, because mappings are undone only as a whole. Nothing is allocated after open but by a new mapping.
 */
#ifndef BLKBACK_WORKER_MAPCACHE_H
#define BLKBACK_WORKER_MAPCACHE_H

#include <stdint.h>

#define MAPCACHE_IDLE_PERIODS 6u

struct mapcache;
struct mapcache_page;
struct xendev_grants;

/* A cache of `capacity` pages of a guest. Returns 0 or -ENOMEM. */
int mapcache_new(struct xendev_grants *grants, uint32_t domid, unsigned capacity, struct mapcache **ret_cache);
/* Unmaps all, pinned or not: nothing may use a page any more. Takes NULL. */
void mapcache_free(struct mapcache *cache);

/* The page of a reference, pinned until mapcache_put(); NULL: copy. */
struct mapcache_page *mapcache_get(struct mapcache *cache, uint32_t gref);
void mapcache_put(struct mapcache *cache, struct mapcache_page *page);
/* Its address: memory that the guest can change at any time. */
void *mapcache_address(const struct mapcache_page *page);

/* A period has passed. */
void mapcache_tick(struct mapcache *cache);
/* Pages mapped now. */
unsigned mapcache_count(const struct mapcache *cache);

#endif

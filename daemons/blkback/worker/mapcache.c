/* SPDX-License-Identifier: MIT */
#include "mapcache.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>

#include <xendev/grant.h>

struct mapcache_page {
    void *address; /* NULL: of no reference; in cache.unused */
    uint32_t gref;
    uint32_t pins;
    uint32_t period; /* when it was last used */
    LIST_ENTRY(mapcache_page) bucket_entry;
    TAILQ_ENTRY(mapcache_page) entry; /* cache.unused; or cache.resting, while not pinned */
};

LIST_HEAD(mapcache_bucket, mapcache_page);
TAILQ_HEAD(mapcache_list, mapcache_page);

struct mapcache {
    struct xendev_grants *grants;
    uint32_t domid;
    uint32_t period;
    bool discouraged; /* a mapping failed in this period */
    unsigned count;
    struct mapcache_list unused;
    struct mapcache_list resting; /* the longest first */
    struct mapcache_page *pages;
    struct mapcache_bucket *buckets;
    uint32_t bucket_mask;
};

static struct mapcache_bucket *bucket_of(struct mapcache *cache, uint32_t gref)
{
    /* References are given out next to each other; whatever a guest chooses, a bucket holds no more than the cache. */
    return &cache->buckets[gref & cache->bucket_mask];
}

int mapcache_new(struct xendev_grants *grants, uint32_t domid, unsigned capacity, struct mapcache **ret_cache)
{
    struct mapcache *cache = calloc(1, sizeof(*cache));
    uint32_t buckets = 1;

    if (cache == NULL)
        return -ENOMEM;
    while (buckets < capacity)
        buckets *= 2;
    cache->grants = grants;
    cache->domid = domid;
    cache->bucket_mask = buckets - 1;
    cache->pages = calloc(capacity, sizeof(*cache->pages));
    cache->buckets = calloc(buckets, sizeof(*cache->buckets));
    TAILQ_INIT(&cache->unused);
    TAILQ_INIT(&cache->resting);
    if (cache->pages == NULL || cache->buckets == NULL) {
        mapcache_free(cache);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < capacity; i++)
        TAILQ_INSERT_TAIL(&cache->unused, &cache->pages[i], entry);
    *ret_cache = cache;
    return 0;
}

/* Unmaps a page, which is in no list but its bucket, and makes it unused. */
static void page_drop(struct mapcache *cache, struct mapcache_page *page)
{
    xendev_grants_unmap(cache->grants, page->address, 1);
    LIST_REMOVE(page, bucket_entry);
    *page = (struct mapcache_page){0};
    TAILQ_INSERT_HEAD(&cache->unused, page, entry);
    cache->count--;
}

void mapcache_free(struct mapcache *cache)
{
    if (cache == NULL)
        return;
    for (uint32_t i = 0; cache->buckets != NULL && i <= cache->bucket_mask; i++) {
        struct mapcache_page *page;
        LIST_FOREACH (page, &cache->buckets[i], bucket_entry)
            xendev_grants_unmap(cache->grants, page->address, 1);
    }
    free(cache->buckets);
    free(cache->pages);
    free(cache);
}

static struct mapcache_page *page_find(struct mapcache *cache, uint32_t gref)
{
    struct mapcache_page *page;

    LIST_FOREACH (page, bucket_of(cache, gref), bucket_entry) {
        if (page->gref == gref)
            return page;
    }
    return NULL;
}

/* Makes one page unused, when the one that rests for the longest time was not used in this period or the last. */
static void make_room(struct mapcache *cache)
{
    struct mapcache_page *page = TAILQ_FIRST(&cache->resting);

    if (page == NULL || cache->period - page->period < 2)
        return;
    TAILQ_REMOVE(&cache->resting, page, entry);
    page_drop(cache, page);
}

static struct mapcache_page *page_map(struct mapcache *cache, uint32_t gref)
{
    if (cache->discouraged)
        return NULL;
    if (TAILQ_EMPTY(&cache->unused))
        make_room(cache);
    struct mapcache_page *page = TAILQ_FIRST(&cache->unused);
    if (page == NULL)
        return NULL;
    if (xendev_grants_map_optional(cache->grants, cache->domid, &gref, 1, &page->address) < 0) {
        cache->discouraged = true;
        return NULL;
    }
    TAILQ_REMOVE(&cache->unused, page, entry);
    page->gref = gref;
    LIST_INSERT_HEAD(bucket_of(cache, gref), page, bucket_entry);
    cache->count++;
    return page;
}

struct mapcache_page *mapcache_get(struct mapcache *cache, uint32_t gref)
{
    struct mapcache_page *page = page_find(cache, gref);

    if (page == NULL)
        page = page_map(cache, gref);
    else if (page->pins == 0)
        TAILQ_REMOVE(&cache->resting, page, entry);
    if (page != NULL)
        page->pins++;
    return page;
}

void mapcache_put(struct mapcache *cache, struct mapcache_page *page)
{
    page->period = cache->period;
    if (--page->pins == 0)
        TAILQ_INSERT_TAIL(&cache->resting, page, entry);
}

void *mapcache_address(const struct mapcache_page *page)
{
    return page->address;
}

void mapcache_tick(struct mapcache *cache)
{
    struct mapcache_page *page;

    cache->period++;
    cache->discouraged = false;
    while ((page = TAILQ_FIRST(&cache->resting)) != NULL && cache->period - page->period > MAPCACHE_IDLE_PERIODS) {
        TAILQ_REMOVE(&cache->resting, page, entry);
        page_drop(cache, page);
    }
}

unsigned mapcache_count(const struct mapcache *cache)
{
    return cache->count;
}

/* SPDX-License-Identifier: MIT */
/*
 * The guest's side of a request's data: pages that are mapped and stay so, or a buffer of ours and grant copies. And lists of segments, which the
 * guest keeps in pages of their own for an indirect request.
 */
#ifndef BLKBACK_WORKER_MEMORY_H
#define BLKBACK_WORKER_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include <ring/blkif.h>

#include "../counters.h"

struct event_base;
struct memory;
struct mapcache_page;
struct xendev_grants;

struct memory_params {
    struct event_base *base;
    struct xendev_grants *grants;
    struct blkback_queue_counters *counters;
    uint32_t domid;
    unsigned slots;      /* requests at once */
    unsigned batch;      /* most in one memory_fetch_lists() */
    unsigned persistent; /* references to keep mapped; 0: the front end did not agree to that */
    unsigned indirect;   /* most segments of an indirect request; 0: there are none */
};

/* Of data that is copied and has no place in its slot: what BLKIF_INDIRECT_SEGMENTS pages fill. */
#define MEMORY_CHUNK_PAGES 32u
#define MEMORY_CHUNKS_MAX  (BLKIF_INDIRECT_SEGMENTS / MEMORY_CHUNK_PAGES)

/* The data of one request, in its slot: zeroed at first. */
struct memory_data {
    struct iovec *iov; /* for the disk */
    int iov_count;
    bool failed; /* a reference is bad: for memory_fetch() and memory_deliver() to say */

    struct blkif_extent *extents; /* the caller's to fill in */
    unsigned extent_count;

    /* The rest is memory.c's. */
    struct mapcache_page **pages;
    bool mapped; /* `iov` is the guest's memory */
    unsigned chunk_count;
    uint8_t *chunks[MEMORY_CHUNKS_MAX];
    struct {
        struct iovec iov[BLKIF_DIRECT_SEGMENTS];
        struct blkif_extent extents[BLKIF_DIRECT_SEGMENTS];
        struct mapcache_page *pages[BLKIF_DIRECT_SEGMENTS];
    } own; /* of a request without more segments than these */
};

/* Returns 0 or -ENOMEM. */
int memory_open(const struct memory_params *params, struct memory **ret_memory);
/* Unmaps everything. Nothing may be in flight on the disk. Takes NULL. */
void memory_close(struct memory *memory);

/* The list of segments of one indirect request. */
struct memory_list {
    uint32_t gref;     /* of the page it is in */
    unsigned count;    /* of segments, at most `indirect` */
    const void *bytes; /* out: a copy nobody else can change, until the next memory_fetch_lists() */
    bool failed;       /* out: the reference is bad */
};
/* Reads lists, each byte of them once. */
void memory_fetch_lists(struct memory *memory, struct memory_list *lists, unsigned count);

/* Makes room for the extents of the request in slot `index`. `count`: BLKIF_DIRECT_SEGMENTS or `indirect` at most. */
void memory_prepare(struct memory *memory, unsigned index, struct memory_data *data, unsigned count);
/* Finds a place for the data of the request in slot `index`, whose extents are filled in. Returns true: it is to be released; or false when all
 * places are taken: to be tried again after a memory_release(). One alone finds one. */
bool memory_bind(struct memory *memory, unsigned index, struct memory_data *data);
void memory_release(struct memory *memory, struct memory_data *data);

/* Brings the data of writes in, and that of reads out, where it is not there already. */
void memory_fetch(struct memory *memory, struct memory_data *const *datas, unsigned count);
void memory_deliver(struct memory *memory, struct memory_data *const *datas, unsigned count);

#endif

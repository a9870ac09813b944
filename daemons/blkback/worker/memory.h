/* SPDX-License-Identifier: MIT */
/*
 * The guest's side of a request's data: pages that are mapped and stay so, or a buffer of ours and grant copies.
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
    struct blkback_counters *counters;
    uint32_t domid;
    unsigned slots;      /* requests at once */
    unsigned batch;      /* most in one memory_fetch() or memory_deliver() */
    unsigned persistent; /* references to keep mapped; 0: the front end did not agree to that */
};

/* The data of one request, in its slot. */
struct memory_data {
    struct iovec iov[BLKIF_DIRECT_SEGMENTS]; /* for the disk */
    int iov_count;
    bool failed; /* a reference is bad: for memory_fetch() and memory_deliver() to say */

    struct blkif_extent extents[BLKIF_DIRECT_SEGMENTS];
    unsigned extent_count;
    struct mapcache_page *pages[BLKIF_DIRECT_SEGMENTS];
    bool mapped; /* `iov` is the guest's memory */
    uint8_t *buffer;
};

/* Returns 0 or -ENOMEM. */
int memory_open(const struct memory_params *params, struct memory **ret_memory);
/* Unmaps everything. Nothing may be in flight on the disk. Takes NULL. */
void memory_close(struct memory *memory);

/* Finds a place for the data of the request in slot `index`, whose extents are filled in. To be released. */
void memory_bind(struct memory *memory, unsigned index, struct memory_data *data);
void memory_release(struct memory *memory, struct memory_data *data);

/* Brings the data of writes in, and that of reads out, where it is not there already. */
void memory_fetch(struct memory *memory, struct memory_data *const *datas, unsigned count);
void memory_deliver(struct memory *memory, struct memory_data *const *datas, unsigned count);

#endif

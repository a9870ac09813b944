/* SPDX-License-Identifier: MIT */
/*
 * What the mapping and the granting side of libxengnttab share: one handle type for both, as in the real library.
 */
#ifndef SIM_GNTTAB_H
#define SIM_GNTTAB_H

#include <xengnttab.h>

#include "client.h"

/* Pages the handle mapped or granted, as one contiguous range of addresses. */
struct sim_region {
    struct sim_region *next; /* in xengntdev_handle.regions */
    void *address;
    uint32_t count; /* pages */
    uint32_t id;    /* the broker's name for it */
};

/* A domain's memory as this handle has it mapped for grant copy. */
struct sim_memory {
    uint8_t *base; /* NULL: not mapped */
    uint32_t generation;
};

struct xengntdev_handle {
    struct sim_client client;
    pthread_mutex_t lock; /* regions, memory, and being inside grant copy */
    struct sim_region *regions;
    struct sim_memory memory[SIM_DOMAINS]; /* by domain slot */
};

/* Open and close a handle of @kind; NULL and errno. */
struct xengntdev_handle *sim_gnt_open(enum sim_kind kind, unsigned flags);
int sim_gnt_close(struct xengntdev_handle *handle);

/* Remember a range; 0, or -1 and errno. */
int sim_region_add(struct xengntdev_handle *handle, void *address, uint32_t count, uint32_t id);

/* Forget and unmap the range that starts at @address with exactly @count pages, and tell the broker by @op; 0, or -1 and errno. */
int sim_region_drop(struct xengntdev_handle *handle, void *address, uint32_t count, enum sim_op op);

/* Replace @count pages at @address by the pages @refs of the memory @fd; runs of consecutive pages in one call. */
int sim_region_map(uint8_t *address, uint32_t count, const uint32_t *refs, int prot, int fd);

#endif

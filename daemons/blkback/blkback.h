/* SPDX-License-Identifier: MIT */
/*
 * blkbackd's supervisor: a back end (backend/backend.h) whose devices are disks.
 *
 *   blkback.c    start and stop
 *   vbd.c        one disk, and the worker's orders about it
 *   looking.c    its image, opened, locked and looked at
 *   image.c      what a disk's configuration names
 *   chain.c      the parents of an image
 *   opening.c    images opened away from the loop
 *   lock.c       ...which nobody else uses
 *   server.c     connections to the servers of disks
 *   ending.c     ...and their ends
 *   ram.c        RAM disks: where they are, and their end
 *   frontend.c   what the guest says about its ring
 *   offer.c      what a front end finds in xenstore
 *   mappings.c   how much of guests' memory may be mapped
 *   limits.c     how fast guests may use their disks
 *   resize.c     disks that become larger
 *   snapshot.c   snapshots of disks that are used
 *   snapshot_files.c   ...and their files
 *   coalesce.c   disks whose parents are no longer needed
 *   errand.c     what may take long, done away from the loop
 *   suspects.c   requests that crash workers
 *   report.c     what ringctl and /metrics show
 */
#ifndef BLKBACK_BLKBACK_H
#define BLKBACK_BLKBACK_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <backend/backend.h>
#include <backend/guest.h>

#include "protocol.h"

struct event;
struct service;

struct blkback_config {
    struct backend_config backend;
    char *ram_dir;              /* RAM disks */
    uint64_t poll_time;         /* microseconds */
    uint64_t poll_budget;       /* percent of a processor, of each worker */
    uint64_t persistent_grants; /* most references of a queue that are kept mapped; 0: none are offered */
    uint64_t grant_budget;      /* of all disks together */
    uint64_t queues_max;        /* of a disk */
    uint64_t indirect_segments; /* most of an indirect request that are offered; 0: no such requests */
    bool barriers_only;         /* no flushes and no indirect requests are offered beside them */
    uint64_t nbd_timeout;       /* seconds a request waits for its server; 0: for ever */
    uint64_t nbd_settle;        /* seconds */
    uint64_t attempts_max;      /* crashes after which a request is not executed again */
    /* Of each disk of which xenstore says nothing. */
    struct blkback_limits limits;
};

struct blkback {
    struct backend backend;
    struct blkback_config config;
    int ram_dir;
    int budget; /* of mapped references, see mappings.h */
    struct event *resize_timer;
};

struct blkback_guest {
    struct guest guest;
    uint32_t slot; /* of the budget of mapped references, or MAPPINGS_NO_SLOT */
};

static_assert(offsetof(struct blkback, backend) == 0 && offsetof(struct blkback_guest, guest) == 0,
              "what is generic comes first");

/* The daemon whose supervisor that is. */
static inline struct blkback *blkback_of(struct backend *backend)
{
    return (struct blkback *)backend;
}

static inline const struct blkback *blkback_of_const(const struct backend *backend)
{
    return (const struct blkback *)backend;
}

static inline struct blkback_guest *blkback_guest_of(struct guest *guest)
{
    return (struct blkback_guest *)guest;
}

static inline const struct blkback_guest *blkback_guest_of_const(const struct guest *guest)
{
    return (const struct blkback_guest *)guest;
}

/* Starts serving; for service_main(). Returns 0, or -errno with the reason logged. */
int blkback_start(struct service *service, void *arg);
/* For the watchdog: see backend_goes_on(). */
bool blkback_goes_on(void *arg);
/* The configuration was read again. */
void blkback_reloaded(void *arg);
/* Stops; guests keep their workers. */
void blkback_stop(void *arg);

#endif

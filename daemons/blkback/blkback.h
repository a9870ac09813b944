/* SPDX-License-Identifier: MIT */
/*
 * blkbackd's supervisor: what all its parts share.
 *
 *   blkback.c    start and stop: xenstore, run directories, workers, what an earlier supervisor left
 *   guest.c      one guest: its worker's life, death and succession
 *   device.c     one disk: what is kept of it, its image
 *   effects.c    one disk, as xenbus has it: prepare, connect, resume, disconnect; while xenstore is away
 *   serve.c      one disk, as its worker has it: told, answered, recovered
 *   lock.c       ...whose image nobody else uses
 *   adopt.c      what a worker of an earlier supervisor holds
 *   replace.c    workers of another build make room for ours
 *   record.c     what is recorded of a connection, by any version
 *   death.c      how a guest's workers ended
 *   parking.c    disks that crash their workers again and again
 *   offer.c      what a front end finds in xenstore
 *   mappings.c   how much of guests' memory may be mapped
 *   image.c      what a disk's configuration names
 *   opening.c    images opened away from the loop
 *   frontend.c   what the guest says about its ring
 *   report.c     what ringctl and /metrics show
 *   report_crash.c  ...of crashes
 */
#ifndef BLKBACK_BLKBACK_H
#define BLKBACK_BLKBACK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <service/log.h>

struct event;
struct event_base;
struct guest;
struct service;
struct worker_pool;
struct xendev_bus;
struct xendev_store;

struct blkback_config {
    char *kind;                 /* of back end directories: "vbd" */
    char *worker;               /* program */
    char *ram_dir;              /* RAM disks */
    uint64_t replace_parallel;  /* guests that are without a worker at a time because theirs is replaced by plan */
    uint64_t poll_time;         /* microseconds */
    uint64_t poll_budget;       /* percent of a processor, of each worker */
    uint64_t persistent_grants; /* most references of a disk that are kept mapped; 0: none are offered */
    uint64_t grant_budget;      /* of all disks together */
    uint64_t attempts_max;      /* crashes after which a request is not executed again */
};

struct blkback {
    struct blkback_config config;
    struct service *service;
    struct event_base *base;
    struct worker_pool *pool;
    int run_dir;
    int ram_dir;
    int worker; /* the workers' program, as it was when we were started */
    int budget; /* of mapped references, see mappings.h */
    /* What fails again and again must not fill the log. */
    struct log_source spare_log;
    struct log_source store_log;
    LIST_HEAD(, guest) guests;

    /* Gone while xenstored is away; see blkback.c. */
    struct xendev_store *store;
    struct xendev_bus *bus;
    struct event *reconnect_timer;
    struct event *settle_timer;
    struct event *replace_timer;
    bool swept; /* what was there at start, or when xenstore went away, has been looked at */
};

/* Starts serving; for service_main(). Returns 0, or -errno with the reason logged. */
int blkback_start(struct service *service, void *arg);
/* For the watchdog: whether the loop turns, which it does to ask this, and xenstored answers. Waits for that. */
bool blkback_goes_on(void *arg);
/* Whether all that was there at start, or when xenstore went away, has shown up on the bus or is gone. */
bool blkback_is_settled(const struct blkback *blkback);
/* Stops; guests keep their workers. */
void blkback_stop(void *arg);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The supervisor of a back end daemon: what all its parts share, whatever kind of device it serves.
 *
 *   kind.h       what a kind of device adds
 *   protocol.h   what every supervisor and its workers say
 *   backend.c    start and stop: xenstore, run directory, workers
 *   sweep.c      what an earlier supervisor left
 *   guest.c      one guest: its worker's life, death and succession
 *   device.c     one device: what is kept of it
 *   effects.c    one device, as xenbus has it: prepare, connect, resume, disconnect; while xenstore is away
 *   serve.c      one device, as its worker has it: told, answered, recovered
 *   adopt.c      what a worker of an earlier supervisor holds
 *   replace.c    workers of another build make room for ours
 *   record.c     what is recorded of a connection, by any version
 *   death.c      how a guest's workers ended
 *   parking.c    devices that crash their workers again and again
 *   report.c     what ringctl and /metrics show
 */
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <service/log.h>

struct backend_head;
struct backend_kind;
struct event;
struct event_base;
struct guest;
struct service;
struct worker_pool;
struct xendev_bus;
struct xendev_store;

/* Part of the daemon's configuration, and its to change: it is looked at when it matters. */
struct backend_config {
    char *device_kind;         /* of back end directories: "vbd" */
    char *worker;              /* program */
    uint64_t replace_parallel; /* guests that are without a worker at a time because theirs is replaced by plan */
};

#define BACKEND_WHY_SIZE 80

/* Embedded at the beginning of the daemon's own struct. */
struct backend {
    const struct backend_kind *kind;
    const struct backend_config *config;
    struct service *service;
    struct event_base *base;
    struct worker_pool *pool;
    int run_dir;
    int worker; /* the workers' program, as it was when we were started */
    /* What fails again and again must not fill the log. */
    struct log_source spare_log;
    struct log_source store_log;
    LIST_HEAD(, guest) guests;
    /* Why workers are killed, in the kind's words: worker_kill() keeps the pointer. */
    char unwanted[BACKEND_WHY_SIZE];
    char not_let_go[BACKEND_WHY_SIZE];
    struct backend_head *order; /* a message of the kind's size with nothing but a head: guest_order() */

    /* Gone while xenstored is away; see backend.c. */
    struct xendev_store *store;
    struct xendev_bus *bus;
    struct event *reconnect_timer;
    struct event *settle_timer;
    struct event *replace_timer;
    bool swept; /* what was there at start, or when xenstore went away, has been looked at */
};

/* Starts serving: what is not said to be the caller's is set. `kind` and `config` outlive it. Returns 0, or -errno with the reason logged. */
int backend_start(struct backend *backend, const struct backend_kind *kind, const struct backend_config *config,
                  struct service *service);
/* For the watchdog: whether the loop turns, which it does to ask this, and xenstored answers. Waits for that. */
bool backend_goes_on(const struct backend *backend);
/* Stops; guests keep their workers. */
void backend_stop(struct backend *backend);

#endif

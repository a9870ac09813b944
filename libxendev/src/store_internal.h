/* SPDX-License-Identifier: MIT */
/*
 * What the files of the xenstore part share. The connection is in store.c, the watches in watch.c.
 */
#ifndef XENDEV_SRC_STORE_INTERNAL_H
#define XENDEV_SRC_STORE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <xendev/store.h>

struct event;
struct xs_handle;

LIST_HEAD(watch_list, xendev_watch);
TAILQ_HEAD(watch_ready, xendev_watch);

struct xendev_store {
    struct xs_handle *xs;
    struct event_base *base;
    void (*lost)(void *arg);
    void *arg;
    bool broken;     /* the connection is gone: every call returns -ENOTCONN */
    bool reported;   /* ...and `lost` was told */
    bool delivering; /* callbacks are being called; closed by one of them, the store is freed after it */
    bool closed;
    struct event *readable; /* libxenstore's pipe */
    struct event *deliver;  /* made active when something is to be delivered without the pipe saying so */
    struct event *tick;     /* libxenstore does not tell of a lost connection: ask */
    uint64_t next_token;
    struct watch_list watches;
    struct watch_ready ready; /* watches with events to deliver, oldest first */
};

/* The path of `key` below `dir` (`key` may be NULL). 0 or -ENAMETOOLONG. */
#define STORE_PATH_SIZE 3073 /* XENSTORE_ABS_PATH_MAX of xen/io/xs_wire.h, and a terminator */
int store_path(char path[STORE_PATH_SIZE], const char *dir, const char *key);

/* The -errno of a call to libxenstore that has just failed; notices a lost connection. */
int store_error(struct xendev_store *store);

struct event_base *store_base(const struct xendev_store *store);

/* watch.c: what the connection calls. */
int watch_init(struct xendev_store *store);
void watch_fini(struct xendev_store *store);
/* Moves what libxenstore has queued to the watches, and finds out whether the connection still stands. Calls nobody. */
void watch_drain(struct xendev_store *store);
/* Whether something has happened to what is watched, up to the last answer of xenstored, that `changed` was not told. */
bool watch_is_due(struct xendev_watch *watch);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What every worker is, whatever it serves: a process that is started as a spare, shuts itself in, is given one guest, and then devices of
 * that guest. What it serves is a struct worker_kind.
 */
#ifndef BACKEND_WORKER_H
#define BACKEND_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <backend/protocol.h>

#include "poll.h"

struct event_base;
struct spin;
struct xendev_events;
struct xendev_grants;

/* What all devices of a worker share. */
struct worker_host {
    struct event_base *base;
    struct spin *spin;
    struct xendev_events *events;
    struct xendev_grants *grants;
    uint32_t domid;
    int fence_fd;
};

/* What BACKEND_SERVE says to any worker. */
struct worker_guest {
    uint32_t domid;
    struct poll_limits poll;
};

/* Descriptors that come with BACKEND_SERVE to any worker; the kind's own follow. */
#define WORKER_SERVE_FDS 3u
/* Descriptors of a device that a new supervisor is told of. */
#define WORKER_HELD_FDS_MAX 64u

/* A kind of worker. Messages are its own struct, that begins with a struct backend_head; descriptors are its own from when it is called.
 * `device` is what its connect() made. */
struct worker_kind {
    const char *name; /* of the program */
    uint32_t protocol_version;
    size_t message_size;
    unsigned serve_fds; /* of its own, with BACKEND_SERVE */
    unsigned sandbox;   /* what it may do beside what all may: SANDBOX_... */

    void (*guest)(const struct backend_head *serve, struct worker_guest *ret_guest);
    /* `host` is complete, and stays. `fds`: its own. */
    void (*serve)(const struct worker_host *host, const struct backend_head *serve, const int *fds);

    /* How many descriptors must come with such a message, BACKEND_CONNECT or one of the kind's own; -1: it is impossible. */
    int (*fds_due)(const struct backend_head *message);

    /* Connects and serves. Returns 0, with what more there is to be said in `ret_answer`, or -errno with `ret_reason` filled. */
    int (*connect)(const struct backend_head *connect, const int *fds, void **ret_device,
                   struct backend_head *ret_answer, char ret_reason[BACKEND_REASON_SIZE]);
    /* Lets go of it. `recoverable`: somebody will go on from the journal. */
    void (*disconnect)(void *device, bool recoverable);
    /* Takes nothing more, answers what is in flight, marks the journal; then it says worker_drained(), from the loop. */
    void (*drain)(void *device);
    /* Takes that back: serves on. */
    void (*undrain)(void *device);
    /* (optional) A device it is not connected to is given up: what a message of the kind's own began for it ends, and is not answered. */
    void (*forget)(uint32_t devid);
    /* Fills what is said of it to a new supervisor: its generation, and what is the kind's own; and the descriptors, which stay its own.
     * Returns how many. */
    unsigned (*held)(void *device, struct backend_head *ret_message, int ret_fds[WORKER_HELD_FDS_MAX]);
    /* All has been said to a new supervisor: what changed since held() can be said now. NULL: nothing can. */
    void (*settled)(void *device);
    /* There is no supervisor, or not the one there was. NULL: that is nothing to it. */
    void (*alone)(void *device);
    /* One of the kind's own messages; `device`: the one it names, NULL when there is none. NULL: there are no such messages. */
    void (*own)(const struct backend_head *message, void *device, const int *fds);
};

/* The whole program. */
__attribute__((noreturn)) void worker_run(const struct worker_kind *kind);

/* Logs what cannot be lived with, and ends. */
__attribute__((noreturn)) void worker_die(const char *what, int error);

/* ---- What a kind tells, from the loop, never from within its connect(). ------------------------------------------------------- */

/* The device cannot go on. It stays until disconnect(), which does not happen from within this call. */
void worker_failed(uint32_t devid, const char *reason);
/* The device is drained, as drain() asked. */
void worker_drained(uint32_t devid);
/* The device, of which nothing is in progress, is to be let go of, recoverable, and this message said then. Happens not from within this call. */
void worker_let_go(uint32_t devid, const struct backend_head *message);

/* Says it. A supervisor that does not keep up is the end of the process: not for what a guest can cause again and again. */
void worker_say(struct backend_head *message);
/* The same. Returns false when it cannot be said now: nobody heard it. */
bool worker_try_to_say(struct backend_head *message);

#endif

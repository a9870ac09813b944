/* SPDX-License-Identifier: MIT */
/*
 * One guest: a domain, in one life of its id, with the worker that serves its devices.
 */
#ifndef BACKEND_GUEST_H
#define BACKEND_GUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <backend/death.h>
#include <backend/protocol.h>
#include <service/log.h>
#include <supervise/rundir.h>
#include <supervise/worker.h>

struct backend;
struct device;
struct event;
struct fence;
struct held;

enum guest_state {
    GUEST_ADOPTING, /* the worker of an earlier supervisor is asked what it holds */
    GUEST_OUTDATED, /* it speaks another version and serves on until its turn to drain has come */
    GUEST_DRAINING, /* the worker answers what is in flight and ends: it is of another build */
    GUEST_ENDING,   /* the worker of an earlier supervisor is being ended */
    GUEST_FENCED,   /* no worker; the last I/O of the dead one may still be under way */
    GUEST_WAITING,  /* no worker; the next one starts when the timer fires */
    GUEST_SERVED,   /* has a worker */
    GUEST_STATES
};
const char *guest_state_name(enum guest_state state);

#define GUEST_REASON_SIZE 160

/* The file RESTARTS_FILE of a guest's run directory: what a new supervisor could not know. */
#define RESTARTS_FILE "restarts"
/* Of this one, and of the one each of its devices has; to be counted up with every change. */
#define RESTARTS_VERSION 1u
struct guest_restarts {
    uint32_t version; /* RESTARTS_VERSION */
    uint32_t reserved;
    uint64_t count;                     /* workers after the first */
    char last_death[GUEST_REASON_SIZE]; /* "" when none died */
};

/* The kind's own struct begins with it. */
struct guest {
    LIST_ENTRY(guest) entry; /* in backend->guests */
    struct backend *backend;
    uint32_t domid;
    char name[RUNDIR_NAME_SIZE]; /* of its run directory */
    int dir;
    unsigned expected; /* devices found at start in the run directory that have not shown up yet; it is kept for them */
    LIST_HEAD(, device) devices;
    struct log_source log;

    enum guest_state state;
    struct worker *worker;           /* ADOPTING to ENDING, and SERVED */
    char build[GREETING_BUILD_SIZE]; /* the worker's version, once it is known */
    bool unknown;                    /* what the worker holds is not known: its devices wait */
    bool outdated;                   /* the worker is to be replaced: it is of another build, or its kind wants that */
    bool replacing;                  /* ...which has begun, and is not over */
    bool ending;                     /* the worker was killed because there was nothing left to serve */
    SLIST_HEAD(, held) held;         /* what the worker holds and no device has claimed: see adopt.h */
    unsigned leaving;                /* of them, so many were told to let go */
    struct event *limit_timer;       /* of greeting, report, draining, and letting go of what nobody claims */
    struct fence *fence;
    struct event *timer;
    TAILQ_HEAD(, device) asked; /* what the worker owes answers about, in the order in which it was told */
    struct event *answer_timer; /* of the first of them */
    struct worker_backoff backoff;
    int64_t delay_ms;  /* until the next worker */
    int64_t served_ms; /* when the worker was taken: CLOCK_MONOTONIC */
    int64_t died_ms;   /* when its predecessor died; 0: there was none, or nobody saw it */
    struct guest_restarts restarts;
    struct death death; /* the last worker's that crashed */
};

/* The guest of that domain and life, made when it is unknown: then what serves it is adopted; or else a worker of ours follows, which the
 * devices are told by serve_begin(). Returns 0 or -errno. */
int guest_get(struct backend *backend, uint32_t domid, const char *name, struct guest **ret_guest);
/* To be called when a device left it: a guest without devices goes, with its worker and its run directory. May free it. */
void guest_release(struct guest *guest);
/* Stops watching it and forgets it; worker and files stay. */
void guest_free(struct guest *guest);

/* The device of that number, or NULL. */
struct device *guest_device(const struct guest *guest, uint32_t devid);

/* Says something to the worker, which is there (GUEST_SERVED): a message of the kind's size, whose version is filled in. Returns 0 or -errno. */
int guest_say(struct guest *guest, struct backend_head *message, const int *fds, unsigned fd_count);
/* The same; a worker that cannot be told is replaced. */
void guest_tell(struct guest *guest, struct backend_head *message, const int *fds, unsigned fd_count);
/* The same, with nothing but a head. */
void guest_order(struct guest *guest, uint32_t type, uint32_t devid);
/* Ends the worker, if there is one; a successor follows. `why` is a static string. */
void guest_replace_worker(struct guest *guest, const char *why);
/* Begins the planned replacement of the worker, whose guest is OUTDATED, or SERVED with no answer due. */
void guest_drain(struct guest *guest);

#endif

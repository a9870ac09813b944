/* SPDX-License-Identifier: MIT */
/*
 * One device of a guest: between xenbus, which wants it prepared, connected and disconnected, and the worker, which serves it. The kind's own
 * struct begins with this one.
 */
#ifndef BACKEND_DEVICE_H
#define BACKEND_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <backend/kind.h>
#include <backend/parking.h>
#include <backend/protocol.h>
#include <service/log.h>
#include <xendev/xenbus.h>

struct guest;

enum device_state {
    DEVICE_IDLE,          /* neither served nor about to be */
    DEVICE_ADOPTING,      /* waits: for what the worker of an earlier supervisor holds, or until it has let go */
    DEVICE_PREPARING,     /* prepare: the kind finds out whether it can be served */
    DEVICE_ACQUIRING,     /* connect: the kind gets hold of what it is to be served with */
    DEVICE_ATTACHING,     /* connect: the worker takes the rings over */
    DEVICE_CONNECTED,     /* it is served */
    DEVICE_RESUMING,      /* it was served under an earlier supervisor: the kind gets hold of the same again */
    DEVICE_RECOVERING,    /* it was served: a successor takes over */
    DEVICE_DISCONNECTING, /* the worker lets go */
    DEVICE_PARKED,        /* it was served: no worker touches it, because what comes next crashed too many */
    DEVICE_STATES
};
/* Its state, or what the kind says is under way in it: what is reported as its activity. */
const char *device_activity(const struct device *device);

/* The file RESTARTS_FILE of a device's run directory: what a new supervisor could not know. */
struct device_restarts {
    uint32_t version; /* RESTARTS_VERSION */
    uint32_t reserved;
    uint64_t count;      /* workers that ended under it while it was connected */
    int64_t recovery_ms; /* the last one: from the worker's death to its successor's answer; -1: none, or unknown */
};

#define DEVICE_REASON_SIZE 512

struct device {
    LIST_ENTRY(device) entry; /* in guest->devices */
    struct guest *guest;
    struct xendev_backend *backend; /* NULL: xenstore is away, or was and has not named it since */
    uint32_t devid;
    struct log_source log;
    int dir; /* its run directory */

    enum device_state state;
    void (*wanted)(struct device *device); /* the effect that waits: DEVICE_ADOPTING, and maybe DEVICE_DISCONNECTING */
    bool told;                             /* the worker knows of it, or is about to answer */
    bool asking; /* PREPARING, ACQUIRING: a question of the kind's own waits for a worker, or for its answer */
    bool effect; /* connect or resume is under way: its end is reported by xendev_backend_done() */
    bool gone;   /* DEVICE_DISCONNECTING: from xenstore, while that was away; to be released then */
    TAILQ_ENTRY(device) asked_entry;       /* in guest->asked, while `asked` */
    bool asked;                            /* the worker owes an answer */
    struct backend_connection *connection; /* the kind's, in its own struct */

    char failure[DEVICE_REASON_SIZE]; /* why it has to be closed, until it is: xenbus may be away. "": it need not */
    unsigned deaths;                  /* of workers, in a row, while they opened it */
    struct device_restarts restarts;
    bool crashed;           /* the worker that served it last did, and no successor has been told yet */
    bool pardon;            /* ...and what is held against its requests is to be forgotten */
    struct parking parking; /* DEVICE_PARKED, and until it is served again */
};

/* Its files in the run directory. */
#define DEVICE_CONNECTION_FILE "connection" /* begins with struct backend_connection */
#define DEVICE_JOURNAL_FILE    "journal"    /* libring's, one for each ring */
#define DEVICE_COUNTERS_FILE   "counters"   /* the kind's */
#define DEVICE_CRASHED_FILE    "crashed"    /* empty: there while `crashed` */

/* ---- For kinds. ---- */

const struct backend_kind *device_kind(const struct device *device);
struct backend *device_backend(const struct device *device);
/* NULL while xenstore is away. */
struct xendev_store *device_store(const struct device *device);

/* Ends prepare: writes what is offered. */
void device_offer(struct device *device);
/* The device cannot go on, and no worker holds anything of it: ends the effect under way, or fails the device. The reason is logged and kept. */
void device_give_up(struct device *device, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same, for the result and the reason that a worker gives. */
void device_refuse(struct device *device, const struct backend_head *message);
void device_remove_file(struct device *device, const char *name);
/* While the kind waits for something nobody else can end the effect that is under way: whether the connection is still wanted. If not, the kind gives
 * the device up. */
bool device_is_wanted(const struct device *device);
/* What xenstore said last: XENBUS_UNKNOWN while it is away. */
enum xenbus_state device_own_state(const struct device *device);
enum xenbus_state device_front_state(const struct device *device);
/* Why it failed last, or NULL. */
const char *device_last_error(const struct device *device);

/* All devices of all guests, one after the other; NULL after the last. What is next is to be asked before the device itself can go. */
struct device *device_first(const struct backend *backend);
struct device *device_next(const struct device *device);

/* ---- For effects.c. ---- */

/* The device of a back end: left when xenstore was, or made, with its guest. NULL when that is impossible; the reason is logged. */
struct device *device_get(struct xendev_backend *backend);
/* The same without a back end, for a device that an earlier supervisor recorded. Returns 0 or -errno. */
int device_load(struct guest *guest, uint32_t devid, struct device **ret_device);
/* It is gone: removes what is left of it and frees it, and its guest if nothing else wants that. */
void device_release(struct device *device);

/* ---- For serve.c and effects.c. ---- */

/* Ends the effect under way with success. */
void device_succeed(struct device *device);
/* The worker says that it cannot go on: it is to be closed, by disconnect. The reason, which need not end in a NUL, is logged and kept. */
void device_fail(struct device *device, const char reason[BACKEND_REASON_SIZE]);
/* Whether the device of that run directory was connected. */
bool device_is_recorded(int device_dir);
/* Sets `crashed`, for the next supervisor too. */
void device_set_crashed(struct device *device, bool crashed);
/* What earlier supervisors counted. */
void device_load_restarts(int device_dir, struct device_restarts *ret_restarts);
/* A worker ended under it while it was connected. */
void device_count_restart(struct device *device);
/* Keeps what is counted of restarts for the next supervisor. */
void device_save_restarts(struct device *device);

/* ---- For the supervisor. ---- */

/* Stops watching it and forgets it; what serves it and its files stay. */
void device_forget(struct device *device);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * One disk of a guest: between xenbus, which wants it prepared, connected and disconnected, and the worker, which serves it.
 */
#ifndef BLKBACK_DEVICE_H
#define BLKBACK_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <service/log.h>
#include <xendev/xenbus.h>

#include "image.h"
#include "parking.h"
#include "protocol.h"

struct event;
struct guest;
struct opening;

enum device_state {
    DEVICE_IDLE,          /* neither served nor about to be */
    DEVICE_ADOPTING,      /* waits: for what the worker of an earlier supervisor holds, or until it has let go */
    DEVICE_OPENING,       /* its image is being opened, or made */
    DEVICE_CHECKING,      /* prepare: the worker looks at the image */
    DEVICE_LOCKING,       /* connect: until nobody else uses the image */
    DEVICE_MEASURING,     /* connect: the worker looks how large it is now */
    DEVICE_ATTACHING,     /* connect: the worker takes the ring over */
    DEVICE_CONNECTED,     /* it is served */
    DEVICE_RECOVERING,    /* it was served: a successor takes over */
    DEVICE_DISCONNECTING, /* the worker lets go */
    DEVICE_PARKED,        /* it was served: no worker touches it, because what comes next crashed too many */
    DEVICE_STATES
};
const char *device_state_name(enum device_state state);

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
    bool effect; /* connect or resume is under way: its end is reported by xendev_backend_done() */
    bool gone;   /* DEVICE_DISCONNECTING: from xenstore, while that was away; to be released then */
    struct image image;
    struct opening *opening;               /* DEVICE_OPENING */
    void (*opened)(struct device *device); /* what follows */
    int image_fd;                          /* open while served, and locked; else -1 */
    struct event *lock_timer;
    TAILQ_ENTRY(device) asked_entry; /* in guest->asked, while `asked` */
    bool asked;                      /* the worker owes an answer */
    bool lock_missed;
    int lock_us; /* until the next try */
    struct blkback_connection connection;
    uint64_t sectors; /* of 512 bytes; 0: not known yet */
    uint32_t sector_size;
    uint32_t physical_sector_size;

    char failure[DEVICE_REASON_SIZE]; /* why it has to be closed, until it is: xenbus may be away. "": it need not */
    unsigned deaths;                  /* of workers, in a row, while they opened it */
    struct device_restarts restarts;
    bool crashed;                     /* the worker that served it last did, and no successor has been told yet */
    bool pardon;                      /* ...and what is held against its requests is to be forgotten */
    struct parking parking;           /* DEVICE_PARKED, and until it is served again */
    struct blkback_suspects suspects; /* as of the last crash */
};

/* Its files in the run directory. */
#define DEVICE_CONNECTION_FILE "connection" /* struct blkback_connection */
#define DEVICE_IMAGE_FILE      "image"      /* see image.h */
#define DEVICE_JOURNAL_FILE    "journal"    /* libring's */
#define DEVICE_COUNTERS_FILE   "counters"   /* struct blkback_counters */
#define DEVICE_CRASHED_FILE    "crashed"    /* empty: there while `crashed` */

/* ---- For effects.c. ---- */

/* The device of a back end: left when xenstore was, or made, with its guest. NULL when that is impossible; the reason is logged. */
struct device *device_get(struct xendev_backend *backend);
/* The same without a back end, for a device that an earlier supervisor recorded. Returns 0 or -errno. */
int device_load(struct guest *guest, uint32_t devid, struct device **ret_device);
/* It is gone: removes what is left of it and frees it, and its guest if nothing else wants that. */
void device_release(struct device *device);
/* Looks in xenstore what the image is; while that is away, it is what is recorded. */
int device_read_image(struct device *device, bool script_done, struct disk_error *ret_error);
/* Opens the image as it will be used; then comes `opened`. A RAM disk is made for a new connection only: one that is resumed without its
 * content must not go on with zeros. */
void device_open_image(struct device *device, void (*opened)(struct device *device));
/* The image can be opened as it will be used: has the worker look at it, in a way that cannot change it. */
void device_check_image(struct device *device);

/* ---- For serve.c and effects.c. ---- */

/* Ends prepare by writing what is offered. */
void device_offer(struct device *device);
/* Ends the effect under way with success. */
void device_succeed(struct device *device);
/* The device cannot go on, and no worker holds anything of it: ends the effect under way, or fails the device. The reason is logged and kept. */
void device_give_up(struct device *device, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The worker says that it cannot go on: it is to be closed, by disconnect. The reason is logged and kept. */
void device_fail(struct device *device, const char *reason);
/* Stops opening the image. */
void device_cancel_opening(struct device *device);
/* Lets go of the image, which no worker uses any more. */
void device_close_image(struct device *device);
/* Whether the device of that run directory was connected. */
bool device_is_recorded(int device_dir);
/* Records what its image is, for the connection of that generation. Returns 0 or -errno. */
int device_save_image(struct device *device, uint64_t generation);
/* Sets `crashed`, for the next supervisor too. */
void device_set_crashed(struct device *device, bool crashed);
/* What earlier supervisors counted. */
void device_load_restarts(int device_dir, struct device_restarts *ret_restarts);
/* A worker ended under it while it was connected. */
void device_count_restart(struct device *device);
/* Keeps what is counted of restarts for the next supervisor. */
void device_save_restarts(struct device *device);
void device_remove_file(struct device *device, const char *name);
/* Removes the file of its RAM disk, if it has one; a worker that holds it goes on with it. */
void device_remove_ram(struct device *device);

/* ---- For the guest and the supervisor. ---- */

/* What xenstore said last: XENBUS_UNKNOWN while it is away. */
enum xenbus_state device_own_state(const struct device *device);
enum xenbus_state device_front_state(const struct device *device);
/* Why it failed last, or NULL. */
const char *device_last_error(const struct device *device);

/* Stops watching it and forgets it; what serves it and its files stay. */
void device_forget(struct device *device);

/* The RAM disk's file of a device: "GUEST-DEVID", in the directory of RAM disks. */
#define DEVICE_RAM_NAME_SIZE 160
void device_ram_name(const char *guest_name, uint32_t devid, char ret_name[DEVICE_RAM_NAME_SIZE]);

#endif

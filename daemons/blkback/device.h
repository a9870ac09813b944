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
    uint64_t count;      /* workers that ended under it while it was connected */
    int64_t recovery_ms; /* the last one: from the worker's death to its successor's answer; -1: none, or unknown */
};

struct device {
    LIST_ENTRY(device) entry; /* in guest->devices */
    struct guest *guest;
    struct xendev_backend *backend;
    uint32_t devid;
    struct log_source log;
    int dir; /* its run directory */

    enum device_state state;
    void (*wanted)(struct xendev_backend *backend); /* DEVICE_ADOPTING: the effect that waits */
    bool told;                                      /* the worker knows of it, or is about to answer */
    bool effect; /* connect or resume is under way: its end is reported by xendev_backend_done() */
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

    unsigned deaths; /* of workers, in a row, while they opened it */
    struct device_restarts restarts;
    bool crashed;                     /* DEVICE_RECOVERING: the worker that served it last did */
    bool pardon;                      /* ...and what is held against its requests is to be forgotten */
    struct parking parking;           /* DEVICE_PARKED, and until it is served again */
    struct blkback_suspects suspects; /* as of the last crash */
};

extern const struct xendev_backend_ops device_ops;

/* Its files in the run directory. */
#define DEVICE_CONNECTION_FILE "connection" /* struct blkback_connection */
#define DEVICE_JOURNAL_FILE    "journal"    /* libring's */
#define DEVICE_COUNTERS_FILE   "counters"   /* struct blkback_counters */

#define DEVICE_REASON_SIZE 512

/* ---- For serve.c. ---- */

/* Ends prepare by writing what is offered. */
void device_offer(struct device *device);
/* Ends the effect under way with success. */
void device_succeed(struct device *device);
/* The device cannot go on, and no worker holds anything of it: ends the effect under way, or fails the device. The reason is logged and kept. */
void device_give_up(struct device *device, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Lets go of the image, which no worker uses any more. */
void device_close_image(struct device *device);
/* A worker ended under it while it was connected. */
void device_count_restart(struct device *device);
/* Keeps what is counted of restarts for the next supervisor. */
void device_save_restarts(struct device *device);
void device_remove_file(struct device *device, const char *name);

/* ---- For the guest and the supervisor. ---- */

/* Does what has waited, if it need not wait any longer. */
void device_go_on(struct device *device);

/* Stops watching it and forgets it; what serves it and its files stay. */
void device_forget(struct device *device);

/* The RAM disk's file of a device: "GUEST-DEVID", in the directory of RAM disks. */
#define DEVICE_RAM_NAME_SIZE 160
void device_ram_name(const char *guest_name, uint32_t devid, char ret_name[DEVICE_RAM_NAME_SIZE]);

#endif

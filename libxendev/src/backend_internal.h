/* SPDX-License-Identifier: MIT */
/*
 * A bus and its devices: bus.c finds devices and feeds them with events, backend.c moves one device.
 */
#ifndef XENDEV_SRC_BACKEND_INTERNAL_H
#define XENDEV_SRC_BACKEND_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <xendev/xenbus.h>

#include "hop.h"
#include "parse.h"
#include "xenbus_internal.h"

#define BACKEND_ERROR_SIZE 512
#define BUS_PATH_SIZE      128

struct event;

TAILQ_HEAD(backend_list, xendev_backend);

struct xendev_bus {
    struct xendev_store *store;
    const struct xendev_backend_ops *ops;
    void *owner;
    char root[BUS_PATH_SIZE];       /* /local/domain/0/backend/KIND */
    struct xendev_watch *own_watch; /* on `root` */
    struct xendev_watch *domain_watch;
    struct event *run; /* works off `ready` */
    struct backend_list devices;
    struct backend_list ready; /* devices to look at, each once */
    bool rescan;               /* look at all there is below `root` */
};

struct xendev_backend {
    struct xendev_bus *bus;
    uint32_t domid;
    uint32_t devid;
    char path[BUS_PATH_SIZE + 32];
    char front[PARSE_PATH_SIZE];
    struct xendev_watch *front_watch;
    struct hop_view view;
    bool own_dirty;    /* our directory may have changed */
    bool front_dirty;  /* the front end's may have */
    bool domain_dirty; /* a domain died: this one? */
    bool domain_gone;
    bool followed;     /* the front end's watch has had its first event, which comes without any change */
    bool looked;       /* read once */
    enum hop effect;   /* under way; HOP_STAY: none */
    bool effect_ended; /* ...and xendev_backend_done() was called for it */
    int effect_result;
    bool error_unsaved; /* `error` is to be written with the next state */
    char error[BACKEND_ERROR_SIZE];
    void *data;
    bool queued;
    TAILQ_ENTRY(xendev_backend) link;       /* bus->devices */
    TAILQ_ENTRY(xendev_backend) ready_link; /* bus->ready */
};

/* A device whose directory names this front end, with everything still to be read; NULL when out of memory. */
struct xendev_backend *backend_new(struct xendev_bus *bus, uint32_t domid, uint32_t devid, const char *path,
                                   const char *front);
/* Frees it, telling nobody. */
void backend_free(struct xendev_backend *device);
/* Has it looked at from the loop. */
void backend_queue(struct xendev_backend *device);

/* Reads what is dirty and takes every step there is. 0; BACKEND_FORGOTTEN when the device was released and freed;
 * BACKEND_EVENT_FIRST when an event is on its way that has to be seen first, and will have it looked at again; -errno
 * when xenstore would not answer: try again later. */
#define BACKEND_FORGOTTEN   1
#define BACKEND_EVENT_FIRST 2
int backend_run(struct xendev_backend *device);

/* Runs the bus from the loop, after a second when `later`. */
void bus_schedule(struct xendev_bus *bus, bool later);

#endif

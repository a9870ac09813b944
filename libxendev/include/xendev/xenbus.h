/* SPDX-License-Identifier: MIT */
/*
 * xenbus: how a back end and a front end find each other through xenstore and move together from Initialising to
 * Connected and back.
 *
 * Source: xen/io/xenbus.h for the states; the sequences are those of docs/PROTOCOL.md.
 */
#ifndef XENDEV_XENBUS_H
#define XENDEV_XENBUS_H

#include <stdbool.h>
#include <stdint.h>

#include <xendev/store.h>

enum xenbus_state {
    XENBUS_UNKNOWN = 0, /* no node, or nonsense in it */
    XENBUS_INITIALISING = 1,
    XENBUS_INIT_WAIT = 2,
    XENBUS_INITIALISED = 3,
    XENBUS_CONNECTED = 4,
    XENBUS_CLOSING = 5,
    XENBUS_CLOSED = 6,
    XENBUS_RECONFIGURING = 7,
    XENBUS_RECONFIGURED = 8,
    XENBUS_STATES
};
const char *xenbus_state_name(enum xenbus_state state); /* "Connected" */

/* ---- Back end. ---- */

struct xendev_bus;     /* all devices of one kind on this host: backend/KIND/... */
struct xendev_backend; /* one of them */

/* What happens to a device. Each effect is started by one call from the loop and finished by xendev_backend_done()
 * (from within the call or later); no other effect starts before that. An effect may not close the bus. */
struct xendev_backend_ops {
    /* A new device: find out whether it can be served, write what is offered. Then Initialising -> InitWait; also when
     * it failed: the toolstack waits for exactly InitWait, and the hotplug script then passes the reason on
     * (`ringback-status`, `ringback-error`). Called again for each new life of a front end, and for a device found at
     * InitWait when the daemon started, after disconnect: what an earlier call left is replaced. */
    void (*prepare)(struct xendev_backend *device);
    /* The front end has written its part, and the hotplug script is done. Then -> Connected. Fails: -> Closing. */
    void (*connect)(struct xendev_backend *device);
    /* Found Connected, or Closing with a front end that has not closed yet, when the daemon started: go on without
     * writing any state. The first effect of its device. Fails: -> Closing. */
    void (*resume)(struct xendev_backend *device);
    /* Stop serving. `retire` first everything that could be resumed. Then -> Closed. Called for every device that was
     * prepared, connected or resumed, whether that succeeded or not; and, with no data set, as the first effect of a
     * device that was found being served but cannot be resumed (its guest or front end is gone), or found at InitWait
     * or Closed: then what the predecessor left is retired. Its result does not matter. */
    void (*disconnect)(struct xendev_backend *device);
    /* The device is gone: forget it; `device` is freed on return. Follows disconnect, or no effect at all. No
     * xendev_backend_done(). */
    void (*release)(struct xendev_backend *device);
};

/* Discovers and follows the devices below backend/`kind` ("vbd") of domain 0. `owner` is handed back by
 * xendev_bus_owner(). */
int xendev_bus_open(struct xendev_store *store, const char *kind, const struct xendev_backend_ops *ops, void *owner,
                    struct xendev_bus **ret_bus);
/* Stops following; no state is written and nothing is disconnected: the guests keep what they have. Takes NULL. */
void xendev_bus_close(struct xendev_bus *bus);
void *xendev_bus_owner(const struct xendev_bus *bus);
struct xendev_store *xendev_bus_store(const struct xendev_bus *bus);
/* Iterates; NULL begins, and ends. A device whose directory does not (yet) name a proper front end of its domain is not
 * among them. */
struct xendev_backend *xendev_bus_next(struct xendev_bus *bus, struct xendev_backend *device);

/* Ends the effect that is under way: 0, or -errno with a reason for the operator (NULL: the errno's text), kept in
 * `error` of the back end's directory and for xendev_backend_error(). Nothing follows before the caller is back in the
 * loop; ignored when no effect is under way, and a failure when the connection to xenstored is lost: it may be due to that alone. */
void xendev_backend_done(struct xendev_backend *device, int result, const char *reason);
/* The peer broke the protocol, or the device cannot go on: -> Closing, after the effect that is under way. While it is
 * being prepared: as if that failed. Safe at any time; nothing follows before the caller is back in the loop. */
void xendev_backend_fail(struct xendev_backend *device, const char *reason);

struct xendev_bus *xendev_backend_bus(const struct xendev_backend *device);
uint32_t xendev_backend_domid(const struct xendev_backend *device);
uint32_t xendev_backend_devid(const struct xendev_backend *device);
const char *xendev_backend_path(const struct xendev_backend *device); /* /local/domain/0/backend/vbd/DOMID/DEVID */
const char *xendev_backend_front(
    const struct xendev_backend *device); /* the front end's directory, checked to be below its own domain's */
enum xenbus_state xendev_backend_state(const struct xendev_backend *device);
enum xenbus_state xendev_backend_front_state(const struct xendev_backend *device);
const char *xendev_backend_error(const struct xendev_backend *device); /* last failure's reason, or NULL */
void xendev_backend_set_data(struct xendev_backend *device, void *data);
void *xendev_backend_data(const struct xendev_backend *device);

/* ---- Front end, for our own guests. ---- */

struct xendev_frontend;

/* Follows the device directory `path` (device/vbd/DEVID, relative to the guest's own home, or absolute) of this domain.
 * `changed` is called from the loop with the back end's state, at first and after each change; with Connected also when that
 * is written again, as a disk's is that has another size; XENBUS_UNKNOWN when the back end's node is gone. Returns 0; -ENOENT when the toolstack has not made the device; another -errno. */
int xendev_frontend_open(struct xendev_store *store, const char *path,
                         void (*changed)(void *arg, enum xenbus_state backend), void *arg,
                         struct xendev_frontend **ret_frontend);
/* May be called from `changed`; takes NULL. */
void xendev_frontend_close(struct xendev_frontend *frontend);
const char *xendev_frontend_path(const struct xendev_frontend *frontend);
const char *xendev_frontend_backend_path(const struct xendev_frontend *frontend);
uint32_t xendev_frontend_backend_domid(const struct xendev_frontend *frontend);
/* Writes our state. -ENOENT when the toolstack has removed the device. */
int xendev_frontend_switch(struct xendev_frontend *frontend, enum xenbus_state state);

/* ---- What a toolstack does. ---- */

/* Creates both directories of a device in one transaction, permissions as libxl sets them, and libxl's own note of it
 * when libxl runs that domain. `backend_keys` and `frontend_keys` are NULL-terminated lists of alternating names and
 * values (NULL: none), added to the standard ones (frontend, frontend-id, online, state / backend, backend-id, state).
 * -EEXIST when the device is there already, -ENOENT when the domain is not. */
int xendev_toolstack_attach(struct xendev_store *store, const char *kind, uint32_t domid, uint32_t devid,
                            const char *const *backend_keys, const char *const *frontend_keys);
/* Asks for a detach: online=0, state=Closing in one transaction. -ENOENT. */
int xendev_toolstack_detach(struct xendev_store *store, const char *kind, uint32_t domid, uint32_t devid);
/* Removes what is left of both directories. */
int xendev_toolstack_forget(struct xendev_store *store, const char *kind, uint32_t domid, uint32_t devid);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A kind of device: all that a daemon adds to what every back end has. Its table of functions is static, and what of it is a struct of its own
 * begins with the generic one: the kind's device with struct device, its guest with struct guest, its messages with struct backend_head, its
 * recorded connection with struct backend_connection.
 *
 * All functions are called from the loop. One that "ends by" another has that called from within, or later; meanwhile the device may be
 * disconnected, which `cancel` tells. Pointers marked (optional) may be NULL.
 */
#ifndef BACKEND_KIND_H
#define BACKEND_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <backend/protocol.h>
#include <ring/layout.h>

struct backend;
struct control_request;
struct device;
struct evbuffer;
struct guest;
struct serve_order;

/* Why something cannot be, for the operator. */
#define BACKEND_ERROR_SIZE 256
struct backend_error {
    char text[BACKEND_ERROR_SIZE];
};

/* Rings of one device: two for each of 8 queues, and one more. */
#define BACKEND_RINGS_MAX 17u

/* What rides along with BACKEND_SERVE, first of all. */
enum { BACKEND_SERVE_FENCE, BACKEND_SERVE_LISTENER, BACKEND_SERVE_CRASH, BACKEND_SERVE_FDS };

struct backend_kind {
    const char *daemon;  /* "blkbackd" */
    const char *run_dir; /* of its guests, below that of all daemons: "blkback" */
    const char *noun;    /* what the log calls a device: "disk" */
    bool is_exclusive;   /* what one is served with no other can be: new ones wait for those that have not shown up */

    size_t device_size;  /* of the kind's own struct */
    size_t guest_size;   /* the same */
    size_t message_size; /* the same: of every message */
    uint32_t protocol_version;

    size_t connection_offset; /* of the recorded connection in the kind's own device */
    size_t connection_size;
    uint32_t connection_version;
    size_t counters_size; /* of the file `counters`: a device's, written by its worker */

    /* ---- What is recorded. ---- */

    /* Whether a record of this version is one this program can have made. */
    bool (*connection_is_valid)(const struct backend_connection *connection);
    /* The rings of a connection, BACKEND_RINGS_MAX at most, whose journals are one file, one after the other. Returns their number. */
    unsigned (*rings)(const struct backend_connection *connection, struct ring_layout ret_layouts[]);

    /* ---- Guests. ---- */

    /* (optional) A new one, whose run directory is there. Returns 0 or -errno: then it is freed. */
    int (*guest_init)(struct guest *guest);
    /* (optional) No worker of it is left, and no I/O of the last one. */
    void (*guest_fenced)(struct guest *guest);
    /* Tells the worker whom it serves: BACKEND_SERVE by guest_say(), with these descriptors first. Returns 0 or -errno. */
    int (*serve)(struct guest *guest, const int fds[BACKEND_SERVE_FDS]);
    /* (optional) Removes what devices that are gone have left outside of the run directory, by sweep_device_is_alive(). Returns 0 or -errno. */
    int (*sweep)(struct backend *backend);

    /* ---- Devices: coming and going. ---- */

    /* A new one, zeroed but for the generic part; for reports it reads what can be read of it. Returns 0 or -errno: `fini` is called all the same. */
    int (*init)(struct device *device);
    /* Frees what `init` made and stops what is under way; what a worker holds stays its own, locked as it is. */
    void (*fini)(struct device *device);
    /* (optional) It has its back end in xenstore, now or again: reads there, for reports, what is not known. */
    void (*meet)(struct device *device);
    /* (optional) It has it no more: xenstore goes away. */
    void (*part)(struct device *device);
    /* Removes what was made for the device alone: its life is over. */
    void (*discard)(struct device *device);

    /* ---- Devices: on the way up. ---- */

    /* PREPARING: finds out whether it can be served. Ends by device_offer() or device_give_up(). */
    void (*prepare)(struct device *device);
    /* Writes what is offered to a front end before it begins. Returns 0 or -errno of xenstore. */
    int (*offer)(struct device *device);
    /* Reads what the front end says into a connection, all but its generation, and what the tool stack says into the device. Returns 0 or -errno. */
    int (*read_front)(struct device *device, struct backend_connection *ret_connection,
                      struct backend_error *ret_error);
    /* ACQUIRING: gets hold of what it is to be served with, for a new connection; RESUMING: the same, for the recorded one. Ends by serve_acquired() or
     * device_give_up(). */
    void (*acquire)(struct device *device);
    /* (optional) RECOVERING, and a worker is there: makes sure that nobody else uses what it has got hold of. Ends by serve_secured() or
     * device_give_up(). */
    void (*secure)(struct device *device);
    /* Stops what is under way of the above. */
    void (*cancel)(struct device *device);
    /* Lets go of what it has got hold of, which no worker uses any more. Harmless without anything. */
    void (*let_go)(struct device *device);

    /* ---- Devices: what is recorded, and resumed. ---- */

    /* Completes a connection that has its generation, and records what belongs to it. Returns 0 or -errno. */
    int (*record)(struct device *device, struct backend_connection *connection);
    /* Reads again what `recorded` is to be continued with: in xenstore, or while that is away (device->backend is NULL) in the run directory. Returns 0;
     * -ENOTCONN when it has to wait for xenstore; another -errno when it cannot be continued. */
    int (*reload)(struct device *device, const struct backend_connection *recorded, struct backend_error *ret_error);

    /* ---- Devices: workers. ---- */

    /* (optional) A question of the kind's own (serve_ask()) is to be put to the worker, by serve_tell(). */
    void (*ask)(struct device *device);
    /* (optional) The worker's answer to that, or whatever else the kind's own messages say. Returns 0, or -EPROTO when it cannot have meant it. */
    int (*message)(struct device *device, const struct backend_head *message);
    /* Tells the worker to attach or to recover: BACKEND_CONNECT by serve_tell(). */
    void (*connect)(struct device *device, const struct serve_order *order);
    /* It has attached: writes what the front end is to find before Connected, and logs what is connected. Returns 0 or -errno of xenstore. */
    int (*connected)(struct device *device, const struct backend_head *message);
    /* (optional) It has recovered. */
    void (*recovered)(struct device *device, const struct backend_head *message);
    /* (optional) It was parked: calls parking_begin(). NULL: no worker of this kind parks. */
    void (*parked)(struct device *device, const struct backend_head *message);

    /* What a worker of an earlier supervisor holds: descriptors, CHANNEL_FDS_MAX at most, all hostile. */

    /* Whether they can be what a device is served with. */
    bool (*held_check)(const int *fds, unsigned fd_count);
    /* Whether they are what the device, which is being resumed, is served with, and nobody else uses that. */
    bool (*held_is_own)(const struct device *device, const int *fds, unsigned fd_count);
    /* Has got hold of them, in place of what it had; the descriptors are the kind's from then on. */
    void (*claim)(struct device *device, const int *fds, unsigned fd_count);

    /* ---- What is to be seen. ---- */

    /* PREPARING, ACQUIRING or RESUMING: what exactly is under way, "opening". */
    const char *(*activity)(const struct device *device);
    /* What is opened on the way up, for the log: a path. */
    const char *(*subject)(const struct device *device);
    /* (optional) Whether what is under way may take for ever because of others: planned replacement does not wait for it. */
    bool (*waits_for_others)(const struct device *device);
    /* All that is to be told of it: see backend/report.h. NULL when out of memory. */
    json_t *(*report)(const struct device *device);
    void (*metrics)(struct evbuffer *out, const struct backend *backend);
    /* (optional) POST /v1/devices/DOMID/DEVID/VERB: answers it, if that is a verb of the kind's own. Returns whether it is. */
    bool (*post)(struct device *device, const char *verb, struct control_request *request);
};

#endif

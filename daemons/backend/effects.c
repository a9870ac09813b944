/* SPDX-License-Identifier: MIT */
/*
 * One effect at a time is under way for a device; it ends in device_succeed(), device_give_up() or effect_let_go(). It may have to wait first.
 *
 * When the connection to xenstored is lost, xenbus forgets its devices and we keep ours. What was served stays so: all that a recovery needs was
 * read, and recorded, when the disk was connected. What an earlier supervisor left is resumed by its record, as if xenstore had said so. What
 * was under way is let go of, for the next connection begins it anew. There the effects find such a device:
 *
 *   resume       it is served, recovered or parked, as if nothing had been; what failed meanwhile fails now
 *   prepare      another life of it: it is let go of first
 *   disconnect   as ever
 *   none         xenstore says that it is gone: effect_retire()
 */
#include "effects.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ring/back.h>
#include <supervise/rundir.h>

#include "adopt.h"
#include "device.h"
#include "guest.h"
#include "kind.h"
#include "record.h"
#include "serve.h"

static const char no_device[] = "out of memory or files";

static void prepare(struct device *device);
static void resume(struct device *device);
static void disconnect(struct device *device);

/* It is to be prepared: a connection that is recorded was that of a device that was removed, and this one was made anew. */
static void forget_former(struct device *device)
{
    if (!device_is_recorded(device->dir))
        return;
    device_kind(device)->discard(device);
    device_remove_file(device, DEVICE_CONNECTION_FILE);
}

/* Whether an effect has to wait: for the worker of an earlier supervisor, to say what it holds, or to let go of what it may not hold; or for
 * ours, to let go of a former life. */
static bool has_to_wait(struct device *device, void (*effect)(struct device *device))
{
    struct held *held = adopt_find(device->guest, device->devid);
    bool waits = device->guest->unknown;

    if (device->state == DEVICE_DISCONNECTING) { /* a disconnect that is under way is one for whoever wants it now */
        device->wanted = effect == disconnect ? NULL : effect;
        return true;
    }
    if (effect == prepare && device->state != DEVICE_IDLE && device->state != DEVICE_ADOPTING) {
        device->wanted = effect;
        forget_former(device);
        serve_disconnect(device);
        return true;
    }
    if (!waits && held != NULL && effect == prepare)
        adopt_let_go(device->guest, held);
    waits = waits || (held != NULL && held->leaving);
    if (waits) {
        device->wanted = effect;
        device->state = DEVICE_ADOPTING;
    }
    return waits;
}

static void do_what_waited(struct device *device)
{
    void (*const effect)(struct device * device) = device->wanted;

    device->wanted = NULL;
    device->state = DEVICE_IDLE;
    effect(device);
}

void effect_go_on(struct device *device)
{
    if (device->state == DEVICE_ADOPTING)
        do_what_waited(device);
}

static void prepare(struct device *device)
{
    if (has_to_wait(device, prepare))
        return;
    device->effect = true;
    device->failure[0] = '\0';
    forget_former(device);
    parking_end(device);
    device->asking = false;
    device->state = DEVICE_PREPARING;
    device_kind(device)->prepare(device);
}

static void op_prepare(struct xendev_backend *backend)
{
    struct device *device = device_get(backend);

    if (device == NULL)
        xendev_backend_done(backend, -ENOMEM, no_device);
    else
        prepare(device);
}

static void op_connect(struct xendev_backend *backend)
{
    struct device *device = xendev_backend_data(backend);
    struct backend_error error;
    int err;

    if (device == NULL) { /* prepare had no memory for it */
        xendev_backend_done(backend, -ENOMEM, no_device);
        return;
    }
    device->effect = true;
    device->failure[0] = '\0';
    err = device_kind(device)->read_front(device, device->connection, &error);
    if (err < 0) {
        device_give_up(device, err, "%s", error.text);
        return;
    }
    serve_connect(device);
}

/* The record is of another version: when nothing is in flight it is made anew, from what the front end says of its rings. */
static int renew_connection(struct device *device, struct backend_connection *connection,
                            struct backend_error *ret_error)
{
    const struct backend_kind *kind = device_kind(device);
    const struct backend_connection recorded = *connection;
    uint32_t journal_version;
    int err;

    if (record_judge(kind, device->dir, &recorded, &journal_version) != RING_JOURNAL_DRAINED) {
        snprintf(ret_error->text, sizeof(ret_error->text),
                 "its connection was recorded by version %" PRIu32
                 " with requests in flight, and this is %s, which knows %" PRIu32 ": "
                 "it cannot be continued",
                 recorded.version, RINGBACK_VERSION, kind->connection_version);
        return -EPROTONOSUPPORT;
    }
    err = device->backend == NULL ? -ENOTCONN : kind->read_front(device, connection, ret_error);
    if (err < 0)
        return err;
    connection->generation = recorded.generation;
    err = kind->record(device, connection);
    if (err == 0)
        err = rundir_write(device->dir, DEVICE_CONNECTION_FILE, connection, kind->connection_size);
    if (err < 0)
        snprintf(ret_error->text, sizeof(ret_error->text), "its connection cannot be recorded: %s", strerror(-err));
    return err;
}

/* Reads into `connection` what is recorded, and what it is to be continued with. */
static int read_connection(struct device *device, struct backend_connection *connection,
                           struct backend_error *ret_error)
{
    const struct backend_kind *kind = device_kind(device);
    int err = record_load(kind, device->dir, connection);

    if (err == -EPROTONOSUPPORT)
        return renew_connection(device, connection, ret_error);
    if (err < 0) {
        snprintf(ret_error->text, sizeof(ret_error->text), "it was connected, but there is no record of how: %s",
                 strerror(-err));
        return err;
    }
    return kind->reload(device, connection, ret_error);
}

/* Takes over what is recorded of the connection. */
static int load_connection(struct device *device, struct backend_error *ret_error)
{
    const size_t size = device_kind(device)->connection_size;
    struct backend_connection *connection = calloc(1, size);
    int err;

    if (connection == NULL) {
        snprintf(ret_error->text, sizeof(ret_error->text), "%s", no_device);
        return -ENOMEM;
    }
    err = read_connection(device, connection, ret_error);
    if (err == 0)
        memcpy(device->connection, connection, size);
    free(connection);
    return err;
}

/* xenbus has it again. Returns whether that is all. */
static bool resume_left(struct device *device)
{
    if (device->failure[0] != '\0') {
        device_succeed(device);
        xendev_backend_fail(device->backend, device->failure);
        return true;
    }
    if (device->state == DEVICE_CONNECTED || device->state == DEVICE_PARKED)
        device_succeed(device);
    return device->state != DEVICE_IDLE; /* a recovery that is under way ends the effect */
}

static void resume(struct device *device)
{
    struct backend_error error;
    int err;

    if (has_to_wait(device, resume))
        return;
    device->effect = device->backend != NULL;
    if (device->effect && resume_left(device))
        return;
    err = load_connection(device, &error);
    if (err == -ENOTCONN || (err < 0 && device->backend == NULL)) {
        device->effect = false; /* it is resumed again when xenstore is back */
        return;
    }
    if (err == -ENOENT && device_own_state(device) == XENBUS_CLOSING) {
        device->effect = false; /* an earlier supervisor had disconnected it and not yet said so */
        xendev_backend_done(device->backend, err, error.text);
        return;
    }
    if (err < 0) {
        device_give_up(device, err, "%s", error.text);
        return;
    }
    if (!serve_adopt(device))
        serve_resume(device);
}

static void op_resume(struct xendev_backend *backend)
{
    struct device *device = device_get(backend);

    if (device == NULL)
        xendev_backend_done(backend, -ENOMEM, no_device);
    else
        resume(device);
}

static void disconnect(struct device *device)
{
    device->effect = false;
    if (has_to_wait(device, disconnect))
        return;
    serve_disconnect(device);
}

static void op_disconnect(struct xendev_backend *backend)
{
    struct device *device = device_get(backend); /* new when it was found closing: a worker may serve it still */

    if (device == NULL)
        xendev_backend_done(backend, 0, NULL);
    else
        disconnect(device);
}

static void op_release(struct xendev_backend *backend)
{
    struct device *device = xendev_backend_data(backend);

    if (device != NULL)
        device_release(device);
}

void effect_let_go(struct device *device)
{
    if (device->wanted != NULL) {
        do_what_waited(device);
    } else if (device->gone) {
        device_release(device);
    } else if (device->backend != NULL) {
        device->failure[0] = '\0'; /* xenbus has closed it; while that is away, it has yet to */
        xendev_backend_done(device->backend, 0, NULL);
    }
}

/* ---- While xenstore is away. ------------------------------------------------------------------------------------------------ */

/* What was connected is resumed by what is recorded of it. */
static void resume_recorded(struct device *device)
{
    if (device_is_recorded(device->dir))
        resume(device);
}

int effect_load(struct guest *guest, uint32_t devid)
{
    struct device *device;
    int err = device_load(guest, devid, &device);

    if (err < 0)
        return err;
    resume_recorded(device);
    return 0;
}

void effect_leave(struct device *device)
{
    const struct backend_kind *kind = device_kind(device);

    if (kind->part != NULL)
        kind->part(device);
    device->backend = NULL;
    device->effect = false;
    switch (device->state) {
    case DEVICE_ADOPTING: /* only what is served is for us to go on with */
        if (device->wanted == resume)
            break;
        /* xenstore has said that what is recorded is over: it must not be resumed when we look again. */
        if (device->wanted == prepare)
            forget_former(device);
        device_remove_file(device, DEVICE_CONNECTION_FILE);
        device->wanted = NULL;
        device->state = DEVICE_IDLE;
        break;
    case DEVICE_IDLE: /* it was to be resumed, if it is recorded */
        resume_recorded(device);
        break;
    case DEVICE_PREPARING:
    case DEVICE_ACQUIRING:
    case DEVICE_ATTACHING:
        serve_disconnect(device);
        break;
    case DEVICE_DISCONNECTING:
        device->wanted = NULL;
        break;
    default:
        break;
    }
}

void effect_retire(struct device *device)
{
    const bool holds = device->state != DEVICE_IDLE && device->state != DEVICE_ADOPTING;

    device->gone = true;
    device->wanted = NULL;
    if (!holds)
        device_release(device); /* what an earlier supervisor's worker holds of it, that is told to let go of */
    else if (device->state != DEVICE_DISCONNECTING)
        serve_disconnect(device);
}

const struct xendev_backend_ops effect_ops = {
    .prepare = op_prepare,
    .connect = op_connect,
    .resume = op_resume,
    .disconnect = op_disconnect,
    .release = op_release,
};

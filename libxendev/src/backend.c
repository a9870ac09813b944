/* SPDX-License-Identifier: MIT */
/*
 * One back end: what is known of it is read from xenstore, hop_next() says what to do, and here it is done.
 *
 * Theory of operation. Watches, xendev_backend_done() and xendev_backend_fail() only leave a mark and queue the device;
 * backend_run() does all the work, from the loop, so no effect is ever called from within another and nobody's device
 * is freed under their feet. A state is written in a transaction that finds our node as it was when the step was
 * chosen; otherwise the node is read again and the step chosen anew. The one for Connected also finds that the front
 * end has not written its state since connect began.
 */
#include "backend_internal.h"
#include "store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From the start of connect until Connected is written. */
static bool is_being_connected(const struct xendev_backend *device)
{
    return device->effect == HOP_CONNECT ||
           (device->view.hold == HOLD_CONNECTED && device->view.own == XENBUS_INIT_WAIT);
}

static void on_front_changed(void *arg, const char *path)
{
    struct xendev_backend *device = arg;

    (void)path;
    device->followed = true;
    device->front_dirty = true;
    device->view.front_moved = true;
    if (is_being_connected(device))
        device->view.front_left = true;
    backend_queue(device);
}

struct xendev_backend *backend_new(struct xendev_bus *bus, uint32_t domid, uint32_t devid, const char *path,
                                   const char *front)
{
    char front_state[PARSE_PATH_SIZE + 8];
    struct xendev_backend *device = calloc(1, sizeof(*device));

    if (device == NULL)
        return NULL;
    device->bus = bus;
    device->domid = domid;
    device->devid = devid;
    snprintf(device->path, sizeof(device->path), "%s", path);
    snprintf(device->front, sizeof(device->front), "%s", front);
    device->own_dirty = device->front_dirty = device->domain_dirty = true;

    snprintf(front_state, sizeof(front_state), "%s/state", front);
    if (xendev_watch_add(bus->store, front_state, on_front_changed, device, &device->front_watch) < 0) {
        free(device);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&bus->devices, device, link);
    backend_queue(device);
    return device;
}

void backend_free(struct xendev_backend *device)
{
    xendev_watch_remove(device->front_watch);
    TAILQ_REMOVE(&device->bus->devices, device, link);
    if (device->queued)
        TAILQ_REMOVE(&device->bus->ready, device, ready_link);
    free(device);
}

void backend_queue(struct xendev_backend *device)
{
    if (!device->queued) {
        device->queued = true;
        TAILQ_INSERT_TAIL(&device->bus->ready, device, ready_link);
    }
    bus_schedule(device->bus, false);
}

/* ---- Reading what is there. ---- */

/* Whether `key` of our directory is there and says `text` (NULL: anything). 1, 0 or -errno. */
static int own_key_is(struct xendev_backend *device, const char *key, const char *text)
{
    char *value;
    int result = xendev_store_read(device->bus->store, XENDEV_NO_TXN, device->path, key, &value);

    if (result == -ENOENT || result == -EINVAL)
        return 0;
    if (result < 0)
        return result;
    result = text == NULL || strcmp(value, text) == 0;
    free(value);
    return result;
}

static int refresh_own(struct xendev_backend *device)
{
    struct hop_view *view = &device->view;

    /* The state before `online`: a toolstack that detaches writes both, the latter not last, and who saw its state with the `online` of before would
     * prepare the device once more. */
    enum xenbus_state own = XENBUS_UNKNOWN;
    int result = xenbus_state_read(device->bus->store, XENDEV_NO_TXN, device->path, &own);
    if (result < 0 && result != -ENOENT)
        return result;
    /* Another front end means another device of the same name: this one is gone. */
    int there = own_key_is(device, "frontend", device->front);
    if (there < 0)
        return there;
    int online = own_key_is(device, "online", "1");
    if (online < 0)
        return online;
    int connected = own_key_is(device, "hotplug-status", "connected");
    if (connected < 0)
        return connected;
    int script = connected ? 1 : own_key_is(device, "script", NULL);
    if (script < 0)
        return script;

    view->node_there = there;
    view->online = online;
    view->hotplug_done = connected || !script;
    view->own = own;
    return 0;
}

static int refresh_front(struct xendev_backend *device)
{
    enum xenbus_state front = XENBUS_UNKNOWN;
    int there = 1;
    int result = xenbus_state_read(device->bus->store, XENDEV_NO_TXN, device->front, &front);

    if (result == -ENOENT)
        result = there = xenbus_dir_exists(device->bus->store, XENDEV_NO_TXN, device->front);
    if (result < 0)
        return result;
    device->view.front = front;
    device->view.front_left |= front == XENBUS_CLOSING || front == XENBUS_CLOSED || front == XENBUS_INITIALISING;
    device->view.front_there = there;
    device->view.domain_there = !device->domain_gone;
    return 0;
}

/* Whether the state says that somebody, a predecessor of ours, serves this device, or did: its worker or files may be
 * left. At InitWait it may have died when all was connected and only Connected not written. */
static bool served(enum xenbus_state own)
{
    return own >= XENBUS_INIT_WAIT;
}

static int refresh(struct xendev_backend *device)
{
    int result;

    if (device->domain_dirty) {
        result = xendev_domain_exists(device->bus->store, device->domid);
        if (result < 0)
            return result;
        if (result == 0)
            device->domain_gone = device->front_dirty = true;
        device->domain_dirty = false;
    }
    if (device->own_dirty) {
        result = refresh_own(device);
        if (result < 0)
            return result;
        device->own_dirty = false;
    }
    if (device->front_dirty) {
        result = refresh_front(device);
        if (result < 0)
            return result;
        device->front_dirty = false;
    }
    if (!device->looked) {
        device->looked = true;
        if (served(device->view.own))
            device->view.hold = HOLD_FOUND;
    }
    return 0;
}

/* ---- Writing states. ---- */

struct state_write {
    struct xendev_backend *device;
    enum xenbus_state to;
};

/* What our hotplug scripts wait for and pass on. Always written together with InitWait. A script of Xen's own looks at none of it, and fails for want of
 * the device it expects, often without a word; what the toolstack tells its user then is `hotplug-error`. */
static int write_outcome(struct xendev_backend *device, xendev_txn txn)
{
    struct xendev_store *store = device->bus->store;

    if (device->view.refused) {
        int result = xendev_store_write(store, txn, device->path, "ringback-error", "%s", device->error);
        if (result == 0)
            result = xendev_store_write(store, txn, device->path, "hotplug-error", "%s", device->error);
        return result < 0 ? result : xendev_store_write(store, txn, device->path, "ringback-status", "error");
    }
    char *refusal = NULL;
    int result = xendev_store_read(store, txn, device->path, "ringback-error", &refusal);
    if (result == 0) /* what a script wrote is not ours to remove */
        result = xendev_store_remove(store, txn, device->path, "hotplug-error");
    free(refusal);
    if (result == 0 || result == -ENOENT)
        result = xendev_store_remove(store, txn, device->path, "ringback-error");
    if (result == 0)
        result = xendev_store_remove(store, txn, device->path, "error");
    return result < 0 ? result : xendev_store_write(store, txn, device->path, "ringback-status", "ready");
}

/* Whether the front end is what was connected to: it has not written its state since. One that does so after this has
 * the transaction fail, for we have read it. Returns 0, BACKEND_EVENT_FIRST or -errno. */
static int check_front_unmoved(struct xendev_backend *device, xendev_txn txn)
{
    enum xenbus_state front;
    int result = xenbus_state_read(device->bus->store, txn, device->front, &front);

    if (result < 0 && result != -ENOENT)
        return result;
    return watch_is_due(device->front_watch) ? BACKEND_EVENT_FIRST : 0;
}

static int state_write_body(struct xendev_store *store, xendev_txn txn, void *arg)
{
    const struct state_write *change = arg;
    struct xendev_backend *device = change->device;
    enum xenbus_state own;

    int result = xenbus_state_read(store, txn, device->path, &own);
    if (result < 0)
        return result;
    if (own != device->view.own)
        return -ESTALE;
    if (change->to == XENBUS_INIT_WAIT)
        result = write_outcome(device, txn);
    if (change->to == XENBUS_CONNECTED)
        result = check_front_unmoved(device, txn);
    if (result == 0 && device->error_unsaved)
        result = xendev_store_write(store, txn, device->path, "error", "%s", device->error);
    if (result == 0 && own != change->to)
        result = xendev_store_write(store, txn, device->path, "state", "%d", (int)change->to);
    return result;
}

static int write_state(struct xendev_backend *device, enum xenbus_state to)
{
    struct state_write change = {.device = device, .to = to};
    int result = xendev_store_transact(device->bus->store, state_write_body, &change);

    if (result == -ENOENT || result == -ESTALE) {
        device->own_dirty = true; /* the toolstack was faster */
        return 0;
    }
    if (result != 0)
        return result;
    device->error_unsaved = false;
    device->view.own = to;
    if (to == XENBUS_INIT_WAIT)
        device->view.hold = HOLD_WAITING;
    return 0;
}

/* ---- Effects. ---- */

static void set_error(struct xendev_backend *device, const char *reason)
{
    parse_reason(reason, sizeof(device->error), device->error);
    device->error_unsaved = true;
}

static void effect_start(struct xendev_backend *device, enum hop effect, void (*start)(struct xendev_backend *device))
{
    device->effect = effect;
    device->effect_ended = false;
    device->view.busy = true;
    if (effect == HOP_PREPARE) /* a new life */
        device->view.refused = device->view.failed = device->view.front_moved = device->error_unsaved = false;
    if (effect == HOP_CONNECT)
        device->view.front_left = false;
    start(device);
}

/* What the end of the effect under way means. */
static void effect_finish(struct xendev_backend *device)
{
    struct hop_view *view = &device->view;
    bool good = device->effect_result == 0;

    switch (device->effect) {
    case HOP_PREPARE:
        view->hold = HOLD_PREPARED; /* also when it failed: disconnect tidies up what it left */
        view->refused |= !good;
        break;
    case HOP_CONNECT:
    case HOP_RESUME:
        if (good)
            view->hold = HOLD_CONNECTED;
        view->failed |= !good;
        break;
    default: /* HOP_DISCONNECT */
        view->hold = HOLD_NOTHING;
        break;
    }
    device->effect = HOP_STAY;
    device->effect_ended = false;
    view->busy = false;
}

/* Removes our node and what is empty above it: when the domain is gone; and when the toolstack removed it, what was
 * written into it since (a feature, by an effect that was under way), which made it anew. Another device of the same
 * name is left alone. */
static int remove_body(struct xendev_store *store, xendev_txn txn, void *arg)
{
    struct xendev_backend *device = arg;
    char *named;

    int result = xendev_store_read(store, txn, device->path, "frontend", &named);
    if (result < 0 && result != -ENOENT)
        return result == -EINVAL ? 0 : result;
    if (result == 0) {
        bool ours = strcmp(named, device->front) == 0;
        free(named);
        if (!ours || !device->domain_gone)
            return 0;
    }
    return xenbus_remove_dir(store, txn, device->path, 1);
}

static int forget(struct xendev_backend *device)
{
    int result = xendev_store_transact(device->bus->store, remove_body, device);

    if (result < 0)
        return result;
    /* Whatever bears this name now is another device. */
    device->bus->rescan = true;
    bus_schedule(device->bus, false);
    device->bus->ops->release(device);
    backend_free(device);
    return BACKEND_FORGOTTEN;
}

static int take(struct xendev_backend *device, enum hop hop)
{
    const struct xendev_backend_ops *ops = device->bus->ops;

    switch (hop) {
    case HOP_PREPARE:
        effect_start(device, hop, ops->prepare);
        return 0;
    case HOP_CONNECT:
        effect_start(device, hop, ops->connect);
        return 0;
    case HOP_RESUME:
        effect_start(device, hop, ops->resume);
        return 0;
    case HOP_DISCONNECT:
        effect_start(device, hop, ops->disconnect);
        return 0;
    case HOP_INIT_WAIT:
        return write_state(device, XENBUS_INIT_WAIT);
    case HOP_CONNECTED:
        return write_state(device, XENBUS_CONNECTED);
    case HOP_CLOSING:
        return write_state(device, XENBUS_CLOSING);
    case HOP_CLOSED:
        return write_state(device, XENBUS_CLOSED);
    default: /* HOP_FORGET */
        return forget(device);
    }
}

int backend_run(struct xendev_backend *device)
{
    if (!device->followed)
        return 0;
    for (;;) {
        if (device->effect_ended)
            effect_finish(device);
        int result = refresh(device);
        if (result < 0)
            return result;
        enum hop hop = hop_next(&device->view);
        if (hop == HOP_STAY)
            return 0;
        result = take(device, hop);
        if (result != 0)
            return result;
    }
}

/* ---- What the owner calls. ---- */

void xendev_backend_done(struct xendev_backend *device, int result, const char *reason)
{
    if (device->effect == HOP_STAY || device->effect_ended)
        return;
    /* What failed while the connection broke may have failed for that alone, and nothing may follow from it: the effect stays under way
     * until the bus is closed, and is begun again by the next one. */
    if (result < 0 && device->bus->store->broken)
        return;
    device->effect_ended = true;
    device->effect_result = result;
    /* A device that cannot be resumed while it is being closed is simply closed. */
    if (result < 0 && device->effect != HOP_DISCONNECT &&
        !(device->effect == HOP_RESUME && device->view.own == XENBUS_CLOSING))
        set_error(device, reason != NULL ? reason : strerror(-result));
    backend_queue(device);
}

void xendev_backend_fail(struct xendev_backend *device, const char *reason)
{
    if (device->effect == HOP_DISCONNECT)
        return; /* on its way out already */
    set_error(device, reason);
    if (device->view.hold == HOLD_NOTHING || device->view.hold == HOLD_PREPARED)
        device->view.refused = true;
    else
        device->view.failed = true;
    backend_queue(device);
}

struct xendev_bus *xendev_backend_bus(const struct xendev_backend *device)
{
    return device->bus;
}

uint32_t xendev_backend_domid(const struct xendev_backend *device)
{
    return device->domid;
}

uint32_t xendev_backend_devid(const struct xendev_backend *device)
{
    return device->devid;
}

const char *xendev_backend_path(const struct xendev_backend *device)
{
    return device->path;
}

const char *xendev_backend_front(const struct xendev_backend *device)
{
    return device->front;
}

enum xenbus_state xendev_backend_state(const struct xendev_backend *device)
{
    return device->view.own;
}

enum xenbus_state xendev_backend_front_state(const struct xendev_backend *device)
{
    return device->view.front;
}

const char *xendev_backend_error(const struct xendev_backend *device)
{
    return device->error[0] != '\0' ? device->error : NULL;
}

void xendev_backend_set_data(struct xendev_backend *device, void *data)
{
    device->data = data;
}

void *xendev_backend_data(const struct xendev_backend *device)
{
    return device->data;
}

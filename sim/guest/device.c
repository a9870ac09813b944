/* SPDX-License-Identifier: MIT */
/*
 * The steps of the handshakes, and the keys. Sources: Linux 6.1 xenbus_probe_frontend, xen-blkfront and xen-netfront.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

static void on_backend(void *arg, enum xenbus_state backend)
{
    struct device *device = arg;

    device->backend = backend;
    if (device->up && backend != XENBUS_CONNECTED)
        device->lost = true;
    else if (device->up && device->again != NULL)
        device->again(device);
}

/* The device directory is the toolstack's to make: it may come later than we. */
int device_open(struct device *device, struct guest *guest, const char *kind, uint32_t devid)
{
    uint64_t deadline = guest_now() + (uint64_t)guest->limit * 1000000000u;
    char path[64];
    int rc;

    *device = (struct device){.guest = guest, .kind = kind, .devid = devid};
    snprintf(path, sizeof path, "device/%s/%u", kind, devid);
    for (;;) {
        rc = xendev_frontend_open(guest->store, path, on_backend, device, &device->xenbus);
        if (rc != -ENOENT || guest_now() >= deadline || guest->stop)
            break;
        guest_sleep(guest, 100);
    }
    if (rc < 0)
        guest_say("%s %u: cannot follow %s: %s", kind, devid, path, strerror(-rc));
    return rc;
}

void device_close(struct device *device)
{
    xendev_frontend_close(device->xenbus);
    device->xenbus = NULL;
}

/* ---- Steps. --------------------------------------------------------------------------------------------------------- */

struct await {
    const struct device *device;
    unsigned states;
};

static bool await_done(const void *arg)
{
    const struct await *await = arg;
    return (await->states & DEVICE_IN(await->device->backend)) != 0;
}

int device_await(struct device *device, unsigned states)
{
    return guest_wait(device->guest, await_done, &(struct await){device, states});
}

int device_await_or_say(struct device *device, unsigned states, const char *what)
{
    int rc = device_await(device, states);
    if (rc < 0)
        guest_say("%s %u: waited %u s for the back end to be %s: it is %s", device->kind, device->devid,
                  device->guest->limit, what, xenbus_state_name(device->backend));
    return rc;
}

int device_enter(struct device *device, enum xenbus_state state)
{
    int rc = xendev_frontend_switch(device->xenbus, state);
    if (rc < 0)
        guest_say("%s %u: cannot write the state %s: %s", device->kind, device->devid, xenbus_state_name(state),
                  strerror(-rc));
    return rc;
}

int device_await_connected(struct device *device, bool quiet)
{
    int rc = device_await_or_say(
        device, DEVICE_IN(XENBUS_CONNECTED) | DEVICE_IN(XENBUS_CLOSING) | DEVICE_IN(XENBUS_CLOSED), "Connected");
    if (rc < 0 || device->backend == XENBUS_CONNECTED)
        return rc;

    char *reason = device_reason(device);
    if (!quiet)
        guest_say("%s %u: the back end went %s%s%s", device->kind, device->devid, xenbus_state_name(device->backend),
                  *reason ? ": " : "", reason);
    free(reason);
    return -ECONNREFUSED;
}

int device_end(struct device *device)
{
    int rc = device_enter(device, XENBUS_CLOSING);
    if (rc == 0)
        rc = device_await_or_say(
            device, DEVICE_IN(XENBUS_CLOSING) | DEVICE_IN(XENBUS_CLOSED) | DEVICE_IN(XENBUS_UNKNOWN), "Closing");
    if (rc == 0)
        rc = device_enter(device, XENBUS_CLOSED);
    if (rc == 0)
        rc = device_await_or_say(device, DEVICE_IN(XENBUS_CLOSED) | DEVICE_IN(XENBUS_UNKNOWN), "Closed");
    return rc;
}

int device_end_former(struct device *device)
{
    int rc = device_await_or_say(device, ~DEVICE_IN(XENBUS_UNKNOWN), "there");
    if (rc < 0)
        return rc;

    /* Each step is where the next one starts: the back end may be found in any. */
    if (device->backend == XENBUS_INITIALISED || device->backend == XENBUS_CONNECTED) {
        rc = device_enter(device, XENBUS_CLOSING);
        if (rc == 0)
            rc = device_await_or_say(device, DEVICE_IN(XENBUS_CLOSING) | DEVICE_IN(XENBUS_CLOSED), "Closing");
        if (rc < 0)
            return rc;
    }
    if (device->backend == XENBUS_CLOSING) {
        rc = device_enter(device, XENBUS_CLOSED);
        if (rc == 0)
            rc = device_await_or_say(device, DEVICE_IN(XENBUS_CLOSED), "Closed");
    }
    return rc;
}

int device_begin(struct device *device)
{
    int rc = device_enter(device, XENBUS_INITIALISING);
    return rc < 0 ? rc : device_await_or_say(device, DEVICE_IN(XENBUS_INIT_WAIT), "InitWait");
}

/* ---- Keys. ---------------------------------------------------------------------------------------------------------- */

int device_put(struct device *device, xendev_txn txn, const char *key, const char *value)
{
    struct xendev_store *store = device->guest->store;
    const char *dir = xendev_frontend_path(device->xenbus);

    if (device->odd_key != NULL && strcmp(device->odd_key, key) == 0)
        value = device->odd_value;
    return value == NULL ? xendev_store_remove(store, txn, dir, key)
                         : xendev_store_write(store, txn, dir, key, "%s", value);
}

int device_put_number(struct device *device, xendev_txn txn, const char *key, uint32_t value)
{
    char text[16];

    snprintf(text, sizeof text, "%u", value);
    return device_put(device, txn, key, text);
}

int device_put_odd(struct device *device, xendev_txn txn)
{
    return device->odd_key == NULL ? 0 : device_put(device, txn, device->odd_key, "");
}

uint64_t device_get(const struct device *device, const char *key, uint64_t missing)
{
    uint64_t value;
    const char *dir = xendev_frontend_backend_path(device->xenbus);

    return xendev_store_read_u64(device->guest->store, XENDEV_NO_TXN, dir, key, &value) < 0 ? missing : value;
}

char *device_reason(const struct device *device)
{
    char *reason;

    if (xendev_store_read(device->guest->store, XENDEV_NO_TXN, xendev_frontend_backend_path(device->xenbus), "error",
                          &reason) < 0)
        return strdup("");
    return reason;
}

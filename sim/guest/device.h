/* SPDX-License-Identifier: MIT */
/*
 * A device of this guest, whatever its kind: its directory in xenstore, the state of its back end, and the waits and steps that the handshakes of
 * all front ends are made of.
 */
#ifndef GUEST_DEVICE_H
#define GUEST_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include <xendev/store.h>
#include <xendev/xenbus.h>

#include "guest.h"

/* A set of states, for device_await(). */
#define DEVICE_IN(state) (1u << (state))

struct device {
    struct guest *guest;
    const char *kind; /* "vbd", "vif" */
    uint32_t devid;
    struct xendev_frontend *xenbus;
    enum xenbus_state backend; /* its state when last heard */
    bool up;                   /* the rings are in use */
    bool lost;                 /* they were, when the back end left Connected */
    /* (optional) The back end has written Connected again, while the rings are in use. */
    void (*again)(struct device *device);
    /* One key with another value than ours, or left out (NULL). */
    const char *odd_key, *odd_value;
};

/* Follows an existing device directory, waiting for it to appear. Returns 0, or -errno after a message. */
int device_open(struct device *device, struct guest *guest, const char *kind, uint32_t devid);
void device_close(struct device *device);

/* ---- Steps. Each waits where it must. ---------------------------------------------------------------------------------- */

/* Waits until the back end is in one of `states`. Returns 0 or -ETIMEDOUT. */
int device_await(struct device *device, unsigned states);
/* The same, with a message that names what was awaited. */
int device_await_or_say(struct device *device, unsigned states, const char *what);
/* Writes our state. Returns 0, or -errno after a message. */
int device_enter(struct device *device, enum xenbus_state state);
/* Waits for Connected. Returns 0, -ETIMEDOUT, or -ECONNREFUSED when the back end closes, after a message; `quiet` keeps the latter to itself. */
int device_await_connected(struct device *device, bool quiet);
/* Closing, Closed, as the back end follows: what Linux does with a connection it ends. Returns 0, or -errno after a message. */
int device_end(struct device *device);
/* Ends a connection of an earlier life, if there is one: on return the back end has let go, or never held anything. What a kernel does that finds a
 * device in use (kexec). Returns 0, or -errno after a message. */
int device_end_former(struct device *device);
/* Initialising, until the back end is ready for a new life. Returns 0, or -errno after a message. */
int device_begin(struct device *device);

/* ---- Keys. ------------------------------------------------------------------------------------------------------------- */

/* Writes one key of ours, or what the odd one has in its place; NULL removes it. Returns 0 or -errno. */
int device_put(struct device *device, xendev_txn txn, const char *key, const char *value);
int device_put_number(struct device *device, xendev_txn txn, const char *key, uint32_t value);
/* Writes the odd key, if there is one, whether we have such a key or not. */
int device_put_odd(struct device *device, xendev_txn txn);
/* A number of the back end's, `missing` where there is none. */
uint64_t device_get(const struct device *device, const char *key, uint64_t missing);
/* Why the back end closed, "" when it does not say. The caller frees. */
char *device_reason(const struct device *device);

#endif

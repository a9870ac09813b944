/* SPDX-License-Identifier: MIT */
/*
 * Between a device and the worker that serves it: what the worker is told, what it answers, and what follows from its end.
 */
#ifndef BACKEND_SERVE_H
#define BACKEND_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/util.h>

#include <backend/protocol.h>

struct device;

/* ---- For kinds. ---- */

/* How to connect; the descriptors stay serve.c's. */
struct serve_order {
    bool recover; /* the journals hold the requests of a dead worker: see device->crashed and device->pardon */
    int journal;  /* of all rings of the connection, one after the other */
    int counters;
};

/* PREPARING, ACQUIRING: kind->ask() puts a question to the worker, as soon as there is one, and again to its successor if it dies; if it dies
 * again and again, the device is given up. */
void serve_ask(struct device *device);
/* ACQUIRING or RESUMING ends: what the device is served with is there. */
void serve_acquired(struct device *device);
/* kind->secure() ends: nobody else uses that. */
void serve_secured(struct device *device);

/* Tells the worker, which owes an answer from then on; fills the head of `message`, which is of the kind's size. */
void serve_tell(struct device *device, uint32_t type, struct backend_head *message, const int *fds, unsigned fd_count);
/* No answer is due any more; `holds`: the worker still holds something of the device. */
void serve_replied(struct device *device, bool holds);

/* ---- What xenbus wants; each ends in device_succeed(), device_give_up() or xendev_backend_done(), from within or later. ---- */

/* Connect: gets hold of what the device is served with, and attaches the rings of its connection. */
void serve_connect(struct device *device);
/* Resume: whether the worker of an earlier supervisor serves the recorded connection; the device is connected then. */
bool serve_adopt(struct device *device);
/* Resume: gets hold of the same again, and continues the recorded connection. */
void serve_resume(struct device *device);
/* Continues it with what is there still. */
void serve_recover(struct device *device);
/* Disconnect: when it is done, nothing of the device is in use. */
void serve_disconnect(struct device *device);

/* ---- What the guest tells of its workers. ---- */

/* A worker is there and knows nothing of the device. */
void serve_begin(struct device *device);
/* The worker has ended; `died`: not by plan; `crashed`: by its own doing. */
void serve_end(struct device *device, bool died, bool crashed);
/* ...and nothing of it is under way any more. */
void serve_fenced(struct device *device);
/* The worker said something about this device. Returns 0, or -EPROTO when it cannot have meant it. */
int serve_answered(struct device *device, const struct backend_head *message);

/* The device is about to be freed. */
void serve_forget(struct device *device);

/* Of the guest's timer. */
void serve_on_answer_timer(evutil_socket_t fd, short what, void *arg);

#endif

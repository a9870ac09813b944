/* SPDX-License-Identifier: MIT */
/*
 * Between a disk and the worker that serves it: what the worker is told, what it answers, and what follows from its end.
 */
#ifndef BLKBACK_SERVE_H
#define BLKBACK_SERVE_H

#include <stdbool.h>

#include <event2/util.h>

#include "protocol.h"

struct device;

/* ---- What xenbus wants; each ends in device_succeed(), device_give_up() or xendev_backend_done(), from within or later. ---- */

/* Prepare: looks at the image, which is open. */
void serve_check(struct device *device);
/* Connect: takes the image for the guest, looks at it and attaches the ring of `connection`. */
void serve_connect(struct device *device);
/* Resume: whether the worker of an earlier supervisor serves the recorded `connection`, which is then over. */
bool serve_adopt(struct device *device);
/* Resume: continues the recorded `connection`. */
void serve_resume(struct device *device);
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
int serve_answered(struct device *device, struct blkback_message *message);

/* Nobody else uses the image. */
void serve_locked(struct device *device);

/* The image as the worker is told of it. */
struct blkback_image serve_image(const struct device *device);

/* The device is about to be freed. */
void serve_forget(struct device *device);

/* Of the guest's timer. */
void serve_on_answer_timer(evutil_socket_t fd, short what, void *arg);

#endif

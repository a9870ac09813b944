/* SPDX-License-Identifier: MIT */
/*
 * A tap as a port: the host itself, or by a Linux bridge what the host is connected to.
 */
#ifndef BRIDGE_TAP_H
#define BRIDGE_TAP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <service/log.h>

#include "switch.h"

struct event;
struct event_base;

#define TAP_NAME_SIZE 16u /* IFNAMSIZ */

struct tap_port {
    struct bridge_port port;    /* first */
    TAILQ_ENTRY(tap_port) next; /* served_bridge.taps */
    struct log_source log;
    int fd; /* -1: not open, and no port of its bridge */
    struct event *readable;
    bool wanted; /* by the configuration that is being applied */
    int error;   /* why it could not be opened last, which is told once */
};

/* Whether a network device can have this name. */
bool tap_name_is_valid(const char *name);

/* Opens the tap of that name, which is made, persistent and up, where there is none. `port` is zeroed but for port.name, the tap's. Returns 0;
 * -EBUSY when somebody else has it open; -EINVAL when a device of that name is no tap; -errno. */
int tap_open(struct tap_port *port, struct event_base *base);
/* Serves an open tap from now on. Without memory it is lost. */
void tap_begin(struct tap_port *port);
/* Lets go of it; the tap stays. One that was lost (port.closed while fd is not -1) is to be closed too. */
void tap_close(struct tap_port *port);

extern const struct switch_ops tap_ops;

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The back end's state machine: what is known of a device, and the one thing to do next. Pure.
 */
#ifndef XENDEV_SRC_HOP_H
#define XENDEV_SRC_HOP_H

#include <stdbool.h>

#include <xendev/xenbus.h>

/* What this process holds of a device. */
enum hop_hold {
    HOLD_NOTHING,
    HOLD_FOUND,     /* nothing yet; found at InitWait or further: a predecessor's worker and files may be there */
    HOLD_PREPARED,  /* prepare is done, InitWait is not yet written */
    HOLD_WAITING,   /* InitWait is written */
    HOLD_CONNECTED, /* connect or resume is done; Connected is written next, if it is not there already */
    HOLD_COUNT
};

/* What is known of a device. */
struct hop_view {
    enum xenbus_state own;   /* in our node */
    enum xenbus_state front; /* in the front end's */
    enum hop_hold hold;
    bool busy;         /* an effect is under way */
    bool node_there;   /* our directory exists */
    bool front_there;  /* the front end's directory exists */
    bool domain_there; /* the front end's domain exists */
    bool online;       /* the toolstack wants the device to be */
    bool hotplug_done; /* there is no hotplug script, or it has succeeded */
    bool refused;      /* it cannot be served: prepare failed */
    bool failed;       /* it can no longer be served: connect or resume failed, or the front end broke the protocol */
    bool front_moved;  /* the front end wrote its state since this life of it was prepared */
    bool
        front_left; /* the front end was seen closing, closed or beginning anew since it was last connected to, or wrote
                          its state while it was being connected to */
};

enum hop {
    HOP_STAY,
    HOP_PREPARE,    /* effect */
    HOP_INIT_WAIT,  /* write the state */
    HOP_CONNECT,    /* effect */
    HOP_RESUME,     /* effect */
    HOP_CONNECTED,  /* write the state */
    HOP_CLOSING,    /* write the state */
    HOP_DISCONNECT, /* effect */
    HOP_CLOSED,     /* write the state */
    HOP_FORGET,     /* release the device; remove our node if only the domain is gone */
    HOP_COUNT
};

enum hop hop_next(const struct hop_view *view);

#endif

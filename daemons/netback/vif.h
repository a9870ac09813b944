/* SPDX-License-Identifier: MIT */
/*
 * One network card of a guest, as netbackd's supervisor has it.
 */
#ifndef NETBACK_VIF_H
#define NETBACK_VIF_H

#include <stdbool.h>
#include <stdint.h>

#include <backend/device.h>
#include <backend/kind.h>

#include "card.h"
#include "protocol.h"

struct capture;
struct netback;
struct port_kind;
struct switch_request;
struct xendev_watch;

/* What is under way in a device's state. */
enum vif_step {
    VIF_STEP_NONE,
    VIF_STEP_ATTACHING,  /* PREPARING, ACQUIRING, RESUMING: until tapbridged has made the port */
    VIF_STEP_FORWARDING, /* ACQUIRING: until the tap's bridge forwards */
    VIF_STEP_NAMING,     /* PREPARING: until no other network device has the tap's name */
    VIF_STEPS
};

struct vif {
    struct device device; /* first */
    struct netback_connection connection;
    struct card card;
    const struct port_kind *port;
    enum vif_step step; /* see waiting.h */
    int64_t waits_since_ms;
    /* What the worker is given of the port: a tap's queues; or memory and bells of a switched one, kept as long as that is attached. */
    int fds[NETBACK_QUEUES_MAX];
    unsigned fd_count;
    uint32_t capacity;                 /* of a switched port's rings */
    struct switch_request *port_asked; /* tapbridged owes an answer about it */
    bool port_refused;                 /* it is served, but tapbridged does not have it now */
    bool carrier_off;                  /* the guest takes no frames */
    bool multicast_control;
    bool untold;             /* the worker may not know the rate and the filter as they are */
    struct capture *capture; /* NULL: there is none */
    struct xendev_watch *rate_watch;
    struct xendev_watch *multicast_watch;
};

_Static_assert(NETBACK_SWITCH_FDS <= NETBACK_QUEUES_MAX, "room for either kind");

extern const struct backend_kind vif_kind;

/* NULL for NULL. */
struct vif *vif_of(struct device *device);
const struct vif *vif_of_const(const struct device *device);
struct netback *vif_netback(const struct vif *vif);

/* Some network device of the host may have changed: goes on with cards that wait for theirs. */
void vif_netdevs_changed(struct netback *netback);

/* PREPARING: looks again whether the card can be served. */
void vif_prepare_again(struct vif *vif);

/* ---- For ports. ---- */

void vif_close_fds(struct vif *vif);
/* The port, which served it, is no more: it is closed for that reason. */
void vif_port_failed(struct vif *vif, const char *reason);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Where a card's frames go and come from: a tap, which a toolstack's script puts into some bridge; or a port of tapbridged in shared memory. The
 * supervisor makes it, the worker uses it.
 */
#ifndef NETBACK_PORT_H
#define NETBACK_PORT_H

#include <stdbool.h>

#include "protocol.h"

struct vif;

/* As the functions of struct backend_kind that have the same names; `vif->card` is what the toolstack says. */
struct port_kind {
    enum netback_port number;
    const char *name; /* "tap", in reports */
    void (*prepare)(struct vif *vif);
    void (*acquire)(struct vif *vif);
    void (*let_go)(struct vif *vif);
    void (*discard)(struct vif *vif);
    bool (*held_is_own)(const struct vif *vif, const int *fds, unsigned fd_count);
    /* (optional) It has claimed them. */
    void (*claimed)(struct vif *vif);
    /* (optional) Some network device has changed while step is FORWARDING. */
    void (*netdevs_changed)(struct vif *vif);
    /* (optional) Its guest takes frames, or takes none any more. */
    void (*set_carrier)(struct vif *vif, bool on);
};

extern const struct port_kind port_tap;
extern const struct port_kind port_switch;

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A worker's view of one network card: the files it was given, its port, its rings.
 */
#ifndef NETBACK_WORKER_VIF_H
#define NETBACK_WORKER_VIF_H

#include <backend/worker/worker.h>

#include "../protocol.h"

struct vif;

/* Connects and serves. `fds`: those of BACKEND_CONNECT; takes them over, also when it fails. The order's connection was checked. Returns 0, or -errno with
 * `ret_reason` filled. */
int vif_open(const struct worker_host *host, uint32_t devid, const struct netback_order *order, const int *fds,
             struct vif **ret_vif, char ret_reason[BACKEND_REASON_SIZE]);

/* Goes by these from now on. */
void vif_tune(struct vif *vif, const struct netback_tuning *tuning);

/* Copies its frames to whoever reads that memory, NETBACK_CAPTURE_FDS descriptors, which are taken over; snaplen 0: no longer, and there are none. */
void vif_capture(struct vif *vif, uint32_t snaplen, const int *fds);

/* See struct worker_kind. */
void vif_drain(struct vif *vif);
void vif_undrain(struct vif *vif);
unsigned vif_held(struct vif *vif, struct netback_message *ret_message, int ret_fds[WORKER_HELD_FDS_MAX]);
/* Says whether the guest takes frames, if the supervisor does not know. */
void vif_say_carrier(struct vif *vif);

/* Stops, lets go of everything. `recoverable`: somebody will go on from the journals. Takes NULL. */
void vif_close(struct vif *vif, bool recoverable);

#endif

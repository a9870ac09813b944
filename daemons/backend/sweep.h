/* SPDX-License-Identifier: MIT */
/*
 * What earlier times left in the run directory: taken over, or removed when xenstore says that it is gone.
 */
#ifndef BACKEND_SWEEP_H
#define BACKEND_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

struct backend;

/* Whether all that was there at start, or when xenstore went away, has shown up on the bus or is gone. */
bool sweep_is_settled(const struct backend *backend);
/* Whether that guest ("DOMID-IDENTITY") lives and has that device. A doubt is a yes: whose the node is shows when the bus has taken it in. */
bool sweep_device_is_alive(const struct backend *backend, const char *guest_name, uint32_t devid);

/* ---- For backend.c. ---- */

/* Returns 0 or -ENOMEM. */
int sweep_open(struct backend *backend);
/* Takes what was never opened. */
void sweep_close(struct backend *backend);
/* xenstore is there: removes what is left of guests and devices that are gone, takes the others over, and looks again later while some have neither gone
 * nor shown up. Returns 0 or -errno, the reason logged. */
int sweep_run(struct backend *backend);
/* xenstore is not there: takes over all that was connected, by what is recorded; it stays until xenstore is there to say more. */
void sweep_load(struct backend *backend);
/* Looks no more, until it is run again. */
void sweep_stop(struct backend *backend);

#endif

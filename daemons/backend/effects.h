/* SPDX-License-Identifier: MIT */
/*
 * What xenbus wants of a device: prepare, connect, resume, disconnect, release (xendev/xenbus.h); and what becomes of it while xenstore is away.
 */
#ifndef BACKEND_EFFECTS_H
#define BACKEND_EFFECTS_H

#include <stdint.h>

#include <xendev/xenbus.h>

struct device;
struct guest;

extern const struct xendev_backend_ops effect_ops;

/* Ends a disconnect, also one that nobody but us wanted: what waited for it follows. May free the device. */
void effect_let_go(struct device *device);
/* What an earlier supervisor's worker held is known, or gone: does what has waited for that. */
void effect_go_on(struct device *device);

/* xenstore is away: what is served is served on, or recovered, and so it will be when its worker dies; what was on the way up or down is let go
 * of. */
void effect_leave(struct device *device);
/* xenstore is away, and an earlier supervisor recorded that device, which is not known yet: it is served on or recovered, when it was connected.
 * Returns 0 or -errno. */
int effect_load(struct guest *guest, uint32_t devid);
/* It was left, and xenstore, which is back, says that it is gone: lets go of it and releases it, which may free the device before the return, and its
 * guest if nothing else wants that. */
void effect_retire(struct device *device);

#endif

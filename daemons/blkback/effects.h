/* SPDX-License-Identifier: MIT */
/*
 * What xenbus wants of a disk: prepare, connect, resume, disconnect, release (xendev/xenbus.h); and what becomes of it while xenstore is away.
 */
#ifndef BLKBACK_EFFECTS_H
#define BLKBACK_EFFECTS_H

#include <xendev/xenbus.h>

struct device;

extern const struct xendev_backend_ops effect_ops;

/* Ends a disconnect, also one that nobody but us wanted: what waited for it follows. May free the device. */
void effect_let_go(struct device *device);
/* What an earlier supervisor's worker held is known, or gone: does what has waited for that. */
void effect_go_on(struct device *device);

/* xenstore is away: what is served is served on, and recovered when its worker dies; what was on the way up or down is let go of. */
void effect_leave(struct device *device);
/* It was left, and xenstore, which is back, says that it is gone: lets go of it and releases it, which may free the device before the return, and its
 * guest if nothing else wants that. */
void effect_retire(struct device *device);

#endif

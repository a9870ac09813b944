/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a frame that a guest does not take as it is.
 */
#ifndef NETBACK_WORKER_FIT_H
#define NETBACK_WORKER_FIT_H

#include <stdint.h>

#include "../counters.h"
#include "frames.h"

/* More segments than these are not made of one frame: a sender would have us do any amount of work for one of its frames. */
#define FIT_SEGMENTS_MAX 256u

/* Makes it into what a guest with these features (enum netback_feature) takes: fills in its checksum, or begins to cut it. Returns 0, or enum
 * netback_rx_drop + 1 when that cannot be done. */
unsigned fit_frame(struct frame *frame, uint32_t features);

#endif

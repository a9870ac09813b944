/* SPDX-License-Identifier: MIT */
/*
 * What a front end finds in the back end's directory.
 */
#ifndef BLKBACK_OFFER_H
#define BLKBACK_OFFER_H

#include <stdint.h>

struct vbd;

/* Before InitWait. Returns 0 or -errno. */
int offer_features(struct vbd *vbd);
/* What was offered by that: most segments of an indirect request, 0 when there were none. */
uint32_t offer_indirect_segments(const struct vbd *vbd);
/* The same: most queues, 1 when nothing was said of them. */
uint32_t offer_queues_max(const struct vbd *vbd);
/* Before Connected. Returns 0 or -errno. */
int offer_disk(struct vbd *vbd);
/* Fills sectors and sector sizes of a device from what offer_disk() wrote, for one that was found Connected; what cannot be read stays as it is. */
void offer_read_back(struct vbd *vbd);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Planned replacement: workers of another build than the supervisor's make room for its own, a few at a time.
 */
#ifndef BLKBACK_REPLACE_H
#define BLKBACK_REPLACE_H

struct blkback;

/* Returns 0 or -ENOMEM. */
int replace_open(struct blkback *blkback);
/* Takes what was never opened. */
void replace_close(struct blkback *blkback);

/* To be called when a guest was found to be outdated. */
void replace_consider(struct blkback *blkback);
/* Forgets what is under way. */
void replace_stop(struct blkback *blkback);

#endif

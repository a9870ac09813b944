/* SPDX-License-Identifier: MIT */
/*
 * Planned replacement: workers of another build than the supervisor's make room for its own, a few at a time.
 */
#ifndef BACKEND_REPLACE_H
#define BACKEND_REPLACE_H

struct backend;

/* Returns 0 or -ENOMEM. */
int replace_open(struct backend *backend);
/* Takes what was never opened. */
void replace_close(struct backend *backend);

/* To be called when a guest was found to be outdated. */
void replace_consider(struct backend *backend);
/* Forgets what is under way. */
void replace_stop(struct backend *backend);

#endif

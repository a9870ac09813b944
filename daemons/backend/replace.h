/* SPDX-License-Identifier: MIT */
/*
 * Planned replacement: workers of another build than the supervisor's make room for its own, a few at a time; or whenever a kind wants a successor.
 */
#ifndef BACKEND_REPLACE_H
#define BACKEND_REPLACE_H

struct backend;
struct guest;

/* Returns 0 or -ENOMEM. */
int replace_open(struct backend *backend);
/* Takes what was never opened. */
void replace_close(struct backend *backend);

/* To be called when a guest was found to be outdated. */
void replace_consider(struct backend *backend);
/* The guest's worker is to make room for another, by its turn, whatever it is built of: what the kind gives a successor is to change. Nothing when the
 * guest has none: the next one is a successor. */
void replace_ask(struct guest *guest);
/* Forgets what is under way. */
void replace_stop(struct backend *backend);

#endif

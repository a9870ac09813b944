/* SPDX-License-Identifier: MIT */
/*
 * Taps outlive us: which card each one is of is noted in a directory of the run directory, so that those of cards that went while we were away are
 * found, and no other device of the host is ever touched.
 */
#ifndef NETBACK_LEFTOVER_H
#define NETBACK_LEFTOVER_H

#include <stdbool.h>
#include <stdint.h>

struct backend;

/* Opens the directory. Returns a descriptor, or -errno. */
int leftover_open(const char *run_dir);
/* Notes that this tap is of that card, before it is made. Returns 0 or -errno. */
int leftover_note(int dir, const char *netdev, const char *guest_name, uint32_t devid);
/* Whether this tap was noted, of whatever card; and whether it was of this one. */
bool leftover_is_noted(int dir, const char *netdev);
bool leftover_is_of(int dir, const char *netdev, const char *guest_name, uint32_t devid);
/* It is removed. Returns 0 or -errno. */
int leftover_forget(int dir, const char *netdev);
/* Removes the taps of cards that are gone. Returns 0, and whether somebody holds some of them still, which are then there until he lets go; or
 * -errno. */
int leftover_sweep(int dir, const struct backend *backend, bool *ret_held);
/* Forgets those that are not there, of cards that are gone: others may be called so later. Returns 0 or -errno. */
int leftover_forget_gone(int dir, const struct backend *backend);

#endif

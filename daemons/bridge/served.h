/* SPDX-License-Identifier: MIT */
/*
 * The bridges there are: made and changed as the configuration says, with their taps; and their tables, kept over a restart.
 */
#ifndef BRIDGE_SERVED_H
#define BRIDGE_SERVED_H

#include "tapbridge.h"

/* Groups that a bridge gives by itself. */
#define SERVED_GROUP_UPLINKS  (PORT_GROUP_RESERVED + 0)
#define SERVED_GROUP_ISOLATED (PORT_GROUP_RESERVED + 1)

/* Makes the bridges what the configuration says. A tap that cannot be had is told, and tried again at each tick. Returns whether bridges came or
 * went: clients should present their ports again. */
bool served_apply(struct tapbridge *tapbridge);
/* Lets go of all; tables are saved. */
void served_free_all(struct tapbridge *tapbridge);
struct served_bridge *served_find(struct tapbridge *tapbridge, const char *name);

/* After its start tapbridged takes no frame from any port until its client has presented all it has, or, in case there is no client, for
 * some seconds: a frame for a port that is yet to come back would go nowhere. */
void served_gathered(struct tapbridge *tapbridge);

/* Once a second: ageing, taps that are missing, and now and then what has changed is saved. */
void served_tick(struct tapbridge *tapbridge);

/* The group of a port that asked for `flags` and `group`. */
uint32_t served_group(const struct served_bridge *served, uint32_t flags, uint32_t group);
/* `port` is back: what the saved table knew of it is known again. */
void served_restore(struct served_bridge *served, struct bridge_port *port);

/* What is wrong with a list of taps in the configuration, or NULL. */
const char *served_check_taps(const char *text);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The file a bridge's table is saved in (saved.h): RUN/tapbridged/BRIDGE.
 */
#ifndef BRIDGE_TABLES_H
#define BRIDGE_TABLES_H

#include "tapbridge.h"

/* Reads it; the entries wait for their ports. What cannot be read is told and done without. */
void tables_load(struct served_bridge *served);
/* Replaces it, by what the table holds and what still waits. */
void tables_save(struct served_bridge *served);
/* Removes it. */
void tables_forget(struct served_bridge *served);

#endif

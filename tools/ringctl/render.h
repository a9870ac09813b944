/* SPDX-License-Identifier: MIT */
/*
 * Devices as the daemons describe them in JSON, for people: a table, or all there is about one.
 */
#ifndef RINGCTL_RENDER_H
#define RINGCTL_RENDER_H

#include <stdio.h>

#include <jansson.h>

/* `devices` is the array of GET /v1/devices. */
void render_disks(const json_t *devices, FILE *stream);
void render_cards(const json_t *devices, FILE *stream);
/* One member of it. */
void render_disk(const json_t *device, FILE *stream);
void render_card(const json_t *device, FILE *stream);

#endif

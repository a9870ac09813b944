/* SPDX-License-Identifier: MIT */
/*
 * Devices as the daemon describes them in JSON, for people: a table, or all there is about one.
 */
#ifndef RINGCTL_RENDER_H
#define RINGCTL_RENDER_H

#include <stdio.h>

#include <jansson.h>

/* `devices` is the array of GET /v1/devices. */
void render_table(const json_t *devices, FILE *stream);
/* One member of it. */
void render_device(const json_t *device, FILE *stream);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Bridges as tapbridged describes them in JSON, for people.
 */
#ifndef RINGCTL_RENDER_BRIDGE_H
#define RINGCTL_RENDER_BRIDGE_H

#include <stdio.h>

#include <jansson.h>

/* The body of GET /v1/bridges: a line each. */
void render_bridges(const json_t *body, FILE *stream);
/* That of GET /v1/bridges/NAME: all there is to know, */
void render_bridge(const json_t *body, FILE *stream);
/* or a line for each port. */
void render_ports(const json_t *body, FILE *stream);
/* That of GET /v1/bridges/NAME/fdb: a line for each address. */
void render_fdb(const json_t *body, FILE *stream);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A card's capture: POST /v1/devices/DOMID/N/capture, answered with a copy of each frame for as long as the client stays.
 */
#ifndef NETBACK_CAPTURE_H
#define NETBACK_CAPTURE_H

#include <stdbool.h>

struct control_request;
struct device;
struct vif;

/* See struct backend_kind. */
bool capture_post(struct device *device, const char *verb, struct control_request *request);

/* A worker serves the card from now on, and knows of no capture. */
void capture_tell(struct vif *vif);
/* The card goes: so does its capture, if there is one. */
void capture_drop(struct vif *vif);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What is to be seen of crashes: the objects "crash" and "parked" of a device, and POST /v1/devices/DOMID/DEVID/resume.
 */
#ifndef BLKBACK_REPORT_CRASH_H
#define BLKBACK_REPORT_CRASH_H

#include <jansson.h>

struct control_request;
struct device;

/* A new reference: null when there is nothing to tell; NULL when out of memory. */
json_t *report_crash(const struct device *device);
json_t *report_parked(const struct device *device);

/* Answers a POST below /v1/devices/; `arg` is the struct blkback. */
void report_on_post(struct control_request *request, void *arg);

#endif

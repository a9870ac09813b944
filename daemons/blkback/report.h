/* SPDX-License-Identifier: MIT */
/*
 * What is to be seen of a disk from outside: see backend/report.h.
 */
#ifndef BLKBACK_REPORT_H
#define BLKBACK_REPORT_H

#include <jansson.h>

struct backend;
struct device;
struct evbuffer;

json_t *report_vbd(const struct device *device);
void report_metrics(struct evbuffer *out, const struct backend *backend);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What is to be seen of network cards: the functions `report` and `metrics` of struct backend_kind.
 */
#ifndef NETBACK_REPORT_H
#define NETBACK_REPORT_H

#include <jansson.h>

struct backend;
struct device;
struct evbuffer;

json_t *report_vif(const struct device *device);
void report_metrics(struct evbuffer *out, const struct backend *backend);

#endif

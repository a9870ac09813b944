/* SPDX-License-Identifier: MIT */
/*
 * What is to be seen from outside: GET /v1/devices, GET /v1/devices/DOMID/DEVID, POST /v1/devices/DOMID/DEVID/resume, what else the kind takes
 * there, and the devices' part of /metrics. What a device's report holds is the kind's to say, with the parts below.
 */
#ifndef BACKEND_REPORT_H
#define BACKEND_REPORT_H

#include <stdint.h>

#include <jansson.h>

struct backend;
struct control;
struct device;
struct evbuffer;

/* Returns 0 or -errno, the reason logged. */
int report_open(struct backend *backend, struct control *control);

/* ---- For kinds. ---- */

/* Adds to an object; a NULL value (out of memory) empties the whole report, which is then answered with an error. */
void report_put(json_t **object, const char *key, json_t *value);
/* Takes any number: a worker may have written it. */
void report_put_number(json_t **object, const char *key, uint64_t value);
/* NULL and "" are null. */
void report_put_text(json_t **object, const char *key, const char *text);
/* 64 bits that stand for no amount, as text. */
json_t *report_hexadecimal(uint64_t value);

/* Who the worker is, and what became of those before. */
json_t *report_worker(const struct device *device);
/* The last crash of a worker: `requests`, which is taken over, are those that were in flight of this device, `suspects` so many. null when there was
 * none. */
json_t *report_crash(const struct device *device, uint64_t suspects, json_t *requests);
/* Why it is parked, by `request`, which is taken over. null when it is not. */
json_t *report_parked(const struct device *device, json_t *request);

/* For each device, NAME being "DOMID/DEVID". */
void report_each_device(const struct backend *backend, struct evbuffer *out,
                        void (*sample)(struct evbuffer *out, const struct device *device, const char *name));

#endif

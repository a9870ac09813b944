/* SPDX-License-Identifier: MIT */
/*
 * Reports are made when asked for. All text of crashes in them was checked when it was read (supervise/crash.c), and numbers from a worker are shown
 * as numbers; those of 64 bits that stand for no amount as text, since JSON's have a sign.
 */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <service/control.h>
#include <service/log.h>
#include <supervise/worker.h>

#include "backend.h"
#include "device.h"
#include "guest.h"
#include "kind.h"

/* "DOMID/DEVID", and what may follow. */
#define NAME_SIZE 48

static void name_device(const struct device *device, const char *tail, char ret_name[NAME_SIZE])
{
    snprintf(ret_name, NAME_SIZE, "%" PRIu32 "/%" PRIu32 "%s", device->guest->domid, device->devid, tail);
}

/* ---- Parts. -------------------------------------------------------------------------------------------------------------------- */

void report_put(json_t **object, const char *key, json_t *value)
{
    if (*object != NULL && json_object_set_new(*object, key, value) < 0) {
        json_decref(*object);
        *object = NULL;
    }
}

void report_put_number(json_t **object, const char *key, uint64_t value)
{
    report_put(object, key, json_integer((json_int_t)(value & INT64_MAX)));
}

void report_put_text(json_t **object, const char *key, const char *text)
{
    report_put(object, key, text != NULL && text[0] != '\0' ? json_string(text) : json_null());
}

json_t *report_hexadecimal(uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "0x%" PRIx64, value);
    return json_string(text);
}

json_t *report_worker(const struct device *device)
{
    const struct guest *guest = device->guest;
    json_t *worker = json_object();

    report_put_text(&worker, "state", guest_state_name(guest->state));
    report_put(&worker, "pid", guest->worker != NULL ? json_integer(worker_pid(guest->worker)) : json_null());
    report_put_text(&worker, "origin",
                    guest->worker == NULL              ? NULL
                    : worker_is_adopted(guest->worker) ? "adopted"
                                                       : "started");
    report_put_text(&worker, "version", guest->worker != NULL ? guest->build : NULL);
    report_put_number(&worker, "restarts", device->restarts.count);
    report_put_number(&worker, "guest_restarts", guest->restarts.count);
    report_put_text(&worker, "last_death", guest->restarts.last_death);
    report_put(&worker, "last_recovery_ms",
               device->restarts.recovery_ms >= 0 ? json_integer(device->restarts.recovery_ms) : json_null());
    return worker;
}

/* What a crash says of itself, into an object; takes it over and returns it, or NULL when out of memory. */
static json_t *add_death(json_t *object, const struct death *death)
{
    const struct crash_report *report = &death->report;
    json_t *backtrace = json_array();
    json_t *told;

    for (uint32_t i = 0; i < report->frame_count && i < CRASH_FRAMES_MAX; i++)
        json_array_append_new(backtrace, json_string(report->frames[i]));
    if (report->signal != 0)
        told = json_pack("{s:s, s:I, s:o, s:o}", "death", death->reason, "signal", (json_int_t)report->signal,
                         "address", report_hexadecimal(report->address), "backtrace", backtrace);
    else
        told = json_pack("{s:s, s:n, s:n, s:o}", "death", death->reason, "signal", "address", "backtrace", backtrace);
    if (object == NULL || told == NULL || json_object_update(object, told) < 0) {
        json_decref(object);
        object = NULL;
    }
    json_decref(told);
    return object;
}

json_t *report_crash(const struct device *device, uint64_t suspects, json_t *requests)
{
    const struct death *death = &device->guest->death;

    if (death->when == 0) {
        json_decref(requests);
        return json_null();
    }
    return add_death(json_pack("{s:I, s:I, s:o}", "when", (json_int_t)death->when, "suspects",
                               (json_int_t)(suspects & INT64_MAX), "requests", requests),
                     death);
}

json_t *report_parked(const struct device *device, json_t *request)
{
    const struct parking *parking = &device->parking;

    if (device->state != DEVICE_PARKED) {
        json_decref(request);
        return json_null();
    }
    return add_death(
        json_pack("{s:I, s:s, s:o}", "when", (json_int_t)parking->when, "version", parking->daemon, "request", request),
        &parking->death);
}

/* ---- Requests. ----------------------------------------------------------------------------------------------------------------- */

/* The device that is called that, with this after its name; NULL when there is none. */
static struct device *find_device(const struct backend *backend, const char *tail, const char *wanted)
{
    struct device *device;
    char name[NAME_SIZE];

    for (device = device_first(backend); device != NULL; device = device_next(device)) {
        name_device(device, tail, name);
        if (strcmp(name, wanted) == 0)
            break;
    }
    return device;
}

static void on_list(struct control_request *request, void *arg)
{
    const struct backend *backend = arg;
    json_t *devices = json_array();

    for (const struct device *device = device_first(backend); device != NULL; device = device_next(device)) {
        if (json_array_append_new(devices, backend->kind->report(device)) < 0) {
            json_decref(devices);
            devices = NULL;
        }
    }
    control_reply(request, json_pack("{s:o}", "devices", devices));
}

static void on_show(struct control_request *request, void *arg)
{
    const struct backend *backend = arg;
    const char *wanted = control_request_tail(request);
    const struct device *device = find_device(backend, "", wanted);

    if (device != NULL)
        control_reply(request, backend->kind->report(device));
    else
        control_reply_error(request, 404, "there is no %s %s", backend->config->device_kind, wanted);
}

static void resume(struct control_request *request, struct device *device)
{
    const char *kind = device_backend(device)->config->device_kind;
    char name[NAME_SIZE];

    name_device(device, "", name);
    if (parking_resume(device) < 0)
        control_reply_error(request, 409, "%s %s is not parked", kind, name);
    else
        control_reply(request, json_pack("{s:I, s:I, s:s}", "domid", (json_int_t)device->guest->domid, "devid",
                                         (json_int_t)device->devid, "activity", device_activity(device)));
}

static void on_post(struct control_request *request, void *arg)
{
    const struct backend *backend = arg;
    const char *wanted = control_request_tail(request);
    const char *verb = strrchr(wanted, '/');
    struct device *device = verb != NULL ? find_device(backend, verb, wanted) : NULL;

    if (device != NULL && strcmp(verb, "/resume") == 0)
        resume(request, device);
    else if (device == NULL || backend->kind->post == NULL || !backend->kind->post(device, verb + 1, request))
        control_reply_error(request, 404, "there is nothing to be told at %s %s", backend->config->device_kind, wanted);
}

/* ---- Metrics. -------------------------------------------------------------------------------------------------------------------- */

void report_each_device(const struct backend *backend, struct evbuffer *out,
                        void (*sample)(struct evbuffer *out, const struct device *device, const char *name))
{
    char name[NAME_SIZE];

    for (const struct device *device = device_first(backend); device != NULL; device = device_next(device)) {
        name_device(device, "", name);
        sample(out, device, name);
    }
}

static void on_metrics(struct evbuffer *out, void *arg)
{
    const struct backend *backend = arg;

    backend->kind->metrics(out, backend);
}

int report_open(struct backend *backend, struct control *control)
{
    int err = control_route(control, "GET", "/v1/devices", on_list, backend);

    if (err == 0)
        err = control_route(control, "GET", "/v1/devices/", on_show, backend);
    if (err == 0)
        err = control_route(control, "POST", "/v1/devices/", on_post, backend);
    if (err < 0) {
        log_error(NULL, "control socket: %s", strerror(-err));
        return err;
    }
    control_set_metrics(control, on_metrics, backend);
    return 0;
}

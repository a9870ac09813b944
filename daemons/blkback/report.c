/* SPDX-License-Identifier: MIT */
/*
 * Reports are made when asked for, from what the supervisor knows and from the counters a worker wrote. The latter is hostile: it is read with
 * pread(), checked to be of the right form, and shown as numbers.
 */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <service/control.h>
#include <service/log.h>
#include <supervise/rundir.h>
#include <supervise/worker.h>
#include <xendev/xenbus.h>

#include "blkback.h"
#include "counters.h"
#include "device.h"
#include "guest.h"
#include "report_crash.h"

static const char *const op_names[] = {"read", "write", "flush"};
_Static_assert(sizeof(op_names) / sizeof(op_names[0]) == BLKBACK_COUNTED_OPS, "one name an operation");

/* The counters of a device; all zero when there are none. */
static void read_counters(const struct device *device, struct blkback_counters *ret_counters)
{
    struct blkback_counters counters;

    memset(ret_counters, 0, sizeof(*ret_counters));
    if (rundir_read(device->dir, DEVICE_COUNTERS_FILE, &counters, sizeof(counters)) == 0 &&
        counters.magic == BLKBACK_COUNTERS_MAGIC && counters.version == BLKBACK_COUNTERS_VERSION)
        *ret_counters = counters;
}

/* A worker may have written any number. */
static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)(value & INT64_MAX));
}

/* ---- One device as JSON. ----------------------------------------------------------------------------------------------------- */

/* Adds to an object; a NULL value (out of memory) empties the whole report, which is then answered with an error. */
static void put(json_t **object, const char *key, json_t *value)
{
    if (*object != NULL && json_object_set_new(*object, key, value) < 0) {
        json_decref(*object);
        *object = NULL;
    }
}

static void put_number(json_t **object, const char *key, uint64_t value)
{
    put(object, key, number(value));
}

static void put_text(json_t **object, const char *key, const char *text)
{
    put(object, key, text != NULL && text[0] != '\0' ? json_string(text) : json_null());
}

static json_t *report_ring(const struct device *device, const struct blkback_counters *counters)
{
    json_t *ring = json_object();

    if (device->state != DEVICE_CONNECTED && device->state != DEVICE_RECOVERING && device->state != DEVICE_PARKED) {
        json_decref(ring);
        return json_null();
    }
    put_text(&ring, "protocol", blkif_abi_name((enum blkif_abi)device->connection.abi));
    put_number(&ring, "order", device->connection.ring_order);
    put_number(&ring, "event_channel", device->connection.event_channel);
    put_number(&ring, "slots", counters->slots);
    put_number(&ring, "in_flight", counters->in_flight);
    put_number(&ring, "req_prod", counters->req_prod);
    put_number(&ring, "req_cons", counters->req_cons);
    put_number(&ring, "rsp_prod", counters->rsp_prod);
    put_number(&ring, "req_event", counters->req_event);
    put_number(&ring, "rsp_event", counters->rsp_event);
    return ring;
}

/* One number for each operation. */
static json_t *report_operations(const uint64_t values[BLKBACK_COUNTED_OPS])
{
    json_t *operations = json_object();

    for (int op = 0; op < BLKBACK_COUNTED_OPS; op++)
        put_number(&operations, op_names[op], values[op]);
    return operations;
}

static json_t *report_errors(const struct blkback_counters *counters)
{
    json_t *errors = json_object();

    for (int fault = BLKIF_FAULT_NONE + 1; fault < BLKIF_FAULTS; fault++)
        put_number(&errors, blkif_fault_name((enum blkif_fault)fault), counters->faults[fault]);
    return errors;
}

static json_t *report_polls(const struct blkback_counters *counters)
{
    json_t *polls = json_object();

    put_number(&polls, "hit", counters->polls_hit);
    put_number(&polls, "missed", counters->polls_missed);
    return polls;
}

static json_t *report_grants(const struct device *device, const struct blkback_counters *counters)
{
    json_t *grants = json_object();

    put_number(&grants, "persistent", device->connection.persistent);
    put_number(&grants, "mapped", counters->grants_mapped);
    put_number(&grants, "requests", counters->requests_mapped);
    return grants;
}

static json_t *report_worker(const struct device *device)
{
    const struct guest *guest = device->guest;
    json_t *worker = json_object();

    put_text(&worker, "state", guest_state_name(guest->state));
    put(&worker, "pid", guest->worker != NULL ? json_integer(worker_pid(guest->worker)) : json_null());
    put_text(&worker, "origin",
             guest->worker == NULL              ? NULL
             : worker_is_adopted(guest->worker) ? "adopted"
                                                : "started");
    put_text(&worker, "version", guest->worker != NULL ? guest->build : NULL);
    put_number(&worker, "restarts", device->restarts.count);
    put_number(&worker, "guest_restarts", guest->restarts.count);
    put_text(&worker, "last_death", guest->restarts.last_death);
    put(&worker, "last_recovery_ms",
        device->restarts.recovery_ms >= 0 ? json_integer(device->restarts.recovery_ms) : json_null());
    return worker;
}

static json_t *report_device(const struct device *device)
{
    const struct disk_kind *kind = device->image.source.kind;
    struct blkback_counters counters;
    json_t *report = json_object();

    read_counters(device, &counters);
    put_number(&report, "domid", device->guest->domid);
    put_number(&report, "devid", device->devid);
    put_text(&report, "name", device->image.vdev);
    put_text(&report, "kind", kind != NULL ? disk_kind_name(kind) : NULL);
    put_text(&report, "source", device->image.spec);
    put_text(&report, "mode", device->image.read_only ? "ro" : "rw");
    put_number(&report, "size", device->sectors * DISK_SECTOR_SIZE);
    put_number(&report, "sector_size", device->sector_size);
    put_number(&report, "physical_sector_size", device->physical_sector_size);
    put_text(&report, "state", xenbus_state_name(device_own_state(device)));
    put_text(&report, "front_state", xenbus_state_name(device_front_state(device)));
    put_text(&report, "activity", device_state_name(device->state));
    put_text(&report, "last_error", device_last_error(device));
    put(&report, "ring", report_ring(device, &counters));
    put(&report, "requests", report_operations(counters.requests));
    put(&report, "bytes", report_operations(counters.bytes));
    put(&report, "errors", report_errors(&counters));
    put_number(&report, "replayed", counters.replayed);
    put_number(&report, "events", counters.events);
    put_number(&report, "notifications", counters.notifications);
    put(&report, "polls", report_polls(&counters));
    put(&report, "grants", report_grants(device, &counters));
    put_number(&report, "recovery_ns", counters.recovery_ns);
    put(&report, "worker", report_worker(device));
    put(&report, "crash", report_crash(device));
    put(&report, "parked", report_parked(device));
    return report;
}

/* ---- Requests. ----------------------------------------------------------------------------------------------------------------- */

static void on_list(struct control_request *request, void *arg)
{
    const struct blkback *blkback = arg;
    json_t *devices = json_array();
    const struct guest *guest;
    const struct device *device;

    LIST_FOREACH (guest, &blkback->guests, entry) {
        LIST_FOREACH (device, &guest->devices, entry) {
            if (json_array_append_new(devices, report_device(device)) < 0) {
                json_decref(devices);
                devices = NULL;
            }
        }
    }
    control_reply(request, json_pack("{s:o}", "devices", devices));
}

static void on_show(struct control_request *request, void *arg)
{
    const struct blkback *blkback = arg;
    const char *wanted = control_request_tail(request);
    const struct guest *guest;
    const struct device *device;
    char name[32];

    LIST_FOREACH (guest, &blkback->guests, entry) {
        LIST_FOREACH (device, &guest->devices, entry) {
            snprintf(name, sizeof(name), "%" PRIu32 "/%" PRIu32, guest->domid, device->devid);
            if (strcmp(name, wanted) == 0) {
                control_reply(request, report_device(device));
                return;
            }
        }
    }
    control_reply_error(request, 404, "there is no %s %s", blkback->config.kind, wanted);
}

/* ---- Metrics. -------------------------------------------------------------------------------------------------------------------- */

static void each_device(const struct blkback *blkback, struct evbuffer *out,
                        void (*sample)(struct evbuffer *out, const struct device *device, const char *name))
{
    const struct guest *guest;
    const struct device *device;
    char name[32];

    LIST_FOREACH (guest, &blkback->guests, entry) {
        LIST_FOREACH (device, &guest->devices, entry) {
            snprintf(name, sizeof(name), "%" PRIu32 "/%" PRIu32, guest->domid, device->devid);
            sample(out, device, name);
        }
    }
}

static void sample_requests(struct evbuffer *out, const struct device *device, const char *name)
{
    struct blkback_counters counters;

    read_counters(device, &counters);
    for (int op = 0; op < BLKBACK_COUNTED_OPS; op++) {
        const char *const labels[] = {"device", name, "operation", op_names[op], NULL};
        control_metric_sample(out, "ringback_blkback_requests_total", labels, counters.requests[op]);
    }
}

static void sample_bytes(struct evbuffer *out, const struct device *device, const char *name)
{
    struct blkback_counters counters;

    read_counters(device, &counters);
    for (int op = 0; op < BLKBACK_COUNTED_OPS; op++) {
        const char *const labels[] = {"device", name, "operation", op_names[op], NULL};
        control_metric_sample(out, "ringback_blkback_bytes_total", labels, counters.bytes[op]);
    }
}

static void sample_faults(struct evbuffer *out, const struct device *device, const char *name)
{
    struct blkback_counters counters;

    read_counters(device, &counters);
    for (int fault = BLKIF_FAULT_NONE + 1; fault < BLKIF_FAULTS; fault++) {
        const char *const labels[] = {"device", name, "reason", blkif_fault_name((enum blkif_fault)fault), NULL};
        control_metric_sample(out, "ringback_blkback_faults_total", labels, counters.faults[fault]);
    }
}

static void sample_polls(struct evbuffer *out, const struct device *device, const char *name)
{
    struct blkback_counters counters;

    read_counters(device, &counters);
    const char *const hit[] = {"device", name, "result", "hit", NULL};
    control_metric_sample(out, "ringback_blkback_polls_total", hit, counters.polls_hit);
    const char *const missed[] = {"device", name, "result", "missed", NULL};
    control_metric_sample(out, "ringback_blkback_polls_total", missed, counters.polls_missed);
}

static void sample_mapped(struct evbuffer *out, const struct device *device, const char *name)
{
    const char *const labels[] = {"device", name, NULL};
    struct blkback_counters counters;

    read_counters(device, &counters);
    control_metric_sample(out, "ringback_blkback_grants_mapped", labels, counters.grants_mapped);
}

static void sample_requests_mapped(struct evbuffer *out, const struct device *device, const char *name)
{
    const char *const labels[] = {"device", name, NULL};
    struct blkback_counters counters;

    read_counters(device, &counters);
    control_metric_sample(out, "ringback_blkback_requests_mapped_total", labels, counters.requests_mapped);
}

static void sample_restarts(struct evbuffer *out, const struct device *device, const char *name)
{
    const char *const labels[] = {"device", name, NULL};

    control_metric_sample(out, "ringback_blkback_worker_restarts_total", labels, device->restarts.count);
}

static void sample_parked(struct evbuffer *out, const struct device *device, const char *name)
{
    const char *const labels[] = {"device", name, NULL};

    control_metric_sample(out, "ringback_blkback_parked", labels, device->state == DEVICE_PARKED);
}

static void on_metrics(struct evbuffer *out, void *arg)
{
    const struct blkback *blkback = arg;

    control_metric_describe(out, "ringback_blkback_requests_total", "counter", "Requests accepted.");
    each_device(blkback, out, sample_requests);
    control_metric_describe(out, "ringback_blkback_bytes_total", "counter", "Bytes moved by completed requests.");
    each_device(blkback, out, sample_bytes);
    control_metric_describe(out, "ringback_blkback_faults_total", "counter", "Requests refused or failed.");
    each_device(blkback, out, sample_faults);
    control_metric_describe(out, "ringback_blkback_grants_mapped", "gauge", "Pages of the guest that are kept mapped.");
    each_device(blkback, out, sample_mapped);
    control_metric_describe(out, "ringback_blkback_requests_mapped_total", "counter",
                            "Requests served without a copy of their data.");
    each_device(blkback, out, sample_requests_mapped);
    control_metric_describe(out, "ringback_blkback_polls_total", "counter",
                            "Times an idle disk was watched, and a request came or not.");
    each_device(blkback, out, sample_polls);
    control_metric_describe(out, "ringback_blkback_worker_restarts_total", "counter",
                            "Workers that ended under a connected device.");
    each_device(blkback, out, sample_restarts);
    control_metric_describe(out, "ringback_blkback_parked", "gauge",
                            "Whether the device is not served because a request crashed its workers.");
    each_device(blkback, out, sample_parked);
}

int report_open(struct blkback *blkback, struct control *control)
{
    int err = control_route(control, "GET", "/v1/devices", on_list, blkback);

    if (err == 0)
        err = control_route(control, "GET", "/v1/devices/", on_show, blkback);
    if (err == 0)
        err = control_route(control, "POST", "/v1/devices/", report_on_post, blkback);
    if (err < 0) {
        log_error(NULL, "control socket: %s", strerror(-err));
        return err;
    }
    control_set_metrics(control, on_metrics, blkback);
    return 0;
}

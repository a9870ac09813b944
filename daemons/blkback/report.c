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

static const char *const op_names[] = {"read", "write", "flush"};
_Static_assert(sizeof(op_names) / sizeof(op_names[0]) == BLKBACK_COUNTED_OPS, "one name an operation");

/* The counters of a device; all zero when there are none. */
static void read_counters(const struct device *device, struct blkback_counters *ret_counters)
{
    struct blkback_counters counters;

    memset(ret_counters, 0, sizeof(*ret_counters));
    if (rundir_read(device->dir, "counters", &counters, sizeof(counters)) == 0 &&
        counters.magic == BLKBACK_COUNTERS_MAGIC && counters.version == BLKBACK_COUNTERS_VERSION)
        *ret_counters = counters;
}

/* A worker may have written any number. */
static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)(value & INT64_MAX));
}

/* NULL for no string. */
static json_t *text_or_null(const char *text)
{
    return text != NULL && text[0] != '\0' ? json_string(text) : json_null();
}

/* ---- One device as JSON. ----------------------------------------------------------------------------------------------------- */

static json_t *report_disk(const struct device *device)
{
    return json_pack(
        "{s:o, s:o, s:s, s:o, s:o, s:o}", "spec", text_or_null(device->image.spec), "kind",
        device->image.source.kind != NULL ? json_string(disk_kind_name(device->image.source.kind)) : json_null(),
        "mode", device->image.read_only ? "ro" : "rw", "bytes", number(device->sectors * DISK_SECTOR_SIZE),
        "sector-size", number(device->sector_size), "physical-sector-size", number(device->physical_sector_size));
}

static json_t *report_ring(const struct device *device, const struct blkback_counters *counters)
{
    if (device->state != DEVICE_CONNECTED && device->state != DEVICE_RECOVERING)
        return json_null();
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "protocol",
                     blkif_abi_name((enum blkif_abi)device->connection.abi), "order",
                     number(device->connection.ring_order), "slots", number(counters->slots), "event-channel",
                     number(device->connection.event_channel), "req-prod", number(counters->req_prod), "req-event",
                     number(counters->req_event), "req-cons", number(counters->req_cons), "rsp-prod",
                     number(counters->rsp_prod), "rsp-event", number(counters->rsp_event), "in-flight",
                     number(counters->in_flight));
}

static json_t *report_requests(const struct blkback_counters *counters)
{
    json_t *requests = json_object();

    for (int op = 0; op < BLKBACK_COUNTED_OPS; op++)
        json_object_set_new(
            requests, op_names[op],
            json_pack("{s:o, s:o}", "count", number(counters->requests[op]), "bytes", number(counters->bytes[op])));
    return requests;
}

static json_t *report_faults(const struct blkback_counters *counters)
{
    json_t *faults = json_object();

    for (int fault = BLKIF_FAULT_NONE + 1; fault < BLKIF_FAULTS; fault++)
        json_object_set_new(faults, blkif_fault_name((enum blkif_fault)fault), number(counters->faults[fault]));
    return faults;
}

static json_t *report_worker(const struct device *device, const struct blkback_counters *counters)
{
    const struct guest *guest = device->guest;

    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "state", guest_state_name(guest->state), "pid",
                     guest->state == GUEST_SERVED ? json_integer(worker_pid(guest->worker)) : json_null(), "restarts",
                     number(guest->restarts), "device-restarts", number(device->restarts), "last-death",
                     text_or_null(guest->last_death), "last-recovery-ms",
                     device->recovery_ms >= 0 ? json_integer(device->recovery_ms) : json_null(), "last-recovery-ns",
                     number(counters->recovery_ns), "replayed", number(counters->replayed));
}

static json_t *report_device(const struct device *device)
{
    struct blkback_counters counters;
    char name[32];

    read_counters(device, &counters);
    snprintf(name, sizeof(name), "%" PRIu32 "/%" PRIu32, device->guest->domid, device->devid);
    return json_pack(
        "{s:s, s:o, s:o, s:s, s:o, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", name, "domid",
        number(device->guest->domid), "devid", number(device->devid), "kind", device->guest->blkback->config.kind,
        "vdev", text_or_null(device->image.vdev), "state", xenbus_state_name(xendev_backend_state(device->backend)),
        "frontend-state", xenbus_state_name(xendev_backend_front_state(device->backend)), "doing",
        device_state_name(device->state), "disk", report_disk(device), "ring", report_ring(device, &counters),
        "requests", report_requests(&counters), "faults", report_faults(&counters), "events", number(counters.events),
        "notifications", number(counters.notifications), "worker", report_worker(device, &counters), "last-error",
        text_or_null(xendev_backend_error(device->backend)));
}

/* ---- Requests. ----------------------------------------------------------------------------------------------------------------- */

static void on_list(struct control_request *request, void *arg)
{
    const struct blkback *blkback = arg;
    json_t *devices = json_array();
    const struct guest *guest;
    const struct device *device;

    LIST_FOREACH (guest, &blkback->guests, entry) {
        LIST_FOREACH (device, &guest->devices, entry)
            json_array_append_new(devices, report_device(device));
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

static void sample_restarts(struct evbuffer *out, const struct device *device, const char *name)
{
    const char *const labels[] = {"device", name, NULL};

    control_metric_sample(out, "ringback_blkback_worker_restarts_total", labels, device->restarts);
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
    control_metric_describe(out, "ringback_blkback_worker_restarts_total", "counter",
                            "Workers that ended under a connected device.");
    each_device(blkback, out, sample_restarts);
}

int report_open(struct blkback *blkback, struct control *control)
{
    int err = control_route(control, "GET", "/v1/devices", on_list, blkback);

    if (err == 0)
        err = control_route(control, "GET", "/v1/devices/", on_show, blkback);
    if (err < 0) {
        log_error(NULL, "control socket: %s", strerror(-err));
        return err;
    }
    control_set_metrics(control, on_metrics, blkback);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Reports are made when asked for, from what the supervisor knows and from the counters a worker wrote. The latter is hostile: it is read with
 * pread(), checked to be of the right form, and shown as numbers.
 */
#include "report.h"

#include <stdio.h>
#include <string.h>

#include <backend/device.h>
#include <backend/guest.h>
#include <backend/report.h>
#include <service/control.h>
#include <supervise/rundir.h>
#include <xendev/xenbus.h>

#include "counters.h"
#include "limits.h"
#include "suspects.h"
#include "vbd.h"

static const char *const op_names[] = {"read", "write", "flush", "discard"};
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

/* The sum of all queues, those of earlier connections too; not of indices. */
static void total_counters(const struct device *device, struct blkback_queue_counters *ret_total)
{
    struct blkback_counters counters;
    struct blkback_queue_counters total = {0};

    read_counters(device, &counters);
    for (unsigned i = 0; i < BLKBACK_QUEUES_MAX; i++) {
        const struct blkback_queue_counters *queue = &counters.queues[i];
        for (int op = 0; op < BLKBACK_COUNTED_OPS; op++) {
            total.requests[op] += queue->requests[op];
            total.bytes[op] += queue->bytes[op];
        }
        for (int fault = 0; fault < BLKIF_FAULTS; fault++)
            total.faults[fault] += queue->faults[fault];
        total.requests_indirect += queue->requests_indirect;
        total.requests_barrier += queue->requests_barrier;
        total.replayed += queue->replayed;
        total.events += queue->events;
        total.notifications += queue->notifications;
        total.polls_hit += queue->polls_hit;
        total.polls_missed += queue->polls_missed;
        total.requests_mapped += queue->requests_mapped;
        total.grants_mapped += queue->grants_mapped;
        total.throttled += queue->throttled;
        total.throttled_ns += queue->throttled_ns;
        total.in_flight += queue->in_flight;
        total.slots += queue->slots;
    }
    *ret_total = total;
}

/* ---- One device as JSON. ----------------------------------------------------------------------------------------------------- */

static json_t *report_request(const struct blkback_request *request)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:o, s:I}", "operation", suspects_operation(request->code), "sector",
                     (json_int_t)(request->sector & INT64_MAX), "sectors", (json_int_t)request->sectors, "segments",
                     (json_int_t)request->segments, "id", report_hexadecimal(request->id), "attempts",
                     (json_int_t)request->attempts);
}

static json_t *report_suspects(const struct blkback_suspects *suspects)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < suspects->told && i < BLKBACK_SUSPECTS_TOLD; i++)
        json_array_append_new(list, report_request(&suspects->requests[i]));
    return list;
}

static json_t *report_parked_request(const struct device *device)
{
    struct blkback_request request;

    memcpy(&request, device->parking.request, sizeof(request));
    return report_request(&request);
}

static bool has_rings(const struct device *device)
{
    return device->state == DEVICE_CONNECTED || device->state == DEVICE_RECOVERING || device->state == DEVICE_PARKED;
}

/* What all rings have in common, and all of them have together. */
static json_t *report_ring(const struct vbd *vbd, const struct blkback_queue_counters *total)
{
    json_t *ring;

    if (!has_rings(&vbd->device))
        return json_null();
    ring = json_object();
    report_put_text(&ring, "protocol", blkif_abi_name((enum blkif_abi)vbd->connection.abi));
    report_put_number(&ring, "order", vbd->connection.ring_order);
    report_put_number(&ring, "slots", total->slots);
    report_put_number(&ring, "in_flight", total->in_flight);
    return ring;
}

/* One number for each operation. */
static json_t *report_operations(const uint64_t values[BLKBACK_COUNTED_OPS])
{
    json_t *operations = json_object();

    for (int op = 0; op < BLKBACK_COUNTED_OPS; op++)
        report_put_number(&operations, op_names[op], values[op]);
    return operations;
}

static json_t *report_errors(const struct blkback_queue_counters *counters)
{
    json_t *errors = json_object();

    for (int fault = BLKIF_FAULT_NONE + 1; fault < BLKIF_FAULTS; fault++)
        report_put_number(&errors, blkif_fault_name((enum blkif_fault)fault), counters->faults[fault]);
    return errors;
}

static json_t *report_polls(const struct blkback_queue_counters *counters)
{
    json_t *polls = json_object();

    report_put_number(&polls, "hit", counters->polls_hit);
    report_put_number(&polls, "missed", counters->polls_missed);
    return polls;
}

static json_t *report_grants(const struct vbd *vbd, const struct blkback_queue_counters *counters)
{
    json_t *grants = json_object();

    report_put_number(&grants, "persistent", vbd->connection.persistent);
    report_put_number(&grants, "mapped", counters->grants_mapped);
    report_put_number(&grants, "requests", counters->requests_mapped);
    return grants;
}

static json_t *report_indirect(const struct vbd *vbd, const struct blkback_queue_counters *counters)
{
    json_t *indirect = json_object();

    report_put_number(&indirect, "segments", vbd->connection.indirect_segments);
    report_put_number(&indirect, "requests", counters->requests_indirect);
    return indirect;
}

static json_t *report_queue(const struct vbd *vbd, unsigned index, const struct blkback_queue_counters *counters)
{
    json_t *queue = json_object();

    report_put_number(&queue, "event_channel", vbd->connection.queues[index].event_channel);
    report_put_number(&queue, "slots", counters->slots);
    report_put_number(&queue, "in_flight", counters->in_flight);
    report_put_number(&queue, "req_prod", counters->req_prod);
    report_put_number(&queue, "req_cons", counters->req_cons);
    report_put_number(&queue, "rsp_prod", counters->rsp_prod);
    report_put_number(&queue, "req_event", counters->req_event);
    report_put_number(&queue, "rsp_event", counters->rsp_event);
    report_put(&queue, "requests", report_operations(counters->requests));
    report_put(&queue, "indirect", report_indirect(vbd, counters));
    report_put_number(&queue, "barriers", counters->requests_barrier);
    report_put(&queue, "bytes", report_operations(counters->bytes));
    report_put(&queue, "errors", report_errors(counters));
    report_put_number(&queue, "replayed", counters->replayed);
    report_put_number(&queue, "events", counters->events);
    report_put_number(&queue, "notifications", counters->notifications);
    report_put(&queue, "polls", report_polls(counters));
    report_put(&queue, "grants", report_grants(vbd, counters));
    return queue;
}

static json_t *report_queues(const struct vbd *vbd, const struct blkback_counters *counters)
{
    json_t *queues = json_array();

    for (uint32_t i = 0; has_rings(&vbd->device) && i < vbd->connection.queue_count; i++)
        json_array_append_new(queues, report_queue(vbd, i, &counters->queues[i]));
    return queues;
}

json_t *report_vbd(const struct device *device)
{
    const struct vbd *vbd = vbd_of_const(device);
    const struct disk_kind *kind = vbd->image.source.kind;
    struct blkback_counters counters;
    struct blkback_queue_counters total;
    json_t *report = json_object();

    read_counters(device, &counters);
    total_counters(device, &total);
    report_put_number(&report, "domid", device->guest->domid);
    report_put_number(&report, "devid", device->devid);
    report_put_text(&report, "name", vbd->image.vdev);
    report_put_text(&report, "kind", kind != NULL ? disk_kind_name(kind) : NULL);
    report_put_text(&report, "source", vbd->image.spec);
    report_put(&report, "parents", chain_report(vbd));
    report_put(&report, "server", server_report(vbd));
    report_put_text(&report, "mode", vbd->image.read_only ? "ro" : "rw");
    report_put_number(&report, "size", vbd->sectors * DISK_SECTOR_SIZE);
    report_put(&report, "resizing",
               vbd->resize.wanted != 0 ? json_integer((json_int_t)vbd->resize.wanted) : json_null());
    report_put_text(&report, "resize_error", vbd->resize.error);
    report_put(&report, "snapshot", snapshot_report(vbd));
    report_put_text(&report, "snapshot_error", vbd->snapshot.error);
    report_put(&report, "coalesce", coalesce_report(vbd, counters.pulled));
    report_put_text(&report, "coalesce_error", vbd->coalesce.error);
    report_put_number(&report, "sector_size", vbd->sector_size);
    report_put_number(&report, "physical_sector_size", vbd->physical_sector_size);
    report_put_number(&report, "discard_granularity", vbd->discard_granularity);
    report_put_text(&report, "state", xenbus_state_name(device_own_state(device)));
    report_put_text(&report, "front_state", xenbus_state_name(device_front_state(device)));
    report_put_text(&report, "activity", device_activity(device));
    report_put_text(&report, "last_error", device_last_error(device));
    report_put(&report, "ring", report_ring(vbd, &total));
    report_put(&report, "queues", report_queues(vbd, &counters));
    report_put(&report, "requests", report_operations(total.requests));
    report_put(&report, "indirect", report_indirect(vbd, &total));
    report_put_number(&report, "barriers", total.requests_barrier);
    report_put(&report, "bytes", report_operations(total.bytes));
    report_put(&report, "errors", report_errors(&total));
    report_put_number(&report, "replayed", total.replayed);
    report_put_number(&report, "events", total.events);
    report_put_number(&report, "notifications", total.notifications);
    report_put(&report, "polls", report_polls(&total));
    report_put(&report, "grants", report_grants(vbd, &total));
    report_put(&report, "throttle", limits_report(vbd, &total));
    report_put_number(&report, "recovery_ns", counters.recovery_ns);
    report_put(&report, "worker", report_worker(device));
    report_put(&report, "crash", report_crash(device, vbd->suspects.count, report_suspects(&vbd->suspects)));
    report_put(&report, "parked", report_parked(device, report_parked_request(device)));
    return report;
}

/* ---- Metrics. -------------------------------------------------------------------------------------------------------------------- */

/* Of each queue of the connection. */
static void sample_queues(struct evbuffer *out, const struct device *device, const char *name)
{
    struct blkback_counters counters;

    read_counters(device, &counters);
    for (uint32_t i = 0; has_rings(device) && i < vbd_of_const(device)->connection.queue_count; i++)
        for (int op = 0; op < BLKBACK_COUNTED_OPS; op++) {
            char queue[16];
            snprintf(queue, sizeof(queue), "%u", i);
            const char *const labels[] = {"device", name, "queue", queue, "operation", op_names[op], NULL};
            control_metric_sample(out, "ringback_blkback_queue_requests_total", labels,
                                  counters.queues[i].requests[op]);
        }
}

static void sample_requests(struct evbuffer *out, const struct device *device, const char *name)
{
    struct blkback_queue_counters counters;

    total_counters(device, &counters);
    for (int op = 0; op < BLKBACK_COUNTED_OPS; op++) {
        const char *const labels[] = {"device", name, "operation", op_names[op], NULL};
        control_metric_sample(out, "ringback_blkback_requests_total", labels, counters.requests[op]);
    }
}

static void sample_bytes(struct evbuffer *out, const struct device *device, const char *name)
{
    struct blkback_queue_counters counters;

    total_counters(device, &counters);
    for (int op = 0; op < BLKBACK_COUNTED_OPS; op++) {
        const char *const labels[] = {"device", name, "operation", op_names[op], NULL};
        control_metric_sample(out, "ringback_blkback_bytes_total", labels, counters.bytes[op]);
    }
}

static void sample_faults(struct evbuffer *out, const struct device *device, const char *name)
{
    struct blkback_queue_counters counters;

    total_counters(device, &counters);
    for (int fault = BLKIF_FAULT_NONE + 1; fault < BLKIF_FAULTS; fault++) {
        const char *const labels[] = {"device", name, "reason", blkif_fault_name((enum blkif_fault)fault), NULL};
        control_metric_sample(out, "ringback_blkback_faults_total", labels, counters.faults[fault]);
    }
}

static void sample_polls(struct evbuffer *out, const struct device *device, const char *name)
{
    struct blkback_queue_counters counters;

    total_counters(device, &counters);
    const char *const hit[] = {"device", name, "result", "hit", NULL};
    control_metric_sample(out, "ringback_blkback_polls_total", hit, counters.polls_hit);
    const char *const missed[] = {"device", name, "result", "missed", NULL};
    control_metric_sample(out, "ringback_blkback_polls_total", missed, counters.polls_missed);
}

static void sample_mapped(struct evbuffer *out, const struct device *device, const char *name)
{
    const char *const labels[] = {"device", name, NULL};
    struct blkback_queue_counters counters;

    total_counters(device, &counters);
    control_metric_sample(out, "ringback_blkback_grants_mapped", labels, counters.grants_mapped);
}

static void sample_requests_mapped(struct evbuffer *out, const struct device *device, const char *name)
{
    const char *const labels[] = {"device", name, NULL};
    struct blkback_queue_counters counters;

    total_counters(device, &counters);
    control_metric_sample(out, "ringback_blkback_requests_mapped_total", labels, counters.requests_mapped);
}

static void sample_requests_indirect(struct evbuffer *out, const struct device *device, const char *name)
{
    const char *const labels[] = {"device", name, NULL};
    struct blkback_queue_counters counters;

    total_counters(device, &counters);
    control_metric_sample(out, "ringback_blkback_requests_indirect_total", labels, counters.requests_indirect);
}

static void sample_requests_barrier(struct evbuffer *out, const struct device *device, const char *name)
{
    const char *const labels[] = {"device", name, NULL};
    struct blkback_queue_counters counters;

    total_counters(device, &counters);
    control_metric_sample(out, "ringback_blkback_requests_barrier_total", labels, counters.requests_barrier);
}

static void sample_throttled(struct evbuffer *out, const struct device *device, const char *name)
{
    const char *const labels[] = {"device", name, NULL};
    struct blkback_queue_counters counters;

    total_counters(device, &counters);
    control_metric_sample(out, "ringback_blkback_throttled_total", labels, counters.throttled);
}

static void sample_throttled_ns(struct evbuffer *out, const struct device *device, const char *name)
{
    const char *const labels[] = {"device", name, NULL};
    struct blkback_queue_counters counters;

    total_counters(device, &counters);
    control_metric_sample(out, "ringback_blkback_throttled_ns_total", labels, counters.throttled_ns);
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

void report_metrics(struct evbuffer *out, const struct backend *backend)
{
    control_metric_describe(out, "ringback_blkback_requests_total", "counter", "Requests accepted.");
    report_each_device(backend, out, sample_requests);
    control_metric_describe(out, "ringback_blkback_queue_requests_total", "counter", "The same of each queue.");
    report_each_device(backend, out, sample_queues);
    control_metric_describe(out, "ringback_blkback_bytes_total", "counter", "Bytes moved by completed requests.");
    report_each_device(backend, out, sample_bytes);
    control_metric_describe(out, "ringback_blkback_faults_total", "counter", "Requests refused or failed.");
    report_each_device(backend, out, sample_faults);
    control_metric_describe(out, "ringback_blkback_grants_mapped", "gauge", "Pages of the guest that are kept mapped.");
    report_each_device(backend, out, sample_mapped);
    control_metric_describe(out, "ringback_blkback_requests_mapped_total", "counter",
                            "Requests served without a copy of their data.");
    report_each_device(backend, out, sample_requests_mapped);
    control_metric_describe(out, "ringback_blkback_requests_indirect_total", "counter",
                            "Requests with their segments in a page of their own.");
    report_each_device(backend, out, sample_requests_indirect);
    control_metric_describe(out, "ringback_blkback_requests_barrier_total", "counter",
                            "Writes and flushes that were barriers.");
    report_each_device(backend, out, sample_requests_barrier);
    control_metric_describe(out, "ringback_blkback_polls_total", "counter",
                            "Times an idle disk was watched, and a request came or not.");
    report_each_device(backend, out, sample_polls);
    control_metric_describe(out, "ringback_blkback_throttled_total", "counter",
                            "Times the disk's limits made requests wait.");
    report_each_device(backend, out, sample_throttled);
    control_metric_describe(out, "ringback_blkback_throttled_ns_total", "counter",
                            "Nanoseconds for which requests waited for the disk's limits.");
    report_each_device(backend, out, sample_throttled_ns);
    control_metric_describe(out, "ringback_blkback_worker_restarts_total", "counter",
                            "Workers that ended under a connected device.");
    report_each_device(backend, out, sample_restarts);
    control_metric_describe(out, "ringback_blkback_parked", "gauge",
                            "Whether the device is not served because a request crashed its workers.");
    report_each_device(backend, out, sample_parked);
}

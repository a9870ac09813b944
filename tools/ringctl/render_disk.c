/* SPDX-License-Identifier: MIT */
/*
 * Disks.
 */
#include "render.h"

#include "render_parts.h"

static void disk_state(const json_t *device, char cell[CELL_SIZE])
{
    const char *state = json_string_value(json_object_get(device, "state"));
    /* Connected is what its guest sees; nobody serves it. */
    if (json_is_object(json_object_get(device, "parked")))
        state = "Parked";
    snprintf(cell, CELL_SIZE, "%s", state != NULL ? state : "-");
}

static const struct column disk_columns[] = {
    {"DOM", "domid", COLUMN_NUMBER, NULL},
    {"DEV", "devid", COLUMN_NUMBER, NULL},
    {"NAME", "name", COLUMN_TEXT, NULL},
    {"KIND", "kind", COLUMN_TEXT, NULL},
    {"SIZE", "size", COLUMN_SIZE, NULL},
    {"MODE", "mode", COLUMN_TEXT, NULL},
    {"STATE", "state", COLUMN_TEXT, disk_state},
    {"RING", "ring.slots", COLUMN_NUMBER, NULL},
    {"INFLIGHT", "ring.in_flight", COLUMN_NUMBER, NULL},
    {"READ", "bytes.read", COLUMN_SIZE, NULL},
    {"WRITTEN", "bytes.write", COLUMN_SIZE, NULL},
    {"RESTARTS", "worker.restarts", COLUMN_NUMBER, NULL},
    {"SOURCE", "source", COLUMN_TEXT, NULL},
};

void render_disks(const json_t *devices, FILE *stream)
{
    render_table(devices, disk_columns, sizeof(disk_columns) / sizeof(disk_columns[0]), stream);
}

/* ---- One disk. -------------------------------------------------------------------------------------------------- */

static const struct line disk_lines[] = {
    {"disk", "kind", "kind", false},
    {"disk", "source", "source", false},
    {"disk", "mode", "mode", false},
    {"disk", "server connected", "server.connected", false},
    {"disk", "server trouble", "server.error", false},
    {"disk", "size", "size", true},
    {"disk", "sector size", "sector_size", false},
    {"disk", "physical sector", "physical_sector_size", false},
    {"disk", "discards of", "discard_granularity", false},
    {"ring", "protocol", "ring.protocol", false},
    {"ring", "order", "ring.order", false},
    {"ring", "slots", "ring.slots", false},
    {"ring", "in flight", "ring.in_flight", false},
    {"requests", "read", "requests.read", false},
    {"requests", "write", "requests.write", false},
    {"requests", "flush", "requests.flush", false},
    {"requests", "discard", "requests.discard", false},
    {"requests", "indirect", "indirect.requests", false},
    {"requests", "barriers", "barriers", false},
    {"requests", "bytes read", "bytes.read", true},
    {"requests", "bytes written", "bytes.write", true},
    {"requests", "bytes discarded", "bytes.discard", true},
    {"requests", "replayed", "replayed", false},
    {"requests", "events", "events", false},
    {"requests", "notifications", "notifications", false},
    {"requests", "not copied", "grants.requests", false},
    {"requests", "pages mapped", "grants.mapped", false},
    {"requests", "polls hit", "polls.hit", false},
    {"requests", "polls missed", "polls.missed", false},
    {"limits", "requests/s", "throttle.iops_total", false},
    {"limits", "at once", "throttle.iops_total_max", false},
    {"limits", "bytes/s", "throttle.bps_total", true},
    {"limits", "at once", "throttle.bps_total_max", true},
    {"limits", "waits", "throttle.waits", false},
    {"limits", "waited (ns)", "throttle.waited_ns", false},
};

static void render_parents(const json_t *parents, FILE *stream)
{
    size_t index;
    json_t *path;
    if (json_array_size(parents) > 0)
        fputs("parents\n", stream);
    json_array_foreach(parents, index, path)
    {
        fputs("  ", stream);
        render_value(path, stream);
        fputc('\n', stream);
    }
}

/* What is done with the image now, and why it could not be done last. */
static void render_changes(const json_t *device, FILE *stream)
{
    static const struct line snapshot[] = {{"snapshot", "file", "snapshot.file", false},
                                           {"snapshot", "step", "snapshot.step", false}};
    static const struct line coalesce[] = {{"coalesced", "done", "coalesce.done", true},
                                           {"coalesced", "of", "coalesce.size", true},
                                           {"coalesced", "bytes/s", "coalesce.limit", true}};
    static const struct line errors[] = {{"not made", "size", "resize_error", false},
                                         {"not made", "snapshot", "snapshot_error", false},
                                         {"not made", "coalesced", "coalesce_error", false}};

    if (json_is_object(json_object_get(device, "snapshot")))
        render_lines(device, snapshot, sizeof(snapshot) / sizeof(snapshot[0]), stream);
    if (json_is_object(json_object_get(device, "coalesce")))
        render_lines(device, coalesce, sizeof(coalesce) / sizeof(coalesce[0]), stream);
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (json_is_string(json_object_get(device, errors[i].path)))
            render_lines(device, &errors[i], 1, stream);
}

static const struct line queue_lines[] = {
    {"", "event channel", "event_channel", false}, {"", "slots", "slots", false},
    {"", "in flight", "in_flight", false},         {"", "req_prod", "req_prod", false},
    {"", "req_cons", "req_cons", false},           {"", "rsp_prod", "rsp_prod", false},
    {"", "req_event", "req_event", false},         {"", "rsp_event", "rsp_event", false},
    {"", "read", "requests.read", false},          {"", "write", "requests.write", false},
    {"", "flush", "requests.flush", false},        {"", "indirect", "indirect.requests", false},
    {"", "bytes read", "bytes.read", true},        {"", "bytes written", "bytes.write", true},
    {"", "replayed", "replayed", false},           {"", "events", "events", false},
    {"", "notifications", "notifications", false}, {"", "not copied", "grants.requests", false},
    {"", "pages mapped", "grants.mapped", false},  {"", "polls hit", "polls.hit", false},
    {"", "polls missed", "polls.missed", false},   {"", "barriers", "barriers", false},
};

static void render_queues(json_t *queues, FILE *stream)
{
    size_t index;
    json_t *queue;
    json_array_foreach(queues, index, queue)
    {
        fprintf(stream, "queue %zu\n", index);
        render_lines(queue, queue_lines, sizeof(queue_lines) / sizeof(queue_lines[0]), stream);
    }
}

/* "write of 3 sectors at 2048, id 0x11, 3 attempts"; of an indirect request "32 segments". */
static void render_request(const json_t *request, const char *label, FILE *stream)
{
    const char *unit = json_integer_value(json_object_get(request, "segments")) > 0 ? "segments" : "sectors";

    fprintf(stream, "  %-16s", label);
    render_value(json_object_get(request, "operation"), stream);
    fputs(" of ", stream);
    render_value(json_object_get(request, unit), stream);
    fprintf(stream, " %s at ", unit);
    render_value(json_object_get(request, "sector"), stream);
    fputs(", id ", stream);
    render_value(json_object_get(request, "id"), stream);
    fputs(", attempts ", stream);
    render_value(json_object_get(request, "attempts"), stream);
    fputc('\n', stream);
}

static void render_parked(const json_t *parked, FILE *stream)
{
    if (!json_is_object(parked))
        return;
    fputs("parked: no worker executes what crashed so many; 'ringctl resume' tries again\n", stream);
    render_request(json_object_get(parked, "request"), "request", stream);
    render_line(parked, "by version", "version", stream);
    render_death(parked, stream);
}

/* Unless it was told already, of what parked the device. */
static void render_last_crash(const json_t *crash, const json_t *parked, FILE *stream)
{
    size_t index;
    json_t *request;
    if (!json_is_object(crash) || json_equal(json_object_get(crash, "when"), json_object_get(parked, "when")))
        return;
    render_crash(crash, stream);
    json_array_foreach(json_object_get(crash, "requests"), index, request)
    {
        render_request(request, "", stream);
    }
}

void render_disk(const json_t *device, FILE *stream)
{
    render_device(device, stream);
    render_lines(device, disk_lines, sizeof(disk_lines) / sizeof(disk_lines[0]), stream);
    render_parents(json_object_get(device, "parents"), stream);
    render_changes(device, stream);
    render_queues(json_object_get(device, "queues"), stream);
    render_worker(device, stream);
    render_counts("errors", json_object_get(device, "errors"), stream);
    render_parked(json_object_get(device, "parked"), stream);
    render_last_crash(json_object_get(device, "crash"), json_object_get(device, "parked"), stream);
}

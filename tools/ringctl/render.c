/* SPDX-License-Identifier: MIT */
/*
 * Rendering. What a daemon of another version does not say is shown as "-".
 */
#include "render.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define CELL_SIZE 64

/* The value at "ring.slots" of a device, or NULL. */
static const json_t *render_find(const json_t *value, const char *path)
{
    while (value != NULL && *path != '\0') {
        char name[32];
        size_t length = strcspn(path, ".");
        assert(length < sizeof(name));
        memcpy(name, path, length);
        name[length] = '\0';
        value = json_object_get(value, name);
        path += length + (path[length] == '.');
    }
    return value;
}

/* 1536 -> "1.5K". */
static void render_size(uint64_t bytes, char *cell)
{
    static const char units[] = "BKMGTPE";
    unsigned unit = 0;
    uint64_t tenths = bytes * 10;
    if (bytes > UINT64_MAX / 10) {
        tenths = bytes / 1024 * 10;
        unit = 1;
    }
    for (; tenths >= 10240 && unit + 1 < strlen(units); unit++)
        tenths /= 1024;
    if (tenths % 10 == 0)
        snprintf(cell, CELL_SIZE, "%" PRIu64 "%c", tenths / 10, units[unit]);
    else
        snprintf(cell, CELL_SIZE, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10, tenths % 10, units[unit]);
}

/* A value as text of any length. */
static void render_value(const json_t *value, FILE *stream)
{
    if (json_is_string(value))
        fputs(json_string_value(value), stream);
    else if (json_is_integer(value))
        fprintf(stream, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else
        fputc('-', stream);
}

struct column {
    const char *title;
    const char *path;
    bool size; /* bytes, shown in units */
    bool text; /* aligned to the left */
};

static const struct column columns[] = {
    {"DOM", "domid", false, false},
    {"DEV", "devid", false, false},
    {"NAME", "name", false, true},
    {"KIND", "kind", false, true},
    {"SIZE", "size", true, false},
    {"MODE", "mode", false, true},
    {"STATE", "state", false, true},
    {"RING", "ring.slots", false, false},
    {"INFLIGHT", "ring.in_flight", false, false},
    {"READ", "bytes.read", true, false},
    {"WRITTEN", "bytes.write", true, false},
    {"RESTARTS", "worker.restarts", false, false},
    {"SOURCE", "source", false, true},
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* A table's cell is cut at CELL_SIZE - 1; the last column is not a cell, it is printed whole. */
static void render_cell(const json_t *device, const struct column *column, char *cell)
{
    const json_t *value = render_find(device, column->path);
    /* Connected is what its guest sees; nobody serves it. */
    if (strcmp(column->path, "state") == 0 && json_is_object(json_object_get(device, "parked"))) {
        snprintf(cell, CELL_SIZE, "Parked");
        return;
    }
    if (column->size && json_is_integer(value)) {
        render_size((uint64_t)json_integer_value(value), cell);
        return;
    }
    FILE *stream = fmemopen(cell, CELL_SIZE, "w");
    if (stream == NULL) {
        cell[0] = '\0';
        return;
    }
    render_value(value, stream);
    fclose(stream);
    cell[CELL_SIZE - 1] = '\0';
}

static void render_row(FILE *stream, const size_t *widths, char cells[][CELL_SIZE], const char *last)
{
    for (size_t c = 0; c + 1 < COLUMNS; c++)
        fprintf(stream, columns[c].text ? "%-*s  " : "%*s  ", (int)widths[c], cells[c]);
    fprintf(stream, "%s\n", last);
}

void render_table(const json_t *devices, FILE *stream)
{
    char cells[COLUMNS][CELL_SIZE];
    size_t widths[COLUMNS];
    size_t index;
    json_t *device;

    for (size_t c = 0; c + 1 < COLUMNS; c++)
        widths[c] = strlen(columns[c].title);
    json_array_foreach(devices, index, device)
    {
        for (size_t c = 0; c + 1 < COLUMNS; c++) {
            render_cell(device, &columns[c], cells[c]);
            if (strlen(cells[c]) > widths[c])
                widths[c] = strlen(cells[c]);
        }
    }

    for (size_t c = 0; c + 1 < COLUMNS; c++)
        snprintf(cells[c], CELL_SIZE, "%s", columns[c].title);
    render_row(stream, widths, cells, columns[COLUMNS - 1].title);
    json_array_foreach(devices, index, device)
    {
        for (size_t c = 0; c + 1 < COLUMNS; c++)
            render_cell(device, &columns[c], cells[c]);
        const char *source = json_string_value(render_find(device, columns[COLUMNS - 1].path));
        render_row(stream, widths, cells, source != NULL ? source : "-");
    }
}

/* ---- One device. ------------------------------------------------------------------------------------------------ */

static void render_line(const json_t *device, const char *label, const char *path, FILE *stream)
{
    fprintf(stream, "  %-16s", label);
    render_value(render_find(device, path), stream);
    fputc('\n', stream);
}

static void render_bytes(const json_t *device, const char *label, const char *path, FILE *stream)
{
    const json_t *value = render_find(device, path);
    char cell[CELL_SIZE] = "-";
    if (json_is_integer(value))
        render_size((uint64_t)json_integer_value(value), cell);
    fprintf(stream, "  %-16s%s", label, cell);
    if (json_is_integer(value))
        fprintf(stream, " (%" JSON_INTEGER_FORMAT " bytes)", json_integer_value(value));
    fputc('\n', stream);
}

/* Only the reasons that occurred. */
static void render_errors(json_t *errors, FILE *stream)
{
    const char *reason;
    json_t *count;
    bool any = false;
    fputs("errors\n", stream);
    json_object_foreach(errors, reason, count)
    {
        if (json_integer_value(count) == 0)
            continue;
        any = true;
        fprintf(stream, "  %-24s%" JSON_INTEGER_FORMAT "\n", reason, json_integer_value(count));
    }
    if (!any)
        fputs("  none\n", stream);
}

/* What `render_device` shows, in groups. */
static const struct {
    const char *group;
    const char *label;
    const char *path;
    bool size; /* bytes, shown in units too */
} lines[] = {
    {"device", "domain", "domid", false},
    {"device", "number", "devid", false},
    {"device", "name", "name", false},
    {"device", "state", "state", false},
    {"device", "front end", "front_state", false},
    {"device", "doing", "activity", false},
    {"device", "last error", "last_error", false},
    {"disk", "kind", "kind", false},
    {"disk", "source", "source", false},
    {"disk", "mode", "mode", false},
    {"disk", "size", "size", true},
    {"disk", "sector size", "sector_size", false},
    {"disk", "physical sector", "physical_sector_size", false},
    {"ring", "protocol", "ring.protocol", false},
    {"ring", "order", "ring.order", false},
    {"ring", "slots", "ring.slots", false},
    {"ring", "in flight", "ring.in_flight", false},
    {"ring", "req_prod", "ring.req_prod", false},
    {"ring", "req_cons", "ring.req_cons", false},
    {"ring", "rsp_prod", "ring.rsp_prod", false},
    {"ring", "req_event", "ring.req_event", false},
    {"ring", "rsp_event", "ring.rsp_event", false},
    {"ring", "event channel", "ring.event_channel", false},
    {"requests", "read", "requests.read", false},
    {"requests", "write", "requests.write", false},
    {"requests", "flush", "requests.flush", false},
    {"requests", "bytes read", "bytes.read", true},
    {"requests", "bytes written", "bytes.write", true},
    {"requests", "replayed", "replayed", false},
    {"requests", "events", "events", false},
    {"requests", "notifications", "notifications", false},
    {"requests", "not copied", "grants.requests", false},
    {"requests", "pages mapped", "grants.mapped", false},
    {"requests", "polls hit", "polls.hit", false},
    {"requests", "polls missed", "polls.missed", false},
    {"worker", "state", "worker.state", false},
    {"worker", "pid", "worker.pid", false},
    {"worker", "version", "worker.version", false},
    {"worker", "origin", "worker.origin", false},
    {"worker", "restarts", "worker.restarts", false},
    {"worker", "last death", "worker.last_death", false},
    {"worker", "recovery (ms)", "worker.last_recovery_ms", false},
};

/* ---- Crashes. ---------------------------------------------------------------------------------------------------- */

static void render_time(const json_t *object, FILE *stream)
{
    time_t when = (time_t)json_integer_value(json_object_get(object, "when"));
    struct tm parts;
    char text[32] = "-";
    if (when > 0 && gmtime_r(&when, &parts) != NULL)
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts);
    fprintf(stream, "  %-16s%s\n", "when", text);
}

/* "write of 3 sectors at 2048, id 0x11, 3 attempts" */
static void render_request(const json_t *request, const char *label, FILE *stream)
{
    fprintf(stream, "  %-16s", label);
    render_value(json_object_get(request, "operation"), stream);
    fputs(" of ", stream);
    render_value(json_object_get(request, "sectors"), stream);
    fputs(" sectors at ", stream);
    render_value(json_object_get(request, "sector"), stream);
    fputs(", id ", stream);
    render_value(json_object_get(request, "id"), stream);
    fputs(", attempts ", stream);
    render_value(json_object_get(request, "attempts"), stream);
    fputc('\n', stream);
}

static void render_death(const json_t *object, FILE *stream)
{
    size_t index;
    json_t *place;
    render_time(object, stream);
    render_line(object, "death", "death", stream);
    render_line(object, "address", "address", stream);
    json_array_foreach(json_object_get(object, "backtrace"), index, place)
    {
        fprintf(stream, "  %-16s", index == 0 ? "at" : "from");
        render_value(place, stream);
        fputc('\n', stream);
    }
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
static void render_crash(const json_t *crash, const json_t *parked, FILE *stream)
{
    size_t index;
    json_t *request;
    if (!json_is_object(crash) || json_equal(json_object_get(crash, "when"), json_object_get(parked, "when")))
        return;
    fputs("last crash of its guest's workers\n", stream);
    render_death(crash, stream);
    render_line(crash, "were in flight", "suspects", stream);
    json_array_foreach(json_object_get(crash, "requests"), index, request)
    {
        render_request(request, "", stream);
    }
}

void render_device(const json_t *device, FILE *stream)
{
    const char *group = "";
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        if (strcmp(lines[i].group, group) != 0)
            fprintf(stream, "%s\n", lines[i].group);
        group = lines[i].group;
        if (lines[i].size)
            render_bytes(device, lines[i].label, lines[i].path, stream);
        else
            render_line(device, lines[i].label, lines[i].path, stream);
    }
    render_errors(json_object_get(device, "errors"), stream);
    render_parked(json_object_get(device, "parked"), stream);
    render_crash(json_object_get(device, "crash"), json_object_get(device, "parked"), stream);
}

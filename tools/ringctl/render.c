/* SPDX-License-Identifier: MIT */
/*
 * The parts of a rendering. What a daemon of another version does not say is shown as "-".
 */
#include "render_parts.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

const json_t *render_find(const json_t *value, const char *path)
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

void render_size(uint64_t bytes, char cell[CELL_SIZE])
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

void render_value(const json_t *value, FILE *stream)
{
    if (json_is_string(value))
        fputs(json_string_value(value), stream);
    else if (json_is_integer(value))
        fprintf(stream, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_boolean(value))
        fputs(json_is_true(value) ? "yes" : "no", stream);
    else
        fputc('-', stream);
}

/* ---- Tables. ---------------------------------------------------------------------------------------------------- */

static void render_cell(const json_t *device, const struct column *column, char cell[CELL_SIZE])
{
    const json_t *value = render_find(device, column->path);
    if (column->make != NULL) {
        column->make(device, cell);
        return;
    }
    if (column->look == COLUMN_SIZE && json_is_integer(value)) {
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

static void render_row(FILE *stream, const struct column *columns, size_t count, const size_t *widths,
                       char cells[][CELL_SIZE], const char *last)
{
    for (size_t c = 0; c + 1 < count; c++)
        fprintf(stream, columns[c].look == COLUMN_TEXT ? "%-*s  " : "%*s  ", (int)widths[c], cells[c]);
    fprintf(stream, "%s\n", last);
}

void render_table(const json_t *devices, const struct column *columns, size_t count, FILE *stream)
{
    char cells[RENDER_COLUMNS_MAX][CELL_SIZE];
    size_t widths[RENDER_COLUMNS_MAX];
    size_t index;
    json_t *device;

    assert(count > 0 && count <= RENDER_COLUMNS_MAX);
    for (size_t c = 0; c + 1 < count; c++)
        widths[c] = strlen(columns[c].title);
    json_array_foreach(devices, index, device)
    {
        for (size_t c = 0; c + 1 < count; c++) {
            render_cell(device, &columns[c], cells[c]);
            if (strlen(cells[c]) > widths[c])
                widths[c] = strlen(cells[c]);
        }
    }

    for (size_t c = 0; c + 1 < count; c++)
        snprintf(cells[c], CELL_SIZE, "%s", columns[c].title);
    render_row(stream, columns, count, widths, cells, columns[count - 1].title);
    json_array_foreach(devices, index, device)
    {
        for (size_t c = 0; c + 1 < count; c++)
            render_cell(device, &columns[c], cells[c]);
        const char *last = json_string_value(render_find(device, columns[count - 1].path));
        render_row(stream, columns, count, widths, cells, last != NULL ? last : "-");
    }
}

/* ---- Lines. ----------------------------------------------------------------------------------------------------- */

void render_line(const json_t *device, const char *label, const char *path, FILE *stream)
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

void render_lines(const json_t *device, const struct line *lines, size_t count, FILE *stream)
{
    const char *group = "";
    for (size_t i = 0; i < count; i++) {
        if (strcmp(lines[i].group, group) != 0)
            fprintf(stream, "%s\n", lines[i].group);
        group = lines[i].group;
        if (lines[i].size)
            render_bytes(device, lines[i].label, lines[i].path, stream);
        else
            render_line(device, lines[i].label, lines[i].path, stream);
    }
}

void render_device(const json_t *device, FILE *stream)
{
    static const struct line lines[] = {
        {"device", "domain", "domid", false},
        {"device", "number", "devid", false},
        {"device", "name", "name", false},
        {"device", "state", "state", false},
        {"device", "front end", "front_state", false},
        {"device", "doing", "activity", false},
        {"device", "last error", "last_error", false},
    };

    render_lines(device, lines, sizeof(lines) / sizeof(lines[0]), stream);
}

void render_worker(const json_t *device, FILE *stream)
{
    static const struct line lines[] = {
        {"worker", "state", "worker.state", false},
        {"worker", "pid", "worker.pid", false},
        {"worker", "version", "worker.version", false},
        {"worker", "origin", "worker.origin", false},
        {"worker", "restarts", "worker.restarts", false},
        {"worker", "last death", "worker.last_death", false},
        {"worker", "recovery (ms)", "worker.last_recovery_ms", false},
    };

    render_lines(device, lines, sizeof(lines) / sizeof(lines[0]), stream);
}

void render_counts(const char *title, json_t *counts, FILE *stream)
{
    const char *reason;
    json_t *count;
    bool any = false;
    fprintf(stream, "%s\n", title);
    json_object_foreach(counts, reason, count)
    {
        if (json_integer_value(count) == 0)
            continue;
        any = true;
        fprintf(stream, "  %-24s%" JSON_INTEGER_FORMAT "\n", reason, json_integer_value(count));
    }
    if (!any)
        fputs("  none\n", stream);
}

static void render_time(const json_t *object, FILE *stream)
{
    time_t when = (time_t)json_integer_value(json_object_get(object, "when"));
    struct tm parts;
    char text[32] = "-";
    if (when > 0 && gmtime_r(&when, &parts) != NULL)
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts);
    fprintf(stream, "  %-16s%s\n", "when", text);
}

void render_death(const json_t *object, FILE *stream)
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

void render_crash(const json_t *crash, FILE *stream)
{
    fputs("last crash of its guest's workers\n", stream);
    render_death(crash, stream);
    render_line(crash, "were in flight", "suspects", stream);
}

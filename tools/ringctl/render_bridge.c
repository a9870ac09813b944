/* SPDX-License-Identifier: MIT */
/*
 * Rendering of bridges. What a daemon of another version does not say is shown as 0 or "-".
 */
#include "render_bridge.h"

#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "-";
}

static json_int_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* "counters.in.frames" of an object. */
static json_int_t counter_of(const json_t *object, const char *direction, const char *key)
{
    return number_of(json_object_get(json_object_get(object, "counters"), direction), key);
}

static json_int_t all_drops(const json_t *object)
{
    const char *reason;
    json_t *count, *drops = json_object_get(json_object_get(object, "counters"), "drops");
    json_int_t sum = 0;

    json_object_foreach(drops, reason, count)
    {
        sum += json_integer_value(count);
    }
    return sum;
}

/* A group is a number, 0 for none, or a word. */
static void format_group(const json_t *port, char text[16])
{
    const json_t *group = json_object_get(port, "group");

    if (json_is_string(group))
        snprintf(text, 16, "%s", json_string_value(group));
    else if (json_integer_value(group) == 0)
        snprintf(text, 16, "-");
    else
        snprintf(text, 16, "%" JSON_INTEGER_FORMAT, json_integer_value(group));
}

void render_bridges(const json_t *body, FILE *stream)
{
    const json_t *bridges = json_object_get(body, "bridges");
    const json_t *bridge;
    size_t index;

    fprintf(stream, "%-16s %5s %8s %8s %14s %14s %10s\n", "NAME", "PORTS", "ENTRIES", "MOST", "FRAMES IN", "FRAMES OUT",
            "DROPS");
    json_array_foreach(bridges, index, bridge)
    {
        fprintf(stream,
                "%-16s %5" JSON_INTEGER_FORMAT " %8" JSON_INTEGER_FORMAT " %8" JSON_INTEGER_FORMAT
                " %14" JSON_INTEGER_FORMAT " %14" JSON_INTEGER_FORMAT " %10" JSON_INTEGER_FORMAT "\n",
                text_of(bridge, "name"), number_of(bridge, "ports"), number_of(bridge, "entries"),
                number_of(bridge, "entries_max"), counter_of(bridge, "in", "frames"),
                counter_of(bridge, "out", "frames"), all_drops(bridge));
    }
}

void render_ports(const json_t *body, FILE *stream)
{
    const json_t *ports = json_object_get(body, "port_list");
    const json_t *port;
    size_t index;
    char group[16];

    fprintf(stream, "%-16s %-6s %-6s %-9s %-17s %8s %14s %14s %10s\n", "NAME", "KIND", "STATE", "GROUP", "MAC",
            "ENTRIES", "FRAMES IN", "FRAMES OUT", "DROPS");
    json_array_foreach(ports, index, port)
    {
        format_group(port, group);
        fprintf(stream,
                "%-16s %-6s %-6s %-9s %-17s %8" JSON_INTEGER_FORMAT " %14" JSON_INTEGER_FORMAT
                " %14" JSON_INTEGER_FORMAT " %10" JSON_INTEGER_FORMAT "\n",
                text_of(port, "name"), text_of(port, "kind"), text_of(port, "state"), group, text_of(port, "mac"),
                number_of(port, "entries"), counter_of(port, "in", "frames"), counter_of(port, "out", "frames"),
                all_drops(port));
    }
}

/* Frames, bytes, and the reasons for drops that occurred. */
static void render_counters(const json_t *object, FILE *stream)
{
    const char *reason;
    json_t *count, *drops = json_object_get(json_object_get(object, "counters"), "drops");
    static const char *const directions[] = {"in", "out"};

    for (size_t i = 0; i < 2; i++)
        fprintf(stream, "  %-16s%" JSON_INTEGER_FORMAT " frames, %" JSON_INTEGER_FORMAT " bytes\n", directions[i],
                counter_of(object, directions[i], "frames"), counter_of(object, directions[i], "bytes"));
    fprintf(stream, "  %-16s%" JSON_INTEGER_FORMAT "\n", "flooded",
            number_of(json_object_get(object, "counters"), "flooded"));
    json_object_foreach(drops, reason, count)
    {
        if (json_integer_value(count) > 0)
            fprintf(stream, "  dropped: %-13s %" JSON_INTEGER_FORMAT "\n", reason, json_integer_value(count));
    }
}

static void render_port(const json_t *port, FILE *stream)
{
    const char *reason = text_of(port, "reason");
    char group[16];

    format_group(port, group);
    fprintf(stream, "port %s\n  %-16s%s\n  %-16s%s%s%s\n  %-16s%s\n  %-16s%s\n", text_of(port, "name"), "kind",
            text_of(port, "kind"), "state", text_of(port, "state"), reason[0] != '-' ? ": " : "",
            reason[0] != '-' ? reason : "", "group", group, "mac", text_of(port, "mac"));
    fprintf(stream, "  %-16s%" JSON_INTEGER_FORMAT "\n", "addresses", number_of(port, "addresses"));
    fprintf(stream, "  %-16s%" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT " displaced\n", "entries",
            number_of(port, "entries"), number_of(port, "displaced"));
    render_counters(port, stream);
}

void render_bridge(const json_t *body, FILE *stream)
{
    const json_t *ports = json_object_get(body, "port_list");
    const json_t *port;
    size_t index;

    fprintf(stream,
            "bridge %s\n  %-16s%s\n  %-16s%" JSON_INTEGER_FORMAT " s\n  %-16s%" JSON_INTEGER_FORMAT
            " of %" JSON_INTEGER_FORMAT "\n",
            text_of(body, "name"), "isolated", json_is_true(json_object_get(body, "isolated")) ? "yes" : "no", "ageing",
            number_of(body, "ageing"), "entries", number_of(body, "entries"), number_of(body, "entries_max"));
    render_counters(body, stream);
    json_array_foreach(ports, index, port)
    {
        render_port(port, stream);
    }
}

void render_fdb(const json_t *body, FILE *stream)
{
    const json_t *entries = json_object_get(body, "fdb");
    const json_t *entry;
    size_t index;

    fprintf(stream, "%-17s %-16s %s\n", "MAC", "PORT", "AGE (S)");
    json_array_foreach(entries, index, entry)
    {
        const json_t *age = json_object_get(entry, "age");
        fprintf(stream, "%-17s %-16s ", text_of(entry, "mac"), text_of(entry, "port"));
        if (json_is_integer(age))
            fprintf(stream, "%" JSON_INTEGER_FORMAT "\n", json_integer_value(age));
        else
            fputs("its own\n", stream);
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * Reports: see report.h. Counters are read where they are counted, on the same thread.
 */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <service/control.h>

#include "served.h"
#include "shm.h"
#include "tap.h"

/* ---- JSON. -------------------------------------------------------------------------------------------------------- */

static json_t *counters_json(const struct switch_counters *counters)
{
    json_t *drops = json_object();

    for (unsigned i = 0; i < DROPS; i++)
        json_object_set_new(drops, drop_names[i], json_integer((json_int_t)counters->drops[i]));
    return json_pack("{s:{s:I, s:I}, s:{s:I, s:I}, s:I, s:o}", "in", "frames", (json_int_t)counters->frames_in, "bytes",
                     (json_int_t)counters->bytes_in, "out", "frames", (json_int_t)counters->frames_out, "bytes",
                     (json_int_t)counters->bytes_out, "flooded", (json_int_t)counters->flooded, "drops", drops);
}

static void format_mac(const uint8_t *mac, char text[18])
{
    snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static json_t *group_json(uint32_t group)
{
    if (group == SERVED_GROUP_UPLINKS)
        return json_string("uplinks");
    if (group == SERVED_GROUP_ISOLATED)
        return json_string("isolated");
    return json_integer(group);
}

/* What ports of both kinds have. */
static json_t *port_json(const struct bridge_port *port, const char *kind, const char *state)
{
    char mac[18];

    format_mac(port->filter.mac, mac);
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:i, s:I, s:o}", "name", port->name, "kind", kind, "state", state,
                     "group", group_json(port->group), "mac", port->filter.any_mac ? json_null() : json_string(mac),
                     "addresses", (json_int_t)port->filter.address_count, "entries", (int)port->fdb.count, "displaced",
                     (json_int_t)port->fdb.displaced, "counters", counters_json(&port->counters));
}

static json_t *shm_json(const struct shm_port *port)
{
    json_t *object = port_json(&port->port, "memory", port->port.closed ? "closed" : "open");

    json_object_set_new(object, "reason", port->port.closed ? json_string(port->reason) : json_null());
    json_object_set_new(object, "ring_size", json_integer(port->capacity));
    json_object_set_new(object, "bells_heard", json_integer((json_int_t)port->bells_heard));
    json_object_set_new(object, "bells_rung", json_integer((json_int_t)port->bells_rung));
    return object;
}

static json_t *tap_json(const struct tap_port *tap)
{
    json_t *object = port_json(&tap->port, "tap", tap->fd < 0 || tap->port.closed ? "closed" : "open");

    json_object_set_new(object, "reason", tap->fd < 0 ? json_string(strerror(-tap->error)) : json_null());
    return object;
}

static json_t *bridge_json(const struct served_bridge *served)
{
    return json_pack("{s:s, s:i, s:i, s:I, s:I, s:b, s:o}", "name", served->bridge.name, "ports",
                     (int)served->bridge.port_count, "entries", (int)fdb_count(served->bridge.fdb), "entries_max",
                     (json_int_t)served->config.entries_max, "ageing", (json_int_t)served->config.ageing, "isolated",
                     (int)served->config.isolated, "counters", counters_json(&served->bridge.counters));
}

static void get_bridges(struct control_request *request, void *arg)
{
    const struct tapbridge *tapbridge = arg;
    json_t *array = json_array();
    const struct served_bridge *served;

    TAILQ_FOREACH (served, &tapbridge->bridges, next)
        json_array_append_new(array, bridge_json(served));
    control_reply(request, json_pack("{s:o}", "bridges", array));
}

static json_t *bridge_with_ports(const struct served_bridge *served)
{
    json_t *object = bridge_json(served), *array = json_array();
    const struct shm_port *port;
    const struct tap_port *tap;

    TAILQ_FOREACH (tap, &served->taps, next)
        json_array_append_new(array, tap_json(tap));
    TAILQ_FOREACH (port, &served->shms, next)
        json_array_append_new(array, shm_json(port));
    json_object_set_new(object, "port_list", array);
    return object;
}

struct telling {
    json_t *array;
    int64_t now;
};

static void tell_entry(void *arg, const struct fdb_seen *seen)
{
    struct telling *telling = arg;
    const struct bridge_port *port = seen->port->arg;
    char mac[18];

    format_mac(seen->mac, mac);
    json_array_append_new(telling->array,
                          json_pack("{s:s, s:s, s:o}", "mac", mac, "port", port->name, "age",
                                    seen->own ? json_null() : json_integer((telling->now - seen->seen) / 1000)));
}

static json_t *table_json(const struct served_bridge *served)
{
    struct telling telling = {json_array(), tapbridge_now()};

    fdb_each(served->bridge.fdb, tell_entry, &telling);
    return json_pack("{s:s, s:i, s:o}", "name", served->bridge.name, "waiting", (int)served->waiting_count, "fdb",
                     telling.array);
}

/* NAME or NAME/fdb. */
static void get_bridge(struct control_request *request, void *arg)
{
    const char *tail = control_request_tail(request);
    const size_t length = strcspn(tail, "/");
    const bool table = strcmp(tail + length, "/fdb") == 0;
    char name[BRIDGE_NAME_SIZE];
    struct served_bridge *served = NULL;

    if (length < sizeof(name) && (tail[length] == '\0' || table)) {
        memcpy(name, tail, length);
        name[length] = '\0';
        served = served_find(arg, name);
    }
    if (served == NULL)
        control_reply_error(request, 404, "there is no bridge %.64s", tail);
    else
        control_reply(request, table ? table_json(served) : bridge_with_ports(served));
}

/* ---- Metrics. ----------------------------------------------------------------------------------------------------- */

/* One metric of every port. */
struct metric {
    const char *name, *type, *help;
    const char *label, *value; /* a third label, or NULL */
    size_t offset;             /* of the counter in struct bridge_port */
};

#define COUNTER(field) offsetof(struct bridge_port, counters.field)

static const struct metric metrics[] = {
    {"ringback_port_frames_total", "counter", "Frames of a port of a bridge", "direction", "in", COUNTER(frames_in)},
    {"ringback_port_frames_total", NULL, NULL, "direction", "out", COUNTER(frames_out)},
    {"ringback_port_bytes_total", "counter", "Bytes of these", "direction", "in", COUNTER(bytes_in)},
    {"ringback_port_bytes_total", NULL, NULL, "direction", "out", COUNTER(bytes_out)},
    {"ringback_port_flooded_total", "counter", "Frames that came from it and went to all ports", NULL, NULL,
     COUNTER(flooded)},
    {"ringback_port_displaced_total", "counter", "Addresses behind it that had to give way to new ones", NULL, NULL,
     offsetof(struct bridge_port, fdb.displaced)},
};

static void sample(struct evbuffer *out, const struct metric *metric, const struct bridge_port *port)
{
    const char *labels[] = {"bridge", port->bridge->name, "port", port->name, metric->label, metric->value, NULL};
    uint64_t value;

    memcpy(&value, (const char *)port + metric->offset, sizeof(value));
    control_metric_sample(out, metric->name, labels, value);
}

static void each_port(struct tapbridge *tapbridge, struct evbuffer *out, const struct metric *metric)
{
    const struct served_bridge *served;
    const struct bridge_port *port;

    TAILQ_FOREACH (served, &tapbridge->bridges, next)
        TAILQ_FOREACH (port, &served->bridge.ports, next)
            sample(out, metric, port);
}

static void collect(struct evbuffer *out, void *arg)
{
    struct tapbridge *tapbridge = arg;
    const struct served_bridge *served;

    control_metric_describe(out, "ringback_bridge_entries", "gauge", "Addresses a bridge has learnt");
    TAILQ_FOREACH (served, &tapbridge->bridges, next) {
        const char *const labels[] = {"bridge", served->bridge.name, NULL};
        control_metric_sample(out, "ringback_bridge_entries", labels, fdb_count(served->bridge.fdb));
    }
    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
        if (metrics[i].type != NULL)
            control_metric_describe(out, metrics[i].name, metrics[i].type, metrics[i].help);
        each_port(tapbridge, out, &metrics[i]);
    }
    control_metric_describe(out, "ringback_port_drops_total", "counter", "Frames that went nowhere, by reason");
    for (unsigned i = 0; i < DROPS; i++) {
        const struct metric drop = {
            "ringback_port_drops_total", NULL, NULL, "reason", drop_names[i], COUNTER(drops[i])};
        each_port(tapbridge, out, &drop);
    }
}

int report_register(struct tapbridge *tapbridge, struct control *control)
{
    int err = control_route(control, "GET", "/v1/bridges", get_bridges, tapbridge);

    if (err == 0)
        err = control_route(control, "GET", "/v1/bridges/", get_bridge, tapbridge);
    control_set_metrics(control, collect, tapbridge);
    return err;
}

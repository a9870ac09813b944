/* SPDX-License-Identifier: MIT */
/*
 * Network cards. As everywhere, "tx" is what the guest sends, and "rx" what it receives.
 */
#include "render.h"

#include <inttypes.h>

#include "rate.h"
#include "render_parts.h"

/* The limit of a card; false when it has none, or nothing sensible is said. */
static bool card_rate(const json_t *device, struct rate *ret_rate)
{
    json_int_t bytes = json_integer_value(render_find(device, "rate.bytes"));
    json_int_t window_us = json_integer_value(render_find(device, "rate.window_us"));
    if (bytes <= 0 || window_us <= 0 || window_us > UINT32_MAX)
        return false;
    ret_rate->bytes = (uint64_t)bytes;
    ret_rate->window_us = (uint32_t)window_us;
    return true;
}

static void card_rate_cell(const json_t *device, char cell[CELL_SIZE])
{
    struct rate rate;
    snprintf(cell, CELL_SIZE, "-");
    if (card_rate(device, &rate))
        rate_format(&rate, cell);
}

static void card_queues_cell(const json_t *device, char cell[CELL_SIZE])
{
    const json_t *queues = json_object_get(device, "queues");
    if (json_is_array(queues))
        snprintf(cell, CELL_SIZE, "%zu", json_array_size(queues));
    else
        snprintf(cell, CELL_SIZE, "-");
}

static const struct column card_columns[] = {
    {"DOM", "domid", COLUMN_NUMBER, NULL},
    {"NAME", "name", COLUMN_TEXT, NULL},
    {"KIND", "kind", COLUMN_TEXT, NULL},
    {"NETDEV", "netdev", COLUMN_TEXT, NULL},
    {"MAC", "mac", COLUMN_TEXT, NULL},
    {"MTU", "mtu", COLUMN_NUMBER, NULL},
    {"RATE", "rate", COLUMN_NUMBER, card_rate_cell},
    {"STATE", "state", COLUMN_TEXT, NULL},
    {"CARRIER", "carrier", COLUMN_TEXT, NULL},
    {"QUEUES", "queues", COLUMN_NUMBER, card_queues_cell},
    {"TX", "tx.bytes", COLUMN_SIZE, NULL},
    {"TXDROPS", "tx.drops", COLUMN_NUMBER, NULL},
    {"RX", "rx.bytes", COLUMN_SIZE, NULL},
    {"RXDROPS", "rx.drops", COLUMN_NUMBER, NULL},
    {"RESTARTS", "worker.restarts", COLUMN_NUMBER, NULL},
    {"BRIDGE", "bridge", COLUMN_TEXT, NULL},
};
_Static_assert(sizeof(card_columns) / sizeof(card_columns[0]) <= RENDER_COLUMNS_MAX, "a table has room for them");

void render_cards(const json_t *devices, FILE *stream)
{
    render_table(devices, card_columns, sizeof(card_columns) / sizeof(card_columns[0]), stream);
}

/* ---- One card. -------------------------------------------------------------------------------------------------- */

static const struct line card_lines[] = {
    {"card", "kind", "kind", false},
    {"card", "netdev", "netdev", false},
    {"card", "bridge", "bridge", false},
    {"card", "MAC address", "mac", false},
    {"card", "MTU", "mtu", false},
    {"card", "carrier", "carrier", false},
    {"card", "multicast filter", "multicast_control", false},
};

static const struct line traffic_lines[] = {
    {"sent by the guest (tx)", "packets", "tx.packets", false},
    {"sent by the guest (tx)", "bytes", "tx.bytes", true},
    {"sent by the guest (tx)", "dropped", "tx.drops", false},
    {"received by the guest (rx)", "packets", "rx.packets", false},
    {"received by the guest (rx)", "bytes", "rx.bytes", true},
    {"received by the guest (rx)", "dropped", "rx.drops", false},
};

static const struct line tx_lines[] = {
    {"", "packets", "packets", false},       {"", "bytes", "bytes", true},
    {"", "segmented (gso)", "gso", false},   {"", "replayed", "replayed", false},
    {"", "pieces copied", "copies", false},  {"", "waits for rate", "waits", false},
    {"", "event channel", "channel", false},
};

static const struct line rx_lines[] = {
    {"", "packets", "packets", false},     {"", "bytes", "bytes", true},
    {"", "segmented (gso)", "gso", false}, {"", "pieces copied", "copies", false},
    {"", "waits for room", "full", false}, {"", "stalls", "stalls", false},
    {"", "waiting", "waiting", true},      {"", "event channel", "channel", false},
};

static const struct line ring_lines[] = {
    {"", "slots", "slots", false},         {"", "in flight", "in_flight", false}, {"", "req_prod", "req_prod", false},
    {"", "req_cons", "req_cons", false},   {"", "rsp_prod", "rsp_prod", false},   {"", "req_event", "req_event", false},
    {"", "rsp_event", "rsp_event", false},
};

static const struct line queue_lines[] = {
    {"", "events", "events", false},
    {"", "notifications", "notifications", false},
    {"", "polls hit", "polls.hit", false},
    {"", "polls missed", "polls.missed", false},
};

static const struct line control_lines[] = {
    {"control ring", "requests", "requests", false},
    {"control ring", "refused", "refused", false},
    {"control ring", "hash", "hash", false},
};

#define LINES(array) (array), sizeof(array) / sizeof((array)[0])

static void render_rate(const json_t *device, FILE *stream)
{
    struct rate rate;
    char text[RATE_TEXT_SIZE];
    if (!card_rate(device, &rate)) {
        fprintf(stream, "  %-16s%s\n", "rate", json_is_null(json_object_get(device, "rate")) ? "no limit" : "-");
        return;
    }
    rate_format(&rate, text);
    fprintf(stream, "  %-16s%s (%" PRIu64 " bytes each %" PRIu32 " us)\n", "rate", text, rate.bytes, rate.window_us);
}

/* What the guest takes, in one line. */
static void render_features(const json_t *features, FILE *stream)
{
    size_t index;
    json_t *feature;
    fprintf(stream, "  %-16s", "guest takes");
    json_array_foreach(features, index, feature)
    {
        fputs(index > 0 ? ", " : "", stream);
        render_value(feature, stream);
    }
    fputs(json_array_size(features) == 0 ? "-\n" : "\n", stream);
}

/* One direction of a queue. */
static void render_direction(size_t queue, const char *name, const json_t *direction, const struct line *lines,
                             size_t count, FILE *stream)
{
    char title[64];
    fprintf(stream, "queue %zu %s\n", queue, name);
    render_lines(direction, lines, count, stream);
    render_lines(json_object_get(direction, "ring"), LINES(ring_lines), stream);
    snprintf(title, sizeof(title), "queue %zu %s drops", queue, name);
    render_counts(title, json_object_get(direction, "drops"), stream);
}

void render_card(const json_t *device, FILE *stream)
{
    size_t index;
    json_t *queue;
    render_device(device, stream);
    render_lines(device, LINES(card_lines), stream);
    render_rate(device, stream);
    render_features(json_object_get(device, "features"), stream);
    render_lines(device, LINES(traffic_lines), stream);
    json_array_foreach(json_object_get(device, "queues"), index, queue)
    {
        fprintf(stream, "queue %zu\n", index);
        render_lines(queue, LINES(queue_lines), stream);
        render_direction(index, "tx", json_object_get(queue, "tx"), LINES(tx_lines), stream);
        render_direction(index, "rx", json_object_get(queue, "rx"), LINES(rx_lines), stream);
    }
    if (json_is_object(json_object_get(device, "control_ring")))
        render_lines(json_object_get(device, "control_ring"), LINES(control_lines), stream);
    render_worker(device, stream);
    render_line(device, "recovery (ns)", "recovery_ns", stream);
    if (json_is_object(json_object_get(device, "crash")))
        render_crash(json_object_get(device, "crash"), stream);
}

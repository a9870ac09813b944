/* SPDX-License-Identifier: MIT */
/*
 * Made when asked for, from what the supervisor knows and from the counters that a worker wrote. The latter is hostile: it is read with pread(),
 * checked to be of the right form, and shown as numbers.
 */
#include "report.h"

#include <string.h>

#include <backend/device.h>
#include <backend/guest.h>
#include <backend/report.h>
#include <ring/netif_tx.h>
#include <service/control.h>
#include <supervise/rundir.h>

#include "counters.h"
#include "port.h"
#include "vif.h"

static const char *const tx_drop_names[] = {"port", "offload"};
_Static_assert(sizeof(tx_drop_names) / sizeof(tx_drop_names[0]) == NETBACK_TX_DROPS, "one name a reason");
static const char *const rx_drop_names[] = {"full", "stalled", "multicast", "large", "offload", "grant"};
_Static_assert(sizeof(rx_drop_names) / sizeof(rx_drop_names[0]) == NETBACK_RX_DROPS, "one name a reason");

/* All zero when there are none. */
static void read_counters(const struct device *device, struct netback_counters *ret_counters)
{
    if (rundir_read(device->dir, DEVICE_COUNTERS_FILE, ret_counters, sizeof(*ret_counters)) < 0 ||
        ret_counters->magic != NETBACK_COUNTERS_MAGIC || ret_counters->version != NETBACK_COUNTERS_VERSION ||
        ret_counters->queue_count > NETBACK_QUEUES_MAX)
        memset(ret_counters, 0, sizeof(*ret_counters));
}

/* ---- Sums over queues. --------------------------------------------------------------------------------------------------------- */

struct total {
    uint64_t packets, bytes, drops;
};

static struct total total_tx(const struct netback_counters *counters)
{
    struct total total = {0};

    for (uint64_t i = 0; i < counters->queue_count; i++) {
        const struct netback_queue_counters *queue = &counters->queues[i];
        total.packets += queue->tx_packets;
        total.bytes += queue->tx_bytes;
        for (int fault = NETIF_FAULT_NONE + 1; fault < NETIF_FAULTS; fault++)
            total.drops += queue->tx_faults[fault];
        for (int drop = 0; drop < NETBACK_TX_DROPS; drop++)
            total.drops += queue->tx_drops[drop];
    }
    return total;
}

static struct total total_rx(const struct netback_counters *counters)
{
    struct total total = {0};

    for (uint64_t i = 0; i < counters->queue_count; i++) {
        const struct netback_queue_counters *queue = &counters->queues[i];
        total.packets += queue->rx_packets;
        total.bytes += queue->rx_bytes;
        for (int drop = 0; drop < NETBACK_RX_DROPS; drop++)
            total.drops += queue->rx_drops[drop];
    }
    return total;
}

static json_t *report_total(struct total total)
{
    json_t *object = json_object();

    report_put_number(&object, "packets", total.packets);
    report_put_number(&object, "bytes", total.bytes);
    report_put_number(&object, "drops", total.drops);
    return object;
}

/* ---- Queues. ------------------------------------------------------------------------------------------------------------------- */

static json_t *report_ring(const struct netback_ring_counters *counters)
{
    json_t *ring = json_object();

    report_put_number(&ring, "slots", counters->slots);
    report_put_number(&ring, "in_flight", counters->in_flight);
    report_put_number(&ring, "req_prod", counters->req_prod);
    report_put_number(&ring, "req_cons", counters->req_cons);
    report_put_number(&ring, "rsp_prod", counters->rsp_prod);
    report_put_number(&ring, "req_event", counters->req_event);
    report_put_number(&ring, "rsp_event", counters->rsp_event);
    return ring;
}

static json_t *report_tx_drops(const struct netback_queue_counters *counters)
{
    json_t *drops = json_object();

    for (int fault = NETIF_FAULT_NONE + 1; fault < NETIF_FAULTS; fault++)
        report_put_number(&drops, netif_fault_name((enum netif_fault)fault), counters->tx_faults[fault]);
    for (int drop = 0; drop < NETBACK_TX_DROPS; drop++)
        report_put_number(&drops, tx_drop_names[drop], counters->tx_drops[drop]);
    return drops;
}

static json_t *report_rx_drops(const struct netback_queue_counters *counters)
{
    json_t *drops = json_object();

    for (int drop = 0; drop < NETBACK_RX_DROPS; drop++)
        report_put_number(&drops, rx_drop_names[drop], counters->rx_drops[drop]);
    return drops;
}

static json_t *report_tx(const struct netback_queue *queue, const struct netback_queue_counters *counters)
{
    json_t *tx = json_object();

    report_put_number(&tx, "channel", queue->tx_event_channel);
    report_put_number(&tx, "packets", counters->tx_packets);
    report_put_number(&tx, "bytes", counters->tx_bytes);
    report_put_number(&tx, "gso", counters->tx_gso);
    report_put(&tx, "drops", report_tx_drops(counters));
    report_put_number(&tx, "replayed", counters->tx_replayed);
    report_put_number(&tx, "copies", counters->tx_copies);
    report_put_number(&tx, "waits", counters->tx_waits);
    report_put(&tx, "ring", report_ring(&counters->tx_ring));
    return tx;
}

static json_t *report_rx(const struct netback_queue *queue, const struct netback_queue_counters *counters)
{
    json_t *rx = json_object();

    report_put_number(&rx, "channel", queue->rx_event_channel);
    report_put_number(&rx, "packets", counters->rx_packets);
    report_put_number(&rx, "bytes", counters->rx_bytes);
    report_put_number(&rx, "gso", counters->rx_gso);
    report_put(&rx, "drops", report_rx_drops(counters));
    report_put_number(&rx, "copies", counters->rx_copies);
    report_put_number(&rx, "full", counters->rx_full);
    report_put_number(&rx, "stalls", counters->rx_stalls);
    report_put_number(&rx, "waiting", counters->rx_waiting);
    report_put(&rx, "ring", report_ring(&counters->rx_ring));
    return rx;
}

static json_t *report_queue(const struct netback_queue *queue, const struct netback_queue_counters *counters)
{
    json_t *object = json_object();
    json_t *polls = json_object();

    report_put_number(&polls, "hit", counters->polls_hit);
    report_put_number(&polls, "missed", counters->polls_missed);
    report_put(&object, "tx", report_tx(queue, counters));
    report_put(&object, "rx", report_rx(queue, counters));
    report_put_number(&object, "events", counters->events);
    report_put_number(&object, "notifications", counters->notifications);
    report_put(&object, "polls", polls);
    return object;
}

/* ---- A card. ------------------------------------------------------------------------------------------------------------------- */

static bool has_rings(const struct device *device)
{
    return device->state == DEVICE_CONNECTED || device->state == DEVICE_RECOVERING;
}

static json_t *report_queues(const struct vif *vif, const struct netback_counters *counters)
{
    json_t *queues = json_array();

    for (uint32_t i = 0; has_rings(&vif->device) && i < vif->connection.queue_count; i++)
        json_array_append_new(queues, report_queue(&vif->connection.queues[i], &counters->queues[i]));
    return queues;
}

static json_t *report_features(const struct vif *vif)
{
    static const char *const names[] = {"sg", "gso-tcpv4", "gso-tcpv6", "csum-ipv4", "csum-ipv6", "rx-notify"};
    json_t *features = json_array();

    for (size_t i = 0; has_rings(&vif->device) && i < sizeof(names) / sizeof(names[0]); i++) {
        if ((vif->connection.features & 1u << i) != 0)
            json_array_append_new(features, json_string(names[i]));
    }
    return features;
}

static json_t *report_rate(const struct rate *rate)
{
    if (rate->us == 0)
        return json_null();
    return json_pack("{s:I, s:I}", "bytes", (json_int_t)(rate->bytes & INT64_MAX), "window_us", (json_int_t)rate->us);
}

static json_t *report_control_ring(const struct vif *vif, const struct netback_counters *counters)
{
    json_t *ring;

    if (!has_rings(&vif->device) || vif->connection.has_ctrl == 0)
        return json_null();
    ring = json_object();
    report_put_number(&ring, "requests", counters->ctrl_requests);
    report_put_number(&ring, "refused", counters->ctrl_refused);
    report_put(&ring, "hash", json_boolean(counters->hash != 0));
    return ring;
}

/* What the toolstack says. */
static void report_card(const struct vif *vif, json_t **report)
{
    char mac[CARD_MAC_TEXT_SIZE];

    card_mac_text(vif->card.mac, mac);
    report_put_text(report, "kind", vif->port != NULL ? vif->port->name : NULL);
    report_put_text(report, "netdev", vif->card.netdev);
    report_put_text(report, "bridge", vif->card.bridge);
    report_put_text(report, "mac", vif->port != NULL ? mac : NULL);
    report_put(report, "mtu", vif->card.mtu != 0 ? json_integer(vif->card.mtu) : json_null());
    report_put(report, "rate", report_rate(&vif->card.rate));
}

json_t *report_vif(const struct device *device)
{
    const struct vif *vif = vif_of_const(device);
    struct netback_counters counters;
    json_t *report = json_object();
    char name[sizeof("vif4294967295")];

    read_counters(device, &counters);
    snprintf(name, sizeof(name), "vif%u", device->devid);
    report_put_text(&report, "class", "card");
    report_put_number(&report, "domid", device->guest->domid);
    report_put_number(&report, "devid", device->devid);
    report_put_text(&report, "name", name);
    report_card(vif, &report);
    report_put_text(&report, "state", xenbus_state_name(device_own_state(device)));
    report_put_text(&report, "front_state", xenbus_state_name(device_front_state(device)));
    report_put_text(&report, "activity", device_activity(device));
    report_put_text(&report, "last_error", device_last_error(device));
    report_put(&report, "carrier", json_boolean(has_rings(device) && !vif->carrier_off));
    report_put(&report, "multicast_control", json_boolean(vif->multicast_control));
    report_put(&report, "features", report_features(vif));
    report_put(&report, "queues", report_queues(vif, &counters));
    report_put(&report, "tx", report_total(total_tx(&counters)));
    report_put(&report, "rx", report_total(total_rx(&counters)));
    report_put(&report, "control_ring", report_control_ring(vif, &counters));
    report_put_number(&report, "recovery_ns", counters.recovery_ns);
    report_put(&report, "worker", report_worker(device));
    report_put(&report, "crash", report_crash(device, 0, json_array()));
    return report;
}

/* ---- Metrics. ------------------------------------------------------------------------------------------------------------------ */

static void sample(struct evbuffer *out, const char *metric, const char *name, const char *direction, uint64_t value)
{
    const char *const labels[] = {"device", name, "direction", direction, NULL};

    control_metric_sample(out, metric, labels, value);
}

static void sample_packets(struct evbuffer *out, const struct device *device, const char *name)
{
    struct netback_counters counters;

    read_counters(device, &counters);
    sample(out, "ringback_netback_packets_total", name, "tx", total_tx(&counters).packets);
    sample(out, "ringback_netback_packets_total", name, "rx", total_rx(&counters).packets);
}

static void sample_bytes(struct evbuffer *out, const struct device *device, const char *name)
{
    struct netback_counters counters;

    read_counters(device, &counters);
    sample(out, "ringback_netback_bytes_total", name, "tx", total_tx(&counters).bytes);
    sample(out, "ringback_netback_bytes_total", name, "rx", total_rx(&counters).bytes);
}

static void sample_drop(struct evbuffer *out, const char *name, const char *direction, const char *reason,
                        uint64_t value)
{
    const char *const labels[] = {"device", name, "direction", direction, "reason", reason, NULL};

    control_metric_sample(out, "ringback_netback_drops_total", labels, value);
}

static void sample_drops(struct evbuffer *out, const struct device *device, const char *name)
{
    struct netback_queue_counters sum = {0};
    struct netback_counters counters;

    read_counters(device, &counters);
    for (uint64_t i = 0; i < counters.queue_count; i++) {
        for (int fault = 0; fault < NETIF_FAULTS; fault++)
            sum.tx_faults[fault] += counters.queues[i].tx_faults[fault];
        for (int drop = 0; drop < NETBACK_TX_DROPS; drop++)
            sum.tx_drops[drop] += counters.queues[i].tx_drops[drop];
        for (int drop = 0; drop < NETBACK_RX_DROPS; drop++)
            sum.rx_drops[drop] += counters.queues[i].rx_drops[drop];
    }
    for (int fault = NETIF_FAULT_NONE + 1; fault < NETIF_FAULTS; fault++)
        sample_drop(out, name, "tx", netif_fault_name((enum netif_fault)fault), sum.tx_faults[fault]);
    for (int drop = 0; drop < NETBACK_TX_DROPS; drop++)
        sample_drop(out, name, "tx", tx_drop_names[drop], sum.tx_drops[drop]);
    for (int drop = 0; drop < NETBACK_RX_DROPS; drop++)
        sample_drop(out, name, "rx", rx_drop_names[drop], sum.rx_drops[drop]);
}

static void sample_carrier(struct evbuffer *out, const struct device *device, const char *name)
{
    const char *const labels[] = {"device", name, NULL};

    control_metric_sample(out, "ringback_netback_carrier", labels,
                          has_rings(device) && !vif_of_const(device)->carrier_off);
}

static void sample_restarts(struct evbuffer *out, const struct device *device, const char *name)
{
    const char *const labels[] = {"device", name, NULL};

    control_metric_sample(out, "ringback_netback_worker_restarts_total", labels, device->restarts.count);
}

void report_metrics(struct evbuffer *out, const struct backend *backend)
{
    control_metric_describe(out, "ringback_netback_packets_total", "counter",
                            "Packets that the guest sent (tx) or was given (rx).");
    report_each_device(backend, out, sample_packets);
    control_metric_describe(out, "ringback_netback_bytes_total", "counter", "Bytes of them.");
    report_each_device(backend, out, sample_bytes);
    control_metric_describe(out, "ringback_netback_drops_total", "counter", "Packets that were dropped.");
    report_each_device(backend, out, sample_drops);
    control_metric_describe(out, "ringback_netback_carrier", "gauge", "Whether the guest takes frames.");
    report_each_device(backend, out, sample_carrier);
    control_metric_describe(out, "ringback_netback_worker_restarts_total", "counter",
                            "Workers that ended under a connected device.");
    report_each_device(backend, out, sample_restarts);
}

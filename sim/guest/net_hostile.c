/* SPDX-License-Identifier: MIT */
/*
 * simguest net hostile: runs cases one after the other on one device.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xendev/event_channel.h>

#include "net_hostile.h"
#include "options.h"

static const struct net_hostile_case *const tables[] = {
    net_hostile_frame_cases, net_hostile_ring_cases,  net_hostile_race_cases,  net_hostile_receive_cases,
    net_hostile_ctrl_cases,  net_hostile_store_cases, net_hostile_switch_cases};

#define TABLES     (sizeof tables / sizeof tables[0])
#define OTHER_TYPE 0x88b6 /* for local experiments too: nobody looks at these frames */

/* ---- What cases use. ------------------------------------------------------------------------------------------------ */

void net_hostile_see(struct net_hostile *hostile, const char *format, ...)
{
    size_t used = strlen(hostile->seen);
    va_list ap;

    if (used > 0 && used + 3 < sizeof hostile->seen) {
        memcpy(hostile->seen + used, "; ", 3);
        used += 2;
    }
    va_start(ap, format);
    vsnprintf(hostile->seen + used, sizeof hostile->seen - used, format, ap);
    va_end(ap);
}

struct netif_tx_request_slot net_hostile_slot(struct net_hostile *hostile, unsigned page, uint32_t size, unsigned flags)
{
    if (hostile->next_id < NETIF_RING_SLOTS)
        hostile->next_id = NETIF_RING_SLOTS;
    return (struct netif_tx_request_slot){.gref = hostile->front->queues[0].tx_refs[HOSTILE_PAGE + page],
                                          .flags = (uint16_t)flags,
                                          .id = hostile->next_id++,
                                          .size = (uint16_t)size};
}

void net_hostile_put(struct net_hostile *hostile, const struct netif_tx_request_slot *slot)
{
    uint8_t bytes[RING_REQUEST_MAX] = {0};

    netif_tx_request_encode(slot, bytes);
    if (ring_front_request(&hostile->front->queues[0].tx.ring, bytes) < 0)
        abort();
    hostile->pending[slot->id] = true;
    hostile->pending_count++;
}

void net_hostile_put_extra(struct net_hostile *hostile, const struct netif_extra_slot *extra)
{
    uint8_t bytes[RING_REQUEST_MAX] = {0};

    netif_extra_encode(extra, bytes);
    if (ring_front_request(&hostile->front->queues[0].tx.ring, bytes) < 0)
        abort();
    hostile->pending_extras++;
    hostile->pending_count++;
}

void net_hostile_push(struct net_hostile *hostile)
{
    netfront_kick(hostile->front, false);
}

static void answered(void *arg, unsigned queue, const struct netif_tx_response_slot *response)
{
    struct net *net = arg;
    struct net_hostile *hostile = net->own;

    (void)queue;
    if (hostile->counting) {
        hostile->pending_count -= hostile->pending_count > 0;
        return;
    }
    if (response->status == NETIF_STATUS_NULL) {
        if (hostile->pending_extras == 0) {
            netfront_complain(hostile->front, "answered an extra that was never sent");
            return;
        }
        hostile->pending_extras--;
    } else if (!hostile->pending[response->id]) {
        netfront_complain(hostile->front, "answered a slot that was never sent, or twice");
        return;
    }
    hostile->pending_count--;
    if (response->status == NETIF_STATUS_NULL)
        return;
    hostile->pending[response->id] = false;
    hostile->okay += response->status == NETIF_STATUS_OKAY;
    hostile->errors += response->status < 0;
}

static bool is_drained(const void *arg)
{
    const struct net_hostile *hostile = arg;

    return hostile->pending_count == 0 || hostile->front->device.lost || hostile->front->complaint[0] != '\0';
}

int net_hostile_settle(struct net_hostile *hostile)
{
    int rc = guest_wait(hostile->front->guest, is_drained, hostile);

    if (rc < 0)
        net_hostile_see(hostile, "%u slots not answered in %u s", hostile->pending_count, hostile->front->guest->limit);
    return rc;
}

int net_hostile_drain(struct net_hostile *hostile)
{
    struct netfront *front = hostile->front;
    int rc = net_hostile_settle(hostile);

    if (rc < 0)
        return rc;
    if (front->complaint[0] != '\0') {
        net_hostile_see(hostile, "the back end %s", front->complaint);
        return -ECONNRESET;
    }
    if (front->device.lost) {
        net_hostile_see(hostile, "the back end went %s", xenbus_state_name(front->device.backend));
        return -ECONNRESET;
    }
    return 0;
}

/* ---- Service. ------------------------------------------------------------------------------------------------------- */

static void on_echo(void *arg, const struct net_packet *packet)
{
    struct net *net = arg;
    struct net_hostile *hostile = net->own;

    hostile->echoes_heard += net_address_equal(&packet->ip.from, &net->options.peer);
}

static bool is_echoed(const void *arg)
{
    const struct net_hostile *hostile = arg;

    return hostile->echoes_heard > 0 || hostile->front->device.lost;
}

static void ask_for_echo(struct net_hostile *hostile)
{
    struct net *net = hostile->net;
    uint8_t packet[NET_HEADERS_SIZE + NET_ICMP_SIZE] = {0};
    bool v4 = net_address_is_v4(&net->options.peer);

    packet[NET_HEADERS_SIZE] = v4 ? 8 : 128;
    net_stack_send(&net->stack, &net->options.peer, v4 ? NET_ICMP : NET_ICMPV6, packet, NET_ICMP_SIZE, 0);
    netfront_kick(hostile->front, false);
}

/* An echo comes back, perhaps not the first one: in a flood of more than we can take, most of what is for us is lost on its way. */
static bool is_peer_there(struct net_hostile *hostile)
{
    const struct net_address *peer = &hostile->net->options.peer;
    const uint64_t end = guest_now() + NET_SECOND * hostile->front->guest->limit;

    if (net_await_neighbour(hostile->net, peer) < 0) {
        net_hostile_see(hostile, "the peer is NOT found");
        return false;
    }
    hostile->echoes_heard = 0;
    while (!is_echoed(hostile) && guest_now() < end) {
        ask_for_echo(hostile);
        const uint64_t again = guest_now() + NET_SECOND / 2;
        while (!is_echoed(hostile) && guest_now() < again)
            guest_sleep(hostile->front->guest, 10);
    }
    net_hostile_see(hostile, "the peer %s", hostile->echoes_heard > 0 ? "answers" : "does NOT answer");
    return hostile->echoes_heard > 0;
}

bool net_hostile_is_served(struct net_hostile *hostile)
{
    struct netif_tx_request_slot slot = net_hostile_slot(hostile, 0, HOSTILE_LENGTH, 0);
    uint64_t okay = hostile->okay;

    net_hostile_put(hostile, &slot);
    net_hostile_push(hostile);
    if (net_hostile_drain(hostile) < 0)
        return false;
    net_hostile_see(hostile, "a normal frame is %s", hostile->okay == okay + 1 ? "taken" : "NOT taken");
    return hostile->okay == okay + 1 && (!hostile->net->options.has_peer || is_peer_there(hostile));
}

/* The good frame in each page. */
static void fill_pages(struct net_hostile *hostile)
{
    for (unsigned i = 0; i < HOSTILE_PAGES; i++) {
        uint8_t *page = hostile->front->queues[0].tx_pages + (size_t)(HOSTILE_PAGE + i) * RING_PAGE_SIZE;
        memset(page, (int)i, RING_PAGE_SIZE);
        net_ethernet_put(page, net_broadcast, hostile->front->mac, OTHER_TYPE);
    }
}

static int hostile_connect(struct net_hostile *hostile)
{
    hostile->front->config = hostile->config;
    hostile->front->device.odd_key = NULL;
    memset(hostile->pending, 0, sizeof hostile->pending);
    hostile->pending_count = hostile->pending_extras = 0;
    int rc = net_connect(hostile->net);
    if (rc == 0)
        fill_pages(hostile);
    return rc;
}

int net_hostile_restart(struct net_hostile *hostile)
{
    int rc;

    /* What is under way on account of earlier keys may end only now, and close what was just opened; and what that leaves behind, of keys that are
     * gone again, the next one. So each next try waits longer for what is under way. */
    for (unsigned tries = 0; tries < 5; tries++) {
        guest_sleep(&hostile->net->guest, tries * 100);
        rc = netfront_disconnect(hostile->front);
        if (rc == 0)
            rc = hostile_connect(hostile);
        if (rc != -ECONNREFUSED)
            break;
    }
    if (rc < 0)
        net_hostile_see(hostile, "no new life: %s", strerror(-rc));
    return rc;
}

static bool is_explained(struct net_hostile *hostile)
{
    char *reason = device_reason(&hostile->front->device);
    bool explained = *reason != '\0';

    net_hostile_see(hostile, "%s: \"%s\"", xenbus_state_name(hostile->front->device.backend), reason);
    free(reason);
    return explained;
}

bool net_hostile_is_closed(struct net_hostile *hostile)
{
    struct device *device = &hostile->front->device;

    if (device_await(device, DEVICE_IN(XENBUS_CLOSING) | DEVICE_IN(XENBUS_CLOSED)) < 0) {
        net_hostile_see(hostile, "the back end stays %s", xenbus_state_name(device->backend));
        net_hostile_restart(hostile);
        return false;
    }
    bool explained = is_explained(hostile);
    return hostile->front->complaint[0] == '\0' && net_hostile_restart(hostile) == 0 &&
           net_hostile_is_served(hostile) && explained;
}

bool net_hostile_is_survived(struct net_hostile *hostile)
{
    if (net_hostile_settle(hostile) < 0)
        return false;
    if (hostile->front->complaint[0] != '\0') {
        net_hostile_see(hostile, "the back end %s", hostile->front->complaint);
        return false;
    }
    return hostile->front->device.lost ? net_hostile_is_closed(hostile) : net_hostile_is_served(hostile);
}

/* ---- The action. ---------------------------------------------------------------------------------------------------- */

void net_hostile_list(void)
{
    for (unsigned t = 0; t < TABLES; t++) {
        for (const struct net_hostile_case *entry = tables[t]; entry->name != NULL; entry++)
            printf("%-24s  %s\n", entry->name, entry->purpose);
    }
}

static bool is_chosen(const struct net_hostile_case *entry, const struct net *net)
{
    for (unsigned i = 0; i < net->argument_count; i++) {
        if (strcmp(net->arguments[i], entry->name) == 0)
            return true;
    }
    return net->argument_count == 0;
}

static void check_names(const struct net *net)
{
    for (unsigned i = 0; i < net->argument_count; i++) {
        bool known = false;
        for (unsigned t = 0; t < TABLES; t++) {
            for (const struct net_hostile_case *entry = tables[t]; entry->name != NULL; entry++)
                known = known || strcmp(net->arguments[i], entry->name) == 0;
        }
        if (!known)
            options_die("no case '%s'; --list shows them", net->arguments[i]);
    }
}

static enum net_hostile_result run_case(struct net_hostile *hostile, const struct net_hostile_case *entry)
{
    struct netfront *front = hostile->front;

    hostile->seen[0] = '\0';
    hostile->okay = hostile->errors = 0;
    hostile->counting = false;
    if ((!front->device.up || front->device.lost || front->complaint[0] != '\0' || hostile->pending_count > 0) &&
        net_hostile_restart(hostile) < 0)
        return HOSTILE_FAILED;
    return entry->run(hostile, entry->param);
}

static bool run_cases(struct net_hostile *hostile)
{
    static const char *const words[] = {[HOSTILE_OK] = "ok", [HOSTILE_FAILED] = "FAIL", [HOSTILE_SKIPPED] = "skip"};
    unsigned totals[3] = {0};

    for (unsigned t = 0; t < TABLES; t++) {
        for (const struct net_hostile_case *entry = tables[t]; entry->name != NULL && !hostile->net->guest.stop;
             entry++) {
            if (!is_chosen(entry, hostile->net))
                continue;
            enum net_hostile_result result = run_case(hostile, entry);
            totals[result]++;
            printf("%-4s  %-24s  %s\n", words[result], entry->name, hostile->seen);
            fflush(stdout);
        }
    }
    printf("%u ok, %u failed, %u skipped\n", totals[HOSTILE_OK], totals[HOSTILE_FAILED], totals[HOSTILE_SKIPPED]);
    return totals[HOSTILE_FAILED] == 0 && totals[HOSTILE_OK] > 0;
}

static int run(struct net *net)
{
    struct net_hostile *hostile = calloc(1, sizeof *hostile);

    check_names(net);
    if (hostile == NULL)
        return EXIT_FAILURE;
    net->own = hostile;
    net->options.front.raw_tx = true;
    hostile->net = net;
    hostile->front = &net->front;
    hostile->config = net->options.front;
    hostile->count = net->options.counted ? net->options.count : 5000;
    hostile->random.state = net->options.seed;
    if (net->options.pause == 0)
        net->options.pause = NET_SECOND / 5;
    if (net_open(net) < 0)
        return EXIT_FAILURE;
    net->front.answered = answered;
    net->stack.on_echo = on_echo;
    bool ok = hostile_connect(hostile) == 0 && run_cases(hostile);
    net_close(net);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

const struct net_action net_hostile = {.name = "hostile",
                                       .arguments = "[CASE...]",
                                       .purpose = "what a guest must not be able to do to its back end",
                                       .more_arguments = true,
                                       .lone = true,
                                       .run = run};

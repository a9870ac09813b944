/* SPDX-License-Identifier: MIT */
/*
 * simguest net: runs one action on one network device.
 *
 *   open -> connect -> announce -> action: start, step* until done -> report -> disconnect
 *
 * The exit status is 0 when the action saw what it must, and the back end did nothing that it may never do.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "commands.h"
#include "net.h"
#include "options.h"
#include "pcap_file.h"

static struct net net;

const struct net_action *const net_actions[] = {&net_up,      &net_ping,   &net_udp,   &net_tcp,
                                                &net_frames,  &net_replay, &net_cycle, &net_start_of_day,
                                                &net_hostile, &net_flood,  &net_sink,  NULL};

/* ---- What actions use. ---------------------------------------------------------------------------------------------- */

void net_hear(struct net *run)
{
    uint64_t now = guest_now();

    if (now - run->heard > run->longest_gap)
        run->longest_gap = now - run->heard;
    run->heard = now;
}

bool net_is_stuck(struct net *run, const char *what)
{
    if (!run->stuck && guest_now() - run->heard > run->guest.limit * NET_SECOND) {
        guest_say("vif %u: waited %u s for %s; the back end is %s", run->front.config.devid, run->guest.limit, what,
                  xenbus_state_name(run->front.device.backend));
        run->stuck = true;
    }
    return run->stuck;
}

uint64_t net_due(const struct net *run)
{
    return run->options.rate == 0
               ? UINT64_MAX
               : 1 + (uint64_t)((double)(guest_now() - run->started) * (double)run->options.rate / 1e9);
}

struct wait {
    struct net *net;
    const struct net_address *address;
};

static bool is_known(const void *arg)
{
    const struct wait *wait = arg;

    return net_stack_resolve(&wait->net->stack, wait->address) || wait->net->guest.stop || wait->net->front.device.lost;
}

int net_await_neighbour(struct net *run, const struct net_address *address)
{
    if (net_stack_from(&run->stack, address) == NULL) {
        guest_say("no --address of the family of %s", net_address_text(address));
        return -EADDRNOTAVAIL;
    }
    int rc = guest_wait(&run->guest, is_known, &(struct wait){run, address});
    if (rc == 0 && !net_stack_resolve(&run->stack, address))
        rc = -EHOSTUNREACH;
    if (rc < 0)
        guest_say("vif %u: nobody says where %s is", run->front.config.devid, net_address_text(address));
    net_hear(run);
    run->longest_gap = 0;
    return rc;
}

/* ---- The front end. ------------------------------------------------------------------------------------------------- */

static void received(void *arg, unsigned queue, const uint8_t *frame, uint32_t length, const struct netif_meta *meta)
{
    struct net *run = arg;

    if (run->capture != NULL)
        pcap_writer_put(run->capture, frame, length);
    net_stack_received(&run->stack, queue, frame, length, meta);
}

int net_open(struct net *run)
{
    int rc = netfront_open(&run->front, &run->guest, &run->options.front);

    if (rc < 0)
        return rc;
    run->front.received = received;
    run->front.arg = run;
    net_stack_init(&run->stack, &run->front);
    run->stack.arg = run;
    for (unsigned i = 0; rc == 0 && i < run->options.address_count; i++)
        rc = net_stack_add_address(&run->stack, &run->options.addresses[i]);
    if (rc == 0 && run->options.capture != NULL)
        rc = pcap_writer_open(run->options.capture, &run->capture);
    return rc;
}

void net_close(struct net *run)
{
    if (run->front.device.up && !run->front.device.lost)
        netfront_disconnect(&run->front);
    netfront_close(&run->front);
}

int net_connect(struct net *run)
{
    int rc = netfront_connect(&run->front, false);

    if (rc == 0)
        net_stack_announce(&run->stack);
    run->started = run->heard = guest_now();
    return rc;
}

/* ---- Reports. ------------------------------------------------------------------------------------------------------- */

void net_report(const char *name, uint64_t value)
{
    if (net.options.json)
        printf("\"%s\": %" PRIu64 ", ", name, value);
    else
        printf("%s %" PRIu64 "; ", name, value);
}

void net_report_numbers(const struct net *run)
{
    net_report("received", run->numbers.received);
    net_report("received_bytes", run->numbers.bytes);
    net_report("duplicated", run->numbers.duplicated);
    net_report("reordered", run->numbers.reordered);
    net_report("corrupt", run->numbers.corrupt);
}

static void report_vif(void)
{
    const struct netfront_counts *counts = &net.front.counts;
    const struct net_stack_counts *stack = &net.stack.counts;
    const struct {
        const char *name;
        uint64_t value;
    } values[] = {
        {"tx_frames", counts->tx_frames},
        {"tx_bytes", counts->tx_bytes},
        {"tx_errors", counts->tx_errors},
        {"tx_full", counts->tx_dropped},
        {"rx_frames", counts->rx_frames},
        {"rx_bytes", counts->rx_bytes},
        {"rx_errors", counts->rx_errors},
        {"rx_slots", counts->rx_slots},
        {"rx_gso", counts->rx_gso},
        {"rx_csum_blank", counts->rx_csum_blank},
        {"rx_hashed", counts->rx_hashed},
        {"rx_hash_wrong", counts->rx_hash_wrong},
        {"kicks", counts->kicks},
        {"events", counts->events},
        {"echoed", stack->echoed},
        {"bad_checksum", stack->bad_checksum},
        {"foreign", stack->foreign},
        {"unknown", stack->unknown},
        {"unresolved", stack->unresolved},
        {"queues", net.front.queue_count},
        {"longest_gap_ms", net.longest_gap / 1000000},
    };

    for (unsigned i = 0; i < sizeof values / sizeof values[0]; i++)
        net_report(values[i].name, values[i].value);
    for (unsigned i = 0; i < NETFRONT_FEATURES; i++)
        net_report(netfront_feature_name(i), NETFRONT_HAS(net.front.features, i));
}

static bool is_vif_good(void)
{
    return net.front.complaint[0] == '\0' && !net.front.device.lost && net.front.counts.rx_hash_wrong == 0 &&
           net.stack.counts.bad_checksum == 0;
}

/* ---- The command. --------------------------------------------------------------------------------------------------- */

static bool is_over(void)
{
    return net.guest.stop || net.stuck || net.front.device.lost || net.front.complaint[0] != '\0';
}

/* Returns whether the action came to its end. */
static bool run_action(void)
{
    if (net.action->prepare != NULL)
        net.action->prepare(&net);
    if (net_open(&net) < 0 || net_connect(&net) < 0)
        return false;
    if (net.action->start != NULL && net.action->start(&net) < 0)
        return false;
    net.started = guest_now();
    for (;;) {
        bool done = net.action->step(&net);
        netfront_kick(&net.front, false);
        if (done || is_over())
            return true;
        event_base_loop(net.guest.base, EVLOOP_ONCE);
    }
}

static bool run(void)
{
    bool ran = run_action();

    if (net.options.json)
        printf("{\"action\": \"%s\", \"vif\": %u, ", net.action->name, net.options.front.devid);
    else
        printf("vif %u: ", net.options.front.devid);
    bool ok = net.action->report(&net) && ran && !net.stuck && is_vif_good();
    report_vif();
    if (net.options.json)
        printf("\"complaint\": \"%s\", \"ok\": %s}\n", net.front.complaint, ok ? "true" : "false");
    else
        printf("%s\n", ok ? "ok" : "FAILED");
    fflush(stdout);
    net_close(&net);
    return pcap_writer_close(net.capture) == 0 && ok;
}

int command_net(int argc, char **argv)
{
    int status;

    net_options_parse(&net, argc, argv);
    if (guest_open(&net.guest, net.options.limit) < 0)
        return EXIT_FAILURE;
    status = net.action->lone ? net.action->run(&net) : (run() ? EXIT_SUCCESS : EXIT_FAILURE);
    guest_close(&net.guest);
    numbers_free(&net.numbers);
    free(net.own);
    return status;
}

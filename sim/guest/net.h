/* SPDX-License-Identifier: MIT */
/*
 * simguest net: what its actions share. An action is handed a front end with an IP stack on it, takes its steps between events until it is done, and
 * reports what it saw.
 */
#ifndef GUEST_NET_H
#define GUEST_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "net_stack.h"
#include "numbers.h"

#define NET_SECOND       UINT64_C(1000000000)
#define NET_PORT_ECHO    7u /* of UDP and TCP: everything comes back */
#define NET_PORT_DISCARD 9u /* nothing does */
#define NET_VICTIMS_MAX  2u

struct pcap_writer;
struct net;

/* The command line, as far as it is there for more than one action. */
struct net_options {
    struct netfront_config front;
    struct net_address addresses[NET_ADDRESSES_MAX];
    unsigned address_count;
    const char *capture; /* file for the frames that come */
    unsigned limit;      /* seconds to wait for any one thing */
    bool json;

    uint64_t count;    /* frames, datagrams, cycles, ... */
    bool counted;      /* it was given */
    uint64_t time;     /* nanoseconds, 0: no limit */
    uint64_t rate;     /* a second, 0: as many as go */
    uint32_t min, max; /* bytes of a payload; 0: the action's own */
    uint64_t bytes;    /* of a stream */
    uint64_t window;   /* outstanding */
    uint64_t seed;
    uint64_t pause; /* nanoseconds */
    uint64_t expect;
    uint32_t flow;
    uint16_t port;
    bool one_way, lossy, reflect;
    uint8_t to[6]; /* Ethernet address of numbered frames */
    struct net_address peer;
    bool has_peer;
    struct net_address victims[NET_VICTIMS_MAX]; /* who is imitated, of either family */
    unsigned victim_count;
};

struct net_action {
    const char *name;
    const char *arguments;
    const char *purpose;
    unsigned argument_count;
    bool more_arguments;
    bool lone;                        /* connects by itself, and reports by itself */
    void (*prepare)(struct net *net); /* before the front end is opened; NULL: nothing to do */
    int (*start)(struct net *net);    /* 0, or -errno after a message; NULL: nothing to do */
    /* Called after each event, and fifty times a second. Returns whether it is over. */
    bool (*step)(struct net *net);
    /* Called at the end: whether all was right. Tells what it saw by net_report(). */
    bool (*report)(struct net *net);
    int (*run)(struct net *net); /* of a lone one: the exit status */
};

extern const struct net_action net_up, net_frames, net_udp, net_tcp, net_ping, net_replay, net_cycle, net_start_of_day,
    net_hostile, net_flood, net_sink;

struct net {
    struct net_options options;
    const struct net_action *action;
    char **arguments;
    unsigned argument_count;

    struct guest guest;
    struct netfront front;
    struct net_stack stack;
    struct numbers numbers; /* what came */
    struct pcap_writer *capture;
    uint64_t started;
    uint64_t heard;       /* when something that counts came last */
    uint64_t longest_gap; /* nanoseconds between two of them */
    bool stuck;           /* waited in vain */
    void *own;            /* the action's */
};

/* Reads the command line; a wrong one ends the program. */
void net_options_parse(struct net *net, int argc, char **argv);
extern const struct net_action *const net_actions[]; /* NULL ends them */
void net_hostile_list(void);

/* Notes that something that counts came. */
void net_hear(struct net *net);
/* Whether nothing was heard for the whole limit; says `what` was awaited then. */
bool net_is_stuck(struct net *net, const char *what);
/* How many are due by now at the asked rate, having begun when the run did. */
uint64_t net_due(const struct net *net);
/* Waits until the neighbour is known. Returns 0, or -errno after a message. */
int net_await_neighbour(struct net *net, const struct net_address *address);
/* Opens the front end, with the stack on it. Returns 0, or -errno after a message. */
int net_open(struct net *net);
void net_close(struct net *net);
/* Connects, and makes itself known. Returns 0, or -errno after a message. */
int net_connect(struct net *net);
/* A report's pairs. */
void net_report(const char *name, uint64_t value);
void net_report_numbers(const struct net *net);

#endif

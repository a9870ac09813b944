/* SPDX-License-Identifier: MIT */
/*
 * netbackd's supervisor: what it adds to daemons/backend for network cards.
 *
 *   netback.c      start and stop
 *   vif.c          one card, as the supervisor has it: the table of functions
 *   card.c         what the toolstack says of it
 *   frontend.c     what its guest says
 *   offer.c        what the guest finds in xenstore
 *   port.h         where its frames go: port_tap.c, a tap; port_switch.c, a port of tapbridged
 *   switch.c       our connection to tapbridged
 *   tap.c          taps
 *   netdev.c       whether frames that leave by one go anywhere
 *   leftover.c     which taps are ours
 *   waiting.c      cards that wait for their bridge
 *   rate.c         how much a guest may send
 *   capture.c      a copy of its frames for whoever may look
 *   report.c       what ringctl and /metrics show
 */
#ifndef NETBACK_NETBACK_H
#define NETBACK_NETBACK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <backend/backend.h>

struct event;
struct netdev_watch;
struct port_client;
struct service;
struct switch_request;

struct netback_config {
    struct backend_config backend;
    uint64_t queues_max;   /* that are offered */
    uint64_t poll_time;    /* microseconds */
    uint64_t poll_budget;  /* percent of a processor, of each worker */
    uint64_t attempts_max; /* crashes after which a packet is dropped */
    uint64_t drain_time;   /* milliseconds: frames that find no room with the guest for so long are dropped */
    uint64_t stall_time;   /* the same: a guest that takes none for so long has its carrier taken off; 0: never */
};

struct netback {
    struct backend backend; /* first */
    struct netback_config config;
    int taps_dir;   /* see leftover.h */
    bool taps_held; /* some that are of nobody, when that was looked at last */
    struct netdev_watch *netdevs;
    int run_dir;
    /* See switch.c. */
    struct port_client *switch_client; /* NULL: no card has needed one */
    struct event *switch_timer, *switch_retry;
    STAILQ_HEAD(switch_requests, switch_request) switch_requests; /* in the order they are answered in */
    struct event *waiting_timer;                                  /* see waiting.c */
};

/* Starts serving; for service_main(). Returns 0, or -errno with the reason logged. */
int netback_start(struct service *service, void *arg);
/* For the watchdog, as backend_goes_on(). */
bool netback_goes_on(void *arg);
/* Stops; guests keep their workers. */
void netback_stop(void *arg);

#endif

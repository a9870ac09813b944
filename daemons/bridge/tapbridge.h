/* SPDX-License-Identifier: MIT */
/*
 * tapbridged: a learning switch between taps of this host and shared-memory ports of netback's workers. One process, one thread.
 *
 *   configuration -> served.c: bridges, their taps, their saved tables     clients -> listener.c -> ports.c: who has which port
 *                       \                                                  /
 *   data      bell or tap -> shm.c | tap.c -> switch.c (filter.c, fdb.c) -> shm.c | tap.c -> bell or tap
 *   insight   report.c
 *
 * A frame is copied out of its sender's ring once, before it is looked at, and once into each receiver's. A port is served for
 * so many frames at a time, then the next one; a receiver without room loses frames, and nobody waits for it. A port whose memory
 * breaks the rules of its rings is closed, and nothing else happens.
 *
 * What outlives the process: the rings of the ports, whose memory their clients hold and present again; and the forwarding tables, saved in
 * RUN/tapbridged (saved.h). Taps are persistent and stay, with what is connected to them.
 */
#ifndef BRIDGE_TAPBRIDGE_H
#define BRIDGE_TAPBRIDGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <service/config.h>
#include <service/log.h>

#include "saved.h"
#include "switch.h"

struct event;
struct event_base;
struct listener;
struct service;
struct tap_port;
struct shm_port;

#define TAPBRIDGE_BRIDGES_MAX 64u
#define TAPBRIDGE_TAPS_MAX    32u /* of one bridge */

struct tapbridge_config {
    uint64_t ring_size;
};

/* One [bridge NAME] section. */
struct served_config {
    char *taps; /* names, with blanks between; "none" */
    char *uplinks;
    bool isolated;
    uint64_t ageing; /* seconds */
    uint64_t entries_max;
    uint64_t entries_per_port_max;
    uint64_t ports_max;
};

TAILQ_HEAD(shm_ports, shm_port);
TAILQ_HEAD(tap_ports, tap_port);

/* A bridge and what belongs to it. */
struct served_bridge {
    TAILQ_ENTRY(served_bridge) next; /* tapbridge.bridges */
    struct bridge bridge;
    struct tapbridge *tapbridge;
    struct served_config config; /* without its strings */
    struct log_source log;       /* of what its ports do */
    struct shm_ports shms;
    struct tap_ports taps;
    struct saved_entry *waiting; /* of the saved table: for ports that have not come back */
    uint32_t waiting_count;
    uint64_t changes_saved; /* fdb_changes() when it was saved last */
};

struct tapbridge {
    struct tapbridge_config config;
    struct config_family family;
    struct event_base *base;
    int run_dir;   /* RUN */
    int state_dir; /* RUN/tapbridged */
    uint8_t key[FDB_KEY_SIZE];
    TAILQ_HEAD(served_bridges, served_bridge) bridges;
    struct listener *listener;
    struct event *tick;
    unsigned ticks;
    bool gathering; /* its ports are about to come back: see served_gathered() */
};

extern const struct config_key tapbridge_keys[];
extern const unsigned tapbridge_key_count;
/* [bridge NAME]. */
extern const struct config_family tapbridge_family;

/* service_daemon's; `arg` is a struct tapbridge, zeroed but for the configuration. */
int tapbridge_start(struct service *service, void *arg);
void tapbridge_stop(void *arg);
void tapbridge_reloaded(void *arg);

/* Milliseconds, of a clock that all processes of this host share. */
int64_t tapbridge_now(void);

#endif

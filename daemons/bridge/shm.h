/* SPDX-License-Identifier: MIT */
/*
 * A shared-memory port: two frame rings and two bells (port.h), between the switch and a process that is not trusted.
 */
#ifndef BRIDGE_SHM_H
#define BRIDGE_SHM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <service/log.h>

#include "port.h"
#include "switch.h"

struct event;
struct event_base;

struct shm_port {
    struct bridge_port port;    /* first */
    TAILQ_ENTRY(shm_port) next; /* served_bridge.shms */
    struct log_source *log;     /* its bridge's: guests make ports as often as they like */
    int fds[PORT_FDS];          /* -1 when it is closed */
    uint32_t capacity;
    void *memory;
    struct frame_consumer in;
    struct frame_producer out;
    struct event *bell;
    struct event *again; /* there is more to do, when others had their turn */
    int failure;         /* -errno: why it was closed */
    char reason[PORT_REASON_SIZE];
    uint32_t flags, group; /* as its client asked */
    bool told;             /* its client knows that */
    bool begun;            /* its frames are taken */
    bool presented;        /* on the current connection */
    uint64_t bells_heard, bells_rung;
};

/* What shm ports tell: one was closed, as its failure and reason say. From the loop, at the end of a batch. */
typedef void (*shm_failed)(struct shm_port *port, void *arg);

/* Takes up the rings where they are; frames are taken from it from shm_begin() on. `port` is zeroed but for port.name and log. The descriptors are the
 * port's when that succeeds. Returns 0; -EPROTO for impossible indices; -EINVAL for memory that is none; -ENOMEM. */
int shm_open(struct shm_port *port, struct event_base *base, const int fds[PORT_FDS], uint32_t capacity,
             shm_failed failed, void *arg);
/* Serves an open port as soon as the loop turns, and from then on; not so a closed one. */
void shm_begin(struct shm_port *port);
/* Lets go of the memory; the port stays on its bridge, closed. */
void shm_close(struct shm_port *port);

/* A closed port's client has been told why it is; for those who look. */
void shm_give_up(struct shm_port *port, int failure, const char *reason);

extern const struct switch_ops shm_ops;

#endif

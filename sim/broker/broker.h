/* SPDX-License-Identifier: MIT */
/*
 * simxend, the broker: the hypervisor of one simulated host.
 *
 * Theory of operation.  One process, one thread, one epoll loop; nothing in it waits for anybody.  It owns every table and is the
 * only writer of all that allocates, binds, grants and maps (../lib/shared.h says what clients touch themselves).
 *
 *   main.c        start, the loop, timers
 *   connection.c  a client's handle: hello, requests, its end
 *   domain.c      domains: create, destroy, the dying ones
 *   port.c        event channels
 *   grant.c       grants: share, revoke, map
 *   guestbus.c    a guest's way to xenstored: a socket in front of the domain's xenstore ring
 *
 * A client's death is seen as the hangup of its connection.  A process that waited for that death may send its next request
 * before the broker has looked at the hangup; so hangups are looked for again before each request, and a successor never finds the
 * port of its predecessor still bound.
 */
#ifndef SIM_BROKER_H
#define SIM_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "shared.h"

enum { BROKER_VIRQS = 24, BROKER_VIRQ_DOM_EXC = 3 };

/* Something the loop waits for. */
struct source {
    int fd;
    void (*ready)(struct source *source, uint32_t events);
};

/* An event channel handle: a pipe that stays with its slot, so that a late sender never writes to a closed one. */
struct evtchn {
    uint32_t slot;
    int read_fd, write_fd; /* -1 until the slot is used for the first time */
    uint64_t inode;        /* of the pipe; names the handle to xenevtchn_fdopen */
    unsigned users;        /* connections; 0: the slot is free */
    struct domain *domain;
    uint32_t restricted; /* the only domain it may bind to; SIM_DOMID_MAX: any */
};

enum port_state { PORT_FREE, PORT_UNBOUND, PORT_INTERDOMAIN, PORT_VIRQ };

struct port {
    enum port_state state;
    struct evtchn *owner;   /* NULL: the kernel's */
    uint32_t remote_domid;  /* UNBOUND: who may bind */
    struct domain *remote;  /* INTERDOMAIN */
    uint32_t number_or_irq; /* INTERDOMAIN: the remote port; VIRQ: its number */
};

struct grant {
    uint32_t maps;
    uint32_t next_free; /* in domain.free_grants */
    bool granted;
    bool unshared; /* revocation waits for the last mapping to go */
};

struct domain {
    struct sim_domain *shared; /* NULL: the slot is free */
    uint32_t slot;
    int memory_rw, memory_ro;
    uint8_t *memory;
    struct port *port;
    struct grant *grant;
    uint32_t free_grants; /* first of the free list; 0: none */
    uint32_t virq_port[BROKER_VIRQS];
    struct guestbus *bus; /* NULL for domain 0 */
};

/* One map or one share request's worth of pages. */
struct region {
    LIST_ENTRY(region) entry; /* connection.regions */
    uint32_t id;
    bool mapping; /* of others' pages; otherwise our own pages, granted */
    uint32_t notify_offset, notify_port;
    uint32_t count;
    struct region_page {
        struct domain *domain;
        uint32_t ref;
    } page[];
};
LIST_HEAD(region_list, region);

struct connection {
    struct source source;         /* first: the loop's callback casts */
    LIST_ENTRY(connection) entry; /* broker.connections; after its end, broker.ended */
    bool ended;
    uint32_t kind; /* enum sim_kind; 0 before hello */
    struct domain *domain;
    int pidfd;
    pid_t pid;
    struct evtchn *evtchn; /* SIM_KIND_EVTCHN */
    uint32_t copier;       /* SIM_KIND_GNTTAB */
    struct region_list regions;
    uint32_t next_id;
};
LIST_HEAD(connection_list, connection);

/* What a request is answered with beside success. */
struct answer {
    struct sim_reply reply;
    const void *data;
    size_t size;
    int fds[4];
    unsigned nfds;
    int private_fd; /* among fds, closed after sending; -1: none */
};

struct broker {
    const char *dir;
    struct sim_host *host;
    int host_fd;
    int epoll, hangups; /* the loop's; one that sees only hangups of connections */
    struct connection_list connections, ended;
    struct domain domain[SIM_DOMAINS];
    struct evtchn evtchn[SIM_EVTCHN_HANDLES];
    bool copier_used[SIM_COPIERS];
    uint32_t last_domid;
};
extern struct broker broker;

/* main.c */
int broker_watch(struct source *source, uint32_t events);
void broker_unwatch(struct source *source);
/* Raise the other end of @port of @domain in @milliseconds, if it still is what it is now.  0, or a positive errno. */
int broker_notify_later(struct domain *domain, uint32_t port, uint32_t milliseconds);

/* connection.c */
void connection_accept(struct source *listener, uint32_t events);
void connection_end(struct connection *connection);
void connections_reap(void); /* end those that hung up */
void connections_free(void); /* free those that ended; no pointer to them may be on the stack */

/* domain.c: errors are positive errno values */
int domain_create(uint32_t domid, const uint8_t uuid[16], struct domain **ret_domain, uint32_t *ret_store_port);
int domain_destroy(uint32_t domid);
struct domain *domain_find(uint32_t domid);
/* A dying domain goes when nobody maps its pages any more. */
void domain_put(struct domain *domain);

/* port.c: errors are positive errno values */
int evtchn_open(struct domain *domain, uint64_t inode, struct evtchn **ret_evtchn);
void evtchn_close(struct evtchn *evtchn);
int port_bind_unbound(struct domain *domain, struct evtchn *owner, uint32_t remote_domid, uint32_t *ret_port);
int port_bind_interdomain(struct domain *domain, struct evtchn *owner, uint32_t remote_domid, uint32_t remote_port,
                          uint32_t *ret_port);
int port_bind_virq(struct domain *domain, struct evtchn *owner, uint32_t virq, uint32_t *ret_port);
bool port_owned(const struct domain *domain, const struct evtchn *owner, uint32_t port);
void port_close(struct domain *domain, uint32_t port);
void port_raise(struct domain *domain, uint32_t port);
void port_notify(struct domain *domain, uint32_t port); /* raise the other end */
void virq_raise(uint32_t virq);                         /* in domain 0 */

/* grant.c: errors are positive errno values */
int grants_init(struct domain *domain);
int grant_share(struct connection *connection, const struct sim_request *request, struct answer *answer);
int grant_map(struct connection *connection, const struct sim_request *request, const struct sim_ref *pairs,
              struct answer *answer);
struct region *region_find(struct connection *connection, uint32_t id, bool mapping);
void region_release(struct connection *connection, struct region *region);
bool grants_settle(void); /* give back revoked pages whose copiers came to rest; true when some are left */

/* guestbus.c */
int guestbus_start(struct domain *domain, uint32_t *ret_port);
void guestbus_stop(struct domain *domain);

#endif

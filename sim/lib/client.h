/* SPDX-License-Identifier: MIT */
/*
 * A handle's connection to the broker, shared by the three libraries.
 *
 * The host directory is the environment's SIMXEN_DIR, the process's domain SIMXEN_DOMID (0 when unset).
 */
#ifndef SIM_CLIENT_H
#define SIM_CLIENT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "shared.h"

struct sim_client {
    int fd;
    bool cloexec; /* for descriptors still to come */
    pid_t owner;  /* the process that opened the handle; a forked child must not end it for its parent */
    pthread_mutex_t lock;
    struct sim_host *host;
    struct sim_domain *self; /* this process's domain */
    uint32_t slot;           /* what the broker gave the handle: event channel handle or copier slot */
};

/* Connect as @kind.  @inode: of a pipe whose event channel handle is adopted, else 0.  @cloexec: for every descriptor.
 * @fds receives @nfds descriptors beside the host memory.  0, or -1 and errno. */
int sim_client_open(struct sim_client *client, enum sim_kind kind, uint64_t inode, bool cloexec, int *fds,
                    unsigned nfds);

/* End the handle.  In the process that opened it the broker has let go of everything when this returns. */
void sim_client_close(struct sim_client *client);

/* One request and its reply.  @out: @out_size bytes that follow the request.  @in: room for @in_size bytes that follow the
 * reply.  @fds: room for @nfds descriptors, -1 where none came.  0, or -1 and errno as the broker set it.  Thread-safe. */
int sim_client_call(struct sim_client *client, const struct sim_request *request, const void *out, size_t out_size,
                    struct sim_reply *reply, void *in, size_t in_size, int *fds, unsigned nfds);

/* The slot of a domain that exists, or NULL. */
struct sim_domain *sim_client_domain(const struct sim_client *client, uint32_t domid);

#endif

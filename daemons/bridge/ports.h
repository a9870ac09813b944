/* SPDX-License-Identifier: MIT */
/*
 * Who has which shared-memory port: what clients ask for (port.h) done.
 */
#ifndef BRIDGE_PORTS_H
#define BRIDGE_PORTS_H

#include "tapbridge.h"

struct shm_port;

/* Does what a checked PORT_ATTACH asks for. Takes `fd_count` descriptors over. Returns 0 with the port; or -errno, with the reason. */
int ports_attach(struct tapbridge *tapbridge, const struct port_message *attach, const int *fds, unsigned fd_count,
                 struct shm_port **ret_port, char ret_reason[PORT_REASON_SIZE]);
/* Takes a port off its bridge and frees it. */
void ports_detach(struct shm_port *port);
struct shm_port *ports_find(struct tapbridge *tapbridge, const char *name);

/* A client begins to present its ports. */
void ports_begin(struct tapbridge *tapbridge);
/* It has presented all: what it has not is removed. */
void ports_settle(struct tapbridge *tapbridge);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The xenstore nodes of a domain, as xl leaves them: written at creation, removed at destruction.
 */
#ifndef SIM_NODES_H
#define SIM_NODES_H

#include <stdint.h>
#include <xenstore.h>

/* Nodes of domain 0 that a real dom0 has after boot.  0, or -errno. */
int nodes_dom0_write(struct xs_handle *xs);

/* Introduce domain @domid, whose xenstore port is @port, and write its nodes.  0, or -errno. */
int nodes_domain_write(struct xs_handle *xs, uint32_t domid, uint32_t port, const char *uuid, const char *name);

/* Remove the front ends of @domid, tell every backend to close (online=0, state=5), wait at most @seconds until each is closed (6) or gone, and remove
 * what is left. */
void nodes_backends_close(struct xs_handle *xs, uint32_t domid, unsigned seconds);

/* Remove the domain's own nodes. */
void nodes_domain_remove(struct xs_handle *xs, uint32_t domid);

#endif

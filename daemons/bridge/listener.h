/* SPDX-License-Identifier: MIT */
/*
 * The socket of the ports (port.h): one client at a time, one message after the other.
 */
#ifndef BRIDGE_LISTENER_H
#define BRIDGE_LISTENER_H

struct listener;
struct tapbridge;

/* Listens in the run directory. Returns 0 or -errno. */
int listener_open(struct tapbridge *tapbridge, struct listener **ret_listener);
/* Takes NULL. Ports stay as they are. */
void listener_close(struct listener *listener);

/* Tells the client of ports that were closed, as soon as it listens. */
void listener_tell_failures(struct listener *listener);
/* Closes the connection, for the client to make another one and present its ports. */
void listener_hang_up(struct listener *listener);

#endif

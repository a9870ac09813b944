/* SPDX-License-Identifier: MIT */
/*
 * The client of the switch's ports (port.h), for netbackd's supervisor: on its event loop, never waiting.
 *
 * It connects, and when the connection ends, because tapbridged was restarted or is not there, it tries again, ten times a second. On each new
 * connection its user presents all the ports it has; what it asks for while there is none is refused with -ENOTCONN, and will be asked for
 * by `present`.
 *
 * A supervisor may connect before it knows all ports of an earlier one: tapbridged keeps those that are not presented, serving, until
 * port_client_settle() is called.
 */
#ifndef BRIDGE_PORT_CLIENT_H
#define BRIDGE_PORT_CLIENT_H

#include <stdbool.h>

#include "port.h"

struct event_base;
struct port_client;

/* What its user is told, from the loop. In each the user may call any function of this but port_client_free(). */
struct port_client_user {
    /* Connected. Call port_client_attach() for each port there should be, with the descriptors of those that were attached. Once it is
     * settled, tapbridged removes those that are not attached when this returns. */
    void (*present)(void *arg);
    /* A port is there, with rings of `capacity` bytes. The descriptors are the user's, also when it has some for the same memory already. */
    void (*attached)(void *arg, const char *port, uint32_t capacity, const int fds[PORT_FDS]);
    /* It is not, for a reason: an -errno of port.h, and a sentence. Nothing is tried again. */
    void (*refused)(void *arg, const char *port, int error, const char *reason);
    /* It was closed. To be attached anew, without descriptors, or detached. */
    void (*failed)(void *arg, const char *port, int error, const char *reason);
    void (*detached)(void *arg, const char *port);
    /* The connection has ended: ports serve on, as long as tapbridged does. May be NULL. */
    void (*disconnected)(void *arg);
    void *arg;
};

/* `run_dir` is a descriptor of the run directory, which outlives the client. Connects from the loop. Returns 0, -ENOMEM. */
int port_client_new(struct event_base *base, int run_dir, const struct port_client_user *user,
                    struct port_client **ret_client);
/* Takes NULL. Ports stay. */
void port_client_free(struct port_client *client);
bool port_client_is_connected(const struct port_client *client);

/* Asks for a port: a message of port_message_make(PORT_ATTACH, ...), filled in but for `capacity`. With the descriptors and the capacity of a
 * port that was attached before, or NULL and 0; they stay the caller's. `attached` or `refused` follows, or `disconnected`. Returns 0;
 * -EINVAL; -ENOTCONN; -ENOMEM, -EMFILE. */
int port_client_attach(struct port_client *client, const struct port_message *attach, const int *fds,
                       uint32_t capacity);
/* Gives a port up. `detached` follows, or `disconnected`. Returns as above. */
int port_client_detach(struct port_client *client, const char *port);
/* From now on all ports there should be are known, so that tapbridged removes the others: on this connection at once, or when `present` has
 * returned; on later ones without another call. Calling it again changes nothing. The connection is ended, and made anew, when there is no
 * memory for it. */
void port_client_settle(struct port_client *client);

#endif

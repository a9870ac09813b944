/* SPDX-License-Identifier: MIT */
/*
 * The socket of the ports. A message is read only when there is room for its answer: one that the client does not fetch is kept, and nothing more
 * is read until it is gone. Ports that were closed are marked as not told, and told when there is room. So a client that does not
 * listen costs nothing.
 */
#include "listener.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/util.h>

#include <service/log.h>
#include <supervise/channel.h>

#include "ports.h"
#include "shm.h"
#include "tapbridge.h"

#define MESSAGES_A_TURN 16u

struct listener {
    struct tapbridge *tapbridge;
    struct log_source log; /* of what is refused: guests have it asked for */
    int fd;
    struct event *acceptable;
    int connection; /* -1: nobody */
    struct event *readable, *writable;
    bool unsent; /* `answer` is, with the descriptors of the port it is about if it has some */
    struct port_message answer;
};

static void stop_listening_to(struct listener *listener)
{
    if (listener->connection < 0)
        return;
    event_free(listener->readable);
    event_free(listener->writable);
    listener->readable = listener->writable = NULL;
    close(listener->connection);
    listener->connection = -1;
    listener->unsent = false;
}

void listener_hang_up(struct listener *listener)
{
    stop_listening_to(listener);
}

/* ---- To the client. ----------------------------------------------------------------------------------------------- */

/* Returns 0; -EAGAIN when it is to be tried again; or the connection is gone. */
static int send_message(struct listener *listener, const struct port_message *message, const int *fds)
{
    int err = channel_send(listener->connection, message, sizeof(*message), fds, fds != NULL ? PORT_FDS : 0);

    if (err == -EAGAIN) {
        event_add(listener->writable, NULL);
        event_del(listener->readable);
        return err;
    }
    if (err < 0) {
        log_warning(NULL, "client of ports: %s", strerror(-err));
        stop_listening_to(listener);
    }
    return err;
}

static int send_answer(struct listener *listener)
{
    const struct port_message *answer = &listener->answer;
    const struct shm_port *port = NULL;

    if (answer->type == PORT_ATTACHED && answer->result == 0) {
        /* It may have been closed meanwhile; the client is then told that next. */
        port = ports_find(listener->tapbridge, answer->port);
        if (port == NULL || port->memory == NULL) {
            listener->answer.result = -EPROTO;
            listener->answer.capacity = 0;
            port = NULL;
        }
    }
    int err = send_message(listener, answer, port != NULL ? port->fds : NULL);
    listener->unsent = err == -EAGAIN;
    return err;
}

static int tell_failure(struct listener *listener, struct shm_port *port)
{
    struct port_message message;
    int err = port_message_make(PORT_FAILED, port->port.name, &message);

    if (err < 0)
        return err;
    message.result = port->failure;
    memcpy(message.reason, port->reason, sizeof(message.reason));
    err = send_message(listener, &message, NULL);
    port->told = err == 0;
    return err;
}

void listener_tell_failures(struct listener *listener)
{
    struct served_bridge *served;
    struct shm_port *port;

    if (listener == NULL)
        return;
    TAILQ_FOREACH (served, &listener->tapbridge->bridges, next)
        TAILQ_FOREACH (port, &served->shms, next)
            if (listener->connection >= 0 && !listener->unsent && port->memory == NULL && port->failure < 0 &&
                !port->told && tell_failure(listener, port) < 0)
                return;
}

/* ---- From the client. --------------------------------------------------------------------------------------------- */

static void attach(struct listener *listener, const struct port_message *message, const int *fds, unsigned fd_count)
{
    struct port_message *answer = &listener->answer;
    struct shm_port *port;

    port_message_make(PORT_ATTACHED, message->port, answer);
    answer->result = ports_attach(listener->tapbridge, message, fds, fd_count, &port, answer->reason);
    if (answer->result < 0)
        log_warning(&listener->log, "port %s: not attached: %s", message->port, answer->reason);
    else
        answer->capacity = port->capacity;
}

/* Does what a message asks for. Returns whether it is answered. */
static bool obey(struct listener *listener, const struct port_message *message, const int *fds, unsigned fd_count)
{
    struct shm_port *port;

    if (message->type == PORT_ATTACH) {
        attach(listener, message, fds, fd_count);
        return true;
    }
    for (unsigned i = 0; i < fd_count; i++)
        close(fds[i]);
    if (message->type == PORT_SETTLED) {
        ports_settle(listener->tapbridge);
        return false;
    }
    port = ports_find(listener->tapbridge, message->port);
    if (port != NULL) {
        log_debug(port->log, "port %s left", port->port.name);
        ports_detach(port);
    }
    port_message_make(PORT_DETACHED, message->port, &listener->answer);
    return true;
}

/* Reads and answers one message. Returns whether to go on. */
static bool take(struct listener *listener)
{
    struct port_message message;
    int fds[CHANNEL_FDS_MAX];
    unsigned fd_count;
    ssize_t got = channel_receive(listener->connection, &message, sizeof(message), fds, &fd_count);

    if (got == -EAGAIN)
        return false;
    int err = got == 0 ? -EPIPE : got < 0 ? (int)got : port_message_check(&message);
    if (err == 0 && message.type != PORT_ATTACH && message.type != PORT_DETACH && message.type != PORT_SETTLED)
        err = -EINVAL;
    if (err < 0) {
        for (unsigned i = 0; got > 0 && i < fd_count; i++)
            close(fds[i]);
        if (got != 0)
            log_warning(NULL, "client of ports: hung up on: %s",
                        err == -EPROTONOSUPPORT || err == -EBADMSG ? "it speaks another version" : strerror(-err));
        stop_listening_to(listener);
        return false;
    }
    return !obey(listener, &message, fds, fd_count) || send_answer(listener) == 0;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct listener *listener = arg;

    (void)fd;
    (void)what;
    for (unsigned i = 0; i < MESSAGES_A_TURN && take(listener); i++)
        ;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct listener *listener = arg;

    (void)fd;
    (void)what;
    event_del(listener->writable);
    event_add(listener->readable, NULL);
    if (listener->unsent && send_answer(listener) < 0)
        return;
    listener_tell_failures(listener);
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    struct listener *listener = arg;
    struct event_base *base = listener->tapbridge->base;
    int connection = channel_accept(fd);

    (void)what;
    if (connection < 0)
        return;
    stop_listening_to(listener);
    listener->readable = event_new(base, connection, EV_READ | EV_PERSIST, on_readable, listener);
    listener->writable = event_new(base, connection, EV_WRITE | EV_PERSIST, on_writable, listener);
    if (listener->readable == NULL || listener->writable == NULL || event_add(listener->readable, NULL) < 0) {
        if (listener->readable != NULL)
            event_free(listener->readable);
        if (listener->writable != NULL)
            event_free(listener->writable);
        close(connection);
        return;
    }
    listener->connection = connection;
    ports_begin(listener->tapbridge);
    listener_tell_failures(listener);
}

/* ---- Open and closed. --------------------------------------------------------------------------------------------- */

int listener_open(struct tapbridge *tapbridge, struct listener **ret_listener)
{
    struct listener *listener = calloc(1, sizeof(*listener));
    int err;

    if (listener == NULL)
        return -ENOMEM;
    listener->tapbridge = tapbridge;
    listener->connection = -1;
    log_source_init(&listener->log, "ports");
    listener->fd = channel_listen(tapbridge->run_dir, BRIDGE_PORT_SOCKET);
    if (listener->fd < 0) {
        err = listener->fd;
        free(listener);
        return err;
    }
    listener->acceptable = event_new(tapbridge->base, listener->fd, EV_READ | EV_PERSIST, on_acceptable, listener);
    if (listener->acceptable == NULL || event_add(listener->acceptable, NULL) < 0) {
        listener_close(listener);
        return -ENOMEM;
    }
    *ret_listener = listener;
    return 0;
}

void listener_close(struct listener *listener)
{
    if (listener == NULL)
        return;
    stop_listening_to(listener);
    if (listener->acceptable != NULL)
        event_free(listener->acceptable);
    close(listener->fd);
    free(listener);
}

/* SPDX-License-Identifier: MIT */
/*
 * The client of the switch's ports: see port_client.h. What the socket does not take at once waits in a queue, with descriptors of its own.
 */
#include "port_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include <event2/event.h>

#include <supervise/channel.h>

#define RETRY_MS        100
#define MESSAGES_A_TURN 64u

struct request {
    STAILQ_ENTRY(request) next; /* port_client.queue */
    struct port_message message;
    int fds[PORT_FDS];
    unsigned fd_count;
};

struct port_client {
    struct event_base *base;
    int run_dir;
    struct port_client_user user;
    int connection; /* -1: none */
    bool settled;   /* its user presents all ports there are */
    bool unsaid;    /* they are presented on this connection, but that this is all was not said */
    struct event *retry, *readable, *writable;
    STAILQ_HEAD(requests, request) queue;
};

static void free_request(struct request *request)
{
    for (unsigned i = 0; i < request->fd_count; i++)
        close(request->fds[i]);
    free(request);
}

static void try_again_soon(struct port_client *client)
{
    const struct timeval soon = {.tv_usec = RETRY_MS * 1000L};

    event_add(client->retry, &soon);
}

/* Ends the connection, and with it what was asked for. */
static void close_connection(struct port_client *client)
{
    struct request *request;

    if (client->connection < 0)
        return;
    event_free(client->readable);
    event_free(client->writable);
    close(client->connection);
    client->connection = -1;
    client->unsaid = false;
    while ((request = STAILQ_FIRST(&client->queue)) != NULL) {
        STAILQ_REMOVE_HEAD(&client->queue, next);
        free_request(request);
    }
}

static void disconnect(struct port_client *client)
{
    if (client->connection < 0)
        return;
    close_connection(client);
    try_again_soon(client);
    if (client->user.disconnected != NULL)
        client->user.disconnected(client->user.arg);
}

/* ---- To the switch. ----------------------------------------------------------------------------------------------- */

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct port_client *client = arg;
    struct request *request;

    (void)fd;
    (void)what;
    while ((request = STAILQ_FIRST(&client->queue)) != NULL) {
        int err = channel_send(client->connection, &request->message, sizeof(request->message), request->fds,
                               request->fd_count);
        if (err == -EAGAIN)
            return;
        if (err < 0) {
            disconnect(client);
            return;
        }
        STAILQ_REMOVE_HEAD(&client->queue, next);
        free_request(request);
    }
    event_del(client->writable);
}

/* Puts a message into the queue, which the loop empties. */
static int ask(struct port_client *client, const struct port_message *message, const int *fds)
{
    struct request *request;

    if (client->connection < 0)
        return -ENOTCONN;
    request = calloc(1, sizeof(*request));
    if (request == NULL)
        return -ENOMEM;
    request->message = *message;
    for (unsigned i = 0; fds != NULL && i < PORT_FDS; i++) {
        request->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
        if (request->fds[i] < 0) {
            int err = -errno;
            free_request(request);
            return err;
        }
        request->fd_count++;
    }
    if (event_add(client->writable, NULL) < 0) {
        free_request(request);
        return -ENOMEM;
    }
    STAILQ_INSERT_TAIL(&client->queue, request, next);
    return 0;
}

int port_client_attach(struct port_client *client, const struct port_message *attach, const int *fds, uint32_t capacity)
{
    struct port_message message = *attach;

    message.capacity = fds != NULL ? capacity : 0;
    if (message.type != PORT_ATTACH || port_message_check(&message) < 0)
        return -EINVAL;
    return ask(client, &message, fds);
}

int port_client_detach(struct port_client *client, const char *port)
{
    struct port_message message;
    int err = port_message_make(PORT_DETACH, port, &message);

    return err < 0 ? err : ask(client, &message, NULL);
}

/* ---- From the switch. --------------------------------------------------------------------------------------------- */

/* Tells the user. Returns 0, or -EPROTO for what makes no sense. */
static int tell(struct port_client *client, const struct port_message *message, const int *fds, unsigned fd_count)
{
    const struct port_client_user *user = &client->user;

    if (message->type == PORT_ATTACHED && message->result == 0) {
        if (fd_count != PORT_FDS || port_memory_check(fds, message->capacity) < 0)
            return -EPROTO;
        user->attached(user->arg, message->port, message->capacity, fds);
        return 0;
    }
    if (fd_count != 0)
        return -EPROTO;
    if (message->type == PORT_ATTACHED)
        user->refused(user->arg, message->port, message->result, message->reason);
    else if (message->type == PORT_FAILED)
        user->failed(user->arg, message->port, message->result, message->reason);
    else if (message->type == PORT_DETACHED)
        user->detached(user->arg, message->port);
    else
        return -EPROTO;
    return 0;
}

/* Takes one message. Returns whether to go on. */
static bool take(struct port_client *client)
{
    struct port_message message;
    int fds[CHANNEL_FDS_MAX];
    unsigned fd_count = 0;
    ssize_t got = channel_receive(client->connection, &message, sizeof(message), fds, &fd_count);

    if (got == -EAGAIN)
        return false;
    int err = got <= 0 ? -EPIPE : port_message_check(&message);
    if (err == 0)
        err = tell(client, &message, fds, fd_count);
    if (err < 0) {
        for (unsigned i = 0; i < fd_count; i++)
            close(fds[i]);
        disconnect(client);
        return false;
    }
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct port_client *client = arg;

    (void)fd;
    (void)what;
    for (unsigned i = 0; i < MESSAGES_A_TURN && client->connection >= 0 && take(client); i++)
        ;
}

/* ---- Connecting. -------------------------------------------------------------------------------------------------- */

static void say_settled(struct port_client *client)
{
    struct port_message settled;

    if (!client->settled || !client->unsaid)
        return;
    client->unsaid = false;
    port_message_make(PORT_SETTLED, NULL, &settled);
    if (ask(client, &settled, NULL) < 0)
        disconnect(client);
}

void port_client_settle(struct port_client *client)
{
    client->settled = true;
    say_settled(client);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    struct port_client *client = arg;
    int connection = channel_connect(client->run_dir, BRIDGE_PORT_SOCKET);

    (void)fd;
    (void)what;
    if (connection < 0) {
        try_again_soon(client);
        return;
    }
    client->readable = event_new(client->base, connection, EV_READ | EV_PERSIST, on_readable, client);
    client->writable = event_new(client->base, connection, EV_WRITE | EV_PERSIST, on_writable, client);
    if (client->readable == NULL || client->writable == NULL || event_add(client->readable, NULL) < 0) {
        if (client->readable != NULL)
            event_free(client->readable);
        if (client->writable != NULL)
            event_free(client->writable);
        close(connection);
        try_again_soon(client);
        return;
    }
    client->connection = connection;
    client->user.present(client->user.arg);
    client->unsaid = true;
    say_settled(client);
}

int port_client_new(struct event_base *base, int run_dir, const struct port_client_user *user,
                    struct port_client **ret_client)
{
    struct port_client *client = calloc(1, sizeof(*client));

    if (client == NULL)
        return -ENOMEM;
    client->base = base;
    client->run_dir = run_dir;
    client->user = *user;
    client->connection = -1;
    STAILQ_INIT(&client->queue);
    client->retry = evtimer_new(base, on_retry, client);
    if (client->retry == NULL) {
        free(client);
        return -ENOMEM;
    }
    event_active(client->retry, EV_TIMEOUT, 0);
    *ret_client = client;
    return 0;
}

void port_client_free(struct port_client *client)
{
    if (client == NULL)
        return;
    close_connection(client);
    event_free(client->retry);
    free(client);
}

bool port_client_is_connected(const struct port_client *client)
{
    return client->connection >= 0;
}

/* SPDX-License-Identifier: MIT */
/*
 *   STARTED --(EOF)------------> ALONE --(connection)--> GREETING --(adopt)--> ADOPTED --(EOF)--> ALONE
 *      |                           ^                        |  |                  |
 *      +------(connection)---------+---(EOF, nonsense)------+  +--(drain)--> DRAINING --(EOF)--> ALONE
 *
 * The newest connection wins, whatever the state: the run directory's lock sees to it that there is one supervisor, so who connects is the one,
 * and an older connection is a dead one's. What the dead one had sent and we had not read is dropped with its connection; the new one is told
 * what we hold and begins from there.
 *
 * A supervisor that says something impossible in its greeting is hung up on, and what we serve is served on.
 */
#include "link.h"

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#include <event2/event.h>

#include <backend/protocol.h>
#include <ring/back.h>
#include <supervise/channel.h>
#include <supervise/greeting.h>

static struct {
    struct event_base *base;
    const struct link_user *user;
    struct event *readable;
    struct event *writable; /* NULL: nobody waits */
    void (*on_writable)(void);
    struct event *connection; /* of the listener */
    int fd;                   /* -1: alone */
    bool greeting;            /* the supervisor's is due */
    bool draining;            /* nothing is said or heard any more */
} supervisor = {.fd = -1};

static void hang_up(void)
{
    if (supervisor.fd < 0)
        return;
    event_free(supervisor.readable);
    supervisor.readable = NULL;
    if (supervisor.writable != NULL)
        event_free(supervisor.writable);
    supervisor.writable = NULL;
    close(supervisor.fd);
    supervisor.fd = -1;
    supervisor.greeting = supervisor.draining = false;
    supervisor.user->alone();
}

static void close_all(const int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
}

static void take_order(void)
{
    struct greeting order;
    int fds[CHANNEL_FDS_MAX];
    unsigned fd_count = 0;
    ssize_t got = channel_receive(supervisor.fd, &order, sizeof order, fds, &fd_count);

    if (got == -EAGAIN)
        return;
    close_all(fds, got > 0 ? fd_count : 0);
    if (got <= 0 || fd_count > 0 || greeting_check(&order) < 0) {
        hang_up();
        return;
    }
    supervisor.greeting = false;
    if (order.order == GREETING_DRAIN) {
        supervisor.draining = true;
        supervisor.user->drain();
    } else if (order.order == GREETING_ADOPT && order.channel_version == supervisor.user->protocol_version &&
               order.journal_version == ring_journal_version()) {
        supervisor.user->adopted();
    } else {
        hang_up();
    }
}

static void take_message(void)
{
    union {
        struct backend_head head;
        uint8_t bytes[LINK_MESSAGE_MAX];
    } message;
    int fds[CHANNEL_FDS_MAX];
    unsigned fd_count = 0;
    ssize_t got = channel_receive(supervisor.fd, &message, supervisor.user->message_size, fds, &fd_count);

    if (got == -EAGAIN)
        return;
    if (got <= 0 || supervisor.draining) {
        close_all(fds, got > 0 ? fd_count : 0);
        hang_up();
        return;
    }
    supervisor.user->message(&message.head, fds, fd_count);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    if (supervisor.greeting)
        take_order();
    else
        take_message();
}

/* Takes the descriptor over. */
static int follow(int fd)
{
    supervisor.fd = fd;
    supervisor.readable = event_new(supervisor.base, fd, EV_READ | EV_PERSIST, on_readable, NULL);
    if (supervisor.readable != NULL && event_add(supervisor.readable, NULL) == 0)
        return 0;
    if (supervisor.readable != NULL)
        event_free(supervisor.readable);
    supervisor.readable = NULL;
    close(fd);
    supervisor.fd = -1;
    return -ENOMEM;
}

static void on_connection(evutil_socket_t fd, short what, void *arg)
{
    struct greeting hello;
    int channel = channel_accept(fd);

    (void)what;
    (void)arg;
    if (channel < 0)
        return;
    hang_up();
    if (follow(channel) < 0)
        return;
    supervisor.greeting = true;
    greeting_make(GREETING_HELLO, supervisor.user->protocol_version, ring_journal_version(), RINGBACK_VERSION, &hello);
    if (channel_send(channel, &hello, sizeof hello, NULL, 0) < 0)
        hang_up();
}

int link_open(struct event_base *base, const struct link_user *user)
{
    supervisor.base = base;
    supervisor.user = user;
    return follow(CHANNEL_WORKER_FD);
}

int link_listen(int listener)
{
    supervisor.connection = event_new(supervisor.base, listener, EV_READ | EV_PERSIST, on_connection, NULL);
    return supervisor.connection != NULL && event_add(supervisor.connection, NULL) == 0 ? 0 : -ENOMEM;
}

int link_say(struct backend_head *message, const int *fds, unsigned fd_count)
{
    message->version = supervisor.user->protocol_version;
    if (supervisor.fd < 0 || supervisor.greeting || supervisor.draining)
        return 0;
    int result = channel_send(supervisor.fd, message, supervisor.user->message_size, fds, fd_count);
    return result == -EPIPE ? 0 : result; /* the end of the channel is seen when it is read */
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    event_free(supervisor.writable);
    supervisor.writable = NULL;
    supervisor.on_writable();
}

int link_await(void (*writable)(void))
{
    supervisor.on_writable = writable;
    supervisor.writable = event_new(supervisor.base, supervisor.fd, EV_WRITE, on_writable, NULL);
    return supervisor.writable != NULL && event_add(supervisor.writable, NULL) == 0 ? 0 : -ENOMEM;
}

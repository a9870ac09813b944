/* SPDX-License-Identifier: MIT */
/*
 * Event channels on an event loop.
 *
 * Theory of operation. Xen masks a port when it delivers its event, until somebody unmasks it: so a handle's descriptor
 * holds each port at most once, whatever the guest does, and who serves the port decides when the next event may come.
 * xenevtchn_pending() may block whatever the descriptor's flags say, so it is called once for each time the loop saw
 * the descriptor readable; the loop comes back at once while there is more.
 *
 * A channel may be closed from its own `fired`: nothing is touched after that call. A port number that is reused may
 * see one event of its former owner; receivers scan their ring and find nothing.
 */
#include <xendev/event_channel.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <xenevtchn.h>

#include "quiet.h"

#define EVENTS_BUCKETS 64u

LIST_HEAD(channel_list, xendev_channel);

struct xendev_events {
    xenevtchn_handle *handle;
    struct event *readable;
    struct channel_list buckets[EVENTS_BUCKETS]; /* by port */
};

struct xendev_channel {
    struct xendev_events *events;
    evtchn_port_t port;
    void (*fired)(void *arg);
    void *arg;
    LIST_ENTRY(xendev_channel) link; /* events->buckets[] */
};

static struct channel_list *events_bucket(struct xendev_events *events, evtchn_port_t port)
{
    return &events->buckets[port % EVENTS_BUCKETS];
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct xendev_events *events = arg;
    struct xendev_channel *channel = NULL;

    (void)fd;
    (void)what;
    xenevtchn_port_or_error_t port = xenevtchn_pending(events->handle);
    if (port < 0) {
        /* Our own handle is broken: no guest can do that, and without events every ring of this process would be stuck
         * in silence. */
        if (errno != EAGAIN && errno != EINTR)
            abort();
        return;
    }
    LIST_FOREACH (channel, events_bucket(events, (evtchn_port_t)port), link) {
        if (channel->port == (evtchn_port_t)port) {
            channel->fired(channel->arg);
            return;
        }
    }
}

int xendev_events_open(struct event_base *base, struct xendev_events **ret_events)
{
    struct xendev_events *events = calloc(1, sizeof(*events));
    if (events == NULL)
        return -ENOMEM;

    int result;
    events->handle = xenevtchn_open(xendev_quiet_logger(), 0);
    if (events->handle == NULL) {
        result = -errno;
        goto free_events;
    }
    result = -ENOMEM;
    events->readable = event_new(base, xenevtchn_fd(events->handle), EV_READ | EV_PERSIST, on_readable, events);
    if (events->readable == NULL)
        goto close_handle;
    if (event_add(events->readable, NULL) < 0)
        goto free_readable;
    *ret_events = events;
    return 0;

free_readable:
    event_free(events->readable);
close_handle:
    xenevtchn_close(events->handle);
free_events:
    free(events);
    return result;
}

void xendev_events_close(struct xendev_events *events)
{
    if (events == NULL)
        return;
    for (unsigned i = 0; i < EVENTS_BUCKETS; i++) {
        for (struct xendev_channel *channel = LIST_FIRST(&events->buckets[i]), *next; channel != NULL; channel = next) {
            next = LIST_NEXT(channel, link);
            xendev_channel_close(channel);
        }
    }
    event_free(events->readable);
    xenevtchn_close(events->handle);
    free(events);
}

int xendev_events_restrict(struct xendev_events *events, uint32_t domid)
{
    if (domid >= DOMID_FIRST_RESERVED)
        return -EINVAL;
    return xenevtchn_restrict(events->handle, (domid_t)domid) < 0 ? -errno : 0;
}

/* A channel for the port that was just bound, whose errno is still there when that failed. */
static int channel_new(struct xendev_events *events, xenevtchn_port_or_error_t port, void (*fired)(void *arg),
                       void *arg, struct xendev_channel **ret_channel)
{
    if (port < 0)
        return -errno;

    struct xendev_channel *channel = calloc(1, sizeof(*channel));
    if (channel == NULL) {
        xenevtchn_unbind(events->handle, (evtchn_port_t)port);
        return -ENOMEM;
    }
    channel->events = events;
    channel->port = (evtchn_port_t)port;
    channel->fired = fired;
    channel->arg = arg;
    LIST_INSERT_HEAD(events_bucket(events, channel->port), channel, link);
    *ret_channel = channel;
    return 0;
}

int xendev_channel_bind(struct xendev_events *events, uint32_t domid, uint32_t remote_port, void (*fired)(void *arg),
                        void *arg, struct xendev_channel **ret_channel)
{
    /* Binding makes our port pending in Xen: that is the first event. */
    return channel_new(events, xenevtchn_bind_interdomain(events->handle, domid, remote_port), fired, arg, ret_channel);
}

int xendev_channel_offer(struct xendev_events *events, uint32_t domid, void (*fired)(void *arg), void *arg,
                         struct xendev_channel **ret_channel, uint32_t *ret_port)
{
    int result = channel_new(events, xenevtchn_bind_unbound_port(events->handle, domid), fired, arg, ret_channel);

    if (result == 0)
        *ret_port = (*ret_channel)->port;
    return result;
}

void xendev_channel_close(struct xendev_channel *channel)
{
    if (channel == NULL)
        return;
    xenevtchn_unbind(channel->events->handle, channel->port);
    LIST_REMOVE(channel, link);
    free(channel);
}

int xendev_channel_notify(struct xendev_channel *channel)
{
    return xenevtchn_notify(channel->events->handle, channel->port) < 0 ? -errno : 0;
}

int xendev_channel_unmask(struct xendev_channel *channel)
{
    return xenevtchn_unmask(channel->events->handle, channel->port) < 0 ? -errno : 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Once it is settled, tapbridged removes the ports that are not presented on a new connection. So we connect when some card needs a port, present
 * the ports of all cards that have or want one, and call it settled when it is known what the workers of an earlier supervisor hold.
 *
 * Answers come in the order of what was asked. Each belongs to the life of a port that it was asked for: one that was given up meanwhile has
 * no use for it, nor has the next of that name.
 */
#include "switch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <backend/guest.h>
#include <backend/sweep.h>
#include <bridge/port_client.h>
#include <service/log.h>

#include "netback.h"
#include "port.h"
#include "port_switch.h"
#include "vif.h"

/* How often it is looked whether the workers of an earlier supervisor have told what they hold. */
static const struct timeval settle_period = {.tv_usec = 20000};
/* When a port is presented again that was refused. */
static const struct timeval retry_period = {.tv_sec = 2};

/* A PORT_ATTACH that is not answered. */
struct switch_request {
    STAILQ_ENTRY(switch_request) next; /* netback.switch_requests */
    struct vif *vif;                   /* NULL: it was given up */
};

static struct vif *find(const struct netback *netback, const char *port)
{
    for (struct device *device = device_first(&netback->backend); device != NULL; device = device_next(device)) {
        struct vif *vif = vif_of(device);
        if (vif->port == &port_switch && strcmp(vif->card.netdev, port) == 0)
            return vif;
    }
    return NULL;
}

static bool is_known_what_is_held(const struct netback *netback)
{
    const struct guest *guest;

    LIST_FOREACH (guest, &netback->backend.guests, entry) {
        if (guest->unknown)
            return false;
    }
    return sweep_is_settled(&netback->backend);
}

/* Asks for the card's port; without a connection `present` will. */
static int ask(struct vif *vif)
{
    struct port_client *client = vif_netback(vif)->switch_client;
    const struct card *card = &vif->card;
    struct port_message message;
    struct switch_request *request;
    int err;

    if (!port_client_is_connected(client))
        return 0;
    err = port_message_make(PORT_ATTACH, card->netdev, &message);
    if (err < 0)
        return err;
    snprintf(message.bridge, sizeof(message.bridge), "%s", card->bridge);
    message.flags = card->isolated ? PORT_ISOLATED : 0;
    memcpy(message.mac, card->mac, sizeof(message.mac));
    message.address_count = (uint8_t)card->address_count;
    memcpy(message.addresses, card->addresses, sizeof(message.addresses));
    request = calloc(1, sizeof(*request));
    if (request == NULL)
        return -ENOMEM;
    err = port_client_attach(client, &message, vif->fd_count > 0 ? vif->fds : NULL,
                             vif->fd_count > 0 ? vif->capacity : 0);
    if (err < 0) {
        free(request);
        return err == -ENOTCONN ? 0 : err;
    }
    request->vif = vif;
    vif->port_asked = request;
    STAILQ_INSERT_TAIL(&vif_netback(vif)->switch_requests, request, next);
    return 0;
}

/* The oldest request is answered, or never will be. Returns whose it was; NULL: it was given up. */
static struct vif *answered(struct netback *netback)
{
    struct switch_request *request = STAILQ_FIRST(&netback->switch_requests);
    struct vif *vif = request != NULL ? request->vif : NULL;

    if (request != NULL)
        STAILQ_REMOVE_HEAD(&netback->switch_requests, next);
    free(request);
    if (vif != NULL)
        vif->port_asked = NULL;
    return vif;
}

static void forget_requests(struct netback *netback)
{
    while (!STAILQ_EMPTY(&netback->switch_requests))
        (void)answered(netback);
}

/* ---- What the client tells. ---------------------------------------------------------------------------------------------------- */

static void present_all(const struct netback *netback, bool (*is_due)(const struct vif *vif))
{
    struct device *device, *next;

    for (device = device_first(&netback->backend); device != NULL; device = next) {
        next = device_next(device);
        if (is_due(vif_of(device)))
            switch_attach(vif_of(device));
    }
}

static void on_present(void *arg)
{
    forget_requests(arg); /* of a connection that has ended */
    present_all(arg, port_switch_is_wanted);
}

static void on_attached(void *arg, const char *port, uint32_t capacity, const int fds[PORT_FDS])
{
    struct vif *vif = answered(arg);

    (void)port;
    if (vif != NULL)
        port_switch_attached(vif, capacity, fds);
    else
        port_switch_close(fds);
}

static void on_refused(void *arg, const char *port, int error, const char *reason)
{
    struct vif *vif = answered(arg);

    (void)port;
    if (vif != NULL)
        port_switch_refused(vif, error, reason);
}

static void on_failed(void *arg, const char *port, int error, const char *reason)
{
    struct vif *vif = find(arg, port);

    (void)error;
    if (vif != NULL && vif->fd_count > 0 &&
        vif->port_asked == NULL) /* else it was that of another life, or is made anew */
        port_switch_failed(vif, reason);
}

static void on_detached(void *arg, const char *port)
{
    (void)arg;
    (void)port;
}

static void on_settle_timer(evutil_socket_t fd, short what, void *arg)
{
    struct netback *netback = arg;

    (void)fd;
    (void)what;
    if (is_known_what_is_held(netback))
        port_client_settle(netback->switch_client);
    else
        event_add(netback->switch_timer, &settle_period);
}

static void on_retry_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    present_all(arg, port_switch_is_refused);
}

static int connect_client(struct netback *netback)
{
    const struct port_client_user user = {.present = on_present,
                                          .attached = on_attached,
                                          .refused = on_refused,
                                          .failed = on_failed,
                                          .detached = on_detached,
                                          .arg = netback};

    if (netback->switch_client != NULL)
        return 0;
    event_add(netback->switch_timer, &settle_period);
    return port_client_new(netback->backend.base, netback->run_dir, &user, &netback->switch_client);
}

/* ---- What cards want. ---------------------------------------------------------------------------------------------------------- */

int switch_open(struct netback *netback)
{
    STAILQ_INIT(&netback->switch_requests);
    netback->switch_timer = evtimer_new(netback->backend.base, on_settle_timer, netback);
    netback->switch_retry = evtimer_new(netback->backend.base, on_retry_timer, netback);
    return netback->switch_timer == NULL || netback->switch_retry == NULL ? -ENOMEM : 0;
}

void switch_close(struct netback *netback)
{
    if (netback->switch_timer == NULL)
        return;
    port_client_free(netback->switch_client);
    netback->switch_client = NULL;
    forget_requests(netback);
    if (netback->switch_retry != NULL)
        event_free(netback->switch_retry);
    event_free(netback->switch_timer);
    netback->switch_timer = netback->switch_retry = NULL;
}

bool switch_is_connected(const struct netback *netback)
{
    return netback->switch_client != NULL && port_client_is_connected(netback->switch_client);
}

void switch_attach(struct vif *vif)
{
    int err = connect_client(vif_netback(vif));

    if (err == 0 && vif->port_asked == NULL)
        err = ask(vif);
    if (err < 0)
        port_switch_refused(vif, err, strerror(-err));
}

void switch_attach_later(struct vif *vif)
{
    event_add(vif_netback(vif)->switch_retry, &retry_period);
}

void switch_detach(struct vif *vif)
{
    struct port_client *client = vif_netback(vif)->switch_client;
    int err = client != NULL ? port_client_detach(client, vif->card.netdev) : 0;

    if (vif->port_asked != NULL)
        vif->port_asked->vif = NULL;
    vif->port_asked = NULL;
    if (err < 0 && err != -ENOTCONN) /* without a connection it is not presented on the next one */
        log_warning(&vif->device.log, "port %s is not given up: %s", vif->card.netdev, strerror(-err));
}

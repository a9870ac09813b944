/* SPDX-License-Identifier: MIT */
/*
 * tapbridged removes the ports that are not presented on a new connection. So there is none until some card needs one and it is known what the
 * workers of an earlier supervisor hold; and each that there is from then on presents the ports of all cards that have or want one.
 */
#include "switch.h"

#include <errno.h>
#include <stdio.h>
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
static const struct timeval ready_period = {.tv_usec = 20000};

static struct vif *find(const struct netback *netback, const char *port)
{
    const struct guest *guest;
    struct device *device;

    LIST_FOREACH (guest, &netback->backend.guests, entry) {
        LIST_FOREACH (device, &guest->devices, entry) {
            struct vif *vif = vif_of(device);
            if (vif->port == &port_switch && strcmp(vif->card.netdev, port) == 0)
                return vif;
        }
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
    int err;

    if (client == NULL || !port_client_is_connected(client))
        return 0;
    err = port_message_make(PORT_ATTACH, card->netdev, &message);
    if (err < 0)
        return err;
    snprintf(message.bridge, sizeof(message.bridge), "%s", card->bridge);
    message.flags = card->isolated ? PORT_ISOLATED : 0;
    memcpy(message.mac, card->mac, sizeof(message.mac));
    message.address_count = (uint8_t)card->address_count;
    memcpy(message.addresses, card->addresses, sizeof(message.addresses));
    err = port_client_attach(client, &message, vif->fd_count > 0 ? vif->fds : NULL,
                             vif->fd_count > 0 ? vif->capacity : 0);
    vif->port_asked = err == 0;
    return err == -ENOTCONN ? 0 : err;
}

/* ---- What the client tells. ---------------------------------------------------------------------------------------------------- */

static void on_present(void *arg)
{
    const struct netback *netback = arg;
    const struct guest *guest;
    struct device *device, *next;

    LIST_FOREACH (guest, &netback->backend.guests, entry) {
        for (device = LIST_FIRST(&guest->devices); device != NULL; device = next) {
            next = LIST_NEXT(device, entry);
            vif_of(device)->port_asked = false; /* on a connection that has ended */
            if (port_switch_is_wanted(vif_of(device)))
                switch_attach(vif_of(device));
        }
    }
}

static void on_attached(void *arg, const char *port, uint32_t capacity, const int fds[PORT_FDS])
{
    struct vif *vif = find(arg, port);

    if (vif != NULL) {
        vif->port_asked = false;
        port_switch_attached(vif, capacity, fds);
    } else { /* the card is gone */
        port_switch_close(fds);
        (void)port_client_detach(((const struct netback *)arg)->switch_client, port);
    }
}

static void on_refused(void *arg, const char *port, int error, const char *reason)
{
    struct vif *vif = find(arg, port);

    if (vif == NULL)
        return;
    vif->port_asked = false;
    port_switch_refused(vif, error, reason);
}

static void on_failed(void *arg, const char *port, int error, const char *reason)
{
    struct vif *vif = find(arg, port);

    (void)error;
    if (vif != NULL)
        port_switch_failed(vif, reason);
}

static void on_detached(void *arg, const char *port)
{
    (void)arg;
    (void)port;
}

static void on_ready_timer(evutil_socket_t fd, short what, void *arg)
{
    struct netback *netback = arg;
    const struct port_client_user user = {.present = on_present,
                                          .attached = on_attached,
                                          .refused = on_refused,
                                          .failed = on_failed,
                                          .detached = on_detached,
                                          .arg = netback};

    (void)fd;
    (void)what;
    if (!is_known_what_is_held(netback) ||
        port_client_new(netback->backend.base, netback->run_dir, &user, &netback->switch_client) < 0)
        event_add(netback->switch_timer, &ready_period);
    else
        port_client_settle(netback->switch_client);
}

/* ---- What cards want. ---------------------------------------------------------------------------------------------------------- */

int switch_open(struct netback *netback)
{
    netback->switch_timer = evtimer_new(netback->backend.base, on_ready_timer, netback);
    return netback->switch_timer == NULL ? -ENOMEM : 0;
}

void switch_close(struct netback *netback)
{
    port_client_free(netback->switch_client);
    netback->switch_client = NULL;
    if (netback->switch_timer != NULL)
        event_free(netback->switch_timer);
    netback->switch_timer = NULL;
}

void switch_attach(struct vif *vif)
{
    struct netback *netback = vif_netback(vif);
    int err;

    if (netback->switch_client == NULL) {
        if (!evtimer_pending(netback->switch_timer, NULL))
            event_add(netback->switch_timer, &(const struct timeval){0});
        return;
    }
    err = vif->port_asked ? 0 : ask(vif);
    if (err < 0)
        port_switch_refused(vif, err, strerror(-err));
}

void switch_detach(struct vif *vif)
{
    struct port_client *client = vif_netback(vif)->switch_client;
    int err = client != NULL ? port_client_detach(client, vif->card.netdev) : 0;

    if (err < 0 && err != -ENOTCONN) /* without a connection it is not presented on the next one */
        log_warning(&vif->device.log, "port %s is not given up: %s", vif->card.netdev, strerror(-err));
}

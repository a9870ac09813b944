/* SPDX-License-Identifier: MIT */
/*
 * What is prepared has a limit, for a toolstack waits for that and then takes the device away: whoever attaches the card is better told what is
 * missing. Only for a name that another device has it waits as long as the toolstack does (naming.h). What is connected waits as long as its guest does.
 */
#include "waiting.h"

#include <errno.h>

#include <event2/event.h>

#include <backend/clock.h>
#include <backend/guest.h>

#include "netback.h"
#include "switch.h"

static const struct timeval period = {.tv_usec = 100000};

/* libxl waits 10 s for InitWait. */
#define PREPARE_LIMIT_MS 8000

/* Whether nobody wants what the card waits for any more. */
static bool is_in_vain(const struct vif *vif)
{
    const struct device *device = &vif->device;
    const enum xenbus_state own = device_own_state(device);

    if (device->backend == NULL)
        return false; /* xenstore is away */
    if (device->state == DEVICE_PREPARING)
        return own == XENBUS_UNKNOWN || own == XENBUS_CLOSING;
    return device->effect && !device_is_wanted(device);
}

static void look(struct vif *vif)
{
    static const char *const others[] = {
        [VIF_STEP_ATTACHING] = "tapbridged",
        [VIF_STEP_FORWARDING] = "its bridge to forward",
        [VIF_STEP_NAMING] = "its tap's name",
    };
    const enum vif_step step = vif->step;

    if (is_in_vain(vif)) {
        waiting_end(vif);
        device_give_up(&vif->device, -ECANCELED, "no longer wanted while it waited for %s", others[step]);
    } else if (step == VIF_STEP_NAMING) {
        vif_prepare_again(vif);
    } else if (vif->device.state == DEVICE_PREPARING && clock_now_ms() - vif->waits_since_ms >= PREPARE_LIMIT_MS) {
        waiting_end(vif);
        device_give_up(&vif->device, -ETIMEDOUT, "tapbridged, whose bridge %s is, %s", vif->card.bridge,
                       switch_is_connected(vif_netback(vif)) ? "does not answer" : "is not running");
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct netback *netback = arg;
    struct device *device, *next;
    bool any = false;

    (void)fd;
    (void)what;
    for (device = device_first(&netback->backend); device != NULL; device = next) {
        next = device_next(device);
        if (vif_of(device)->step != VIF_STEP_NONE) {
            any = true;
            look(vif_of(device));
        }
    }
    if (any)
        event_add(netback->waiting_timer, &period);
}

int waiting_open(struct netback *netback)
{
    netback->waiting_timer = evtimer_new(netback->backend.base, on_timer, netback);
    return netback->waiting_timer == NULL ? -ENOMEM : 0;
}

void waiting_close(struct netback *netback)
{
    if (netback->waiting_timer != NULL)
        event_free(netback->waiting_timer);
    netback->waiting_timer = NULL;
}

void waiting_begin(struct vif *vif, enum vif_step step)
{
    struct netback *netback = vif_netback(vif);

    vif->step = step;
    vif->waits_since_ms = clock_now_ms();
    if (!evtimer_pending(netback->waiting_timer, NULL))
        event_add(netback->waiting_timer, &period);
}

void waiting_end(struct vif *vif)
{
    vif->step = VIF_STEP_NONE;
}

/* SPDX-License-Identifier: MIT */
/*
 * A worker of another build than ours (guest->outdated) is told to drain, and its successor, which is of ours, takes over at a ring with nothing
 * in flight: nothing is executed again. `replace-parallel` guests at most are without a worker for that reason; the next one's turn comes when the
 * devices of one of them are connected again, or have been given up. A device that waits for what somebody else uses (a disk, for its image) is not
 * waited for: that can take for ever, and no worker has to do with it meanwhile.
 *
 * Those whose workers speak another version come first: nothing else can be done for their devices meanwhile. The others serve on as ours, and are
 * let be while they are in the middle of something. Nothing is hurried: who has its turn is looked at PERIOD apart, as long as there is somebody.
 */
#include "replace.h"

#include <errno.h>

#include <event2/event.h>

#include "backend.h"
#include "device.h"
#include "guest.h"
#include "kind.h"

static const struct timeval period = {.tv_usec = 20000};

/* Whether the successor serves what its predecessor did. */
static bool is_back(const struct guest *guest)
{
    const struct backend_kind *kind = guest->backend->kind;
    const struct device *device;

    if (guest->state != GUEST_SERVED)
        return false;
    LIST_FOREACH (device, &guest->devices, entry) {
        if (kind->waits_for_others != NULL && kind->waits_for_others(device))
            continue;
        if (device->state == DEVICE_RECOVERING || device->state == DEVICE_ADOPTING || device->effect)
            return false;
    }
    return true;
}

static bool is_ready(const struct guest *guest)
{
    if (!guest->outdated || guest->replacing)
        return false;
    return guest->state == GUEST_OUTDATED ||
           (is_back(guest) && TAILQ_EMPTY(&guest->asked) && SLIST_EMPTY(&guest->held));
}

static struct guest *choose(struct backend *backend)
{
    struct guest *guest, *chosen = NULL;

    LIST_FOREACH (guest, &backend->guests, entry) {
        if (is_ready(guest) && (chosen == NULL || guest->state == GUEST_OUTDATED))
            chosen = guest;
    }
    return chosen;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct backend *backend = arg;
    struct guest *guest;
    unsigned under_way = 0;
    bool more = false;

    (void)fd;
    (void)what;
    if (backend->bus == NULL)
        return; /* a successor may need what the front ends say: it is considered again */
    LIST_FOREACH (guest, &backend->guests, entry) {
        if (guest->replacing && is_back(guest))
            guest->replacing = false;
        under_way += guest->replacing;
    }
    for (; under_way < backend->config->replace_parallel && (guest = choose(backend)) != NULL; under_way++)
        guest_drain(guest);
    LIST_FOREACH (guest, &backend->guests, entry)
        more = more || guest->outdated || guest->replacing;
    if (more)
        event_add(backend->replace_timer, &period);
}

int replace_open(struct backend *backend)
{
    backend->replace_timer = evtimer_new(backend->base, on_timer, backend);
    return backend->replace_timer == NULL ? -ENOMEM : 0;
}

void replace_close(struct backend *backend)
{
    if (backend->replace_timer != NULL)
        event_free(backend->replace_timer);
    backend->replace_timer = NULL;
}

void replace_consider(struct backend *backend)
{
    if (!evtimer_pending(backend->replace_timer, NULL))
        event_add(backend->replace_timer, &(const struct timeval){0});
}

void replace_ask(struct guest *guest)
{
    if (guest->state != GUEST_SERVED)
        return;
    guest->outdated = true;
    replace_consider(guest->backend);
}

void replace_stop(struct backend *backend)
{
    if (backend->replace_timer != NULL)
        event_del(backend->replace_timer);
}

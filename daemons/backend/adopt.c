/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. While a guest is ADOPTING nothing of it is touched: its devices' effects wait. The report of its worker is a list of what
 * is held; then, for each device, xenstore has the word:
 *
 *   to be resumed, and held as recorded       claimed: connected at once, nothing is said to anybody
 *   to be resumed, and not held               recovered from its journal, as after a death: the worker was never told
 *   to be disconnected (at InitWait too: an   claimed; the worker is told to let go
 *     earlier supervisor died while it
 *     connected)
 *   to be prepared (made anew meanwhile)      the worker is told to let go, first of all
 *   gone, with its run directory              the worker is told to let go
 *   gone from xenstore, but that is in doubt  it stays held until it shows up or is found to be gone: see sweep.c
 *
 * A report is hostile. It can name any device of its own guest, once; a generation that is not the recorded one gets the worker killed; and a
 * descriptor is only ever locked, compared with others, and handed to the next worker of the same guest.
 */
#include "adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include <supervise/rundir.h>

#include "backend.h"
#include "device.h"
#include "guest.h"
#include "kind.h"

/* A worker has no room for the files of more. */
#define HELD_MAX 1024u

/* How long a worker may take to let go of what nobody else waits for. */
static const struct timeval leave_limit = {.tv_sec = 60};

static unsigned count_held(const struct guest *guest)
{
    const struct held *held;
    unsigned count = 0;

    SLIST_FOREACH (held, &guest->held, entry)
        count++;
    return count;
}

int adopt_report(struct guest *guest, const struct backend_head *message, const int *fds, unsigned fd_count)
{
    struct held *held = NULL;

    if (guest->backend->kind->held_check(fds, fd_count) && message->generation != 0 && message->result <= 0 &&
        adopt_find(guest, message->devid) == NULL && count_held(guest) < HELD_MAX)
        held = calloc(1, sizeof(*held));
    if (held == NULL) {
        for (unsigned i = 0; i < fd_count; i++)
            close(fds[i]);
        return -EPROTO;
    }
    held->devid = message->devid;
    held->generation = message->generation;
    memcpy(held->fds, fds, fd_count * sizeof(fds[0]));
    held->fd_count = fd_count;
    if (message->result < 0)
        adopt_fail(held, message);
    SLIST_INSERT_HEAD(&guest->held, held, entry);
    return 0;
}

void adopt_fail(struct held *held, const struct backend_head *message)
{
    held->failed = true;
    snprintf(held->reason, sizeof(held->reason), "%.*s", (int)sizeof(message->reason), message->reason);
}

struct held *adopt_find(struct guest *guest, uint32_t devid)
{
    struct held *held;

    SLIST_FOREACH (held, &guest->held, entry) {
        if (held->devid == devid)
            return held;
    }
    return NULL;
}

static void forget(struct guest *guest, struct held *held)
{
    SLIST_REMOVE(&guest->held, held, held, entry);
    free(held);
}

void adopt_claim(struct device *device, struct held *held)
{
    device_kind(device)->claim(device, held->fds, held->fd_count);
    forget(device->guest, held);
}

void adopt_drop(struct guest *guest, struct held *held)
{
    for (unsigned i = 0; i < held->fd_count; i++)
        close(held->fds[i]);
    forget(guest, held);
}

void adopt_let_go(struct guest *guest, struct held *held)
{
    if (held->leaving)
        return;
    held->leaving = true;
    guest->leaving++;
    event_add(guest->limit_timer, &leave_limit);
    guest_order(guest, BACKEND_DISCONNECT, held->devid);
}

void adopt_sweep(struct guest *guest)
{
    char name[RUNDIR_NAME_SIZE];
    struct held *held;

    if (guest->state != GUEST_SERVED)
        return;
    SLIST_FOREACH (held, &guest->held, entry) {
        rundir_device_name(held->devid, name);
        if (held->leaving || guest_device(guest, held->devid) != NULL ||
            faccessat(guest->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            continue;
        log_info(&guest->log, "%s %u is gone; its worker lets go of it", guest->backend->kind->noun, held->devid);
        adopt_let_go(guest, held);
    }
}

int adopt_left(struct guest *guest, uint32_t devid)
{
    struct held *held = adopt_find(guest, devid);

    if (held == NULL || !held->leaving)
        return -EPROTO;
    adopt_drop(guest, held);
    if (--guest->leaving == 0)
        event_del(guest->limit_timer);
    return 0;
}

void adopt_forget(struct guest *guest)
{
    struct held *held;

    guest->leaving = 0;
    while ((held = SLIST_FIRST(&guest->held)) != NULL)
        adopt_drop(guest, held);
}

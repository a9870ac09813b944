/* SPDX-License-Identifier: MIT */
/*
 * One loop carries xenstore's watches, the event channels and a tick that lets waits look at the clock.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include <event2/event.h>

#include <xendev/event_channel.h>
#include <xendev/grant.h>
#include <xendev/store.h>

#include "guest.h"

#define TICK_US 20000

void guest_say(const char *format, ...)
{
    va_list ap;

    flockfile(stderr);
    fputs("simguest: ", stderr);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    funlockfile(stderr);
}

uint64_t guest_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
    struct guest *guest = arg;

    (void)fd;
    (void)what;
    guest->stop = true;
}

static void on_lost(void *arg)
{
    (void)arg;
    guest_say("the connection to xenstore broke");
}

static int guest_start_events(struct guest *guest)
{
    guest->tick = event_new(guest->base, -1, EV_PERSIST, on_tick, NULL);
    guest->sigterm = evsignal_new(guest->base, SIGTERM, on_signal, guest);
    guest->sigint = evsignal_new(guest->base, SIGINT, on_signal, guest);
    if (guest->tick == NULL || guest->sigterm == NULL || guest->sigint == NULL)
        return -ENOMEM;
    if (event_add(guest->tick, &(struct timeval){0, TICK_US}) < 0 || event_add(guest->sigterm, NULL) < 0 ||
        event_add(guest->sigint, NULL) < 0)
        return -ENOMEM;
    return 0;
}

int guest_open(struct guest *guest, unsigned limit)
{
    const char *step = "an event loop";
    int rc = -ENOMEM;

    *guest = (struct guest){.limit = limit};
    guest->base = event_base_new();
    if (guest->base == NULL)
        goto fail;
    rc = guest_start_events(guest);
    if (rc < 0)
        goto fail;
    step = "xenstore";
    rc = xendev_store_open(guest->base, on_lost, NULL, &guest->store);
    if (rc < 0)
        goto fail;
    step = "event channels";
    rc = xendev_events_open(guest->base, &guest->events);
    if (rc < 0)
        goto fail;
    step = "shared pages";
    rc = xendev_share_open(&guest->share);
    if (rc < 0)
        goto fail;
    return 0;
fail:
    guest_say("cannot open %s: %s", step, strerror(-rc));
    guest_close(guest);
    return rc;
}

void guest_close(struct guest *guest)
{
    struct event *const events[] = {guest->tick, guest->sigterm, guest->sigint};

    if (guest->share != NULL)
        xendev_share_close(guest->share);
    xendev_events_close(guest->events);
    xendev_store_close(guest->store);
    for (unsigned i = 0; i < sizeof events / sizeof events[0]; i++) {
        if (events[i] != NULL)
            event_free(events[i]);
    }
    if (guest->base != NULL)
        event_base_free(guest->base);
    *guest = (struct guest){0};
}

int guest_wait(struct guest *guest, bool (*done)(const void *arg), const void *arg)
{
    uint64_t deadline = guest_now() + (uint64_t)guest->limit * 1000000000u;

    while (!done(arg)) {
        if (guest_now() >= deadline)
            return -ETIMEDOUT;
        event_base_loop(guest->base, EVLOOP_ONCE);
    }
    return 0;
}

void guest_sleep(struct guest *guest, unsigned milliseconds)
{
    uint64_t deadline = guest_now() + (uint64_t)milliseconds * 1000000u;

    while (guest_now() < deadline)
        event_base_loop(guest->base, EVLOOP_ONCE);
}

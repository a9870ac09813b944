/* SPDX-License-Identifier: MIT */
/*
 * Readiness and watchdog: sd_notify(3) and one timer.
 */
#include "notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <event2/event.h>
#include <systemd/sd-daemon.h>

struct notify {
    struct event *timer; /* NULL: no watchdog is set */
    bool (*progress)(void *arg);
    void *arg;
};

static void notify_feed(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    const struct notify *notify = arg;
    if (notify->progress == NULL || notify->progress(notify->arg))
        sd_notify(0, "WATCHDOG=1");
}

int notify_open(struct event_base *base, bool (*progress)(void *arg), void *arg, struct notify **ret_notify)
{
    uint64_t timeout = 0; /* microseconds */
    int watched = sd_watchdog_enabled(0, &timeout);
    if (watched < 0)
        return watched;

    struct notify *notify = calloc(1, sizeof(*notify));
    if (notify == NULL)
        return -ENOMEM;
    notify->progress = progress;
    notify->arg = arg;
    if (watched > 0) {
        const struct timeval interval = {(time_t)(timeout / 2 / 1000000), (suseconds_t)(timeout / 2 % 1000000)};
        notify->timer = event_new(base, -1, EV_PERSIST, notify_feed, notify);
        if (notify->timer == NULL || event_add(notify->timer, &interval) != 0) {
            notify_close(notify);
            return -ENOMEM;
        }
    }
    *ret_notify = notify;
    return 0;
}

void notify_close(struct notify *notify)
{
    if (notify == NULL)
        return;
    if (notify->timer != NULL)
        event_free(notify->timer);
    free(notify);
}

void notify_ready(void)
{
    sd_notify(0, "READY=1");
}

void notify_reloading(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
               (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void notify_stopping(void)
{
    sd_notify(0, "STOPPING=1");
}

void notify_status(const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    sd_notifyf(0, "STATUS=%s", text);
}

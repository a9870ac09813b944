/* SPDX-License-Identifier: MIT */
/*
 * What the service manager is told: readiness, a status line, and the watchdog.
 *
 * The watchdog is fed from a timer on the event loop, so a loop that hangs does not feed it; and only when the daemon's
 * own `progress` says that its work goes on, so a loop that turns without purpose does not either. Without a service
 * manager all of this does nothing.
 */
#ifndef SERVICE_NOTIFY_H
#define SERVICE_NOTIFY_H

#include <stdbool.h>

struct event_base;
struct notify;

/* `progress` (may be NULL: always) is asked from the loop, twice in the watchdog's time. Returns 0 or -errno. */
int notify_open(struct event_base *base, bool (*progress)(void *arg), void *arg, struct notify **ret_notify);
/* Takes NULL. */
void notify_close(struct notify *notify);

void notify_ready(void);
/* A reload begins; it ends with notify_ready(). */
void notify_reloading(void);
void notify_stopping(void);
/* The line `systemctl status` shows. */
void notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The domain this program runs in: its loop and its handles to Xen.
 */
#ifndef GUEST_GUEST_H
#define GUEST_GUEST_H

#include <stdbool.h>
#include <stdint.h>

struct event;
struct event_base;
struct xendev_events;
struct xendev_share;
struct xendev_store;

struct guest {
    struct event_base *base;
    struct xendev_store *store;
    struct xendev_events *events;
    struct xendev_share *share;
    unsigned limit; /* seconds to wait for anything before giving up */
    bool stop;      /* SIGTERM or SIGINT came */
    struct event *tick;
    struct event *sigterm;
    struct event *sigint;
};

/* Returns 0, or -errno after a message. */
int guest_open(struct guest *guest, unsigned limit);
void guest_close(struct guest *guest);

/* Runs the loop until `done`, at most the limit. Returns 0, or -ETIMEDOUT. */
int guest_wait(struct guest *guest, bool (*done)(const void *arg), const void *arg);
/* Runs the loop for so long. */
void guest_sleep(struct guest *guest, unsigned milliseconds);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t guest_now(void);

/* A line on standard error, "simguest: ...". */
void guest_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif

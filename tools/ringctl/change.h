/* SPDX-License-Identifier: MIT */
/*
 * What the commands that change a device through xenstore share: a connection, the device's name and directory, waiting for what the daemon
 * writes there, and telling what was done.
 */
#ifndef RINGCTL_CHANGE_H
#define RINGCTL_CHANGE_H

#include <stdint.h>

#include <jansson.h>
#include <xendev/store.h>

#include "domain.h"
#include "ringctl.h"

struct event_base;

struct change {
    const struct ringctl_options *options;
    struct event_base *base;
    struct xendev_store *store;
    struct target target; /* its class and domain as written are set first, the numbers when they are known */
    const char *kind;     /* of the back end's node */
    char name[TARGET_NAME_SIZE];
    char label[TARGET_LABEL_SIZE];
    char path[96];            /* the back end's directory */
    enum ringctl_exit status; /* RINGCTL_TIMEOUT until the wait is over */
    char *reason;             /* why it was refused, or NULL */
};

/* Checks that the daemon of the target's class answers, connects to xenstore and finds the domain. RINGCTL_OK, or
 * another status after saying why; change_close() follows either. */
enum ringctl_exit change_open(struct change *change);
void change_close(struct change *change);

/* Refuses a domain that does not exist, after saying so. */
enum ringctl_exit change_check_domain(const struct change *change);

/* Fills the names, once target.devid is known. */
void change_name(struct change *change);

/* Turns the loop until `changed`, called for the back end's directory, ends it; at most --timeout seconds. Returns the
 * status it ended with. Once for each change. */
enum ringctl_exit change_wait(struct change *change, void (*changed)(void *arg, const char *path));
void change_end(struct change *change, enum ringctl_exit status);

/* Waits for the daemon's word on whether it can serve the device; when it cannot, `reason` may tell why. */
enum ringctl_exit change_wait_ready(struct change *change);

/* Removes a device that came to nothing from xenstore. */
void change_undo(const struct change *change);

/* Tells what was done: with --json, these numbers and names and the members of `more` (may be NULL; it is taken over); else `sentence`. */
void change_print(const struct change *change, json_t *more, const char *sentence, ...)
    __attribute__((format(printf, 3, 4)));

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Asking a daemon.
 */
#ifndef RINGCTL_DAEMON_H
#define RINGCTL_DAEMON_H

#include <jansson.h>

#include "class.h"
#include "ringctl.h"

/* Asks the daemon of a class, or whoever serves --socket. Returns RINGCTL_OK with a body to free; another status after
 * saying why, which for a `path` the daemon does not know is `missing`. */
enum ringctl_exit daemon_ask(const struct ringctl_options *options, const struct device_class *class,
                             const char *method, const char *path, const char *missing, json_t **ret_body);

/* POSTs to it, for an answer that goes on. Returns RINGCTL_OK with a socket to read it from and to close; otherwise likewise. */
enum ringctl_exit daemon_ask_stream(const struct ringctl_options *options, const struct device_class *class,
                                    const char *path, const char *body, const char *missing, int *ret_fd);

/* Whether the daemon answers: RINGCTL_OK, or another status after saying why. */
enum ringctl_exit daemon_check(const struct ringctl_options *options, const struct device_class *class);

/* Prints what it answered, as JSON. */
void daemon_print(const json_t *body);

#endif

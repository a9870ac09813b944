/* SPDX-License-Identifier: MIT */
/*
 * Asking the daemon.
 */
#ifndef RINGCTL_SHOW_H
#define RINGCTL_SHOW_H

#include <jansson.h>

#include "ringctl.h"

/* Whether the daemon answers: RINGCTL_OK, or another status after saying why. */
enum ringctl_exit show_check_daemon(const struct ringctl_options *options);

/* GETs a path. Returns RINGCTL_OK with a body to free; another status after saying why, which for a path the daemon does not know is `missing`. */
enum ringctl_exit show_get(const struct ringctl_options *options, const char *path, const char *missing,
                           json_t **ret_body);
/* Prints it on standard output. */
void show_json(const json_t *value);

#endif

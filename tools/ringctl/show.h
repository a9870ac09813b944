/* SPDX-License-Identifier: MIT */
/*
 * Asking the daemon.
 */
#ifndef RINGCTL_SHOW_H
#define RINGCTL_SHOW_H

#include "ringctl.h"

/* Whether the daemon answers: RINGCTL_OK, or another status after saying why. */
enum ringctl_exit show_check_daemon(const struct ringctl_options *options);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A logger that says nothing: Xen's libraries print to stderr by themselves, also for what a guest got wrong; we report
 * errors by return value.
 */
#ifndef XENDEV_SRC_QUIET_H
#define XENDEV_SRC_QUIET_H

struct xentoollog_logger;

/* Shared by all handles and threads; never destroyed. */
struct xentoollog_logger *xendev_quiet_logger(void);

#endif

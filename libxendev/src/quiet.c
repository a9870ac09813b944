/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: a table of functions that do nothing, in the shape libxentoollog gives a logger. It has no
 * state, so one serves every handle of every thread.
 */
#include "quiet.h"

#include <stdarg.h>

#include <xentoollog.h>

__attribute__((format(printf, 5, 0))) static void quiet_vmessage(struct xentoollog_logger *logger,
                                                                 xentoollog_level level, int errnoval,
                                                                 const char *context, const char *format, va_list al)
{
    (void)logger;
    (void)level;
    (void)errnoval;
    (void)context;
    (void)format;
    (void)al;
}

static void quiet_destroy(struct xentoollog_logger *logger)
{
    (void)logger;
}

struct xentoollog_logger *xendev_quiet_logger(void)
{
    static struct xentoollog_logger quiet = {.vmessage = quiet_vmessage, .destroy = quiet_destroy};

    return &quiet;
}

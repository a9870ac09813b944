/* SPDX-License-Identifier: MIT */
/*
 * Helpers of the simulator's own tests.  They run under `simhost run`, in one process that plays every domain in turn: a handle
 * belongs to the domain that SIMXEN_DOMID named when it was opened.
 */
#ifndef SIMTEST_H
#define SIMTEST_H

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xenevtchn.h>
#include <xengnttab.h>

static inline void simtest_command(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline void simtest_command(const char *format, ...)
{
    char command[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    assert_int_equal(system(command), 0);
}

static inline uint32_t simtest_create(void)
{
    FILE *output = popen("simxen create", "r");
    unsigned domid = 0;

    assert_non_null(output);
    assert_int_equal(fscanf(output, "%u", &domid), 1);
    assert_int_equal(pclose(output), 0);
    return domid;
}

static inline void simtest_destroy(uint32_t domid)
{
    simtest_command("simxen destroy %u", domid);
}

static inline void simtest_become(uint32_t domid)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", domid);
    setenv("SIMXEN_DOMID", text, 1);
}

static inline xenevtchn_handle *simtest_evtchn(uint32_t domid)
{
    xenevtchn_handle *handle;

    simtest_become(domid);
    handle = xenevtchn_open(NULL, 0);
    simtest_become(0);
    assert_non_null(handle);
    return handle;
}

static inline xengnttab_handle *simtest_gnttab(uint32_t domid)
{
    xengnttab_handle *handle;

    simtest_become(domid);
    handle = xengnttab_open(NULL, 0);
    simtest_become(0);
    assert_non_null(handle);
    return handle;
}

static inline xengntshr_handle *simtest_gntshr(uint32_t domid)
{
    xengntshr_handle *handle;

    simtest_become(domid);
    handle = xengntshr_open(NULL, 0);
    simtest_become(0);
    assert_non_null(handle);
    return handle;
}

static inline int simtest_readable(int fd, int timeout_ms)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};

    return poll(&waiting, 1, timeout_ms);
}

/* The event must be there, for @port, and is unmasked again. */
static inline void simtest_take(xenevtchn_handle *handle, int port)
{
    assert_int_equal(simtest_readable(xenevtchn_fd(handle), 1000), 1);
    assert_int_equal(xenevtchn_pending(handle), port);
    assert_int_equal(xenevtchn_unmask(handle, (evtchn_port_t)port), 0);
}

static inline void simtest_quiet(xenevtchn_handle *handle)
{
    assert_int_equal(simtest_readable(xenevtchn_fd(handle), 0), 0);
}

#endif

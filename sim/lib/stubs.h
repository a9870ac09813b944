/* SPDX-License-Identifier: MIT */
/*
 * Functions that exist only to be bound: every NUMBER(name) returns -1, every POINTER(name) NULL, with errno ENOSYS.
 *
 * Each is an alias of one of two functions; the real prototypes are not visible where this is included.
 */
#ifndef SIM_STUBS_H
#define SIM_STUBS_H

#include <errno.h>
#include <stddef.h>

static __attribute__((used)) long stub_number(void)
{
    errno = ENOSYS;
    return -1;
}

static __attribute__((used)) void *stub_pointer(void)
{
    errno = ENOSYS;
    return NULL;
}

#define NUMBER(name)  extern __attribute__((alias("stub_number"), visibility("default"))) long name(void);
#define POINTER(name) extern __attribute__((alias("stub_pointer"), visibility("default"))) void *name(void);

#endif

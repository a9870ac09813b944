/* SPDX-License-Identifier: MIT */
/*
 * What the tests on a simulated host share: a loop, a connection under test, another that plays everybody else.
 */
#ifndef TESTS_SIM_XENDEV_RIG_H
#define TESTS_SIM_XENDEV_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <xendev/store.h>

struct event_base;

struct rig {
    struct event_base *base;
    struct xendev_store *store;    /* under test */
    struct event_base *other_base; /* never run */
    struct xendev_store *other;    /* the toolstack, the guest, ... */
    unsigned lost;                 /* how often the store under test was */
};

void rig_open(struct rig *rig);
void rig_close(struct rig *rig);
void rig_open_store(struct rig *rig);

/* Ends the test program as skipped, unless a simulated host runs it. */
void rig_require_host(void);

/* Runs the loop until `done` says so. */
void rig_run_until(struct rig *rig, bool (*done)(void *arg), void *arg);

/* Runs the loop until everything that was written so far has been seen and dealt with. */
void rig_settle(struct rig *rig);

/* Breaks the connection of the store under test, as a dying xenstored would. */
void rig_cut(struct rig *rig);

/* Makes a domain, destroys it leaving what it left, runs a command as that domain (its exit status). */
uint32_t rig_domain_create(void);
void rig_domain_destroy(uint32_t domid);
int rig_domain_exec(uint32_t domid, const char *command);

/* As other: writes, removes, and what a node says ("" when it is not there; freed by the next call). */
void rig_write(struct rig *rig, const char *dir, const char *key, const char *value);
void rig_remove(struct rig *rig, const char *dir, const char *key);
const char *rig_read(struct rig *rig, const char *dir, const char *key);

#endif

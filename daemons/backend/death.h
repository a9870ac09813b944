/* SPDX-License-Identifier: MIT */
/*
 * How a guest's workers ended: whether by their own doing, and what the last one that did left to be read.
 */
#ifndef BACKEND_DEATH_H
#define BACKEND_DEATH_H

#include <stdbool.h>
#include <stdint.h>

#include <supervise/crash.h>

struct guest;

/* Its files in the guest's run directory. */
#define DEATH_CRASH_FILE "crash"      /* the worker's: supervise/crash.h */
#define DEATH_LAST_FILE  "last-crash" /* struct death, ours */

#define DEATH_VERSION     1u
#define DEATH_REASON_SIZE 160

/* A crash, as it is kept: numbers and printable text. */
struct death {
    uint32_t version; /* DEATH_VERSION */
    uint32_t reserved;
    int64_t when; /* seconds since 1970, 0: there was none */
    char reason[DEATH_REASON_SIZE];
    struct crash_report report; /* signal 0: the worker left none */
};

/* Reads what an earlier supervisor kept. */
void death_load(struct guest *guest);
/* Makes the file for the next worker's report. Returns a descriptor or -errno. */
int death_prepare(const struct guest *guest);
/* The worker has ended. `crashed`: its parent knows that it did so by its own doing; false says nothing when there is no parent, and what the
 * worker wrote decides. `reason`: NULL when nobody knows. A crash is logged and kept. Returns whether it was one. */
bool death_examine(struct guest *guest, bool crashed, const char *reason);
/* Notes the worker's end with those devices that it may have served and that have not shown up yet; the others learn it by serve_end(). */
void death_note(struct guest *guest, bool died, bool crashed);

#endif

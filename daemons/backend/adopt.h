/* SPDX-License-Identifier: MIT */
/*
 * What a worker of an earlier supervisor holds: its report, and what becomes of each part of it.
 */
#ifndef BACKEND_ADOPT_H
#define BACKEND_ADOPT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <backend/protocol.h>
#include <supervise/channel.h>

struct device;
struct guest;

/* A device that the worker serves and that no device of ours has claimed yet. */
struct held {
    SLIST_ENTRY(held) entry; /* in guest->held */
    uint32_t devid;
    uint64_t generation;
    int fds[CHANNEL_FDS_MAX]; /* the worker's own, of what it works with: hostile, but for that guest's use only */
    unsigned fd_count;
    bool failed;
    char reason[BACKEND_REASON_SIZE]; /* of that */
    bool leaving;                     /* it was told to let go */
};

/* Takes one BACKEND_HELD into the report; the descriptors are the callee's. Returns 0, or -EPROTO for what cannot be. */
int adopt_report(struct guest *guest, const struct backend_head *message, const int *fds, unsigned fd_count);

/* It has failed, for the reason the message gives. */
void adopt_fail(struct held *held, const struct backend_head *message);

/* What the worker holds of that device; NULL: nothing. */
struct held *adopt_find(struct guest *guest, uint32_t devid);
/* Takes it out of the report and frees it: the device, which is the guest's, has got hold of it (kind->claim()). */
void adopt_claim(struct device *device, struct held *held);
/* The same for nobody. */
void adopt_drop(struct guest *guest, struct held *held);

/* Tells the worker, whose guest is SERVED, to let go of it, unless it was told already. */
void adopt_let_go(struct guest *guest, struct held *held);
/* Tells the worker to let go of devices that are gone: those that have neither a device nor a run directory. To be called when the guest is served
 * and when run directories were removed. */
void adopt_sweep(struct guest *guest);
/* The worker has let go. Returns 0, or -EPROTO when it was not told to. */
int adopt_left(struct guest *guest, uint32_t devid);

/* The worker has ended, or is nobody's any more. */
void adopt_forget(struct guest *guest);

#endif

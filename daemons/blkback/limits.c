/* SPDX-License-Identifier: MIT */
/*
 * The keys are QEMU's: iops-total, iops-total-max, bps-total, bps-total-max. A guest can read them and not write. A limit and what may go at once
 * belong together: both are the disk's, or both are the configuration's. A key that is no number is as if it were not there, and logged.
 *
 * What was read is recorded in the run directory, for a supervisor that finds xenstore away; without a file nothing was.
 */
#include "limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <backend/device.h>
#include <backend/guest.h>
#include <backend/report.h>
#include <backend/worker/bucket.h>
#include <service/log.h>
#include <supervise/rundir.h>
#include <xendev/store.h>

#include "blkback.h"
#include "counters.h"
#include "vbd.h"

#define RECORD_FILE    "limits"
#define RECORD_VERSION 1u
struct record {
    uint32_t version; /* RECORD_VERSION */
    uint32_t iops, bps;
    uint32_t reserved;
    struct blkback_limits values;
};

/* ---- What is in force. ------------------------------------------------------------------------------------------------------- */

static struct blkback_limits limits_in_force(const struct vbd *vbd)
{
    const struct limits_said *said = &vbd->limits.said;
    const struct blkback_limits *configured = &vbd_daemon(vbd)->config.limits;
    struct blkback_limits limits = *configured;

    if (said->iops) {
        limits.iops = said->values.iops;
        limits.iops_max = said->values.iops_max;
    }
    if (said->bps) {
        limits.bps = said->values.bps;
        limits.bps_max = said->values.bps_max;
    }
    return limits;
}

static void describe(uint64_t limit, uint64_t max, const char *what, char *ret_text, size_t size)
{
    if (limit == 0)
        snprintf(ret_text, size, "any number of %s", what);
    else
        snprintf(ret_text, size, "%" PRIu64 " %s a second, %" PRIu64 " at once", limit, what, bucket_burst(limit, max));
}

static void log_limits(struct vbd *vbd)
{
    const struct blkback_limits *now = &vbd->limits.now;
    char requests[80], bytes[80];

    describe(now->iops, now->iops_max, "requests", requests, sizeof(requests));
    describe(now->bps, now->bps_max, "bytes", bytes, sizeof(bytes));
    log_info(&vbd->device.log, "limits: %s; %s", requests, bytes);
}

static void tell(struct vbd *vbd)
{
    struct blkback_message message = {.head = {.type = BLKBACK_THROTTLE, .devid = vbd->device.devid}};

    message.throttle = limits_tell(vbd);
    guest_tell(vbd->device.guest, &message.head, NULL, 0);
}

/* A worker that is about to connect is told when it has. */
static void put_in_force(struct vbd *vbd)
{
    const struct device *device = &vbd->device;
    const struct blkback_limits limits = limits_in_force(vbd);

    if (memcmp(&limits, &vbd->limits.now, sizeof(limits)) == 0)
        return;
    vbd->limits.now = limits;
    vbd->limits.untold = true;
    log_limits(vbd);
    if (device->state == DEVICE_CONNECTED && device->guest->state == GUEST_SERVED)
        tell(vbd);
}

/* ---- What is said of a disk. ------------------------------------------------------------------------------------------------- */

/* Whether there is such a number. */
static bool read_number(struct vbd *vbd, const char *key, uint64_t *ret_number)
{
    char name[40];
    int err;

    snprintf(name, sizeof(name), LIMITS_DIRECTORY "/%s", key);
    err = xendev_store_read_u64(device_store(&vbd->device), XENDEV_NO_TXN, xendev_backend_path(vbd->device.backend),
                                name, ret_number);
    if (err < 0 && err != -ENOENT)
        log_warning(&vbd->device.log, "%s is no number that can be used (%s): it counts for nothing", name,
                    strerror(-err));
    return err == 0;
}

static struct limits_said read_limits(struct vbd *vbd)
{
    struct limits_said said = {0};

    said.iops = read_number(vbd, "iops-total", &said.values.iops);
    if (said.iops)
        (void)read_number(vbd, "iops-total-max", &said.values.iops_max);
    said.bps = read_number(vbd, "bps-total", &said.values.bps);
    if (said.bps)
        (void)read_number(vbd, "bps-total-max", &said.values.bps_max);
    return said;
}

static void record(struct vbd *vbd)
{
    const struct limits_said *said = &vbd->limits.said;
    const struct record record = {
        .version = RECORD_VERSION, .iops = said->iops, .bps = said->bps, .values = said->values};
    int err;

    if (!said->iops && !said->bps)
        err = rundir_remove(vbd->device.dir, RECORD_FILE);
    else
        err = rundir_write(vbd->device.dir, RECORD_FILE, &record, sizeof(record));
    if (err < 0)
        log_warning(&vbd->device.log, "its limits cannot be recorded: %s", strerror(-err));
}

static bool is_same(const struct limits_said *one, const struct limits_said *other)
{
    return one->iops == other->iops && one->bps == other->bps &&
           memcmp(&one->values, &other->values, sizeof(one->values)) == 0;
}

/* A directory that is being removed says nothing of limits. */
static bool is_there(const struct vbd *vbd)
{
    char *frontend;
    int err = xendev_store_read(device_store(&vbd->device), XENDEV_NO_TXN, xendev_backend_path(vbd->device.backend),
                                "frontend", &frontend);

    if (err == 0)
        free(frontend);
    return err == 0;
}

static void look(struct vbd *vbd)
{
    const struct limits_said said = read_limits(vbd);

    if (!is_same(&said, &vbd->limits.said) && is_there(vbd)) {
        vbd->limits.said = said;
        record(vbd);
    }
    put_in_force(vbd);
}

static void on_changed(void *arg, const char *path)
{
    (void)path;
    look(arg);
}

/* ---- Disks. ------------------------------------------------------------------------------------------------------------------ */

void limits_init(struct vbd *vbd)
{
    struct record record;

    if (rundir_read(vbd->device.dir, RECORD_FILE, &record, sizeof(record)) == 0 && record.version == RECORD_VERSION)
        vbd->limits.said =
            (struct limits_said){.iops = record.iops != 0, .bps = record.bps != 0, .values = record.values};
    vbd->limits.now = limits_in_force(vbd);
}

void limits_follow(struct vbd *vbd)
{
    char path[512];
    int err;

    limits_unfollow(vbd);
    snprintf(path, sizeof(path), "%s/%s", xendev_backend_path(vbd->device.backend), LIMITS_DIRECTORY);
    err = xendev_watch_add(device_store(&vbd->device), path, on_changed, vbd, &vbd->limits.watch);
    if (err < 0)
        log_warning(&vbd->device.log, "changes of its limits are not followed: %s", strerror(-err));
    look(vbd);
}

void limits_unfollow(struct vbd *vbd)
{
    xendev_watch_remove(vbd->limits.watch);
    vbd->limits.watch = NULL;
}

struct blkback_limits limits_tell(struct vbd *vbd)
{
    vbd->limits.untold = false;
    return vbd->limits.now;
}

void limits_served(struct vbd *vbd)
{
    if (vbd->limits.untold)
        tell(vbd);
}

void limits_adopted(struct vbd *vbd)
{
    if (vbd->device.guest->state == GUEST_SERVED)
        tell(vbd); /* they may have changed while there was no blkbackd */
}

void limits_reloaded(struct blkback *blkback)
{
    for (struct device *device = device_first(&blkback->backend); device != NULL; device = device_next(device))
        put_in_force(vbd_of(device));
}

/* ---- What is to be seen. ----------------------------------------------------------------------------------------------------- */

static json_t *report_limit(uint64_t limit)
{
    return limit == 0 ? json_null() : json_integer((json_int_t)(limit & INT64_MAX));
}

json_t *limits_report(const struct vbd *vbd, const struct blkback_queue_counters *counters)
{
    const struct blkback_limits *now = &vbd->limits.now;
    json_t *report = json_object();

    report_put(&report, "iops_total", report_limit(now->iops));
    report_put(&report, "iops_total_max", report_limit(now->iops == 0 ? 0 : bucket_burst(now->iops, now->iops_max)));
    report_put(&report, "bps_total", report_limit(now->bps));
    report_put(&report, "bps_total_max", report_limit(now->bps == 0 ? 0 : bucket_burst(now->bps, now->bps_max)));
    report_put_number(&report, "waits", counters->throttled);
    report_put_number(&report, "waited_ns", counters->throttled_ns);
    return report;
}

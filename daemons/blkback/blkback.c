/* SPDX-License-Identifier: MIT */
/*
 * What the daemon has beside its guests: the directory of RAM disks and the budget of mapped references.
 */
#include "blkback.h"

#include <string.h>
#include <unistd.h>

#include <service/log.h>
#include <service/service.h>
#include <supervise/rundir.h>

#include "ending.h"
#include "limits.h"
#include "mappings.h"
#include "resize.h"
#include "vbd.h"

static int open_files(struct blkback *blkback, const char *run_dir)
{
    blkback->ram_dir = rundir_open(blkback->config.ram_dir);
    if (blkback->ram_dir < 0) {
        log_error(NULL, "%s cannot be used: %s", blkback->config.ram_dir, strerror(-blkback->ram_dir));
        return blkback->ram_dir;
    }
    blkback->budget = mappings_open(run_dir, (uint32_t)blkback->config.grant_budget);
    if (blkback->budget < 0) {
        log_error(NULL, "%s cannot be used: %s", run_dir, strerror(-blkback->budget));
        return blkback->budget;
    }
    return 0;
}

static void close_files(struct blkback *blkback)
{
    if (blkback->budget >= 0)
        close(blkback->budget);
    if (blkback->ram_dir >= 0)
        close(blkback->ram_dir);
}

int blkback_start(struct service *service, void *arg)
{
    struct blkback *blkback = arg;
    int err;

    blkback->ram_dir = blkback->budget = -1;
    err = open_files(blkback, service_run_dir(service));
    if (err == 0)
        err = backend_start(&blkback->backend, &vbd_kind, &blkback->config.backend, service);
    if (err < 0) {
        close_files(blkback);
        return err;
    }
    err = resize_start(blkback);
    if (err < 0)
        blkback_stop(blkback);
    return err;
}

bool blkback_goes_on(void *arg)
{
    const struct blkback *blkback = arg;

    return backend_goes_on(&blkback->backend);
}

void blkback_reloaded(void *arg)
{
    limits_reloaded(arg);
}

void blkback_stop(void *arg)
{
    struct blkback *blkback = arg;

    resize_stop(blkback);
    ending_stop();
    backend_stop(&blkback->backend);
    close_files(blkback);
}

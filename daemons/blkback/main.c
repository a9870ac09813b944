/* SPDX-License-Identifier: MIT */
/*
 * blkbackd: serves the disks of this host's guests. See blkback.h for the parts.
 */
#include <stddef.h>

#include <ring/blkif.h>
#include <service/service.h>

#include "blkback.h"
#include "protocol.h"

#define LIMIT_MAX ((uint64_t)INT64_MAX / 2)

static const struct config_key keys[] = {
    {.name = "device-kind",
     .type = CONFIG_STRING,
     .offset = offsetof(struct blkback_config, backend.device_kind),
     .fallback = "vbd",
     .help = "serve the devices below backend/KIND in xenstore"},
    {.name = "worker",
     .type = CONFIG_PATH,
     .offset = offsetof(struct blkback_config, backend.worker),
     .fallback = BLKBACK_WORKER_PROGRAM,
     .help = "the program that serves one guest"},
    {.name = "ram-dir",
     .type = CONFIG_PATH,
     .offset = offsetof(struct blkback_config, ram_dir),
     .fallback = "/run/ringback/ram",
     .help = "where RAM disks are kept; on a tmpfs of its own"},
    {.name = "poll-time",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct blkback_config, poll_time),
     .fallback = "100",
     .max = 10000,
     .help = "microseconds an idle disk is watched at most before it sleeps; 0: never"},
    {.name = "poll-budget",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct blkback_config, poll_budget),
     .fallback = "50",
     .max = 100,
     .help = "percent of a processor that a guest's worker may spend on watching"},
    {.name = "replace-parallel",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct blkback_config, backend.replace_parallel),
     .fallback = "2",
     .min = 1,
     .max = 1000,
     .live = true,
     .help = "after an upgrade, so many guests' workers are replaced at a time"},
    {.name = "persistent-grants",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct blkback_config, persistent_grants),
     .fallback = "1056",
     .max = 16384,
     .help = "most pages of a guest that are kept mapped for each queue of a disk; 0: all data is copied"},
    {.name = "grant-budget",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct blkback_config, grant_budget),
     .fallback = "65536",
     .max = 1000000,
     .help = "most pages that are kept mapped for all disks together"},
    {.name = "queues-max",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct blkback_config, queues_max),
     .fallback = "4",
     .min = 1,
     .max = BLKBACK_QUEUES_MAX,
     .live = true,
     .help = "most queues a guest may use for a disk; for disks that are attached from then on"},
    {.name = "indirect-segments",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct blkback_config, indirect_segments),
     .fallback = "256",
     .max = BLKIF_INDIRECT_SEGMENTS,
     .help = "most pages of data in one request; 0: no more than the 11 that a request itself can name"},
    {.name = "barriers-only",
     .type = CONFIG_BOOL,
     .offset = offsetof(struct blkback_config, barriers_only),
     .fallback = "no",
     .live = true,
     .help =
         "offer write barriers alone, without flushes and indirect requests: Linux then sends FUA writes as barriers"},
    {.name = "attempts-max",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct blkback_config, attempts_max),
     .fallback = "3",
     .min = 2,
     .max = 1000,
     .help = "park a disk when one of its requests crashed so many workers"},
    {.name = "iops-total",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct blkback_config, limits.iops),
     .fallback = "0",
     .max = LIMIT_MAX,
     .live = true,
     .help = "requests a second that a guest may send a disk, unless xenstore says otherwise; 0: any number"},
    {.name = "iops-total-max",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct blkback_config, limits.iops_max),
     .fallback = "0",
     .max = LIMIT_MAX,
     .live = true,
     .help = "of these, so many at once after a pause; 0: a tenth of a second's worth"},
    {.name = "bps-total",
     .type = CONFIG_SIZE,
     .offset = offsetof(struct blkback_config, limits.bps),
     .fallback = "0",
     .max = LIMIT_MAX,
     .live = true,
     .help = "bytes a second that a guest may read and write on a disk, unless xenstore says otherwise; 0: any number"},
    {.name = "bps-total-max",
     .type = CONFIG_SIZE,
     .offset = offsetof(struct blkback_config, limits.bps_max),
     .fallback = "0",
     .max = LIMIT_MAX,
     .live = true,
     .help = "of these, so many at once after a pause; 0: a tenth of a second's worth"},
};

int main(int argc, char **argv)
{
    static struct blkback blkback;
    const struct config_table tables[] = {
        {.section = "blkback", .keys = keys, .count = sizeof(keys) / sizeof(keys[0]), .values = &blkback.config},
    };
    const struct service_daemon daemon = {
        .name = "blkbackd",
        .summary = "serves disks to Xen guests",
        .tables = tables,
        .table_count = sizeof(tables) / sizeof(tables[0]),
        .start = blkback_start,
        .stop = blkback_stop,
        .reloaded = blkback_reloaded,
        .progress = blkback_goes_on,
        .arg = &blkback,
    };

    return service_main(&daemon, argc, argv);
}

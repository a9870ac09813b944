/* SPDX-License-Identifier: MIT */
/*
 * netbackd: serves the network cards of this host's guests. See netback.h for the parts.
 */
#include <stddef.h>

#include <service/service.h>

#include "netback.h"
#include "protocol.h"

static const struct config_key keys[] = {
    {.name = "device-kind",
     .type = CONFIG_STRING,
     .offset = offsetof(struct netback_config, backend.device_kind),
     .fallback = "vif",
     .help = "serve the devices below backend/KIND in xenstore"},
    {.name = "worker",
     .type = CONFIG_PATH,
     .offset = offsetof(struct netback_config, backend.worker),
     .fallback = NETBACK_WORKER_PROGRAM,
     .help = "the program that serves one guest"},
    {.name = "queues-max",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct netback_config, queues_max),
     .fallback = "4",
     .min = 1,
     .max = NETBACK_QUEUES_MAX,
     .live = true,
     .help = "most queues a guest may use for a card; for cards that are attached from then on"},
    {.name = "poll-time",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct netback_config, poll_time),
     .fallback = "50",
     .max = 10000,
     .help = "microseconds an idle card is watched at most before it sleeps; 0: never"},
    {.name = "poll-budget",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct netback_config, poll_budget),
     .fallback = "25",
     .max = 100,
     .help = "percent of a processor that a guest's worker may spend on watching"},
    {.name = "drain-time",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct netback_config, drain_time),
     .fallback = "10000",
     .min = 1,
     .max = 600000,
     .help = "milliseconds after which frames are dropped that find no room with their guest"},
    {.name = "stall-time",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct netback_config, stall_time),
     .fallback = "60000",
     .max = 3600000,
     .help = "milliseconds after which a guest that takes no frames loses its carrier; 0: never"},
    {.name = "attempts-max",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct netback_config, attempts_max),
     .fallback = "2",
     .min = 1,
     .max = 1000,
     .help = "drop a packet that was being sent when so many workers crashed"},
    {.name = "replace-parallel",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct netback_config, backend.replace_parallel),
     .fallback = "2",
     .min = 1,
     .max = 1000,
     .live = true,
     .help = "after an upgrade, so many guests' workers are replaced at a time"},
};

int main(int argc, char **argv)
{
    static struct netback netback;
    const struct config_table tables[] = {
        {.section = "netback", .keys = keys, .count = sizeof(keys) / sizeof(keys[0]), .values = &netback.config},
    };
    const struct service_daemon daemon = {
        .name = "netbackd",
        .summary = "serves network cards to Xen guests",
        .tables = tables,
        .table_count = sizeof(tables) / sizeof(tables[0]),
        .start = netback_start,
        .stop = netback_stop,
        .progress = netback_goes_on,
        .arg = &netback,
    };

    return service_main(&daemon, argc, argv);
}

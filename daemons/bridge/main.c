/* SPDX-License-Identifier: MIT */
/*
 * tapbridged: the switch between guests. See tapbridge.h for the parts.
 */
#include <service/service.h>

#include "tapbridge.h"

int main(int argc, char **argv)
{
    static struct tapbridge tapbridge;
    tapbridge.family = tapbridge_family;
    const struct config_table tables[] = {
        {.section = "tapbridge", .keys = tapbridge_keys, .count = tapbridge_key_count, .values = &tapbridge.config},
    };
    const struct service_daemon daemon = {
        .name = "tapbridged",
        .summary = "switches frames between Xen guests and taps",
        .tables = tables,
        .table_count = sizeof(tables) / sizeof(tables[0]),
        .family = &tapbridge.family,
        .start = tapbridge_start,
        .stop = tapbridge_stop,
        .reloaded = tapbridge_reloaded,
        .arg = &tapbridge,
    };

    return service_main(&daemon, argc, argv);
}

/* SPDX-License-Identifier: MIT */
/*
 * simguest: a guest of one program. It finds its devices in xenstore as a guest's kernel does, and runs where a process may be a
 * front end: on the simulator, and inside a guest of a real Xen (modules xen-gntalloc and xen-evtchn, no xen-blkfront).
 */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "options.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *purpose;
} commands[] = {
    {"blk", command_blk, "verified I/O on block devices"},
    {"bench", command_bench, "a block device's rate"},
    {"hostile", command_hostile, "what a guest must not be able to do to its back end"},
    {"net", command_net, "frames, datagrams and streams on network devices"},
    {"check", command_check, "compare a raw image with what `blk --state` wrote"},
};

int main(int argc, char **argv)
{
    for (unsigned i = 0; argc > 1 && i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }

    fputs("usage: simguest COMMAND ... (--help tells more)\n", stderr);
    for (unsigned i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(stderr, "  %-8s  %s\n", commands[i].name, commands[i].purpose);
    return EXIT_USAGE;
}

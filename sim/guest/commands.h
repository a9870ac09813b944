/* SPDX-License-Identifier: MIT */
/*
 * The commands of simguest. Each takes its own arguments, argv[0] being its name, and returns the program's exit status.
 */
#ifndef GUEST_COMMANDS_H
#define GUEST_COMMANDS_H

int command_blk(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_hostile(int argc, char **argv);
int command_net(int argc, char **argv);
int command_check(int argc, char **argv);

#endif

/* SPDX-License-Identifier: MIT */
/* `ringctl vhd`: its subcommands and their options. */
#include "vhd.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RATE_MAX 1000000ul

struct vhd_command {
    const char *name;
    const char *operands;
    int operand_count;
    const char *allowed; /* the short codes of its options */
    const char *help;
    enum ringctl_exit (*run)(const struct vhd_options *options, char **operands);
};

static const struct vhd_command commands[] = {
    {"create", "SIZE FILE", 2, "f", "Make an empty image: dynamic, or fixed with --fixed.", vhd_run_create},
    {"info", "FILE", 1, "j", "Show what an image says of itself, and its parents.", vhd_run_info},
    {"check", "FILE", 1, "", "Look for what is wrong with an image, and with its parents.", vhd_run_check},
    {"repair", "FILE", 1, "", "Put right what is wrong with an image, as far as that can be.", vhd_run_repair},
    {"convert", "KIND:FILE KIND:FILE", 2, "f",
     "Copy a disk into a new image; KIND is vhd or raw. Of a child all that its\n"
     "parents hold is copied, too. Zeros take no room in the new image.",
     vhd_run_convert},
    {"snapshot", "FILE CHILD", 2, "w", "Make CHILD, an image that holds the differences to FILE from now on.",
     vhd_run_snapshot},
    {"coalesce", "FILE", 1, "r", "Copy into a child all that its parents hold; then it needs none.", vhd_run_coalesce},
    {"resize", "FILE SIZE", 2, "", "Make the disk in an image larger.", vhd_run_resize},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct option long_options[] = {
    {"fixed", no_argument, NULL, 'f'}, {"raw", no_argument, NULL, 'w'},  {"rate", required_argument, NULL, 'r'},
    {"json", no_argument, NULL, 'j'},  {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0},
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
    (void)signal;
    interrupted = 1;
}

bool vhd_interrupted(void)
{
    return interrupted != 0;
}

static void print_help(void)
{
    printf("usage: ringctl vhd COMMAND [OPTION]... OPERAND...\n\n");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  %s %s\n", commands[i].name, commands[i].operands);
    printf("\n'ringctl vhd COMMAND --help' tells more; so does ringctl(8).\n");
}

static void print_command_help(const struct vhd_command *command)
{
    printf("usage: ringctl vhd %s [OPTION]... %s\n\n%s\n\n", command->name, command->operands, command->help);
    if (strchr(command->allowed, 'f') != NULL)
        printf("  --fixed          a fixed image, which has all of its room from the start\n");
    if (strchr(command->allowed, 'w') != NULL)
        printf("  --raw            FILE is a raw image\n");
    if (strchr(command->allowed, 'r') != NULL)
        printf("  --rate=MIB       copy at most so many MiB a second\n");
    if (strchr(command->allowed, 'j') != NULL)
        printf("  --json           print JSON\n");
    printf("  --help           this text\n");
}

static enum ringctl_exit parse_rate(const char *text, unsigned *ret_rate)
{
    char *end;
    unsigned long rate = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || text[0] == '-' || rate == 0 || rate > RATE_MAX)
        return ringctl_fail(RINGCTL_USAGE, "--rate: '%s' is not a number of MiB a second (1 to %lu)", text, RATE_MAX);
    *ret_rate = (unsigned)rate;
    return RINGCTL_OK;
}

static enum ringctl_exit parse_options(const struct vhd_command *command, int argc, char **argv,
                                       struct vhd_options *options, bool *ret_help)
{
    int code;
    int index = 0;
    optind = 0;
    while ((code = getopt_long(argc, argv, "", long_options, &index)) != -1) {
        if (code == '?')
            return RINGCTL_USAGE;
        if (code != 'h' && strchr(command->allowed, code) == NULL)
            return ringctl_fail(RINGCTL_USAGE, "'vhd %s' does not take --%s; see 'ringctl vhd %s --help'",
                                command->name, long_options[index].name, command->name);
        if (code == 'r' && parse_rate(optarg, &options->rate) != RINGCTL_OK)
            return RINGCTL_USAGE;
        options->fixed |= code == 'f';
        options->raw |= code == 'w';
        options->json |= code == 'j';
        *ret_help |= code == 'h';
    }
    return RINGCTL_OK;
}

enum ringctl_exit ringctl_vhd(bool json, int argc, char **argv)
{
    struct vhd_options options = {.json = json};
    const struct sigaction action = {.sa_handler = on_signal};
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    const struct vhd_command *command = NULL;
    bool help = false;

    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        print_help();
        return argc < 2 ? RINGCTL_USAGE : RINGCTL_OK;
    }
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, argv[1]) == 0)
            command = &commands[i];
    if (command == NULL)
        return ringctl_fail(RINGCTL_USAGE, "there is no command 'vhd %s'; see 'ringctl vhd --help'", argv[1]);
    argv[1] = argv[0]; /* where getopt expects the program's name */
    enum ringctl_exit status = parse_options(command, argc - 1, argv + 1, &options, &help);
    if (status != RINGCTL_OK)
        return status;
    if (help) {
        print_command_help(command);
        return RINGCTL_OK;
    }
    if (argc - 1 - optind != command->operand_count)
        return ringctl_fail(RINGCTL_USAGE, "usage: ringctl vhd %s [OPTION]... %s", command->name, command->operands);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
    return command->run(&options, argv + 1 + optind);
}

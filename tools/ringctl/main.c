/* SPDX-License-Identifier: MIT */
/*
 * ringctl: the command line.
 */
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ringctl.h"
#include "vhd.h"

#define DEFAULT_TIMEOUT 30u
#define TIMEOUT_MAX     3600ul
#define SNAPLEN_MAX     262144u /* libpcap's */

enum ringctl_exit ringctl_fail(enum ringctl_exit status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("ringctl: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return status;
}

static enum ringctl_exit run_list(const struct ringctl_options *options, char **operands)
{
    (void)operands;
    return ringctl_list(options);
}

static enum ringctl_exit run_show(const struct ringctl_options *options, char **operands)
{
    return ringctl_show(options, operands[0]);
}

static enum ringctl_exit attach_disk(const struct ringctl_options *options, char **operands)
{
    if (operands[0] == NULL || operands[1] == NULL || operands[2] == NULL || operands[3] != NULL)
        return ringctl_fail(RINGCTL_USAGE, "usage: ringctl attach [OPTION]... disk DOM DEV SPEC");
    if (operands[2][0] == '\0')
        return ringctl_fail(RINGCTL_USAGE, "SPEC is empty");
    return ringctl_attach_disk(options, operands[0], operands[1], operands[2]);
}

static enum ringctl_exit run_attach(const struct ringctl_options *options, char **operands)
{
    if (strcmp(operands[0], "disk") == 0)
        return attach_disk(options, operands + 1);
    if (strcmp(operands[0], "nic") != 0)
        return ringctl_fail(RINGCTL_USAGE, "only a disk or a nic can be attached, not a '%s'", operands[0]);
    if (options->read_only || options->no_discard)
        return ringctl_fail(RINGCTL_USAGE, "--ro and --no-discard are for disks");
    return ringctl_attach_nic(options, operands[1], operands + 2);
}

static enum ringctl_exit run_rate(const struct ringctl_options *options, char **operands)
{
    return ringctl_rate(options, operands[0], operands[1]);
}

static enum ringctl_exit run_detach(const struct ringctl_options *options, char **operands)
{
    return ringctl_detach(options, operands[0]);
}

static enum ringctl_exit run_resume(const struct ringctl_options *options, char **operands)
{
    return ringctl_resume(options, operands[0]);
}

static enum ringctl_exit run_resize(const struct ringctl_options *options, char **operands)
{
    return ringctl_resize(options, operands[0], operands[1]);
}

static enum ringctl_exit run_snapshot(const struct ringctl_options *options, char **operands)
{
    return ringctl_snapshot(options, operands[0], operands[1]);
}

static enum ringctl_exit run_coalesce(const struct ringctl_options *options, char **operands)
{
    return ringctl_coalesce(options, operands[0]);
}

static enum ringctl_exit run_bridge(const struct ringctl_options *options, char **operands)
{
    return ringctl_bridge(options, operands[0], operands[1]);
}

static enum ringctl_exit run_capture(const struct ringctl_options *options, char **operands)
{
    return ringctl_capture(options, operands[0], operands[1]);
}

static enum ringctl_exit run_throttle(const struct ringctl_options *options, char **operands)
{
    return ringctl_throttle(options, operands[0], operands[1]);
}

struct command {
    const char *name;
    const char *operands; /* a line for each form of them */
    int operands_min;
    int operands_max;
    const char *allowed; /* the short codes of the options it takes beside the common ones */
    const char *help;
    enum ringctl_exit (*run)(const struct ringctl_options *options, char **operands); /* which end with NULL */
};
#define OPERANDS_MANY 256

static const struct command commands[] = {
    {"list", "", 0, 0, "",
     "List all disks and network cards, one a line: those of all daemons that are\n"
     "running, or those of the one at --socket.",
     run_list},
    {"show", "DOM/DEV", 1, 1, "", "Show all there is to know about one disk or network card.", run_show},
    {"attach", "disk DOM DEV SPEC\nnic DOM [KEY=VALUE,...]", 2, OPERANDS_MANY, "rDkt",
     "Give domain DOM (number or name) a disk as DEV (xvdb, sda, hda or a number).\n"
     "SPEC says what is behind it: vhd:/PATH, raw:/PATH, ram:SIZE,\n"
     "nbd:URI or /PATH.\n\n"
     "Or give it a network card, with xl's words:\n"
     "  bridge=NAME      (xenbr0)          mac=ADDRESS      (made up)\n"
     "  script=NAME      (vif-bridge); one of /etc/xen/scripts, a path, or none\n"
     "  rate=RATE        10Mb/s, 250KB/s@20ms\n"
     "  mtu=BYTES        ip=ADDRESSES      vifname=NAME\n"
     "  devid=N          (the next free)   type=vif",
     run_attach},
    {"detach", "DOM/DEV", 1, 1, "kt",
     "Take a disk or network card away from a domain; waits until its guest let go\n"
     "of it.",
     run_detach},
    {"resume", "DOM/DEV", 1, 1, "",
     "Try a parked disk again, which a request of its guest crashed the workers of.\n"
     "If it does so again, the disk is parked again.",
     run_resume},
    {"resize", "DOM/DEV SIZE", 2, 2, "t",
     "Make a disk larger while its guest uses it; SIZE takes K, M, G and T. A raw\n"
     "file or a VHD is made larger with it; a RAM disk cannot be. Of a file or block\n"
     "device that was made larger by other means the daemon knows by itself.",
     run_resize},
    {"snapshot", "DOM/DEV FILE", 2, 2, "t",
     "Keep what is on a VHD disk, while its guest goes on: the content so far is\n"
     "called FILE from then on, and is not written any more; the image, under its\n"
     "own name, is a new child of it. FILE is a name beside the image.",
     run_snapshot},
    {"coalesce", "DOM/DEV", 1, 1, "lCG",
     "Copy into a disk's image what its parents hold, while its guest goes on, until\n"
     "it needs none of them; that shows a bar, and goes on if this command is ended.",
     run_coalesce},
    {"bridge", "list|show|ports|fdb [NAME]", 1, 2, "",
     "Look at the switch between guests, which tapbridged is: list all bridges; or\n"
     "of bridge NAME show the counters, list the ports, or the forwarding table.",
     run_bridge},
    {"rate", "DOM/vifN RATE|none", 2, 2, "k",
     "Limit what a guest may send by a network card, from now on: 10Mb/s, or\n"
     "250KB/s@20ms, which says in which steps; none: no limit.",
     run_rate},
    {"throttle", "DOM/DEV [none|default]", 1, 2, "kiIbB",
     "Limit how fast a guest may use a disk, from now on. A limit that is not named\n"
     "stays. N or BYTES may be none: no limit; or default: what is configured. For\n"
     "both limits at once there is 'none' or 'default' behind the disk.",
     run_throttle},
    {"capture", "DOM/vifN FILE", 2, 2, "cnT",
     "Write every frame that a guest sends and receives by a network card to a pcap\n"
     "file, until interrupted; FILE - is standard output, as for tcpdump -r -.",
     run_capture},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct option long_options[] = {
    {"ro", no_argument, NULL, 'r'},
    {"no-discard", no_argument, NULL, 'D'},
    {"device-kind", required_argument, NULL, 'k'},
    {"timeout", required_argument, NULL, 't'},
    {"count", required_argument, NULL, 'c'},
    {"snaplen", required_argument, NULL, 'n'},
    {"time", required_argument, NULL, 'T'},
    {"iops", required_argument, NULL, 'i'},
    {"iops-burst", required_argument, NULL, 'I'},
    {"bandwidth", required_argument, NULL, 'b'},
    {"bandwidth-burst", required_argument, NULL, 'B'},
    {"limit", required_argument, NULL, 'l'},
    {"cancel", no_argument, NULL, 'C'},
    {"background", no_argument, NULL, 'G'},
    {"json", no_argument, NULL, 'j'},
    {"socket", required_argument, NULL, 's'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'v'},
    {NULL, 0, NULL, 0},
};

static void print_common_options(void)
{
    printf("  --json           print JSON\n"
           "  --socket=PATH    the daemon's control socket\n"
           "                   (/run/ringback/blkbackd.sock, netbackd.sock or tapbridged.sock)\n"
           "  --help           this text\n");
}

/* A line for each form of a command's operands, each begun by `first` or `next`; `options` stands behind its name. */
static void print_forms(FILE *stream, const struct command *command, const char *first, const char *next,
                        const char *options)
{
    const char *form = command->operands;
    const char *begin = first;
    for (;;) {
        int length = (int)strcspn(form, "\n");
        fprintf(stream, "%s%s%s%s%.*s\n", begin, command->name, options, length > 0 ? " " : "", length, form);
        if (form[length] == '\0')
            return;
        form += length + 1;
        begin = next;
    }
}

static void print_help(void)
{
    printf("ringctl - look at and change what ringback's daemons serve\n\nusage: ringctl [OPTION]... COMMAND "
           "[OPTION]... [OPERAND]...\n\n");
    for (size_t i = 0; i < COMMANDS; i++)
        print_forms(stdout, &commands[i], "  ", "  ", "");
    printf("  vhd COMMAND OPERAND...   work on VHD images; see 'ringctl vhd --help'\n\n");
    print_common_options();
    printf("  --version        print the version\n\n'ringctl COMMAND --help' tells more; so does ringctl(8).\n");
}

static void print_command_help(const struct command *command)
{
    print_forms(stdout, command, "usage: ringctl ", "       ringctl ", " [OPTION]...");
    printf("\n%s\n\n", command->help);
    print_common_options();
    if (strchr(command->allowed, 'r') != NULL)
        printf("  --ro             a disk: read-only\n"
               "  --no-discard     a disk: its guest may not discard\n");
    if (strchr(command->allowed, 'k') != NULL)
        printf("  --device-kind=KIND\n                   of the backend nodes in xenstore (vbd, vif)\n");
    if (strchr(command->allowed, 't') != NULL)
        printf("  --timeout=SECS   how long to wait (%u)\n", DEFAULT_TIMEOUT);
    if (strchr(command->allowed, 'c') != NULL)
        printf("  --count=N        end after so many frames\n"
               "  --snaplen=BYTES  write no more of each frame\n"
               "  --time=SECS      end after so long\n");
    if (strchr(command->allowed, 'i') != NULL)
        printf("  --iops=N         requests a second\n"
               "  --iops-burst=N   so many at once after a pause (a tenth of a second's worth)\n"
               "  --bandwidth=BYTES\n"
               "                   bytes a second, with K, M, G or T\n"
               "  --bandwidth-burst=BYTES\n"
               "                   as --iops-burst\n");
    if (strchr(command->allowed, 'l') != NULL)
        printf("  --limit=BYTES    copy no more in a second; with K, M, G or T (no limit)\n"
               "  --background     do not wait for it\n"
               "  --cancel         stop it; what was copied stays\n");
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static enum ringctl_exit parse_timeout(const char *text, unsigned *ret_timeout)
{
    char *end;
    unsigned long seconds = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || text[0] == '-' || seconds == 0 || seconds > TIMEOUT_MAX)
        return ringctl_fail(RINGCTL_USAGE, "--timeout: '%s' is not a number of seconds (1 to %lu)", text, TIMEOUT_MAX);
    *ret_timeout = (unsigned)seconds;
    return RINGCTL_OK;
}

static enum ringctl_exit parse_number(const char *name, const char *text, unsigned max, unsigned *ret_number)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || number == 0 || number > max)
        return ringctl_fail(RINGCTL_USAGE, "--%s: '%s' is not a number (1 to %u)", name, text, max);
    *ret_number = (unsigned)number;
    return RINGCTL_OK;
}

/* What was asked for on the command line beside a command. */
enum wish { WISH_NOTHING, WISH_HELP, WISH_VERSION };

/* Whether the option may stand where it does: after a command, or before it (`command` NULL). */
static bool option_is_allowed(const struct command *command, int code)
{
    if (strchr("rDktcnTiIbBlCG", code) != NULL)
        return command != NULL && strchr(command->allowed, code) != NULL;
    return code != 'v' || command == NULL;
}

static enum ringctl_exit refuse_option(const struct command *command, const char *name)
{
    if (command == NULL)
        return ringctl_fail(RINGCTL_USAGE, "--%s must follow its command; see 'ringctl --help'", name);
    return ringctl_fail(RINGCTL_USAGE, "'%s' does not take this option; see 'ringctl %s --help'", command->name,
                        command->name);
}

/* Reads options from optind on: before the command (`command` NULL), up to the first operand, or after it, wherever they stand. */
static enum ringctl_exit parse_options(const struct command *command, int argc, char **argv,
                                       struct ringctl_options *options, enum wish *ret_wish)
{
    int code;
    int index = 0;
    while ((code = getopt_long(argc, argv, command == NULL ? "+" : "", long_options, &index)) != -1) {
        if (code != '?' && !option_is_allowed(command, code))
            return refuse_option(command, long_options[index].name);
        switch (code) {
        case 'r':
            options->read_only = true;
            break;
        case 'D':
            options->no_discard = true;
            break;
        case 'k':
            options->kind = optarg;
            break;
        case 't':
            if (parse_timeout(optarg, &options->timeout) != RINGCTL_OK)
                return RINGCTL_USAGE;
            break;
        case 'c':
            if (parse_number("count", optarg, UINT_MAX, &options->count) != RINGCTL_OK)
                return RINGCTL_USAGE;
            break;
        case 'n':
            if (parse_number("snaplen", optarg, SNAPLEN_MAX, &options->snaplen) != RINGCTL_OK)
                return RINGCTL_USAGE;
            break;
        case 'T':
            if (parse_number("time", optarg, INT_MAX, &options->seconds) != RINGCTL_OK)
                return RINGCTL_USAGE;
            break;
        case 'i':
            options->throttle.iops = optarg;
            break;
        case 'I':
            options->throttle.iops_burst = optarg;
            break;
        case 'b':
            options->throttle.bandwidth = optarg;
            break;
        case 'B':
            options->throttle.bandwidth_burst = optarg;
            break;
        case 'l':
            options->limit = optarg;
            break;
        case 'C':
            options->cancel = true;
            break;
        case 'G':
            options->background = true;
            break;
        case 'j':
            options->json = true;
            break;
        case 's':
            options->socket = optarg;
            break;
        case 'h':
            *ret_wish = WISH_HELP;
            break;
        case 'v':
            *ret_wish = WISH_VERSION;
            break;
        default:
            return RINGCTL_USAGE;
        }
    }
    return RINGCTL_OK;
}

static enum ringctl_exit run_command(const struct command *command, int argc, char **argv,
                                     struct ringctl_options *options)
{
    enum wish wish = WISH_NOTHING;
    optind = 0; /* from the start again, and wherever they stand */
    enum ringctl_exit status = parse_options(command, argc, argv, options, &wish);
    if (status != RINGCTL_OK)
        return status;
    if (wish == WISH_HELP) {
        print_command_help(command);
        return RINGCTL_OK;
    }
    if (argc - optind < command->operands_min || argc - optind > command->operands_max) {
        print_forms(stderr, command, "ringctl: usage: ringctl ", "ringctl:        ringctl ", " [OPTION]...");
        return RINGCTL_USAGE;
    }
    return command->run(options, argv + optind);
}

int main(int argc, char **argv)
{
    struct ringctl_options options = {.timeout = DEFAULT_TIMEOUT};
    enum wish wish = WISH_NOTHING;
    enum ringctl_exit status = parse_options(NULL, argc, argv, &options, &wish);
    if (status != RINGCTL_OK)
        return (int)status;
    if (wish == WISH_VERSION) {
        printf("ringctl %s\n", RINGBACK_VERSION);
        return RINGCTL_OK;
    }
    if (wish == WISH_HELP || optind == argc) {
        print_help();
        return wish == WISH_HELP ? RINGCTL_OK : RINGCTL_USAGE;
    }
    if (strcmp(argv[optind], "vhd") == 0)
        return (int)ringctl_vhd(options.json, argc - optind, argv + optind);
    const struct command *command = find_command(argv[optind]);
    if (command == NULL)
        return (int)ringctl_fail(RINGCTL_USAGE, "there is no command '%s'; see 'ringctl --help'", argv[optind]);
    /* The command's name stands where getopt expects the program's, so that its own messages are right. */
    int at = optind;
    argv[at] = argv[0];
    return (int)run_command(command, argc - at, argv + at, &options);
}

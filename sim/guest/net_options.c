/* SPDX-License-Identifier: MIT */
/*
 * The command line of simguest net.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net.h"
#include "options.h"

static const char options_usage[] =
    "The front end\n"
    "  --as HABIT         linux, windows, ipxe or bsd (mirage's too): whose handshake, and what it agrees to (linux)\n"
    "  --with F,...       agrees to these features too: sg, gso4, gso6, csum4, csum6, rx-notify, split, multicast, "
    "ctrl\n"
    "  --without F,...    does not agree to these\n"
    "  --queues N         so many queues, 1 to 16, fewer when fewer are offered (1)\n"
    "  --rx-posted N      pages it keeps posted in each queue, 0 to 256 (256)\n"
    "  --slots N          cuts each frame into so many pieces, 1 to 18, where it may (1)\n"
    "  --ring-start N     indices of the rings begin here; a back end must cope (0)\n"
    "  --address A        an address of its own, IPv4 or IPv6; up to 4\n"
    "  --capture FILE     writes every frame that comes to a pcap file\n"
    "  --limit S          seconds to wait for any one thing (60)\n"
    "The work\n"
    "  --count N          frames, datagrams, echoes or cycles (1000; no end with --time); repetitions of hostile\n"
    "                     cases (5000)\n"
    "  --time S           ends after so long\n"
    "  --rate N           so many a second (0: as many as go; ping 50)\n"
    "  --size MIN-MAX     bytes of a payload, or one size (64 to what the MTU allows)\n"
    "  --window N         so many on their way at most (64)\n"
    "  --flow N           the number of the flow (the process's)\n"
    "  --to MAC           where numbered frames go (to all)\n"
    "  --port N           the peer's port (7, echo; with --one-way 9, discard)\n"
    "  --bytes N          of a stream, with K, M, G (1M)\n"
    "  --one-way          nothing is expected to come back\n"
    "  --lossy            what is lost, or comes twice or out of order, is no failure\n"
    "  --expect N         up: ends when so many numbered payloads came; replay: when so many frames did\n"
    "  --reflect          up: sends numbered frames back to where they came from\n"
    "  --pause MS         start-of-day: from the state to the second frame; cycle: how long a life is (0);\n"
    "                     hostile: how long it receives nothing (200)\n"
    "  --peer A           hostile: this neighbour must answer an echo request when service is tried\n"
    "  --victim A         hostile: this neighbour is imitated; once for each family\n"
    "  --seed N           of what is random (1)\n"
    "  --json             the result as JSON\n"
    "  --list             the cases of hostile\n"
    "  --help             this text\n";

enum {
    OPTION_WITH = OPTION_OWN,
    OPTION_WITHOUT,
    OPTION_QUEUES,
    OPTION_RX_POSTED,
    OPTION_SLOTS,
    OPTION_RING_START,
    OPTION_ADDRESS,
    OPTION_CAPTURE,
    OPTION_COUNT,
    OPTION_TIME,
    OPTION_RATE,
    OPTION_SIZE,
    OPTION_WINDOW,
    OPTION_FLOW,
    OPTION_TO,
    OPTION_PORT,
    OPTION_BYTES,
    OPTION_ONE_WAY,
    OPTION_LOSSY,
    OPTION_EXPECT,
    OPTION_REFLECT,
    OPTION_PAUSE,
    OPTION_SEED,
    OPTION_JSON,
    OPTION_LIST,
    OPTION_PEER,
    OPTION_VICTIM,
};

static const struct option long_options[] = {
    {"as", required_argument, NULL, OPTION_AS},
    {"with", required_argument, NULL, OPTION_WITH},
    {"without", required_argument, NULL, OPTION_WITHOUT},
    {"queues", required_argument, NULL, OPTION_QUEUES},
    {"rx-posted", required_argument, NULL, OPTION_RX_POSTED},
    {"slots", required_argument, NULL, OPTION_SLOTS},
    {"ring-start", required_argument, NULL, OPTION_RING_START},
    {"address", required_argument, NULL, OPTION_ADDRESS},
    {"capture", required_argument, NULL, OPTION_CAPTURE},
    {"limit", required_argument, NULL, OPTION_LIMIT},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"time", required_argument, NULL, OPTION_TIME},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"window", required_argument, NULL, OPTION_WINDOW},
    {"flow", required_argument, NULL, OPTION_FLOW},
    {"to", required_argument, NULL, OPTION_TO},
    {"port", required_argument, NULL, OPTION_PORT},
    {"bytes", required_argument, NULL, OPTION_BYTES},
    {"one-way", no_argument, NULL, OPTION_ONE_WAY},
    {"lossy", no_argument, NULL, OPTION_LOSSY},
    {"expect", required_argument, NULL, OPTION_EXPECT},
    {"reflect", no_argument, NULL, OPTION_REFLECT},
    {"pause", required_argument, NULL, OPTION_PAUSE},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"json", no_argument, NULL, OPTION_JSON},
    {"list", no_argument, NULL, OPTION_LIST},
    {"peer", required_argument, NULL, OPTION_PEER},
    {"victim", required_argument, NULL, OPTION_VICTIM},
    {"help", no_argument, NULL, OPTION_HELP},
    {0},
};

static void print_usage(FILE *stream)
{
    fputs("usage: simguest net ACTION [options] DEVID ...\n", stream);
    for (unsigned i = 0; net_actions[i] != NULL; i++)
        fprintf(stream, "  %-12s DEVID %-10s %s\n", net_actions[i]->name, net_actions[i]->arguments,
                net_actions[i]->purpose);
    fputs(options_usage, stream);
}

static unsigned parse_features(const char *name, const char *value)
{
    char text[128], *rest = text, *word;
    unsigned set = 0;

    snprintf(text, sizeof text, "%s", value);
    while ((word = strsep(&rest, ",")) != NULL) {
        unsigned i = 0;
        while (i < NETFRONT_FEATURES && strcmp(netfront_feature_name(i), word) != 0)
            i++;
        if (i == NETFRONT_FEATURES)
            options_die("%s: no feature '%s'", name, word);
        set |= 1u << i;
    }
    return set;
}

static enum netfront_habit parse_habit(const char *value)
{
    static const char *const names[] = {
        [NETFRONT_LINUX] = "linux", [NETFRONT_WINDOWS] = "windows", [NETFRONT_IPXE] = "ipxe", [NETFRONT_BSD] = "bsd"};

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], value) == 0)
            return (enum netfront_habit)i;
    }
    if (strcmp(value, "mirage") == 0)
        return NETFRONT_BSD;
    options_die("--as: '%s' is not linux, windows, ipxe or bsd", value);
}

static struct net_address parse_address(const char *name, const char *value)
{
    struct net_address address;

    if (net_address_parse(value, &address) < 0)
        options_die("%s: '%s' is not an address", name, value);
    return address;
}

static void parse_sizes(struct net_options *options, const char *value)
{
    char first[32];
    const char *dash = strchr(value, '-');

    snprintf(first, sizeof first, "%.*s", dash != NULL ? (int)(dash - value) : 20, value);
    options->min = (uint32_t)options_number("--size", first, NUMBERS_SIZE_MIN, NETIF_LENGTH_MAX);
    options->max =
        dash != NULL ? (uint32_t)options_number("--size", dash + 1, options->min, NETIF_LENGTH_MAX) : options->min;
}

static uint64_t parse_bytes(const char *value)
{
    char digits[32];
    size_t length = strlen(value);
    const char *unit = length > 0 ? strchr("KMG", value[length - 1]) : NULL;

    if (unit == NULL || *unit == '\0')
        return options_number("--bytes", value, 0, UINT64_C(1) << 40);
    snprintf(digits, sizeof digits, "%.*s", (int)length - 1, value);
    return options_number("--bytes", digits, 0, UINT64_C(1) << 20) << (*unit == 'K' ? 10 : *unit == 'M' ? 20 : 30);
}

static void take_front_option(struct net_options *options, int key, const char *value, unsigned *with,
                              unsigned *without)
{
    struct netfront_config *front = &options->front;

    switch (key) {
    case OPTION_AS:
        front->habit = parse_habit(value);
        break;
    case OPTION_WITH:
        *with |= parse_features("--with", value);
        break;
    case OPTION_WITHOUT:
        *without |= parse_features("--without", value);
        break;
    case OPTION_QUEUES:
        front->queues = (unsigned)options_number("--queues", value, 1, NETFRONT_QUEUES_MAX);
        break;
    case OPTION_RX_POSTED:
        front->rx_posted = (unsigned)options_number("--rx-posted", value, 0, NETIF_RING_SLOTS);
        break;
    case OPTION_SLOTS:
        front->slots = (unsigned)options_number("--slots", value, 1, NETIF_FRONT_PIECES_MAX);
        break;
    case OPTION_RING_START:
        front->ring_start = (uint32_t)options_number("--ring-start", value, 0, UINT32_MAX);
        break;
    case OPTION_ADDRESS:
        if (options->address_count == NET_ADDRESSES_MAX)
            options_die("--address: more than %u", NET_ADDRESSES_MAX);
        options->addresses[options->address_count++] = parse_address("--address", value);
        break;
    case OPTION_CAPTURE:
        options->capture = value;
        break;
    case OPTION_LIMIT:
        options->limit = (unsigned)options_number("--limit", value, 1, 86400);
        break;
    case OPTION_JSON:
        options->json = true;
        break;
    case OPTION_HELP:
        print_usage(stdout);
        exit(EXIT_SUCCESS);
    case OPTION_LIST:
        net_hostile_list();
        exit(EXIT_SUCCESS);
    default:
        print_usage(stderr);
        exit(EXIT_USAGE);
    }
}

static void take_option(struct net_options *options, int key, const char *value, unsigned *with, unsigned *without)
{
    switch (key) {
    case OPTION_COUNT:
        options->count = options_number("--count", value, 1, UINT32_MAX);
        options->counted = true;
        break;
    case OPTION_TIME:
        options->time = options_number("--time", value, 1, 31536000) * NET_SECOND;
        break;
    case OPTION_RATE:
        options->rate = options_number("--rate", value, 0, 10000000);
        break;
    case OPTION_SIZE:
        parse_sizes(options, value);
        break;
    case OPTION_WINDOW:
        options->window = options_number("--window", value, 1, UINT32_MAX);
        break;
    case OPTION_FLOW:
        options->flow = (uint32_t)options_number("--flow", value, 0, UINT32_MAX);
        break;
    case OPTION_TO:
        if (net_mac_parse(value, options->to) < 0)
            options_die("--to: '%s' is not an Ethernet address", value);
        break;
    case OPTION_PORT:
        options->port = (uint16_t)options_number("--port", value, 1, UINT16_MAX);
        break;
    case OPTION_BYTES:
        options->bytes = parse_bytes(value);
        break;
    case OPTION_ONE_WAY:
        options->one_way = true;
        break;
    case OPTION_LOSSY:
        options->lossy = true;
        break;
    case OPTION_EXPECT:
        options->expect = options_number("--expect", value, 1, UINT32_MAX);
        break;
    case OPTION_REFLECT:
        options->reflect = true;
        break;
    case OPTION_PAUSE:
        options->pause = options_number("--pause", value, 0, 3600000) * (NET_SECOND / 1000);
        break;
    case OPTION_PEER:
        options->peer = parse_address("--peer", value);
        options->has_peer = true;
        break;
    case OPTION_VICTIM:
        if (options->victim_count == NET_VICTIMS_MAX)
            options_die("--victim: more than %u", NET_VICTIMS_MAX);
        options->victims[options->victim_count++] = parse_address("--victim", value);
        break;
    case OPTION_SEED:
        options->seed = options_number("--seed", value, 0, UINT64_MAX);
        break;
    default:
        take_front_option(options, key, value, with, without);
    }
}

static const struct net_action *parse_action(const char *name)
{
    for (unsigned i = 0; net_actions[i] != NULL; i++) {
        if (strcmp(net_actions[i]->name, name) == 0)
            return net_actions[i];
    }
    options_die("no action '%s'; --help shows them", name);
}

void net_options_parse(struct net *net, int argc, char **argv)
{
    struct net_options *options = &net->options;
    unsigned with = 0, without = 0;
    int key;

    *options = (struct net_options){.front = {.queues = 1, .rx_posted = NETIF_RING_SLOTS, .slots = 1},
                                    .limit = 60,
                                    .count = 1000,
                                    .bytes = UINT64_C(1) << 20,
                                    .window = 64,
                                    .seed = 1,
                                    .flow = (uint32_t)getpid()};
    memcpy(options->to, net_broadcast, sizeof options->to);
    while ((key = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        take_option(options, key, optarg, &with, &without);
    if (argc - optind < 2) {
        print_usage(stderr);
        exit(EXIT_USAGE);
    }
    net->action = parse_action(argv[optind]);
    options->front.devid = options_devid(argv[optind + 1]);
    options->front.features = (netfront_habit_features(options->front.habit) | with) & ~without;
    net->arguments = argv + optind + 2;
    net->argument_count = (unsigned)(argc - optind) - 2;
    if (net->argument_count < net->action->argument_count ||
        (net->argument_count > net->action->argument_count && !net->action->more_arguments))
        options_die("%s takes: DEVID %s", net->action->name, net->action->arguments);
    if (options->port == 0)
        options->port = options->one_way ? NET_PORT_DISCARD : NET_PORT_ECHO;
}

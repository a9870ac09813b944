/* SPDX-License-Identifier: MIT */
/*
 * simguest bench: a back end's rate, with as little of the guest in it as there can be. Every request is made beforehand; an answer is matched to its
 * request and sent again at another place. Nothing is filled in, nothing compared.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <xendev/grant.h>

#include "commands.h"
#include "options.h"
#include "random.h"

#define WARM_UP_MS 300u

static const char usage[] = "usage: simguest bench read|write [options] DEVID\n"
                            "Prints requests and bytes a second.\n" OPTIONS_FRONT_USAGE
                            "  --bs BYTES              of a request, 512 to 4K a segment (4K)\n"
                            "  --sequential            one place after the other (random)\n"
                            "  --time S                for so long, after a short warm-up (3)\n"
                            "  --json                  the result as JSON\n";

enum {
    OPTION_BS = OPTION_OWN,
    OPTION_SEQUENTIAL,
    OPTION_TIME,
    OPTION_JSON,
};

static const struct option long_options[] = {
    OPTIONS_FRONT,
    {"bs", required_argument, NULL, OPTION_BS},
    {"sequential", no_argument, NULL, OPTION_SEQUENTIAL},
    {"time", required_argument, NULL, OPTION_TIME},
    {"json", no_argument, NULL, OPTION_JSON},
    {0},
};

struct bench {
    struct options_front options;
    uint8_t code;
    uint64_t size; /* bytes of a request */
    bool sequential, json;
    unsigned seconds;

    struct guest guest;
    struct blkfront front;
    struct blkif_message *messages; /* by tag */
    struct random random;
    uint64_t places; /* of `size` on the disk */
    uint64_t next;
    uint64_t answered;
    uint64_t errors;
    bool stopped;
};

static void parse(struct bench *bench, int argc, char **argv, uint32_t *ret_devid)
{
    uint64_t max;
    int key;

    *bench = (struct bench){.options = OPTIONS_FRONT_DEFAULT, .size = 4096, .seconds = 3, .random = {1}};
    while ((key = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (key == OPTION_BS)
            options_size_range("--bs", optarg, &bench->size, &max);
        else if (key == OPTION_SEQUENTIAL)
            bench->sequential = true;
        else if (key == OPTION_TIME)
            bench->seconds = (unsigned)options_number("--time", optarg, 1, 86400);
        else if (key == OPTION_JSON)
            bench->json = true;
        else
            options_front_take(&bench->options, key, optarg, usage);
    }
    if (argc - optind != 2 || (strcmp(argv[optind], "read") != 0 && strcmp(argv[optind], "write") != 0)) {
        fputs(usage, stderr);
        exit(EXIT_USAGE);
    }
    options_front_check_size(&bench->options, "--bs", bench->size);
    bench->code = strcmp(argv[optind], "read") == 0 ? BLKIF_CODE_READ : BLKIF_CODE_WRITE;
    *ret_devid = options_devid(argv[optind + 1]);
}

static void send_tag(struct bench *bench, unsigned tag)
{
    uint64_t place = bench->sequential ? bench->next++ % bench->places : random_below(&bench->random, bench->places);

    bench->messages[tag].sector = place * (bench->size / BLKIF_SECTOR_SIZE);
    blkfront_send(&bench->front, tag, &bench->messages[tag]);
}

static void answered(void *arg, unsigned tag, int16_t status)
{
    struct bench *bench = arg;

    bench->answered++;
    if (status != BLKIF_STATUS_OKAY)
        bench->errors++;
    if (!bench->stopped)
        send_tag(bench, tag);
}

static void drained(void *arg)
{
    struct bench *bench = arg;

    blkfront_kick(&bench->front);
}

static void make_messages(struct bench *bench)
{
    for (unsigned tag = 0; tag < bench->front.depth; tag++) {
        struct blkif_message *message = &bench->messages[tag];
        struct blkif_segment segments[BLKIF_INDIRECT_SEGMENTS] = {0};
        uint64_t left = bench->size / BLKIF_SECTOR_SIZE;
        unsigned segment_count = 0;
        message->code = bench->code;
        message->handle = (uint16_t)bench->front.config.devid;
        for (; left > 0; segment_count++) {
            uint64_t count = left < BLKIF_SECTORS_PER_PAGE ? left : BLKIF_SECTORS_PER_PAGE;
            segments[segment_count] =
                (struct blkif_segment){blkfront_ref(&bench->front, tag, segment_count), 0, (uint8_t)(count - 1)};
            left -= count;
        }
        if (segment_count > BLKIF_DIRECT_SEGMENTS) {
            blkfront_make_indirect(&bench->front, tag, message, segments, segment_count);
        } else {
            memcpy(message->segments, segments, segment_count * sizeof segments[0]);
            message->segment_count = (uint16_t)segment_count;
        }
    }
}

static double own_cpu(void)
{
    struct rusage usage_now;

    getrusage(RUSAGE_SELF, &usage_now);
    return (double)(usage_now.ru_utime.tv_sec + usage_now.ru_stime.tv_sec) +
           (double)(usage_now.ru_utime.tv_usec + usage_now.ru_stime.tv_usec) / 1e6;
}

static bool nothing_in_flight(const void *arg)
{
    const struct bench *bench = arg;
    return bench->front.in_flight == 0 || bench->front.device.lost;
}

/* The measurement itself, on a connected front end. */
static int measure(struct bench *bench)
{
    struct blkfront *front = &bench->front;

    bench->places = front->disk.sectors * BLKIF_SECTOR_SIZE / bench->size;
    bench->messages = calloc(front->depth, sizeof *bench->messages);
    if (bench->messages == NULL || bench->places == 0 || bench->size > (uint64_t)front->segments * XENDEV_PAGE_SIZE) {
        guest_say("vbd %u: nothing to measure", front->config.devid);
        return -EINVAL;
    }
    make_messages(bench);
    front->answered = answered;
    front->drained = drained;
    front->arg = bench;
    for (unsigned tag = 0; tag < front->depth; tag++)
        send_tag(bench, tag);
    blkfront_kick(front);

    guest_sleep(&bench->guest, WARM_UP_MS);
    uint64_t since = guest_now();
    uint64_t before = bench->answered;
    double cpu = own_cpu();
    guest_sleep(&bench->guest, bench->seconds * 1000);
    double requests = (double)(bench->answered - before);
    double elapsed = (double)(guest_now() - since) / 1e9;
    cpu = own_cpu() - cpu;

    bench->stopped = true;
    if (guest_wait(&bench->guest, nothing_in_flight, bench) < 0 || front->device.lost || bench->errors > 0) {
        blkfront_say_stuck(front);
        guest_say("vbd %u: %" PRIu64 " of %" PRIu64 " requests failed", front->config.devid, bench->errors,
                  bench->answered);
        return -EIO;
    }
    double rate = requests / elapsed;
    double megabytes = rate * (double)bench->size / 1e6;
    double per_request = requests > 0 ? cpu * 1e6 / requests : 0;
    if (bench->json)
        printf("{\"depth\": %u, \"bs\": %" PRIu64
               ", \"iops\": %.0f, \"mb_s\": %.1f, \"guest_cpu_us\": %.3f, \"answered\": %" PRIu64 "}\n",
               front->depth, bench->size, rate, megabytes, per_request, bench->answered);
    else
        printf("depth %u, %" PRIu64 " bytes: %.0f requests/s, %.1f MB/s, guest CPU %.3f us a request\n", front->depth,
               bench->size, rate, megabytes, per_request);
    return 0;
}

int command_bench(int argc, char **argv)
{
    static struct bench bench;
    uint32_t devid;

    parse(&bench, argc, argv, &devid);
    if (guest_open(&bench.guest, bench.options.limit) < 0)
        return EXIT_FAILURE;

    unsigned pages = (unsigned)((bench.size + XENDEV_PAGE_SIZE - 1) / XENDEV_PAGE_SIZE);
    struct blkfront_config config = options_front_config(&bench.options, devid, pages);
    int rc = blkfront_open(&bench.front, &bench.guest, &config);
    if (rc == 0) {
        rc = blkfront_connect(&bench.front, false);
        if (rc == 0)
            rc = measure(&bench);
        if (rc == 0)
            rc = blkfront_disconnect(&bench.front);
        blkfront_close(&bench.front);
    }
    free(bench.messages);
    guest_close(&bench.guest);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

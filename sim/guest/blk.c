/* SPDX-License-Identifier: MIT */
/*
 * simguest blk: verified I/O on one or more devices, in one or more lives of their front ends.
 *
 *   per life:   connect -> mixed requests -> (the last one: verify every sector) -> disconnect
 *
 * A life but the last may end in the middle of its requests, as kexec ends one. The exit status is 0 when every answer was right.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "commands.h"
#include "options.h"
#include "workload.h"

#define BLK_DEVICES_MAX 64u
#define SECOND          UINT64_C(1000000000)

static const char usage[] =
    "usage: simguest blk [options] DEVID...\n"
    "Does verified I/O on devices of this guest. SIGTERM ends the requests early.\n" OPTIONS_FRONT_USAGE
    "  --size MIN-MAX          bytes of a request, 512 to 4K a segment (512-44K)\n"
    "  --time S                for so long; 0: until SIGTERM (5)\n"
    "  --requests N            so many, and no time limit\n"
    "  --read PCT              share of reads (50)\n"
    "  --flush PCT             share of flushes among the others (2)\n"
    "  --discard PCT           share of discards among the others (0), if the back end takes them\n"
    "  --barrier PCT           share of write barriers among the others (0), if the back end takes them\n"
    "  --discard-max BYTES     of one (1M)\n"
    "  --discard-secure        they are secure ones, if the back end takes these\n"
    "  --from BYTES            where on the disk (0)\n"
    "  --span BYTES            how much of it (to its end, at most 1G)\n"
    "  --grows                 all of the span is used, also what the disk is given later\n"
    "  --seed N                of what is done and written (random; printed)\n"
    "  --state FILE            FILE.DEVID keeps what the disk must hold from one run to the next\n"
    "  --blank                 the disk is zeroes at first\n"
    "  --verify-all            at the end, read and verify every sector\n"
    "  --reconnect N           start N new lives, each in the middle of the former one's requests\n"
    "  --allow-errors          error answers are counted, not failures\n"
    "  --poison N              the N-th request is a write of 1536 bytes in one segment, the others are of whole "
    "pages\n"
    "  --hold                  stay connected until the back end closes\n"
    "  --pauses MS             a line on standard error whenever requests waited so long without any answer\n"
    "  --progress              a line a second on standard error\n"
    "  --json                  the result as JSON\n";

enum {
    OPTION_SIZE = OPTION_OWN,
    OPTION_TIME,
    OPTION_REQUESTS,
    OPTION_READ,
    OPTION_FLUSH,
    OPTION_DISCARD,
    OPTION_BARRIER,
    OPTION_DISCARD_MAX,
    OPTION_DISCARD_SECURE,
    OPTION_FROM,
    OPTION_SPAN,
    OPTION_GROWS,
    OPTION_SEED,
    OPTION_STATE,
    OPTION_BLANK,
    OPTION_VERIFY_ALL,
    OPTION_RECONNECT,
    OPTION_ALLOW_ERRORS,
    OPTION_POISON,
    OPTION_HOLD,
    OPTION_PAUSES,
    OPTION_PROGRESS,
    OPTION_JSON,
};

static const struct option long_options[] = {
    OPTIONS_FRONT,
    {"size", required_argument, NULL, OPTION_SIZE},
    {"time", required_argument, NULL, OPTION_TIME},
    {"requests", required_argument, NULL, OPTION_REQUESTS},
    {"read", required_argument, NULL, OPTION_READ},
    {"flush", required_argument, NULL, OPTION_FLUSH},
    {"discard", required_argument, NULL, OPTION_DISCARD},
    {"barrier", required_argument, NULL, OPTION_BARRIER},
    {"discard-max", required_argument, NULL, OPTION_DISCARD_MAX},
    {"discard-secure", no_argument, NULL, OPTION_DISCARD_SECURE},
    {"from", required_argument, NULL, OPTION_FROM},
    {"span", required_argument, NULL, OPTION_SPAN},
    {"grows", no_argument, NULL, OPTION_GROWS},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"state", required_argument, NULL, OPTION_STATE},
    {"blank", no_argument, NULL, OPTION_BLANK},
    {"verify-all", no_argument, NULL, OPTION_VERIFY_ALL},
    {"reconnect", required_argument, NULL, OPTION_RECONNECT},
    {"allow-errors", no_argument, NULL, OPTION_ALLOW_ERRORS},
    {"poison", required_argument, NULL, OPTION_POISON},
    {"hold", no_argument, NULL, OPTION_HOLD},
    {"pauses", required_argument, NULL, OPTION_PAUSES},
    {"progress", no_argument, NULL, OPTION_PROGRESS},
    {"json", no_argument, NULL, OPTION_JSON},
    {0},
};

struct blk_device {
    uint32_t devid;
    struct blkfront front;
    struct workload workload;
    bool opened; /* the workload */
};

struct blk {
    struct options_front front;
    struct workload_config workload;
    uint64_t time; /* nanoseconds, 0: no limit */
    uint64_t requests;
    uint64_t pause; /* nanoseconds, 0: not told */
    unsigned reconnects;
    bool verify_all, hold, progress, json;

    struct guest guest;
    struct blk_device devices[BLK_DEVICES_MAX];
    unsigned count;
    uint64_t started;
    uint64_t told;       /* when progress was last told */
    uint64_t told_count; /* and the requests answered by then */
    bool stuck;
};

static void take_option(struct blk *blk, int key, const char *value)
{
    struct workload_config *workload = &blk->workload;

    switch (key) {
    case OPTION_SIZE:
        options_size_range("--size", value, &workload->min, &workload->max);
        break;
    case OPTION_TIME:
        blk->time = options_number("--time", value, 0, 31536000) * SECOND;
        break;
    case OPTION_REQUESTS:
        blk->requests = options_number("--requests", value, 0, UINT64_MAX);
        blk->time = 0;
        break;
    case OPTION_READ:
        workload->read_percent = (unsigned)options_number("--read", value, 0, 100);
        break;
    case OPTION_FLUSH:
        workload->flush_percent = (unsigned)options_number("--flush", value, 0, 100);
        break;
    case OPTION_DISCARD:
        workload->discard_percent = (unsigned)options_number("--discard", value, 0, 100);
        break;
    case OPTION_BARRIER:
        workload->barrier_percent = (unsigned)options_number("--barrier", value, 0, 100);
        break;
    case OPTION_DISCARD_MAX:
        workload->discard_max = options_size("--discard-max", value);
        break;
    case OPTION_DISCARD_SECURE:
        workload->discard_secure = true;
        break;
    case OPTION_FROM:
        workload->from = options_size("--from", value);
        break;
    case OPTION_SPAN:
        workload->span = options_size("--span", value);
        break;
    case OPTION_GROWS:
        workload->grows = true;
        break;
    case OPTION_SEED:
        workload->seed = options_number("--seed", value, 0, UINT64_MAX);
        break;
    case OPTION_STATE:
        workload->state = value;
        break;
    case OPTION_BLANK:
        workload->blank = true;
        break;
    case OPTION_VERIFY_ALL:
        blk->verify_all = true;
        break;
    case OPTION_RECONNECT:
        blk->reconnects = (unsigned)options_number("--reconnect", value, 0, 1000000);
        break;
    case OPTION_ALLOW_ERRORS:
        workload->allow_errors = true;
        break;
    case OPTION_POISON:
        workload->poison = options_number("--poison", value, 1, UINT64_MAX);
        break;
    case OPTION_HOLD:
        blk->hold = true;
        break;
    case OPTION_PAUSES:
        blk->pause = options_number("--pauses", value, 1, 1000000) * (SECOND / 1000);
        break;
    case OPTION_PROGRESS:
        blk->progress = true;
        break;
    case OPTION_JSON:
        blk->json = true;
        break;
    default:
        options_front_take(&blk->front, key, value, usage);
    }
}

static void parse(struct blk *blk, int argc, char **argv)
{
    int key;

    blk->front = (struct options_front)OPTIONS_FRONT_DEFAULT;
    blk->workload = (struct workload_config){.min = BLKIF_SECTOR_SIZE,
                                             .max = WORKLOAD_SIZE_DEFAULT,
                                             .read_percent = 50,
                                             .flush_percent = 2,
                                             .discard_max = UINT64_C(1) << 20,
                                             .seed = guest_now() ^ (uint64_t)getpid()};
    blk->time = 5 * SECOND;
    blk->requests = UINT64_MAX;
    while ((key = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        take_option(blk, key, optarg);
    if (optind == argc) {
        fputs(usage, stderr);
        exit(EXIT_USAGE);
    }
    options_front_check_size(&blk->front, "--size", blk->workload.max);
    if ((unsigned)(argc - optind) > BLK_DEVICES_MAX)
        options_die("more than %u devices", BLK_DEVICES_MAX);
    for (; optind < argc; optind++)
        blk->devices[blk->count++].devid = options_devid(argv[optind]);
}

/* ---- Running. ------------------------------------------------------------------------------------------------------- */

static uint64_t answered_so_far(const struct blk *blk, unsigned *ret_in_flight)
{
    uint64_t total = 0;

    *ret_in_flight = 0;
    for (unsigned i = 0; i < blk->count; i++) {
        const struct workload_counts *counts = &blk->devices[i].workload.counts;
        total += counts->reads + counts->writes + counts->flushes + counts->discards + counts->barriers;
        *ret_in_flight += blk->devices[i].front.in_flight;
    }
    return total;
}

static void tell_progress(struct blk *blk, uint64_t now)
{
    unsigned in_flight;
    uint64_t total = answered_so_far(blk, &in_flight);

    fprintf(stderr, "%6.1f s  %10" PRIu64 " requests verified  %8.0f a second  %3u in flight\n",
            (double)(now - blk->started) / 1e9, total,
            (double)(total - blk->told_count) * 1e9 / (double)(now - blk->told), in_flight);
    blk->told = now;
    blk->told_count = total;
}

/* What to look at from time to time: the clock, and requests nobody answers. */
static void look_around(struct blk *blk)
{
    uint64_t now = guest_now();

    if (blk->progress && now - blk->told >= SECOND)
        tell_progress(blk, now);
    for (unsigned i = 0; i < blk->count; i++) {
        struct blkfront *front = &blk->devices[i].front;
        if (!blk->stuck && blkfront_oldest(front) > blk->guest.limit * SECOND) {
            blkfront_say_stuck(front);
            blk->stuck = true;
        }
    }
}

static void run_once(struct blk *blk, uint64_t *looked)
{
    event_base_loop(blk->guest.base, EVLOOP_ONCE);
    if (guest_now() - *looked < SECOND / 10)
        return;
    look_around(blk);
    *looked = guest_now();
}

static bool all_idle(const struct blk *blk)
{
    for (unsigned i = 0; i < blk->count; i++) {
        if (!workload_idle(&blk->devices[i].workload))
            return false;
    }
    return true;
}

static bool all_good(const struct blk *blk)
{
    for (unsigned i = 0; i < blk->count; i++) {
        if (!blk->devices[i].opened || !workload_good(&blk->devices[i].workload))
            return false;
    }
    return !blk->stuck;
}

/* Runs what was started until it is over: by itself, or when `deadline` (0: none) passes or somebody wants it stopped. */
static void run_until(struct blk *blk, uint64_t deadline)
{
    uint64_t looked = 0;

    while (!all_idle(blk) && all_good(blk) && !blk->guest.stop && (deadline == 0 || guest_now() < deadline))
        run_once(blk, &looked);
}

/* Waits for the last answer, whatever happened. */
static void finish(struct blk *blk)
{
    uint64_t looked = 0;

    while (!all_idle(blk) && !blk->stuck)
        run_once(blk, &looked);
}

static int connect_all(struct blk *blk)
{
    for (unsigned i = 0; i < blk->count; i++) {
        struct blk_device *device = &blk->devices[i];
        int rc = blkfront_connect(&device->front, false);
        if (rc == 0 && !device->opened) {
            rc = workload_open(&device->workload, &device->front, &blk->workload);
            device->opened = rc == 0;
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Connects, and runs one life's share of the requests and the time. */
static int spend_share(struct blk *blk)
{
    int rc = connect_all(blk);
    if (rc < 0)
        return rc;
    for (unsigned i = 0; i < blk->count; i++)
        workload_run(&blk->devices[i].workload, blk->requests / (blk->reconnects + 1));
    run_until(blk, blk->time != 0 ? guest_now() + blk->time / (blk->reconnects + 1) : 0);
    return 0;
}

/* One life but the last: it ends with requests in flight. */
static int live_and_leave(struct blk *blk)
{
    int rc = spend_share(blk);
    if (rc < 0)
        return rc;
    if (!all_good(blk))
        return -EIO;

    for (unsigned i = 0; i < blk->count; i++) {
        struct blk_device *device = &blk->devices[i];
        rc = blkfront_disconnect(&device->front);
        if (rc < 0)
            return rc;
        workload_abandon(&device->workload);
        /* After the boot loader comes the kernel. */
        device->front.config.habit = BLKFRONT_LINUX;
    }
    return 0;
}

static int live(struct blk *blk)
{
    int rc = spend_share(blk);
    if (rc < 0)
        return rc;
    for (unsigned i = 0; i < blk->count; i++)
        workload_stop(&blk->devices[i].workload);
    finish(blk);

    for (unsigned i = 0; blk->verify_all && all_good(blk) && i < blk->count; i++)
        workload_verify(&blk->devices[i].workload);
    finish(blk);
    return all_good(blk) ? 0 : -EIO;
}

static bool all_lost(const void *arg)
{
    const struct blk *blk = arg;

    for (unsigned i = 0; i < blk->count; i++) {
        if (!blk->devices[i].front.device.lost)
            return blk->guest.stop;
    }
    return true;
}

static int run(struct blk *blk)
{
    int rc = 0;

    for (unsigned i = 0; i < blk->count; i++) {
        struct blk_device *device = &blk->devices[i];
        struct blkfront_config config = options_front_config(&blk->front, device->devid, blk->front.segments);
        config.pause = blk->pause;
        rc = blkfront_open(&device->front, &blk->guest, &config);
        if (rc < 0)
            return rc;
    }
    for (unsigned life = 0; rc == 0 && life < blk->reconnects && !blk->guest.stop; life++)
        rc = live_and_leave(blk);
    if (rc == 0)
        rc = live(blk);
    while (rc == 0 && blk->hold && !all_lost(blk))
        event_base_loop(blk->guest.base, EVLOOP_ONCE);
    return rc;
}

/* ---- Results. ------------------------------------------------------------------------------------------------------- */

static void print_text(const struct blk *blk, bool ok)
{
    for (unsigned i = 0; i < blk->count; i++) {
        const struct blk_device *device = &blk->devices[i];
        const struct workload_counts *counts = &device->workload.counts;
        printf("vbd %u: %" PRIu64 " reads, %" PRIu64 " writes, %" PRIu64 " flushes, %" PRIu64 " discards, %" PRIu64
               " barriers; %.1f MB written, %.1f MB read and verified; "
               "%" PRIu64 " errors, %" PRIu64 " mismatches; longest wait %" PRIu64 " ms\n",
               device->devid, counts->reads, counts->writes, counts->flushes, counts->discards, counts->barriers,
               (double)counts->bytes_written / 1e6, (double)counts->sectors_verified * BLKIF_SECTOR_SIZE / 1e6,
               counts->errors, counts->mismatches, device->front.longest / 1000000);
    }
    printf("%s (seed %" PRIu64 ")\n", ok ? "ok" : "FAILED", blk->workload.seed);
}

static void print_json(const struct blk *blk, bool ok)
{
    printf("{\"ok\": %s, \"seed\": %" PRIu64 ", \"devices\": [", ok ? "true" : "false", blk->workload.seed);
    for (unsigned i = 0; i < blk->count; i++) {
        const struct blk_device *device = &blk->devices[i];
        const struct workload_counts *counts = &device->workload.counts;
        printf("%s{\"devid\": %u, \"reads\": %" PRIu64 ", \"writes\": %" PRIu64 ", \"flushes\": %" PRIu64
               ", \"indirect\": %" PRIu64 ", \"barriers\": %" PRIu64 ", \"barriers_empty\": %" PRIu64
               ", \"discards\": %" PRIu64 ", \"bytes_read\": %" PRIu64 ", \"bytes_written\": %" PRIu64
               ", \"bytes_discarded\": %" PRIu64 ", \"sectors_verified\": %" PRIu64 ", \"errors\": %" PRIu64
               ", \"mismatches\": %" PRIu64 ", \"longest_wait_ms\": %" PRIu64
               ", \"ring_slots\": %u, \"queues\": %u, \"sectors\": %" PRIu64 ", \"resizes\": %u}",
               i == 0 ? "" : ", ", device->devid, counts->reads, counts->writes, counts->flushes, counts->indirect,
               counts->barriers, counts->barriers_empty, counts->discards, counts->bytes_read, counts->bytes_written,
               counts->bytes_discarded, counts->sectors_verified, counts->errors, counts->mismatches,
               device->front.longest / 1000000, device->front.queues[0].ring.layout.slots, device->front.queue_count,
               device->front.disk.sectors, device->front.resizes);
    }
    printf("]}\n");
}

static void close_all(struct blk *blk)
{
    for (unsigned i = 0; i < blk->count; i++) {
        struct blk_device *device = &blk->devices[i];
        if (device->front.device.up && !blk->stuck)
            blkfront_disconnect(&device->front);
        if (device->opened)
            workload_close(&device->workload);
        if (device->front.guest != NULL)
            blkfront_close(&device->front);
    }
}

int command_blk(int argc, char **argv)
{
    static struct blk blk;

    parse(&blk, argc, argv);
    if (guest_open(&blk.guest, blk.front.limit) < 0)
        return EXIT_FAILURE;
    blk.started = blk.told = guest_now();
    bool ok = run(&blk) == 0;
    if (blk.progress)
        tell_progress(&blk, guest_now());
    if (blk.json)
        print_json(&blk, ok);
    else
        print_text(&blk, ok);
    fflush(stdout);
    close_all(&blk);
    guest_close(&blk.guest);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

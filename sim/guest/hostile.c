/* SPDX-License-Identifier: MIT */
/*
 * simguest hostile: runs cases one after the other on one device. Its disk's content is lost.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xendev/grant.h>

#include "commands.h"
#include "hostile.h"
#include "options.h"

static const char usage[] = "usage: simguest hostile [options] DEVID [CASE...]\n"
                            "       simguest hostile --list\n"
                            "Runs the cases, or all of them; the disk's content is lost.\n" OPTIONS_FRONT_USAGE
                            "  --count N               repetitions in cases that repeat (20000)\n"
                            "  --seed N                of what is random (1)\n"
                            "  --list                  the cases\n";

enum {
    OPTION_COUNT = OPTION_OWN,
    OPTION_SEED,
    OPTION_LIST,
};

static const struct option long_options[] = {
    OPTIONS_FRONT,
    {"count", required_argument, NULL, OPTION_COUNT},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"list", no_argument, NULL, OPTION_LIST},
    {0},
};

static const struct hostile_case *const tables[] = {hostile_request_cases, hostile_indirect_cases, hostile_ring_cases,
                                                    hostile_race_cases, hostile_store_cases};

#define TABLES (sizeof tables / sizeof tables[0])

/* ---- What cases use. ------------------------------------------------------------------------------------------------ */

bool hostile_bystander_is_untouched(struct hostile *hostile)
{
    const uint8_t *bytes = blkfront_page(&hostile->front, HOSTILE_BYSTANDER, 0);
    size_t size = (size_t)hostile->config.pages * XENDEV_PAGE_SIZE;

    if (bytes[0] == HOSTILE_GUARD && memcmp(bytes, bytes + 1, size - 1) == 0)
        return true;
    hostile_see(hostile, "pages that no request named changed");
    return false;
}

void hostile_see(struct hostile *hostile, const char *format, ...)
{
    size_t used = strlen(hostile->seen);
    va_list ap;

    if (used > 0 && used + 3 < sizeof hostile->seen) {
        memcpy(hostile->seen + used, "; ", 3);
        used += 2;
    }
    va_start(ap, format);
    vsnprintf(hostile->seen + used, sizeof hostile->seen - used, format, ap);
    va_end(ap);
}

static void answered(void *arg, unsigned tag, int16_t status)
{
    struct hostile *hostile = arg;

    hostile->status[tag] = status;
    hostile->answers++;
    hostile->refusals += status != BLKIF_STATUS_OKAY;
    if (hostile->again != NULL)
        hostile->again(hostile, tag);
}

static void drained(void *arg)
{
    struct hostile *hostile = arg;

    blkfront_kick(&hostile->front);
}

struct blkif_message hostile_message(struct hostile *hostile, uint8_t code, unsigned tag, uint64_t sector)
{
    struct blkif_message message = {
        .code = code, .segment_count = 1, .sector = sector, .handle = (uint16_t)hostile->config.devid};

    message.segments[0] = (struct blkif_segment){blkfront_ref(&hostile->front, tag, 0), 0, BLKIF_SECTORS_PER_PAGE - 1};
    return message;
}

static bool is_drained(const void *arg)
{
    const struct blkfront *front = arg;
    return front->in_flight == 0 || front->device.lost || front->complaint[0] != '\0';
}

int hostile_drain(struct hostile *hostile)
{
    struct blkfront *front = &hostile->front;
    int rc = guest_wait(&hostile->guest, is_drained, front);

    if (rc < 0) {
        hostile_see(hostile, "%u requests not answered in %u s", front->in_flight, hostile->guest.limit);
        return rc;
    }
    if (front->complaint[0] != '\0') {
        hostile_see(hostile, "the back end %s", front->complaint);
        return -ECONNRESET;
    }
    if (front->device.lost) {
        hostile_see(hostile, "the back end went %s", xenbus_state_name(front->device.backend));
        return -ECONNRESET;
    }
    return 0;
}

int hostile_ask(struct hostile *hostile, unsigned tag, struct blkif_message *message, int16_t *ret_status)
{
    blkfront_send(&hostile->front, tag, message);
    blkfront_kick(&hostile->front);
    int rc = hostile_drain(hostile);
    if (rc < 0)
        return rc;
    *ret_status = hostile->status[tag];
    return 0;
}

bool hostile_is_served(struct hostile *hostile)
{
    struct blkif_message message = hostile_message(hostile, BLKIF_CODE_READ, 0, 0);
    int16_t status;

    if (hostile_ask(hostile, 0, &message, &status) < 0)
        return false;
    hostile_see(hostile, "a normal read %s", status == BLKIF_STATUS_OKAY ? "succeeds" : "FAILS");
    return status == BLKIF_STATUS_OKAY;
}

bool hostile_is_answered(struct hostile *hostile, unsigned tag, struct blkif_message *message, int expected)
{
    int16_t status;

    if (hostile_ask(hostile, tag, message, &status) < 0)
        return false;
    bool right = expected == HOSTILE_ANY_ERROR ? status < 0 : status == expected;
    hostile_see(hostile, right ? "status %d" : "status %d, not the right one", status);
    return hostile_is_served(hostile) && right;
}

bool hostile_is_closed(struct hostile *hostile)
{
    struct blkfront *front = &hostile->front;

    if (device_await(&front->device, 1u << XENBUS_CLOSING | 1u << XENBUS_CLOSED) < 0) {
        hostile_see(hostile, "the back end stays %s", xenbus_state_name(front->device.backend));
        hostile_restart(hostile);
        return false;
    }
    char *reason = device_reason(&front->device);
    hostile_see(hostile, "%s: \"%s\"", xenbus_state_name(front->device.backend), reason);
    bool explained = *reason != '\0';
    free(reason);
    return hostile_restart(hostile) == 0 && hostile_is_served(hostile) && explained;
}

static int hostile_connect(struct hostile *hostile)
{
    hostile->front.config = hostile->config;
    return blkfront_connect(&hostile->front, false);
}

int hostile_restart(struct hostile *hostile)
{
    int rc;

    /* What is under way on account of earlier keys may end only now, and then close what was just opened: once more. */
    for (unsigned tries = 0; tries < 3; tries++) {
        rc = blkfront_disconnect(&hostile->front);
        if (rc == 0)
            rc = hostile_connect(hostile);
        if (rc != -ECONNREFUSED)
            break;
    }
    if (rc < 0)
        hostile_see(hostile, "no new life: %s", strerror(-rc));
    return rc;
}

/* ---- The command. --------------------------------------------------------------------------------------------------- */

static void list(void)
{
    for (unsigned t = 0; t < TABLES; t++) {
        for (const struct hostile_case *entry = tables[t]; entry->name != NULL; entry++)
            printf("%-24s  %s\n", entry->name, entry->purpose);
    }
}

static bool is_chosen(const struct hostile_case *entry, char **names, int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], entry->name) == 0)
            return true;
    }
    return count == 0;
}

static void check_names(char **names, int count)
{
    for (int i = 0; i < count; i++) {
        bool known = false;
        for (unsigned t = 0; t < TABLES; t++) {
            for (const struct hostile_case *entry = tables[t]; entry->name != NULL; entry++)
                known = known || strcmp(names[i], entry->name) == 0;
        }
        if (!known)
            options_die("no case '%s'; --list shows them", names[i]);
    }
}

static enum hostile_result run_case(struct hostile *hostile, const struct hostile_case *entry)
{
    struct blkfront *front = &hostile->front;

    hostile->seen[0] = '\0';
    hostile->again = NULL;
    hostile->answers = hostile->refusals = 0;
    if ((!front->device.up || front->device.lost || front->complaint[0] != '\0' || front->in_flight > 0) &&
        hostile_restart(hostile) < 0)
        return HOSTILE_FAILED;
    return entry->run(hostile, entry->param);
}

static bool run_cases(struct hostile *hostile, char **names, int count)
{
    static const char *const words[] = {[HOSTILE_OK] = "ok", [HOSTILE_FAILED] = "FAIL", [HOSTILE_SKIPPED] = "skip"};
    unsigned totals[3] = {0};

    for (unsigned t = 0; t < TABLES; t++) {
        for (const struct hostile_case *entry = tables[t]; entry->name != NULL && !hostile->guest.stop; entry++) {
            if (!is_chosen(entry, names, count))
                continue;
            enum hostile_result result = run_case(hostile, entry);
            totals[result]++;
            printf("%-4s  %-24s  %s\n", words[result], entry->name, hostile->seen);
            fflush(stdout);
        }
    }
    printf("%u ok, %u failed, %u skipped\n", totals[HOSTILE_OK], totals[HOSTILE_FAILED], totals[HOSTILE_SKIPPED]);
    return totals[HOSTILE_FAILED] == 0 && totals[HOSTILE_OK] > 0;
}

static bool run(struct hostile *hostile, char **names, int count)
{
    struct blkfront *front = &hostile->front;

    if (blkfront_open(front, &hostile->guest, &hostile->config) < 0)
        return false;
    front->answered = answered;
    front->drained = drained;
    front->arg = hostile;
    bool ok = blkfront_connect(front, false) == 0 && run_cases(hostile, names, count);
    if (front->device.up)
        blkfront_disconnect(front);
    blkfront_close(front);
    return ok;
}

int command_hostile(int argc, char **argv)
{
    static struct hostile hostile;
    struct options_front options = OPTIONS_FRONT_DEFAULT;
    int key;

    hostile.count = 20000;
    hostile.random.state = 1;
    while ((key = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (key == OPTION_COUNT) {
            hostile.count = options_number("--count", optarg, 1, UINT32_MAX);
        } else if (key == OPTION_SEED) {
            hostile.random.state = options_number("--seed", optarg, 0, UINT64_MAX);
        } else if (key == OPTION_LIST) {
            list();
            return EXIT_SUCCESS;
        } else {
            options_front_take(&options, key, optarg, usage);
        }
    }
    if (optind == argc) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    options.depth = HOSTILE_TAGS;
    options.segments = BLKIF_INDIRECT_SEGMENTS;
    hostile.config = options_front_config(&options, options_devid(argv[optind]), BLKIF_DIRECT_SEGMENTS);
    check_names(argv + optind + 1, argc - optind - 1);

    if (guest_open(&hostile.guest, options.limit) < 0)
        return EXIT_FAILURE;
    bool ok = run(&hostile, argv + optind + 1, argc - optind - 1);
    guest_close(&hostile.guest);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* SPDX-License-Identifier: MIT */
/*
 * Round trips a second between two processes: one request and its response over a shared ring and an event channel, and one byte's worth of news over
 * bare eventfds. The second is what a blocking round trip costs on this machine at least; the difference is ours and the simulator's.
 *
 * usage: pingpong DOMID SECONDS    as domain 0 of a simulated host; the child process is the guest DOMID
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include <ring/back.h>
#include <ring/blkif.h>
#include <ring/front.h>
#include <xendev/event_channel.h>
#include <xendev/grant.h>

#define ROUNDS 5

/* What the guest tells its back end. */
struct introduction {
    uint32_t ref;
    uint32_t port;
};

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void check(int result, const char *what)
{
    if (result >= 0)
        return;
    fprintf(stderr, "pingpong: %s: %s\n", what, strerror(-result));
    _exit(EXIT_FAILURE);
}

/* ---- The ring. ------------------------------------------------------------------------------------------------------ */

struct front {
    struct event_base *base;
    struct ring_front ring;
    struct xendev_channel *channel;
    double deadline;
    uint64_t trips;
};

static void front_send(struct front *front)
{
    static const uint8_t request[RING_REQUEST_MAX];

    ring_front_request(&front->ring, request);
    if (ring_front_publish(&front->ring))
        xendev_channel_notify(front->channel);
}

static void front_fired(void *arg)
{
    struct front *front = arg;
    uint8_t response[RING_RESPONSE_MAX];

    do {
        while (ring_front_consume(&front->ring, response) > 0) {
            front->trips++;
            if (front->trips % 256 == 0 && seconds_now() >= front->deadline)
                event_base_loopbreak(front->base);
            front_send(front);
        }
    } while (ring_front_rearm(&front->ring));
    xendev_channel_unmask(front->channel);
}

/* The guest's process: makes ring and channel, plays, and writes the rate to `out`. */
static void run_front(const char *domid, double duration, int out)
{
    const struct ring_layout layout = blkif_layout(blkif_abi_native(), 0);
    struct front front = {.base = event_base_new()};
    struct introduction introduction;
    struct xendev_events *events;
    struct xendev_share *share;
    void *pages;

    setenv("SIMXEN_DOMID", domid, 1);
    check(front.base == NULL ? -ENOMEM : 0, "an event loop");
    check(xendev_events_open(front.base, &events), "event channels");
    check(xendev_share_open(&share), "shared pages");
    check(xendev_share_pages(share, 0, 1, &introduction.ref, &pages), "a page for the ring");
    check(ring_front_init(&front.ring, pages, RING_PAGE_SIZE, &layout, 0), "the ring");
    check(xendev_channel_offer(events, 0, front_fired, &front, &front.channel, &introduction.port), "a channel");
    check(write(out, &introduction, sizeof introduction) == sizeof introduction ? 0 : -EIO, "the introduction");

    front_send(&front);
    double start = seconds_now();
    front.deadline = start + duration;
    event_base_dispatch(front.base);
    double rate = (double)front.trips / (seconds_now() - start);
    check(write(out, &rate, sizeof rate) == sizeof rate ? 0 : -EIO, "the result");
}

struct back {
    struct event_base *base;
    struct ring_back ring;
    struct xendev_channel *channel;
};

static void back_fired(void *arg)
{
    static const uint8_t response[RING_RESPONSE_MAX];
    struct back *back = arg;
    struct ring_request request;

    do {
        while (ring_back_consume(&back->ring, &request) > 0)
            ring_back_respond(&back->ring, request.index, response);
        if (ring_back_publish(&back->ring))
            xendev_channel_notify(back->channel);
    } while (ring_back_rearm(&back->ring));
    xendev_channel_unmask(back->channel);
}

static void on_result(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    event_base_loopbreak(arg);
}

static double ring_rate(const char *domid, double duration)
{
    const struct ring_layout layout = blkif_layout(blkif_abi_native(), 0);
    uint32_t guest = (uint32_t)strtoul(domid, NULL, 10);
    struct introduction introduction;
    static struct back back;
    struct xendev_events *events;
    struct xendev_grants *grants;
    size_t journal_size = ring_journal_size(&layout);
    double rate = 0;
    void *page;
    int in[2];

    check(pipe(in) < 0 ? -errno : 0, "a pipe");
    pid_t child = fork();
    check(child, "fork");
    if (child == 0) {
        run_front(domid, duration, in[1]);
        _exit(EXIT_SUCCESS);
    }
    close(in[1]);
    check(read(in[0], &introduction, sizeof introduction) == sizeof introduction ? 0 : -EIO, "the introduction");

    void *journal = aligned_alloc(RING_PAGE_SIZE, journal_size);
    back.base = event_base_new();
    check(journal == NULL || back.base == NULL ? -ENOMEM : 0, "memory");
    memset(journal, 0, journal_size);
    check(xendev_events_open(back.base, &events), "event channels");
    check(xendev_grants_open(&grants), "grants");
    check(xendev_grants_map(grants, guest, &introduction.ref, 1, &page), "the ring");
    check(ring_back_attach(&back.ring, page, RING_PAGE_SIZE, &layout, journal, journal_size, 1), "the ring");
    check(xendev_channel_bind(events, guest, introduction.port, back_fired, &back, &back.channel), "the channel");

    struct event *over = event_new(back.base, in[0], EV_READ, on_result, back.base);
    check(over == NULL || event_add(over, NULL) < 0 ? -ENOMEM : 0, "an event");
    event_base_dispatch(back.base);
    check(read(in[0], &rate, sizeof rate) == sizeof rate ? 0 : -EIO, "the result");

    event_free(over);
    xendev_events_close(events);
    xendev_grants_close(grants);
    event_base_free(back.base);
    free(journal);
    close(in[0]);
    waitpid(child, NULL, 0);
    return rate;
}

/* ---- Bare eventfds. ------------------------------------------------------------------------------------------------- */

static double eventfd_rate(double duration)
{
    uint64_t news, trips = 0;
    int there = eventfd(0, 0);
    int back = eventfd(0, 0);

    check(there < 0 || back < 0 ? -errno : 0, "eventfd");
    pid_t child = fork();
    check(child, "fork");
    if (child == 0) {
        /* News of more than one trip ends it. */
        while (read(there, &news, sizeof news) == sizeof news && news == 1) {
            if (write(back, &news, sizeof news) != sizeof news)
                break;
        }
        _exit(EXIT_SUCCESS);
    }

    double start = seconds_now();
    bool broken = false;
    while (!broken && (trips % 256 != 0 || seconds_now() < start + duration)) {
        news = 1;
        broken = write(there, &news, sizeof news) != sizeof news || read(back, &news, sizeof news) != sizeof news;
        trips++;
    }
    double rate = (double)trips / (seconds_now() - start);
    news = 2;
    check(broken || write(there, &news, sizeof news) != sizeof news ? -EIO : 0, "eventfd");
    waitpid(child, NULL, 0);
    close(there);
    close(back);
    return rate;
}

/* ---- Side by side. -------------------------------------------------------------------------------------------------- */

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double values[ROUNDS])
{
    qsort(values, ROUNDS, sizeof values[0], compare_doubles);
    return values[ROUNDS / 2];
}

int main(int argc, char **argv)
{
    double ring[ROUNDS], bare[ROUNDS];

    double duration = argc == 3 ? strtod(argv[2], NULL) : 0;
    if (duration <= 0) {
        fputs("usage: pingpong DOMID SECONDS\n", stderr);
        return 2;
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        ring[i] = ring_rate(argv[1], duration);
        bare[i] = eventfd_rate(duration);
    }
    double ring_median = median(ring), bare_median = median(bare);
    printf("| round trips a second, depth 1 | median of %d |\n|---|---:|\n", ROUNDS);
    printf("| ring and event channel | %.0f |\n| bare eventfd | %.0f |\n| ratio | %.2f |\n", ring_median, bare_median,
           ring_median / bare_median);
    return 0;
}

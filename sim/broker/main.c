/* SPDX-License-Identifier: MIT */
/*
 * simxend DIR: start, the loop, timers.  Ends on SIGTERM or SIGINT.
 */
#include "broker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct broker broker;

/* A delayed event, in broker-wide order of time. */
struct timer {
    STAILQ_ENTRY(timer) entry;
    int64_t due; /* milliseconds */
    uint32_t slot, generation, port;
};
static STAILQ_HEAD(timer_list, timer) timers = STAILQ_HEAD_INITIALIZER(timers);
static bool stopping;

/* What epoll has reported and the loop has not handled yet. */
static struct epoll_event batch[64];
static int batch_size;

int broker_watch(struct source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    if (!epoll_ctl(broker.epoll, EPOLL_CTL_MOD, source->fd, &event))
        return 0;
    return epoll_ctl(broker.epoll, EPOLL_CTL_ADD, source->fd, &event) ? errno : 0;
}

void broker_unwatch(struct source *source)
{
    (void)epoll_ctl(broker.epoll, EPOLL_CTL_DEL, source->fd, NULL);
    for (int i = 0; i < batch_size; i++) {
        if (batch[i].data.ptr == source)
            batch[i].data.ptr = NULL; /* it may be freed before its turn comes */
    }
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int broker_notify_later(struct domain *domain, uint32_t port, uint32_t milliseconds)
{
    struct timer *timer = malloc(sizeof(*timer)), *at = NULL, *before = NULL;

    if (!timer)
        return ENOMEM;
    timer->due = now_ms() + milliseconds;
    timer->slot = domain->slot;
    timer->generation = atomic_load(&domain->shared->generation);
    timer->port = port;
    STAILQ_FOREACH (at, &timers, entry) {
        if (at->due > timer->due)
            break;
        before = at;
    }
    if (before)
        STAILQ_INSERT_AFTER(&timers, before, timer, entry);
    else
        STAILQ_INSERT_HEAD(&timers, timer, entry);
    return 0;
}

static void timers_run(void)
{
    struct timer *timer;

    while ((timer = STAILQ_FIRST(&timers)) && timer->due <= now_ms()) {
        struct domain *domain = &broker.domain[timer->slot];

        if (domain->shared && atomic_load(&domain->shared->generation) == timer->generation)
            port_notify(domain, timer->port);
        STAILQ_REMOVE_HEAD(&timers, entry);
        free(timer);
    }
}

static int loop_timeout(bool unsettled)
{
    const struct timer *timer = STAILQ_FIRST(&timers);
    int64_t wait;

    if (unsettled)
        return 1;
    if (!timer)
        return -1;
    wait = timer->due - now_ms();
    return wait < 0 ? 0 : wait > 1000 ? 1000 : (int)wait;
}

static void loop(void)
{
    while (!stopping) {
        batch_size = epoll_wait(broker.epoll, batch, 64, loop_timeout(grants_settle()));
        timers_run();
        for (int i = 0; i < batch_size; i++) {
            struct source *source = batch[i].data.ptr;

            if (source)
                source->ready(source, batch[i].events);
        }
        batch_size = 0;
        connections_free();
    }
}

static void signal_ready(struct source *source, uint32_t events)
{
    (void)source, (void)events;
    stopping = true;
}

static int file_write(const char *name, const void *data, size_t size)
{
    char path[4096];
    FILE *file;
    bool good;

    snprintf(path, sizeof(path), "%s/%s", broker.dir, name);
    file = fopen(path, "w");
    if (!file)
        return errno;
    good = fwrite(data, 1, size, file) == size;
    if (fclose(file) || !good)
        return EIO;
    return 0;
}

/* Domain 0, and what its kernel would offer xenstored under /proc/xen. */
static int dom0_create(void)
{
    static const uint8_t uuid[16], kva[SIM_PAGE];
    struct domain *domain;
    uint32_t port;
    char text[16];
    int error;

    error = domain_create(0, uuid, &domain, NULL);
    if (!error)
        error = port_bind_unbound(domain, NULL, 0, &port);
    if (error)
        return error;
    snprintf(text, sizeof(text), "%u", port);
    error = file_write("xsd_port", text, strlen(text));
    return error ? error : file_write("xsd_kva", kva, sizeof(kva));
}

static int listen_on(struct source *listener)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s/" SIM_SOCKET, broker.dir);

    if (length < 0 || (size_t)length >= sizeof(address.sun_path))
        return ENAMETOOLONG;
    listener->ready = connection_accept;
    listener->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0 || bind(listener->fd, (struct sockaddr *)&address, sizeof(address)) ||
        listen(listener->fd, 128))
        return errno;
    return broker_watch(listener, EPOLLIN);
}

static int start(struct source *listener, struct source *signals)
{
    struct rlimit files;
    sigset_t set;
    int error;

    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);

    broker.epoll = epoll_create1(EPOLL_CLOEXEC);
    broker.hangups = epoll_create1(EPOLL_CLOEXEC);
    broker.host_fd = memfd_create("simxen-host", MFD_CLOEXEC);
    if (broker.epoll < 0 || broker.hangups < 0 || broker.host_fd < 0 ||
        ftruncate(broker.host_fd, sizeof(struct sim_host)))
        return errno;
    broker.host = mmap(NULL, sizeof(struct sim_host), PROT_READ | PROT_WRITE, MAP_SHARED, broker.host_fd, 0);
    if (broker.host == MAP_FAILED)
        return errno;
    for (uint32_t i = 0; i < SIM_EVTCHN_HANDLES; i++)
        broker.evtchn[i] = (struct evtchn){.slot = i, .read_fd = -1, .write_fd = -1};

    error = dom0_create();
    if (error)
        return error;
    signals->ready = signal_ready;
    signals->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    error = broker_watch(signals, EPOLLIN);
    return error ? error : listen_on(listener);
}

int main(int argc, char **argv)
{
    struct source listener, signals;
    int error;

    if (argc != 2) {
        fprintf(stderr, "usage: simxend DIRECTORY\n");
        return 2;
    }
    broker.dir = argv[1];
    error = start(&listener, &signals);
    if (error) {
        fprintf(stderr, "simxend: %s: %s\n", broker.dir, strerror(error));
        return 1;
    }
    loop();
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * tapbridged from its start to its end; and what it can be configured with.
 */
#include "tapbridge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include <service/log.h>
#include <service/service.h>
#include <supervise/rundir.h>

#include "listener.h"
#include "privileges.h"
#include "report.h"
#include "served.h"

#define STATE_DIR "tapbridged"

/* ---- Configuration. ----------------------------------------------------------------------------------------------- */

static const char *check_ring_size(const char *text)
{
    static const char *const sizes[] = {"128K", "256K", "512K", "1M", "2M", "4M", "8M", "16M"};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        if (strcmp(text, sizes[i]) == 0)
            return NULL;
    return "none of 128K, 256K, 512K, 1M, 2M, 4M, 8M, 16M";
}

const struct config_key tapbridge_keys[] = {
    {.name = "ring-size",
     .type = CONFIG_SIZE,
     .live = true,
     .offset = offsetof(struct tapbridge_config, ring_size),
     .fallback = "1M",
     .min = FRAME_CAPACITY_MIN,
     .max = 16u << 20,
     .check = check_ring_size,
     .help = "memory of each of the two rings of a shared-memory port that is made from then on: 128K, 256K, ... 16M"},
};
const unsigned tapbridge_key_count = sizeof(tapbridge_keys) / sizeof(tapbridge_keys[0]);

static const struct config_key served_keys[] = {
    {.name = "taps",
     .type = CONFIG_STRING,
     .offset = offsetof(struct served_config, taps),
     .fallback = "none",
     .check = served_check_taps,
     .help = "taps that are ports of this bridge, with blanks between; made where missing"},
    {.name = "uplinks",
     .type = CONFIG_STRING,
     .offset = offsetof(struct served_config, uplinks),
     .fallback = "none",
     .check = served_check_taps,
     .help = "the same, of which no two exchange frames: ways to other networks, which would make a loop"},
    {.name = "isolated",
     .type = CONFIG_BOOL,
     .offset = offsetof(struct served_config, isolated),
     .fallback = "no",
     .help = "guests exchange frames with taps and uplinks only, not with each other"},
    {.name = "ageing",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct served_config, ageing),
     .fallback = "300",
     .min = 1,
     .max = 1000000,
     .help = "seconds until an address that sends nothing is forgotten"},
    {.name = "entries-max",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct served_config, entries_max),
     .fallback = "8192",
     .min = 16,
     .max = 65536,
     .help = "most addresses that are remembered"},
    {.name = "entries-per-port-max",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct served_config, entries_per_port_max),
     .fallback = "2048",
     .min = 1,
     .max = 65536,
     .help = "most of them behind one port"},
    {.name = "ports-max",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct served_config, ports_max),
     .fallback = "256",
     .min = 2,
     .max = 1024,
     .help = "most ports, taps included, that guests may join"},
};

const struct config_family tapbridge_family = {
    .kind = "bridge",
    .keys = served_keys,
    .key_count = sizeof(served_keys) / sizeof(served_keys[0]),
    .max = TAPBRIDGE_BRIDGES_MAX,
    .name_is_valid = port_name_is_valid,
};

/* ---- The life of the daemon. -------------------------------------------------------------------------------------- */

int64_t tapbridge_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    served_tick(arg);
}

static int open_dirs(struct tapbridge *tapbridge, const char *run_dir)
{
    tapbridge->run_dir = rundir_open(run_dir);
    if (tapbridge->run_dir < 0)
        return tapbridge->run_dir;
    tapbridge->state_dir = rundir_enter(tapbridge->run_dir, STATE_DIR);
    return tapbridge->state_dir < 0 ? tapbridge->state_dir : 0;
}

static int start_ticking(struct tapbridge *tapbridge)
{
    const struct timeval second = {.tv_sec = 1};

    tapbridge->tick = event_new(tapbridge->base, -1, EV_PERSIST, on_tick, tapbridge);
    return tapbridge->tick == NULL || event_add(tapbridge->tick, &second) < 0 ? -ENOMEM : 0;
}

/* Does one step after the other. Returns 0, or -errno with the step that failed. */
static int start(struct tapbridge *tapbridge, struct service *service, const char **ret_step)
{
    int err;

    *ret_step = "run directory";
    err = open_dirs(tapbridge, service_run_dir(service));
    if (err < 0)
        return err;
    *ret_step = "random key";
    if (getrandom(tapbridge->key, sizeof(tapbridge->key), 0) != sizeof(tapbridge->key))
        return -EIO;
    *ret_step = "event";
    err = start_ticking(tapbridge);
    if (err < 0)
        return err;
    *ret_step = "control socket";
    err = report_register(tapbridge, service_control(service));
    if (err < 0)
        return err;
    *ret_step = "privileges";
    err = privileges_drop();
    if (err < 0)
        return err;
    served_apply(tapbridge);
    *ret_step = "socket of ports";
    return listener_open(tapbridge, &tapbridge->listener);
}

int tapbridge_start(struct service *service, void *arg)
{
    struct tapbridge *tapbridge = arg;
    const char *step;

    tapbridge->base = service_base(service);
    tapbridge->run_dir = tapbridge->state_dir = -1;
    tapbridge->gathering = true;
    TAILQ_INIT(&tapbridge->bridges);
    int err = start(tapbridge, service, &step);
    if (err < 0) {
        log_error(NULL, "%s: %s", step, strerror(-err));
        tapbridge_stop(tapbridge);
    }
    return err;
}

void tapbridge_stop(void *arg)
{
    struct tapbridge *tapbridge = arg;

    listener_close(tapbridge->listener);
    tapbridge->listener = NULL;
    served_free_all(tapbridge);
    if (tapbridge->tick != NULL)
        event_free(tapbridge->tick);
    if (tapbridge->state_dir >= 0)
        close(tapbridge->state_dir);
    if (tapbridge->run_dir >= 0)
        close(tapbridge->run_dir);
}

void tapbridge_reloaded(void *arg)
{
    struct tapbridge *tapbridge = arg;

    if (served_apply(tapbridge))
        listener_hang_up(tapbridge->listener);
}

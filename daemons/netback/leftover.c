/* SPDX-License-Identifier: MIT */
/*
 * One file a tap, with the tap's name: "GUEST DEVID\n", where GUEST is the name of the guest's run directory.
 */
#include "leftover.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <backend/sweep.h>
#include <service/log.h>
#include <supervise/rundir.h>

#include "tap.h"

#define LEFTOVER_DIR "netback-taps"
#define CONTENT_SIZE 160

struct content {
    char text[CONTENT_SIZE]; /* with NULs to its end */
};

_Static_assert(CONTENT_SIZE >= RUNDIR_NAME_SIZE + sizeof(" 4294967295\n"), "room for both");

int leftover_open(const char *run_dir)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", run_dir, LEFTOVER_DIR);
    return rundir_open(path);
}

static struct content content_of(const char *guest_name, uint32_t devid)
{
    struct content content = {0};

    snprintf(content.text, sizeof(content.text), "%s %" PRIu32 "\n", guest_name, devid);
    return content;
}

int leftover_note(int dir, const char *netdev, const char *guest_name, uint32_t devid)
{
    const struct content content = content_of(guest_name, devid);

    return rundir_write(dir, netdev, &content, sizeof(content));
}

bool leftover_is_noted(int dir, const char *netdev)
{
    struct content content;

    return rundir_read(dir, netdev, &content, sizeof(content)) == 0;
}

bool leftover_is_of(int dir, const char *netdev, const char *guest_name, uint32_t devid)
{
    const struct content wanted = content_of(guest_name, devid);
    struct content content;

    return rundir_read(dir, netdev, &content, sizeof(content)) == 0 &&
           strncmp(content.text, wanted.text, sizeof(content.text)) == 0;
}

int leftover_forget(int dir, const char *netdev)
{
    return rundir_remove(dir, netdev);
}

struct sweep {
    const struct backend *backend;
    bool held;
};

/* Whether the card that the note names is gone. */
static bool is_of_nobody(const struct backend *backend, int dir, const char *netdev)
{
    struct content content;
    uint32_t devid;
    char *space;
    int err = rundir_read(dir, netdev, &content, sizeof(content));

    content.text[sizeof(content.text) - 1] = '\0';
    space = err == 0 ? strchr(content.text, ' ') : NULL;
    if (space == NULL)
        return false; /* one that is being written */
    *space = '\0';
    space[1 + strcspn(space + 1, "\n")] = '\0';
    return rundir_device_parse(space + 1, &devid) == 0 && !sweep_device_is_alive(backend, content.text, devid);
}

static int sweep_tap(void *arg, int dir, const char *netdev)
{
    struct sweep *sweep = arg;
    const bool was_there = if_nametoindex(netdev) != 0; /* a tap may be noted by two names */
    int err;

    if (!is_of_nobody(sweep->backend, dir, netdev))
        return 0;
    err = tap_remove(netdev);
    if (err < 0) {
        log_error(NULL, "tap %s, whose card is gone, cannot be removed: %s", netdev, strerror(-err));
        return 0;
    }
    if (was_there)
        log_info(NULL, "tap %s removed: its card is gone", netdev);
    if (if_nametoindex(netdev) == 0)
        return leftover_forget(dir, netdev);
    sweep->held = true; /* by its card's worker, which is being ended; until it is gone it is to be known as ours */
    return 0;
}

int leftover_sweep(int dir, const struct backend *backend, bool *ret_held)
{
    struct sweep sweep = {.backend = backend};
    int err = rundir_each(dir, sweep_tap, &sweep);

    if (err == 0)
        *ret_held = sweep.held;
    return err;
}

static int forget_gone(void *arg, int dir, const char *netdev)
{
    const struct sweep *sweep = arg;

    return if_nametoindex(netdev) == 0 && is_of_nobody(sweep->backend, dir, netdev) ? leftover_forget(dir, netdev) : 0;
}

int leftover_forget_gone(int dir, const struct backend *backend)
{
    struct sweep sweep = {.backend = backend};

    return rundir_each(dir, forget_gone, &sweep);
}

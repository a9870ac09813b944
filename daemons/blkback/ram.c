/* SPDX-License-Identifier: MIT */
/*
 * A RAM disk is as old as its device: its file is made with a connection, continued by every worker and supervisor, and removed when xenstore says
 * that the device is gone, or was made anew.
 */
#include "ram.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <backend/guest.h>
#include <backend/sweep.h>
#include <service/log.h>
#include <supervise/rundir.h>

#include "blkback.h"
#include "vbd.h"

#define NAME_SIZE 160

static void name_file(const struct vbd *vbd, char ret_name[NAME_SIZE])
{
    static_assert(NAME_SIZE >= RUNDIR_NAME_SIZE + sizeof("-4294967295"), "room for both parts");

    snprintf(ret_name, NAME_SIZE, "%s-%" PRIu32, vbd->device.guest->name, vbd->device.devid);
}

void ram_path(const struct vbd *vbd, char ret_path[PATH_MAX])
{
    char name[NAME_SIZE];

    name_file(vbd, name);
    snprintf(ret_path, PATH_MAX, "%s/%s", vbd_daemon(vbd)->config.ram_dir, name);
}

void ram_remove(struct vbd *vbd)
{
    char name[NAME_SIZE];
    int err;

    name_file(vbd, name);
    err = rundir_remove(vbd_daemon(vbd)->ram_dir, name);
    if (err < 0)
        log_error(&vbd->device.log, "RAM disk %s cannot be removed: %s", name, strerror(-err));
}

static int sweep_file(void *arg, int dir, const char *name)
{
    const struct backend *backend = arg;
    char guest_name[RUNDIR_NAME_SIZE];
    const char *dash = strrchr(name, '-');
    uint32_t devid;

    if (dash == NULL || (size_t)(dash - name) >= sizeof(guest_name) || rundir_device_parse(dash + 1, &devid) < 0)
        return 0;
    memcpy(guest_name, name, (size_t)(dash - name));
    guest_name[dash - name] = '\0';
    if (!sweep_device_is_alive(backend, guest_name, devid))
        rundir_remove(dir, name);
    return 0;
}

int ram_sweep(struct backend *backend)
{
    return rundir_each(blkback_of(backend)->ram_dir, sweep_file, backend);
}

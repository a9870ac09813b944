/* SPDX-License-Identifier: MIT */
/* See look.h. That a server has to answer in time is libdisk's affair. */
#include "look.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include <event2/event.h>

#include <disk/disk.h>

#include "device.h"

struct look {
    LIST_ENTRY(look) entry; /* in looks */
    uint32_t devid;
    struct disk *disk;
    struct event *event;
    look_done done;
};

static LIST_HEAD(, look) looks = LIST_HEAD_INITIALIZER(looks);

static void look_free(struct look *look)
{
    LIST_REMOVE(look, entry);
    if (look->event)
        event_free(look->event);
    disk_close(look->disk);
    free(look);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct look *look = arg;
    const uint32_t devid = look->devid;
    const look_done done = look->done;
    struct disk_io *none;
    struct disk_info info = {.size = 0};
    struct disk_error error = {.text = ""};

    (void)fd;
    (void)what;
    disk_reap(look->disk, &none, 1);
    int ready = disk_ready(look->disk, &error);
    if (ready == 0)
        return;
    disk_get_info(look->disk, &info);
    look_free(look);
    done(devid, ready < 0 ? ready : 0, &info, &error);
}

/* Takes the connection over. Returns 0 or -errno with `ret_error` filled. */
static int look_open(const struct device_host *host, struct look *look, const struct blkback_check *check, int fd,
                     struct disk_error *ret_error)
{
    struct disk_export server = {.size = 0};
    struct disk_params params = {.kind = disk_kind_find(check->image.kind),
                                 .fd = fd,
                                 .server = &server,
                                 .fence_fd = host->fence_fd,
                                 .read_only = check->image.read_only != 0,
                                 .depth = 1};

    snprintf(server.name, sizeof server.name, "%.*s", (int)sizeof check->export_name - 1, check->export_name);
    int result = disk_open(&params, &look->disk, ret_error);
    if (result < 0)
        return result;
    look->event = event_new(host->base, disk_fd(look->disk), EV_READ | EV_PERSIST, on_readable, look);
    if (!look->event || event_add(look->event, NULL) != 0) {
        snprintf(ret_error->text, sizeof ret_error->text, "out of memory");
        return -ENOMEM;
    }
    return 0;
}

void look_begin(const struct device_host *host, uint32_t devid, const struct blkback_check *check, int fd,
                look_done done)
{
    struct disk_info none = {.size = 0};
    struct disk_error error = {.text = "out of memory"};

    look_drop(devid);
    struct look *look = calloc(1, sizeof *look);
    if (!look) {
        close(fd);
        done(devid, -ENOMEM, &none, &error);
        return;
    }
    look->devid = devid;
    look->done = done;
    LIST_INSERT_HEAD(&looks, look, entry);
    int result = look_open(host, look, check, fd, &error);
    if (result < 0) {
        look_free(look);
        done(devid, result, &none, &error);
        return;
    }
    event_active(look->event, EV_READ, 0); /* a fast server has answered by now */
}

void look_drop(uint32_t devid)
{
    struct look *look;

    LIST_FOREACH (look, &looks, entry)
        if (look->devid == devid) {
            look_free(look);
            return;
        }
}

/* SPDX-License-Identifier: MIT */
#include "drive.h"

#include <errno.h>
#include <stddef.h>

#include <event2/event.h>

#define REAPED_MAX 32u /* at a time */

static struct drive_user *user_of(struct disk_io *io)
{
    return ((struct drive_io *)((char *)io - offsetof(struct drive_io, io)))->user;
}

/* Fetches all that is done, for whomever it is; tells others than `own`. */
static void collect(struct drive *drive, const struct drive_user *own)
{
    struct disk_io *ios[REAPED_MAX];
    unsigned count;

    do {
        count = disk_reap(drive->disk, ios, REAPED_MAX);
        for (unsigned i = 0; i < count; i++) {
            struct drive_user *user = user_of(ios[i]);
            if (own && user != own && user->drive && TAILQ_EMPTY(&user->done))
                user->wake(user->arg);
            TAILQ_INSERT_TAIL(&user->done, ios[i], entry);
        }
    } while (count == REAPED_MAX);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct drive *drive = arg;
    struct drive_user *user;

    (void)fd;
    (void)what;
    collect(drive, NULL);
    LIST_FOREACH (user, &drive->users, entry) {
        if (!TAILQ_EMPTY(&user->done))
            user->ready(user->arg);
    }
    if (drive->looked)
        drive->looked(drive->arg);
}

int drive_init(struct drive *drive, struct event_base *base, struct disk *disk)
{
    const int fd = disk_fd(disk);

    *drive = (struct drive){.disk = disk};
    LIST_INIT(&drive->users);
    if (fd < 0)
        return 0;
    drive->event = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, drive);
    return !drive->event || event_add(drive->event, NULL) != 0 ? -ENOMEM : 0;
}

void drive_stop(struct drive *drive)
{
    if (drive->event)
        event_free(drive->event);
    drive->event = NULL;
}

void drive_join(struct drive *drive, struct drive_user *user)
{
    TAILQ_INIT(&user->done);
    user->drive = drive;
    LIST_INSERT_HEAD(&drive->users, user, entry);
}

void drive_leave(struct drive_user *user)
{
    if (!user->drive)
        return;
    LIST_REMOVE(user, entry);
    user->drive = NULL;
}

void drive_submit(struct drive_user *user, struct disk_io *const *ios, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        ((struct drive_io *)((char *)ios[i] - offsetof(struct drive_io, io)))->user = user;
    disk_submit(user->drive->disk, ios, count);
}

unsigned drive_reap(struct drive_user *user, struct disk_io **ret_ios, unsigned max)
{
    struct disk_io *io;
    unsigned count = 0;

    collect(user->drive, user);
    while (count < max && (io = TAILQ_FIRST(&user->done))) {
        TAILQ_REMOVE(&user->done, io, entry);
        ret_ios[count++] = io;
    }
    return count;
}

/* SPDX-License-Identifier: MIT */
/*
 * A disk that several queues use: each gets back what it gave, whoever's turn it was when the disk was done with it.
 */
#ifndef BLKBACK_WORKER_DRIVE_H
#define BLKBACK_WORKER_DRIVE_H

#include <sys/queue.h>

#include <disk/disk.h>

struct event_base;
struct drive_user;

/* A request, as it is given; `io` is its caller's to fill in. */
struct drive_io {
    struct disk_io io;
    struct drive_user *user;
};

struct drive {
    struct disk *disk;
    struct event *event; /* the disk's descriptor, when it has one */
    LIST_HEAD(, drive_user) users;
    void (*looked)(void *arg); /* the disk was looked at from the loop: it may want a connection; NULL: it cannot */
    void *arg;
};

/* Somebody who uses it; embedded, the first three fields its owner's to fill in. */
struct drive_user {
    void (*ready)(void *arg); /* some of its requests are done: told from the loop, or by `wake`... */
    void (*wake)(void *arg);  /* ...from within another's turn, which is not to be re-entered */
    void *arg;
    struct drive *drive; /* NULL: it has not joined */
    LIST_ENTRY(drive_user) entry;
    TAILQ_HEAD(, disk_io) done;
};

/* The disk stays the caller's, and is to be closed after drive_stop() and before what its requests use goes away. Returns 0 or -ENOMEM. */
int drive_init(struct drive *drive, struct event_base *base, struct disk *disk);
/* Tells nobody anything any more. May be repeated, and of one that is all zeroes. */
void drive_stop(struct drive *drive);

void drive_join(struct drive *drive, struct drive_user *user);
/* Nothing of its is told or handed out any more. May be repeated. */
void drive_leave(struct drive_user *user);

/* As disk_submit(). `ios`: each within a struct drive_io. */
void drive_submit(struct drive_user *user, struct disk_io *const *ios, unsigned count);
/* As disk_reap(), of the user's own. */
unsigned drive_reap(struct drive_user *user, struct disk_io **ret_ios, unsigned max);

#endif

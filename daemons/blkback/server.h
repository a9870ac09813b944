/* SPDX-License-Identifier: MIT */
/*
 * The server of a disk (nbd): connections to it for the worker, and the end of each before the next.
 */
#ifndef BLKBACK_SERVER_H
#define BLKBACK_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include <disk/disk.h>

struct blkback_message;
struct errand;
struct event;
struct vbd;

struct server {
    bool claimed; /* the export is this disk's to use */
    bool wanted;  /* the worker has no connection and waits for one */
    int fd;       /* the last one a worker was given, still open here; -1: none */
    struct errand *dialing;
    struct event *timer; /* of the next try */
    int delay_ms;
    int64_t dialed_ms;                                  /* when it was given */
    uint64_t connections;                               /* given by this supervisor */
    char error[sizeof(((struct disk_error *)0)->text)]; /* why there is none, or was none before; "": not known */
};

/* Whether the disk has one. */
bool server_has(const struct vbd *vbd);
/* What the worker is to know of its disk; all 0 without a server. */
struct disk_export server_describe(const struct vbd *vbd);
/* A socket that stands for the image where there is none yet. Returns a descriptor or -errno. */
int server_placeholder(void);

/* Whether the guest's worker was started to serve such disks, if this is one: else it is to be replaced, for this reason, by one that will be. */
bool server_suits_worker(const struct vbd *vbd);
#define SERVER_WORKER_REPLACED "ended for a successor that has libnbd"

/* For vbd.c. */
int server_init(struct vbd *vbd);
void server_fini(struct vbd *vbd);
/* Records what was found of the disk. Returns 0 or -errno. */
int server_record(struct vbd *vbd);
/* The worker is gone, or has let go: what it had sent is waited for before there is another connection. */
void server_worker_gone(struct vbd *vbd);
void server_let_go(struct vbd *vbd);
/* A worker of an earlier supervisor has this connection, or none. */
bool server_can_hold(int fd);
void server_claim(struct vbd *vbd, int fd);
/* BLKBACK_DIAL. Returns 0 or -EPROTO. */
int server_dial(struct vbd *vbd, const struct blkback_message *message);

/* For lock.c, in place of the lock on an image: 0, or -EWOULDBLOCK when another disk of ours uses the export, or has not ended to. */
int server_lock(struct vbd *vbd);

/* {"connected", "connections", "error"}, or null. */
json_t *server_report(const struct vbd *vbd);

#endif

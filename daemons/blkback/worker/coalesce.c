/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. One request at a time: DISK_PULL of a piece, then the next, and after the last DISK_SETTLE (disk/vhd.h). Requests of the guest go
 * between; only those to the block that is being copied wait for it. What is copied is paid for afterwards, so the limit holds on the average, and what
 * is there already, or nowhere, costs nothing.
 *
 * While a request of the guest's is suspected of crashes nothing is copied: it is to be alone. A process that ends in between leaves an image that reads
 * as before; the next one begins at the start, where what is done is only looked at.
 */
#include "coalesce.h"

#include <errno.h>

#include <event2/event.h>

#include <backend/clock.h>

#define PIECE (2u << 20)

static const struct timeval at_once = {0};
static const struct timeval later = {.tv_usec = 100000};

static void end(struct coalesce *coalesce, int result)
{
    coalesce->running = false;
    coalesce->result = result;
    coalesce->unsaid = !coalesce->ended(coalesce->arg, result);
    if (coalesce->unsaid)
        event_add(coalesce->event, &later);
}

static void submit(struct coalesce *coalesce, const struct disk_info *info)
{
    struct disk_io *io = &coalesce->io.io;

    coalesce->settling = coalesce->at >= info->size;
    if (coalesce->settling)
        *io = (struct disk_io){.op = DISK_SETTLE};
    else
        *io = (struct disk_io){.op = DISK_PULL,
                               .offset = coalesce->at,
                               .length = info->size - coalesce->at < PIECE ? info->size - coalesce->at : PIECE};
    coalesce->busy = true;
    drive_submit(&coalesce->user, &io, 1);
    event_add(coalesce->event, &at_once); /* a disk without a descriptor has done it by now */
}

static void step(struct coalesce *coalesce)
{
    struct disk_info info;
    uint64_t wait_ns;

    disk_get_info(coalesce->drive->disk, &info);
    if (info.parents == 0) {
        end(coalesce, 0);
        return;
    }
    wait_ns = bucket_wait(&coalesce->bucket, 1, clock_now_ns());
    if (coalesce->caution->suspicious > 0)
        event_add(coalesce->event, &later);
    else if (wait_ns > 0)
        event_add(coalesce->event, &(struct timeval){.tv_sec = (time_t)(wait_ns / 1000000000),
                                                     .tv_usec = (suseconds_t)(wait_ns % 1000000000 / 1000 + 1)});
    else
        submit(coalesce, &info);
}

static void take_result(struct coalesce *coalesce, const struct disk_io *io)
{
    coalesce->busy = false;
    bucket_take(&coalesce->bucket, (uint32_t)io->copied);
    if (io->result == 0 && !coalesce->settling) {
        coalesce->at = io->offset + io->length;
        *coalesce->progress = coalesce->at;
    }
    if (io->result == 0 && coalesce->settling)
        end(coalesce, 0);
    else if (!coalesce->running)
        end(coalesce, -ECANCELED);
    else if (io->result < 0)
        end(coalesce, io->result);
    else
        event_add(coalesce->event, &at_once);
}

static void reap(void *arg)
{
    struct coalesce *coalesce = arg;
    struct disk_io *io;

    if (drive_reap(&coalesce->user, &io, 1) > 0)
        take_result(coalesce, io);
}

static void reap_soon(void *arg)
{
    event_add(((struct coalesce *)arg)->event, &at_once);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct coalesce *coalesce = arg;

    (void)fd;
    (void)what;
    if (coalesce->busy)
        reap(coalesce);
    else if (coalesce->running)
        step(coalesce);
    else if (coalesce->unsaid)
        end(coalesce, coalesce->result);
}

int coalesce_init(struct coalesce *coalesce, struct event_base *base)
{
    coalesce->user = (struct drive_user){.ready = reap, .wake = reap_soon, .arg = coalesce};
    coalesce->event = evtimer_new(base, on_event, coalesce);
    if (!coalesce->event)
        return -ENOMEM;
    drive_join(coalesce->drive, &coalesce->user);
    return 0;
}

void coalesce_fini(struct coalesce *coalesce)
{
    drive_leave(&coalesce->user);
    if (coalesce->event)
        event_free(coalesce->event);
    coalesce->event = NULL;
}

void coalesce_start(struct coalesce *coalesce, uint64_t limit)
{
    if (!coalesce->running && !coalesce->busy) {
        coalesce->at = *coalesce->progress = 0;
        coalesce->bucket = (struct bucket){0}; /* no debt of an earlier time */
    }
    bucket_set_rate(&coalesce->bucket, limit, 0, clock_now_ns());
    coalesce->unsaid = false;
    coalesce->running = true;
    if (!coalesce->busy)
        event_add(coalesce->event, &at_once); /* it may have waited for another limit */
}

void coalesce_cancel(struct coalesce *coalesce)
{
    struct disk_info info;

    disk_get_info(coalesce->drive->disk, &info);
    coalesce->running = false;
    if (!coalesce->busy)
        end(coalesce, info.parents == 0 ? 0 : -ECANCELED); /* else when that is back */
}

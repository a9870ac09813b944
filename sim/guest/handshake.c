/* SPDX-License-Identifier: MIT */
/*
 * How a front end connects, and lets go, in the habits of its peers. Sources: Linux 6.1 xen-blkfront and xenbus_probe_frontend, Mini-OS blkfront,
 * GRUB xendisk.
 *
 *              Linux                          Mini-OS                        GRUB
 *   start      reset, wait for InitWait       -                              -
 *   publish    one transaction,               one transaction                single writes,
 *              then Initialised               with Connected in it           then Initialised
 *   wait       for Connected                  for Connected                  for anything but InitWait
 *   then       reads the disk, Connected      reads the disk                 reads the disk
 *   end        Closing, Closed                Closing, Closed, Initialising  Closed, Initialising
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xendev/event_channel.h>
#include <xendev/grant.h>

#include "blkfront.h"

#define IN(state) (1u << (state))

/* Bits of the back end's `info`; source: xen/io/blkif.h. */
#define INFO_READ_ONLY 4u

struct await {
    const struct blkfront *front;
    unsigned states;
};

static bool await_done(const void *arg)
{
    const struct await *await = arg;
    return (await->states & IN(await->front->backend)) != 0;
}

int blkfront_await(struct blkfront *front, unsigned states)
{
    return guest_wait(front->guest, await_done, &(struct await){front, states});
}

/* As blkfront_await(), with a message. */
static int await_or_say(struct blkfront *front, unsigned states, const char *what)
{
    int rc = blkfront_await(front, states);
    if (rc < 0)
        guest_say("vbd %u: waited %u s for the back end to be %s: it is %s", front->config.devid, front->guest->limit,
                  what, xenbus_state_name(front->backend));
    return rc;
}

static int enter(struct blkfront *front, enum xenbus_state state)
{
    int rc = xendev_frontend_switch(front->xenbus, state);
    if (rc < 0)
        guest_say("vbd %u: cannot write the state %s: %s", front->config.devid, xenbus_state_name(state),
                  strerror(-rc));
    return rc;
}

char *blkfront_reason(struct blkfront *front)
{
    char *reason;

    if (xendev_store_read(front->guest->store, XENDEV_NO_TXN, xendev_frontend_backend_path(front->xenbus), "error",
                          &reason) < 0)
        return strdup("");
    return reason;
}

/* ---- The ring. ----------------------------------------------------------------------------------------------------- */

void blkfront_drop_ring(struct blkfront *front)
{
    front->up = false;
    xendev_channel_close(front->channel);
    front->channel = NULL;
    if (front->ring_pages != NULL)
        xendev_share_free(front->guest->share, front->ring_pages, front->ring_page_count);
    front->ring_pages = NULL;
}

static int make_ring(struct blkfront *front)
{
    uint32_t domid = xendev_frontend_backend_domid(front->xenbus);
    unsigned order = front->config.order;
    const char *what = "pages for the ring";

    blkfront_drop_ring(front);
    if (order > front->disk.max_order)
        order = front->disk.max_order;
    front->ring_page_count = 1u << order;
    int rc =
        xendev_share_pages(front->guest->share, domid, front->ring_page_count, front->ring_refs, &front->ring_pages);
    if (rc < 0)
        goto fail;

    struct ring_layout layout = blkif_layout(front->config.abi, order);
    ring_front_init(&front->ring, front->ring_pages, (size_t)front->ring_page_count * XENDEV_PAGE_SIZE, &layout, 0);
    front->depth = front->config.depth < layout.slots ? front->config.depth : layout.slots;
    for (unsigned tag = 0; tag < front->config.depth; tag++)
        front->tags[tag].id = 0;
    front->in_flight = 0;
    front->lost = false;
    front->complaint[0] = '\0';

    what = "event channel";
    rc = xendev_channel_offer(front->guest->events, domid, blkfront_fired, front, &front->channel, &front->port);
    if (rc < 0)
        goto fail;
    return 0;
fail:
    guest_say("vbd %u: no %s: %s", front->config.devid, what, strerror(-rc));
    blkfront_drop_ring(front);
    return rc;
}

/* ---- Our keys. ------------------------------------------------------------------------------------------------------ */

/* Writes one key of ours, or what the odd one has in its place. */
static int put(struct blkfront *front, xendev_txn txn, const char *key, const char *value)
{
    struct xendev_store *store = front->guest->store;
    const char *dir = xendev_frontend_path(front->xenbus);

    if (front->config.odd_key != NULL && strcmp(front->config.odd_key, key) == 0)
        value = front->config.odd_value;
    return value == NULL ? xendev_store_remove(store, txn, dir, key)
                         : xendev_store_write(store, txn, dir, key, "%s", value);
}

static int put_number(struct blkfront *front, xendev_txn txn, const char *key, uint32_t value)
{
    char text[16];

    snprintf(text, sizeof text, "%u", value);
    return put(front, txn, key, text);
}

static int put_ring(struct blkfront *front, xendev_txn txn)
{
    int rc = 0;

    if (front->ring_page_count == 1) {
        rc = put_number(front, txn, "ring-ref", front->ring_refs[0]);
    } else {
        for (unsigned i = 0; rc == 0 && i < front->ring_page_count; i++) {
            char key[24];
            snprintf(key, sizeof key, "ring-ref%u", i);
            rc = put_number(front, txn, key, front->ring_refs[i]);
        }
    }
    return rc < 0 ? rc : put_number(front, txn, "event-channel", front->port);
}

/* A key that a former life wrote and this one does not must not stay. */
static int forget_ring(struct blkfront *front, xendev_txn txn)
{
    struct xendev_store *store = front->guest->store;
    const char *dir = xendev_frontend_path(front->xenbus);
    int rc = xendev_store_remove(store, txn, dir, "ring-page-order");

    if (rc == 0)
        rc = xendev_store_remove(store, txn, dir, "ring-ref");
    for (unsigned i = 0; rc == 0 && i < BLKFRONT_RING_PAGES_MAX; i++) {
        char key[24];
        snprintf(key, sizeof key, "ring-ref%u", i);
        rc = xendev_store_remove(store, txn, dir, key);
    }
    return rc;
}

static int publish_linux(struct xendev_store *store, xendev_txn txn, void *arg)
{
    struct blkfront *front = arg;
    unsigned order = 0;

    (void)store;
    while (1u << order < front->ring_page_count)
        order++;
    int rc = forget_ring(front, txn);
    if (rc == 0 && order > 0)
        rc = put_number(front, txn, "ring-page-order", order);
    if (rc == 0)
        rc = put_ring(front, txn);
    if (rc == 0)
        rc = put(front, txn, "protocol", blkif_abi_name(front->config.abi));
    if (rc == 0)
        rc = put_number(front, txn, "feature-persistent", front->config.persistent);
    if (rc == 0 && front->config.odd_key != NULL)
        rc = put(front, txn, front->config.odd_key, "");
    return rc;
}

static int publish_minios(struct xendev_store *store, xendev_txn txn, void *arg)
{
    struct blkfront *front = arg;

    (void)store;
    int rc = put_ring(front, txn);
    if (rc == 0)
        rc = put(front, txn, "protocol", blkif_abi_name(front->config.abi));
    if (rc == 0)
        rc = put_number(front, txn, "state", XENBUS_CONNECTED);
    return rc;
}

static int publish(struct blkfront *front)
{
    int rc;

    if (front->config.habit == BLKFRONT_LINUX) {
        rc = xendev_store_transact(front->guest->store, publish_linux, front);
    } else if (front->config.habit == BLKFRONT_MINIOS) {
        rc = xendev_store_transact(front->guest->store, publish_minios, front);
    } else {
        rc = put_ring(front, XENDEV_NO_TXN);
        if (rc == 0)
            rc = put(front, XENDEV_NO_TXN, "protocol", blkif_abi_name(front->config.abi));
    }
    if (rc < 0) {
        guest_say("vbd %u: cannot write its keys: %s", front->config.devid, strerror(-rc));
        return rc;
    }
    return front->config.habit == BLKFRONT_MINIOS ? 0 : enter(front, XENBUS_INITIALISED);
}

/* ---- The back end's keys. ------------------------------------------------------------------------------------------- */

static uint64_t get(struct blkfront *front, const char *key, uint64_t missing)
{
    uint64_t value;
    const char *dir = xendev_frontend_backend_path(front->xenbus);

    return xendev_store_read_u64(front->guest->store, XENDEV_NO_TXN, dir, key, &value) < 0 ? missing : value;
}

/* Offered before the front end publishes anything. */
static void read_offer(struct blkfront *front)
{
    uint64_t order = get(front, "max-ring-page-order", 0);

    front->disk.max_order = order > BLKIF_RING_ORDER_MAX ? BLKIF_RING_ORDER_MAX : (uint32_t)order;
    front->disk.indirect_segments = (uint32_t)get(front, "feature-max-indirect-segments", 0);
}

static int read_disk(struct blkfront *front)
{
    struct blkfront_disk *disk = &front->disk;

    disk->sectors = get(front, "sectors", 0);
    disk->read_only = (get(front, "info", 0) & INFO_READ_ONLY) != 0;
    disk->sector_size = (uint32_t)get(front, "sector-size", BLKIF_SECTOR_SIZE);
    disk->physical_sector_size = (uint32_t)get(front, "physical-sector-size", disk->sector_size);
    disk->barrier = get(front, "feature-barrier", 0) != 0;
    disk->flush = get(front, "feature-flush-cache", 0) != 0;
    disk->discard = get(front, "feature-discard", 0) != 0;
    disk->persistent = get(front, "feature-persistent", 0) != 0;
    if (disk->sectors == 0 || disk->sector_size < BLKIF_SECTOR_SIZE) {
        guest_say("vbd %u: a disk of %llu sectors of %u bytes", front->config.devid, (unsigned long long)disk->sectors,
                  disk->sector_size);
        return -EPROTO;
    }
    return 0;
}

/* ---- Whole lives. --------------------------------------------------------------------------------------------------- */

int blkfront_reset(struct blkfront *front)
{
    unsigned known = ~IN(XENBUS_UNKNOWN);
    int rc = await_or_say(front, known, "there");
    if (rc < 0)
        return rc;

    /* Each step is where the next one starts: the back end may be found in any. */
    if (front->backend == XENBUS_INITIALISED || front->backend == XENBUS_CONNECTED) {
        rc = enter(front, XENBUS_CLOSING);
        if (rc == 0)
            rc = await_or_say(front, IN(XENBUS_CLOSING) | IN(XENBUS_CLOSED), "Closing");
        if (rc < 0)
            return rc;
    }
    if (front->backend == XENBUS_CLOSING) {
        rc = enter(front, XENBUS_CLOSED);
        if (rc == 0)
            rc = await_or_say(front, IN(XENBUS_CLOSED), "Closed");
        if (rc < 0)
            return rc;
    }
    blkfront_drop_ring(front);
    rc = enter(front, XENBUS_INITIALISING);
    return rc < 0 ? rc : await_or_say(front, IN(XENBUS_INIT_WAIT), "InitWait");
}

static int refused(struct blkfront *front, bool quiet)
{
    char *reason = blkfront_reason(front);

    if (!quiet)
        guest_say("vbd %u: the back end went %s%s%s", front->config.devid, xenbus_state_name(front->backend),
                  *reason ? ": " : "", reason);
    free(reason);
    blkfront_drop_ring(front);
    return -ECONNREFUSED;
}

int blkfront_connect(struct blkfront *front, bool quiet)
{
    int rc = 0;

    front->disk = (struct blkfront_disk){0};
    if (front->config.habit == BLKFRONT_LINUX) {
        rc = blkfront_reset(front);
        if (rc < 0)
            return rc;
        read_offer(front);
    }
    rc = make_ring(front);
    if (rc == 0)
        rc = publish(front);
    if (rc == 0)
        rc = await_or_say(front, IN(XENBUS_CONNECTED) | IN(XENBUS_CLOSING) | IN(XENBUS_CLOSED), "Connected");
    if (rc < 0)
        return rc;
    if (front->backend != XENBUS_CONNECTED)
        return refused(front, quiet);

    rc = read_disk(front);
    if (rc == 0 && front->config.habit == BLKFRONT_LINUX)
        rc = enter(front, XENBUS_CONNECTED);
    front->up = rc == 0;
    return rc;
}

/* What a boot loader leaves to the kernel it starts. */
static int hand_over(struct blkfront *front)
{
    int rc = xendev_store_remove(front->guest->store, XENDEV_NO_TXN, xendev_frontend_path(front->xenbus), "ring-ref");

    if (rc == 0)
        rc = xendev_store_remove(front->guest->store, XENDEV_NO_TXN, xendev_frontend_path(front->xenbus),
                                 "event-channel");
    return rc < 0 ? rc : enter(front, XENBUS_INITIALISING);
}

int blkfront_disconnect(struct blkfront *front)
{
    int rc = 0;

    front->up = false;
    if (front->config.habit != BLKFRONT_GRUB) {
        rc = enter(front, XENBUS_CLOSING);
        if (rc == 0)
            rc = await_or_say(front, IN(XENBUS_CLOSING) | IN(XENBUS_CLOSED) | IN(XENBUS_UNKNOWN), "Closing");
    }
    if (rc == 0)
        rc = enter(front, XENBUS_CLOSED);
    if (rc == 0)
        rc = await_or_say(front, IN(XENBUS_CLOSED) | IN(XENBUS_UNKNOWN), "Closed");
    blkfront_drop_ring(front);
    return rc == 0 && front->config.habit != BLKFRONT_LINUX ? hand_over(front) : rc;
}

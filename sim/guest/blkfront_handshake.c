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
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xendev/event_channel.h>
#include <xendev/grant.h>

#include "blkfront.h"

/* Bits of the back end's `info`; source: xen/io/blkif.h. */
#define INFO_READ_ONLY 4u

/* ---- The rings. ---------------------------------------------------------------------------------------------------- */

void blkfront_drop_rings(struct blkfront *front)
{
    front->device.up = false;
    for (unsigned i = 0; i < BLKFRONT_QUEUES_MAX; i++) {
        struct blkfront_queue *queue = &front->queues[i];
        xendev_channel_close(queue->channel);
        if (queue->pages != NULL)
            xendev_share_free(front->guest->share, queue->pages, front->ring_page_count);
        *queue = (struct blkfront_queue){.front = front};
    }
    front->queue_count = 0;
}

static int make_ring(struct blkfront *front, struct blkfront_queue *queue, const struct ring_layout *layout)
{
    uint32_t domid = xendev_frontend_backend_domid(front->device.xenbus);
    const char *what = "pages for the ring";
    int rc = xendev_share_pages(front->guest->share, domid, front->ring_page_count, queue->refs, &queue->pages);

    if (rc == 0) {
        ring_front_init(&queue->ring, queue->pages, (size_t)front->ring_page_count * XENDEV_PAGE_SIZE, layout, 0);
        what = "event channel";
        rc = xendev_channel_offer(front->guest->events, domid, blkfront_fired, queue, &queue->channel, &queue->port);
    }
    if (rc < 0)
        guest_say("vbd %u: no %s: %s", front->config.devid, what, strerror(-rc));
    return rc;
}

static int make_rings(struct blkfront *front)
{
    unsigned order = front->config.order;
    unsigned queues = front->config.queues > 0 ? front->config.queues : 1;
    int rc = 0;

    blkfront_drop_rings(front);
    if (order > front->disk.max_order)
        order = front->disk.max_order;
    if (queues > front->disk.max_queues)
        queues = front->disk.max_queues > 0 ? front->disk.max_queues : 1;
    front->ring_page_count = 1u << order;
    const struct ring_layout layout = blkif_layout(front->config.abi, order);
    for (unsigned i = 0; rc == 0 && i < queues; i++)
        rc = make_ring(front, &front->queues[i], &layout);
    if (rc < 0) {
        blkfront_drop_rings(front);
        return rc;
    }
    front->queue_count = queues;
    front->depth = front->config.depth < layout.slots * queues ? front->config.depth : layout.slots * queues;
    for (unsigned tag = 0; tag < front->config.depth; tag++)
        front->tags[tag].id = 0;
    front->in_flight = 0;
    front->device.lost = false;
    front->complaint[0] = '\0';
    return 0;
}

/* ---- Our keys. ------------------------------------------------------------------------------------------------------ */

/* A key of a queue: where there are several, in a directory of its own. */
#define KEY_SIZE 48
static int put_of_queue(struct blkfront *front, xendev_txn txn, unsigned queue, const char *key, uint32_t value)
{
    char path[KEY_SIZE];

    if (front->queue_count == 1)
        return device_put_number(&front->device, txn, key, value);
    snprintf(path, sizeof path, "queue-%u/%s", queue, key);
    return device_put_number(&front->device, txn, path, value);
}

static int put_ring(struct blkfront *front, xendev_txn txn, unsigned index)
{
    const struct blkfront_queue *queue = &front->queues[index];
    int rc = 0;

    if (front->ring_page_count == 1) {
        rc = put_of_queue(front, txn, index, "ring-ref", queue->refs[0]);
    } else {
        for (unsigned i = 0; rc == 0 && i < front->ring_page_count; i++) {
            char key[24];
            snprintf(key, sizeof key, "ring-ref%u", i);
            rc = put_of_queue(front, txn, index, key, queue->refs[i]);
        }
    }
    return rc < 0 ? rc : put_of_queue(front, txn, index, "event-channel", queue->port);
}

static int put_rings(struct blkfront *front, xendev_txn txn)
{
    int rc = 0;

    if (front->queue_count > 1)
        rc = device_put_number(&front->device, txn, "multi-queue-num-queues", front->queue_count);
    for (unsigned i = 0; rc == 0 && i < front->queue_count; i++)
        rc = put_ring(front, txn, i);
    return rc;
}

static bool is_of_rings(const char *key)
{
    return strncmp(key, "ring-", 5) == 0 || strncmp(key, "queue-", 6) == 0 || strcmp(key, "event-channel") == 0 ||
           strcmp(key, "multi-queue-num-queues") == 0;
}

/* A key that a former life wrote and this one does not must not stay. */
static int forget_rings(struct blkfront *front, xendev_txn txn)
{
    struct xendev_store *store = front->guest->store;
    const char *dir = xendev_frontend_path(front->device.xenbus);
    char **names;
    int count = xendev_store_list(store, txn, dir, &names);
    int rc = count < 0 ? count : 0;

    for (int i = 0; rc == 0 && i < count; i++)
        if (is_of_rings(names[i]))
            rc = xendev_store_remove(store, txn, dir, names[i]);
    if (count >= 0)
        free(names);
    return rc;
}

static int publish_linux(struct xendev_store *store, xendev_txn txn, void *arg)
{
    struct blkfront *front = arg;
    unsigned order = 0;

    (void)store;
    while (1u << order < front->ring_page_count)
        order++;
    int rc = forget_rings(front, txn);
    if (rc == 0 && order > 0)
        rc = device_put_number(&front->device, txn, "ring-page-order", order);
    if (rc == 0)
        rc = put_rings(front, txn);
    if (rc == 0)
        rc = device_put(&front->device, txn, "protocol", blkif_abi_name(front->config.abi));
    if (rc == 0)
        rc = device_put_number(&front->device, txn, "feature-persistent", front->config.persistent);
    return rc == 0 ? device_put_odd(&front->device, txn) : rc;
}

static int publish_minios(struct xendev_store *store, xendev_txn txn, void *arg)
{
    struct blkfront *front = arg;

    (void)store;
    int rc = put_rings(front, txn);
    if (rc == 0)
        rc = device_put(&front->device, txn, "protocol", blkif_abi_name(front->config.abi));
    if (rc == 0)
        rc = device_put_number(&front->device, txn, "state", XENBUS_CONNECTED);
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
        rc = put_rings(front, XENDEV_NO_TXN);
        if (rc == 0)
            rc = device_put(&front->device, XENDEV_NO_TXN, "protocol", blkif_abi_name(front->config.abi));
    }
    if (rc < 0) {
        guest_say("vbd %u: cannot write its keys: %s", front->config.devid, strerror(-rc));
        return rc;
    }
    return front->config.habit == BLKFRONT_MINIOS ? 0 : device_enter(&front->device, XENBUS_INITIALISED);
}

/* ---- The back end's keys. ------------------------------------------------------------------------------------------- */

/* Offered before the front end publishes anything. */
static void read_offer(struct blkfront *front)
{
    uint64_t order = device_get(&front->device, "max-ring-page-order", 0);

    front->disk.max_order = order > BLKIF_RING_ORDER_MAX ? BLKIF_RING_ORDER_MAX : (uint32_t)order;
    front->disk.max_queues = (uint32_t)device_get(&front->device, "multi-queue-max-queues", 1);
    front->disk.indirect_segments = (uint32_t)device_get(&front->device, "feature-max-indirect-segments", 0);
    if (front->config.segments > BLKIF_DIRECT_SEGMENTS && front->disk.indirect_segments > BLKIF_DIRECT_SEGMENTS)
        front->segments = front->config.segments < front->disk.indirect_segments ? front->config.segments
                                                                                 : front->disk.indirect_segments;
}

static int read_disk(struct blkfront *front)
{
    struct blkfront_disk *disk = &front->disk;

    disk->sectors = device_get(&front->device, "sectors", 0);
    disk->read_only = (device_get(&front->device, "info", 0) & INFO_READ_ONLY) != 0;
    disk->sector_size = (uint32_t)device_get(&front->device, "sector-size", BLKIF_SECTOR_SIZE);
    disk->physical_sector_size = (uint32_t)device_get(&front->device, "physical-sector-size", disk->sector_size);
    disk->barrier = device_get(&front->device, "feature-barrier", 0) != 0;
    disk->flush = device_get(&front->device, "feature-flush-cache", 0) != 0;
    disk->discard = device_get(&front->device, "feature-discard", 0) != 0;
    disk->discard_secure = device_get(&front->device, "discard-secure", 0) != 0;
    disk->persistent = device_get(&front->device, "feature-persistent", 0) != 0;
    if (disk->sectors == 0 || disk->sector_size < BLKIF_SECTOR_SIZE) {
        guest_say("vbd %u: a disk of %llu sectors of %u bytes", front->config.devid, (unsigned long long)disk->sectors,
                  disk->sector_size);
        return -EPROTO;
    }
    return 0;
}

/* ---- Whole lives. --------------------------------------------------------------------------------------------------- */

/* As a kernel does that finds a device in use (kexec). */
static int reset(struct blkfront *front)
{
    int rc = device_end_former(&front->device);
    if (rc < 0)
        return rc;
    blkfront_drop_rings(front);
    return device_begin(&front->device);
}

/* As Linux: the disk may have another size. */
static void on_connected_again(struct device *device)
{
    struct blkfront *front = (struct blkfront *)device;
    uint64_t sectors = device_get(device, "sectors", 0);

    if (sectors == front->disk.sectors)
        return;
    front->disk.sectors = sectors;
    front->resizes++;
    fprintf(stderr, "vbd %u: has %" PRIu64 " sectors now\n", front->config.devid, sectors);
}

int blkfront_connect(struct blkfront *front, bool quiet)
{
    int rc = 0;

    front->disk = (struct blkfront_disk){0};
    front->segments = BLKIF_DIRECT_SEGMENTS;
    front->device.again = on_connected_again;
    if (front->config.habit == BLKFRONT_LINUX) {
        rc = reset(front);
        if (rc < 0)
            return rc;
        read_offer(front);
    }
    rc = make_rings(front);
    if (rc == 0)
        rc = publish(front);
    if (rc == 0)
        rc = device_await_connected(&front->device, quiet);
    if (rc == -ECONNREFUSED)
        blkfront_drop_rings(front);
    if (rc < 0)
        return rc;

    rc = read_disk(front);
    if (rc == 0 && front->config.habit == BLKFRONT_LINUX)
        rc = device_enter(&front->device, XENBUS_CONNECTED);
    front->device.up = rc == 0;
    return rc;
}

/* What a boot loader leaves to the kernel it starts. */
static int hand_over(struct blkfront *front)
{
    int rc =
        xendev_store_remove(front->guest->store, XENDEV_NO_TXN, xendev_frontend_path(front->device.xenbus), "ring-ref");

    if (rc == 0)
        rc = xendev_store_remove(front->guest->store, XENDEV_NO_TXN, xendev_frontend_path(front->device.xenbus),
                                 "event-channel");
    return rc < 0 ? rc : device_enter(&front->device, XENBUS_INITIALISING);
}

/* Closed at once. */
static int end_abruptly(struct blkfront *front)
{
    int rc = device_enter(&front->device, XENBUS_CLOSED);

    return rc < 0 ? rc
                  : device_await_or_say(&front->device, DEVICE_IN(XENBUS_CLOSED) | DEVICE_IN(XENBUS_UNKNOWN), "Closed");
}

int blkfront_disconnect(struct blkfront *front)
{
    front->device.up = false;
    int rc = front->config.habit == BLKFRONT_GRUB ? end_abruptly(front) : device_end(&front->device);
    blkfront_drop_rings(front);
    return rc == 0 && front->config.habit != BLKFRONT_LINUX ? hand_over(front) : rc;
}

/* SPDX-License-Identifier: MIT */
/*
 * A device is put together in the order disk, files, ring pages, queue, and taken apart so that the disk is idle before
 * the memory its requests use goes away: the queue stops, the disk closes (and waits), then the rest.
 */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <backend/clock.h>
#include <backend/worker/map.h>
#include <ring/back.h>
#include <xendev/grant.h>

#include "queue.h"
#include "throttle.h"

struct device {
    const struct device_host *host;
    uint32_t devid;
    struct blkback_connection connection;
    int images[1 + BLKBACK_PARENTS_MAX]; /* copies of the disk's descriptors, for a new supervisor */
    unsigned image_count;
    struct disk *disk;
    void *journal;
    size_t journal_size;
    struct blkback_counters *counters;
    void *ring_pages;
    struct throttle throttle;
    struct queue *queue;
};

static int open_disk(const struct device_host *host, const struct blkback_image *image, bool read_only, int fd,
                     const int *parents, unsigned parent_count, unsigned depth, struct disk **ret_disk,
                     struct disk_error *ret_error)
{
    struct disk_params params = {
        .kind = disk_kind_find(image->kind),
        .fd = fd,
        .parents = parents,
        .parent_count = parent_count,
        .fence_fd = host->fence_fd,
        .read_only = read_only,
        .depth = depth,
    };

    if (!params.kind) {
        snprintf(ret_error->text, sizeof ret_error->text, "unknown kind of disk '%.16s'", image->kind);
        disk_params_close(&params);
        return -EINVAL;
    }
    return disk_open(&params, ret_disk, ret_error);
}

/* Whether the last of these images is the child of yet another. As device_check(), but takes nothing over. */
static int look_for_parent(const struct blkback_check *check, const int *fds, struct disk_parent *ret_parent,
                           struct disk_error *ret_error)
{
    const struct disk_kind *kind = disk_kind_find(check->last_kind);
    struct disk_error error;

    if (!kind)
        return 0; /* open_disk() says so */
    int result = disk_parent_read(kind, fds[check->parents], ret_parent, &error);
    if (result < 0 && check->parents > 0)
        snprintf(ret_error->text, sizeof ret_error->text, "parent %u: %.240s", check->parents, error.text);
    else if (result < 0)
        *ret_error = error;
    return result;
}

int device_check(const struct device_host *host, const struct blkback_check *check, const int *fds,
                 struct disk_info *ret_info, struct disk_parent *ret_parent, struct disk_error *ret_error)
{
    struct disk *disk;

    int result = look_for_parent(check, fds, ret_parent, ret_error);
    if (result != 0) {
        for (unsigned i = 0; i <= check->parents; i++)
            close(fds[i]);
        return result;
    }
    /* Read-only whatever it will be used for: another guest may hold the image still. */
    result = open_disk(host, &check->image, true, fds[0], fds + 1, check->parents, 1, &disk, ret_error);
    if (result < 0)
        return result;
    disk_get_info(disk, ret_info);
    disk_close(disk);
    return 0;
}

_Static_assert(sizeof(struct disk_error) >= BACKEND_REASON_SIZE, "room for a reason");

static int map_files(struct device *device, const struct device_files *files, struct disk_error *ret_error)
{
    struct ring_layout layout = blkif_layout((enum blkif_abi)device->connection.abi, device->connection.ring_order);

    device->journal_size = ring_journal_size(&layout);
    device->journal = worker_map(files->journal, device->journal_size, "journal", ret_error->text);
    device->counters = worker_map(files->counters, sizeof *device->counters, "counters", ret_error->text);
    if (!device->journal || !device->counters)
        return -EIO;
    device->counters->magic = BLKBACK_COUNTERS_MAGIC;
    device->counters->version = BLKBACK_COUNTERS_VERSION;
    return 0;
}

static int map_ring(struct device *device, struct disk_error *ret_error)
{
    unsigned pages = 1u << device->connection.ring_order;
    int result = xendev_grants_map(device->host->grants, device->host->domid, device->connection.ring_refs, pages,
                                   &device->ring_pages);

    if (result < 0)
        snprintf(ret_error->text, sizeof ret_error->text,
                 "its ring of %u pages (first grant reference %u) cannot be mapped: %s", pages,
                 device->connection.ring_refs[0], strerrordesc_np(-result));
    return result;
}

static void on_queue_failed(void *arg, const char *reason)
{
    struct device *device = arg;

    device->host->failed(device->devid, reason);
}

static void on_queue_drained(void *arg)
{
    struct device *device = arg;

    device->host->drained(device->devid);
}

static void on_queue_parked(void *arg, const struct blkback_request *request)
{
    struct device *device = arg;

    device->host->parked(device->devid, request);
}

static int open_queue(struct device *device, const struct blkback_order *order, struct disk_error *ret_error)
{
    const struct blkback_connection *connection = &device->connection;
    struct queue_params params = {
        .base = device->host->base,
        .spin = device->host->spin,
        .events = device->host->events,
        .grants = device->host->grants,
        .disk = device->disk,
        .counters = device->counters,
        .caution = device->host->caution,
        .throttle = &device->throttle,
        .domid = device->host->domid,
        .event_channel = connection->event_channel,
        .abi = (enum blkif_abi)connection->abi,
        .ring_order = connection->ring_order,
        .persistent = device->host->may_map ? connection->persistent : 0,
        .indirect = connection->indirect_segments,
        .ring_pages = device->ring_pages,
        .journal = device->journal,
        .journal_size = device->journal_size,
        .generation = connection->generation,
        .recover = order->recover != 0,
        .crashed = order->crashed != 0,
        .pardon = order->pardon != 0,
        .attempts_max = order->attempts_max,
        .discard = order->discard != 0,
        .failed = on_queue_failed,
        .drained = on_queue_drained,
        .parked = on_queue_parked,
        .arg = device,
    };

    return queue_open(&params, &device->queue, ret_error);
}

static void close_files(const struct device_files *files)
{
    close(files->image);
    close(files->journal);
    close(files->counters);
    for (unsigned i = 0; i < files->parent_count; i++)
        close(files->parents[i]);
}

/* Keeps copies of what the disk is about to take over. Returns 0 or -EMFILE. */
static int copy_images(struct device *device, const struct device_files *files)
{
    while (device->image_count <= files->parent_count) {
        const int fd = device->image_count == 0 ? files->image : files->parents[device->image_count - 1];
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (copy < 0)
            return -EMFILE;
        device->images[device->image_count++] = copy;
    }
    return 0;
}

int device_open(const struct device_host *host, uint32_t devid, const struct blkback_order *order,
                const struct device_files *files, struct device **ret_device, struct disk_error *ret_error)
{
    const struct blkback_connection *connection = &order->connection;
    uint64_t started = clock_now_ns();
    unsigned depth = blkif_layout((enum blkif_abi)connection->abi, connection->ring_order).slots;

    struct device *device = calloc(1, sizeof *device);
    if (!device) {
        snprintf(ret_error->text, sizeof ret_error->text, "out of memory");
        close_files(files);
        return -ENOMEM;
    }
    device->host = host;
    device->devid = devid;
    device->connection = *connection;
    throttle_init(&device->throttle);
    throttle_set(&device->throttle, &order->limits, started);

    int result = copy_images(device, files);
    if (result < 0) {
        snprintf(ret_error->text, sizeof ret_error->text, "too many files are open");
        close_files(files);
        device_close(device, true);
        return result;
    }
    result = open_disk(host, &connection->image, connection->image.read_only != 0, files->image, files->parents,
                       files->parent_count, depth, &device->disk, ret_error);
    if (result == 0)
        result = map_files(device, files, ret_error);
    close(files->journal);
    close(files->counters);
    if (result == 0)
        result = map_ring(device, ret_error);
    if (result == 0)
        result = open_queue(device, order, ret_error);
    if (result < 0) {
        device_close(device, true);
        return result;
    }
    if (order->recover != 0)
        device->counters->recovery_ns = clock_now_ns() - started;
    *ret_device = device;
    return 0;
}

void device_drain(struct device *device)
{
    queue_drain(device->queue);
}

void device_undrain(struct device *device)
{
    queue_undrain(device->queue);
}

void device_throttle(struct device *device, const struct blkback_limits *limits)
{
    throttle_set(&device->throttle, limits, clock_now_ns());
}

uint64_t device_generation(const struct device *device)
{
    return device->connection.generation;
}

unsigned device_images(const struct device *device, int ret_fds[1 + BLKBACK_PARENTS_MAX])
{
    memcpy(ret_fds, device->images, device->image_count * sizeof ret_fds[0]);
    return device->image_count;
}

void device_suspects(const struct device *device, struct blkback_suspects *ret_suspects)
{
    queue_suspects(device->queue, ret_suspects);
}

void device_close(struct device *device, bool recoverable)
{
    if (!device)
        return;
    if (device->queue) {
        queue_stop(device->queue);
        if (!recoverable)
            ring_journal_retire(device->journal, device->journal_size);
    }
    disk_close(device->disk);
    for (unsigned i = 0; i < device->image_count; i++)
        close(device->images[i]);
    queue_close(device->queue);
    if (device->ring_pages)
        xendev_grants_unmap(device->host->grants, device->ring_pages, 1u << device->connection.ring_order);
    if (device->journal)
        munmap(device->journal, device->journal_size);
    if (device->counters)
        munmap(device->counters, sizeof *device->counters);
    free(device);
}

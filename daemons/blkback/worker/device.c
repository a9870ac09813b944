/* SPDX-License-Identifier: MIT */
/*
 * A device is put together in the order disk, files, then the pages and the queue of each ring, and taken apart so that the disk is idle before
 * the memory its requests use goes away: the queues stop, the disk closes (and waits), then the rest. When one queue cannot go on, none does.
 */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <event2/event.h>

#include <backend/clock.h>
#include <backend/worker/map.h>
#include <disk/vhd.h>
#include <ring/back.h>
#include <xendev/grant.h>

#include "barrier.h"
#include "coalesce.h"
#include "drive.h"
#include "queue.h"
#include "throttle.h"

struct device {
    const struct device_host *host;
    uint32_t devid;
    struct blkback_connection connection;
    int images[1 + BLKBACK_PARENTS_MAX]; /* copies of the disk's descriptors, for a new supervisor */
    unsigned image_count;
    struct disk *disk;
    struct drive drive; /* the disk, as the queues and we ourselves use it */
    struct drive_user resizer;
    struct drive_io resize;
    struct event *resized; /* to look at once whether it is done */
    bool resizing;
    struct coalesce coalesce;
    bool wants;            /* a connection to its server... */
    struct disk_error why; /* ...because of this */
    uint8_t *journals;     /* one after the other, */
    size_t journal_size;   /* of so many bytes each */
    struct blkback_counters *counters;
    struct throttle throttle;
    struct barrier barrier; /* of the queues */
    void *ring_pages[BLKBACK_QUEUES_MAX];
    struct queue *queues[BLKBACK_QUEUES_MAX];
    unsigned undrained; /* queues, while it drains */
};

static int open_disk(const struct device_host *host, const struct blkback_image *image,
                     const struct disk_export *server, bool read_only, int fd, const int *parents,
                     unsigned parent_count, unsigned depth, struct disk **ret_disk, struct disk_error *ret_error)
{
    struct disk_params params = {
        .kind = disk_kind_find(image->kind),
        .fd = fd,
        .server = server,
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
        snprintf(ret_error->text, sizeof ret_error->text, "parent %u: %.220s", check->parents, error.text);
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
    result = open_disk(host, &check->image, NULL, true, fds[0], fds + 1, check->parents, 1, &disk, ret_error);
    if (result < 0)
        return result;
    disk_get_info(disk, ret_info);
    disk_close(disk);
    return 0;
}

_Static_assert(sizeof(struct disk_error) >= BACKEND_REASON_SIZE, "room for a reason");

/* Ring, pages and requests in flight of queues that this connection has not are none. */
static void take_counters(struct device *device)
{
    struct blkback_counters *counters = device->counters;

    counters->magic = BLKBACK_COUNTERS_MAGIC;
    counters->version = BLKBACK_COUNTERS_VERSION;
    for (unsigned i = device->connection.queue_count; i < BLKBACK_QUEUES_MAX; i++)
        counters->queues[i].grants_mapped = counters->queues[i].in_flight = counters->queues[i].slots = 0;
}

static int map_files(struct device *device, const struct device_files *files, struct disk_error *ret_error)
{
    struct ring_layout layout = blkif_layout((enum blkif_abi)device->connection.abi, device->connection.ring_order);

    device->journal_size = ring_journal_size(&layout);
    device->journals =
        worker_map(files->journal, device->connection.queue_count * device->journal_size, "journal", ret_error->text);
    device->counters = worker_map(files->counters, sizeof *device->counters, "counters", ret_error->text);
    if (!device->journals || !device->counters)
        return -EIO;
    take_counters(device);
    return 0;
}

static int map_ring(struct device *device, unsigned index, struct disk_error *ret_error)
{
    const struct blkback_queue *queue = &device->connection.queues[index];
    unsigned pages = 1u << device->connection.ring_order;
    int result = xendev_grants_map(device->host->grants, device->host->domid, queue->ring_refs, pages,
                                   &device->ring_pages[index]);

    if (result < 0)
        snprintf(ret_error->text, sizeof ret_error->text,
                 "the ring of %u pages of queue %u (first grant reference %u) cannot be mapped: %s", pages, index,
                 queue->ring_refs[0], strerrordesc_np(-result));
    return result;
}

/* ---- What the queues tell. ------------------------------------------------------------------------------------------- */

static void stop(struct device *device)
{
    drive_stop(&device->drive);
    for (unsigned i = 0; i < device->connection.queue_count; i++)
        if (device->queues[i])
            queue_stop(device->queues[i]);
}

static void on_queue_failed(void *arg, const char *reason)
{
    struct device *device = arg;

    stop(device);
    device->host->failed(device->devid, reason);
}

static void on_queue_drained(void *arg)
{
    struct device *device = arg;

    if (--device->undrained == 0)
        device->host->drained(device->devid);
}

static void on_queue_parked(void *arg, const struct blkback_request *request)
{
    struct device *device = arg;

    stop(device);
    device->host->parked(device->devid, request);
}

/* ---- Another size. ---------------------------------------------------------------------------------------------------- */

static void say_resized(const struct device *device, int result)
{
    struct disk_info info;

    disk_get_info(device->disk, &info);
    device->host->resized(device->devid, result, info.size / DISK_SECTOR_SIZE);
}

static void reap_resize(void *arg)
{
    struct device *device = arg;
    struct disk_io *io;

    if (drive_reap(&device->resizer, &io, 1) == 0)
        return;
    device->resizing = false;
    for (unsigned i = 0; i < device->connection.queue_count; i++)
        queue_resized(device->queues[i]);
    say_resized(device, io->result);
}

static void reap_resize_soon(void *arg)
{
    static const struct timeval at_once = {0};

    event_add(((struct device *)arg)->resized, &at_once);
}

static void on_resized(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    reap_resize(arg);
}

void device_resize(struct device *device, uint64_t size)
{
    struct disk_io *io = &device->resize.io;

    if (size == 0 || device->resizing) {
        say_resized(device, size == 0 ? 0 : -EBUSY);
        return;
    }
    *io = (struct disk_io){.op = DISK_RESIZE, .offset = size};
    device->resizing = true;
    drive_submit(&device->resizer, &io, 1);
    reap_resize_soon(device); /* a disk without a descriptor has done it by now */
}

int device_describe(const struct device *device, uint64_t *ret_size, uint8_t ret_uuid[DISK_UUID_SIZE],
                    struct disk_error *ret_error)
{
    struct vhd_about about;
    int result = vhd_describe(device->images[0], &about, ret_error);

    if (result < 0)
        return result;
    *ret_size = about.size;
    memcpy(ret_uuid, about.uuid, DISK_UUID_SIZE);
    return 0;
}

/* ---- No parents any more. ------------------------------------------------------------------------------------------------ */

/* Lets go of all but the image. */
static void forget_parents(struct device *device)
{
    while (device->image_count > 1)
        close(device->images[--device->image_count]);
}

static bool on_coalesced(void *arg, int result)
{
    struct device *device = arg;

    if (result == 0)
        forget_parents(device);
    return device->host->coalesced(device->devid, result);
}

void device_coalesce(struct device *device, uint64_t limit)
{
    coalesce_start(&device->coalesce, limit);
}

void device_stop_coalescing(struct device *device)
{
    coalesce_cancel(&device->coalesce);
}

/* ---- A server. --------------------------------------------------------------------------------------------------------- */

void device_dials(struct device *device)
{
    if (device->wants)
        device->host->dial(device->devid, device->why.text);
}

static void on_disk_looked_at(void *arg)
{
    struct device *device = arg;

    if (!disk_wants_connection(device->disk, &device->why))
        return;
    device->wants = true;
    device_dials(device);
}

void device_dialed(struct device *device, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (copy < 0) { /* a successor has room again */
        close(fd);
        device->host->failed(device->devid, "too many files are open");
        return;
    }
    close(device->images[0]);
    device->images[0] = copy;
    device->wants = false;
    disk_connect(device->disk, fd);
}

/* ---- Opening and closing. --------------------------------------------------------------------------------------------- */

static int open_queue(struct device *device, unsigned index, const struct blkback_order *order,
                      struct disk_error *ret_error)
{
    const struct blkback_connection *connection = &order->connection;
    const struct queue_params params = {
        .base = device->host->base,
        .spin = device->host->spin,
        .events = device->host->events,
        .grants = device->host->grants,
        .drive = &device->drive,
        .counters = &device->counters->queues[index],
        .index = index,
        .caution = device->host->caution,
        .throttle = &device->throttle,
        .barrier = &device->barrier,
        .domid = device->host->domid,
        .event_channel = connection->queues[index].event_channel,
        .abi = (enum blkif_abi)connection->abi,
        .ring_order = connection->ring_order,
        .persistent = device->host->may_map ? connection->persistent : 0,
        .indirect = connection->indirect_segments,
        .ring_pages = device->ring_pages[index],
        .journal = device->journals + index * device->journal_size,
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

    return queue_open(&params, &device->queues[index], ret_error);
}

static int open_queues(struct device *device, const struct blkback_order *order, struct disk_error *ret_error)
{
    int result = drive_init(&device->drive, device->host->base, device->disk);

    device->drive.looked = on_disk_looked_at;
    device->drive.arg = device;
    device->resizer = (struct drive_user){.ready = reap_resize, .wake = reap_resize_soon, .arg = device};
    device->resized = evtimer_new(device->host->base, on_resized, device);
    device->coalesce = (struct coalesce){.drive = &device->drive,
                                         .caution = device->host->caution,
                                         .progress = &device->counters->pulled,
                                         .ended = on_coalesced,
                                         .arg = device};
    if (result == 0 && device->resized)
        drive_join(&device->drive, &device->resizer);
    else
        result = -ENOMEM;
    if (result == 0)
        result = coalesce_init(&device->coalesce, device->host->base);
    if (result < 0)
        snprintf(ret_error->text, sizeof ret_error->text, "out of memory");
    for (unsigned i = 0; result == 0 && i < order->connection.queue_count; i++) {
        result = map_ring(device, i, ret_error);
        if (result == 0)
            result = open_queue(device, i, order, ret_error);
    }
    return result;
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

/* How many of them the disk is given: none when the image stands by itself, because a worker ended that had just let go of them. */
static unsigned take_parents(struct device *device, const struct device_files *files)
{
    const struct disk_kind *kind = disk_kind_find(device->connection.image.kind);
    struct disk_parent parent;
    struct disk_error error;

    if (files->parent_count == 0 || !kind || disk_parent_read(kind, files->image, &parent, &error) != 0)
        return files->parent_count;
    for (unsigned i = 0; i < files->parent_count; i++)
        close(files->parents[i]);
    forget_parents(device);
    return 0;
}

int device_open(const struct device_host *host, uint32_t devid, const struct blkback_order *order,
                const struct device_files *files, struct device **ret_device, struct disk_error *ret_error)
{
    const struct blkback_connection *connection = &order->connection;
    uint64_t started = clock_now_ns();
    unsigned depth =
        blkif_layout((enum blkif_abi)connection->abi, connection->ring_order).slots * connection->queue_count;

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
    barrier_init(&device->barrier);
    throttle_set(&device->throttle, &order->limits, started);

    int result = copy_images(device, files);
    if (result < 0) {
        snprintf(ret_error->text, sizeof ret_error->text, "too many files are open");
        close_files(files);
        device_close(device, true);
        return result;
    }
    const struct disk_export *server = order->server.size != 0 ? &order->server : NULL;
    unsigned parents = take_parents(device, files);
    int image = files->image;
    if (server) { /* it stands for a connection, which is to come */
        close(image);
        image = -1;
    }
    result = open_disk(host, &connection->image, server, connection->image.read_only != 0, image, files->parents,
                       parents, depth + 2, &device->disk, ret_error); /* and one to resize it, one to coalesce it */
    if (result == 0)
        result = map_files(device, files, ret_error);
    close(files->journal);
    close(files->counters);
    if (result == 0)
        result = open_queues(device, order, ret_error);
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
    device->undrained = device->connection.queue_count;
    for (unsigned i = 0; i < device->connection.queue_count; i++)
        queue_drain(device->queues[i]);
}

void device_undrain(struct device *device)
{
    for (unsigned i = 0; i < device->connection.queue_count; i++)
        queue_undrain(device->queues[i]);
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
    ret_suspects->count = ret_suspects->told = 0;
    for (unsigned i = 0; i < device->connection.queue_count; i++)
        queue_suspects(device->queues[i], ret_suspects);
}

void device_close(struct device *device, bool recoverable)
{
    if (!device)
        return;
    const unsigned queues = device->connection.queue_count;

    stop(device);
    if (device->journals && !recoverable) {
        for (unsigned i = 0; i < queues; i++)
            ring_journal_retire(device->journals + i * device->journal_size, device->journal_size);
    }
    drive_leave(&device->resizer);
    coalesce_fini(&device->coalesce);
    if (device->resized)
        event_free(device->resized);
    disk_close(device->disk);
    for (unsigned i = 0; i < device->image_count; i++)
        close(device->images[i]);
    for (unsigned i = 0; i < queues; i++) {
        queue_close(device->queues[i]);
        if (device->ring_pages[i])
            xendev_grants_unmap(device->host->grants, device->ring_pages[i], 1u << device->connection.ring_order);
    }
    if (device->journals)
        munmap(device->journals, queues * device->journal_size);
    if (device->counters)
        munmap(device->counters, sizeof *device->counters);
    free(device);
}

/* SPDX-License-Identifier: MIT */
/*
 * The steps of a disk, within the states of its device (backend/serve.c):
 *
 *   PREPARING    OPENING -> CHECKING             an image that can be opened as it will be used is looked at by the worker, in a way that cannot
 *                                                change it; one that only a script can make is not, and neither is one that somebody writes to
 *   ACQUIRING    OPENING -> LOCKING -> MEASURING it is opened as it will be used, becomes the guest's, and is looked at again: its size counts now
 *   RESUMING     OPENING                         the same one is opened again
 *   RECOVERING                                   ...and locked (lock.c), which it still may be by a worker of an earlier supervisor; if a snapshot is
 *                                                wanted, a child takes its place before that (snapshot.c)
 *
 * Whenever a worker looks at an image that is the child of another, that is opened and locked too, and the worker looks again (chain.c); so it is
 * done in RECOVERING, unless the chain is there still.
 *
 * The image's description is one for all: the worker's and the supervisor's, a successor's and another supervisor's. So is its lock.
 */
#include "vbd.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include <backend/guest.h>
#include <backend/serve.h>
#include <xendev/store.h>

#include "blkback.h"
#include "counters.h"
#include "errand.h"
#include "frontend.h"
#include "limits.h"
#include "lock.h"
#include "looking.h"
#include "mappings.h"
#include "offer.h"
#include "ram.h"
#include "report.h"
#include "suspects.h"

static_assert(BLKBACK_QUEUES_MAX <= BACKEND_RINGS_MAX, "each queue has a journal");
static_assert(offsetof(struct vbd, device) == 0 && offsetof(struct blkback_message, head) == 0 &&
                  offsetof(struct blkback_connection, head) == 0,
              "what is generic comes first");

const struct vbd *vbd_of_const(const struct device *device)
{
    assert(device_kind(device) == &vbd_kind);
    return (const struct vbd *)device;
}

struct vbd *vbd_of(struct device *device)
{
    return (struct vbd *)vbd_of_const(device);
}

const struct blkback *vbd_daemon(const struct vbd *vbd)
{
    return blkback_of_const(device_backend(&vbd->device));
}

bool vbd_is_kind(const struct vbd *vbd, const char *kind)
{
    return vbd->image.source.kind != NULL && strcmp(disk_kind_name(vbd->image.source.kind), kind) == 0;
}

/* ---- The image. ------------------------------------------------------------------------------------------------------------- */

/* Looks in xenstore what the image is; while that is away, it is what is recorded. */
static int read_image(struct vbd *vbd, bool script_done, struct disk_error *ret_error)
{
    const struct device *device = &vbd->device;
    char path[PATH_MAX];

    ram_path(vbd, path);
    if (device->backend == NULL) {
        if (image_load(device->dir, VBD_IMAGE_FILE, path, &vbd->image) < 0) {
            snprintf(ret_error->text, sizeof(ret_error->text), "xenstore is away");
            return -ENOTCONN;
        }
        return 0;
    }
    return image_read(device_store(device), xendev_backend_path(device->backend), path, script_done, &vbd->image,
                      ret_error);
}

/* Records what the image is, for the connection of that generation. Returns 0 or -errno. */
static int save_image(struct vbd *vbd, uint64_t generation)
{
    vbd->image.generation = generation;
    return image_save(vbd->device.dir, VBD_IMAGE_FILE, &vbd->image);
}

/* ---- Coming and going. ------------------------------------------------------------------------------------------------------- */

static int vbd_init(struct device *device)
{
    struct vbd *vbd = vbd_of(device);
    struct disk_error unused;

    vbd->image_fd = -1;
    snapshot_init(vbd);
    coalesce_init(vbd);
    if (server_init(vbd) < 0)
        return -ENOMEM;
    suspects_load(vbd);
    limits_init(vbd);
    vbd->lock_timer = evtimer_new(device_backend(device)->base, lock_on_timer, vbd);
    if (vbd->lock_timer == NULL)
        return -ENOMEM;
    /* For reports, until prepare or connect look at it: it may have been closed under a predecessor, or by one. */
    (void)read_image(vbd, true, &unused);
    (void)server_suits_worker(vbd); /* whoever is started for it from now on does */
    return 0;
}

static void vbd_fini(struct device *device)
{
    struct vbd *vbd = vbd_of(device);

    limits_unfollow(vbd);
    errand_cancel(vbd->opening);
    server_fini(vbd);
    snapshot_fini(vbd);
    chain_forget(vbd);
    if (vbd->image_fd >= 0)
        close(vbd->image_fd);
    image_fini(&vbd->image);
    if (vbd->lock_timer != NULL)
        event_free(vbd->lock_timer);
}

static void vbd_meet(struct device *device)
{
    struct vbd *vbd = vbd_of(device);

    if (vbd->sectors == 0)
        offer_read_back(vbd);
    limits_follow(vbd);
}

static void vbd_part(struct device *device)
{
    limits_unfollow(vbd_of(device));
}

static void vbd_discard(struct device *device)
{
    ram_remove(vbd_of(device));
}

/* ---- On the way up. ---------------------------------------------------------------------------------------------------------- */

static void vbd_prepare(struct device *device)
{
    struct vbd *vbd = vbd_of(device);
    struct disk_error error;
    int err = read_image(vbd, false, &error);

    if (err == 0 && vbd->image.by_script)
        device_offer(device); /* the image is looked at when the script has made it */
    else if (err < 0)
        device_give_up(device, err, "%s", error.text);
    else
        looking_open(vbd);
}

static int vbd_offer(struct device *device)
{
    return offer_features(vbd_of(device));
}

static int read_image_for(struct vbd *vbd, struct backend_error *ret_error)
{
    struct disk_error error;
    int err = read_image(vbd, true, &error);

    if (err < 0)
        snprintf(ret_error->text, sizeof(ret_error->text), "%s", error.text);
    return err;
}

static int vbd_read_front(struct device *device, struct backend_connection *ret_connection,
                          struct backend_error *ret_error)
{
    struct vbd *vbd = vbd_of(device);
    struct blkback_connection *connection = (struct blkback_connection *)ret_connection;
    int err = frontend_read(device_store(device), xendev_backend_front(device->backend), offer_queues_max(vbd),
                            connection, ret_error);

    if (err == 0 && connection->persistent != 0)
        connection->persistent = (uint32_t)vbd_daemon(vbd)->config.persistent_grants;
    if (err == 0)
        connection->indirect_segments = offer_indirect_segments(vbd);
    return err < 0 ? err : read_image_for(vbd, ret_error);
}

static void vbd_acquire(struct device *device)
{
    struct vbd *vbd = vbd_of(device);

    if (server_has(vbd))
        server_worker_gone(vbd);
    if (server_has(vbd) && device->state == DEVICE_RESUMING)
        serve_acquired(device); /* a connection is made for whoever serves it, when that wants one */
    else
        looking_open(vbd);
}

static void vbd_cancel(struct device *device)
{
    struct vbd *vbd = vbd_of(device);

    errand_cancel(vbd->opening);
    vbd->opening = NULL;
    lock_stop(vbd);
}

static void vbd_secure(struct device *device)
{
    struct vbd *vbd = vbd_of(device);

    vbd_cancel(device); /* a worker may have ended while its parents were looked for */
    server_worker_gone(vbd);
    if (!server_suits_worker(vbd))
        guest_replace_worker(device->guest, SERVER_WORKER_REPLACED);
    else if (!snapshot_intervenes(vbd))
        lock_image(vbd);
}

static void vbd_let_go(struct device *device)
{
    struct vbd *vbd = vbd_of(device);

    resize_forget(vbd);
    snapshot_forget(vbd);
    coalesce_forget(vbd);
    server_let_go(vbd);
    looking_close(vbd);
}

/* ---- What is recorded. ------------------------------------------------------------------------------------------------------- */

static bool vbd_connection_is_valid(const struct backend_connection *connection)
{
    return frontend_connection_is_valid((const struct blkback_connection *)connection);
}

static unsigned vbd_rings(const struct backend_connection *connection, struct ring_layout ret_layouts[])
{
    const struct blkback_connection *own = (const struct blkback_connection *)connection;

    for (uint32_t i = 0; i < own->queue_count; i++)
        ret_layouts[i] = blkif_layout((enum blkif_abi)own->abi, own->ring_order);
    return own->queue_count;
}

static int vbd_record(struct device *device, struct backend_connection *connection)
{
    struct vbd *vbd = vbd_of(device);

    int err = server_record(vbd);

    if (err < 0)
        return err;
    ((struct blkback_connection *)connection)->image = looking_describe(vbd);
    return save_image(vbd, connection->generation);
}

static int vbd_reload(struct device *device, const struct backend_connection *recorded, struct backend_error *ret_error)
{
    const struct blkback_image *was = &((const struct blkback_connection *)recorded)->image;
    struct vbd *vbd = vbd_of(device);
    int err = read_image_for(vbd, ret_error);

    if (err < 0)
        return err;
    if (device->backend == NULL && vbd->image.generation != recorded->generation) {
        snprintf(ret_error->text, sizeof(ret_error->text), "the image that is recorded is of another connection");
        return -ENOTCONN;
    }
    if (strcmp(was->kind, disk_kind_name(vbd->image.source.kind)) != 0 || was->read_only != vbd->image.read_only) {
        snprintf(ret_error->text, sizeof(ret_error->text), "it was connected with another kind of disk or mode");
        return -EINVAL;
    }
    err = device->backend != NULL ? save_image(vbd, recorded->generation) : 0;
    if (err < 0)
        snprintf(ret_error->text, sizeof(ret_error->text), "its image cannot be recorded: %s", strerror(-err));
    return err;
}

/* ---- Workers. ---------------------------------------------------------------------------------------------------------------- */

static int vbd_message(struct device *device, const struct backend_head *head)
{
    const struct blkback_message *message = (const struct blkback_message *)head;

    switch (head->type) {
    case BLKBACK_CHECKED:
        return looking_checked(vbd_of(device), message);
    case BLKBACK_PARENT:
        return looking_parent(vbd_of(device), message);
    case BLKBACK_RESIZED:
        return resize_answered(vbd_of(device), message);
    case BLKBACK_DIAL:
        return server_dial(vbd_of(device), message);
    case BLKBACK_DESCRIBED:
        return snapshot_described(vbd_of(device), message);
    case BLKBACK_COALESCED:
        return coalesce_answered(vbd_of(device), message);
    default:
        return -EPROTO;
    }
}

static void vbd_connect(struct device *device, const struct serve_order *order)
{
    struct vbd *vbd = vbd_of(device);
    struct blkback_message message = {.connect = {.connection = vbd->connection,
                                                  .limits = limits_tell(vbd),
                                                  .recover = order->recover,
                                                  .crashed = device->crashed,
                                                  .pardon = device->pardon,
                                                  .attempts_max = (uint32_t)vbd_daemon(vbd)->config.attempts_max,
                                                  .parents = vbd->chain.count,
                                                  .discard = vbd->image.discard,
                                                  .server = server_describe(vbd)}};
    const int placeholder = server_has(vbd) ? server_placeholder() : -1;
    int fds[BLKBACK_CONNECT_FDS + BLKBACK_PARENTS_MAX] = {server_has(vbd) ? placeholder : vbd->image_fd, order->journal,
                                                          order->counters};

    memcpy(fds + BLKBACK_CONNECT_FDS, vbd->chain.parents, vbd->chain.count * sizeof(fds[0]));
    serve_tell(device, BACKEND_CONNECT, &message.head, fds, BLKBACK_CONNECT_FDS + vbd->chain.count);
    if (placeholder >= 0)
        close(placeholder);
}

static int vbd_connected(struct device *device, const struct backend_head *message)
{
    struct vbd *vbd = vbd_of(device);
    int err = offer_disk(vbd);

    (void)message;
    limits_served(vbd);
    if (err == 0)
        log_info(&device->log, "connected: %s, %" PRIu64 " bytes%s, %u parents, %" PRIu32 " queues, rings of %u pages",
                 vbd->image.spec, vbd->sectors * DISK_SECTOR_SIZE, vbd->image.read_only ? ", read-only" : "",
                 vbd->chain.count, vbd->connection.queue_count, 1u << vbd->connection.ring_order);
    return err;
}

static void vbd_recovered(struct device *device, const struct backend_head *message)
{
    struct vbd *vbd = vbd_of(device);

    limits_served(vbd);
    suspects_recovered(device, message);
    resize_succeeded(vbd);
    snapshot_succeeded(vbd);
    coalesce_succeeded(vbd, device->crashed);
}

/* As far as it can be told: its path may name another file by now. */
static bool vbd_held_is_own(const struct device *device, const int *fds, unsigned fd_count)
{
    const bool read_only = vbd_of_const(device)->image.read_only;

    if (server_has(vbd_of_const(device)) || server_can_hold(fds[0]))
        return server_has(vbd_of_const(device)) && server_can_hold(fds[0]) && fd_count == 1;
    return (fcntl(fds[0], F_GETFL) & O_ACCMODE) == (read_only ? O_RDONLY : O_RDWR) &&
           disk_source_lock(fds[0], read_only) == 0 && chain_held_is_own(fds + 1, fd_count - 1);
}

static void vbd_claim(struct device *device, const int *fds, unsigned fd_count)
{
    struct vbd *vbd = vbd_of(device);

    looking_close(vbd);
    if (server_has(vbd)) {
        server_claim(vbd, fds[0]);
        for (unsigned i = 1; i < fd_count; i++)
            close(fds[i]);
    } else {
        vbd->image_fd = fds[0];
        chain_claim(vbd, fds + 1, fd_count - 1);
    }
    resize_succeeded(vbd);
    if (device->state == DEVICE_DISCONNECTING)
        return;
    limits_adopted(vbd);
    coalesce_succeeded(vbd, false);
}

/* Tells the worker whose disks it serves, and within which bounds. */
static int vbd_serve(struct guest *guest, const int fds[BACKEND_SERVE_FDS])
{
    const struct blkback *blkback = blkback_of_const(guest->backend);
    const struct blkback_config *config = &blkback->config;
    struct blkback_message message = {.head = {.type = BACKEND_SERVE},
                                      .serve = {.domid = guest->domid,
                                                .poll_time_us = (uint32_t)config->poll_time,
                                                .poll_percent = (uint32_t)config->poll_budget,
                                                .grant_slot = blkback_guest_of_const(guest)->slot}};
    int all[BACKEND_SERVE_FDS + 1];

    memcpy(all, fds, BACKEND_SERVE_FDS * sizeof(fds[0]));
    all[BACKEND_SERVE_FDS] = blkback->budget;
    return guest_say(guest, &message.head, all, sizeof(all) / sizeof(all[0]));
}

/* ---- What is to be seen. ----------------------------------------------------------------------------------------------------- */

static const char *vbd_activity(const struct device *device)
{
    static const char *const names[] = {"opening", "checking", "waiting-for-image", "measuring"};
    static_assert(sizeof(names) / sizeof(names[0]) == VBD_STEPS, "one name a step");

    return names[vbd_of_const(device)->step];
}

static const char *vbd_subject(const struct device *device)
{
    return vbd_of_const(device)->image.source.path;
}

static bool vbd_post(struct device *device, const char *verb, struct control_request *request)
{
    return resize_post(device, verb, request) || snapshot_post(device, verb, request) ||
           coalesce_post(device, verb, request);
}

static bool vbd_waits_for_others(const struct device *device)
{
    return lock_is_waited_for(vbd_of_const(device));
}

const struct backend_kind vbd_kind = {
    .daemon = "blkbackd",
    .run_dir = "blkback",
    .noun = "disk",
    .is_exclusive = true,

    .device_size = sizeof(struct vbd),
    .guest_size = sizeof(struct blkback_guest),
    .message_size = sizeof(struct blkback_message),
    .protocol_version = BLKBACK_PROTOCOL_VERSION,

    .connection_offset = offsetof(struct vbd, connection),
    .connection_size = sizeof(struct blkback_connection),
    .connection_version = BLKBACK_CONNECTION_VERSION,
    .counters_size = sizeof(struct blkback_counters),
    .connection_is_valid = vbd_connection_is_valid,
    .rings = vbd_rings,

    .guest_init = mappings_assign,
    .guest_fenced = mappings_reclaim,
    .serve = vbd_serve,
    .sweep = ram_sweep,

    .init = vbd_init,
    .fini = vbd_fini,
    .meet = vbd_meet,
    .part = vbd_part,
    .discard = vbd_discard,

    .prepare = vbd_prepare,
    .offer = vbd_offer,
    .read_front = vbd_read_front,
    .acquire = vbd_acquire,
    .secure = vbd_secure,
    .cancel = vbd_cancel,
    .let_go = vbd_let_go,

    .record = vbd_record,
    .reload = vbd_reload,

    .ask = looking_ask,
    .message = vbd_message,
    .connect = vbd_connect,
    .connected = vbd_connected,
    .recovered = vbd_recovered,
    .parked = suspects_parked,
    .held_check = chain_held_check,
    .held_is_own = vbd_held_is_own,
    .claim = vbd_claim,

    .activity = vbd_activity,
    .subject = vbd_subject,
    .waits_for_others = vbd_waits_for_others,
    .report = report_vbd,
    .metrics = report_metrics,
    .post = vbd_post,
};

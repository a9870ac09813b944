/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. The image keeps its name, so that what the toolstack has written stays true: what bears it after the snapshot is a new child,
 * and the content so far, which nobody writes any more, gets the name the operator gives (snapshot_files.c).
 *
 *   supervisor                                              worker
 *   BLKBACK_DESCRIBE                                    ->
 *                                                       <-  BLKBACK_DESCRIBED: what a child must know of the image
 *   errand: the child is made
 *   has the worker replaced (backend/replace.c)         ->  answers what is in flight, and ends
 *   errand: the child takes the image's place               (its successor waits for what it is given)
 *   BACKEND_CONNECT [child, ..., image, parents...]     ->  takes the rings over, as any successor
 *
 * So an image is never renamed under a worker that uses it, and what a guest sees is a successor, as after any death. Whatever dies, and when: before the
 * rename the disk is what it was, after it all is done, for the image is found by its name. Who dies in between leaves a record, `snapshot` in the run
 * directory, of what may have to be removed: the next supervisor does so.
 */
#include "snapshot.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <backend/backend.h>
#include <backend/guest.h>
#include <backend/replace.h>
#include <backend/report.h>
#include <backend/serve.h>
#include <service/control.h>
#include <supervise/rundir.h>

#include "lock.h"
#include "snapshot_files.h"
#include "vbd.h"

#define RECORD_FILE    "snapshot"
#define RECORD_VERSION 1u

/* Workers that one snapshot may use up by asking. */
#define DEATHS_MAX 3u

struct record {
    uint32_t version; /* RECORD_VERSION */
    uint32_t reserved;
    struct snapshot_files files;
};

static struct event_base *base_of(const struct vbd *vbd)
{
    return device_backend(&vbd->device)->base;
}

/* ---- Its end. ------------------------------------------------------------------------------------------------------------------ */

static void finish(struct vbd *vbd)
{
    struct snapshot *snapshot = &vbd->snapshot;

    if (snapshot->child >= 0)
        close(snapshot->child);
    free(snapshot->files);
    snapshot->files = NULL;
    snapshot->child = -1;
    snapshot->unwanted = snapshot->asked = false;
    snapshot->step = SNAPSHOT_NONE;
    device_remove_file(&vbd->device, RECORD_FILE);
}

static void on_cleared(void *arg, int result, int fd, const struct disk_error *error)
{
    struct vbd *vbd = arg;

    (void)fd;
    vbd->snapshot.errand = NULL;
    if (result < 0)
        log_warning(&vbd->device.log, "what is left of a snapshot cannot be removed: %s", error->text);
    finish(vbd);
}

static void clear(struct vbd *vbd)
{
    struct snapshot *snapshot = &vbd->snapshot;

    if (snapshot->child >= 0)
        close(snapshot->child); /* and unlock it */
    snapshot->child = -1;
    snapshot->step = SNAPSHOT_CLEARING;
    if (snapshot_files_clear(base_of(vbd), snapshot->files, on_cleared, vbd, &snapshot->errand) < 0)
        finish(vbd);
}

/* The reason, which a worker's need not end in a NUL, is kept. */
static void fail(struct vbd *vbd, const char *reason)
{
    struct snapshot *snapshot = &vbd->snapshot;

    snprintf(snapshot->error, sizeof(snapshot->error), "%.*s", (int)sizeof(snapshot->error) - 1, reason);
    log_warning(&vbd->device.log, "no snapshot is made: %s", snapshot->error);
    if (snapshot->step == SNAPSHOT_DESCRIBING)
        finish(vbd);
    else
        clear(vbd);
}

/* ---- Between two workers. -------------------------------------------------------------------------------------------------------- */

static void on_swapped(void *arg, int result, int fd, const struct disk_error *error)
{
    struct vbd *vbd = arg;
    struct snapshot *snapshot = &vbd->snapshot;
    const bool unwanted = snapshot->unwanted;

    snapshot->errand = NULL;
    if (result < 0) {
        fail(vbd, error->text);
    } else {
        log_info(&vbd->device.log, "%s is a new child of %s now", snapshot->files->image, snapshot->files->name);
        if (unwanted) {
            close(fd);
        } else {
            chain_push(vbd, snapshot->child, fd);
            snapshot->child = -1;
        }
        finish(vbd);
    }
    if (!unwanted && vbd->device.state == DEVICE_RECOVERING && vbd->device.guest->state == GUEST_SERVED)
        lock_image(vbd); /* else when there is a worker again */
}

bool snapshot_intervenes(struct vbd *vbd)
{
    struct snapshot *snapshot = &vbd->snapshot;
    int err;

    if (snapshot->step == SNAPSHOT_SWAPPING)
        return true; /* for one whose successor has come by now */
    if (snapshot->step != SNAPSHOT_READY || vbd->image_fd < 0)
        return false;
    snapshot->step = SNAPSHOT_SWAPPING;
    err = snapshot_files_swap(base_of(vbd), snapshot->files, vbd->image_fd, snapshot->child, on_swapped, vbd,
                              &snapshot->errand);
    if (err == 0)
        return true;
    fail(vbd, strerror(-err));
    return false;
}

/* ---- Before that. ------------------------------------------------------------------------------------------------------------------ */

static void on_made(void *arg, int result, int fd, const struct disk_error *error)
{
    struct vbd *vbd = arg;
    struct snapshot *snapshot = &vbd->snapshot;

    snapshot->errand = NULL;
    snapshot->child = fd;
    if (result < 0) {
        fail(vbd, error->text);
    } else if (snapshot->unwanted) {
        clear(vbd);
    } else {
        snapshot->step = SNAPSHOT_READY;
        replace_ask(vbd->device.guest);
    }
}

static int save(const struct vbd *vbd)
{
    struct record record = {.version = RECORD_VERSION, .files = *vbd->snapshot.files};

    return rundir_write(vbd->device.dir, RECORD_FILE, &record, sizeof(record));
}

static void make(struct vbd *vbd, uint64_t size, const uint8_t uuid[DISK_UUID_SIZE])
{
    struct snapshot *snapshot = &vbd->snapshot;
    int err = save(vbd);

    if (err == 0)
        err = snapshot_files_make(base_of(vbd), snapshot->files, vbd->image_fd, size, uuid, on_made, vbd,
                                  &snapshot->errand);
    if (err < 0)
        fail(vbd, strerror(-err));
    else
        snapshot->step = SNAPSHOT_MAKING;
}

int snapshot_described(struct vbd *vbd, const struct blkback_message *message)
{
    struct snapshot *snapshot = &vbd->snapshot;

    if (vbd->device.state == DEVICE_DISCONNECTING)
        return 0; /* overtaken */
    if (vbd->device.state != DEVICE_CONNECTED)
        return -EPROTO;
    if (!snapshot->asked)
        return 0; /* an earlier supervisor had asked */
    serve_replied(&vbd->device, true);
    snapshot->asked = false;
    if (message->head.result < 0)
        fail(vbd, message->head.reason);
    else if (message->described.size / DISK_SECTOR_SIZE < vbd->sectors)
        return -EPROTO;
    else
        make(vbd, message->described.size, message->described.uuid);
    return 0;
}

static void ask(struct vbd *vbd)
{
    struct blkback_message message = {.head = {.result = 0}};

    vbd->snapshot.asked = true;
    serve_tell(&vbd->device, BLKBACK_DESCRIBE, &message.head, NULL, 0);
}

void snapshot_succeeded(struct vbd *vbd)
{
    struct snapshot *snapshot = &vbd->snapshot;

    if (snapshot->step == SNAPSHOT_READY) { /* it was recovered while the child was made */
        replace_ask(vbd->device.guest);
        return;
    }
    snapshot->asked = false;
    if (snapshot->step != SNAPSHOT_DESCRIBING)
        return;
    if (++snapshot->deaths < DEATHS_MAX)
        ask(vbd);
    else
        fail(vbd, "its worker ended again and again");
}

/* ---- The operator. --------------------------------------------------------------------------------------------------------------- */

/* Why there can be none now, or NULL. */
static const char *find_obstacle(const struct vbd *vbd)
{
    if (vbd->device.state != DEVICE_CONNECTED)
        return "it is not connected; ringctl vhd snapshot works on images that are not in use";
    if (vbd->device.backend == NULL)
        return "xenstore is away";
    if (vbd->device.guest->state != GUEST_SERVED)
        return "its worker is being replaced";
    if (vbd->image.read_only)
        return "it is read-only";
    if (vbd_is_kind(vbd, "ram"))
        return "a RAM disk has no image";
    if (!vbd_is_kind(vbd, "vhd"))
        return "its image is raw, as its configuration says, and the child would be a VHD: ringctl vhd snapshot --raw "
               "makes one when it is not in use";
    if (vbd->resize.wanted != 0)
        return "it is being resized";
    if (snapshot_is_under_way(vbd))
        return "a snapshot of it is being made";
    if (coalesce_is_under_way(vbd))
        return "it is being coalesced";
    if (vbd->snapshot.step != SNAPSHOT_NONE)
        return "what is left of an earlier snapshot is being removed";
    return NULL;
}

/* Takes the wish. Returns 0, or an HTTP status with the reason in `ret_error`. */
static int wish(struct vbd *vbd, const char *file, struct disk_error *ret_error)
{
    struct snapshot *snapshot = &vbd->snapshot;
    const char *obstacle = find_obstacle(vbd);

    if (obstacle != NULL) {
        snprintf(ret_error->text, sizeof(ret_error->text), "%s", obstacle);
        return 409;
    }
    if (vbd->chain.count == BLKBACK_PARENTS_MAX) {
        snprintf(ret_error->text, sizeof(ret_error->text), "it has %u parents, which is as many as there can be",
                 vbd->chain.count);
        return 409;
    }
    snapshot->files = malloc(sizeof(*snapshot->files));
    if (snapshot->files == NULL) {
        snprintf(ret_error->text, sizeof(ret_error->text), "out of memory");
        return 503;
    }
    if (snapshot_files_name(vbd->image_fd, file, snapshot->files, ret_error) < 0) {
        free(snapshot->files);
        snapshot->files = NULL;
        return 409;
    }
    snapshot->error[0] = '\0';
    snapshot->deaths = 0;
    snapshot->step = SNAPSHOT_DESCRIBING;
    ask(vbd);
    return 0;
}

/* Where the content will be. */
static void locate(const struct snapshot_files *files, char ret_path[PATH_MAX])
{
    const size_t folder = (size_t)(strrchr(files->image, '/') - files->image);

    if (snprintf(ret_path, PATH_MAX, "%.*s/%s", (int)folder, files->image, files->name) >= PATH_MAX)
        ret_path[0] = '\0';
}

bool snapshot_post(struct device *device, const char *verb, struct control_request *request)
{
    struct vbd *vbd = vbd_of(device);
    struct disk_error error = {""};
    char path[PATH_MAX];
    json_t *body;
    const char *file;
    int status;

    if (strcmp(verb, "snapshot") != 0)
        return false;
    body = control_request_body(request);
    file = json_string_value(json_object_get(body, "file"));
    status = file == NULL ? 400 : wish(vbd, file, &error);
    if (status == 0) {
        locate(vbd->snapshot.files, path);
        control_reply(request, json_pack("{s:I, s:I, s:s}", "domid", (json_int_t)device->guest->domid, "devid",
                                         (json_int_t)device->devid, "file", path));
    } else {
        control_reply_error(request, status, "%s", file == NULL ? "file is to be a path" : error.text);
    }
    json_decref(body);
    return true;
}

/* ---- Coming and going. ------------------------------------------------------------------------------------------------------------ */

void snapshot_init(struct vbd *vbd)
{
    struct record record;

    vbd->snapshot.child = -1;
    if (rundir_read(vbd->device.dir, RECORD_FILE, &record, sizeof(record)) < 0 || record.version != RECORD_VERSION)
        return;
    record.files.image[sizeof(record.files.image) - 1] = '\0';
    record.files.name[sizeof(record.files.name) - 1] = '\0';
    vbd->snapshot.files = malloc(sizeof(*vbd->snapshot.files));
    if (vbd->snapshot.files == NULL)
        return;
    *vbd->snapshot.files = record.files;
    log_info(&vbd->device.log,
             "a snapshot was being made when the last supervisor ended; what is left of it is removed");
    clear(vbd);
}

void snapshot_fini(struct vbd *vbd)
{
    errand_cancel(vbd->snapshot.errand);
    if (vbd->snapshot.child >= 0)
        close(vbd->snapshot.child);
    free(vbd->snapshot.files);
}

void snapshot_forget(struct vbd *vbd)
{
    struct snapshot *snapshot = &vbd->snapshot;

    switch (snapshot->step) {
    case SNAPSHOT_DESCRIBING:
        finish(vbd);
        break;
    case SNAPSHOT_READY:
        clear(vbd);
        break;
    case SNAPSHOT_MAKING:
    case SNAPSHOT_SWAPPING:
        snapshot->unwanted = true;
        break;
    default:
        break;
    }
}

bool snapshot_is_under_way(const struct vbd *vbd)
{
    return vbd->snapshot.step > SNAPSHOT_CLEARING;
}

bool snapshot_holds_image(const struct vbd *vbd)
{
    return vbd->snapshot.step == SNAPSHOT_SWAPPING;
}

json_t *snapshot_report(const struct vbd *vbd)
{
    static const char *const names[] = {"none", "clearing", "describing", "making", "ready", "swapping"};
    static_assert(sizeof(names) / sizeof(names[0]) == SNAPSHOT_STEPS, "one name a step");
    char path[PATH_MAX];
    json_t *report;

    if (vbd->snapshot.files == NULL)
        return json_null();
    locate(vbd->snapshot.files, path);
    report = json_object();
    report_put_text(&report, "file", path);
    report_put_text(&report, "step", names[vbd->snapshot.step]);
    return report;
}

/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. The worker does all of it (worker/coalesce.c), and says when the image needs its parents no more:
 *
 *   supervisor                              worker
 *   BLKBACK_COALESCE [limit]            ->  copies, between the guest's requests
 *                                       <-  BLKBACK_COALESCED
 *   lets go of the parents; has the worker replaced, which has them open
 *
 * The wish is recorded, `coalesce` in the run directory, and said again to whoever serves the disk next, by whoever supervises it then; to a worker that
 * is at it that changes nothing. One that has nothing left to do says so at once. So whatever dies, it goes on: what was copied is only looked at.
 */
#include "coalesce.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <backend/guest.h>
#include <backend/replace.h>
#include <backend/report.h>
#include <service/control.h>
#include <supervise/rundir.h>

#include "vbd.h"

#define RECORD_FILE    "coalesce"
#define RECORD_VERSION 1u

/* Workers that may crash, one after the other, before it is given up. */
#define CRASHES_MAX 3u

struct record {
    uint32_t version; /* RECORD_VERSION */
    uint32_t reserved;
    uint64_t limit;
};

static void tell(struct vbd *vbd)
{
    struct blkback_message message = {.head = {.type = BLKBACK_COALESCE, .devid = vbd->device.devid},
                                      .coalesce = {.limit = vbd->coalesce.limit, .cancel = !vbd->coalesce.wanted}};

    vbd->coalesce.told = true;
    guest_tell(vbd->device.guest, &message.head, NULL, 0);
}

static void want_no_more(struct vbd *vbd)
{
    vbd->coalesce.wanted = false;
    device_remove_file(&vbd->device, RECORD_FILE);
}

int coalesce_answered(struct vbd *vbd, const struct blkback_message *message)
{
    struct coalesce *coalesce = &vbd->coalesce;
    struct device *device = &vbd->device;

    if (device->state == DEVICE_DISCONNECTING)
        return 0; /* overtaken */
    if (device->state != DEVICE_CONNECTED || message->head.result > 0)
        return -EPROTO;
    if (message->head.result == -ECANCELED && coalesce->wanted)
        return 0; /* it was told to go on after all */
    coalesce->told = false;
    if (message->head.result == 0) {
        log_info(&device->log, "its image stands by itself now; %u parents are let go of", vbd->chain.count);
        if (vbd->chain.count > 0)
            replace_ask(device->guest); /* the worker has them open */
        chain_settle(vbd);
    } else if (message->head.result != -ECANCELED) {
        snprintf(coalesce->error, sizeof(coalesce->error), "%.*s", (int)sizeof(message->head.reason),
                 message->head.reason);
        log_warning(&device->log, "it cannot be coalesced: %s", coalesce->error);
    }
    want_no_more(vbd);
    return 0;
}

void coalesce_succeeded(struct vbd *vbd, bool crashed)
{
    struct coalesce *coalesce = &vbd->coalesce;

    if (coalesce->wanted && crashed && ++coalesce->crashes >= CRASHES_MAX) {
        snprintf(coalesce->error, sizeof(coalesce->error), "its workers crashed again and again");
        want_no_more(vbd);
    }
    if (coalesce->wanted || coalesce->told)
        tell(vbd); /* one that is not wanted any more may have been over before anybody knew */
}

void coalesce_forget(struct vbd *vbd)
{
    if (vbd->coalesce.wanted)
        want_no_more(vbd);
    vbd->coalesce = (struct coalesce){.wanted = false};
}

/* ---- The operator. ------------------------------------------------------------------------------------------------------------- */

/* Why it cannot be, or NULL. */
static const char *find_obstacle(const struct vbd *vbd, bool cancel)
{
    if (cancel)
        return vbd->coalesce.wanted ? NULL : "it is not being coalesced";
    if (vbd->device.state != DEVICE_CONNECTED)
        return "it is not connected; ringctl vhd coalesce works on images that are not in use";
    if (vbd->image.read_only)
        return "it is read-only";
    if (vbd->chain.count == 0)
        return "it has no parent";
    if (vbd->resize.wanted != 0)
        return "it is being resized";
    if (snapshot_is_under_way(vbd))
        return "a snapshot of it is being made";
    return NULL;
}

/* Takes the wish. Returns 0 or -errno. */
static int wish(struct vbd *vbd, bool cancel, uint64_t limit)
{
    const struct record record = {.version = RECORD_VERSION, .limit = limit};
    struct coalesce *coalesce = &vbd->coalesce;
    int err = 0;

    if (cancel) {
        want_no_more(vbd);
    } else {
        err = rundir_write(vbd->device.dir, RECORD_FILE, &record, sizeof(record));
        if (err < 0)
            return err;
        if (!coalesce->wanted)
            coalesce->crashes = 0;
        coalesce->error[0] = '\0';
        coalesce->limit = limit;
        coalesce->wanted = true;
    }
    if (vbd->device.state == DEVICE_CONNECTED && vbd->device.guest->state == GUEST_SERVED)
        tell(vbd); /* else its successor is told */
    return 0;
}

bool coalesce_post(struct device *device, const char *verb, struct control_request *request)
{
    struct vbd *vbd = vbd_of(device);
    const char *obstacle;
    json_int_t limit;
    json_t *body;
    bool cancel;
    int err;

    if (strcmp(verb, "coalesce") != 0)
        return false;
    body = control_request_body(request);
    cancel = json_is_true(json_object_get(body, "cancel"));
    limit = json_integer_value(json_object_get(body, "limit"));
    json_decref(body);
    obstacle = find_obstacle(vbd, cancel);
    if (limit < 0) {
        control_reply_error(request, 400, "limit is a number of bytes");
    } else if (obstacle != NULL) {
        control_reply_error(request, 409, "%s", obstacle);
    } else if ((err = wish(vbd, cancel, (uint64_t)limit)) < 0) {
        control_reply_error(request, 503, "it cannot be recorded: %s", strerror(-err));
    } else {
        control_reply(request, json_pack("{s:I, s:I}", "domid", (json_int_t)device->guest->domid, "devid",
                                         (json_int_t)device->devid));
    }
    return true;
}

/* ---- What is to be seen. ----------------------------------------------------------------------------------------------------------- */

void coalesce_init(struct vbd *vbd)
{
    struct record record;

    if (rundir_read(vbd->device.dir, RECORD_FILE, &record, sizeof(record)) < 0 || record.version != RECORD_VERSION)
        return;
    vbd->coalesce.wanted = true;
    vbd->coalesce.limit = record.limit;
}

bool coalesce_is_under_way(const struct vbd *vbd)
{
    return vbd->coalesce.wanted || vbd->coalesce.told;
}

json_t *coalesce_report(const struct vbd *vbd, uint64_t pulled)
{
    const uint64_t size = vbd->sectors * DISK_SECTOR_SIZE;
    json_t *report;

    if (!vbd->coalesce.wanted)
        return json_null();
    report = json_object();
    report_put_number(&report, "done", pulled < size ? pulled : size);
    report_put_number(&report, "size", size);
    report_put(&report, "limit",
               vbd->coalesce.limit == 0 ? json_null() : json_integer((json_int_t)vbd->coalesce.limit));
    return report;
}

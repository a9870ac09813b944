/* SPDX-License-Identifier: MIT */
/*
 * Crashes as JSON. All text in them was checked when it was read (supervise/crash.c), and numbers from a worker are shown as numbers; those of 64
 * bits that stand for no amount as text, since JSON's have a sign.
 */
#include "report_crash.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <service/control.h>

#include "blkback.h"
#include "device.h"
#include "guest.h"

static json_t *hexadecimal(uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "0x%" PRIx64, value);
    return json_string(text);
}

static json_t *request_json(const struct blkback_request *request)
{
    return json_pack("{s:s, s:I, s:I, s:o, s:I}", "operation", parking_operation(request->code), "sector",
                     (json_int_t)(request->sector & INT64_MAX), "sectors", (json_int_t)request->sectors, "id",
                     hexadecimal(request->id), "attempts", (json_int_t)request->attempts);
}

/* What a crash says of itself, into an object; takes it over and returns it, or NULL when out of memory. */
static json_t *add_death(json_t *object, const struct death *death)
{
    const struct crash_report *report = &death->report;
    json_t *backtrace = json_array();
    json_t *told;

    for (uint32_t i = 0; i < report->frame_count && i < CRASH_FRAMES_MAX; i++)
        json_array_append_new(backtrace, json_string(report->frames[i]));
    if (report->signal != 0)
        told = json_pack("{s:s, s:I, s:o, s:o}", "death", death->reason, "signal", (json_int_t)report->signal,
                         "address", hexadecimal(report->address), "backtrace", backtrace);
    else
        told = json_pack("{s:s, s:n, s:n, s:o}", "death", death->reason, "signal", "address", "backtrace", backtrace);
    if (object == NULL || told == NULL || json_object_update(object, told) < 0) {
        json_decref(object);
        object = NULL;
    }
    json_decref(told);
    return object;
}

static json_t *suspects_json(const struct blkback_suspects *suspects)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < suspects->told && i < BLKBACK_SUSPECTS_TOLD; i++)
        json_array_append_new(list, request_json(&suspects->requests[i]));
    return list;
}

json_t *report_crash(const struct device *device)
{
    const struct death *death = &device->guest->death;

    if (death->when == 0)
        return json_null();
    return add_death(json_pack("{s:I, s:I, s:o}", "when", (json_int_t)death->when, "suspects",
                               (json_int_t)device->suspects.count, "requests", suspects_json(&device->suspects)),
                     death);
}

json_t *report_parked(const struct device *device)
{
    const struct parking *parking = &device->parking;

    if (device->state != DEVICE_PARKED)
        return json_null();
    return add_death(json_pack("{s:I, s:s, s:o}", "when", (json_int_t)parking->when, "version", parking->daemon,
                               "request", request_json(&parking->request)),
                     &parking->death);
}

void report_on_post(struct control_request *request, void *arg)
{
    const struct blkback *blkback = arg;
    const char *wanted = control_request_tail(request);
    const struct guest *guest;
    struct device *device;
    char name[48];

    LIST_FOREACH (guest, &blkback->guests, entry) {
        LIST_FOREACH (device, &guest->devices, entry) {
            snprintf(name, sizeof(name), "%" PRIu32 "/%" PRIu32 "/resume", guest->domid, device->devid);
            if (strcmp(name, wanted) != 0)
                continue;
            if (parking_resume(device) < 0)
                control_reply_error(request, 409, "%s %" PRIu32 "/%" PRIu32 " is not parked", blkback->config.kind,
                                    guest->domid, device->devid);
            else
                control_reply(request,
                              json_pack("{s:I, s:I, s:s}", "domid", (json_int_t)guest->domid, "devid",
                                        (json_int_t)device->devid, "activity", device_state_name(device->state)));
            return;
        }
    }
    control_reply_error(request, 404, "there is no %s to be resumed at %s", blkback->config.kind, wanted);
}

/* SPDX-License-Identifier: MIT */
/*
 * A worker tells of requests in the guest's own words, which are numbers and stay numbers.
 */
#include "suspects.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <backend/parking.h>
#include <ring/blkif.h>
#include <service/log.h>
#include <supervise/rundir.h>

#include "protocol.h"
#include "vbd.h"

_Static_assert(sizeof(struct blkback_request) <= PARKING_REQUEST_SIZE, "what a disk is parked for is kept");

const char *suspects_operation(uint32_t code)
{
    switch (code) {
    case BLKIF_CODE_READ:
        return "read";
    case BLKIF_CODE_WRITE:
        return "write";
    case BLKIF_CODE_BARRIER:
        return "barrier";
    case BLKIF_CODE_FLUSH:
        return "flush";
    case BLKIF_CODE_DISCARD:
        return "discard";
    default:
        return "unknown";
    }
}

void suspects_load(struct vbd *vbd)
{
    struct blkback_suspects *suspects = &vbd->suspects;

    if (rundir_read(vbd->device.dir, SUSPECTS_FILE, suspects, sizeof(*suspects)) < 0 ||
        suspects->told > BLKBACK_SUSPECTS_TOLD)
        memset(suspects, 0, sizeof(*suspects));
}

void suspects_recovered(struct device *device, const struct backend_head *message)
{
    const struct blkback_suspects *suspects = &((const struct blkback_message *)message)->suspects;

    if (suspects->count == 0 || suspects->told > BLKBACK_SUSPECTS_TOLD)
        return;
    vbd_of(device)->suspects = *suspects;
    int err = rundir_write(device->dir, SUSPECTS_FILE, suspects, sizeof(*suspects));
    if (err < 0)
        log_warning(&device->log, "the next supervisor will not know what was in flight: %s", strerror(-err));
}

void suspects_parked(struct device *device, const struct backend_head *message)
{
    const struct blkback_request *request = &((const struct blkback_message *)message)->parked;
    char text[128];

    /* Of an indirect request only the number of segments is known. */
    snprintf(text, sizeof(text), "a %s of %" PRIu32 " %s at %" PRIu64 " ended its worker %" PRIu32 " times",
             suspects_operation(request->code), request->segments > 0 ? request->segments : request->sectors,
             request->segments > 0 ? "segments" : "sectors", request->sector, request->attempts);
    parking_begin(device, request, sizeof(*request), text);
}

/* SPDX-License-Identifier: MIT */
/*
 * The toolstack's script, which is run at InitWait, would take whatever bears the tap's first name for the tap: it would put it into a bridge, and report
 * success. So a card waits for that name, InitWait unwritten, until it is free or the toolstack gives up. Over the last name a script fails by itself.
 */
#include "naming.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <backend/guest.h>
#include <service/log.h>

#include "netback.h"
#include "vif.h"
#include "waiting.h"

void naming_first(const struct vif *vif, char ret_name[TAP_NAME_SIZE])
{
    char name[TAP_NAME_SIZE + 16];

    /* One that is too long is nobody's. */
    snprintf(name, sizeof(name), "vif%" PRIu32 ".%" PRIu32, vif->device.guest->domid, vif->device.devid);
    snprintf(ret_name, TAP_NAME_SIZE, "%.*s", (int)TAP_NAME_SIZE - 1, name);
}

static const struct device *find(const struct vif *vif, const char *name)
{
    const struct backend *backend = device_backend(&vif->device);
    const struct device *other;
    char first[TAP_NAME_SIZE];

    for (other = device_first(backend); other != NULL; other = device_next(other)) {
        naming_first(vif_of_const(other), first);
        if (other != &vif->device && (strcmp(vif_of_const(other)->card.netdev, name) == 0 || strcmp(first, name) == 0))
            break;
    }
    return other;
}

const struct device *naming_find_namesake(const struct vif *vif, char ret_name[TAP_NAME_SIZE])
{
    const struct device *namesake;
    char name[TAP_NAME_SIZE];

    naming_first(vif, name);
    namesake = find(vif, name);
    if (namesake == NULL) {
        snprintf(name, sizeof(name), "%s", vif->card.netdev);
        namesake = find(vif, name);
    }
    if (namesake != NULL)
        memcpy(ret_name, name, sizeof(name));
    return namesake;
}

void naming_is_taken(struct vif *vif, const char *name, const char *reason)
{
    struct device *device = &vif->device;
    char first[TAP_NAME_SIZE];

    naming_first(vif, first);
    if (vif->card.switched || strcmp(name, first) != 0) {
        waiting_end(vif);
        device_give_up(device, -EEXIST, "%s", reason);
    } else if (vif->step != VIF_STEP_NAMING) {
        waiting_begin(vif, VIF_STEP_NAMING);
        log_error(&device->log, "waits: %s", reason);
    }
}

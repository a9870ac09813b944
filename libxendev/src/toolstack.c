/* SPDX-License-Identifier: MIT */
/*
 * What a toolstack does with a device: attach, ask for a detach, remove what is left.
 *
 * Theory of operation. The three directories of a device are those libxl makes: the front end's, the guest's own and
 * readable to us; the back end's, ours and readable to the guest; and, for a guest that libxl runs, libxl's own note of
 * the device under /libxl, without which `xl block-list` would not show it and `xl destroy` would leave it behind. Each
 * operation is one transaction, so nobody ever sees half a device.
 */
#include "xenbus_internal.h"

#include <errno.h>
#include <stdio.h>

#define TOOLSTACK_PATH_SIZE 192

struct toolstack_device {
    uint32_t domid;
    char front[TOOLSTACK_PATH_SIZE];
    char back[TOOLSTACK_PATH_SIZE];
    char home[TOOLSTACK_PATH_SIZE];       /* /local/domain/DOMID */
    char libxl_home[TOOLSTACK_PATH_SIZE]; /* /libxl/DOMID */
    char libxl[TOOLSTACK_PATH_SIZE];
    const char *const *backend_keys;
    const char *const *frontend_keys;
};

static int device_name(struct toolstack_device *device, const char *kind, uint32_t domid, uint32_t devid)
{
    device->domid = domid;
    snprintf(device->home, sizeof(device->home), "/local/domain/%u", domid);
    snprintf(device->libxl_home, sizeof(device->libxl_home), "/libxl/%u", domid);
    snprintf(device->libxl, sizeof(device->libxl), "/libxl/%u/device/%s/%u", domid, kind, devid);
    snprintf(device->back, sizeof(device->back), XENBUS_HOME "/backend/%s/%u/%u", kind, domid, devid);
    int length = snprintf(device->front, sizeof(device->front), "/local/domain/%u/device/%s/%u", domid, kind, devid);

    /* The longest prefix is the front end's or the back end's; both leave more room than this. */
    return length < 0 || length >= TOOLSTACK_PATH_SIZE - 32 ? -ENAMETOOLONG : 0;
}

static int write_keys(struct xendev_store *store, xendev_txn txn, const char *dir, const char *const *keys)
{
    int result = 0;

    for (; result == 0 && keys != NULL && keys[0] != NULL; keys += 2)
        result = xendev_store_write(store, txn, dir, keys[0], "%s", keys[1]);
    return result;
}

static int write_front(struct xendev_store *store, xendev_txn txn, const struct toolstack_device *device)
{
    int result = xendev_store_write(store, txn, device->front, NULL, "%s", "");

    if (result == 0)
        result = xendev_store_set_owner(store, txn, device->front, device->domid, 0);
    if (result == 0)
        result = xendev_store_write(store, txn, device->front, "backend", "%s", device->back);
    if (result == 0)
        result = xendev_store_write(store, txn, device->front, "backend-id", "0");
    if (result == 0)
        result = xendev_store_write(store, txn, device->front, "state", "%d", XENBUS_INITIALISING);
    return result < 0 ? result : write_keys(store, txn, device->front, device->frontend_keys);
}

static int write_back(struct xendev_store *store, xendev_txn txn, const struct toolstack_device *device,
                      const char *dir)
{
    int result = xendev_store_write(store, txn, dir, "frontend", "%s", device->front);

    if (result == 0)
        result = xendev_store_write(store, txn, dir, "frontend-id", "%u", device->domid);
    if (result == 0)
        result = xendev_store_write(store, txn, dir, "online", "1");
    if (result == 0)
        result = xendev_store_write(store, txn, dir, "state", "%d", XENBUS_INITIALISING);
    return result < 0 ? result : write_keys(store, txn, dir, device->backend_keys);
}

/* Refuses a device that is there, and a domain that is not. */
static int check_free(struct xendev_store *store, xendev_txn txn, const struct toolstack_device *device)
{
    int there = xenbus_dir_exists(store, txn, device->home);

    if (there <= 0)
        return there < 0 ? there : -ENOENT;
    there = xenbus_dir_exists(store, txn, device->back);
    if (there == 0)
        there = xenbus_dir_exists(store, txn, device->front);
    return there > 0 ? -EEXIST : there;
}

static int attach_body(struct xendev_store *store, xendev_txn txn, void *arg)
{
    const struct toolstack_device *device = arg;
    int result = check_free(store, txn, device);

    if (result == 0)
        result = write_front(store, txn, device);
    if (result == 0)
        result = xendev_store_write(store, txn, device->back, NULL, "%s", "");
    if (result == 0)
        result = xendev_store_set_owner(store, txn, device->back, 0, device->domid);
    if (result == 0)
        result = write_back(store, txn, device, device->back);
    if (result < 0)
        return result;

    int managed = xenbus_dir_exists(store, txn, device->libxl_home);
    if (managed <= 0)
        return managed;
    result = xendev_store_write(store, txn, device->libxl, "backend", "%s", device->back);
    return result < 0 ? result : write_back(store, txn, device, device->libxl);
}

int xendev_toolstack_attach(struct xendev_store *store, const char *kind, uint32_t domid, uint32_t devid,
                            const char *const *backend_keys, const char *const *frontend_keys)
{
    struct toolstack_device device = {.backend_keys = backend_keys, .frontend_keys = frontend_keys};
    int result = device_name(&device, kind, domid, devid);

    return result < 0 ? result : xendev_store_transact(store, attach_body, &device);
}

static int detach_body(struct xendev_store *store, xendev_txn txn, void *arg)
{
    const struct toolstack_device *device = arg;
    int there = xenbus_dir_exists(store, txn, device->back);

    if (there <= 0)
        return there < 0 ? there : -ENOENT;
    int result = xendev_store_write(store, txn, device->back, "online", "0");
    return result < 0 ? result : xendev_store_write(store, txn, device->back, "state", "%d", XENBUS_CLOSING);
}

int xendev_toolstack_detach(struct xendev_store *store, const char *kind, uint32_t domid, uint32_t devid)
{
    struct toolstack_device device;
    int result = device_name(&device, kind, domid, devid);

    return result < 0 ? result : xendev_store_transact(store, detach_body, &device);
}

static int forget_body(struct xendev_store *store, xendev_txn txn, void *arg)
{
    const struct toolstack_device *device = arg;
    int result = xenbus_remove_dir(store, txn, device->front, 1);

    if (result == 0)
        result = xenbus_remove_dir(store, txn, device->back, 1);
    return result < 0 ? result : xenbus_remove_dir(store, txn, device->libxl, 2);
}

int xendev_toolstack_forget(struct xendev_store *store, const char *kind, uint32_t domid, uint32_t devid)
{
    struct toolstack_device device;
    int result = device_name(&device, kind, domid, devid);

    return result < 0 ? result : xendev_store_transact(store, forget_body, &device);
}

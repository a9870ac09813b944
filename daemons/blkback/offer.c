/* SPDX-License-Identifier: MIT */
/*
 * The keys a back end writes, in two steps: what any front end may use, before it writes its part; and what the disk is, in one transaction,
 * before Connected. Names and meanings: xen/io/blkif.h. Multiple queues, indirect requests and discard are not offered: their keys are
 * not written.
 */
#include "offer.h"

#include <inttypes.h>

#include <ring/blkif.h>
#include <xen/io/blkif.h>
#include <xendev/store.h>

#include "blkback.h"
#include "device.h"
#include "guest.h"

static struct xendev_store *store_of(const struct device *device)
{
    return device->guest->blkback->store;
}

int offer_features(struct device *device)
{
    return xendev_store_write(store_of(device), XENDEV_NO_TXN, xendev_backend_path(device->backend),
                              "max-ring-page-order", "%u", BLKIF_RING_ORDER_MAX);
}

static int write_number(struct xendev_store *store, xendev_txn txn, const struct device *device, const char *key,
                        uint64_t value)
{
    return xendev_store_write(store, txn, xendev_backend_path(device->backend), key, "%" PRIu64, value);
}

static int write_disk(struct xendev_store *store, xendev_txn txn, void *arg)
{
    const struct device *device = arg;
    const bool writable = !device->image.read_only;
    int err = write_number(store, txn, device, "feature-flush-cache", writable);

    if (err == 0)
        err = write_number(store, txn, device, "feature-barrier", 0);
    if (err == 0)
        err = write_number(store, txn, device, "feature-persistent",
                           device->guest->blkback->config.persistent_grants > 0);
    if (err == 0)
        err = write_number(store, txn, device, "sectors", device->sectors);
    if (err == 0)
        err = write_number(store, txn, device, "info", writable ? 0 : VDISK_READONLY);
    if (err == 0)
        err = write_number(store, txn, device, "sector-size", device->sector_size);
    if (err == 0)
        err = write_number(store, txn, device, "physical-sector-size", device->physical_sector_size);
    return err;
}

int offer_disk(struct device *device)
{
    return xendev_store_transact(store_of(device), write_disk, device);
}

void offer_read_back(struct device *device)
{
    struct xendev_store *store = store_of(device);
    const char *path = xendev_backend_path(device->backend);

    /* For reports only: what cannot be read stays 0. */
    (void)xendev_store_read_u64(store, XENDEV_NO_TXN, path, "sectors", &device->sectors);
    (void)xendev_store_read_u32(store, XENDEV_NO_TXN, path, "sector-size", &device->sector_size);
    (void)xendev_store_read_u32(store, XENDEV_NO_TXN, path, "physical-sector-size", &device->physical_sector_size);
}

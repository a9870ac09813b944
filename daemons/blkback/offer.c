/* SPDX-License-Identifier: MIT */
/*
 * The keys a back end writes, in two steps: what any front end may use, before it writes its part; and what the disk is, in one transaction,
 * before Connected. Names and meanings: xen/io/blkif.h.
 *
 * What was offered before InitWait holds for the connection that follows, whatever the configuration says by then: it is read back.
 *
 * Flushes and barriers are offered of a disk that may be written. Linux flushes where it can, and then knows of no barriers. With barriers-only it is not
 * offered to, and sends data that must be durable at once (FUA) as a barrier; but it stops its kernel when such data would need an indirect request. So
 * these are not offered then, and where they were, before the configuration was read anew, flushes stay.
 *
 * Discards are offered of a disk that may be written, unless the toolstack said discard-enable=0: of any range, the sooner of use the more whole
 * multiples of the granularity are in it. They are secure of a RAM disk alone: else what was discarded may still be in the image, a parent, the file
 * system, or the device.
 */
#include "offer.h"

#include <inttypes.h>

#include <ring/blkif.h>
#include <xen/io/blkif.h>
#include <xendev/store.h>

#include "blkback.h"
#include "vbd.h"

#define INDIRECT_KEY "feature-max-indirect-segments"
#define QUEUES_KEY   "multi-queue-max-queues"

static int write_number(struct xendev_store *store, xendev_txn txn, const struct vbd *vbd, const char *key,
                        uint64_t value)
{
    return xendev_store_write(store, txn, xendev_backend_path(vbd->device.backend), key, "%" PRIu64, value);
}

static int write_discard(struct xendev_store *store, xendev_txn txn, const struct vbd *vbd)
{
    int err = write_number(store, txn, vbd, "feature-discard", vbd->discard_granularity > 0);

    if (err < 0 || vbd->discard_granularity == 0)
        return err;
    err = write_number(store, txn, vbd, "discard-granularity", vbd->discard_granularity);
    if (err == 0)
        err = write_number(store, txn, vbd, "discard-alignment", 0);
    if (err == 0)
        err = write_number(store, txn, vbd, "discard-secure", disk_kind_discards_securely(vbd->image.source.kind));
    return err;
}

static int write_features(struct xendev_store *store, xendev_txn txn, void *arg)
{
    const struct vbd *vbd = arg;
    const struct blkback_config *config = &vbd_daemon(vbd)->config;
    int err = write_number(store, txn, vbd, "max-ring-page-order", BLKIF_RING_ORDER_MAX);

    if (err == 0)
        err = write_number(store, txn, vbd, INDIRECT_KEY, config->barriers_only ? 0 : config->indirect_segments);
    if (err == 0)
        err = write_number(store, txn, vbd, QUEUES_KEY, vbd_daemon(vbd)->config.queues_max);
    return err;
}

int offer_features(struct vbd *vbd)
{
    return xendev_store_transact(device_store(&vbd->device), write_features, vbd);
}

/* A number of ours; `missing` when it is not there, `most` at most. */
static uint32_t read_number(const struct vbd *vbd, const char *key, uint32_t missing, uint32_t most)
{
    uint32_t number = missing;

    (void)xendev_store_read_u32(device_store(&vbd->device), XENDEV_NO_TXN, xendev_backend_path(vbd->device.backend),
                                key, &number);
    return number < most ? number : most;
}

uint32_t offer_indirect_segments(const struct vbd *vbd)
{
    return read_number(vbd, INDIRECT_KEY, 0, BLKIF_INDIRECT_SEGMENTS);
}

uint32_t offer_queues_max(const struct vbd *vbd)
{
    return read_number(vbd, QUEUES_KEY, 1, BLKBACK_QUEUES_MAX);
}

static int write_disk(struct xendev_store *store, xendev_txn txn, void *arg)
{
    const struct vbd *vbd = arg;
    const bool writable = !vbd->image.read_only;
    const bool flush = writable && (!vbd_daemon(vbd)->config.barriers_only || vbd->connection.indirect_segments > 0);
    int err = write_number(store, txn, vbd, "feature-flush-cache", flush);

    if (err == 0)
        err = write_number(store, txn, vbd, "feature-barrier", writable);
    if (err == 0)
        err = write_number(store, txn, vbd, "feature-persistent", vbd_daemon(vbd)->config.persistent_grants > 0);
    if (err == 0)
        err = write_discard(store, txn, vbd);
    if (err == 0)
        err = write_number(store, txn, vbd, "sectors", vbd->sectors);
    if (err == 0)
        err = write_number(store, txn, vbd, "info",
                           (writable ? 0u : VDISK_READONLY) | (vbd->image.cdrom ? VDISK_CDROM : 0u) |
                               (vbd->image.removable ? VDISK_REMOVABLE : 0u));
    if (err == 0)
        err = write_number(store, txn, vbd, "sector-size", vbd->sector_size);
    if (err == 0)
        err = write_number(store, txn, vbd, "physical-sector-size", vbd->physical_sector_size);
    return err;
}

int offer_disk(struct vbd *vbd)
{
    return xendev_store_transact(device_store(&vbd->device), write_disk, vbd);
}

void offer_read_back(struct vbd *vbd)
{
    struct xendev_store *store = device_store(&vbd->device);
    const char *path = xendev_backend_path(vbd->device.backend);

    /* For reports only: what cannot be read stays 0. */
    (void)xendev_store_read_u64(store, XENDEV_NO_TXN, path, "sectors", &vbd->sectors);
    (void)xendev_store_read_u32(store, XENDEV_NO_TXN, path, "sector-size", &vbd->sector_size);
    (void)xendev_store_read_u32(store, XENDEV_NO_TXN, path, "physical-sector-size", &vbd->physical_sector_size);
    (void)xendev_store_read_u32(store, XENDEV_NO_TXN, path, "discard-granularity", &vbd->discard_granularity);
}

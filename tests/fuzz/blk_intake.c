/* SPDX-License-Identifier: MIT */
/*
 * From a disk's requests, and the lists of segments in its guest's pages, to buffers for the disk: whatever the guest wrote, each request comes out once,
 * refused, or with buffers that are its own, as long as what it asks for, and within the disk. They are held
 * until nothing else finds memory.
 *
 * The input: ABI and what is offered; two bytes of limits; how many requests; those, each RING_REQUEST_MAX bytes; the guest's pages, whose references are 0 to
 * PAGES - 1.
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <ring/back.h>
#include <xendev/grant.h>

#include "blkback/worker/intake.h"

#define PAGES 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t guest[PAGES][XENDEV_PAGE_SIZE] __attribute__((aligned(XENDEV_PAGE_SIZE)));
static unsigned mapped;

int xendev_grants_map_optional(struct xendev_grants *grants, uint32_t domid, const uint32_t *grefs, unsigned count,
                               void **ret_address)
{
    (void)grants;
    (void)domid;
    assert(count == 1);
    if (grefs[0] >= PAGES)
        return -EFAULT;
    mapped++;
    *ret_address = guest[grefs[0]];
    return 0;
}

void xendev_grants_unmap(struct xendev_grants *grants, void *address, unsigned count)
{
    (void)grants;
    (void)address;
    (void)count;
    mapped--;
}

unsigned xendev_grants_copy(struct xendev_grants *grants, uint32_t domid, enum xendev_copy_direction direction,
                            struct xendev_copy *pieces, unsigned count)
{
    unsigned failed = 0;

    (void)grants;
    (void)domid;
    for (unsigned i = 0; i < count; i++) {
        struct xendev_copy *piece = &pieces[i];
        assert(piece->length > 0 && piece->offset + piece->length <= XENDEV_PAGE_SIZE);
        piece->status = piece->gref < PAGES ? 0 : -EFAULT;
        failed += piece->status != 0;
        if (piece->status != 0)
            continue;
        uint8_t *page = guest[piece->gref] + piece->offset;
        if (direction == XENDEV_COPY_FROM_GUEST)
            memcpy(piece->local, page, piece->length);
        else
            memcpy(page, piece->local, piece->length);
    }
    return failed;
}

/* Each buffer can be written, whole; it is the guest's own memory when it is said to be, and never otherwise. */
static void check(const struct intake *intake, struct slot *slot)
{
    const struct blkif_job *job = &slot->job;
    size_t length = 0;

    if (slot->fault != BLKIF_FAULT_NONE)
        return;
    assert(job->offset / BLKIF_SECTOR_SIZE <= intake->limits.sectors);
    assert(job->length / BLKIF_SECTOR_SIZE <= intake->limits.sectors - job->offset / BLKIF_SECTOR_SIZE);
    assert(!intake->limits.read_only || slot->drive.io.op == DISK_READ);
    assert((unsigned)slot->drive.io.iov_count <= slot->data.extent_count);
    for (int i = 0; i < slot->drive.io.iov_count; i++) {
        const struct iovec *iov = &slot->drive.io.iov[i];
        const uintptr_t at = (uintptr_t)iov->iov_base, pages = (uintptr_t)guest;
        assert(iov->iov_len > 0 && (at | iov->iov_len) % BLKIF_SECTOR_SIZE == 0);
        assert((at >= pages && at + iov->iov_len <= pages + sizeof(guest)) == slot->data.mapped);
        memset(iov->iov_base, 0x5a, iov->iov_len);
        length += iov->iov_len;
    }
    assert(length == job->length);
}

/* Moves what is bound, and lets go of it. */
static void finish(struct intake *intake, struct slot **slots, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct memory_data *data = &slots[i]->data;
        if (slots[i]->fault != BLKIF_FAULT_NONE)
            continue;
        memory_fetch(intake->memory, &data, 1);
        memory_deliver(intake->memory, &data, 1);
        memory_release(intake->memory, data);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct event_base *base;
    static struct blkback_queue_counters counters;
    struct slot *slots = calloc(INTAKE_MAX, sizeof(*slots)), *out[INTAKE_MAX];
    static uint8_t input[4 + INTAKE_MAX * RING_REQUEST_MAX + sizeof(guest)];
    struct intake intake = {.slots = slots, .counters = &counters};

    if (!base)
        base = event_base_new();
    memset(input, 0, sizeof(input));
    memcpy(input, data, size < sizeof(input) ? size : sizeof(input));
    memcpy(guest, input + 4 + INTAKE_MAX * RING_REQUEST_MAX, sizeof(guest));
    intake.abi = input[0] % BLKIF_ABIS;
    intake.limits = (struct blkif_limits){.sectors = UINT64_C(1) << input[1] % 56,
                                          .read_only = input[0] & 0x10,
                                          .flush = input[0] & 0x20,
                                          .barrier = input[0] & 0x40,
                                          .indirect_segments = input[2]};
    const struct memory_params params = {.base = base,
                                         .counters = &counters,
                                         .slots = INTAKE_MAX,
                                         .batch = INTAKE_MAX,
                                         .persistent = input[0] & 0x80 ? 3 : 0,
                                         .indirect = input[2]};
    assert(slots && memory_open(&params, &intake.memory) == 0);
    intake_init(&intake);

    const unsigned requests = input[3] % (INTAKE_MAX + 1);
    struct slot *held[INTAKE_MAX];
    unsigned added = 0, seen = 0, holding = 0;
    while (seen < requests) {
        unsigned count = intake_resume(&intake, out);
        while (added < requests && count + added - seen < INTAKE_MAX && intake_has_room(&intake)) {
            const struct ring_request request = {.bytes = input + 4 + added * RING_REQUEST_MAX, .index = added};
            intake_add(&intake, &request, added % 3 == 0);
            added++;
        }
        count = intake_accept(&intake, out, count);
        for (unsigned i = 0; i < count; i++) {
            check(&intake, out[i]);
            held[holding++] = out[i];
        }
        seen += count;
        if (count > 0 && seen < requests)
            continue;
        assert(holding > 0); /* one alone always finds memory */
        finish(&intake, held, holding);
        holding = 0;
    }
    assert(!intake_waits(&intake));
    memory_close(intake.memory);
    assert(mapped == 0);
    free(slots);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Another domain's pages: copied in batches, or mapped.
 *
 * Theory of operation. A copy of one piece that leaves its page makes the kernel refuse the whole batch, with statuses
 * that then say nothing; so every piece is checked here and a bad one never reaches the kernel, and when a call fails
 * all the same, no status of that batch is believed. Pieces of length 0 never reach it either: there is nothing to
 * copy, and the reference stays untouched. A page that the hypervisor has paged out or is about to share (GNTST_eagain)
 * is asked for again a few times; the kernel has by then waited for it itself.
 *
 * The segments of a batch are allocated with the handle: copying allocates nothing.
 *
 * Mappings are kept on a list, because closing the kernel's handle does not undo them.
 *
 * A process's first mapping takes all locks of its address space, which the kernel gives up with EINTR when anything is pending for the
 * thread. That needs no signal: a completion of io_uring does. It is gone on the way out of the call, so the call is made again.
 */
#include <xendev/grant.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/queue.h>

#include <xengnttab.h>
#include <xen/grant_table.h>

#include "budget.h"
#include "quiet.h"

#define GRANTS_BATCH   1024u /* segments in one call */
#define GRANTS_RETRIES 4u    /* of GNTST_eagain */
#define GRANTS_EINTR   64u   /* times a mapping is tried again after EINTR before the error is passed on */

struct mapping {
    void *address;
    uint32_t count;
    bool optional;            /* claimed of the budget */
    LIST_ENTRY(mapping) link; /* grants->mappings */
};
LIST_HEAD(mapping_list, mapping);

struct xendev_grants {
    xengnttab_handle *handle;
    struct xendev_grant_budget *budget; /* NULL: no limit */
    unsigned slot;
    uint32_t optional; /* references mapped by xendev_grants_map_optional() */
    struct mapping_list mappings;
    xengnttab_grant_copy_segment_t segments[GRANTS_BATCH];
    struct xendev_copy *pieces[GRANTS_BATCH]; /* of each segment */
};

int xendev_grants_open(struct xendev_grants **ret_grants)
{
    struct xendev_grants *grants = calloc(1, sizeof(*grants));
    if (grants == NULL)
        return -ENOMEM;
    grants->handle = xengnttab_open(xendev_quiet_logger(), 0);
    if (grants->handle == NULL) {
        int error = errno;
        free(grants);
        return -error;
    }
    *ret_grants = grants;
    return 0;
}

static int optional_claim(struct xendev_grants *grants, uint32_t count)
{
    if (count > XENDEV_OPTIONAL_MAX - grants->optional)
        return -ENOSPC;
    int result = grants->budget != NULL ? budget_claim(grants->budget, grants->slot, count) : 0;
    if (result == 0)
        grants->optional += count;
    return result;
}

static void optional_release(struct xendev_grants *grants, uint32_t count)
{
    grants->optional -= count;
    if (grants->budget != NULL)
        budget_release(grants->budget, grants->slot, count);
}

static void mapping_undo(struct xendev_grants *grants, struct mapping *mapping)
{
    /* The claim goes after the mapping: counted too long, never too short. */
    xengnttab_unmap(grants->handle, mapping->address, mapping->count);
    if (mapping->optional)
        optional_release(grants, mapping->count);
    LIST_REMOVE(mapping, link);
    free(mapping);
}

void xendev_grants_close(struct xendev_grants *grants)
{
    if (grants == NULL)
        return;
    for (struct mapping *mapping = LIST_FIRST(&grants->mappings), *next; mapping != NULL; mapping = next) {
        next = LIST_NEXT(mapping, link);
        mapping_undo(grants, mapping);
    }
    xengnttab_close(grants->handle);
    free(grants);
}

void xendev_grants_set_budget(struct xendev_grants *grants, struct xendev_grant_budget *budget, unsigned slot)
{
    grants->budget = budget;
    grants->slot = slot % XENDEV_BUDGET_SLOTS;
}

/* ---- Copying. ---- */

/* A piece as the kernel takes it. */
static void segment_fill(xengnttab_grant_copy_segment_t *segment, uint32_t domid, enum xendev_copy_direction direction,
                         const struct xendev_copy *piece)
{
    union xengnttab_copy_ptr guest = {
        .foreign = {.ref = piece->gref, .offset = piece->offset, .domid = (uint16_t)domid}};
    union xengnttab_copy_ptr local = {.virt = piece->local};
    bool from_guest = direction == XENDEV_COPY_FROM_GUEST;

    segment->source = from_guest ? guest : local;
    segment->dest = from_guest ? local : guest;
    segment->flags = from_guest ? GNTCOPY_source_gref : GNTCOPY_dest_gref;
    segment->len = piece->length;
    segment->status = GNTST_okay;
}

/* Copies the first `count` segments. Marks the pieces of those that are finished, moves the others (to be tried again)
 * to the front; returns how many those are. */
static unsigned batch_copy(struct xendev_grants *grants, unsigned count)
{
    bool called = xengnttab_grant_copy(grants->handle, count, grants->segments) == 0;
    unsigned again = 0;

    for (unsigned i = 0; i < count; i++) {
        int16_t status = grants->segments[i].status;

        if (called && status == GNTST_eagain) {
            grants->segments[again] = grants->segments[i];
            grants->segments[again].status = GNTST_okay;
            grants->pieces[again++] = grants->pieces[i];
        } else if (!called) {
            grants->pieces[i]->status = -EIO;
        } else {
            grants->pieces[i]->status = status == GNTST_okay ? 0 : -EFAULT;
        }
    }
    return again;
}

/* As batch_copy(), until nothing is left. */
static void batch_run(struct xendev_grants *grants, unsigned count)
{
    for (unsigned attempt = 0; count > 0 && attempt <= GRANTS_RETRIES; attempt++)
        count = batch_copy(grants, count);
    for (unsigned i = 0; i < count; i++)
        grants->pieces[i]->status = -EFAULT;
}

unsigned xendev_grants_copy(struct xendev_grants *grants, uint32_t domid, enum xendev_copy_direction direction,
                            struct xendev_copy *pieces, unsigned count)
{
    unsigned filled = 0, failed = 0;

    for (unsigned i = 0; i < count; i++) {
        struct xendev_copy *piece = &pieces[i];

        piece->status = 0;
        if (piece->offset > XENDEV_PAGE_SIZE || piece->length > XENDEV_PAGE_SIZE - piece->offset ||
            domid >= DOMID_FIRST_RESERVED) {
            piece->status = -EINVAL;
            continue;
        }
        if (piece->length == 0)
            continue;
        segment_fill(&grants->segments[filled], domid, direction, piece);
        grants->pieces[filled++] = piece;
        if (filled == GRANTS_BATCH) {
            batch_run(grants, filled);
            filled = 0;
        }
    }
    batch_run(grants, filled);

    for (unsigned i = 0; i < count; i++)
        failed += pieces[i].status != 0;
    return failed;
}

/* ---- Mapping. ---- */

/* The library's call, made again when it was interrupted. NULL and errno when it failed. */
static void *map_refs(struct xendev_grants *grants, uint32_t domid, const uint32_t *grefs, unsigned count)
{
    void *address = NULL;

    /* The library takes the references as writable and only reads them. */
    for (unsigned attempt = 0; attempt <= GRANTS_EINTR; attempt++) {
        address =
            xengnttab_map_domain_grant_refs(grants->handle, count, domid, (uint32_t *)grefs, PROT_READ | PROT_WRITE);
        if (address != NULL || errno != EINTR)
            break;
    }
    return address;
}

static int map(struct xendev_grants *grants, uint32_t domid, const uint32_t *grefs, unsigned count, bool optional,
               void **ret_address)
{
    if (count == 0 || domid >= DOMID_FIRST_RESERVED)
        return -EINVAL;
    struct mapping *mapping = calloc(1, sizeof(*mapping));
    if (mapping == NULL)
        return -ENOMEM;

    int result = optional ? optional_claim(grants, count) : 0;
    if (result < 0)
        goto free_mapping;

    mapping->address = map_refs(grants, domid, grefs, count);
    if (mapping->address == NULL) {
        /* A reference that cannot be mapped is EINVAL to the kernel. */
        result = errno == EINVAL ? -EFAULT : -errno;
        goto release_claim;
    }
    mapping->count = count;
    mapping->optional = optional;
    LIST_INSERT_HEAD(&grants->mappings, mapping, link);
    *ret_address = mapping->address;
    return 0;

release_claim:
    if (optional)
        optional_release(grants, count);
free_mapping:
    free(mapping);
    return result;
}

int xendev_grants_map(struct xendev_grants *grants, uint32_t domid, const uint32_t *grefs, unsigned count,
                      void **ret_address)
{
    return map(grants, domid, grefs, count, false, ret_address);
}

int xendev_grants_map_optional(struct xendev_grants *grants, uint32_t domid, const uint32_t *grefs, unsigned count,
                               void **ret_address)
{
    return map(grants, domid, grefs, count, true, ret_address);
}

void xendev_grants_unmap(struct xendev_grants *grants, void *address, unsigned count)
{
    struct mapping *mapping = NULL;

    LIST_FOREACH (mapping, &grants->mappings, link) {
        if (mapping->address == address && mapping->count == count) {
            mapping_undo(grants, mapping);
            return;
        }
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * libxengnttab's mapping side on the simulator: map, unmap, grant copy.
 *
 * Mapping asks the broker, which checks and counts, then maps pages of the granting domain's memfd.  Grant copy never asks: the
 * handle keeps each domain's whole memory mapped from the first copy on, checks the grant word in shared memory and copies.
 * While it does, its copier sequence is odd; the broker gives a revoked page back only after it has seen every copier at rest.
 */
#include "gnttab.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fault.h"

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned open_flags)
{
    (void)logger;
    return sim_gnt_open(SIM_KIND_GNTTAB, open_flags);
}

int xengnttab_close(xengnttab_handle *xgt)
{
    return sim_gnt_close(xgt);
}

int xengnttab_fd(xengnttab_handle *xgt)
{
    return xgt->client.fd;
}

int xengnttab_set_max_grants(xengnttab_handle *xgt, uint32_t nr_grants)
{
    (void)xgt, (void)nr_grants; /* as Linux since 4.x: accepted and without effect */
    return 0;
}

/* The descriptor of the memory of domain @slot, read-only unless @writable; -1 and errno. */
static int memory_fd(xengnttab_handle *xgt, uint32_t slot, bool writable, uint32_t *ret_generation)
{
    struct sim_request request = {.op = SIM_OP_MEMORY, .arg = {slot}};
    struct sim_reply reply;
    int fds[2];

    if (sim_client_call(&xgt->client, &request, NULL, 0, &reply, NULL, 0, fds, 2))
        return -1;
    close(fds[writable ? 1 : 0]);
    *ret_generation = reply.value[0];
    return fds[writable ? 0 : 1];
}

/* Map the pages the broker has granted us: pairs[i] is page pairs[i].ref of domain slots[i].  @fd is the memory of slots[0]; taken
 * over. */
static int pages_map(xengnttab_handle *xgt, uint8_t *address, uint32_t count, const struct sim_ref *pairs,
                     const uint32_t *slots, int prot, int fd)
{
    uint32_t refs[64], generation, slot = slots[0], n;
    int error = 0;

    for (uint32_t i = 0; i < count && !error; i += n) {
        if (slots[i] != slot) {
            close(fd);
            slot = slots[i];
            fd = memory_fd(xgt, slot, prot & PROT_WRITE, &generation);
            if (fd < 0)
                return -1;
        }
        for (n = 0; n < 64 && i + n < count && slots[i + n] == slot; n++)
            refs[n] = pairs[i + n].ref;
        error = sim_region_map(address + (size_t)i * SIM_PAGE, n, refs, prot, fd);
    }
    close(fd);
    return error;
}

static void *map_pairs(xengnttab_handle *xgt, const struct sim_ref *pairs, uint32_t count, int prot,
                       uint32_t notify_offset, uint32_t notify_port)
{
    struct sim_request request = {
        .op = SIM_OP_MAP, .count = count, .arg = {(uint32_t)prot, notify_offset, notify_port}};
    struct sim_request undo = {.op = SIM_OP_UNMAP};
    size_t size = (size_t)count * SIM_PAGE;
    struct sim_reply reply;
    uint8_t *address;
    uint32_t *slots;
    int fd, saved;

    slots = malloc(count * sizeof(*slots));
    if (!slots)
        return NULL;
    if (sim_client_call(&xgt->client, &request, pairs, count * sizeof(*pairs), &reply, slots, count * sizeof(*slots),
                        &fd, 1)) {
        free(slots);
        return NULL;
    }
    address = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED)
        close(fd);
    else if (!pages_map(xgt, address, count, pairs, slots, prot, fd) &&
             !sim_region_add(xgt, address, count, reply.value[0])) {
        free(slots);
        return address;
    }
    saved = errno;
    if (address != MAP_FAILED)
        munmap(address, size);
    undo.arg[0] = reply.value[0];
    (void)sim_client_call(&xgt->client, &undo, NULL, 0, NULL, NULL, 0, NULL, 0);
    free(slots);
    errno = saved;
    return NULL;
}

/* @domids: one per reference, or a single one when @stride is 0. */
static void *map_refs(xengnttab_handle *xgt, uint32_t count, const uint32_t *domids, size_t stride,
                      const uint32_t *refs, int prot, uint32_t notify_offset, uint32_t notify_port)
{
    struct sim_ref *pairs;
    uint32_t argument;
    void *address;

    if (!count || count > SIM_BATCH) {
        errno = count ? ENOMEM : EINVAL;
        return NULL;
    }
    if (sim_fault_next(sim_client_domain(&xgt->client, domids[0]), SIM_FAULT_MAP, &argument) == SIM_FAULT_FAIL) {
        errno = EINVAL;
        return NULL;
    }
    pairs = malloc(count * sizeof(*pairs));
    if (!pairs)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        pairs[i] = (struct sim_ref){domids[i * stride], refs[i]};
    address = map_pairs(xgt, pairs, count, prot, notify_offset, notify_port);
    free(pairs);
    return address;
}

void *xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot)
{
    return map_refs(xgt, 1, &domid, 0, &ref, prot, SIM_NOTIFY_NONE, SIM_NOTIFY_NONE);
}

void *xengnttab_map_grant_refs(xengnttab_handle *xgt, uint32_t count, uint32_t *domids, uint32_t *refs, int prot)
{
    return map_refs(xgt, count, domids, 1, refs, prot, SIM_NOTIFY_NONE, SIM_NOTIFY_NONE);
}

void *xengnttab_map_domain_grant_refs(xengnttab_handle *xgt, uint32_t count, uint32_t domid, uint32_t *refs, int prot)
{
    return map_refs(xgt, count, &domid, 0, refs, prot, SIM_NOTIFY_NONE, SIM_NOTIFY_NONE);
}

void *xengnttab_map_grant_ref_notify(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot,
                                     uint32_t notify_offset, evtchn_port_t notify_port)
{
    return map_refs(xgt, 1, &domid, 0, &ref, prot, notify_offset, notify_port);
}

int xengnttab_unmap(xengnttab_handle *xgt, void *start_address, uint32_t count)
{
    uint32_t argument;

    if (sim_fault_next(NULL, SIM_FAULT_UNMAP, &argument) == SIM_FAULT_FAIL) {
        errno = EIO;
        return -1;
    }
    return sim_region_drop(xgt, start_address, count, SIM_OP_UNMAP);
}

/* The memory of @domain, mapped when this is the first copy from it or its slot was used anew.  NULL when it is going away. */
static uint8_t *memory_get(xengnttab_handle *xgt, struct sim_domain *domain)
{
    uint32_t slot = (uint32_t)(domain - xgt->client.host->domain), generation;
    struct sim_memory *memory = &xgt->memory[slot];
    void *base;
    int fd;

    if (memory->base && memory->generation == atomic_load_explicit(&domain->generation, memory_order_acquire))
        return memory->base;
    if (memory->base)
        munmap(memory->base, (size_t)SIM_GRANTS * SIM_PAGE);
    memory->base = NULL;
    fd = memory_fd(xgt, slot, true, &generation);
    if (fd < 0)
        return NULL;
    base = mmap(NULL, (size_t)SIM_GRANTS * SIM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (base == MAP_FAILED)
        return NULL;
    memory->base = base;
    memory->generation = generation;
    return memory->base;
}

/* Check one foreign end of a copy as Xen does; GNTST_okay and its address. */
static int16_t foreign_check(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, uint16_t offset, bool writing,
                             uint8_t **ret_address)
{
    struct sim_domain *domain = sim_client_domain(&xgt->client, domid);
    uint8_t *base;
    uint32_t word;

    if (!domain || atomic_load_explicit(&domain->state, memory_order_acquire) != SIM_DOMAIN_ALIVE)
        return GNTST_bad_domain;
    if (ref >= SIM_GRANTS)
        return GNTST_bad_gntref;
    base = memory_get(xgt, domain);
    if (!base)
        return GNTST_bad_domain;
    /* Sequentially consistent against the broker's "revoke, then look at the copiers": one of us sees the other. */
    word = atomic_load(&domain->grant[ref]);
    if (!(word & SIM_GRANT_VALID) ||
        SIM_GRANT_DOMID(word) != atomic_load_explicit(&xgt->client.self->domid, memory_order_relaxed))
        return GNTST_general_error;
    if (writing && (word & SIM_GRANT_READONLY))
        return GNTST_general_error;
    *ret_address = base + (size_t)ref * SIM_PAGE + offset;
    return GNTST_okay;
}

static int16_t segment_copy(xengnttab_handle *xgt, const xengnttab_grant_copy_segment_t *seg)
{
    uint8_t *source = seg->source.virt, *dest = seg->dest.virt;
    struct sim_domain *remote;
    uint32_t argument;
    int16_t status;

    remote = sim_client_domain(&xgt->client,
                               seg->flags & GNTCOPY_source_gref ? seg->source.foreign.domid : seg->dest.foreign.domid);
    if (sim_fault_next_copy(remote, seg->len, &argument) == SIM_FAULT_FAIL)
        return GNTST_general_error;
    if (!seg->len)
        return GNTST_okay; /* Linux hands Xen nothing to check */
    if (seg->flags & GNTCOPY_source_gref) {
        status = foreign_check(xgt, seg->source.foreign.domid, seg->source.foreign.ref, seg->source.foreign.offset,
                               false, &source);
        if (status)
            return status;
    }
    if (seg->flags & GNTCOPY_dest_gref) {
        status =
            foreign_check(xgt, seg->dest.foreign.domid, seg->dest.foreign.ref, seg->dest.foreign.offset, true, &dest);
        if (status)
            return status;
    }
    memcpy(dest, source, seg->len);
    return GNTST_okay;
}

int xengnttab_grant_copy(xengnttab_handle *xgt, uint32_t count, xengnttab_grant_copy_segment_t *segs)
{
    _Atomic uint64_t *sequence = &xgt->client.host->copier[xgt->client.slot].sequence;

    for (uint32_t i = 0; i < count; i++) {
        const xengnttab_grant_copy_segment_t *seg = &segs[i];

        if (!(seg->flags & (GNTCOPY_source_gref | GNTCOPY_dest_gref)) ||
            ((seg->flags & GNTCOPY_source_gref) && seg->source.foreign.offset + seg->len > SIM_PAGE) ||
            ((seg->flags & GNTCOPY_dest_gref) && seg->dest.foreign.offset + seg->len > SIM_PAGE)) {
            errno = EINVAL;
            return -1;
        }
    }
    pthread_mutex_lock(&xgt->lock);
    atomic_fetch_add(sequence, 1);
    for (uint32_t i = 0; i < count; i++)
        segs[i].status = segment_copy(xgt, &segs[i]);
    /* Release: the copies are done before the broker may see the copier at rest. */
    atomic_fetch_add(sequence, 1);
    pthread_mutex_unlock(&xgt->lock);
    return 0;
}

/* Linux without CONFIG_XEN_GNTDEV_DMABUF. */
int xengnttab_dmabuf_exp_from_refs(xengnttab_handle *xgt, uint32_t domid, uint32_t flags, uint32_t count,
                                   const uint32_t *refs, uint32_t *fd)
{
    (void)xgt, (void)domid, (void)flags, (void)count, (void)refs, (void)fd;
    errno = ENOTTY;
    return -1;
}

int xengnttab_dmabuf_exp_wait_released(xengnttab_handle *xgt, uint32_t fd, uint32_t wait_to_ms)
{
    (void)xgt, (void)fd, (void)wait_to_ms;
    errno = ENOTTY;
    return -1;
}

int xengnttab_dmabuf_imp_to_refs(xengnttab_handle *xgt, uint32_t domid, uint32_t fd, uint32_t count, uint32_t *refs)
{
    (void)xgt, (void)domid, (void)fd, (void)count, (void)refs;
    errno = ENOTTY;
    return -1;
}

int xengnttab_dmabuf_imp_release(xengnttab_handle *xgt, uint32_t fd)
{
    (void)xgt, (void)fd;
    errno = ENOTTY;
    return -1;
}

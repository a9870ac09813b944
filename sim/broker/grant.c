/* SPDX-License-Identifier: MIT */
/*
 * Grants: sharing, revoking, mapping.
 *
 * Reference N of a domain is page N of its memory.  A page comes back to the free list in three steps: it is unshared (by its owner, or
 * because the owner's process died); the last mapping by others goes; and every handle that was inside grant copy when the word was
 * cleared has left it, for grant copy works on the page without asking us.
 */
#include "broker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A revoked page and the copiers it waits for. */
struct settling {
    LIST_ENTRY(settling) entry; /* settlings */
    struct domain *domain;
    uint32_t generation, ref, count;
    struct {
        uint32_t copier;
        uint64_t sequence;
    } busy[];
};
static LIST_HEAD(settling_list, settling) settlings = LIST_HEAD_INITIALIZER(settlings);

int grants_init(struct domain *domain)
{
    domain->grant = calloc(SIM_GRANTS, sizeof(*domain->grant));
    if (!domain->grant)
        return ENOMEM;
    for (uint32_t ref = SIM_RESERVED_GRANTS; ref < SIM_GRANTS - 1; ref++)
        domain->grant[ref].next_free = ref + 1;
    domain->free_grants = SIM_RESERVED_GRANTS;
    for (uint32_t ref = 0; ref < SIM_GRANTS; ref++)
        atomic_store(&domain->shared->grant[ref], 0);
    atomic_store(&domain->shared->grants, 0);
    return 0;
}

/* Last in, first out, as Linux hands out references. */
static void page_free(struct domain *domain, uint32_t ref)
{
    domain->grant[ref] = (struct grant){.next_free = domain->free_grants};
    domain->free_grants = ref;
}

static bool copier_at_rest(uint32_t copier, uint64_t sequence)
{
    return !broker.copier_used[copier] || atomic_load(&broker.host->copier[copier].sequence) != sequence;
}

static void revoke(struct domain *domain, uint32_t ref)
{
    struct settling *settling = NULL;

    domain->grant[ref].granted = false;
    atomic_fetch_sub(&domain->shared->grants, 1);
    /* Sequentially consistent: after this store, a copier that is not busy will see the cleared word. */
    atomic_store(&domain->shared->grant[ref], 0);
    for (uint32_t i = 0; i < SIM_COPIERS; i++) {
        uint64_t sequence = broker.copier_used[i] ? atomic_load(&broker.host->copier[i].sequence) : 0;

        if (!(sequence & 1))
            continue;
        if (!settling) {
            settling = malloc(sizeof(*settling) + SIM_COPIERS * sizeof(settling->busy[0]));
            if (!settling)
                return; /* the page stays unused for good: safe, and the host is out of memory */
            settling->domain = domain;
            settling->generation = atomic_load(&domain->shared->generation);
            settling->ref = ref;
            settling->count = 0;
        }
        settling->busy[settling->count].copier = i;
        settling->busy[settling->count++].sequence = sequence;
    }
    if (settling)
        LIST_INSERT_HEAD(&settlings, settling, entry);
    else
        page_free(domain, ref);
}

bool grants_settle(void)
{
    struct settling *settling, *next;

    for (settling = LIST_FIRST(&settlings); settling; settling = next) {
        next = LIST_NEXT(settling, entry);
        while (settling->count &&
               copier_at_rest(settling->busy[settling->count - 1].copier, settling->busy[settling->count - 1].sequence))
            settling->count--;
        if (settling->count)
            continue;
        if (settling->domain->shared && atomic_load(&settling->domain->shared->generation) == settling->generation)
            page_free(settling->domain, settling->ref);
        LIST_REMOVE(settling, entry);
        free(settling);
    }
    return !LIST_EMPTY(&settlings);
}

static struct region *region_new(struct connection *connection, const struct sim_request *request, bool mapping,
                                 uint32_t notify_offset, uint32_t notify_port)
{
    struct region *region;

    if ((notify_offset != SIM_NOTIFY_NONE && notify_offset >= SIM_PAGE) ||
        (notify_port != SIM_NOTIFY_NONE &&
         (notify_port >= SIM_PORTS || connection->domain->port[notify_port].state == PORT_FREE)))
        return NULL;
    region = malloc(sizeof(*region) + request->count * sizeof(region->page[0]));
    if (!region)
        return NULL;
    region->id = ++connection->next_id;
    region->mapping = mapping;
    region->notify_offset = notify_offset;
    region->notify_port = notify_port;
    region->count = request->count;
    LIST_INSERT_HEAD(&connection->regions, region, entry);
    return region;
}

int grant_share(struct connection *connection, const struct sim_request *request, struct answer *answer)
{
    static uint32_t refs[SIM_BATCH];
    struct domain *domain = connection->domain;
    struct region *region;
    uint32_t word;

    if (!request->count || request->count > SIM_BATCH || request->arg[0] >= SIM_DOMID_MAX)
        return EINVAL;
    if (atomic_load(&domain->shared->grants) + request->count > SIM_GRANTS - SIM_RESERVED_GRANTS - 1)
        return ENOSPC;
    region = region_new(connection, request, false, request->arg[2], request->arg[3]);
    if (!region)
        return EINVAL;
    word = SIM_GRANT_WORD(SIM_GRANT_VALID | (request->arg[1] ? 0 : SIM_GRANT_READONLY), request->arg[0]);
    for (uint32_t i = 0; i < request->count; i++) {
        uint32_t ref = domain->free_grants;

        if (!ref) { /* pages that still settle */
            region->count = i;
            region_release(connection, region);
            return ENOSPC;
        }
        domain->free_grants = domain->grant[ref].next_free;
        domain->grant[ref] = (struct grant){.granted = true};
        memset(domain->memory + (size_t)ref * SIM_PAGE, 0, SIM_PAGE);
        region->page[i] = (struct region_page){domain, ref};
        refs[i] = ref;
        atomic_fetch_add(&domain->shared->grants, 1);
        atomic_store(&domain->shared->grant[ref], word);
    }
    answer->reply.value[0] = region->id;
    answer->data = refs;
    answer->size = request->count * sizeof(refs[0]);
    answer->fds[answer->nfds++] = domain->memory_rw;
    return 0;
}

static bool may_map(const struct connection *connection, const struct sim_ref *pair, bool writable)
{
    const struct domain *domain = domain_find(pair->domid);
    uint32_t word;

    if (!domain || atomic_load(&domain->shared->state) != SIM_DOMAIN_ALIVE || pair->ref >= SIM_GRANTS)
        return false;
    word = atomic_load(&domain->shared->grant[pair->ref]);
    return (word & SIM_GRANT_VALID) && SIM_GRANT_DOMID(word) == atomic_load(&connection->domain->shared->domid) &&
           !(writable && (word & SIM_GRANT_READONLY));
}

int grant_map(struct connection *connection, const struct sim_request *request, const struct sim_ref *pairs,
              struct answer *answer)
{
    static uint32_t slots[SIM_BATCH];
    struct region *region;

    if (!request->count || request->count > SIM_BATCH)
        return EINVAL;
    for (uint32_t i = 0; i < request->count; i++) {
        if (!may_map(connection, &pairs[i], request->arg[0] & PROT_WRITE))
            return EINVAL;
    }
    region = region_new(connection, request, true, request->arg[1], request->arg[2]);
    if (!region)
        return EINVAL;
    for (uint32_t i = 0; i < request->count; i++) {
        struct domain *domain = domain_find(pairs[i].domid);

        domain->grant[pairs[i].ref].maps++;
        atomic_fetch_add(&domain->shared->foreign_maps, 1);
        region->page[i] = (struct region_page){domain, pairs[i].ref};
        slots[i] = domain->slot;
    }
    answer->reply.value[0] = region->id;
    answer->data = slots;
    answer->size = request->count * sizeof(slots[0]);
    answer->fds[answer->nfds++] =
        request->arg[0] & PROT_WRITE ? region->page[0].domain->memory_rw : region->page[0].domain->memory_ro;
    return 0;
}

struct region *region_find(struct connection *connection, uint32_t id, bool mapping)
{
    struct region *region = NULL;

    LIST_FOREACH (region, &connection->regions, entry) {
        if (region->id == id && region->mapping == mapping)
            return region;
    }
    return NULL;
}

static void page_unmap(struct domain *domain, uint32_t ref)
{
    struct grant *grant = &domain->grant[ref];

    grant->maps--;
    atomic_fetch_sub(&domain->shared->foreign_maps, 1);
    if (!grant->maps && grant->unshared && atomic_load(&domain->shared->state) == SIM_DOMAIN_ALIVE)
        revoke(domain, ref);
    domain_put(domain);
}

static void page_unshare(struct domain *domain, uint32_t ref)
{
    struct grant *grant = &domain->grant[ref];

    if (atomic_load(&domain->shared->state) != SIM_DOMAIN_ALIVE)
        return; /* destroy takes all grants back at once */
    if (!grant->maps) {
        revoke(domain, ref);
        return;
    }
    grant->unshared = true;
    atomic_fetch_add(&domain->shared->revoked_while_mapped, 1);
}

void region_release(struct connection *connection, struct region *region)
{
    LIST_REMOVE(region, entry);
    if (region->count && region->notify_offset != SIM_NOTIFY_NONE)
        region->page[0].domain->memory[(size_t)region->page[0].ref * SIM_PAGE + region->notify_offset] = 0;
    if (region->notify_port != SIM_NOTIFY_NONE)
        port_notify(connection->domain, region->notify_port);
    for (uint32_t i = 0; i < region->count; i++) {
        if (region->mapping)
            page_unmap(region->page[i].domain, region->page[i].ref);
        else
            page_unshare(region->page[i].domain, region->page[i].ref);
    }
    free(region);
}

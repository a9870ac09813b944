/* SPDX-License-Identifier: MIT */
/*
 * Domains.
 *
 *   free --create--> alive --destroy--> dying --last mapping gone--> free
 *
 * A dying domain has no ports, no grants and no processes; it keeps its number, and xc_domain_getinfo reports it as dying, while
 * somebody maps its pages.  VIRQ_DOM_EXC is raised in domain 0 when it starts to die and when it is gone.
 */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct domain *domain_find(uint32_t domid)
{
    uint32_t slot;

    if (domid >= SIM_DOMID_MAX)
        return NULL;
    slot = atomic_load(&broker.host->slot_of[domid]);
    return slot ? &broker.domain[slot - 1] : NULL;
}

/* The memory of a domain: sparse, one page for each grant reference it can ever have. */
static int memory_create(struct domain *domain, uint32_t domid)
{
    char name[64];
    void *memory;

    snprintf(name, sizeof(name), "simxen-domain-%u", domid);
    domain->memory_rw = memfd_create(name, MFD_CLOEXEC);
    if (domain->memory_rw < 0 || ftruncate(domain->memory_rw, (off_t)SIM_GRANTS * SIM_PAGE))
        return errno;
    snprintf(name, sizeof(name), "/proc/self/fd/%d", domain->memory_rw);
    domain->memory_ro = open(name, O_RDONLY | O_CLOEXEC);
    if (domain->memory_ro < 0)
        return errno;
    memory = mmap(NULL, (size_t)SIM_GRANTS * SIM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, domain->memory_rw, 0);
    if (memory == MAP_FAILED)
        return errno;
    domain->memory = memory;
    return 0;
}

/* Also takes half-built ones. */
static void domain_free(struct domain *domain)
{
    if (domain->memory)
        munmap(domain->memory, (size_t)SIM_GRANTS * SIM_PAGE);
    if (domain->memory_ro >= 0)
        close(domain->memory_ro);
    if (domain->memory_rw >= 0)
        close(domain->memory_rw);
    free(domain->port);
    free(domain->grant);
    atomic_store(&domain->shared->state, SIM_DOMAIN_FREE);
    *domain = (struct domain){0};
}

static uint32_t domid_next(void)
{
    uint32_t domid = broker.last_domid;

    do
        domid = domid + 1 < SIM_DOMID_MAX ? domid + 1 : 1;
    while (domain_find(domid));
    broker.last_domid = domid;
    return domid;
}

int domain_create(uint32_t domid, const uint8_t uuid[16], struct domain **ret_domain, uint32_t *ret_store_port)
{
    struct domain *domain = NULL;
    int error;

    if (domid >= SIM_DOMID_MAX || (domid == 0) != (ret_store_port == NULL))
        domid = domid_next();
    if (domain_find(domid))
        return EEXIST;
    for (uint32_t i = 0; i < SIM_DOMAINS && !domain; i++) {
        if (!broker.domain[i].shared)
            (domain = &broker.domain[i])->slot = i;
    }
    if (!domain)
        return ENOMEM;
    domain->shared = &broker.host->domain[domain->slot];
    domain->memory_rw = domain->memory_ro = -1;
    atomic_fetch_add(&domain->shared->generation, 1);
    atomic_store(&domain->shared->domid, domid);
    atomic_store(&domain->shared->foreign_maps, 0);
    atomic_store(&domain->shared->revoked_while_mapped, 0);
    memcpy(domain->shared->uuid, uuid, 16);
    domain->port = calloc(SIM_PORTS, sizeof(*domain->port));
    error = domain->port ? memory_create(domain, domid) : ENOMEM;
    if (!error)
        error = grants_init(domain);
    if (!error && ret_store_port)
        error = guestbus_start(domain, ret_store_port);
    if (error) {
        domain_free(domain);
        return error;
    }
    atomic_store(&domain->shared->state, SIM_DOMAIN_ALIVE);
    atomic_store(&broker.host->slot_of[domid], domain->slot + 1);
    *ret_domain = domain;
    return 0;
}

/* A process that also works for domain 0 (a test playing both sides) is not part of the guest. */
static bool serves_dom0(pid_t pid)
{
    const struct connection *connection = NULL;

    LIST_FOREACH (connection, &broker.connections, entry) {
        if (connection->pid == pid && connection->domain == &broker.domain[0])
            return true;
    }
    return false;
}

/* The domain's processes are its virtual processors: they stop, wherever they are. */
static void processes_kill(struct domain *domain)
{
    struct connection *connection, *next;

    for (connection = LIST_FIRST(&broker.connections); connection; connection = next) {
        next = LIST_NEXT(connection, entry);
        if (connection->domain != domain)
            continue;
        if (connection->pidfd >= 0 && !serves_dom0(connection->pid))
            (void)syscall(SYS_pidfd_send_signal, connection->pidfd, SIGKILL, NULL, 0);
        connection_end(connection);
    }
}

int domain_destroy(uint32_t domid)
{
    struct domain *domain = domain_find(domid);

    if (!domid)
        return EPERM;
    if (!domain || atomic_load(&domain->shared->state) != SIM_DOMAIN_ALIVE)
        return ESRCH;
    atomic_store(&domain->shared->state, SIM_DOMAIN_DYING);
    processes_kill(domain);
    guestbus_stop(domain);
    for (uint32_t port = 1; port < SIM_PORTS; port++) {
        if (domain->port[port].state != PORT_FREE)
            port_close(domain, port);
    }
    for (uint32_t ref = 0; ref < SIM_GRANTS; ref++)
        atomic_store(&domain->shared->grant[ref], 0);
    atomic_store(&domain->shared->grants, 0);
    virq_raise(BROKER_VIRQ_DOM_EXC);
    domain_put(domain);
    return 0;
}

void domain_put(struct domain *domain)
{
    struct sim_domain *shared = domain->shared;

    if (atomic_load(&shared->state) != SIM_DOMAIN_DYING || atomic_load(&shared->foreign_maps))
        return;
    atomic_store(&broker.host->slot_of[atomic_load(&shared->domid)], 0);
    for (unsigned i = 0; i < SIM_FAULTS; i++)
        atomic_store(&shared->faults[i].op_action, 0);
    atomic_store(&shared->nfaults, 0);
    domain_free(domain);
    virq_raise(BROKER_VIRQ_DOM_EXC);
}

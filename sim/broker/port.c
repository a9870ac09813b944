/* SPDX-License-Identifier: MIT */
/*
 * Event channels, as Xen's event_channel.c and Linux's evtchn driver have them.
 *
 *   free --bind_unbound--> unbound --remote binds--> interdomain --remote closes--> unbound (the same remote may bind again)
 *   free --bind_interdomain--> interdomain            free --bind_virq--> virq            any --close--> free
 */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "raise.h"

static int pipe_prepare(struct evtchn *evtchn)
{
    char drain[4096];
    struct stat status;
    int fds[2];

    if (evtchn->read_fd >= 0) {
        while (read(evtchn->read_fd, drain, sizeof(drain)) > 0)
            continue; /* what late senders wrote for the slot's former owner */
        return 0;
    }
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
        return errno;
    if (fstat(fds[0], &status)) {
        close(fds[0]);
        close(fds[1]);
        return EIO;
    }
    evtchn->read_fd = fds[0];
    evtchn->write_fd = fds[1];
    evtchn->inode = (uint64_t)status.st_ino;
    return 0;
}

int evtchn_open(struct domain *domain, uint64_t inode, struct evtchn **ret_evtchn)
{
    for (uint32_t i = 0; i < SIM_EVTCHN_HANDLES; i++) {
        struct evtchn *evtchn = &broker.evtchn[i];
        int error;

        if (inode ? !(evtchn->users && evtchn->inode == inode && evtchn->domain == domain) : evtchn->users != 0)
            continue;
        if (!inode) {
            error = pipe_prepare(evtchn);
            if (error)
                return error;
            evtchn->domain = domain;
            evtchn->restricted = SIM_DOMID_MAX;
        }
        evtchn->users++;
        *ret_evtchn = evtchn;
        return 0;
    }
    return inode ? EINVAL : EMFILE;
}

void evtchn_close(struct evtchn *evtchn)
{
    if (--evtchn->users)
        return;
    for (uint32_t port = 1; port < SIM_PORTS; port++) {
        if (port_owned(evtchn->domain, evtchn, port))
            port_close(evtchn->domain, port);
    }
}

static int port_allocate(struct domain *domain, struct evtchn *owner, uint32_t *ret_port)
{
    for (uint32_t number = 1; number < SIM_PORTS; number++) {
        struct sim_port *shared = &domain->shared->port[number];

        if (domain->port[number].state != PORT_FREE)
            continue;
        domain->port[number] = (struct port){.owner = owner};
        atomic_store(&shared->flags, 0);
        atomic_store(&shared->peer, 0);
        atomic_store(&shared->handle, owner ? owner->slot + 1 : 0);
        atomic_fetch_add(&domain->shared->ports, 1);
        *ret_port = number;
        return 0;
    }
    return ENOSPC;
}

static bool may_bind(const struct evtchn *owner, uint32_t remote_domid)
{
    return !owner || owner->restricted == SIM_DOMID_MAX || owner->restricted == remote_domid;
}

/* DOMID_SELF means the caller's domain. */
static uint32_t domid_resolve(const struct domain *domain, uint32_t domid)
{
    return domid == SIM_DOMID_MAX ? atomic_load(&domain->shared->domid) : domid;
}

int port_bind_unbound(struct domain *domain, struct evtchn *owner, uint32_t remote_domid, uint32_t *ret_port)
{
    int error;

    if (!may_bind(owner, remote_domid))
        return EACCES;
    error = port_allocate(domain, owner, ret_port);
    if (error)
        return error;
    domain->port[*ret_port].state = PORT_UNBOUND;
    domain->port[*ret_port].remote_domid = domid_resolve(domain, remote_domid);
    return 0;
}

int port_bind_interdomain(struct domain *domain, struct evtchn *owner, uint32_t remote_domid, uint32_t remote_port,
                          uint32_t *ret_port)
{
    struct domain *remote = domain_find(domid_resolve(domain, remote_domid));
    struct port *local, *other;
    int error;

    if (!may_bind(owner, remote_domid))
        return EACCES;
    if (!remote || atomic_load(&remote->shared->state) != SIM_DOMAIN_ALIVE)
        return ESRCH;
    if (!remote_port || remote_port >= SIM_PORTS)
        return EINVAL;
    other = &remote->port[remote_port];
    if (other->state != PORT_UNBOUND || other->remote_domid != atomic_load(&domain->shared->domid))
        return EINVAL;
    error = port_allocate(domain, owner, ret_port);
    if (error)
        return error;
    local = &domain->port[*ret_port];
    local->state = other->state = PORT_INTERDOMAIN;
    local->remote = remote;
    local->number_or_irq = remote_port;
    other->remote = domain;
    other->number_or_irq = *ret_port;
    atomic_store(&domain->shared->port[*ret_port].peer, SIM_PEER(remote->slot, remote_port));
    atomic_store(&remote->shared->port[remote_port].peer, SIM_PEER(domain->slot, *ret_port));
    port_raise(domain, *ret_port); /* the remote may have sent before we were bound */
    return 0;
}

int port_bind_virq(struct domain *domain, struct evtchn *owner, uint32_t virq, uint32_t *ret_port)
{
    int error;

    if (owner->restricted != SIM_DOMID_MAX)
        return EACCES;
    if (virq >= BROKER_VIRQS)
        return EINVAL;
    if (domain->virq_port[virq])
        return EEXIST;
    error = port_allocate(domain, owner, ret_port);
    if (error)
        return error;
    domain->port[*ret_port].state = PORT_VIRQ;
    domain->port[*ret_port].number_or_irq = virq;
    domain->virq_port[virq] = *ret_port;
    return 0;
}

bool port_owned(const struct domain *domain, const struct evtchn *owner, uint32_t port)
{
    return port && port < SIM_PORTS && domain->port[port].state != PORT_FREE && domain->port[port].owner == owner;
}

/* The remote end of a closed port can be bound again by this domain only. */
static void remote_release(struct domain *domain, const struct port *port)
{
    struct domain *remote = port->remote;
    uint32_t number = port->number_or_irq;

    remote->port[number].state = PORT_UNBOUND;
    remote->port[number].remote = NULL;
    remote->port[number].remote_domid = atomic_load(&domain->shared->domid);
    atomic_store(&remote->shared->port[number].peer, 0);
    if (sim_raise_torn(&remote->shared->port[number]) && remote->port[number].owner)
        sim_raise_queue(&remote->shared->port[number], number, remote->port[number].owner->write_fd);
}

void port_close(struct domain *domain, uint32_t port)
{
    struct port *closing = &domain->port[port];

    atomic_store(&domain->shared->port[port].peer, 0);
    atomic_store(&domain->shared->port[port].handle, 0);
    if (closing->state == PORT_INTERDOMAIN)
        remote_release(domain, closing);
    else if (closing->state == PORT_VIRQ)
        domain->virq_port[closing->number_or_irq] = 0;
    atomic_store(&domain->shared->port[port].flags, 0);
    atomic_fetch_sub(&domain->shared->ports, 1);
    *closing = (struct port){0};
}

void port_raise(struct domain *domain, uint32_t port)
{
    struct sim_port *shared = &domain->shared->port[port];

    if (sim_raise_mark(shared) && domain->port[port].owner)
        sim_raise_queue(shared, port, domain->port[port].owner->write_fd);
}

void port_notify(struct domain *domain, uint32_t port)
{
    const struct port *local = &domain->port[port];

    if (local->state == PORT_INTERDOMAIN)
        port_raise(local->remote, local->number_or_irq);
}

void virq_raise(uint32_t virq)
{
    struct domain *dom0 = &broker.domain[0];

    if (dom0->virq_port[virq])
        port_raise(dom0, dom0->virq_port[virq]);
}

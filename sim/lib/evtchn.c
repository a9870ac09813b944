/* SPDX-License-Identifier: MIT */
/*
 * libxenevtchn on the simulator.
 *
 * xenevtchn_fd() is the read end of the handle's pipe (see shared.h): readable exactly while a port waits to be taken, blocking or
 * not as the caller has set it.  notify and unmask touch shared memory and, when the receiver must wake, write to its pipe; the
 * write ends of other handles' pipes are fetched from the broker at the first event sent to them and kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xenevtchn.h>

#include "client.h"
#include "fault.h"
#include "raise.h"

struct xenevtchn_handle {
    struct sim_client client;
    int fd;                                /* read end of our pipe */
    _Atomic int waker[SIM_EVTCHN_HANDLES]; /* write ends by handle slot, + 1; 0: not fetched yet */
};

static xenevtchn_handle *handle_open(uint64_t inode, int adopted, bool cloexec)
{
    xenevtchn_handle *xce = calloc(1, sizeof(*xce));
    int fds[2] = {-1, -1};

    if (!xce)
        return NULL;
    if (sim_client_open(&xce->client, SIM_KIND_EVTCHN, inode, cloexec, fds, 2)) {
        free(xce);
        return NULL;
    }
    xce->fd = fds[0];
    if (adopted >= 0) {
        close(fds[0]);
        xce->fd = adopted;
    }
    atomic_init(&xce->waker[xce->client.slot], fds[1] + 1);
    return xce;
}

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
    uint32_t argument;

    (void)logger;
    if (flags & ~(unsigned)XENEVTCHN_NO_CLOEXEC) {
        errno = EINVAL;
        return NULL;
    }
    if (sim_fault_next(NULL, SIM_FAULT_OPEN, &argument) == SIM_FAULT_FAIL) {
        errno = EMFILE;
        return NULL;
    }
    return handle_open(0, -1, !(flags & XENEVTCHN_NO_CLOEXEC));
}

xenevtchn_handle *xenevtchn_fdopen(struct xentoollog_logger *logger, int fd, unsigned open_flags)
{
    struct stat status;

    (void)logger;
    if (open_flags) {
        errno = EINVAL;
        return NULL;
    }
    if (fstat(fd, &status))
        return NULL;
    return handle_open((uint64_t)status.st_ino, fd, fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

int xenevtchn_close(xenevtchn_handle *xce)
{
    if (!xce)
        return 0;
    sim_client_close(&xce->client);
    close(xce->fd);
    for (unsigned i = 0; i < SIM_EVTCHN_HANDLES; i++) {
        int waker = atomic_load(&xce->waker[i]);

        if (waker)
            close(waker - 1);
    }
    free(xce);
    return 0;
}

int xenevtchn_fd(xenevtchn_handle *xce)
{
    return xce->fd;
}

/* Our own port @number, or NULL. */
static struct sim_port *own_port(const xenevtchn_handle *xce, evtchn_port_t number)
{
    struct sim_port *port;

    if (number >= SIM_PORTS)
        return NULL;
    port = &xce->client.self->port[number];
    return atomic_load_explicit(&port->handle, memory_order_acquire) == xce->client.slot + 1 ? port : NULL;
}

/* The write end of the pipe of handle @slot, or -1. */
static int waker_get(xenevtchn_handle *xce, uint32_t slot)
{
    struct sim_request request = {.op = SIM_OP_WAKER, .arg = {slot}};
    int waker = atomic_load_explicit(&xce->waker[slot], memory_order_acquire), expected = 0, fd;

    if (waker)
        return waker - 1;
    if (sim_client_call(&xce->client, &request, NULL, 0, NULL, NULL, 0, &fd, 1) || fd < 0)
        return -1;
    if (!atomic_compare_exchange_strong(&xce->waker[slot], &expected, fd + 1)) {
        close(fd); /* another thread was faster */
        fd = expected - 1;
    }
    return fd;
}

static int request_port(xenevtchn_handle *xce, enum sim_op op, uint32_t first, uint32_t second, uint32_t remote)
{
    struct sim_request request = {.op = op, .arg = {first, second}};
    struct sim_reply reply;
    uint32_t argument;

    if (sim_fault_next(sim_client_domain(&xce->client, remote), SIM_FAULT_BIND, &argument) == SIM_FAULT_FAIL) {
        errno = ENOSPC;
        return -1;
    }
    if (sim_client_call(&xce->client, &request, NULL, 0, &reply, NULL, 0, NULL, 0))
        return -1;
    return (int)reply.value[0];
}

xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle *xce, uint32_t domid)
{
    return request_port(xce, SIM_OP_BIND_UNBOUND, domid, 0, domid);
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *xce, uint32_t domid, evtchn_port_t remote_port)
{
    return request_port(xce, SIM_OP_BIND_INTERDOMAIN, domid, remote_port, domid);
}

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *xce, unsigned int virq)
{
    return request_port(xce, SIM_OP_BIND_VIRQ, virq, 0, SIM_DOMID_MAX);
}

int xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
    struct sim_request request = {.op = SIM_OP_UNBIND, .arg = {port}};
    uint32_t argument;

    if (sim_fault_next(NULL, SIM_FAULT_UNBIND, &argument) == SIM_FAULT_FAIL) {
        errno = EIO;
        return -1;
    }
    return sim_client_call(&xce->client, &request, NULL, 0, NULL, NULL, 0, NULL, 0);
}

int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
    struct sim_port *local = own_port(xce, port), *remote;
    struct sim_domain *domain;
    uint32_t argument, handle;
    uint64_t peer;
    int waker;

    if (!local) {
        errno = ENOTCONN;
        return -1;
    }
    peer = atomic_load_explicit(&local->peer, memory_order_acquire);
    domain = peer ? &xce->client.host->domain[SIM_PEER_SLOT(peer)] : NULL;
    switch (sim_fault_next(domain, SIM_FAULT_NOTIFY, &argument)) {
    case SIM_FAULT_FAIL:
        errno = EIO;
        return -1;
    case SIM_FAULT_SWALLOW:
        return 0;
    case SIM_FAULT_DELAY: {
        struct sim_request request = {.op = SIM_OP_NOTIFY_LATER, .arg = {port, argument}};

        return sim_client_call(&xce->client, &request, NULL, 0, NULL, NULL, 0, NULL, 0);
    }
    default:
        break;
    }
    if (!domain)
        return 0;
    remote = &domain->port[SIM_PEER_PORT(peer)];
    if (!sim_raise_mark(remote))
        return 0;
    handle = atomic_load_explicit(&remote->handle, memory_order_acquire);
    waker = handle ? waker_get(xce, handle - 1) : -1;
    if (waker >= 0)
        sim_raise_queue(remote, SIM_PEER_PORT(peer), waker);
    return 0;
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *xce)
{
    struct sim_port *port;
    uint32_t number, argument;
    ssize_t n;

    if (sim_fault_next(NULL, SIM_FAULT_PENDING, &argument) == SIM_FAULT_FAIL) {
        errno = EIO;
        return -1;
    }
    n = read(xce->fd, &number, sizeof(number));
    if (n != (ssize_t)sizeof(number)) {
        if (n >= 0)
            errno = EIO;
        return -1;
    }
    port = own_port(xce, number);
    if (port)
        sim_raise_take(port);
    return (int)number;
}

int xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
    struct sim_port *local = own_port(xce, port);
    uint32_t argument;

    if (sim_fault_next(NULL, SIM_FAULT_UNMASK, &argument) == SIM_FAULT_FAIL) {
        errno = EIO;
        return -1;
    }
    if (local && sim_raise_unmask(local))
        sim_raise_queue(local, port, waker_get(xce, xce->client.slot));
    return 0;
}

int xenevtchn_restrict(xenevtchn_handle *xce, domid_t domid)
{
    struct sim_request request = {.op = SIM_OP_RESTRICT, .arg = {domid}};

    return sim_client_call(&xce->client, &request, NULL, 0, NULL, NULL, 0, NULL, 0);
}

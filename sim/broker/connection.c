/* SPDX-License-Identifier: MIT */
/*
 * A client's handle: one connection, one request at a time, everything it holds released when it ends.
 */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fault.h"

typedef int handler(struct connection *connection, const struct sim_request *request, const void *data,
                    struct answer *answer);

void connection_end(struct connection *connection)
{
    struct region *region;

    if (connection->ended)
        return;
    connection->ended = true;
    LIST_REMOVE(connection, entry);
    LIST_INSERT_HEAD(&broker.ended, connection, entry);
    /* Ports first: after this nobody is told about what follows. */
    if (connection->evtchn)
        evtchn_close(connection->evtchn);
    if (connection->kind == SIM_KIND_GNTTAB)
        broker.copier_used[connection->copier] = false;
    while ((region = LIST_FIRST(&connection->regions)))
        region_release(connection, region);
    broker_unwatch(&connection->source);
    (void)epoll_ctl(broker.hangups, EPOLL_CTL_DEL, connection->source.fd, NULL);
    close(connection->source.fd);
    if (connection->pidfd >= 0)
        close(connection->pidfd);
}

void connections_free(void)
{
    struct connection *connection;

    while ((connection = LIST_FIRST(&broker.ended))) {
        LIST_REMOVE(connection, entry);
        free(connection);
    }
}

void connections_reap(void)
{
    struct epoll_event events[16];
    int n;

    do {
        n = epoll_wait(broker.hangups, events, 16, 0);
        for (int i = 0; i < n; i++)
            connection_end(events[i].data.ptr);
    } while (n == 16);
}

static int copier_open(struct connection *connection)
{
    for (uint32_t i = 0; i < SIM_COPIERS; i++) {
        if (broker.copier_used[i])
            continue;
        broker.copier_used[i] = true;
        /* A dead owner may have left it odd; a new, even value also tells whoever waited for it. */
        atomic_store(&broker.host->copier[i].sequence, (atomic_load(&broker.host->copier[i].sequence) | 1) + 1);
        connection->copier = i;
        return 0;
    }
    return EMFILE;
}

static int do_hello(struct connection *connection, const struct sim_request *request, const void *data,
                    struct answer *answer)
{
    struct domain *domain = domain_find(request->arg[1]);
    char path[64];
    int error = 0;

    (void)data;
    if (connection->kind || !request->arg[0] || request->arg[0] > SIM_KIND_CONTROL)
        return EINVAL;
    if (!domain || atomic_load(&domain->shared->state) != SIM_DOMAIN_ALIVE)
        return ENODEV;
    connection->domain = domain;
    answer->fds[answer->nfds++] = broker.host_fd;
    answer->reply.value[1] = domain->slot;
    if (request->arg[0] == SIM_KIND_EVTCHN) {
        error = evtchn_open(domain, (uint64_t)request->arg[3] << 32 | request->arg[2], &connection->evtchn);
        if (error)
            return error;
        /* A description of its own, so that the client's O_NONBLOCK does not stay with the pipe. */
        snprintf(path, sizeof(path), "/proc/self/fd/%d", connection->evtchn->read_fd);
        answer->private_fd = open(path, O_RDONLY | O_CLOEXEC);
        if (answer->private_fd < 0)
            return errno;
        answer->fds[answer->nfds++] = answer->private_fd;
        answer->fds[answer->nfds++] = connection->evtchn->write_fd;
        answer->reply.value[0] = connection->evtchn->slot;
    } else if (request->arg[0] == SIM_KIND_GNTTAB) {
        error = copier_open(connection);
        answer->reply.value[0] = connection->copier;
    }
    if (!error)
        connection->kind = request->arg[0];
    return error;
}

static int do_close(struct connection *connection, const struct sim_request *request, const void *data,
                    struct answer *answer)
{
    static const struct sim_reply done;
    int fd = dup(connection->source.fd); /* the end closes the original, and the reply must come after it */

    (void)request, (void)data, (void)answer;
    connection_end(connection);
    (void)send(fd, &done, sizeof(done), MSG_NOSIGNAL | MSG_DONTWAIT);
    close(fd);
    return 0;
}

static int do_bind_unbound(struct connection *connection, const struct sim_request *request, const void *data,
                           struct answer *answer)
{
    (void)data;
    return port_bind_unbound(connection->domain, connection->evtchn, request->arg[0], &answer->reply.value[0]);
}

static int do_bind_interdomain(struct connection *connection, const struct sim_request *request, const void *data,
                               struct answer *answer)
{
    (void)data;
    return port_bind_interdomain(connection->domain, connection->evtchn, request->arg[0], request->arg[1],
                                 &answer->reply.value[0]);
}

static int do_bind_virq(struct connection *connection, const struct sim_request *request, const void *data,
                        struct answer *answer)
{
    (void)data;
    return port_bind_virq(connection->domain, connection->evtchn, request->arg[0], &answer->reply.value[0]);
}

static int do_unbind(struct connection *connection, const struct sim_request *request, const void *data,
                     struct answer *answer)
{
    (void)data, (void)answer;
    if (!request->arg[0] || request->arg[0] >= SIM_PORTS)
        return EINVAL;
    if (!port_owned(connection->domain, connection->evtchn, request->arg[0]))
        return ENOTCONN;
    port_close(connection->domain, request->arg[0]);
    return 0;
}

static int do_restrict(struct connection *connection, const struct sim_request *request, const void *data,
                       struct answer *answer)
{
    (void)data, (void)answer;
    if (connection->evtchn->restricted != SIM_DOMID_MAX)
        return EACCES;
    if (!request->arg[0] || request->arg[0] >= SIM_DOMID_MAX)
        return EINVAL;
    connection->evtchn->restricted = request->arg[0];
    return 0;
}

static int do_waker(struct connection *connection, const struct sim_request *request, const void *data,
                    struct answer *answer)
{
    (void)connection, (void)data;
    if (request->arg[0] >= SIM_EVTCHN_HANDLES || broker.evtchn[request->arg[0]].write_fd < 0)
        return ENOENT;
    answer->fds[answer->nfds++] = broker.evtchn[request->arg[0]].write_fd;
    return 0;
}

static int do_notify_later(struct connection *connection, const struct sim_request *request, const void *data,
                           struct answer *answer)
{
    (void)data, (void)answer;
    if (!port_owned(connection->domain, connection->evtchn, request->arg[0]))
        return ENOTCONN;
    return broker_notify_later(connection->domain, request->arg[0], request->arg[1]);
}

static int do_memory(struct connection *connection, const struct sim_request *request, const void *data,
                     struct answer *answer)
{
    const struct domain *domain = request->arg[0] < SIM_DOMAINS ? &broker.domain[request->arg[0]] : NULL;

    (void)connection, (void)data;
    if (!domain || !domain->shared)
        return ESRCH;
    answer->reply.value[0] = atomic_load(&domain->shared->generation);
    answer->fds[answer->nfds++] = domain->memory_rw;
    answer->fds[answer->nfds++] = domain->memory_ro;
    return 0;
}

static int do_map(struct connection *connection, const struct sim_request *request, const void *data,
                  struct answer *answer)
{
    return grant_map(connection, request, data, answer);
}

static int do_share(struct connection *connection, const struct sim_request *request, const void *data,
                    struct answer *answer)
{
    (void)data;
    return grant_share(connection, request, answer);
}

static int do_release(struct connection *connection, const struct sim_request *request, const void *data,
                      struct answer *answer)
{
    struct region *region = region_find(connection, request->arg[0], request->op == SIM_OP_UNMAP);

    (void)data, (void)answer;
    if (!region)
        return EINVAL;
    region_release(connection, region);
    return 0;
}

static int do_create(struct connection *connection, const struct sim_request *request, const void *data,
                     struct answer *answer)
{
    struct domain *domain;
    uint8_t uuid[16];
    int error;

    (void)data;
    if (connection->domain != &broker.domain[0])
        return EPERM;
    memcpy(uuid, &request->arg[1], sizeof(uuid));
    error = domain_create(request->arg[0], uuid, &domain, &answer->reply.value[1]);
    if (!error)
        answer->reply.value[0] = atomic_load(&domain->shared->domid);
    return error;
}

static int do_destroy(struct connection *connection, const struct sim_request *request, const void *data,
                      struct answer *answer)
{
    (void)data, (void)answer;
    return connection->domain == &broker.domain[0] ? domain_destroy(request->arg[0]) : EPERM;
}

static int do_fault(struct connection *connection, const struct sim_request *request, const void *data,
                    struct answer *answer)
{
    const struct domain *domain = domain_find(request->arg[0]);
    struct sim_fault_rule rule = {.op = (enum sim_fault_op)(request->arg[1] >> 16),
                                  .action = (enum sim_fault_action)(request->arg[1] & 0xffff),
                                  .n = request->arg[2],
                                  .argument = request->arg[3],
                                  .bytes = request->arg[4]};

    (void)connection, (void)data, (void)answer;
    if (!domain)
        return ESRCH;
    if (rule.op != SIM_FAULT_NONE)
        return -sim_fault_store(domain->shared->faults, &domain->shared->nfaults, &rule);
    atomic_store(&domain->shared->nfaults, 0);
    for (unsigned i = 0; i < SIM_FAULTS; i++)
        atomic_store(&domain->shared->faults[i].op_action, 0);
    return 0;
}

/* Which handle may ask what, and what follows the request. */
static const struct {
    handler *handle;
    uint32_t kind;  /* 0: any that said hello */
    size_t element; /* size of each of request.count elements */
} operation[] = {
    [SIM_OP_HELLO] = {do_hello, 0, 0},
    [SIM_OP_CLOSE] = {do_close, 0, 0},
    [SIM_OP_BIND_UNBOUND] = {do_bind_unbound, SIM_KIND_EVTCHN, 0},
    [SIM_OP_BIND_INTERDOMAIN] = {do_bind_interdomain, SIM_KIND_EVTCHN, 0},
    [SIM_OP_BIND_VIRQ] = {do_bind_virq, SIM_KIND_EVTCHN, 0},
    [SIM_OP_UNBIND] = {do_unbind, SIM_KIND_EVTCHN, 0},
    [SIM_OP_RESTRICT] = {do_restrict, SIM_KIND_EVTCHN, 0},
    [SIM_OP_WAKER] = {do_waker, SIM_KIND_EVTCHN, 0},
    [SIM_OP_NOTIFY_LATER] = {do_notify_later, SIM_KIND_EVTCHN, 0},
    [SIM_OP_MEMORY] = {do_memory, SIM_KIND_GNTTAB, 0},
    [SIM_OP_MAP] = {do_map, SIM_KIND_GNTTAB, sizeof(struct sim_ref)},
    [SIM_OP_UNMAP] = {do_release, SIM_KIND_GNTTAB, 0},
    [SIM_OP_SHARE] = {do_share, SIM_KIND_GNTSHR, 0},
    [SIM_OP_UNSHARE] = {do_release, SIM_KIND_GNTSHR, 0},
    [SIM_OP_CREATE] = {do_create, SIM_KIND_CONTROL, 0},
    [SIM_OP_DESTROY] = {do_destroy, SIM_KIND_CONTROL, 0},
    [SIM_OP_FAULT] = {do_fault, SIM_KIND_CONTROL, 0},
};

static int request_check(const struct connection *connection, const struct sim_request *request, size_t size)
{
    if (request->op >= sizeof(operation) / sizeof(operation[0]) || !operation[request->op].handle)
        return ENOSYS;
    if ((request->op != SIM_OP_HELLO && !connection->kind) ||
        (operation[request->op].kind && operation[request->op].kind != connection->kind))
        return EPERM;
    if (operation[request->op].element && request->count > SIM_BATCH)
        return EINVAL;
    return size == request->count * operation[request->op].element ? 0 : EINVAL;
}

static void answer_send(struct connection *connection, struct answer *answer)
{
    struct iovec iov[2] = {{&answer->reply, sizeof(answer->reply)}, {(void *)answer->data, answer->size}};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(answer->fds))];
    } control;
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = answer->size ? 2 : 1};

    if (answer->nfds && !answer->reply.error) {
        struct cmsghdr *cmsg = &control.align;

        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(answer->nfds * sizeof(int));
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(answer->nfds * sizeof(int));
        memcpy(CMSG_DATA(cmsg), answer->fds, answer->nfds * sizeof(int));
    }
    if (sendmsg(connection->source.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        connection_end(connection); /* a client that does not read its reply */
}

static void connection_ready(struct source *source, uint32_t events)
{
    static _Alignas(8) uint8_t data[SIM_BATCH * sizeof(struct sim_ref)];
    struct connection *connection = (struct connection *)source;
    struct sim_request request;
    struct iovec iov[2] = {{&request, sizeof(request)}, {data, sizeof(data)}};
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
    struct answer answer = {.private_fd = -1};
    ssize_t n;

    if (connection->ended)
        return;
    n = recvmsg(source->fd, &message, MSG_DONTWAIT);
    if (n < (ssize_t)sizeof(request)) {
        if (n >= 0 || errno != EAGAIN || (events & EPOLLHUP))
            connection_end(connection);
        return;
    }
    connections_reap();
    if (connection->ended)
        return;
    answer.reply.error = request_check(connection, &request, (size_t)n - sizeof(request));
    if (!answer.reply.error)
        answer.reply.error = operation[request.op].handle(connection, &request, data, &answer);
    if (!connection->ended)
        answer_send(connection, &answer);
    if (answer.private_fd >= 0)
        close(answer.private_fd);
}

void connection_accept(struct source *listener, uint32_t events)
{
    struct epoll_event hangup = {.events = 0};
    struct connection *connection;
    socklen_t size;
    struct ucred peer;

    (void)events;
    connection = calloc(1, sizeof(*connection));
    if (!connection)
        return;
    connection->source.fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
    if (connection->source.fd < 0) {
        free(connection);
        return;
    }
    size = sizeof(peer);
    connection->pidfd = -1;
    if (!getsockopt(connection->source.fd, SOL_SOCKET, SO_PEERCRED, &peer, &size)) {
        connection->pid = peer.pid;
        connection->pidfd = (int)syscall(SYS_pidfd_open, peer.pid, 0);
    }
    connection->source.ready = connection_ready;
    LIST_INIT(&connection->regions);
    LIST_INSERT_HEAD(&broker.connections, connection, entry);
    hangup.data.ptr = connection;
    if (broker_watch(&connection->source, EPOLLIN) ||
        epoll_ctl(broker.hangups, EPOLL_CTL_ADD, connection->source.fd, &hangup))
        connection_end(connection);
}

/* SPDX-License-Identifier: MIT */
/*
 * A guest's way to xenstored: the part of a guest kernel's xenbus driver.
 *
 * Theory of operation.  Each domain but domain 0 has a Unix socket, DIR/xenbus-DOMID, that speaks the protocol of xenstored's own
 * socket, so the real libxenstore works on it.  Messages of all clients are forwarded over the domain's xenstore ring (its grant 1),
 * so that xenstored sees the guest and grants it the guest's permissions.  As Linux's /dev/xen/xenbus does it:
 *
 *   - request ids are replaced by ours and put back in the reply, for the ring is shared;
 *   - watch tokens are prefixed with the client's number, and events go to that client with the prefix taken off;
 *   - when a client goes, its watches are removed and its transactions are ended.
 */
#include "broker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <xen/io/xs_wire.h>

#include "raise.h"

enum { QUEUE_LIMIT = 1 << 20 }; /* bytes held for a client that does not read, or by one that only writes */

/* Bytes on their way. */
struct bytes {
    uint8_t *data;
    size_t size, room;
};

struct watch {
    LIST_ENTRY(watch) entry; /* bus_client.watches */
    char path_token[];       /* two strings, as the ring sees them */
};

struct transaction {
    LIST_ENTRY(transaction) entry; /* bus_client.transactions */
    uint32_t id;
};

struct bus_client {
    struct source source;         /* first */
    LIST_ENTRY(bus_client) entry; /* guestbus.clients */
    struct guestbus *bus;
    uint32_t number;
    bool ended;
    struct bytes in, out;
    LIST_HEAD(watch_list, watch) watches;
    LIST_HEAD(transaction_list, transaction) transactions;
};

/* A request on the ring. */
struct pending {
    LIST_ENTRY(pending) entry; /* guestbus.pendings */
    struct bus_client *client; /* NULL: it has gone, or we asked ourselves */
    uint32_t id, client_id, type, transaction;
};

struct guestbus {
    struct source listener; /* first */
    struct source events;
    struct domain *domain;
    struct evtchn *evtchn;
    uint32_t port;
    struct xenstore_domain_interface *ring;
    LIST_HEAD(bus_client_list, bus_client) clients, gone;
    LIST_HEAD(pending_list, pending) pendings;
    uint32_t next_client, next_id;
    struct bytes to_ring, from_ring;
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

static bool bytes_add(struct bytes *bytes, const void *data, size_t size)
{
    if (size > bytes->room - bytes->size) {
        size_t room = (bytes->size + size) * 2;
        uint8_t *grown = realloc(bytes->data, room);

        if (!grown)
            return false;
        bytes->data = grown;
        bytes->room = room;
    }
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
    return true;
}

static void bytes_drop(struct bytes *bytes, size_t size)
{
    bytes->size -= size;
    memmove(bytes->data, bytes->data + size, bytes->size);
}

/* Move what fits from the queue into the ring and from the ring into the buffer; tell xenstored of either. */
static void ring_move(struct guestbus *bus)
{
    struct xenstore_domain_interface *ring = bus->ring;
    uint32_t prod = ring->req_prod, cons = __atomic_load_n(&ring->req_cons, __ATOMIC_ACQUIRE);
    size_t sent = 0;
    bool moved;

    while (sent < bus->to_ring.size && prod - cons < XENSTORE_RING_SIZE)
        ring->req[MASK_XENSTORE_IDX(prod++)] = (char)bus->to_ring.data[sent++];
    __atomic_store_n(&ring->req_prod, prod, __ATOMIC_RELEASE); /* after the bytes */
    if (sent)
        bytes_drop(&bus->to_ring, sent);

    cons = ring->rsp_cons;
    prod = __atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE); /* before the bytes */
    moved = cons != prod && prod - cons <= XENSTORE_RING_SIZE;
    while (moved && cons != prod)
        (void)bytes_add(&bus->from_ring, &ring->rsp[MASK_XENSTORE_IDX(cons++)], 1);
    __atomic_store_n(&ring->rsp_cons, cons, __ATOMIC_RELEASE); /* after the bytes were taken */
    if (sent || moved)
        port_notify(bus->domain, bus->port);
}

static void request_queue(struct guestbus *bus, struct bus_client *client, const struct xsd_sockmsg *head,
                          const void *body, size_t size)
{
    struct pending *pending = malloc(sizeof(*pending));
    struct xsd_sockmsg own = *head;

    if (!pending)
        return;
    pending->client = client;
    pending->id = ++bus->next_id;
    pending->client_id = head->req_id;
    pending->type = head->type;
    pending->transaction = head->tx_id;
    LIST_INSERT_HEAD(&bus->pendings, pending, entry);
    own.req_id = pending->id;
    own.len = (uint32_t)size;
    (void)bytes_add(&bus->to_ring, &own, sizeof(own));
    (void)bytes_add(&bus->to_ring, body, size);
}

static void client_end(struct bus_client *client)
{
    struct transaction *transaction, *next_transaction;
    struct watch *watch, *next_watch;
    struct guestbus *bus = client->bus;
    struct pending *pending = NULL;

    if (client->ended)
        return;
    client->ended = true;
    LIST_REMOVE(client, entry);
    LIST_INSERT_HEAD(&bus->gone, client, entry);
    LIST_FOREACH (pending, &bus->pendings, entry) {
        if (pending->client == client)
            pending->client = NULL;
    }
    for (watch = LIST_FIRST(&client->watches); watch; watch = next_watch) {
        struct xsd_sockmsg head = {.type = XS_UNWATCH};
        size_t path = strlen(watch->path_token) + 1;

        next_watch = LIST_NEXT(watch, entry);
        request_queue(bus, NULL, &head, watch->path_token, path + strlen(watch->path_token + path) + 1);
        free(watch);
    }
    for (transaction = LIST_FIRST(&client->transactions); transaction; transaction = next_transaction) {
        struct xsd_sockmsg head = {.type = XS_TRANSACTION_END, .tx_id = transaction->id};

        next_transaction = LIST_NEXT(transaction, entry);
        request_queue(bus, NULL, &head, "F", 2);
        free(transaction);
    }
    broker_unwatch(&client->source);
    close(client->source.fd);
}

static void clients_free(struct guestbus *bus)
{
    struct bus_client *client, *next;

    for (client = LIST_FIRST(&bus->gone); client; client = next) {
        next = LIST_NEXT(client, entry);
        free(client->in.data);
        free(client->out.data);
        free(client);
    }
    LIST_INIT(&bus->gone);
}

static void client_flush(struct bus_client *client)
{
    ssize_t n;

    while (client->out.size) {
        n = send(client->source.fd, client->out.data, client->out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN) {
            client_end(client);
            return;
        }
        if (n <= 0)
            break;
        bytes_drop(&client->out, (size_t)n);
    }
    (void)broker_watch(&client->source, client->out.size ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void client_send(struct bus_client *client, const struct xsd_sockmsg *head, const void *body)
{
    if (client->out.size > QUEUE_LIMIT || !bytes_add(&client->out, head, sizeof(*head)) ||
        !bytes_add(&client->out, body, head->len)) {
        client_end(client);
        return;
    }
    client_flush(client);
}

/* "path\0token\0": the length of the path with its end, or 0 when it is not two strings. */
static size_t path_length(const char *body, size_t size)
{
    const char *end = memchr(body, 0, size);
    size_t path = end ? (size_t)(end - body) + 1 : 0;

    return path && path < size && body[size - 1] == 0 && strlen(body + path) + 1 == size - path ? path : 0;
}

/* Watch and unwatch with the client's own token; false when the body is not well formed and goes to xenstored as it is. */
static bool watch_queue(struct bus_client *client, const struct xsd_sockmsg *head, const char *body)
{
    size_t path = path_length(body, head->len), size;
    struct watch *watch, *old = NULL;

    if (!path)
        return false;
    watch = malloc(sizeof(*watch) + head->len + 16);
    if (!watch)
        return false;
    memcpy(watch->path_token, body, path);
    size = path + (size_t)sprintf(watch->path_token + path, "%u:%s", client->number, body + path) + 1;
    request_queue(client->bus, client, head, watch->path_token, size);
    if (head->type == XS_WATCH) {
        LIST_INSERT_HEAD(&client->watches, watch, entry);
        return true;
    }
    LIST_FOREACH (old, &client->watches, entry) {
        if (!strcmp(old->path_token, watch->path_token) && !strcmp(old->path_token + path, watch->path_token + path))
            break;
    }
    if (old) {
        LIST_REMOVE(old, entry);
        free(old);
    }
    free(watch);
    return true;
}

static void client_read(struct bus_client *client)
{
    uint8_t chunk[4096];
    struct xsd_sockmsg head;
    ssize_t n;

    n = recv(client->source.fd, chunk, sizeof(chunk), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN) || client->bus->to_ring.size > QUEUE_LIMIT ||
        (n > 0 && !bytes_add(&client->in, chunk, (size_t)n))) {
        client_end(client);
        return;
    }
    while (client->in.size >= sizeof(head)) {
        const char *body = (const char *)client->in.data + sizeof(head);

        memcpy(&head, client->in.data, sizeof(head));
        if (head.len > XENSTORE_PAYLOAD_MAX) {
            client_end(client);
            return;
        }
        if (client->in.size < sizeof(head) + head.len)
            return;
        if ((head.type != XS_WATCH && head.type != XS_UNWATCH) || !watch_queue(client, &head, body))
            request_queue(client->bus, client, &head, body, head.len);
        bytes_drop(&client->in, sizeof(head) + head.len);
    }
}

static void client_ready(struct source *source, uint32_t events)
{
    struct bus_client *client = (struct bus_client *)source;
    struct guestbus *bus = client->bus;

    if (events & EPOLLOUT)
        client_flush(client);
    if (!client->ended && (events & ~(uint32_t)EPOLLOUT))
        client_read(client);
    ring_move(bus);
}

/* Keep track of the transactions a client has open. */
static void transaction_note(struct guestbus *bus, const struct pending *pending, const struct xsd_sockmsg *head,
                             const char *body)
{
    struct transaction *transaction = NULL;

    if (pending->type == XS_TRANSACTION_START && head->type == XS_TRANSACTION_START && head->len &&
        body[head->len - 1] == 0) {
        uint32_t id = (uint32_t)strtoul(body, NULL, 10);

        if (!pending->client) {
            struct xsd_sockmsg end = {.type = XS_TRANSACTION_END, .tx_id = id};

            request_queue(bus, NULL, &end, "F", 2);
        } else if ((transaction = malloc(sizeof(*transaction)))) {
            transaction->id = id;
            LIST_INSERT_HEAD(&pending->client->transactions, transaction, entry);
        }
    } else if (pending->type == XS_TRANSACTION_END && pending->client) {
        LIST_FOREACH (transaction, &pending->client->transactions, entry) {
            if (transaction->id == pending->transaction)
                break;
        }
        if (transaction) {
            LIST_REMOVE(transaction, entry);
            free(transaction);
        }
    }
}

static void reply_forward(struct guestbus *bus, struct xsd_sockmsg *head, const char *body)
{
    struct pending *pending = NULL;

    LIST_FOREACH (pending, &bus->pendings, entry) {
        if (pending->id == head->req_id)
            break;
    }
    if (!pending)
        return;
    transaction_note(bus, pending, head, body);
    head->req_id = pending->client_id;
    if (pending->client)
        client_send(pending->client, head, body);
    LIST_REMOVE(pending, entry);
    free(pending);
}

static void event_forward(struct guestbus *bus, struct xsd_sockmsg *head, const char *body)
{
    size_t path = path_length(body, head->len), prefix;
    struct bus_client *client = NULL;
    char own[XENSTORE_PAYLOAD_MAX];
    char *end;
    uint32_t number;

    if (!path)
        return;
    number = (uint32_t)strtoul(body + path, &end, 10);
    prefix = (size_t)(end - (body + path)) + 1;
    LIST_FOREACH (client, &bus->clients, entry) {
        if (client->number == number)
            break;
    }
    if (!client || *end != ':')
        return;
    memcpy(own, body, path);
    memcpy(own + path, body + path + prefix, head->len - path - prefix);
    head->len -= (uint32_t)prefix;
    client_send(client, head, own);
}

static void ring_ready(struct source *source, uint32_t events)
{
    struct guestbus *bus = (struct guestbus *)((char *)source - offsetof(struct guestbus, events));
    struct xsd_sockmsg head;
    uint32_t number;

    (void)events;
    if (read(source->fd, &number, sizeof(number)) == (ssize_t)sizeof(number))
        sim_raise_take(&bus->domain->shared->port[bus->port]);
    if (sim_raise_unmask(&bus->domain->shared->port[bus->port]))
        sim_raise_queue(&bus->domain->shared->port[bus->port], bus->port, bus->evtchn->write_fd);
    ring_move(bus);
    while (bus->from_ring.size >= sizeof(head)) {
        const char *body = (const char *)bus->from_ring.data + sizeof(head);
        size_t size;

        memcpy(&head, bus->from_ring.data, sizeof(head));
        size = sizeof(head) + head.len;
        if (head.len > XENSTORE_PAYLOAD_MAX || bus->from_ring.size < size)
            break;
        if (head.type == XS_WATCH_EVENT)
            event_forward(bus, &head, body);
        else
            reply_forward(bus, &head, body);
        bytes_drop(&bus->from_ring, size);
    }
    ring_move(bus);
}

static void client_accept(struct source *source, uint32_t events)
{
    struct guestbus *bus = (struct guestbus *)source;
    struct bus_client *client = calloc(1, sizeof(*client));

    (void)events;
    clients_free(bus);
    if (!client)
        return;
    client->source.fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC);
    if (client->source.fd < 0) {
        free(client);
        return;
    }
    client->source.ready = client_ready;
    client->bus = bus;
    client->number = ++bus->next_client;
    LIST_INSERT_HEAD(&bus->clients, client, entry);
    if (broker_watch(&client->source, EPOLLIN))
        client_end(client);
}

static int listen_on(struct guestbus *bus)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length =
        snprintf(bus->path, sizeof(bus->path), "%s/xenbus-%u", broker.dir, atomic_load(&bus->domain->shared->domid));

    if (length < 0 || (size_t)length >= sizeof(bus->path))
        return ENAMETOOLONG;
    memcpy(address.sun_path, bus->path, sizeof(bus->path));
    (void)unlink(bus->path);
    bus->listener.ready = client_accept;
    bus->listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bus->listener.fd < 0 || bind(bus->listener.fd, (struct sockaddr *)&address, sizeof(address)) ||
        listen(bus->listener.fd, 64))
        return errno;
    return broker_watch(&bus->listener, EPOLLIN);
}

/* The ring page is grant 1, granted to domain 0; the port waits for domain 0, as a domain builder leaves them. */
int guestbus_start(struct domain *domain, uint32_t *ret_port)
{
    struct guestbus *bus = calloc(1, sizeof(*bus));
    int error;

    if (!bus)
        return ENOMEM;
    domain->bus = bus;
    bus->domain = domain;
    bus->listener.fd = bus->events.fd = -1;
    bus->ring = (void *)(domain->memory + (size_t)SIM_GRANT_XENSTORE * SIM_PAGE);
    domain->grant[SIM_GRANT_XENSTORE].granted = true;
    atomic_fetch_add(&domain->shared->grants, 1);
    atomic_store(&domain->shared->grant[SIM_GRANT_XENSTORE], SIM_GRANT_WORD(SIM_GRANT_VALID, 0));
    error = evtchn_open(domain, 0, &bus->evtchn);
    if (!error)
        error = port_bind_unbound(domain, bus->evtchn, 0, &bus->port);
    if (!error) {
        bus->events.ready = ring_ready;
        bus->events.fd = bus->evtchn->read_fd;
        error = broker_watch(&bus->events, EPOLLIN);
    }
    if (!error)
        error = listen_on(bus);
    if (error) {
        guestbus_stop(domain);
        return error;
    }
    *ret_port = bus->port;
    return 0;
}

void guestbus_stop(struct domain *domain)
{
    struct guestbus *bus = domain->bus;
    struct pending *pending;

    if (!bus)
        return;
    while (!LIST_EMPTY(&bus->clients))
        client_end(LIST_FIRST(&bus->clients));
    clients_free(bus);
    while ((pending = LIST_FIRST(&bus->pendings))) {
        LIST_REMOVE(pending, entry);
        free(pending);
    }
    if (bus->events.fd >= 0)
        broker_unwatch(&bus->events);
    if (bus->evtchn)
        evtchn_close(bus->evtchn);
    if (bus->listener.fd >= 0) {
        broker_unwatch(&bus->listener);
        close(bus->listener.fd);
        (void)unlink(bus->path);
    }
    free(bus->to_ring.data);
    free(bus->from_ring.data);
    free(bus);
    domain->bus = NULL;
}

/* SPDX-License-Identifier: MIT */
/*
 * Attaching and detaching of shared-memory ports: see ports.h.
 */
#include "ports.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "listener.h"
#include "served.h"
#include "shm.h"

static void close_all(const int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
}

struct shm_port *ports_find(struct tapbridge *tapbridge, const char *name)
{
    struct served_bridge *served;
    struct shm_port *port;

    TAILQ_FOREACH (served, &tapbridge->bridges, next)
        TAILQ_FOREACH (port, &served->shms, next)
            if (strcmp(port->port.name, name) == 0)
                return port;
    return NULL;
}

static struct served_bridge *bridge_of(const struct shm_port *port)
{
    return (struct served_bridge *)((char *)port->port.bridge - offsetof(struct served_bridge, bridge));
}

void ports_detach(struct shm_port *port)
{
    struct served_bridge *served = bridge_of(port);

    shm_close(port);
    switch_port_remove(&port->port);
    TAILQ_REMOVE(&served->shms, port, next);
    free(port);
}

/* ---- Attaching. --------------------------------------------------------------------------------------------------- */

static bool is_same_file(int fd, int other)
{
    struct stat first, second;

    return fstat(fd, &first) == 0 && fstat(other, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

static void on_failed(struct shm_port *port, void *arg)
{
    struct tapbridge *tapbridge = arg;

    (void)port;
    listener_tell_failures(tapbridge->listener);
}

/* Opens `port` with the memory that was presented, or with new. Takes the descriptors over. */
static int open_memory(struct tapbridge *tapbridge, struct shm_port *port, uint32_t capacity, const int *fds,
                       unsigned fd_count)
{
    int made[PORT_FDS];
    int err;

    if (fd_count == 0) {
        capacity = (uint32_t)tapbridge->config.ring_size;
        err = port_memory_make(capacity, made);
        if (err < 0)
            return err;
        fds = made;
    }
    err = shm_open(port, tapbridge->base, fds, capacity, on_failed, tapbridge);
    if (err < 0)
        close_all(fds, PORT_FDS);
    return err;
}

/* One that is there: with the memory it has, or with another. Takes the descriptors over. */
static int attach_again(struct tapbridge *tapbridge, struct shm_port *port, const struct port_message *attach,
                        const int *fds, unsigned fd_count)
{
    struct filter filter;
    int err;

    if (fd_count == PORT_FDS && port->memory != NULL && port->failure == 0 && is_same_file(fds[0], port->fds[0])) {
        close_all(fds, fd_count);
    } else {
        err = fd_count == PORT_FDS ? port_memory_check(fds, attach->capacity) : 0;
        if (err < 0) {
            close_all(fds, fd_count);
            return err;
        }
        shm_close(port);
        err = open_memory(tapbridge, port, attach->capacity, fds, fd_count);
        if (err < 0) {
            shm_give_up(port, err, "its memory could not be taken up again");
            return err;
        }
    }
    filter_make(attach, &filter);
    return switch_port_change(&port->port, &filter, served_group(bridge_of(port), attach->flags, attach->group));
}

static int attach_new(struct tapbridge *tapbridge, struct served_bridge *served, const struct port_message *attach,
                      const int *fds, unsigned fd_count, struct shm_port **ret_port)
{
    struct shm_port *port = served->bridge.port_count < served->config.ports_max ? calloc(1, sizeof(*port)) : NULL;
    int err;

    if (port == NULL) {
        close_all(fds, fd_count);
        return served->bridge.port_count < served->config.ports_max ? -ENOMEM : -ENOSPC;
    }
    memcpy(port->port.name, attach->port, sizeof(port->port.name));
    port->log = &served->log;
    filter_make(attach, &port->port.filter);
    port->port.group = served_group(served, attach->flags, attach->group);
    err = open_memory(tapbridge, port, attach->capacity, fds, fd_count);
    if (err == 0) {
        err = switch_port_add(&served->bridge, &port->port);
        if (err < 0)
            shm_close(port);
    }
    if (err < 0) {
        free(port);
        return err;
    }
    TAILQ_INSERT_TAIL(&served->shms, port, next);
    served_restore(served, &port->port);
    log_debug(port->log, "port %s joined", port->port.name);
    *ret_port = port;
    return 0;
}

static void explain(int err, const struct port_message *attach, char ret_reason[PORT_REASON_SIZE])
{
    const char *text = strerror(-err);

    switch (err) {
    case -ENOENT:
        snprintf(ret_reason, PORT_REASON_SIZE, "there is no bridge %s", attach->bridge);
        return;
    case -ENOSPC:
        snprintf(ret_reason, PORT_REASON_SIZE, "%s has its ports (ports-max)", attach->bridge);
        return;
    case -EINVAL:
        text = "what was presented is not the memory of a port";
        break;
    case -EPROTO:
        text = "there are impossible indices in the memory that was presented";
        break;
    default:
        break;
    }
    snprintf(ret_reason, PORT_REASON_SIZE, "%s", text);
}

int ports_attach(struct tapbridge *tapbridge, const struct port_message *attach, const int *fds, unsigned fd_count,
                 struct shm_port **ret_port, char ret_reason[PORT_REASON_SIZE])
{
    struct served_bridge *served = served_find(tapbridge, attach->bridge);
    struct shm_port *port = ports_find(tapbridge, attach->port);
    int err = served == NULL ? -ENOENT : fd_count != 0 && fd_count != PORT_FDS ? -EINVAL : 0;

    if (err < 0) {
        close_all(fds, fd_count);
    } else {
        if (port != NULL && bridge_of(port) != served) {
            ports_detach(port);
            port = NULL;
        }
        if (port != NULL) /* also when that fails: its client has it, and may try again */
            port->presented = true;
        err = port != NULL ? attach_again(tapbridge, port, attach, fds, fd_count)
                           : attach_new(tapbridge, served, attach, fds, fd_count, &port);
    }
    if (err < 0) {
        explain(err, attach, ret_reason);
        return err;
    }
    port->flags = attach->flags;
    port->group = attach->group;
    port->presented = true;
    if (!tapbridge->gathering)
        shm_begin(port);
    *ret_port = port;
    return 0;
}

/* ---- Presenting. -------------------------------------------------------------------------------------------------- */

void ports_begin(struct tapbridge *tapbridge)
{
    struct served_bridge *served;
    struct shm_port *port;

    TAILQ_FOREACH (served, &tapbridge->bridges, next)
        TAILQ_FOREACH (port, &served->shms, next)
            port->presented = false;
}

void ports_settle(struct tapbridge *tapbridge)
{
    struct served_bridge *served;

    TAILQ_FOREACH (served, &tapbridge->bridges, next)
        for (struct shm_port *port = TAILQ_FIRST(&served->shms), *after; port != NULL; port = after) {
            after = TAILQ_NEXT(port, next);
            if (port->presented)
                continue;
            log_info(port->log, "port %s left: its client has it no more", port->port.name);
            ports_detach(port);
        }
    served_gathered(tapbridge);
}

/* SPDX-License-Identifier: MIT */
/*
 * A server over TCP that is gone without a word, its host switched off or the network cut, is found out by the kernel: by probes when there is
 * nothing to be said, by the age of what is not acknowledged otherwise.
 */
#include "nbd/dial.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kind.h"

#define DIAL_LIMIT_MS   10000
#define DIAL_SILENCE_MS 30000 /* of its kernel, until a server is given up */
#define DIAL_IDLE_S     15    /* before the first probe */
#define DIAL_PROBE_S    5     /* from one probe to the next */
#define DIAL_PROBES     3

static int await_connection(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof error;
    int count;
    do
        count = poll(&ready, 1, DIAL_LIMIT_MS);
    while (count < 0 && errno == EINTR);
    if (count == 0)
        return -ETIMEDOUT;
    if (count < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -errno;
    return -error;
}

/* Returns the connected socket or -errno. */
static int dial_address(const struct sockaddr *address, socklen_t size)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int result = connect(fd, address, size) == 0 ? 0 : -errno;
    if (result == -EINPROGRESS)
        result = await_connection(fd);
    if (result < 0) {
        close(fd);
        return result == -EAGAIN ? -ECONNREFUSED : result; /* of a local server that accepts nobody */
    }
    return fd;
}

/* As far as the kernel has these: a connection without them only takes longer to be given up. */
static void watch_over(int fd)
{
    const struct {
        int level, name, value;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, DIAL_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, DIAL_PROBE_S},
        {IPPROTO_TCP, TCP_KEEPCNT, DIAL_PROBES},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, DIAL_SILENCE_MS},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

static int dial_unix(const struct nbd_uri *uri, struct disk_error *ret_error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, uri->socket, sizeof address.sun_path);
    int fd = dial_address((const struct sockaddr *)&address, sizeof address);
    if (fd < 0)
        return disk_refuse(ret_error, fd, "cannot connect to the NBD server at %.120s: %s", uri->socket, strerror(-fd));
    return fd;
}

static int dial_tcp(const struct nbd_uri *uri, struct disk_error *ret_error)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int fd = -EHOSTUNREACH;
    int found = getaddrinfo(uri->host, uri->port, &hints, &list);
    if (found != 0)
        return disk_refuse(ret_error, -EHOSTUNREACH, "the NBD server's host \"%.100s\" is not found: %s", uri->host,
                           gai_strerror(found));
    for (const struct addrinfo *at = list; at && fd < 0; at = at->ai_next)
        fd = dial_address(at->ai_addr, at->ai_addrlen);
    freeaddrinfo(list);
    if (fd < 0)
        return disk_refuse(ret_error, fd, "cannot connect to the NBD server at %.100s, port %s: %s", uri->host,
                           uri->port, strerror(-fd));
    watch_over(fd);
    return fd;
}

int nbd_dial(const struct nbd_uri *uri, struct disk_error *ret_error)
{
    return uri->socket[0] != '\0' ? dial_unix(uri, ret_error) : dial_tcp(uri, ret_error);
}

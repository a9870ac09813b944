/* SPDX-License-Identifier: MIT */
/*
 * Packets with descriptors over a Unix socket.
 *
 * Either end may be hostile to the other: a packet of another size, or with more descriptors than there is room for, is refused and
 * every descriptor that came with it is closed, so that nobody can make the peer leak.
 *
 * Sockets are named through /proc/self/fd/DIR: a path to a run directory may be longer than a socket's address can be.
 */
#include "channel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ROOM (8 << 20) /* bytes, of the kernel's, and only while they are not read */

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
};

void channel_make_room(int channel)
{
    const int room = ROOM;

    if (setsockopt(channel, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
        (void)setsockopt(channel, SOL_SOCKET, SO_SNDBUF, &room,
                         sizeof(room)); /* without privileges as much as the system allows */
}

int channel_send(int channel, const void *message, size_t size, const int *fds, unsigned fd_count)
{
    struct iovec iov = {.iov_base = (void *)message, .iov_len = size};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    union control control;
    ssize_t sent;

    if (fd_count > CHANNEL_FDS_MAX)
        return -EINVAL;
    if (fd_count > 0) {
        memset(&control, 0, sizeof(control));
        header.msg_control = &control;
        header.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(rights), fds, fd_count * sizeof(int));
    }
    do {
        sent = sendmsg(channel, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return 0;
    switch (errno) {
    case ECONNRESET:
    case ENOTCONN:
    case EPIPE:
        return -EPIPE;
    case EWOULDBLOCK:
    case ENOBUFS:
    case ETOOMANYREFS: /* too many descriptors in flight: the peer does not fetch them */
        return -EAGAIN;
    default:
        return -errno;
    }
}

static void close_all(const int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
}

/* Collects the descriptors of a received packet, at most CHANNEL_FDS_MAX: the kernel had no room for more. */
static unsigned collect_fds(struct msghdr *header, int fds[CHANNEL_FDS_MAX])
{
    unsigned count = 0;

    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t received = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < received && count < CHANNEL_FDS_MAX; i++, count++)
            memcpy(&fds[count], CMSG_DATA(part) + i * sizeof(int), sizeof(int));
    }
    return count;
}

ssize_t channel_receive(int channel, void *ret_message, size_t size, int ret_fds[CHANNEL_FDS_MAX],
                        unsigned *ret_fd_count)
{
    struct iovec iov = {.iov_base = ret_message, .iov_len = size};
    union control control;
    struct msghdr header = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    int fds[CHANNEL_FDS_MAX];
    unsigned fd_count;
    ssize_t got;

    do {
        got = recvmsg(channel, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT | MSG_TRUNC);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == ECONNRESET ? 0 : -errno;
    fd_count = collect_fds(&header, fds);
    if (got == 0) { /* hung up; or an empty packet, which nobody sends who means well */
        close_all(fds, fd_count);
        return 0;
    }
    if ((size_t)got != size || (header.msg_flags & MSG_CTRUNC)) {
        close_all(fds, fd_count);
        return -EBADMSG;
    }
    memcpy(ret_fds, fds, fd_count * sizeof(int));
    *ret_fd_count = fd_count;
    return got;
}

/* ---- Connections. ---------------------------------------------------------------------------------------------------------- */

/* Connections that may wait to be accepted. */
#define BACKLOG 4

static int make_address(int dir, const char *prefix, const char *name, struct sockaddr_un *ret_address)
{
    int length;

    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    length = snprintf(ret_address->sun_path, sizeof(ret_address->sun_path), "/proc/self/fd/%d/%s%s", dir, prefix, name);
    return length < 0 || (size_t)length >= sizeof(ret_address->sun_path) ? -ENAMETOOLONG : 0;
}

int channel_listen(int dir, const char *name)
{
    struct sockaddr_un unfinished, address;
    int err = make_address(dir, ".new-", name, &unfinished);
    int fd;

    if (err == 0)
        err = make_address(dir, "", name, &address);
    if (err < 0)
        return err;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* Under its name only when it listens: whoever finds it can connect. */
    unlink(unfinished.sun_path);
    if (bind(fd, (const struct sockaddr *)&unfinished, sizeof(unfinished)) < 0 || listen(fd, BACKLOG) < 0 ||
        rename(unfinished.sun_path, address.sun_path) < 0) {
        err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

int channel_connect(int dir, const char *name)
{
    struct sockaddr_un address;
    int err = make_address(dir, "", name, &address);
    int fd;

    if (err < 0)
        return err;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

int channel_accept(int listener)
{
    int fd;

    do {
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

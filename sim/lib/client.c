/* SPDX-License-Identifier: MIT */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_FDS 4

static int broker_connect(bool cloexec)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *dir = getenv("SIMXEN_DIR");
    int fd, saved, length;

    if (!dir) {
        errno = ENOENT;
        return -1;
    }
    length = snprintf(address.sun_path, sizeof(address.sun_path), "%s/" SIM_SOCKET, dir);
    if (length < 0 || (size_t)length >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_SEQPACKET | (cloexec ? SOCK_CLOEXEC : 0), 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
        saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static ssize_t send_request(int fd, const struct sim_request *request, const void *out, size_t out_size)
{
    struct iovec iov[2] = {{(void *)request, sizeof(*request)}, {(void *)out, out_size}};
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = out_size ? 2 : 1};
    ssize_t n;

    do
        n = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n;
}

static ssize_t receive_reply(int fd, struct sim_reply *reply, void *in, size_t in_size, int *fds, unsigned nfds,
                             bool cloexec)
{
    struct iovec iov[2] = {{reply, sizeof(*reply)}, {in, in_size}};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(MAX_FDS * sizeof(int))];
    } control;
    struct msghdr message = {
        .msg_iov = iov, .msg_iovlen = in_size ? 2 : 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    struct cmsghdr *cmsg;
    ssize_t n;
    unsigned i;

    do
        n = recvmsg(fd, &message, cloexec ? MSG_CMSG_CLOEXEC : 0);
    while (n < 0 && errno == EINTR);
    for (i = 0; i < nfds; i++)
        fds[i] = -1;
    if (n < 0)
        return n;
    cmsg = CMSG_FIRSTHDR(&message);
    if (cmsg && cmsg->cmsg_type == SCM_RIGHTS) {
        unsigned got = (unsigned)((cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        const unsigned char *data = CMSG_DATA(cmsg);

        for (i = 0; i < got; i++) {
            int received;

            memcpy(&received, data + i * sizeof(int), sizeof(int));
            if (i < nfds)
                fds[i] = received;
            else
                close(received);
        }
    }
    return n;
}

int sim_client_call(struct sim_client *client, const struct sim_request *request, const void *out, size_t out_size,
                    struct sim_reply *reply, void *in, size_t in_size, int *fds, unsigned nfds)
{
    struct sim_reply local;
    ssize_t n;

    if (!reply)
        reply = &local;
    pthread_mutex_lock(&client->lock);
    n = send_request(client->fd, request, out, out_size);
    if (n >= 0)
        n = receive_reply(client->fd, reply, in, in_size, fds, nfds, client->cloexec);
    pthread_mutex_unlock(&client->lock);
    if (n < 0)
        return -1;
    if (n < (ssize_t)sizeof(*reply)) { /* the broker is gone, or has cut off a destroyed domain */
        errno = ENODEV;
        return -1;
    }
    if (reply->error) {
        errno = reply->error;
        return -1;
    }
    return 0;
}

int sim_client_open(struct sim_client *client, enum sim_kind kind, uint64_t inode, bool cloexec, int *fds,
                    unsigned nfds)
{
    const char *domid = getenv("SIMXEN_DOMID");
    struct sim_request hello = {
        .op = SIM_OP_HELLO,
        .arg = {kind, domid ? (uint32_t)strtoul(domid, NULL, 10) : 0, (uint32_t)inode, (uint32_t)(inode >> 32)}};
    int received[MAX_FDS] = {-1, -1, -1, -1};
    struct sim_reply reply;
    unsigned i;
    int saved;
    void *host;

    client->fd = broker_connect(cloexec);
    if (client->fd < 0)
        return -1;
    client->cloexec = cloexec;
    client->owner = getpid();
    pthread_mutex_init(&client->lock, NULL);
    if (sim_client_call(client, &hello, NULL, 0, &reply, NULL, 0, received, nfds + 1))
        goto fail;
    host = mmap(NULL, sizeof(struct sim_host), PROT_READ | PROT_WRITE, MAP_SHARED, received[0], 0);
    if (host == MAP_FAILED)
        goto fail;
    close(received[0]);
    client->host = host;
    client->slot = reply.value[0];
    client->self = &client->host->domain[reply.value[1]];
    for (i = 0; i < nfds; i++)
        fds[i] = received[i + 1];
    return 0;

fail:
    saved = errno;
    for (i = 0; i < MAX_FDS; i++) {
        if (received[i] >= 0)
            close(received[i]);
    }
    close(client->fd);
    pthread_mutex_destroy(&client->lock);
    errno = saved;
    return -1;
}

void sim_client_close(struct sim_client *client)
{
    struct sim_request request = {.op = SIM_OP_CLOSE};

    if (getpid() == client->owner)
        (void)sim_client_call(client, &request, NULL, 0, NULL, NULL, 0, NULL, 0);
    close(client->fd);
    munmap(client->host, sizeof(struct sim_host));
    pthread_mutex_destroy(&client->lock);
}

struct sim_domain *sim_client_domain(const struct sim_client *client, uint32_t domid)
{
    uint32_t slot;

    if (domid == 0x7ff0) /* DOMID_SELF */
        return client->self;
    if (domid >= SIM_DOMID_MAX)
        return NULL;
    slot = atomic_load_explicit(&client->host->slot_of[domid], memory_order_acquire);
    return slot ? &client->host->domain[slot - 1] : NULL;
}

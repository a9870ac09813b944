/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. A worker that is killed leaves requests at the server: in its socket, in its queues, on their way to its disk. Its successor sends them
 * again, is answered, and goes on; if the server carried out the first copy of a write after that, it would overwrite what came later. So the
 * supervisor keeps a copy of each connection's descriptor, and no other is made before the server is through with this one:
 *
 *   1. Our side is shut down: the server reads what was sent, and then the end.
 *   2. What it says is read and thrown away, or it would wait for us.
 *   3. It closes its end. nbdkit and qemu-nbd both do so when nothing of that connection is under way any more. But only nbdkit also says so no sooner:
 *      qemu-nbd shuts the connection down as soon as it has read the end, and its writes go on. So of a UNIX socket the kernel is asked (sock_diag)
 *      whether the server's socket exists. Nobody can be asked that of another host's: there we wait for as long as is configured.
 *
 * The identity of the server's socket is recorded with the device, for when the supervisor dies as well and its copy with it. Over TCP the same time is
 * waited then.
 */
#include "ending.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include <backend/clock.h>
#include <service/log.h>

#define PERIOD_MIN_MS 5
#define PERIOD_MAX_MS 200
#define READS_A_TURN  64

struct ending {
    LIST_ENTRY(ending) entry; /* in endings */
    char *uri;
    int fd;
    struct event *readable; /* NULL: the server has said its last word, or nobody could hear it */
    struct event *timer;
    struct ending_peer peer;
    int settle_ms;
    int64_t settled_ms; /* when it is over, if the peer is not known */
    int period_ms;
};

static LIST_HEAD(, ending) endings = LIST_HEAD_INITIALIZER(endings);

/* ---- What the kernel knows of a UNIX socket. ------------------------------------------------------------------------------- */

struct answer {
    struct nlmsghdr head;
    union {
        struct nlmsgerr error;
        struct unix_diag_msg socket;
        char bytes[512];
    };
};

/* Asks for one socket. Returns the bytes of the answer; -ENOENT when there is no such socket; another -errno. */
static int ask(uint32_t inode, const uint32_t cookie[2], struct answer *ret_answer)
{
    struct {
        struct nlmsghdr head;
        struct unix_diag_req request;
    } question = {
        .head = {.nlmsg_len = sizeof(question), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST},
        .request = {.sdiag_family = AF_UNIX,
                    .udiag_states = UINT32_MAX,
                    .udiag_ino = inode,
                    .udiag_show = UDIAG_SHOW_PEER,
                    .udiag_cookie = {cookie[0], cookie[1]}}};
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    ssize_t got;
    int err;

    if (fd < 0)
        return -errno;
    got = send(fd, &question, sizeof(question), 0);
    if (got >= 0)
        got = recv(fd, ret_answer, sizeof(*ret_answer), MSG_DONTWAIT); /* it is there when send() returns */
    err = got < 0 ? -errno : 0;
    close(fd);
    if (err < 0)
        return err == -ENOENT ? -EOPNOTSUPP : err; /* the kernel has no such interface */
    if ((size_t)got < sizeof(ret_answer->head) + sizeof(ret_answer->error.error))
        return -EIO;
    if (ret_answer->head.nlmsg_type == NLMSG_ERROR)
        return ret_answer->error.error < 0 ? ret_answer->error.error : -EIO;
    return (int)got;
}

static bool find_attribute(const struct answer *answer, int size, uint16_t type, uint32_t *ret_value)
{
    const char *at = (const char *)&answer->socket + sizeof(answer->socket);
    const char *const end = (const char *)answer + size;
    struct nlattr attribute = {0};

    while (end - at >= (ptrdiff_t)(sizeof(attribute) + sizeof(*ret_value))) {
        memcpy(&attribute, at, sizeof(attribute));
        if (attribute.nla_type == type && attribute.nla_len == sizeof(attribute) + sizeof(*ret_value)) {
            memcpy(ret_value, at + sizeof(attribute), sizeof(*ret_value));
            return true;
        }
        at += ((attribute.nla_len < sizeof(attribute) ? sizeof(attribute) : attribute.nla_len) + 3u) &
              ~(size_t)3; /* aligned */
    }
    return false;
}

int ending_find_peer(int fd, struct ending_peer *ret_peer)
{
    static const uint32_t any[2] = {UINT32_MAX, UINT32_MAX};
    struct ending_peer peer = {.known = 0};
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof(address);
    struct answer answer = {.head = {0}};
    struct stat stat;
    int size;

    *ret_peer = peer;
    if (fstat(fd, &stat) < 0 || getsockname(fd, (struct sockaddr *)&address, &length) < 0 ||
        address.ss_family != AF_UNIX)
        return 0;
    size = ask((uint32_t)stat.st_ino, any, &answer);
    if (size < 0)
        return 0;
    if (!find_attribute(&answer, size, UNIX_DIAG_PEER, &peer.inode))
        return -ENOTCONN;
    size = ask(peer.inode, any, &answer);
    if (size < 0)
        return size == -ENOENT ? -ENOTCONN : 0;
    memcpy(peer.cookie, answer.socket.udiag_cookie, sizeof(peer.cookie));
    peer.known = 1;
    *ret_peer = peer;
    return 0;
}

/* Whether the server has closed its end. */
static bool is_closed(const struct ending_peer *peer)
{
    struct answer answer = {.head = {0}};
    int size = ask(peer->inode, peer->cookie, &answer);

    return size == -ENOENT || size == -ESTALE; /* the latter: the number is another socket's */
}

/* ---- One. --------------------------------------------------------------------------------------------------------------------- */

static void ending_free(struct ending *ending)
{
    LIST_REMOVE(ending, entry);
    if (ending->readable != NULL)
        event_free(ending->readable);
    if (ending->timer != NULL)
        event_free(ending->timer);
    if (ending->fd >= 0)
        close(ending->fd);
    free(ending->uri);
    free(ending);
}

static void wait_ms(struct ending *ending, int64_t ms)
{
    event_add(ending->timer, &(const struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000});
}

/* Looks whether it is over. */
static void consider(struct ending *ending)
{
    int64_t left;

    if (ending->peer.known != 0) {
        if (is_closed(&ending->peer)) {
            ending_free(ending);
            return;
        }
        wait_ms(ending, ending->period_ms);
        ending->period_ms = ending->period_ms * 2 < PERIOD_MAX_MS ? ending->period_ms * 2 : PERIOD_MAX_MS;
        return;
    }
    if (ending->readable != NULL)
        return; /* its last word is yet to come */
    left = ending->settled_ms - clock_now_ms();
    if (left <= 0)
        ending_free(ending);
    else
        wait_ms(ending, left);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    consider(arg);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    static char junk[1 << 16];
    struct ending *ending = arg;
    ssize_t got = 1;

    (void)what;
    for (int turn = 0; turn < READS_A_TURN && got > 0; turn++)
        got = recv(fd, junk, sizeof(junk), MSG_DONTWAIT);
    if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)))
        return;
    event_free(ending->readable);
    ending->readable = NULL;
    ending->settled_ms = clock_now_ms() + ending->settle_ms;
    consider(ending);
}

void ending_begin(struct event_base *base, const char *uri, int fd, const struct ending_peer *peer, int settle_ms)
{
    struct ending *ending = calloc(1, sizeof(*ending));
    int closed = 0;

    if (ending == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    *ending = (struct ending){.fd = fd, .settle_ms = settle_ms, .period_ms = PERIOD_MIN_MS};
    LIST_INSERT_HEAD(&endings, ending, entry);
    ending->settled_ms = clock_now_ms() + settle_ms;
    ending->uri = strdup(uri);
    ending->timer = evtimer_new(base, on_timer, ending);
    if (fd >= 0) {
        (void)shutdown(fd, SHUT_WR); /* fails when there is nothing to end */
        closed = ending_find_peer(fd, &ending->peer);
        ending->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, ending);
    } else if (peer != NULL) {
        ending->peer = *peer;
    }
    if (closed < 0 || ending->uri == NULL || ending->timer == NULL || (fd >= 0 && ending->readable == NULL) ||
        (ending->readable != NULL && event_add(ending->readable, NULL) < 0)) {
        ending_free(ending);
        return;
    }
    consider(ending);
}

bool ending_is_under_way(const char *uri)
{
    const struct ending *ending;

    LIST_FOREACH (ending, &endings, entry) {
        if (strcmp(ending->uri, uri) == 0)
            return true;
    }
    return false;
}

void ending_stop(void)
{
    struct ending *ending, *next;

    for (ending = LIST_FIRST(&endings); ending != NULL; ending = next) {
        next = LIST_NEXT(ending, entry);
        ending_free(ending);
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation.
 *
 *      CUT --(nbd_client_connect)--> GREETING --(the server has described what we know)--> ON
 *       ^                               |                                                   |
 *       +--(it does not, or no word within GREETING_LIMIT)                                  |
 *       +--(the connection ends, or the server says what cannot be)-------------------------+
 *
 *   CUT       There is no connection, and one is wanted.
 *   GREETING  libnbd shakes hands. What a server says of its export must agree with what the guest was told: no less room, and writable when it was.
 *   ON        Operations are sent, and end as the server answers.
 *
 * An operation waits in `waiting` until it is sent, a piece at a time: one command for what is one run of memory, or goes through a buffer. When the
 * connection ends, what was sent and not answered waits again. To send it again is harmless for the reason that a journal's requests may be
 * executed again (nobody was told of their end), as long as the last connection's copy of them cannot arrive later: that is for who hands out
 * connections to see to.
 *
 * The server's flush covers what it has acknowledged, over whichever connection; what a server that dies takes with it, though
 * acknowledged and not flushed, is gone, as with the power of a disk.
 *
 * The clock of patience runs while something waits for an answer, from the last answer. When it has run out, all that waits fails, and the
 * connection, which is of no use, is cut. From then on operations fail at once, until a server has shaken hands again.
 *
 * libnbd is asked for nothing that waits. A server can say what it likes: what libnbd does not understand is the end of the connection. Replies are the
 * simple ones, which say less than structured ones.
 *
 * One descriptor tells of everything: an epoll of the socket, of a timer, and of an eventfd that is readable while a connection is wanted and not asked for.
 */
#include "nbd/client.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "nbd/transfer.h"

#define GREETING_LIMIT_NS 10000000000ull /* for a server to shake hands */
#define TURNS             64u            /* of a state machine, before others have theirs */

uint64_t client_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- What is waited for. ------------------------------------------------------------------------------------------------- */

/* Has the epoll wait for what libnbd waits for. */
static void watch_socket(struct client *client)
{
    unsigned direction = nbd_library.nbd_aio_get_direction(client->nbd);
    struct epoll_event event = {.events = 0};
    if (direction & LIBNBD_AIO_DIRECTION_READ)
        event.events |= EPOLLIN;
    if (direction & LIBNBD_AIO_DIRECTION_WRITE)
        event.events |= EPOLLOUT;
    if (event.events == client->watched)
        return;
    int fd = nbd_library.nbd_aio_get_fd(client->nbd);
    int op = client->watched == 0 ? EPOLL_CTL_ADD : event.events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    if (epoll_ctl(client->epoll_fd, op, fd, &event) < 0)
        abort(); /* of descriptors of our own: out of memory, and this disk would hang */
    client->watched = event.events;
}

static void unwatch_socket(struct client *client)
{
    /* Explicitly: there may be copies of the descriptor, which would keep it in there. */
    if (client->watched != 0)
        epoll_ctl(client->epoll_fd, EPOLL_CTL_DEL, nbd_library.nbd_aio_get_fd(client->nbd), NULL);
    client->watched = 0;
}

static uint64_t earlier(uint64_t one, uint64_t other)
{
    return one == 0 || (other != 0 && other < one) ? other : one;
}

static uint64_t patience_end(const struct client *client)
{
    if (client->server.patience_s == 0 || client->file.in_flight == 0 || client->impatient)
        return 0;
    return client->progress_ns + UINT64_C(1000000000) * client->server.patience_s;
}

static void set_alarm(struct client *client)
{
    uint64_t due = client->state == GREETING ? client->greeting_ns + GREETING_LIMIT_NS : 0;
    due = earlier(due, patience_end(client));
    /* One that is too early finds nothing to do, and is set again: so not every answer moves it. */
    if (due == 0 || (client->alarm_ns != 0 && client->alarm_ns <= due))
        return;
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(due / 1000000000u), .tv_nsec = (long)(due % 1000000000u)}};
    timerfd_settime(client->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
    client->alarm_ns = due;
}

/* ---- The end of a connection. -------------------------------------------------------------------------------- */

/* Texts of a server's may hold anything. */
static void make_printable(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
            *text = '?';
}

void client_cut(struct client *client, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(client->why.text, sizeof client->why.text, format, args);
    va_end(args);
    make_printable(client->why.text);
    unwatch_socket(client);
    transfer_take_back(client);
    nbd_library.nbd_close(client->nbd); /* nothing is read into memory of an operation's after this */
    client->nbd = NULL;
    client->state = CUT;
    client->wanted = true;
    eventfd_write(client->event_fd, 1);
}

const char *client_last_error(void)
{
    const char *text = nbd_library.nbd_get_error();
    return text ? text : "no reason is given";
}

/* ---- The server. ---------------------------------------------------------------------------------------------------------- */

static uint32_t power_of_2(int64_t size)
{
    uint32_t power = DISK_SECTOR_SIZE;
    while (power < size && power < 1u << 20)
        power <<= 1;
    return power;
}

/* What the server says of its export. Returns NULL, or why it cannot be the disk. */
static const char *describe(struct client *client, char text[200])
{
    struct nbd_handle *nbd = client->nbd;
    int64_t size = nbd_library.nbd_get_size(nbd);
    int64_t least = nbd_library.nbd_get_block_size(nbd, LIBNBD_SIZE_MINIMUM);
    int64_t preferred = nbd_library.nbd_get_block_size(nbd, LIBNBD_SIZE_PREFERRED);
    int64_t most = nbd_library.nbd_get_block_size(nbd, LIBNBD_SIZE_MAXIMUM);
    bool flushes = nbd_library.nbd_can_flush(nbd) == 1;

    if (size <= 0 || size % DISK_SECTOR_SIZE)
        snprintf(text, 200, "the NBD export has %lld bytes: not a positive multiple of %u", (long long)size,
                 DISK_SECTOR_SIZE);
    else if (least > DISK_SECTOR_SIZE)
        snprintf(text, 200, "the NBD server takes no blocks of less than %lld bytes, and sectors have %u",
                 (long long)least, DISK_SECTOR_SIZE);
    else if (most > 0 && most < DISK_SECTOR_SIZE)
        snprintf(text, 200, "the NBD server takes no blocks of more than %lld bytes", (long long)most);
    else if (!client->read_only && nbd_library.nbd_is_read_only(nbd) != 0)
        snprintf(text, 200, "the NBD export is read-only");
    else if (client->server.size != 0 && (uint64_t)size < client->server.size)
        snprintf(text, 200, "the NBD export has %lld bytes now, and had %llu", (long long)size,
                 (unsigned long long)client->server.size);
    else if (client->flushed && !flushes)
        snprintf(text, 200, "the NBD server takes no flushes now, and did");
    else {
        client->flushes = flushes;
        client->flushed |= flushes;
        client->piece_max =
            most <= 0 || most > PIECE_MAX ? PIECE_MAX : (uint32_t)most / DISK_SECTOR_SIZE * DISK_SECTOR_SIZE;
        client->about.physical_size = preferred > 0 ? power_of_2(preferred) : 4096;
        client->about.discard_granularity =
            nbd_library.nbd_can_trim(nbd) == 1 && !client->read_only ? client->about.physical_size : 0;
        client->about.size = (uint64_t)size;
        return NULL;
    }
    return text;
}

static void shake_hands(struct client *client)
{
    char text[200];
    if (nbd_library.nbd_aio_is_ready(client->nbd) != 1)
        return;
    const char *refused = describe(client, text);
    if (refused) {
        nbd_library.nbd_aio_disconnect(client->nbd, 0);
        client_cut(client, "%s", refused);
        return;
    }
    client->state = ON;
    if (client->impatient) /* nothing has waited meanwhile */
        client->progress_ns = client_now_ns();
    client->impatient = false;
}

/* Lets libnbd read and write what can be. */
static void serve_socket(struct client *client)
{
    for (unsigned turn = 0; turn < TURNS && client->state != CUT; turn++) {
        unsigned direction = nbd_library.nbd_aio_get_direction(client->nbd);
        struct pollfd ready = {.fd = nbd_library.nbd_aio_get_fd(client->nbd)};
        if (direction & LIBNBD_AIO_DIRECTION_READ)
            ready.events |= POLLIN;
        if (direction & LIBNBD_AIO_DIRECTION_WRITE)
            ready.events |= POLLOUT;
        if (poll(&ready, 1, 0) <= 0)
            return;
        if ((ready.revents & (POLLIN | POLLHUP | POLLERR)) && (direction & LIBNBD_AIO_DIRECTION_READ))
            nbd_library.nbd_aio_notify_read(client->nbd);
        else if (direction & LIBNBD_AIO_DIRECTION_WRITE)
            nbd_library.nbd_aio_notify_write(client->nbd);
        else
            return;
        transfer_collect(client); /* which sees it when either went wrong */
        if (client->state == GREETING)
            shake_hands(client);
    }
}

static void look_at_clock(struct client *client)
{
    uint64_t expirations, now = client_now_ns(), end = patience_end(client);
    if (read(client->timer_fd, &expirations, sizeof expirations) > 0)
        client->alarm_ns = 0;
    if (client->state == GREETING && now >= client->greeting_ns + GREETING_LIMIT_NS)
        client_cut(client, "the NBD server did not say within %u s what it has",
                   (unsigned)(GREETING_LIMIT_NS / 1000000000u));
    if (end == 0 || now < end)
        return;
    client->impatient = true;
    if (client->state == ON)
        client_cut(client, "the NBD server did not answer within %u s", client->server.patience_s);
    transfer_fail(client);
}

/* ---- The engine. ---------------------------------------------------------------------------------------------------------- */

static void client_start(struct file *file, struct file_io *io)
{
    struct client *client = (struct client *)file;
    if (client->impatient) {
        transfer_end(client, io, -EIO);
        eventfd_write(client->event_fd, 1); /* no answer will wake anybody */
        return;
    }
    if (file->in_flight == 1)
        client->progress_ns = client_now_ns();
    TAILQ_INSERT_TAIL(&client->waiting, io, entry);
}

static void client_kick(struct file *file)
{
    struct client *client = (struct client *)file;
    transfer_send(client);
    if (client->state != CUT) {
        transfer_collect(client); /* libnbd sends at once, and may have found the connection dead */
        if (client->state != CUT)
            watch_socket(client);
    }
    if (!TAILQ_EMPTY(&file->ended))
        eventfd_write(client->event_fd, 1);
    set_alarm(client);
}

static unsigned client_poll(struct file *file, bool wait)
{
    struct client *client = (struct client *)file;
    eventfd_t count;
    if (wait) {
        nbd_client_abandon(file);
        return file_poll_ended(file, false);
    }
    if (!client->wanted)
        (void)eventfd_read(client->event_fd, &count);
    serve_socket(client);
    look_at_clock(client);
    transfer_send(client);
    return file_poll_ended(file, false);
}

void nbd_client_abandon(struct file *file)
{
    struct client *client = (struct client *)file;
    if (client->state != CUT) {
        nbd_library.nbd_aio_disconnect(client->nbd, 0);
        client_cut(client, "it is not used any more");
    }
    transfer_fail(client);
}

static void client_close(struct file *file)
{
    struct client *client = (struct client *)file;
    nbd_client_abandon(file);
    close(client->timer_fd);
    close(client->event_fd);
    close(client->epoll_fd);
    munmap(client->buffers, (size_t)BUFFERS * BUFFER_SIZE);
    free(client);
}

static const struct file_ops client_ops = {
    .name = "libnbd",
    .start = client_start,
    .kick = client_kick,
    .poll = client_poll,
    .close = client_close,
};

/* ---- Connections. --------------------------------------------------------------------------------------------------------- */

bool nbd_client_wants_connection(struct file *file, struct disk_error *ret_why)
{
    struct client *client = (struct client *)file;
    if (!client->wanted)
        return false;
    client->wanted = false;
    *ret_why = client->why;
    return true;
}

void nbd_client_connect(struct file *file, int fd)
{
    struct client *client = (struct client *)file;
    client->wanted = false;
    if (client->state != CUT)
        client_cut(client, "another connection takes its place");
    client->nbd = nbd_library.nbd_create();
    if (!client->nbd) {
        close(fd);
        client->wanted = true;
        snprintf(client->why.text, sizeof client->why.text, "out of memory");
        eventfd_write(client->event_fd, 1);
        return;
    }
    client->wanted = false;
    client->state = GREETING;
    client->greeting_ns = client_now_ns();
    /* From here on libnbd says how it failed by being dead, which is seen by who collects; but for the descriptor, which is its own only when it took it. */
    nbd_library.nbd_set_request_structured_replies(client->nbd, false);
    nbd_library.nbd_set_pread_initialize(client->nbd, false);
    nbd_library.nbd_set_export_name(client->nbd, client->server.name);
    if (nbd_library.nbd_aio_connect_socket(client->nbd, fd) < 0 && nbd_library.nbd_aio_is_dead(client->nbd) != 1) {
        client_cut(client, "libnbd: %s", client_last_error());
        close(fd);
        return;
    }
    transfer_collect(client);
    if (client->state == GREETING) /* a fast server may have answered by now, and nothing more will come */
        shake_hands(client);
    client_kick(file);
}

int nbd_client_ready(const struct file *file, struct nbd_about *ret_about, struct disk_error *ret_error)
{
    const struct client *client = (const struct client *)file;
    if (client->about.size != 0) {
        *ret_about = client->about;
        return 1;
    }
    if (client->state == GREETING)
        return 0;
    *ret_error = client->why;
    return -EIO;
}

static int open_descriptors(struct client *client)
{
    struct epoll_event readable = {.events = EPOLLIN};
    client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    client->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    client->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (client->epoll_fd < 0 || client->timer_fd < 0 || client->event_fd < 0 ||
        epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, client->timer_fd, &readable) < 0 ||
        epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, client->event_fd, &readable) < 0)
        return -errno;
    client->file.poll_fd = client->epoll_fd;
    return 0;
}

static int make_buffers(struct client *client)
{
    client->buffers = mmap(NULL, (size_t)BUFFERS * BUFFER_SIZE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (client->buffers == MAP_FAILED)
        return -ENOMEM;
    for (unsigned i = 0; i < BUFFERS; i++)
        client->free_buffers[client->free_buffer_count++] = client->buffers + (size_t)i * BUFFER_SIZE;
    return 0;
}

int nbd_client_open(const struct disk_params *params, struct file **ret_file, struct disk_error *ret_error)
{
    struct client *client = calloc(1, sizeof *client);
    int result = -ENOMEM;
    if (!client)
        goto refuse;
    client->file.ops = &client_ops;
    client->file.fd = -1;
    TAILQ_INIT(&client->file.ended);
    TAILQ_INIT(&client->waiting);
    if (params->server)
        client->server = *params->server;
    client->read_only = params->read_only;
    client->piece_max = PIECE_MAX;
    client->about = (struct nbd_about){.size = client->server.size,
                                       .physical_size = client->server.physical_sector_size,
                                       .discard_granularity = client->server.discard_granularity};
    client->epoll_fd = client->timer_fd = client->event_fd = -1;
    client->buffers = MAP_FAILED;
    result = open_descriptors(client);
    if (result == 0)
        result = make_buffers(client);
    if (result < 0)
        goto close_client;
    if (params->fd >= 0) {
        nbd_client_connect(&client->file, params->fd);
    } else {
        client->wanted = true;
        eventfd_write(client->event_fd, 1);
    }
    *ret_file = &client->file;
    return 0;

close_client:
    if (client->epoll_fd >= 0)
        close(client->epoll_fd);
    if (client->timer_fd >= 0)
        close(client->timer_fd);
    if (client->event_fd >= 0)
        close(client->event_fd);
    free(client);
refuse:
    disk_params_close(params);
    return disk_refuse(ret_error, result, "cannot set up I/O for the NBD disk: %s", strerror(-result));
}

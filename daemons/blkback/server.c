/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. A worker opens nothing, so connections are made here (opening.c) and handed to it; what is said over them is the worker's and
 * libdisk's affair alone.
 *
 *   on the way up    the image is a connection like any other file: the worker looks what the export is, and it is closed
 *   connected        the worker is told what the disk was found to be, and has no connection yet. Whenever it has none it says so (BLKBACK_DIAL), and
 *                    gets the next one: when the last one has ended (ending.c), and a server answers; tried again and again
 *   recovered        the same: a successor serves at once, and its requests wait until a connection is there
 *
 * So a server that is away when a worker dies, or a supervisor, is no reason to give the disk up. How long requests wait is for libdisk to watch.
 *
 * The file `server` of the device's run directory has what the disk was found to be, so that a recovery needs neither xenstore nor a server;
 * and whose the last connection is, so that its end can be waited for when nobody has it any more.
 *
 * Exclusive use. No lock says that an export is used: another host may use it, too, and its server decides whether that may be. Among the disks of this
 * daemon one that writes an export is the only one of that URI; a second waits, as for a locked image.
 */
#include "server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include <backend/clock.h>
#include <backend/guest.h>
#include <backend/record.h>
#include <backend/serve.h>
#include <supervise/rundir.h>

#include "blkback.h"
#include "ending.h"
#include "opening.h"
#include "vbd.h"

#define SERVER_FILE    "server"
#define RECORD_VERSION 1u

/* Between tries: soon at first, for a server may only be being restarted. */
#define DELAY_MIN_MS 50
#define DELAY_MAX_MS 2000
/* A connection that lived so long was a good one. */
#define GOOD_MS 5000

struct server_record {
    uint32_t version; /* RECORD_VERSION */
    uint32_t used;    /* there was a connection, of which nothing is known but: */
    struct ending_peer peer;
    uint64_t sectors;
    uint32_t physical_sector_size;
    uint32_t discard_granularity;
};

bool server_has(const struct vbd *vbd)
{
    return vbd_is_kind(vbd, "nbd");
}

static const char *uri_of(const struct vbd *vbd)
{
    return vbd->image.source.path;
}

static int settling_ms(const struct vbd *vbd)
{
    return (int)vbd_daemon(vbd)->config.nbd_settle * 1000;
}

bool server_suits_worker(const struct vbd *vbd)
{
    static const char argument[] = "nbd";
    const struct worker *worker = vbd->device.guest->worker;

    if (!server_has(vbd))
        return true;
    worker_pool_set_argument(device_backend(&vbd->device)->pool, argument);
    return worker != NULL && worker_argument(worker) == argument;
}

/* ---- What is known. ------------------------------------------------------------------------------------------------------------ */

/* Records it, with the identity of the connection that a worker is about to get. Returns 0 or -errno. */
static int save(const struct vbd *vbd, bool used, const struct ending_peer *peer)
{
    struct server_record record;

    memset(&record, 0, sizeof(record));
    record.version = RECORD_VERSION;
    record.used = used;
    if (peer != NULL)
        record.peer = *peer;
    record.sectors = vbd->sectors;
    record.physical_sector_size = vbd->physical_sector_size;
    record.discard_granularity = vbd->discard_granularity;
    return rundir_write(vbd->device.dir, SERVER_FILE, &record, sizeof(record));
}

static bool load(const struct vbd *vbd, struct server_record *ret_record)
{
    return rundir_read(vbd->device.dir, SERVER_FILE, ret_record, sizeof(*ret_record)) == 0 &&
           ret_record->version == RECORD_VERSION;
}

int server_record(struct vbd *vbd)
{
    return server_has(vbd) ? save(vbd, false, NULL) : 0;
}

struct disk_export server_describe(const struct vbd *vbd)
{
    struct disk_export server = {.size = 0};
    struct server_record record;

    if (!server_has(vbd))
        return server;
    memcpy(server.name, vbd->image.source.export_name, sizeof(server.name));
    server.size = vbd->sectors * DISK_SECTOR_SIZE;
    server.physical_sector_size = vbd->physical_sector_size;
    server.discard_granularity = vbd->discard_granularity;
    if (load(vbd, &record) && record.sectors != 0) {
        server.size = record.sectors * DISK_SECTOR_SIZE;
        server.physical_sector_size = record.physical_sector_size;
        server.discard_granularity = record.discard_granularity;
    }
    server.patience_s = (uint32_t)vbd_daemon(vbd)->config.nbd_timeout;
    return server;
}

int server_placeholder(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return fd < 0 ? -errno : fd;
}

/* ---- Connections. ----------------------------------------------------------------------------------------------------------------- */

static void retry_later(struct vbd *vbd)
{
    struct server *server = &vbd->server;

    event_add(server->timer,
              &(const struct timeval){.tv_sec = server->delay_ms / 1000, .tv_usec = server->delay_ms % 1000 * 1000L});
}

static void note_error(struct vbd *vbd, const char *text)
{
    struct server *server = &vbd->server;

    if (text[0] == '\0' || strncmp(server->error, text, sizeof(server->error) - 1) == 0)
        return;
    snprintf(server->error, sizeof(server->error), "%s", text);
    log_warning(&vbd->device.log, "has no connection to its server: %s", server->error);
}

static bool may_dial(const struct vbd *vbd)
{
    return vbd->server.wanted && vbd->device.state == DEVICE_CONNECTED && vbd->device.guest->state == GUEST_SERVED;
}

/* Hands it to the worker, recorded before that so that no supervisor can miss it. */
static int hand_over(struct vbd *vbd, int fd)
{
    struct blkback_message message = {.head = {.type = BLKBACK_DIALED, .devid = vbd->device.devid}};
    struct ending_peer peer;
    int err = ending_find_peer(fd, &peer);

    if (err == 0)
        err = save(vbd, true, &peer);
    if (err < 0)
        return err;
    guest_tell(vbd->device.guest, &message.head, &fd, 1);
    return 0;
}

static void on_dialed(void *arg, int result, int fd, const struct disk_error *error)
{
    struct vbd *vbd = arg;
    struct server *server = &vbd->server;
    int err;

    server->dialing = NULL;
    if (!may_dial(vbd)) {
        if (fd >= 0)
            close(fd);
        return;
    }
    err = result < 0 ? result : hand_over(vbd, fd);
    if (err < 0) {
        note_error(vbd, result < 0 ? error->text : strerror(-err));
        if (fd >= 0)
            close(fd);
        server->delay_ms = server->delay_ms * 2 < DELAY_MAX_MS ? server->delay_ms * 2 : DELAY_MAX_MS;
        retry_later(vbd);
        return;
    }
    log_info(&vbd->device.log, "connected to its server");
    server->fd = fd;
    server->wanted = false;
    server->dialed_ms = clock_now_ms();
    server->connections++;
}

/* When the last one has ended. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct vbd *vbd = arg;
    struct server *server = &vbd->server;

    (void)fd;
    (void)what;
    if (!may_dial(vbd) || server->dialing != NULL)
        return;
    if (ending_is_under_way(uri_of(vbd))) {
        event_add(server->timer, &(const struct timeval){.tv_usec = DELAY_MIN_MS * 1000 / 2});
        return;
    }
    if (opening_start(device_backend(&vbd->device)->base, &vbd->image.source, vbd->image.read_only, on_dialed, vbd,
                      &server->dialing) < 0)
        retry_later(vbd);
}

/* Ends the last one, whoever has it. */
static void end_last(struct vbd *vbd, int settle_ms)
{
    struct server *server = &vbd->server;
    struct event_base *base = device_backend(&vbd->device)->base;
    struct server_record record;

    if (server->fd >= 0)
        ending_begin(base, uri_of(vbd), server->fd, NULL, settle_ms);
    else if (load(vbd, &record) && record.used)
        ending_begin(base, uri_of(vbd), -1, &record.peer, settle_ms);
    server->fd = -1;
}

static void stop(struct vbd *vbd)
{
    errand_cancel(vbd->server.dialing);
    vbd->server.dialing = NULL;
    vbd->server.wanted = false;
    event_del(vbd->server.timer);
}

int server_dial(struct vbd *vbd, const struct blkback_message *message)
{
    struct server *server = &vbd->server;
    char why[sizeof(message->head.reason) + 1];

    if (vbd->device.state == DEVICE_DISCONNECTING)
        return 0; /* overtaken */
    if (!server_has(vbd) || vbd->device.state != DEVICE_CONNECTED)
        return -EPROTO;
    if (server->wanted)
        return 0;
    if (clock_now_ms() - server->dialed_ms >= GOOD_MS)
        server->error[0] = '\0'; /* that was overcome */
    snprintf(why, sizeof(why), "%.*s", (int)sizeof(message->head.reason), message->head.reason);
    note_error(vbd, why);
    server->wanted = true;
    if (server->fd < 0 || clock_now_ms() - server->dialed_ms >= GOOD_MS || server->delay_ms == 0)
        server->delay_ms = DELAY_MIN_MS;
    else
        server->delay_ms = server->delay_ms * 2 < DELAY_MAX_MS ? server->delay_ms * 2 : DELAY_MAX_MS;
    if (server->fd >= 0) {
        end_last(vbd, settling_ms(vbd));
        retry_later(vbd);
    } else {
        event_active(server->timer, EV_TIMEOUT, 0);
    }
    return 0;
}

/* ---- Coming and going. -------------------------------------------------------------------------------------------------------------- */

int server_init(struct vbd *vbd)
{
    vbd->server.fd = -1;
    vbd->server.timer = evtimer_new(device_backend(&vbd->device)->base, on_timer, vbd);
    return vbd->server.timer == NULL ? -ENOMEM : 0;
}

void server_fini(struct vbd *vbd)
{
    if (vbd->server.timer == NULL)
        return;
    stop(vbd);
    event_free(vbd->server.timer);
    if (vbd->server.fd >= 0)
        close(vbd->server.fd);
}

void server_worker_gone(struct vbd *vbd)
{
    if (!server_has(vbd))
        return;
    stop(vbd);
    /* What has drained has nothing at the server. */
    end_last(vbd, record_is_drained(device_kind(&vbd->device), vbd->device.guest->dir) ? 0 : settling_ms(vbd));
}

void server_let_go(struct vbd *vbd)
{
    stop(vbd);
    if (vbd->server.fd >= 0)
        end_last(vbd, settling_ms(vbd));
    vbd->server.claimed = false;
    vbd->server.error[0] = '\0';
}

bool server_can_hold(int fd)
{
    struct stat stat;

    return fstat(fd, &stat) == 0 && S_ISSOCK(stat.st_mode);
}

void server_claim(struct vbd *vbd, int fd)
{
    struct blkback_message message = {.head = {.type = BLKBACK_DIALS, .devid = vbd->device.devid}};

    if (vbd->server.fd >= 0)
        close(vbd->server.fd);
    vbd->server.fd = fd;
    vbd->server.claimed = true;
    if (vbd->device.state != DEVICE_DISCONNECTING)
        guest_tell(vbd->device.guest, &message.head, NULL, 0);
}

int server_lock(struct vbd *vbd)
{
    const struct backend *backend = device_backend(&vbd->device);

    if (vbd->device.state == DEVICE_ACQUIRING && ending_is_under_way(uri_of(vbd)))
        return -EWOULDBLOCK;
    for (const struct device *other = device_first(backend); other != NULL; other = device_next(other)) {
        const struct vbd *user = vbd_of_const(other);
        if (user != vbd && server_has(user) && user->server.claimed && strcmp(uri_of(user), uri_of(vbd)) == 0 &&
            !(user->image.read_only && vbd->image.read_only))
            return -EWOULDBLOCK;
    }
    vbd->server.claimed = true;
    return 0;
}

json_t *server_report(const struct vbd *vbd)
{
    const struct server *server = &vbd->server;

    if (!server_has(vbd))
        return json_null();
    return json_pack("{s:b, s:I, s:s?}", "connected",
                     vbd->device.state == DEVICE_CONNECTED && server->fd >= 0 && !server->wanted, "connections",
                     (json_int_t)server->connections, "error", server->error[0] == '\0' ? NULL : server->error);
}

/* SPDX-License-Identifier: MIT */
/*
 * reflector [--hub | --tap NAME] [--queues N] [--offer F,...] [--lose N] [--keep DIR]: a network back end for tests of the simulated guest, until SIGTERM.
 *
 * Every frame a guest sends comes back to it, or, with --hub, goes to all others, or, with --tap, to that tap, from which all get theirs; a frame
 * without a checksum has none there either. Frames wait for pages as long as it takes, the oldest BACKLOG of them.
 * It serves all vifs of the host in one process. With --keep its journals are files, and
 * the next one takes the rings over when it was killed; what waited is lost, and so is what a control ring had set up.
 *
 *   tx event -> netif_tx_next -> copy -> answer -> deliver: backlog of the receiver's queue -> lay -> copy -> finish -> publish
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <unistd.h>

#include <event2/event.h>
#include <linux/if.h>
#include <linux/if_tun.h>

#include <ring/netif_ctrl.h>
#include <ring/netif_rx.h>
#include <ring/netif_tx.h>
#include <xendev/event_channel.h>
#include <xendev/grant.h>
#include <xendev/store.h>
#include <xendev/xenbus.h>

#define QUEUES_MAX 16u
#define BACKLOG    4096u

struct frame {
    STAILQ_ENTRY(frame) link; /* queue.backlog */
    struct netif_meta meta;
    uint32_t length;
    uint8_t bytes[];
};

struct queue {
    struct vif *vif;
    unsigned number;
    struct netif_tx tx;
    struct netif_rx rx;
    void *tx_ring, *rx_ring, *tx_journal, *rx_journal;
    struct xendev_channel *tx_channel, *rx_channel;
    STAILQ_HEAD(, frame) backlog;
    unsigned waiting;
};

struct vif {
    LIST_ENTRY(vif) link; /* vifs */
    struct xendev_backend *device;
    uint32_t domid;
    bool up, resuming, sg, gso[3];
    struct queue queues[QUEUES_MAX];
    unsigned queue_count;
    struct ring_back ctrl;
    struct netif_hash hash;
    void *ctrl_ring, *ctrl_journal;
    struct xendev_channel *ctrl_channel;
};

static LIST_HEAD(, vif) vifs = LIST_HEAD_INITIALIZER(vifs);
static struct event_base *base;
static struct xendev_store *store;
static struct xendev_grants *grants;
static struct xendev_events *events;
static unsigned queues_offered = 4, lose;
static const char *keep;
static const char *offered = "sg,gso4,gso6,csum6,split,multicast,ctrl";
static const char *tap_name;
static bool hub;
static int tap = -1;
static struct event *tap_event;
static unsigned long delivered, lost, dropped;

/* ---- To the guest. -------------------------------------------------------------------------------------------------- */

static void send_frame(struct queue *queue, const struct frame *frame)
{
    struct xendev_copy copies[NETIF_RX_PIECES_MAX];
    static uint8_t bytes[NETIF_RX_LENGTH_MAX];
    struct netif_lay lay;
    uint32_t at = 0;

    memcpy(bytes, frame->bytes, frame->length);
    if (netif_rx_lay(&queue->rx, frame->length, &frame->meta, &lay) < 0)
        abort(); /* there is room */
    for (uint32_t i = 0; i < lay.piece_count; i++) {
        copies[i] = (struct xendev_copy){lay.pieces[i].gref, lay.pieces[i].offset, lay.pieces[i].length, bytes + at, 0};
        at += lay.pieces[i].length;
    }
    xendev_grants_copy(grants, queue->vif->domid, XENDEV_COPY_TO_GUEST, copies, lay.piece_count);
    for (uint32_t i = 0; i < lay.piece_count; i++)
        lay.failed |= (copies[i].status < 0 ? 1u : 0u) << i;
    netif_rx_finish(&queue->rx, &lay);
    delivered++;
}

static void flush(struct queue *queue)
{
    struct frame *frame;
    uint32_t need = 1;

    do {
        if (netif_rx_fill(&queue->rx) < 0) {
            xendev_backend_fail(queue->vif->device, "impossible producer of the receive ring");
            return;
        }
        while ((frame = STAILQ_FIRST(&queue->backlog)) != NULL) {
            need = netif_rx_need(frame->length, &frame->meta);
            if (need > netif_rx_room(&queue->rx))
                break;
            send_frame(queue, frame);
            STAILQ_REMOVE_HEAD(&queue->backlog, link);
            queue->waiting--;
            free(frame);
        }
        if (ring_back_publish(&queue->rx.ring))
            xendev_channel_notify(queue->rx_channel);
    } while (netif_rx_rearm(&queue->rx, need));
}

static void deliver(struct vif *vif, unsigned from_queue, const uint8_t *bytes, uint32_t length,
                    const struct netif_meta *meta)
{
    struct netif_meta own = *meta;

    if (!vif->up)
        return;
    struct queue *queue = &vif->queues[from_queue % vif->queue_count];
    own.hashed = netif_hash_frame(&vif->hash, bytes, length, &own.hash_type, &own.hash);
    if (own.hashed)
        queue = &vif->queues[netif_hash_queue(&vif->hash, own.hash)];
    if (queue->waiting == BACKLOG || (length > RING_PAGE_SIZE && !vif->sg) ||
        (own.gso != NETIF_GSO_NONE && !vif->gso[own.gso])) {
        dropped++;
        return;
    }
    struct frame *frame = malloc(sizeof *frame + length);
    if (frame == NULL)
        abort();
    frame->meta = own;
    frame->length = length;
    memcpy(frame->bytes, bytes, length);
    STAILQ_INSERT_TAIL(&queue->backlog, frame, link);
    queue->waiting++;
    flush(queue);
}

/* ---- From the guest. ------------------------------------------------------------------------------------------------ */

static void forward(struct queue *queue, const uint8_t *bytes, const struct netif_packet *packet)
{
    static unsigned long seen;
    struct vif *to;

    if (lose > 0 && ++seen % lose == 0) {
        lost++;
        return;
    }
    if (tap >= 0)
        dropped += write(tap, bytes, packet->length) < 0;
    else if (!hub)
        deliver(queue->vif, queue->number, bytes, packet->length, &packet->meta);
    else
        LIST_FOREACH (to, &vifs, link)
            if (to != queue->vif)
                deliver(to, queue->number, bytes, packet->length, &packet->meta);
}

/* Takes the packet's bytes and answers it. */
static void take_packet(struct queue *queue, const struct netif_packet *packet)
{
    struct xendev_copy copies[NETIF_TX_PIECES_MAX];
    static uint8_t bytes[NETIF_LENGTH_MAX + 1];
    uint32_t at = 0;

    for (uint32_t i = 0; i < packet->piece_count; i++) {
        copies[i] = (struct xendev_copy){packet->pieces[i].gref, packet->pieces[i].offset, packet->pieces[i].length,
                                         bytes + at, 0};
        at += packet->pieces[i].length;
    }
    bool bad = packet->fault != NETIF_FAULT_NONE ||
               xendev_grants_copy(grants, queue->vif->domid, XENDEV_COPY_FROM_GUEST, copies, packet->piece_count) > 0;
    netif_tx_answer(&queue->tx, bad ? NETIF_STATUS_ERROR : NETIF_STATUS_OKAY);
    if (!bad && packet->meta.multicast == NETIF_MULTICAST_NONE)
        forward(queue, bytes, packet);
}

static void take_all(struct queue *queue)
{
    static struct netif_packet packet;
    int rc;

    do {
        while ((rc = netif_tx_next(&queue->tx, &packet)) > 0)
            take_packet(queue, &packet);
        if (ring_back_publish(&queue->tx.ring))
            xendev_channel_notify(queue->tx_channel);
        if (rc < 0) {
            xendev_backend_fail(queue->vif->device, netif_fault_name(netif_tx_fatal(&queue->tx)));
            return;
        }
    } while (ring_back_rearm(&queue->tx.ring));
}

static void tx_fired(void *arg)
{
    struct queue *queue = arg;

    take_all(queue);
    xendev_channel_unmask(queue->tx_channel);
}

static void rx_fired(void *arg)
{
    struct queue *queue = arg;

    flush(queue);
    xendev_channel_unmask(queue->rx_channel);
}

static void both_fired(void *arg)
{
    flush(arg);
    tx_fired(arg);
}

static void ctrl_fired(void *arg)
{
    struct vif *vif = arg;
    struct ring_request request;

    do {
        while (ring_back_consume(&vif->ctrl, &request) > 0) {
            static uint8_t page[RING_PAGE_SIZE];
            struct netif_ctrl_request asked;
            struct netif_ctrl_response answer;
            struct xendev_copy copy = {.local = page};
            uint8_t bytes[RING_RESPONSE_MAX];

            netif_ctrl_decode(request.bytes, &asked);
            copy.length = (uint16_t)netif_ctrl_fetch(&vif->hash, &asked, &copy.gref);
            bool bad = copy.length > 0 && xendev_grants_copy(grants, vif->domid, XENDEV_COPY_FROM_GUEST, &copy, 1) > 0;
            netif_ctrl_execute(&vif->hash, &asked, bad ? NULL : page, &answer);
            netif_ctrl_encode(&answer, bytes);
            ring_back_respond(&vif->ctrl, request.index, bytes);
        }
        if (ring_back_publish(&vif->ctrl))
            xendev_channel_notify(vif->ctrl_channel);
    } while (ring_back_rearm(&vif->ctrl));
    xendev_channel_unmask(vif->ctrl_channel);
}

/* ---- Lives. --------------------------------------------------------------------------------------------------------- */

static int read_key(const struct vif *vif, const char *dir, const char *key, uint32_t *ret_value)
{
    char path[256];

    snprintf(path, sizeof path, "%s%s", xendev_backend_front(vif->device), dir);
    return xendev_store_read_u32(store, XENDEV_NO_TXN, path, key, ret_value);
}

static void *map_journal(const struct vif *vif, const char *dir, const char *key, size_t size)
{
    char path[512];

    if (keep == NULL)
        return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    snprintf(path, sizeof path, "%s/%u.%u.%s.%s", keep, vif->domid, xendev_backend_devid(vif->device),
             *dir != '\0' ? dir + 1 : "", key);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (vif->resuming ? 0 : O_TRUNC), 0600);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
        abort();
    void *journal = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return journal;
}

static int map_ring(const struct vif *vif, const char *dir, const char *key, const struct ring_layout *layout,
                    void **ret_ring, void **ret_journal)
{
    uint32_t gref;
    int rc = read_key(vif, dir, key, &gref);

    if (rc == 0)
        rc = xendev_grants_map(grants, vif->domid, &gref, 1, ret_ring);
    if (rc < 0)
        return rc;
    *ret_journal = map_journal(vif, dir, key, ring_journal_size(layout));
    return *ret_journal == MAP_FAILED ? -ENOMEM : 0;
}

static int bind_channel(struct vif *vif, const char *dir, const char *key, void (*fired)(void *arg), void *arg,
                        struct xendev_channel **ret_channel)
{
    uint32_t port;
    int rc = read_key(vif, dir, key, &port);

    return rc < 0 ? rc : xendev_channel_bind(events, vif->domid, port, fired, arg, ret_channel);
}

static int connect_queue(struct queue *queue, const char *dir)
{
    struct vif *vif = queue->vif;
    const struct ring_layout tx = netif_tx_layout(), rx = netif_rx_layout();
    int rc = map_ring(vif, dir, "tx-ring-ref", &tx, &queue->tx_ring, &queue->tx_journal);

    if (rc == 0)
        rc = map_ring(vif, dir, "rx-ring-ref", &rx, &queue->rx_ring, &queue->rx_journal);
    if (rc == 0)
        rc = vif->resuming ? netif_tx_recover(&queue->tx, queue->tx_ring, RING_PAGE_SIZE, queue->tx_journal,
                                              ring_journal_size(&tx), 1, false)
                           : netif_tx_attach(&queue->tx, queue->tx_ring, RING_PAGE_SIZE, queue->tx_journal,
                                             ring_journal_size(&tx), 1);
    if (rc == 0)
        rc = vif->resuming ? netif_rx_recover(&queue->rx, queue->rx_ring, RING_PAGE_SIZE, queue->rx_journal,
                                              ring_journal_size(&rx), 1, false)
                           : netif_rx_attach(&queue->rx, queue->rx_ring, RING_PAGE_SIZE, queue->rx_journal,
                                             ring_journal_size(&rx), 1);
    if (rc < 0)
        return rc;
    rc = bind_channel(vif, dir, "event-channel", both_fired, queue, &queue->tx_channel);
    if (rc == -ENOENT) {
        rc = bind_channel(vif, dir, "event-channel-tx", tx_fired, queue, &queue->tx_channel);
        return rc < 0 ? rc : bind_channel(vif, dir, "event-channel-rx", rx_fired, queue, &queue->rx_channel);
    }
    queue->rx_channel = queue->tx_channel;
    return rc;
}

static int connect_ctrl(struct vif *vif)
{
    const struct ring_layout layout = netif_ctrl_layout();
    int rc = map_ring(vif, "", "ctrl-ring-ref", &layout, &vif->ctrl_ring, &vif->ctrl_journal);

    if (rc == -ENOENT)
        return 0;
    vif->hash = (struct netif_hash){.queues = vif->queue_count};
    if (rc == 0)
        rc = ring_back_attach(&vif->ctrl, vif->ctrl_ring, RING_PAGE_SIZE, &layout, vif->ctrl_journal,
                              ring_journal_size(&layout), 1);
    return rc < 0 ? rc : bind_channel(vif, "", "event-channel-ctrl", ctrl_fired, vif, &vif->ctrl_channel);
}

static bool wants(const struct vif *vif, const char *key)
{
    uint32_t value;

    return read_key(vif, "", key, &value) == 0 && value == 1;
}

static int connect_all(struct vif *vif)
{
    uint32_t count = 1;
    int rc = read_key(vif, "", "multi-queue-num-queues", &count);

    if ((rc < 0 && rc != -ENOENT) || count == 0 || count > queues_offered || !wants(vif, "request-rx-copy"))
        return -EINVAL;
    vif->sg = wants(vif, "feature-sg");
    vif->gso[NETIF_GSO_TCPV4] = wants(vif, "feature-gso-tcpv4");
    vif->gso[NETIF_GSO_TCPV6] = wants(vif, "feature-gso-tcpv6");
    for (rc = 0; rc == 0 && vif->queue_count < count;) {
        struct queue *queue = &vif->queues[vif->queue_count];
        char dir[24] = "";
        if (count > 1)
            snprintf(dir, sizeof dir, "/queue-%u", vif->queue_count);
        *queue = (struct queue){.vif = vif, .number = vif->queue_count++};
        STAILQ_INIT(&queue->backlog);
        rc = connect_queue(queue, dir);
    }
    return rc < 0 ? rc : connect_ctrl(vif);
}

static void on_connect(struct xendev_backend *device)
{
    struct vif *vif = xendev_backend_data(device);
    int rc = connect_all(vif);

    vif->up = rc == 0;
    xendev_backend_done(device, rc, rc < 0 ? "its keys make no connection" : NULL);
}

static void drop_ring(void **ring, void **journal, struct ring_layout layout)
{
    if (*ring != NULL)
        xendev_grants_unmap(grants, *ring, 1);
    if (*journal != NULL && *journal != MAP_FAILED)
        munmap(*journal, ring_journal_size(&layout));
    *ring = *journal = NULL;
}

static void on_disconnect(struct xendev_backend *device)
{
    struct vif *vif = xendev_backend_data(device);

    for (unsigned i = 0; vif != NULL && i < vif->queue_count; i++) {
        struct queue *queue = &vif->queues[i];
        struct frame *frame;
        if (queue->rx_channel != queue->tx_channel)
            xendev_channel_close(queue->rx_channel);
        xendev_channel_close(queue->tx_channel);
        drop_ring(&queue->tx_ring, &queue->tx_journal, netif_tx_layout());
        drop_ring(&queue->rx_ring, &queue->rx_journal, netif_rx_layout());
        while ((frame = STAILQ_FIRST(&queue->backlog)) != NULL) {
            STAILQ_REMOVE_HEAD(&queue->backlog, link);
            free(frame);
        }
    }
    if (vif != NULL) {
        xendev_channel_close(vif->ctrl_channel);
        vif->ctrl_channel = NULL;
        drop_ring(&vif->ctrl_ring, &vif->ctrl_journal, netif_ctrl_layout());
        vif->hash = (struct netif_hash){0};
        vif->queue_count = 0;
        vif->up = false;
    }
    xendev_backend_done(device, 0, NULL);
}

static struct vif *vif_get(struct xendev_backend *device)
{
    struct vif *vif = xendev_backend_data(device);

    if (vif != NULL)
        return vif;
    vif = calloc(1, sizeof *vif);
    if (vif == NULL)
        abort();
    vif->device = device;
    vif->domid = xendev_backend_domid(device);
    LIST_INSERT_HEAD(&vifs, vif, link);
    xendev_backend_set_data(device, vif);
    return vif;
}

static void on_prepare(struct xendev_backend *device)
{
    static const char *const keys[][2] = {{"sg", "feature-sg"},
                                          {"gso4", "feature-gso-tcpv4"},
                                          {"gso6", "feature-gso-tcpv6"},
                                          {"csum6", "feature-ipv6-csum-offload"},
                                          {"split", "feature-split-event-channels"},
                                          {"multicast", "feature-multicast-control"},
                                          {"ctrl", "feature-ctrl-ring"}};
    const char *path = xendev_backend_path(device);

    vif_get(device)->resuming = false;
    int rc = xendev_store_write(store, XENDEV_NO_TXN, path, "feature-rx-copy", "1");
    for (unsigned i = 0; rc == 0 && i < sizeof keys / sizeof keys[0]; i++)
        rc = xendev_store_write(store, XENDEV_NO_TXN, path, keys[i][1], "%d", strstr(offered, keys[i][0]) != NULL);
    if (rc == 0)
        rc = xendev_store_write(store, XENDEV_NO_TXN, path, "multi-queue-max-queues", "%u", queues_offered);
    xendev_backend_done(device, rc, NULL);
}

/* Nobody knows what the one before had told the guest: it is told once more, and each ring is looked at when its channel fires. */
static void on_resume(struct xendev_backend *device)
{
    struct vif *vif = vif_get(device);
    int rc = -EOPNOTSUPP;

    vif->resuming = keep != NULL;
    if (vif->resuming)
        rc = connect_all(vif);
    vif->resuming = false;
    vif->up = rc == 0;
    for (unsigned i = 0; vif->up && i < vif->queue_count; i++) {
        xendev_channel_notify(vif->queues[i].tx_channel);
        xendev_channel_notify(vif->queues[i].rx_channel);
    }
    xendev_backend_done(device, rc, NULL);
}

static void on_release(struct xendev_backend *device)
{
    struct vif *vif = xendev_backend_data(device);

    if (vif == NULL)
        return;
    LIST_REMOVE(vif, link);
    free(vif);
}

/* ---- The program. --------------------------------------------------------------------------------------------------- */

static void tap_readable(evutil_socket_t fd, short what, void *arg)
{
    static uint8_t bytes[NETIF_LENGTH_MAX];
    const struct netif_meta meta = {0};
    struct vif *vif;
    ssize_t length;

    (void)what;
    (void)arg;
    while ((length = read(fd, bytes, sizeof bytes)) > 0)
        LIST_FOREACH (vif, &vifs, link)
            deliver(vif, 0, bytes, (uint32_t)length, &meta);
}

static int tap_open(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};

    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tap < 0 || ioctl(tap, TUNSETIFF, &request) < 0)
        return -errno;
    tap_event = event_new(base, tap, EV_READ | EV_PERSIST, tap_readable, NULL);
    return tap_event == NULL || event_add(tap_event, NULL) < 0 ? -ENOMEM : 0;
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    event_base_loopbreak(arg);
}

static void parse(int argc, char **argv)
{
    static const struct option options[] = {{"hub", no_argument, NULL, 'h'},
                                            {"queues", required_argument, NULL, 'q'},
                                            {"offer", required_argument, NULL, 'o'},
                                            {"lose", required_argument, NULL, 'l'},
                                            {"tap", required_argument, NULL, 't'},
                                            {"keep", required_argument, NULL, 'k'},
                                            {0}};
    int key;

    while ((key = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (key == 'h')
            hub = true;
        else if (key == 'q')
            queues_offered = (unsigned)strtoul(optarg, NULL, 10);
        else if (key == 'o')
            offered = optarg;
        else if (key == 'k')
            keep = optarg;
        else if (key == 't')
            tap_name = optarg;
        else if (key == 'l')
            lose = (unsigned)strtoul(optarg, NULL, 10);
        else
            exit(2);
    }
    if (queues_offered == 0 || queues_offered > QUEUES_MAX)
        exit(2);
}

int main(int argc, char **argv)
{
    static const struct xendev_backend_ops ops = {on_prepare, on_connect, on_resume, on_disconnect, on_release};
    struct xendev_bus *bus;

    parse(argc, argv);
    base = event_base_new();
    if (base == NULL || xendev_store_open(base, NULL, NULL, &store) < 0 || xendev_grants_open(&grants) < 0 ||
        xendev_events_open(base, &events) < 0 || xendev_bus_open(store, "vif", &ops, NULL, &bus) < 0) {
        fprintf(stderr, "reflector: cannot open Xen\n");
        return EXIT_FAILURE;
    }
    if (tap_name != NULL && tap_open(tap_name) < 0) {
        fprintf(stderr, "reflector: cannot open the tap %s\n", tap_name);
        return EXIT_FAILURE;
    }
    struct event *term = evsignal_new(base, SIGTERM, on_signal, base);
    if (term == NULL || event_add(term, NULL) < 0)
        return EXIT_FAILURE;
    event_base_dispatch(base);
    printf("%lu frames delivered, %lu lost on purpose, %lu dropped\n", delivered, lost, dropped);
    event_free(term);
    if (tap_event != NULL)
        event_free(tap_event);
    xendev_bus_close(bus);
    xendev_events_close(events);
    xendev_grants_close(grants);
    xendev_store_close(store);
    event_base_free(base);
    return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: MIT */
/*
 * The data path of a network front end.
 *
 *   send* -> kick       ...       event -> answers free pages -> frames received*, their pages posted again -> kick -> rearm,
 *                                 again if more came in
 *
 * It acts on events alone, never on time: an event that a back end owes and does not send is seen as frames that never come.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xendev/event_channel.h>
#include <xendev/grant.h>

#include "net_packet.h"
#include "netfront.h"

static void post(struct netfront_queue *queue);

/* ---- Making and dropping. ------------------------------------------------------------------------------------------- */

static int share_pages(struct netfront_queue *queue)
{
    struct netfront *front = queue->front;
    uint32_t domid = xendev_frontend_backend_domid(front->device.xenbus);
    void *pages;

    int rc = xendev_share_pages(front->guest->share, domid, NETIF_RING_SLOTS, queue->tx_refs, &pages);
    if (rc < 0)
        return rc;
    queue->tx_pages = pages;
    rc = xendev_share_pages(front->guest->share, domid, NETIF_RING_SLOTS, queue->rx_refs, &pages);
    if (rc == 0)
        queue->rx_pages = pages;
    return rc;
}

static int read_mac(struct netfront *front)
{
    char *text;
    int rc =
        xendev_store_read(front->guest->store, XENDEV_NO_TXN, xendev_frontend_path(front->device.xenbus), "mac", &text);
    if (rc < 0)
        return rc;
    rc = net_mac_parse(text, front->mac);
    free(text);
    return rc;
}

int netfront_open(struct netfront *front, struct guest *guest, const struct netfront_config *config)
{
    const char *what = "memory";

    *front = (struct netfront){.guest = guest, .config = *config};
    int rc = device_open(&front->device, guest, "vif", config->devid);
    if (rc < 0)
        return rc;

    rc = -ENOMEM;
    front->queues = calloc(config->queues, sizeof *front->queues);
    if (front->queues == NULL)
        goto fail;
    what = "pages to share";
    for (unsigned i = 0; i < config->queues; i++) {
        front->queues[i].front = front;
        front->queues[i].number = i;
        rc = share_pages(&front->queues[i]);
        if (rc < 0)
            goto fail;
    }
    what = "address (mac)";
    rc = read_mac(front);
    if (rc < 0)
        goto fail;
    return 0;
fail:
    guest_say("vif %u: no %s: %s", config->devid, what, strerror(-rc));
    netfront_close(front);
    return rc;
}

void netfront_close(struct netfront *front)
{
    if (front->guest == NULL)
        return;
    netfront_drop_queues(front);
    for (unsigned i = 0; front->queues != NULL && i < front->config.queues; i++) {
        if (front->queues[i].tx_pages != NULL)
            xendev_share_free(front->guest->share, front->queues[i].tx_pages, NETIF_RING_SLOTS);
        if (front->queues[i].rx_pages != NULL)
            xendev_share_free(front->guest->share, front->queues[i].rx_pages, NETIF_RING_SLOTS);
    }
    free(front->queues);
    device_close(&front->device);
    front->guest = NULL;
}

static void drop_queue(struct netfront_queue *queue)
{
    struct xendev_share *share = queue->front->guest->share;

    if (queue->rx_channel != queue->tx_channel)
        xendev_channel_close(queue->rx_channel);
    xendev_channel_close(queue->tx_channel);
    queue->tx_channel = queue->rx_channel = NULL;
    if (queue->tx_ring != NULL)
        xendev_share_free(share, queue->tx_ring, 1);
    if (queue->rx_ring != NULL)
        xendev_share_free(share, queue->rx_ring, 1);
    queue->tx_ring = queue->rx_ring = NULL;
}

void netfront_drop_queues(struct netfront *front)
{
    front->device.up = false;
    for (unsigned i = 0; i < front->queue_count; i++)
        drop_queue(&front->queues[i]);
    front->queue_count = 0;
    netfront_drop_ctrl(front);
}

static void both_fired(void *arg);
static void tx_fired(void *arg);
static void rx_fired(void *arg);

static int offer_channels(struct netfront_queue *queue)
{
    struct netfront *front = queue->front;
    struct xendev_events *events = front->guest->events;
    uint32_t domid = xendev_frontend_backend_domid(front->device.xenbus);
    bool split = NETFRONT_HAS(front->features, NETFRONT_SPLIT);

    int rc =
        xendev_channel_offer(events, domid, split ? tx_fired : both_fired, queue, &queue->tx_channel, &queue->tx_port);
    if (rc == 0 && split)
        return xendev_channel_offer(events, domid, rx_fired, queue, &queue->rx_channel, &queue->rx_port);
    queue->rx_channel = queue->tx_channel;
    queue->rx_port = queue->tx_port;
    return rc;
}

static int make_queue(struct netfront_queue *queue)
{
    struct netfront *front = queue->front;
    uint32_t domid = xendev_frontend_backend_domid(front->device.xenbus);

    int rc = xendev_share_pages(front->guest->share, domid, 1, &queue->tx_ring_ref, &queue->tx_ring);
    if (rc == 0)
        rc = xendev_share_pages(front->guest->share, domid, 1, &queue->rx_ring_ref, &queue->rx_ring);
    if (rc == 0)
        rc = netif_front_tx_init(&queue->tx, queue->tx_ring, XENDEV_PAGE_SIZE, front->config.ring_start);
    if (rc == 0)
        rc = netif_front_rx_init(&queue->rx, queue->rx_ring, XENDEV_PAGE_SIZE, front->config.ring_start);
    if (rc == 0)
        rc = offer_channels(queue);
    if (rc < 0)
        return rc;

    queue->tx_free_count = queue->rx_idle_count = NETIF_RING_SLOTS;
    for (unsigned i = 0; i < NETIF_RING_SLOTS; i++)
        queue->tx_free[i] = queue->rx_idle[i] = (uint16_t)(NETIF_RING_SLOTS - 1 - i);
    post(queue);
    return 0;
}

int netfront_make_queues(struct netfront *front, unsigned count)
{
    int rc = 0;

    netfront_drop_queues(front);
    front->device.lost = false;
    front->complaint[0] = '\0';
    while (rc == 0 && front->queue_count < count) {
        front->queue_count++; /* a half-made one is dropped with the others */
        rc = make_queue(&front->queues[front->queue_count - 1]);
    }
    if (rc < 0) {
        guest_say("vif %u: no rings: %s", front->config.devid, strerror(-rc));
        netfront_drop_queues(front);
    }
    return rc;
}

void netfront_complain(struct netfront *front, const char *what)
{
    if (front->complaint[0] != '\0')
        return;
    snprintf(front->complaint, sizeof front->complaint, "%s", what);
    guest_say("vif %u: the back end %s", front->config.devid, front->complaint);
}

/* ---- Sending. ------------------------------------------------------------------------------------------------------- */

uint32_t netfront_tx_max(const struct netfront *front)
{
    return NETFRONT_HAS(front->features, NETFRONT_SG) ? NETIF_LENGTH_MAX : XENDEV_PAGE_SIZE;
}

/* Bytes of each piece but the last. */
static uint32_t piece_size(const struct netfront *front, uint32_t length)
{
    unsigned slots = NETFRONT_HAS(front->features, NETFRONT_SG) ? front->config.slots : 1;
    uint32_t size = slots > length ? 1 : (length + slots - 1) / slots;

    return size > XENDEV_PAGE_SIZE ? XENDEV_PAGE_SIZE : size;
}

int netfront_send(struct netfront *front, unsigned number, const uint8_t *frame, uint32_t length,
                  const struct netif_meta *meta)
{
    struct netfront_queue *queue = &front->queues[number];
    struct netif_piece pieces[NETIF_FRONT_PIECES_MAX];
    uint16_t ids[NETIF_FRONT_PIECES_MAX];
    uint32_t count = 0, size = piece_size(front, length);

    if (length == 0 || length > netfront_tx_max(front) || (length + size - 1) / size > NETIF_FRONT_PIECES_MAX)
        return -EMSGSIZE;
    if (queue->tx_free_count < (length + size - 1) / size) {
        front->counts.tx_dropped++;
        return -ENOSPC;
    }
    for (uint32_t at = 0; at < length; at += size, count++) {
        uint16_t id = queue->tx_free[queue->tx_free_count - 1 - count];
        uint32_t part = length - at < size ? length - at : size;
        /* Not at the beginning of the page: an offset that is forgotten shows. */
        uint32_t offset = part + 64 <= XENDEV_PAGE_SIZE ? 64 : 0;

        ids[count] = id;
        pieces[count] = (struct netif_piece){queue->tx_refs[id], (uint16_t)offset, (uint16_t)part};
        if (frame != NULL)
            memcpy(queue->tx_pages + (size_t)id * XENDEV_PAGE_SIZE + offset, frame + at, part);
    }
    int rc = netif_front_tx_send(&queue->tx, pieces, ids, count, meta);
    if (rc < 0) {
        front->counts.tx_dropped++;
        return rc;
    }
    queue->tx_free_count -= count;
    front->counts.tx_frames++;
    front->counts.tx_bytes += length;
    return 0;
}

int netfront_multicast(struct netfront *front, bool add, const uint8_t address[NETIF_ADDRESS_LEN])
{
    struct netfront_queue *queue = &front->queues[0];
    struct netif_meta meta = {.multicast = add ? NETIF_MULTICAST_ADD : NETIF_MULTICAST_DEL};

    if (queue->tx_free_count == 0)
        return -ENOSPC;
    memcpy(meta.address, address, sizeof meta.address);
    int rc = netif_front_tx_send(&queue->tx, NULL, &queue->tx_free[queue->tx_free_count - 1], 0, &meta);
    if (rc == 0)
        queue->tx_free_count--;
    return rc;
}

static void publish(struct netfront *front, struct ring_front *ring, struct xendev_channel *channel, bool silent)
{
    /* A notification that fails finds no back end at the other end; the next one looks at the ring first. */
    if (!ring_front_publish(ring) || silent)
        return;
    front->counts.kicks++;
    xendev_channel_notify(channel);
}

void netfront_kick(struct netfront *front, bool silent)
{
    for (unsigned i = 0; i < front->queue_count; i++)
        publish(front, &front->queues[i].tx.ring, front->queues[i].tx_channel, silent);
}

unsigned netfront_tx_waiting(const struct netfront *front)
{
    unsigned waiting = 0;

    for (unsigned i = 0; i < front->queue_count; i++)
        waiting += NETIF_RING_SLOTS - front->queues[i].tx_free_count;
    return waiting;
}

static bool is_answered(const void *arg)
{
    const struct netfront *front = arg;

    return netfront_tx_waiting(front) == 0 || front->device.lost || front->complaint[0] != '\0';
}

int netfront_drain(struct netfront *front)
{
    int rc = guest_wait(front->guest, is_answered, front);

    if (rc < 0)
        return rc;
    return front->device.lost || front->complaint[0] != '\0' ? -ECONNRESET : 0;
}

/* ---- Receiving. ----------------------------------------------------------------------------------------------------- */

static void post(struct netfront_queue *queue)
{
    struct netfront *front = queue->front;

    while (NETIF_RING_SLOTS - queue->rx_idle_count < front->config.rx_posted) {
        uint16_t id = queue->rx_idle[queue->rx_idle_count - 1];
        if (netif_front_rx_post(&queue->rx, id, queue->rx_refs[id]) < 0)
            break;
        queue->rx_idle_count--;
    }
    publish(front, &queue->rx.ring, queue->rx_channel, !NETFRONT_HAS(front->features, NETFRONT_RX_NOTIFY));
}

void netfront_keep_posted(struct netfront *front, unsigned pages)
{
    front->config.rx_posted = pages;
    for (unsigned i = 0; i < front->queue_count; i++)
        post(&front->queues[i]);
}

static void count_received(struct netfront_queue *queue, const struct netif_received *received)
{
    struct netfront_counts *counts = &queue->front->counts;
    const struct netif_meta *meta = &received->meta;

    counts->rx_slots += received->piece_count + received->spare_count;
    if (received->failed || received->length == 0) {
        counts->rx_errors++;
        return;
    }
    counts->rx_frames++;
    counts->rx_bytes += received->length;
    counts->rx_gso += meta->gso != NETIF_GSO_NONE;
    counts->rx_csum_blank += meta->csum_blank;
    counts->rx_hashed += meta->hashed;
}

/* What was not agreed on must not be sent to us. */
static void judge(struct netfront_queue *queue, const struct netif_received *received)
{
    struct netfront *front = queue->front;
    const struct netif_meta *meta = &received->meta;

    if (received->piece_count > 1 && !NETFRONT_HAS(front->features, NETFRONT_SG))
        netfront_complain(front, "sent a frame in pieces to one who takes none");
    if ((meta->gso == NETIF_GSO_TCPV4 && !NETFRONT_HAS(front->features, NETFRONT_GSO4)) ||
        (meta->gso == NETIF_GSO_TCPV6 && !NETFRONT_HAS(front->features, NETFRONT_GSO6)))
        netfront_complain(front, "sent large segments to one who takes none");
}

static void take_frame(struct netfront_queue *queue, const struct netif_received *received)
{
    struct netfront *front = queue->front;
    const bool looked_at = front->received != NULL || front->hash.algorithm != NETIF_HASH_NONE;
    uint32_t length = 0;

    for (unsigned i = 0; i < received->piece_count; i++) {
        const uint8_t *page = queue->rx_pages + (size_t)received->pieces[i].id * XENDEV_PAGE_SIZE;
        if (looked_at)
            memcpy(front->frame + length, page + received->pieces[i].offset, received->pieces[i].length);
        length += received->pieces[i].length;
        queue->rx_idle[queue->rx_idle_count++] = received->pieces[i].id;
    }
    for (unsigned i = 0; i < received->spare_count; i++)
        queue->rx_idle[queue->rx_idle_count++] = received->spare[i];
    count_received(queue, received);
    judge(queue, received);
    if (received->failed || length == 0)
        return;
    if (!netfront_hash_is_right(front, queue->number, front->frame, length, &received->meta))
        front->counts.rx_hash_wrong++;
    if (front->received != NULL)
        front->received(front->arg, queue->number, front->frame, length, &received->meta);
}

/* Each answer frees the page that was posted in its place, whatever it says. */
static int collect_deaf(struct netfront_queue *queue)
{
    uint8_t bytes[RING_RESPONSE_MAX];
    int rc;

    for (;;) {
        uint16_t id = queue->rx.posted[queue->rx.ring.rsp_cons % NETIF_RING_SLOTS];
        rc = ring_front_consume(&queue->rx.ring, bytes);
        if (rc <= 0)
            return rc;
        queue->rx_idle[queue->rx_idle_count++] = id;
    }
}

static void collect_rx(struct netfront_queue *queue)
{
    static struct netif_received received;
    struct netfront *front = queue->front;
    int rc = front->config.deaf ? collect_deaf(queue) : 0;

    while (!front->config.deaf && front->complaint[0] == '\0' &&
           (rc = netif_front_rx_collect(&queue->rx, &received)) > 0)
        take_frame(queue, &received);
    if (rc < 0)
        netfront_complain(front, "broke the receive ring's protocol");
    post(queue);
}

/* ---- Answers and events. -------------------------------------------------------------------------------------------- */

/* The user's own slots have ids that no page has, and extras are all his. */
static void collect_raw(struct netfront_queue *queue)
{
    struct netfront *front = queue->front;
    uint8_t bytes[RING_RESPONSE_MAX];
    int rc;

    while ((rc = ring_front_consume(&queue->tx.ring, bytes)) > 0) {
        struct netif_tx_response_slot response;
        netif_tx_response_decode(bytes, &response);
        if (response.id >= NETIF_RING_SLOTS || response.status == NETIF_STATUS_NULL || !queue->tx.busy[response.id]) {
            front->answered(front->arg, queue->number, &response);
            continue;
        }
        queue->tx.busy[response.id] = false; /* as netif_front_tx_collect() */
        queue->tx_free[queue->tx_free_count++] = response.id;
        front->counts.tx_errors += response.status != NETIF_STATUS_OKAY;
    }
    if (rc < 0)
        netfront_complain(front, "published an impossible response index");
}

static void collect_tx(struct netfront_queue *queue)
{
    struct netfront *front = queue->front;
    enum netif_status status;
    bool freed = false;
    uint16_t id;
    int rc = 0;

    if (front->config.raw_tx) {
        collect_raw(queue);
        return;
    }
    while (front->complaint[0] == '\0' && (rc = netif_front_tx_collect(&queue->tx, &id, &status)) > 0) {
        queue->tx_free[queue->tx_free_count++] = id;
        front->counts.tx_errors += status != NETIF_STATUS_OKAY;
        freed = true;
    }
    if (rc < 0)
        netfront_complain(front, "broke the transmit ring's protocol");
    if (freed && front->room != NULL)
        front->room(front->arg);
}

static void fired(struct netfront_queue *queue, bool tx, bool rx)
{
    struct netfront *front = queue->front;
    struct xendev_channel *channel = tx ? queue->tx_channel : queue->rx_channel;
    bool more;

    front->counts.events++;
    do {
        if (tx)
            collect_tx(queue);
        if (rx)
            collect_rx(queue);
        netfront_kick(front, false);
        more = tx && ring_front_rearm(&queue->tx.ring);
        more = (rx && ring_front_rearm(&queue->rx.ring)) || more;
    } while (more && front->complaint[0] == '\0');
    xendev_channel_unmask(channel);
}

static void both_fired(void *arg)
{
    fired(arg, true, true);
}

static void tx_fired(void *arg)
{
    fired(arg, true, false);
}

static void rx_fired(void *arg)
{
    fired(arg, false, true);
}

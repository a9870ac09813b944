/* SPDX-License-Identifier: MIT */
/*
 * The control ring: one request at a time, waited for. What the hash is set to is remembered as the back end acknowledges it, and every frame that
 * comes is held against it. Source: xen/io/netif.h.
 */
#include <errno.h>
#include <string.h>

#include <xendev/event_channel.h>
#include <xendev/grant.h>

#include "netfront.h"

static void ctrl_fired(void *arg)
{
    struct netfront *front = arg;
    uint8_t bytes[RING_RESPONSE_MAX];
    int rc;

    do {
        while ((rc = ring_front_consume(&front->ctrl, bytes)) > 0) {
            netif_ctrl_response_decode(bytes, &front->ctrl_response);
            front->ctrl_answered = true;
        }
        if (rc < 0)
            netfront_complain(front, "published an impossible index on the control ring");
    } while (rc == 0 && ring_front_rearm(&front->ctrl));
    xendev_channel_unmask(front->ctrl_channel);
}

int netfront_make_ctrl(struct netfront *front)
{
    const struct ring_layout layout = netif_ctrl_layout();
    uint32_t domid = xendev_frontend_backend_domid(front->device.xenbus);
    struct xendev_share *share = front->guest->share;

    front->hash = (struct netif_hash){.queues = front->queue_count};
    int rc = xendev_share_pages(share, domid, 1, &front->ctrl_ring_ref, &front->ctrl_ring);
    if (rc == 0)
        rc = xendev_share_pages(share, domid, 1, &front->ctrl_page_ref, &front->ctrl_page);
    if (rc == 0)
        rc = ring_front_init(&front->ctrl, front->ctrl_ring, XENDEV_PAGE_SIZE, &layout, front->config.ring_start);
    if (rc == 0)
        rc = xendev_channel_offer(front->guest->events, domid, ctrl_fired, front, &front->ctrl_channel,
                                  &front->ctrl_port);
    if (rc < 0)
        guest_say("vif %u: no control ring: %s", front->config.devid, strerror(-rc));
    return rc;
}

void netfront_drop_ctrl(struct netfront *front)
{
    xendev_channel_close(front->ctrl_channel);
    front->ctrl_channel = NULL;
    if (front->ctrl_ring != NULL)
        xendev_share_free(front->guest->share, front->ctrl_ring, 1);
    if (front->ctrl_page != NULL)
        xendev_share_free(front->guest->share, front->ctrl_page, 1);
    front->ctrl_ring = front->ctrl_page = NULL;
    front->hash = (struct netif_hash){0};
}

static bool is_ctrl_answered(const void *arg)
{
    const struct netfront *front = arg;

    return front->ctrl_answered || front->device.lost || front->complaint[0] != '\0';
}

int netfront_ctrl(struct netfront *front, enum netif_ctrl_type type, const uint32_t data[3],
                  struct netif_ctrl_response *ret_response)
{
    const struct netif_ctrl_request request = {++front->ctrl_id, (uint16_t)type, {data[0], data[1], data[2]}};
    uint8_t bytes[RING_REQUEST_MAX] = {0};

    front->ctrl_answered = false;
    netif_ctrl_request_encode(&request, bytes);
    int rc = ring_front_request(&front->ctrl, bytes);
    if (rc < 0)
        return rc;
    if (ring_front_publish(&front->ctrl))
        xendev_channel_notify(front->ctrl_channel);
    rc = guest_wait(front->guest, is_ctrl_answered, front);
    if (rc < 0)
        return rc;
    if (!front->ctrl_answered)
        return -ECONNRESET;
    if (front->ctrl_response.id != request.id || front->ctrl_response.type != request.type) {
        netfront_complain(front, "answered another control request than was asked");
        return -ECONNRESET;
    }
    *ret_response = front->ctrl_response;
    return 0;
}

/* Asks for what must succeed. */
static int ask(struct netfront *front, const char *what, enum netif_ctrl_type type, uint32_t a, uint32_t b, uint32_t c)
{
    struct netif_ctrl_response response;
    const uint32_t data[3] = {a, b, c};

    int rc = netfront_ctrl(front, type, data, &response);
    if (rc == 0 && response.status != NETIF_CTRL_SUCCESS)
        rc = -EPROTO;
    if (rc < 0)
        guest_say("vif %u: the back end does not take %s: %s", front->config.devid, what, strerror(-rc));
    return rc;
}

int netfront_set_hash(struct netfront *front)
{
    struct netif_hash hash = {.algorithm = NETIF_HASH_TOEPLITZ,
                              .types = NETIF_HASH_TYPES_ALL,
                              .queues = front->queue_count,
                              .mapping_size = NETIF_HASH_MAPPING_MAX};

    for (unsigned i = 0; i < NETIF_HASH_KEY_MAX; i++)
        hash.key[i] = (uint8_t)(i * 37 + 11);
    for (unsigned i = 0; i < NETIF_HASH_MAPPING_MAX; i++)
        hash.mapping[i] = (NETIF_HASH_MAPPING_MAX - 1 - i) % front->queue_count;

    int rc = ask(front, "an algorithm of hash", NETIF_CTRL_SET_HASH_ALGORITHM, hash.algorithm, 0, 0);
    if (rc == 0)
        rc = ask(front, "types of hash", NETIF_CTRL_SET_HASH_FLAGS, hash.types, 0, 0);
    if (rc < 0)
        return rc;
    memcpy(front->ctrl_page, hash.key, sizeof hash.key);
    rc = ask(front, "a key", NETIF_CTRL_SET_HASH_KEY, front->ctrl_page_ref, sizeof hash.key, 0);
    if (rc == 0)
        rc = ask(front, "a size of mapping", NETIF_CTRL_SET_HASH_MAPPING_SIZE, hash.mapping_size, 0, 0);
    if (rc < 0)
        return rc;
    memcpy(front->ctrl_page, hash.mapping, sizeof hash.mapping);
    rc = ask(front, "a mapping", NETIF_CTRL_SET_HASH_MAPPING, front->ctrl_page_ref, hash.mapping_size, 0);
    if (rc == 0)
        front->hash = hash;
    return rc;
}

bool netfront_hash_is_right(const struct netfront *front, unsigned queue, const uint8_t *frame, uint32_t length,
                            const struct netif_meta *meta)
{
    enum netif_hash_type type;
    uint32_t value;

    if (front->hash.algorithm == NETIF_HASH_NONE)
        return !meta->hashed;
    if (!netif_hash_frame(&front->hash, frame, length, &type, &value))
        return !meta->hashed;
    return meta->hashed && meta->hash_type == type && meta->hash == value &&
           netif_hash_queue(&front->hash, value) == queue;
}

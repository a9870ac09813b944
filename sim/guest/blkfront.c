/* SPDX-License-Identifier: MIT */
/*
 * The data path of a front end.
 *
 *   blkfront_send* -> blkfront_kick       ...       event -> answered* -> drained -> rearm, again if more came in
 *
 * An id holds a serial number in its upper half and the tag in bits 16..31; its lowest 16 bits are zero, for they are where a request's operation and
 * segment count stand that a racing guest rewrites.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xendev/event_channel.h>
#include <xendev/grant.h>

#include "blkfront.h"

#define ID_SERIAL_SHIFT 32
#define ID_TAG_SHIFT    16

int blkfront_open(struct blkfront *front, struct guest *guest, const struct blkfront_config *config)
{
    *front = (struct blkfront){.guest = guest, .config = *config};
    front->tag_pages = config->pages + (config->segments > BLKIF_DIRECT_SEGMENTS);
    front->data_pages = config->depth * front->tag_pages;

    int rc = device_open(&front->device, guest, "vbd", config->devid);
    if (rc < 0)
        return rc;

    front->tags = calloc(config->depth, sizeof *front->tags);
    front->data_refs = calloc(front->data_pages, sizeof *front->data_refs);
    rc = -ENOMEM;
    if (front->tags == NULL || front->data_refs == NULL)
        goto fail;
    void *data;
    rc = xendev_share_pages(guest->share, xendev_frontend_backend_domid(front->device.xenbus), front->data_pages,
                            front->data_refs, &data);
    if (rc < 0)
        goto fail;
    front->data = data;
    return 0;
fail:
    guest_say("vbd %u: no %u pages to share: %s", config->devid, front->data_pages, strerror(-rc));
    blkfront_close(front);
    return rc;
}

void blkfront_close(struct blkfront *front)
{
    blkfront_drop_rings(front);
    if (front->data != NULL)
        xendev_share_free(front->guest->share, front->data, front->data_pages);
    device_close(&front->device);
    free(front->data_refs);
    free(front->tags);
    *front = (struct blkfront){0};
}

uint32_t blkfront_ref(const struct blkfront *front, unsigned tag, unsigned page)
{
    return front->data_refs[tag * front->tag_pages + page];
}

void *blkfront_page(const struct blkfront *front, unsigned tag, unsigned page)
{
    return front->data + (size_t)(tag * front->tag_pages + page) * XENDEV_PAGE_SIZE;
}

uint32_t blkfront_list_ref(const struct blkfront *front, unsigned tag)
{
    return blkfront_ref(front, tag, front->config.pages);
}

void *blkfront_list(const struct blkfront *front, unsigned tag)
{
    return blkfront_page(front, tag, front->config.pages);
}

void blkfront_make_indirect(const struct blkfront *front, unsigned tag, struct blkif_message *message,
                            const struct blkif_segment *segments, unsigned count)
{
    blkif_segments_encode(segments, count, blkfront_list(front, tag));
    message->inner = message->code;
    message->code = BLKIF_CODE_INDIRECT;
    message->segment_count = (uint16_t)count;
    message->indirect_grefs[0] = blkfront_list_ref(front, tag);
}

void blkfront_send(struct blkfront *front, unsigned tag, struct blkif_message *message)
{
    struct blkfront_tag *entry = &front->tags[tag];
    uint8_t bytes[RING_REQUEST_MAX] = {0};

    message->id = (uint64_t)++front->serial << ID_SERIAL_SHIFT | (uint64_t)tag << ID_TAG_SHIFT;
    *entry = (struct blkfront_tag){.id = message->id, .sent = guest_now(), .code = blkif_response_code(message)};
    if (front->in_flight++ == 0)
        front->heard = entry->sent;
    blkif_encode(front->config.abi, message, bytes);
    ring_front_request(&front->queues[tag % front->queue_count].ring, bytes);
}

void blkfront_kick(struct blkfront *front)
{
    /* A notification that fails finds no back end at the other end; the next one looks at the ring first. */
    for (unsigned i = 0; i < front->queue_count; i++)
        if (ring_front_publish(&front->queues[i].ring))
            xendev_channel_notify(front->queues[i].channel);
}

static void complain(struct blkfront *front, const char *what, uint64_t id)
{
    if (front->complaint[0] != '\0')
        return;
    snprintf(front->complaint, sizeof front->complaint, "%s (id %016" PRIx64 ")", what, id);
    guest_say("vbd %u: the back end %s", front->config.devid, front->complaint);
}

static void take_answer(struct blkfront *front, uint64_t id, uint8_t code, int16_t status)
{
    uint64_t mask = front->config.racing ? ~(uint64_t)0xffff : UINT64_MAX;
    unsigned tag = (id >> ID_TAG_SHIFT) & 0xffff;

    if (tag >= front->config.depth || (id & mask) == 0) {
        complain(front, "answered what was never asked", id);
        return;
    }
    struct blkfront_tag *entry = &front->tags[tag];
    if (entry->id != (id & mask)) {
        complain(front, entry->id == 0 ? "answered twice" : "answered a request of the past", id);
        return;
    }
    if (entry->code != code && !front->config.racing)
        complain(front, "named another operation than was asked", id);

    uint64_t now = guest_now();
    if (now - entry->sent > front->longest)
        front->longest = now - entry->sent;
    if (front->config.pause != 0 && now - front->heard >= front->config.pause)
        guest_say("vbd %u: no answer for %.3f ms", front->config.devid, (double)(now - front->heard) / 1e6);
    front->heard = now;
    entry->id = 0;
    front->in_flight--;
    front->answered(front->arg, tag, status);
}

void blkfront_fired(void *arg)
{
    struct blkfront_queue *queue = arg;
    struct blkfront *front = queue->front;
    int rc = 0;

    if (!front->device.up) {
        xendev_channel_unmask(queue->channel);
        return;
    }
    do {
        uint8_t bytes[RING_RESPONSE_MAX];
        while (front->complaint[0] == '\0' && (rc = ring_front_consume(&queue->ring, bytes)) > 0) {
            uint64_t id;
            uint8_t code;
            int16_t status;
            blkif_response_decode(front->config.abi, bytes, &id, &code, &status);
            take_answer(front, id, code, status);
        }
        if (rc < 0)
            complain(front, "published an impossible response index", 0);
        front->drained(front->arg);
    } while (front->device.up && front->complaint[0] == '\0' && ring_front_rearm(&queue->ring));
    if (front->device.up)
        xendev_channel_unmask(queue->channel);
}

uint64_t blkfront_oldest(const struct blkfront *front)
{
    uint64_t oldest = UINT64_MAX;

    for (unsigned tag = 0; tag < front->config.depth; tag++) {
        if (front->tags[tag].id != 0 && front->tags[tag].sent < oldest)
            oldest = front->tags[tag].sent;
    }
    return oldest == UINT64_MAX ? 0 : guest_now() - oldest;
}

void blkfront_say_stuck(const struct blkfront *front)
{
    guest_say("vbd %u: %u requests wait for an answer, the oldest for %.1f s; the back end is %s", front->config.devid,
              front->in_flight, (double)blkfront_oldest(front) / 1e9, xenbus_state_name(front->device.backend));
    for (unsigned i = 0; i < front->queue_count; i++)
        guest_say("vbd %u: queue %u: req_prod %u, rsp_cons %u", front->config.devid, i,
                  front->queues[i].ring.req_published, front->queues[i].ring.rsp_cons);
}

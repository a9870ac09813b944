/* SPDX-License-Identifier: MIT */
/*
 * The front end's side of a shared ring.
 *
 * The front end owns two indices: req_prod (written, then published) and rsp_cons. A slot is free for a request once
 * the response that stood in it was consumed, so there is room for slots - (req_prod - rsp_cons) more. A back end can
 * answer no more than what was published: a rsp_prod outside [rsp_cons, published] is refused.
 */
#include <errno.h>

#include <ring/front.h>

#include "shared.h"

int ring_front_init(struct ring_front *front, void *pages, size_t pages_size, const struct ring_layout *layout,
                    uint32_t start)
{
    int rc = shared_check(pages, pages_size, layout);
    if (rc < 0)
        return rc;

    struct ring_shared *shared = pages;
    memset(pages, 0, RING_HEADER_SIZE + (size_t)layout->slots * layout->slot_size);
    shared_index_publish(&shared->req_prod, start);
    shared_index_publish(&shared->rsp_prod, start);
    shared_index_publish(&shared->req_event, start + 1);
    shared_index_publish(&shared->rsp_event, start + 1);

    *front = (struct ring_front){
        .shared = shared, .layout = *layout, .req_prod = start, .req_published = start, .rsp_cons = start};
    return 0;
}

uint32_t ring_front_room(const struct ring_front *front)
{
    return front->layout.slots - (front->req_prod - front->rsp_cons);
}

int ring_front_request(struct ring_front *front, const void *request)
{
    if (ring_front_room(front) == 0)
        return -ENOSPC;

    volatile uint32_t *slot = shared_slot(front->shared, &front->layout, front->req_prod);
    for (uint32_t i = 0; i < front->layout.request_size / 4; i++) {
        uint32_t word;
        memcpy(&word, (const uint8_t *)request + 4 * (size_t)i, sizeof word);
        slot[i] = word;
    }
    front->req_prod++;
    return 0;
}

bool ring_front_publish(struct ring_front *front)
{
    uint32_t before = front->req_published;
    if (front->req_prod == before)
        return false;

    /* Before: the requests in their slots. After: the back end may read them; then look whether it sleeps. */
    shared_index_publish(&front->shared->req_prod, front->req_prod);
    front->req_published = front->req_prod;
    return shared_event_due(before, front->req_prod, shared_index_recheck(&front->shared->req_event));
}

int ring_front_consume(struct ring_front *front, void *ret_response)
{
    /* Before: the producer. After: the responses it announces. */
    uint32_t rsp_prod = shared_index_acquire(&front->shared->rsp_prod);
    uint32_t unread = rsp_prod - front->rsp_cons;
    if (unread == 0)
        return 0;
    if (unread > front->req_published - front->rsp_cons)
        return -EPROTO;

    uint32_t words[RING_RESPONSE_MAX / 4];
    shared_slot_read(shared_slot(front->shared, &front->layout, front->rsp_cons), words, front->layout.response_size);
    memcpy(ret_response, words, front->layout.response_size);
    front->rsp_cons++;
    return 1;
}

bool ring_front_rearm(struct ring_front *front)
{
    /* Before: what we sleep on. After: whether the back end published before it could see that. */
    shared_index_publish(&front->shared->rsp_event, front->rsp_cons + 1);
    return shared_index_recheck(&front->shared->rsp_prod) != front->rsp_cons;
}

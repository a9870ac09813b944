/* SPDX-License-Identifier: MIT */
/*
 * Requests are executed one after the other, each answered before the next is taken. A guest that asks without end is served for REQUESTS_MAX of
 * them, then others get their turn. What a dead worker had taken and not answered is executed once more, which changes nothing more.
 */
#include "ctrl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <ring/back.h>
#include <ring/netif_ctrl.h>
#include <xendev/event_channel.h>
#include <xendev/grant.h>

#include "../journal.h"

#define REQUESTS_MAX 128u

struct ctrl {
    struct ctrl_params params;
    struct ring_back ring;
    void *page;
    struct xendev_channel *channel;
    struct event *again;
    bool fired; /* the channel is masked since */
    bool stopped, draining, drained;
    uint8_t bytes[RING_PAGE_SIZE]; /* of the guest's, copied */
};

static void execute(struct ctrl *ctrl, const struct ring_request *slot)
{
    const struct ctrl_params *params = &ctrl->params;
    struct xendev_copy copy = {.local = ctrl->bytes};
    struct netif_ctrl_request request;
    struct netif_ctrl_response response;
    uint8_t answer[RING_RESPONSE_MAX] = {0};

    netif_ctrl_decode(slot->bytes, &request);
    copy.length = (uint16_t)netif_ctrl_fetch(params->hash, &request, &copy.gref);
    const bool copied = copy.length == 0 || xendev_grants_copy(params->host->grants, params->host->domid,
                                                               XENDEV_COPY_FROM_GUEST, &copy, 1) == 0;
    netif_ctrl_execute(params->hash, &request, copied ? ctrl->bytes : NULL, &response);
    netif_ctrl_encode(&response, answer);
    ring_back_respond(&ctrl->ring, slot->index, answer);

    params->counters->ctrl_requests++;
    params->counters->ctrl_refused += response.status != NETIF_CTRL_SUCCESS;
    params->counters->hash = params->hash->algorithm != NETIF_HASH_NONE;
}

/* Those of a dead worker first. As ring_back_consume(). */
static int take(struct ctrl *ctrl, struct ring_request *ret_request)
{
    if (ring_back_replay(&ctrl->ring, false, ret_request) == 1)
        return 1;
    return ctrl->draining ? 0 : ring_back_consume(&ctrl->ring, ret_request);
}

void ctrl_stop(struct ctrl *ctrl)
{
    ctrl->stopped = true;
    event_del(ctrl->again);
}

static void run_soon(struct ctrl *ctrl)
{
    static const struct timeval at_once = {0};

    if (!ctrl->stopped)
        event_add(ctrl->again, &at_once);
}

static void finish_draining(struct ctrl *ctrl)
{
    if (ring_back_drain(&ctrl->ring) < 0)
        return; /* cannot be: all is answered and published */
    ctrl->drained = true;
    ctrl->params.drained(ctrl->params.arg);
}

static void run(struct ctrl *ctrl)
{
    struct ring_request request;
    bool more = true;
    int got = 0;

    if (ctrl->stopped || ctrl->drained)
        return;
    for (unsigned i = 0; i < REQUESTS_MAX; i++) {
        got = take(ctrl, &request);
        if (got == 1)
            execute(ctrl, &request);
        more = got == 1 || (got == 0 && !ctrl->draining && ring_back_rearm(&ctrl->ring));
        if (!more)
            break;
    }
    if (got < 0) {
        ctrl_stop(ctrl);
        ctrl->params.failed(ctrl->params.arg, "control ring: producer");
        return;
    }
    if (ring_back_publish(&ctrl->ring))
        xendev_channel_notify(ctrl->channel);
    if (more) {
        run_soon(ctrl);
    } else if (ctrl->draining) {
        finish_draining(ctrl);
    } else if (ctrl->fired) {
        ctrl->fired = false;
        xendev_channel_unmask(ctrl->channel);
    }
}

static void on_event(void *arg)
{
    struct ctrl *ctrl = arg;

    ctrl->fired = true;
    run(ctrl);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    run(arg);
}

void ctrl_drain(struct ctrl *ctrl)
{
    ctrl->draining = true;
    run_soon(ctrl);
}

void ctrl_undrain(struct ctrl *ctrl)
{
    if (ctrl->drained)
        ring_back_undrain(&ctrl->ring);
    ctrl->draining = ctrl->drained = false;
    run_soon(ctrl);
}

static int take_ring(struct ctrl *ctrl)
{
    const struct netback_order *order = ctrl->params.order;
    const struct netback_connection *connection = &order->connection;
    const struct netback_journal_place place = netback_journal_place(connection, NETBACK_RING_CTRL(connection));
    const struct ring_layout layout = netif_ctrl_layout();
    void *journal = ctrl->params.journals + place.offset;

    if (order->recover)
        return ring_back_recover(&ctrl->ring, ctrl->page, XENDEV_PAGE_SIZE, &layout, journal, place.size,
                                 connection->generation, order->crashed != 0);
    return ring_back_attach(&ctrl->ring, ctrl->page, XENDEV_PAGE_SIZE, &layout, journal, place.size,
                            connection->generation);
}

int ctrl_open(const struct ctrl_params *params, struct ctrl **ret_ctrl, char ret_reason[BACKEND_REASON_SIZE])
{
    const struct netback_connection *connection = &params->order->connection;
    const struct worker_host *host = params->host;
    int err = -ENOMEM;

    struct ctrl *ctrl = calloc(1, sizeof *ctrl);
    if (!ctrl)
        goto failed;
    ctrl->params = *params;
    ctrl->again = evtimer_new(host->base, on_again, ctrl);
    if (!ctrl->again)
        goto failed;
    err = xendev_grants_map(host->grants, host->domid, &connection->ctrl_ref, 1, &ctrl->page);
    if (err == 0)
        err = take_ring(ctrl);
    if (err == 0)
        err = xendev_channel_bind(host->events, host->domid, connection->ctrl_event_channel, on_event, ctrl,
                                  &ctrl->channel);
    if (err < 0)
        goto failed;
    /* As in queue.c. */
    if (params->order->recover)
        xendev_channel_notify(ctrl->channel);
    *ret_ctrl = ctrl;
    return 0;

failed:
    snprintf(ret_reason, BACKEND_REASON_SIZE, "control ring (grant reference %u, event channel %u): %s",
             connection->ctrl_ref, connection->ctrl_event_channel, strerrordesc_np(-err));
    ctrl_close(ctrl);
    return err;
}

void ctrl_close(struct ctrl *ctrl)
{
    if (!ctrl)
        return;
    xendev_channel_close(ctrl->channel);
    if (ctrl->again)
        event_free(ctrl->again);
    if (ctrl->page)
        xendev_grants_unmap(ctrl->params.host->grants, ctrl->page, 1);
    free(ctrl);
}

/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. A capture lives as long as its client's connection. We make memory (capture_ring.h) and a bell, and hand both to the worker, which
 * writes; when it dies, to the next. We read what it has written, a piece at a time:
 *
 *     bell -> pump: read a piece of the ring -> write it to the client -> (the client has taken it) -> pump ... -> rearm
 *
 * While the client does not take its piece nothing is read, the ring fills up, and the worker drops and counts: neither we nor the worker keep more for a slow
 * client than one ring and one piece.
 *
 * The worker may be hostile. What it writes is copied out and checked before it is passed on, and an impossible ring ends the capture; the bell is heard edge by
 * edge and never read, and however it rings, one piece at a time is under way.
 */
#include "capture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include <backend/backend.h>
#include <backend/guest.h>
#include <service/control.h>
#include <service/log.h>

#include "capture_ring.h"
#include "vif.h"

/* Of what is written to a client at once; the last frame may go beyond it. */
#define PIECE_SIZE 262144u

struct capture {
    struct vif *vif;
    struct control_stream *stream;
    int memory, bell;
    uint32_t snaplen;
    struct capture_shared *shared;
    struct frame_consumer ring;
    struct event *rung;
    struct evbuffer *piece;
    bool writing;             /* the client has not taken the last piece yet */
    uint64_t frames, dropped; /* that the client was told */
};

/* What was read from the ring last: one thread, one frame. */
static uint8_t bytes[FRAME_LENGTH_MAX];

/* ---- To the worker. ---------------------------------------------------------------------------------------------------------- */

static bool worker_listens(const struct vif *vif)
{
    return vif->device.state == DEVICE_CONNECTED && vif->device.guest->state == GUEST_SERVED;
}

void capture_tell(struct vif *vif)
{
    const struct capture *capture = vif->capture;
    struct netback_message message = {.head = {.type = NETBACK_CAPTURE, .devid = vif->device.devid}};

    if (capture == NULL)
        return;
    const int fds[NETBACK_CAPTURE_FDS] = {capture->memory, capture->bell};
    message.capture.snaplen = capture->snaplen;
    guest_tell(vif->device.guest, &message.head, fds, NETBACK_CAPTURE_FDS);
}

static void tell_end(struct vif *vif)
{
    struct netback_message message = {.head = {.type = NETBACK_CAPTURE, .devid = vif->device.devid}};

    if (worker_listens(vif)) /* else it is on its way out, or has been told to let go */
        guest_tell(vif->device.guest, &message.head, NULL, 0);
}

/* ---- Begin and end. ---------------------------------------------------------------------------------------------------------- */

static void capture_free(struct capture *capture)
{
    if (capture->rung != NULL)
        event_free(capture->rung);
    if (capture->piece != NULL)
        evbuffer_free(capture->piece);
    capture_memory_unmap(capture->shared);
    if (capture->memory >= 0)
        close(capture->memory);
    if (capture->bell >= 0)
        close(capture->bell);
    free(capture);
}

/* It is the card's no more. */
static void finish(struct capture *capture)
{
    struct vif *vif = capture->vif;

    log_info(&vif->device.log, "its frames are captured no more: %" PRIu64 " were, %" PRIu64 " found no room",
             capture->frames, capture->dropped);
    vif->capture = NULL;
    tell_end(vif);
    capture_free(capture);
}

static void add_record(struct capture *capture, const struct capture_record *record, const void *follow)
{
    uint8_t encoded[CAPTURE_RECORD_SIZE];

    capture_record_encode(record, encoded);
    evbuffer_add(capture->piece, encoded, sizeof(encoded));
    evbuffer_add(capture->piece, follow, record->follow);
}

/* Ends it from our side. */
static void end(struct capture *capture, const char *reason)
{
    const struct capture_record record = {.type = CAPTURE_END, .follow = (uint32_t)strlen(reason)};

    evbuffer_drain(capture->piece, evbuffer_get_length(capture->piece));
    add_record(capture, &record, reason);
    control_stream_write(capture->stream, capture->piece);
    control_stream_end(capture->stream);
    finish(capture);
}

void capture_drop(struct vif *vif)
{
    if (vif->capture != NULL)
        end(vif->capture, "the card is served no more");
}

/* ---- From the ring to the client. -------------------------------------------------------------------------------------------- */

/* Adds the next frame to the piece. Returns 1; 0 when there is none; -EPROTO. */
static int add_frame(struct capture *capture)
{
    struct capture_head head;
    struct netif_meta meta;
    uint32_t size;
    int got = frame_consumer_get(&capture->ring, &meta, bytes, &size);

    if (got <= 0)
        return got;
    if (capture_head_decode(bytes, size, &head) < 0)
        return -EPROTO;
    const struct capture_record record = {
        .type = CAPTURE_FRAME,
        .direction = head.direction,
        .number = head.time_ns,
        .length = head.length,
        .follow = size - CAPTURE_HEAD_SIZE,
    };
    add_record(capture, &record, bytes + CAPTURE_HEAD_SIZE);
    capture->frames++;
    return 1;
}

static void add_dropped(struct capture *capture)
{
    const uint64_t dropped = atomic_load_explicit(&capture->shared->dropped, memory_order_relaxed);
    const struct capture_record record = {.type = CAPTURE_DROPPED, .number = dropped};

    if (dropped == capture->dropped)
        return;
    capture->dropped = dropped;
    add_record(capture, &record, NULL);
}

/* Reads a piece of the ring, and has the client get it; with nothing to read, waits for the bell. */
static void pump(struct capture *capture)
{
    int got = 1;

    if (capture->writing)
        return;
    while (got == 1 && evbuffer_get_length(capture->piece) < PIECE_SIZE)
        got = add_frame(capture);
    if (got < 0) {
        log_warning(&capture->vif->device.log, "its worker wrote an impossible capture");
        end(capture, "the worker wrote what cannot be");
        return;
    }
    (void)frame_consumer_release(&capture->ring); /* nobody waits for room */
    add_dropped(capture);
    capture->writing = evbuffer_get_length(capture->piece) > 0;
    if (capture->writing)
        control_stream_write(capture->stream, capture->piece);
    else if (frame_consumer_rearm(&capture->ring))
        event_active(capture->rung, EV_READ, 0);
}

static void on_bell(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    pump(arg);
}

static void on_drained(void *arg)
{
    struct capture *capture = arg;

    capture->writing = false;
    pump(capture);
}

static void on_closed(void *arg)
{
    finish(arg);
}

/* ---- Requests. --------------------------------------------------------------------------------------------------------------- */

/* Returns 0 or -errno. */
static int capture_new(struct vif *vif, uint32_t snaplen, struct capture **ret_capture)
{
    struct capture *capture = calloc(1, sizeof(*capture));
    int err;

    if (capture == NULL)
        return -ENOMEM;
    capture->vif = vif;
    capture->snaplen = snaplen;
    capture->memory = capture_memory_make();
    capture->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    err = capture->memory < 0 ? capture->memory : capture->bell < 0 ? -errno : 0;
    if (err == 0)
        err = capture_memory_map(capture->memory, &capture->shared);
    if (err == 0)
        err = frame_consumer_attach(&capture->ring, capture_memory_ring(capture->shared), frame_size(CAPTURE_CAPACITY),
                                    CAPTURE_CAPACITY);
    if (err == 0) {
        capture->piece = evbuffer_new();
        capture->rung = event_new(device_backend(&vif->device)->base, capture->bell, EV_READ | EV_PERSIST | EV_ET,
                                  on_bell, capture);
        if (capture->piece == NULL || capture->rung == NULL || event_add(capture->rung, NULL) < 0)
            err = -ENOMEM;
    }
    if (err < 0) {
        capture_free(capture);
        return err;
    }
    *ret_capture = capture;
    return 0;
}

/* Reads the body: none, or {"snaplen": BYTES}. Returns 0 or -EINVAL. */
static int read_snaplen(const struct control_request *request, uint32_t *ret_snaplen)
{
    json_t *body = control_request_body(request);
    const json_t *value = json_object_get(body, "snaplen");
    const json_int_t snaplen = json_integer_value(value);
    int err = 0;

    if (value == NULL)
        *ret_snaplen = CAPTURE_FRAME_MAX;
    else if (json_is_integer(value) && snaplen >= 1 && snaplen <= CAPTURE_FRAME_MAX)
        *ret_snaplen = (uint32_t)snaplen;
    else
        err = -EINVAL;
    json_decref(body);
    return err;
}

bool capture_post(struct device *device, const char *verb, struct control_request *request)
{
    struct vif *vif = vif_of(device);
    struct control_stream_user user = {.drained = on_drained, .closed = on_closed};
    struct capture *capture;
    uint32_t snaplen;
    int err;

    if (strcmp(verb, "capture") != 0)
        return false;
    if (!control_request_is_roots(request)) {
        control_reply_error(request, 403, "what a guest sends and receives is for root alone");
        return true;
    }
    if (read_snaplen(request, &snaplen) < 0) {
        control_reply_error(request, 400, "snaplen is a number of bytes, 1 to %u", CAPTURE_FRAME_MAX);
        return true;
    }
    if (vif->capture != NULL) {
        control_reply_error(request, 409, "the frames of this card are captured already");
        return true;
    }
    err = capture_new(vif, snaplen, &capture);
    if (err < 0) {
        control_reply_error(request, 500, "no capture: %s", strerror(-err));
        return true;
    }
    user.arg = capture;
    capture->stream = control_reply_stream(request, "application/octet-stream", &user);
    if (capture->stream == NULL) {
        capture_free(capture);
        return true;
    }
    log_info(&device->log, "its frames are captured");
    vif->capture = capture;
    if (worker_listens(vif))
        capture_tell(vif);
    return true;
}

/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. While there is a capture, every frame is copied once more, into a ring that the supervisor reads (capture_ring.h), when it is whole and
 * in one piece: what the guest sends before the port gets it, which may change it; what the guest receives when it is in its pages. Nothing waits: a
 * frame that finds no room is counted. A ring that cannot be understood is the end of the capture and of nothing else.
 *
 * The ring is taken up where it is: the worker before may have died over it.
 */
#include "capture.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bridge/port.h>

#include "frames.h"
#include "port.h"

_Static_assert(CAPTURE_HEAD_SIZE <= PORT_HEADROOM, "room for the head");
_Static_assert(PORT_HEADROOM <= FRAMES_HEADROOM, "...in either direction");

void capture_begin(struct capture *capture, int memory, int bell, uint32_t snaplen)
{
    capture_end(capture);
    int err = capture_memory_map(memory, &capture->shared);
    close(memory);
    capture->bell = bell;
    capture->snaplen = snaplen < CAPTURE_LENGTH_MAX ? snaplen : CAPTURE_LENGTH_MAX;
    if (err == 0)
        err = frame_producer_attach(&capture->ring, capture_memory_ring(capture->shared), frame_size(CAPTURE_CAPACITY),
                                    CAPTURE_CAPACITY);
    if (err == 0)
        capture_flush(capture); /* the worker before may have died between moving the index and ringing for it */
    else if (capture->shared)
        capture_end(capture);
    else
        close(bell);
}

void capture_end(struct capture *capture)
{
    if (!capture->shared)
        return;
    capture_memory_unmap(capture->shared);
    close(capture->bell);
    capture->shared = NULL;
}

static uint64_t wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void capture_frame(struct capture *capture, enum capture_direction direction, uint8_t *frame, uint32_t length,
                   const struct netif_meta *meta)
{
    const struct capture_head head = {.time_ns = wall_ns(), .length = length, .direction = direction};
    const uint32_t captured = length < capture->snaplen ? length : capture->snaplen;

    memcpy(frame - CAPTURE_HEAD_SIZE, &head, sizeof head);
    int err = frame_producer_put(&capture->ring, meta, frame - CAPTURE_HEAD_SIZE, CAPTURE_HEAD_SIZE + captured);
    if (err == -ENOSPC)
        atomic_fetch_add_explicit(&capture->shared->dropped, 1, memory_order_relaxed);
    else if (err < 0)
        capture_end(capture);
}

void capture_flush(struct capture *capture)
{
    if (capture->shared && frame_producer_publish(&capture->ring))
        port_bell_ring(capture->bell);
}

/* SPDX-License-Identifier: MIT */
/*
 * The frame ring: whole Ethernet frames, with what is said of their checksum and segmentation, from one process to
 * another through shared memory. A port of the switch is two of them.
 *
 * One producer, one consumer, each in one thread. Neither trusts the other: an impossible index, length or word is
 * -EPROTO, and the ring is then of no more use. The memory must not shrink (a memfd, sealed). Nothing else of it is
 * trusted, and nothing in it is used twice: a frame is copied out before anybody looks at it.
 *
 * A producer:  put* -> publish -> notify if told to;  when put finds no room: drop the frame, or rearm and wait.
 * A consumer:  get* -> release -> notify if told to;  when get returns 0: rearm, and again if told to.
 *
 * Either may be killed and succeeded by another process at any instruction. What was not published is lost then, and
 * what was not released is read again: a frame is never torn. The one before may have moved its index and not have
 * notified. So whoever attaches publishes, or releases, before it first waits, with nothing new too: it is told to
 * notify then, always.
 */
#ifndef RING_FRAME_H
#define RING_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ring/netif.h>

#define FRAME_HEADER_SIZE  128u /* of the memory: indices */
#define FRAME_CAPACITY_MIN (1u << 17)
#define FRAME_CAPACITY_MAX (1u << 28)
#define FRAME_LENGTH_MAX   NETIF_RX_LENGTH_MAX
#define FRAME_OVERHEAD     12u /* bytes of a frame's record beside the frame, which is padded to a multiple of 4 */

struct frame_shared; /* layout in src/frame.c */

/* Embedded by its user, the fields private; so is that of the consumer. */
struct frame_producer {
    struct frame_shared *shared;
    uint32_t capacity;  /* bytes, a power of two */
    uint32_t head;      /* written so far */
    uint32_t published; /* of these, what the consumer may read */
    uint32_t tail_seen; /* the consumer's index when last looked at, checked */
    bool owed;          /* an event, whoever sleeps */
};

struct frame_consumer {
    struct frame_shared *shared;
    uint32_t capacity;
    uint32_t tail;      /* read so far */
    uint32_t released;  /* of these, what the producer may overwrite */
    uint32_t head_seen; /* the producer's index when last looked at, checked */
    bool owed;          /* an event, whoever sleeps */
};

/* Bytes of memory for a ring of this capacity: a power of two from FRAME_CAPACITY_MIN to FRAME_CAPACITY_MAX. */
size_t frame_size(uint32_t capacity);

/* Makes an empty ring with its indices at `start`, a multiple of 4 (0; other values test wrap-around), in memory of
 * frame_size(capacity) bytes, aligned to 64. Returns 0, or -EINVAL. */
int frame_format(void *memory, size_t size, uint32_t capacity, uint32_t start);

/* Takes up one end of a ring where it, or the process before, left off. Returns 0; -EINVAL for an impossible size;
 * -EPROTO for impossible indices. */
int frame_producer_attach(struct frame_producer *producer, void *memory, size_t size, uint32_t capacity);
int frame_consumer_attach(struct frame_consumer *consumer, void *memory, size_t size, uint32_t capacity);

/* Writes one frame; meta->multicast is not carried. Returns 0; -ENOSPC when it does not fit now; -EMSGSIZE when it is
 * empty or above FRAME_LENGTH_MAX; -EPROTO. */
int frame_producer_put(struct frame_producer *producer, const struct netif_meta *meta, const void *frame,
                       uint32_t length);

/* Whether `frames` of them, of so many bytes together, fit now. Returns true for a broken ring too: put says what it is. */
bool frame_producer_fits(struct frame_producer *producer, uint32_t frames, uint32_t bytes);

/* Makes the frames written so far visible. Returns true when the consumer asked for an event, and the first time. */
bool frame_producer_publish(struct frame_producer *producer);

/* Asks for an event when a frame of this length, at most FRAME_LENGTH_MAX, fits. Returns true when it fits meanwhile.
 * What was written must be published, or its room never comes back. */
bool frame_producer_rearm(struct frame_producer *producer, uint32_t length);

/* Reads the next frame into `ret_frame`, of FRAME_LENGTH_MAX bytes. Returns 1; 0 when there is none; -EPROTO. */
int frame_consumer_get(struct frame_consumer *consumer, struct netif_meta *ret_meta, void *ret_frame,
                       uint32_t *ret_length);

/* Gives the room of the frames read so far back. Returns true when the producer asked for an event, and the first time. */
bool frame_consumer_release(struct frame_consumer *consumer);

/* Asks for an event with the next frame. Returns true when one came in meanwhile. */
bool frame_consumer_rearm(struct frame_consumer *consumer);

#endif

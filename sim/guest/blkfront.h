/* SPDX-License-Identifier: MIT */
/*
 * A block front end: its life through xenstore (blkfront_handshake.c), its rings and pages (blkfront.c).
 *
 * Requests are numbered by tags, 0..depth-1, each with pages of its own, granted as long as the front end exists: for data, and one for the list of
 * segments of an indirect request. What the back end may
 * never do (answer what was not asked, answer twice, name another operation, move its index too far) is a complaint, and ends the connection.
 */
#ifndef GUEST_BLKFRONT_H
#define GUEST_BLKFRONT_H

#include <stdbool.h>
#include <stdint.h>

#include <ring/blkif.h>
#include <ring/front.h>

#include "device.h"
#include "guest.h"

#define BLKFRONT_RING_PAGES_MAX (1u << BLKIF_RING_ORDER_MAX)
#define BLKFRONT_QUEUES_MAX     8u

struct xendev_channel;

/* Whose habits it has. */
enum blkfront_habit {
    BLKFRONT_LINUX,  /* waits for InitWait, one transaction, Initialised, and Connected once the back end is */
    BLKFRONT_MINIOS, /* one transaction that jumps to Connected, nothing read before */
    BLKFRONT_GRUB, /* single writes, Initialised for ever; ends by Closed at once, then Initialising for its successor */
};

struct blkfront_config {
    uint32_t devid;
    enum blkfront_habit habit;
    enum blkif_abi abi;
    unsigned queues; /* less when the back end offers less */
    unsigned order;  /* of the ring; less when the back end offers less */
    unsigned depth;  /* tags; less when the ring is smaller */
    unsigned pages;  /* of data for each tag */
    unsigned
        segments; /* most of a request: what the back end takes, if it offers more than BLKIF_DIRECT_SEGMENTS and this is more */
    bool persistent; /* promise to use the same grants for ever */
    bool racing; /* requests are rewritten while they are served: the low half of ids and the operation say nothing */
    uint64_t pause; /* nanoseconds without an answer that are told; 0: none */
};

/* What the back end said of itself. */
struct blkfront_disk {
    uint64_t sectors; /* of 512 bytes */
    uint32_t sector_size, physical_sector_size;
    bool read_only;
    bool flush, barrier, discard, discard_secure, persistent;
    uint32_t indirect_segments;
    uint32_t max_order;
    uint32_t max_queues;
};

struct blkfront_tag {
    uint64_t id;   /* of its request in flight, 0: none */
    uint64_t sent; /* when */
    uint8_t code;
};

struct blkfront_queue {
    struct blkfront *front;
    struct ring_front ring;
    void *pages;
    uint32_t refs[BLKFRONT_RING_PAGES_MAX];
    struct xendev_channel *channel;
    uint32_t port;
};

struct blkfront {
    struct device device;
    struct guest *guest;
    struct blkfront_config config;
    struct blkfront_disk disk;

    struct blkfront_queue queues[BLKFRONT_QUEUES_MAX]; /* queue_count of them; tag t uses queue t % queue_count */
    unsigned queue_count;                              /* on this connection; 0: none */
    unsigned ring_page_count;                          /* of each */

    uint8_t *data; /* tag t owns pages t * tag_pages onwards */
    uint32_t *data_refs;
    unsigned data_pages;
    unsigned tag_pages; /* config.pages, and the list's */

    struct blkfront_tag *tags;
    unsigned depth;    /* tags usable on this ring */
    unsigned segments; /* most of a request on this connection */
    unsigned in_flight;
    uint32_t serial;
    unsigned resizes;    /* seen while connected */
    uint64_t heard;      /* when the last answer came, or since when one is waited for */
    uint64_t longest;    /* nanoseconds: the longest time a request took */
    char complaint[160]; /* what the back end may never do, and did; "" if nothing */

    /* Its user: called from the loop for each response, and after the last one that was there. `drained` may send more. */
    void (*answered)(void *arg, unsigned tag, int16_t status);
    void (*drained)(void *arg);
    void *arg;
};

/* Makes the front end of an existing device directory, waiting for it to appear; connects nothing. Returns 0, or -errno after a message. */
int blkfront_open(struct blkfront *front, struct guest *guest, const struct blkfront_config *config);
void blkfront_close(struct blkfront *front);

/* ---- Life (blkfront_handshake.c). Each waits, and returns 0, or -errno after a message. ---------------------------------------- */

/* Brings the device from whatever state to Connected. -ECONNREFUSED when the back end gave up; `quiet` keeps that to itself. */
int blkfront_connect(struct blkfront *front, bool quiet);
/* Ends the connection as its habit is. Requests in flight are over when it returns, answered or not. */
int blkfront_disconnect(struct blkfront *front);
/* Lets go of the rings, saying nothing to the back end. */
void blkfront_drop_rings(struct blkfront *front);

/* ---- Requests. --------------------------------------------------------------------------------------------------------- */

/* The reference and address of one page of a tag. */
uint32_t blkfront_ref(const struct blkfront *front, unsigned tag, unsigned page);
void *blkfront_page(const struct blkfront *front, unsigned tag, unsigned page);

/* The page of a tag's list of segments: only with config.segments above BLKIF_DIRECT_SEGMENTS. */
uint32_t blkfront_list_ref(const struct blkfront *front, unsigned tag);
void *blkfront_list(const struct blkfront *front, unsigned tag);
/* Makes a read or write with segments of its own an indirect request for these, whose list is written to the tag's page. */
void blkfront_make_indirect(const struct blkfront *front, unsigned tag, struct blkif_message *message,
                            const struct blkif_segment *segments, unsigned count);

/* Puts a request on its ring; its id is filled in. The tag is free and the ring has room: both follow from `depth`. */
void blkfront_send(struct blkfront *front, unsigned tag, struct blkif_message *message);
/* Makes what was sent visible to the back end. */
void blkfront_kick(struct blkfront *front);
/* An event channel's handler: `arg` is its queue. */
void blkfront_fired(void *arg);
/* Nanoseconds the oldest request in flight is waiting. */
uint64_t blkfront_oldest(const struct blkfront *front);
/* Says what it is waiting for. */
void blkfront_say_stuck(const struct blkfront *front);

#endif

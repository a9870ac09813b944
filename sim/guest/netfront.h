/* SPDX-License-Identifier: MIT */
/*
 * A network front end: its life through xenstore (netfront_handshake.c), its queues, rings and pages (netfront.c), its control ring
 * (netfront_ctrl.c).
 *
 * A queue has a page for each slot of its transmit ring and of its receive ring, granted as long as the front end exists. A frame is copied into pages that
 * are free, cut where a page ends, or sooner when it is to fill more slots; what was received is handed to the user in one piece, and its pages are
 * posted again. What the back end may never do is a complaint, and ends the connection.
 */
#ifndef GUEST_NETFRONT_H
#define GUEST_NETFRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ring/netif.h>
#include <ring/netif_ctrl.h>
#include <ring/netif_front.h>

#include "device.h"
#include "guest.h"

#define NETFRONT_QUEUES_MAX 16u
#define NETFRONT_FRAME_MAX  NETIF_RX_LENGTH_MAX

struct xendev_channel;

/* Whose habits it has. */
enum netfront_habit {
    NETFRONT_LINUX,   /* waits for InitWait, one transaction, kicks, Connected */
    NETFRONT_WINDOWS, /* a whole close cycle first, and waits for each answer; one transaction, Connected */
    NETFRONT_IPXE,    /* through Closed to Initialising; single writes, Connected; no offloads */
    NETFRONT_BSD,     /* one transaction, Initialised, and Connected once the back end is; no offloads */
};

/* What it may agree to; a set, 1 << each. Whether a connection has it, the back end has its say too. */
enum netfront_feature {
    NETFRONT_SG,   /* frames of several slots, both ways */
    NETFRONT_GSO4, /* large TCP segments, both ways */
    NETFRONT_GSO6,
    NETFRONT_CSUM4, /* checksums left out, both ways */
    NETFRONT_CSUM6,
    NETFRONT_RX_NOTIFY, /* events tell of pages posted */
    NETFRONT_SPLIT,     /* an event channel for each direction */
    NETFRONT_MULTICAST, /* says which multicast addresses it wants */
    NETFRONT_CTRL,      /* a control ring, and the Toeplitz hash set up by it */
    NETFRONT_FEATURES
};
#define NETFRONT_HAS(set, feature) (((set) >> (feature)&1u) != 0)
const char *netfront_feature_name(enum netfront_feature feature); /* "gso4" */

/* What a habit agrees to by itself. */
unsigned netfront_habit_features(enum netfront_habit habit);

struct netfront_config {
    uint32_t devid;
    enum netfront_habit habit;
    unsigned features;   /* a set of enum netfront_feature */
    unsigned queues;     /* fewer when the back end offers fewer */
    unsigned rx_posted;  /* pages kept posted in each queue, 0..NETIF_RING_SLOTS */
    unsigned slots;      /* a frame is cut into so many pieces at least, if it has the bytes and may (SG) */
    uint32_t ring_start; /* all indices of data rings begin here; not 0 is no habit of anybody's */
    bool raw_tx;         /* the user puts slots of his own on the transmit rings, ids NETIF_RING_SLOTS and above */
    bool deaf;           /* what comes is not looked at, and so not answered: the user rewrites the rings */
    /* Called when the rings are made and nothing is written, and after our state is Connected, without waiting for the back end's. May be NULL. */
    void (*before_keys)(void *arg);
    void (*after_state)(void *arg);
};

struct netfront_queue {
    struct netfront *front;
    unsigned number;
    struct netif_front_tx tx;
    struct netif_front_rx rx;
    void *tx_ring, *rx_ring;
    uint32_t tx_ring_ref, rx_ring_ref;
    struct xendev_channel *tx_channel, *rx_channel; /* one and the same unless they are split */
    uint32_t tx_port, rx_port;

    uint8_t *tx_pages, *rx_pages; /* page n belongs to id n; shared as long as the front end exists */
    uint32_t tx_refs[NETIF_RING_SLOTS], rx_refs[NETIF_RING_SLOTS];
    uint16_t tx_free[NETIF_RING_SLOTS]; /* ids */
    unsigned tx_free_count;
    uint16_t rx_idle[NETIF_RING_SLOTS]; /* ids not posted */
    unsigned rx_idle_count;
};

struct netfront_counts {
    uint64_t tx_frames, tx_bytes, tx_errors, tx_dropped; /* errors: answered so; dropped: found no room */
    uint64_t rx_frames, rx_bytes, rx_errors;
    uint64_t rx_slots, rx_gso, rx_csum_blank, rx_hashed;
    uint64_t rx_hash_wrong; /* a hash, or the queue it led to, is not what was agreed on */
    uint64_t kicks, events;
};

struct netfront {
    struct device device;
    struct guest *guest;
    struct netfront_config config;
    unsigned offered;  /* by the back end, a set of enum netfront_feature */
    unsigned features; /* of this connection */
    struct netfront_queue *queues;
    unsigned queue_count;
    uint8_t mac[NETIF_ADDRESS_LEN];
    unsigned mtu;

    /* The control ring (netfront_ctrl.c). */
    struct ring_front ctrl;
    void *ctrl_ring, *ctrl_page;
    uint32_t ctrl_ring_ref, ctrl_page_ref, ctrl_port;
    struct xendev_channel *ctrl_channel;
    struct netif_hash hash; /* as agreed on */
    uint16_t ctrl_id;
    bool ctrl_answered;
    struct netif_ctrl_response ctrl_response;

    struct netfront_counts counts;
    char complaint[160]; /* what the back end may never do, and did; "" if nothing */

    /* Its user, called from the loop. Frames are only lent. `room`: transmit slots became free. May be NULL; frames are not put together
     * then, but counted. */
    void (*received)(void *arg, unsigned queue, const uint8_t *frame, uint32_t length, const struct netif_meta *meta);
    void (*room)(void *arg);
    void (*answered)(void *arg, unsigned queue, const struct netif_tx_response_slot *response); /* with raw_tx */
    void *arg;
    uint8_t frame[NETFRONT_FRAME_MAX]; /* the one being put together */
};

/* Makes the front end of an existing device directory, waiting for it to appear; connects nothing. Returns 0, or -errno after a message. */
int netfront_open(struct netfront *front, struct guest *guest, const struct netfront_config *config);
void netfront_close(struct netfront *front);

/* ---- Life (netfront_handshake.c). Each waits, and returns 0, or -errno after a message. -------------------------------- */

/* Brings the device from whatever state to Connected. -ECONNREFUSED when the back end gave up; `quiet` keeps that to itself. */
int netfront_connect(struct netfront *front, bool quiet);
/* Ends the connection as its habit is. */
int netfront_disconnect(struct netfront *front);

/* ---- Queues. ----------------------------------------------------------------------------------------------------------- */

/* Makes the rings and event channels of a connection of `count` queues, at most as many as were configured, and posts pages. Returns 0, or -errno
 * after a message. */
int netfront_make_queues(struct netfront *front, unsigned count);
void netfront_drop_queues(struct netfront *front);

/* Puts one frame on a queue's ring; NULL: one of what its pages hold. Returns 0; -ENOSPC when it does not fit now; -EMSGSIZE when this connection carries no frame so long. */
int netfront_send(struct netfront *front, unsigned queue, const uint8_t *frame, uint32_t length,
                  const struct netif_meta *meta);
/* Changes the filter of multicast addresses. Returns 0 or -ENOSPC. */
int netfront_multicast(struct netfront *front, bool add, const uint8_t address[NETIF_ADDRESS_LEN]);
/* Makes what was sent visible to the back end; `silent` keeps the event to itself. */
void netfront_kick(struct netfront *front, bool silent);
/* Waits until every slot is answered. Returns 0; -ETIMEDOUT; -ECONNRESET when the back end left or broke the protocol. */
int netfront_drain(struct netfront *front);
/* Transmit slots that wait for an answer. */
unsigned netfront_tx_waiting(const struct netfront *front);
/* The longest frame that can be sent. */
uint32_t netfront_tx_max(const struct netfront *front);
/* From now on keeps so many pages of each queue posted; those that are posted stay. */
void netfront_keep_posted(struct netfront *front, unsigned pages);
/* Notes what the back end did that it may never do. */
void netfront_complain(struct netfront *front, const char *what);

/* ---- The control ring (netfront_ctrl.c). ------------------------------------------------------------------------------- */

int netfront_make_ctrl(struct netfront *front);
void netfront_drop_ctrl(struct netfront *front);
/* Asks and waits. Returns 0 with the answer; -ETIMEDOUT or -ECONNRESET. */
int netfront_ctrl(struct netfront *front, enum netif_ctrl_type type, const uint32_t data[3],
                  struct netif_ctrl_response *ret_response);
/* Sets up the Toeplitz hash of a connection with a control ring: a key, and a mapping that spreads packets over all queues. Returns 0, or
 * -errno after a message. */
int netfront_set_hash(struct netfront *front);
/* Whether a frame's hash, or that it has none, and its queue are as agreed on. */
bool netfront_hash_is_right(const struct netfront *front, unsigned queue, const uint8_t *frame, uint32_t length,
                            const struct netif_meta *meta);

#endif

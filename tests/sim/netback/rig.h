/* SPDX-License-Identifier: MIT */
/*
 * netbackd's worker with nobody around it but this: a test plays its supervisor, its guest, and what is behind its port. Everything is done
 * in one process, on a simulated host, where a handle belongs to the domain that the environment names while it is opened.
 *
 * The guest takes answers and frames only when an event told it to look, and asks for the next event each time: so an event that is not sent is
 * a hang, which ends after a minute, saying what was waited for.
 */
#ifndef TESTS_SIM_NETBACK_RIG_H
#define TESTS_SIM_NETBACK_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include <netback/counters.h>
#include <netback/journal.h>
#include <ring/front.h>
#include <ring/netif_front.h>
#include <ring/offload.h>

struct xendev_channel;

/* One frame that came. */
struct got {
    struct netif_meta meta;
    uint32_t length;
    uint8_t bytes[NETIF_RX_LENGTH_MAX];
};

#define CARD_QUEUES 4u
#define RX_LOG      4096u

struct card_queue {
    struct card *card;
    struct netif_front_tx tx;
    struct netif_front_rx rx;
    uint8_t *tx_ring, *rx_ring;   /* one page each */
    uint8_t *tx_pages, *rx_pages; /* NETIF_RING_SLOTS of each, by id */
    uint32_t *tx_grefs, *rx_grefs;
    struct xendev_channel *channels[2]; /* the second: when split */
    uint32_t sent, answered, errors;    /* ids */
    uint32_t received;                  /* frames */
    uint32_t failed;                    /* frames that the back end could not write */
    uint32_t posted, taken;             /* slots */
    bool keep_posting;                  /* each slot that was taken at once */
    bool broken;                        /* the back end did what it may not */
    struct got last;
    uint32_t log[RX_LOG];                  /* the number in each frame, see frame_make() */
    void (*came)(const struct got *frame); /* NULL, or told of each frame */
};

/* A card: the front end's, and what its supervisor knows of it. Its connection can be changed before card_connect(). */
struct card {
    uint32_t devid;
    bool split;
    struct netback_order order;
    struct card_queue queues[CARD_QUEUES];
    int journal, state, counters_fd;
    const struct netback_counters *counters;
    int port[NETBACK_QUEUES_MAX]; /* the worker's */
    int far[NETBACK_QUEUES_MAX];  /* the other ends of a tap's */
    uint8_t *ctrl_ring;
    struct ring_front ctrl;
    struct xendev_channel *ctrl_channel;
    uint32_t ctrl_answers;
};

/* Fixtures of a group of tests: the host with the guest. */
int rig_open(void **state);
int rig_close(void **state);
/* Of a test: also one that failed leaves no worker. */
int rig_end_worker(void **state);

/* The guest's number. */
uint32_t rig_domid(void);

/* ---- The supervisor. ------------------------------------------------------------------------------------------------- */

/* Starts a worker and gives it the guest. `poll_time_us`: as in the message. */
void rig_start(uint32_t poll_time_us);
void rig_kill(void);
pid_t rig_worker(void);
/* Waits for its end. Returns the status as of waitpid(). */
int rig_wait(void);
/* Waits for a message; the descriptors are the caller's. */
void rig_hear(uint32_t type, struct netback_message *ret_message, int *ret_fds, unsigned *ret_count);
/* Greets, as another supervisor would: what was said before is forgotten. */
void rig_greet(uint32_t order);

/* A card with a port of that kind, not connected. */
void card_make(uint32_t devid, enum netback_port port, unsigned queues, struct card *ret_card);
void card_free(struct card *card);
/* Tells the worker to connect, and waits for its answer, which is returned: 0 or -errno. */
int card_connect(struct card *card, bool recover, bool crashed);
void card_disconnect(struct card *card);
void card_tune(struct card *card);

/* ---- The guest. ------------------------------------------------------------------------------------------------------ */

/* Makes an Ethernet frame with a number in it: IPv4 and TCP from `flow`, the checksum filled in, or, with `blank`, not. At least 64 bytes. */
void frame_make(uint8_t *bytes, uint32_t length, uint32_t number, uint16_t flow, bool blank);
uint32_t frame_number(const uint8_t *bytes);

/* Sends in pieces of `piece` bytes at most; false when the ring has no room. */
bool card_send(struct card *card, unsigned queue, const uint8_t *bytes, uint32_t length, uint32_t piece,
               const struct netif_meta *meta);
/* Whether all was answered. */
bool card_is_answered(const struct card *card);
/* Posts pages that are not posted. */
void card_post(struct card *card, unsigned queue, uint32_t count);

/* ---- The other end of the port. -------------------------------------------------------------------------------------- */

/* Reads a frame, if there is one, as a tap's reader would. */
bool far_read(struct card *card, unsigned queue, struct got *ret_got, struct offload_virtio *ret_header);
/* Returns false when the port does not take it now. */
bool far_write(struct card *card, unsigned queue, const uint8_t *bytes, uint32_t length,
               const struct offload_virtio *header);

/* ---- Waiting. -------------------------------------------------------------------------------------------------------- */

/* Runs the loop until `done` says so. */
void rig_until(const char *what, bool (*done)(void *arg), void *arg);
/* Runs the loop once. */
void rig_step(void);

#endif

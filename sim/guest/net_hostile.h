/* SPDX-License-Identifier: MIT */
/*
 * A hostile guest on a network device: a table of cases, each doing what a guest must get away with nothing for, each ending with a frame that is taken.
 *
 * Slots are put on the transmit ring one by one, as no driver would. Their ids are above those of the front end's own frames; each must be answered
 * once. The pages from HOSTILE_PAGE on are theirs.
 */
#ifndef GUEST_NET_HOSTILE_H
#define GUEST_NET_HOSTILE_H

#include "net.h"
#include "random.h"

#define HOSTILE_PAGE \
    128u /* of the first queue's transmit pages: a good frame stands at the beginning of each from here on */
#define HOSTILE_PAGES    64u
#define HOSTILE_LENGTH   60u /* bytes of that frame */
#define HOSTILE_BAD_GREF 0x00ffffffu

enum net_hostile_result {
    HOSTILE_OK,
    HOSTILE_FAILED,
    HOSTILE_SKIPPED, /* this back end or host has not what the case is about */
};

struct net_hostile {
    struct net *net;
    struct netfront *front;
    struct netfront_config config; /* what every case starts with */
    struct random random;
    uint64_t count;        /* repetitions, in cases that repeat */
    uint64_t echoes_heard; /* of the peer */
    uint16_t next_id;      /* NETIF_RING_SLOTS and above */
    bool pending[UINT16_MAX + 1];
    unsigned pending_count; /* slots not answered, extras included */
    unsigned pending_extras;
    bool counting;         /* what answers say is not looked at */
    uint64_t okay, errors; /* answers since the case began */
    char seen[400];        /* what was observed */
};

struct net_hostile_case {
    const char *name;
    const char *purpose;
    enum net_hostile_result (*run)(struct net_hostile *hostile, const void *param);
    const void *param;
};

/* The cases, in the order in which they run; each table ends with an entry without a name. */
extern const struct net_hostile_case net_hostile_frame_cases[];
extern const struct net_hostile_case net_hostile_ring_cases[];
extern const struct net_hostile_case net_hostile_race_cases[];
extern const struct net_hostile_case net_hostile_receive_cases[];
extern const struct net_hostile_case net_hostile_ctrl_cases[];
extern const struct net_hostile_case net_hostile_store_cases[];
extern const struct net_hostile_case net_hostile_switch_cases[];

/* Adds to what was observed. */
void net_hostile_see(struct net_hostile *hostile, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A slot that names the good frame of a page: alone, or with NETIF_TX_MORE_DATA to be changed. */
struct netif_tx_request_slot net_hostile_slot(struct net_hostile *hostile, unsigned page, uint32_t size,
                                              unsigned flags);
/* Puts one on the ring, whatever it says. The ring must have room. */
void net_hostile_put(struct net_hostile *hostile, const struct netif_tx_request_slot *slot);
void net_hostile_put_extra(struct net_hostile *hostile, const struct netif_extra_slot *extra);
/* Makes them visible. */
void net_hostile_push(struct net_hostile *hostile);
/* Waits for an answer to each. Returns 0; -ECONNRESET when the back end left or broke the protocol; -ETIMEDOUT. */
int net_hostile_drain(struct net_hostile *hostile);

/* Waits until each is answered or the back end left. Returns 0 or -ETIMEDOUT. */
int net_hostile_settle(struct net_hostile *hostile);

/* Each returns whether it is so, and notes what was seen. */
bool net_hostile_is_served(
    struct net_hostile *hostile); /* a normal frame is taken; the peer, if one was named, answers an echo */
bool net_hostile_is_closed(
    struct net_hostile *hostile); /* the back end closes with a reason, and then serves a new life */
bool net_hostile_is_survived(struct net_hostile *hostile); /* one of the two */

/* Gives everything up and starts anew, whatever the state of both ends. Returns 0 or -errno. */
int net_hostile_restart(struct net_hostile *hostile);

#endif

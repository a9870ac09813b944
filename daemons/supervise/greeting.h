/* SPDX-License-Identifier: MIT */
/*
 * The greeting between a worker and a supervisor that did not start it. FROZEN: whatever else changes between versions, these packets, their
 * order and their meaning do not, so that every version can talk with every other about whether they understand each other.
 *
 *   supervisor                               worker
 *   connects to the guest's channel     ->
 *                                       <-   struct greeting, GREETING_HELLO: which versions it speaks
 *   struct greeting, GREETING_ADOPT     ->   from here on the channel is of that version (backend/protocol.h)
 *   or GREETING_DRAIN                   ->   takes no more requests, completes and publishes those in flight, marks each journal drained
 *                                            (ring/back.h), and ends. Says nothing more.
 *
 * A worker whose channel closes before it has ended, or to which a newer connection is made, serves on: it un-drains.
 */
#ifndef SUPERVISE_GREETING_H
#define SUPERVISE_GREETING_H

#include <stdint.h>

#define GREETING_MAGIC      UINT64_C(0x68676b6361626772) /* "rgbackgh" */
#define GREETING_BUILD_SIZE 96

enum greeting_order {
    GREETING_HELLO = 1, /* the worker's */
    GREETING_ADOPT = 2,
    GREETING_DRAIN = 3,
};

struct greeting {
    uint64_t magic;
    uint32_t size;                   /* of this struct */
    uint32_t order;                  /* enum greeting_order */
    uint32_t channel_version;        /* of all packets after the greeting, and of what is recorded for them */
    uint32_t journal_version;        /* ring_journal_version() */
    char build[GREETING_BUILD_SIZE]; /* the program's version, for people and for telling builds apart */
    uint8_t reserved[8];             /* 0 */
};

void greeting_make(enum greeting_order order, uint32_t channel_version, uint32_t journal_version, const char *build,
                   struct greeting *ret_greeting);
/* Whether it can have been meant: magic, size, a terminated text of printable characters. 0 or -EPROTO. */
int greeting_check(const struct greeting *greeting);

#endif

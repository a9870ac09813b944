/* SPDX-License-Identifier: MIT */
/*
 * Whether a guest takes what it is sent. Numbers in, decisions out.
 *
 * The clock runs from when a frame finds less room than it needs until one is given to the guest, or that much room is there. So a guest that posts
 * pages, but never enough of them, stalls; one that is sent nothing does not.
 */
#ifndef NETBACK_WORKER_STALL_H
#define NETBACK_WORKER_STALL_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed at first. */
struct stall {
    bool waiting;
    bool stalled;
    uint32_t need; /* slots, of the frame that waits or was the last to */
    uint64_t since_ns;
};

/* A frame finds no room for the slots it needs, or finds none still. */
void stall_wait(struct stall *stall, uint32_t need, uint64_t now_ns);
/* That many slots are there: whether that is enough. Returns true when the stall is over by it. */
bool stall_room(struct stall *stall, uint32_t room);
/* A frame was given to the guest. Returns as above. */
bool stall_given(struct stall *stall);
/* Returns true when the guest is held to have stalled from now on; `limit_ns` 0: never. */
bool stall_check(struct stall *stall, uint64_t limit_ns, uint64_t now_ns);

#endif

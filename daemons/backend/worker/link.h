/* SPDX-License-Identifier: MIT */
/*
 * A worker's link to its supervisor: the channel it was started with, and those of later supervisors, who greet first.
 */
#ifndef BACKEND_WORKER_LINK_H
#define BACKEND_WORKER_LINK_H

#include <stddef.h>
#include <stdint.h>

struct backend_head;
struct event_base;

#define LINK_MESSAGE_MAX 4096u

/* What it carries, and what its user is told, from the loop. */
struct link_user {
    uint32_t protocol_version; /* of the messages */
    size_t message_size;       /* LINK_MESSAGE_MAX at most */
    /* A message came; its descriptors are the user's from then on. */
    void (*message)(const struct backend_head *message, const int *fds, unsigned fd_count);
    /* A new supervisor takes us over: to be told what is held. */
    void (*adopted)(void);
    /* ...or wants us to drain and end. */
    void (*drain)(void);
    /* There is no supervisor, or not the one there was: what it had begun is off. */
    void (*alone)(void);
};

/* Follows the channel at CHANNEL_WORKER_FD. Returns 0 or -errno. */
int link_open(struct event_base *base, const struct link_user *user);
/* Accepts later supervisors at this socket; takes it over. Returns 0 or -errno. */
int link_listen(int listener);

/* Says it: `message_size` bytes that begin with this head, whose version is filled in; the descriptors stay the caller's. Nobody hears it when there is no supervisor. Returns 0, -EAGAIN when the supervisor does not keep
 * up, another -errno. */
int link_say(struct backend_head *message, const int *fds, unsigned fd_count);
/* Calls `writable` from the loop, once, when there is room again. Returns 0 or -errno. */
int link_await(void (*writable)(void));

#endif

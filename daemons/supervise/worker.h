/* SPDX-License-Identifier: MIT */
/*
 * Worker processes: started by fork and exec, with their end of a channel at CHANNEL_WORKER_FD and nothing else of ours; one spare is kept
 * ready, so that a guest whose worker died waits for no program to start.
 *
 * A worker is in a session of its own and no signal ties it to its supervisor: when the supervisor dies it serves on, and is adopted by the next
 * one, as whose worker it then counts. It is no child of that one: nobody can tell how it ended.
 */
#ifndef SUPERVISE_WORKER_H
#define SUPERVISE_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "channel.h"
#include "greeting.h"

struct event_base;
struct worker;
struct worker_pool;

/* What its user is told, from the loop. */
struct worker_user {
    /* An adopted worker has greeted, and expects worker_order(). */
    void (*greeted)(void *arg, const struct greeting *hello);
    /* A message came; its descriptors are the user's from then on. */
    void (*message)(void *arg, const void *message, const int *fds, unsigned fd_count);
    /* The process has ended: "killed by signal 11", "exited with status 1". The worker is freed on return. */
    void (*gone)(void *arg, const char *reason);
    void *arg;
};

struct worker_pool_params {
    const char *program; /* absolute path, of which only the name is used; copied */
    int program_fd; /* the program itself, so that a new one unpacked under that path does not get in; outlives the pool */
    size_t message_size; /* bytes of each message on the channel */
    /* A spare could not be started, or ended before it was needed; another one is tried later. */
    void (*trouble)(void *arg, const char *reason);
    void *arg;
};

/* Starts the first spare. Returns 0 or -errno. */
int worker_pool_new(struct event_base *base, const struct worker_pool_params *params, struct worker_pool **ret_pool);
/* Ends the spare; workers in use are freed, their processes serve on. Takes NULL. */
void worker_pool_free(struct worker_pool *pool);

/* Hands out the spare, or a process started now, and starts the next spare soon. Returns 0 or -errno. */
int worker_take(struct worker_pool *pool, const struct worker_user *user, struct worker **ret_worker);

/* Workers are started with this argument from now on (a static string; NULL: none): one that is handed out has it. */
void worker_pool_set_argument(struct worker_pool *pool, const char *argument);
/* The one it was started with; NULL, too, when that was by an earlier supervisor. */
const char *worker_argument(const struct worker *worker);

/* Takes over a process of an earlier supervisor, known by its pidfd, over a connection to its channel (-1: it cannot be reached, only killed).
 * Takes both descriptors over. `greeted` or `gone` follows. Returns 0 or -errno. */
int worker_adopt(struct worker_pool *pool, pid_t pid, int pidfd, int channel, const struct worker_user *user,
                 struct worker **ret_worker);
/* Answers the greeting of an adopted worker. After GREETING_DRAIN nothing it says is listened to, and `gone` follows. */
void worker_order(struct worker *worker, const struct greeting *order);
bool worker_is_adopted(const struct worker *worker);

/* As channel_send(), with the pool's message size. */
int worker_send(struct worker *worker, const void *message, const int *fds, unsigned fd_count);
/* Kills the process; `gone` follows from the loop, with `why` for its reason if that is not NULL (a static string). No message follows. */
void worker_kill(struct worker *worker, const char *why);
pid_t worker_pid(const struct worker *worker);
/* In `gone`: whether it ended by its own doing, by the signal of a crash or with an exit status that is none of success. */
bool worker_crashed(const struct worker *worker);

/* ---- Not to restart in a tight circle. --------------------------------------------------------------------------------- */

/* A worker that lived less than this died "early". */
#define WORKER_EARLY_MS 100
/* How long to wait before its successor starts: nothing for the first few early deaths in a row, then doubling up to the maximum. */
#define WORKER_EARLY_FREE   3u
#define WORKER_DELAY_MIN_MS 20
#define WORKER_DELAY_MAX_MS 1000

struct worker_backoff {
    unsigned early_deaths; /* in a row */
};
/* Accounts a death after `lived_ms`; returns the milliseconds to wait. */
int64_t worker_backoff_delay(struct worker_backoff *backoff, int64_t lived_ms);

#endif

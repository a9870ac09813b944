/* SPDX-License-Identifier: MIT */
/*
 * A thread for each errand. It shares nothing with the loop but its end of a socket: the outcome, with the descriptor, is a packet. So a
 * cancelled errand needs no handshake: when our end is closed, sending fails, or the kernel closes the descriptor in a packet that nobody took.
 */
#include "errand.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include <supervise/channel.h>

struct errand {
    struct event *event;
    int channel;
    errand_done done;
    void *arg;
};

/* The thread's. */
struct task {
    int channel;
    const struct errand_work *work;
    void *job;
};

/* One packet, maybe with a descriptor. */
struct outcome {
    int result;
    int has_fd;
    struct disk_error error;
};

/* ---- The thread. ---------------------------------------------------------------------------------------------------------- */

static void free_task(struct task *task)
{
    task->work->free(task->job);
    free(task);
}

static void *run(void *arg)
{
    struct task *task = arg;
    struct outcome outcome = {0};
    int fd = -1;

    outcome.result = task->work->run(task->job, &fd, &outcome.error);
    outcome.has_fd = fd >= 0;
    if (channel_send(task->channel, &outcome, sizeof(outcome), &fd, fd < 0 ? 0 : 1) < 0 && outcome.result == 0 &&
        task->work->undo != NULL)
        task->work->undo(task->job);
    if (fd >= 0)
        close(fd);
    close(task->channel);
    free_task(task);
    return NULL;
}

/* Runs the task; its channel and itself are the thread's from then on. Returns 0 or -errno. */
static int start_thread(struct task *task)
{
    sigset_t all, before;
    pthread_t thread;
    int err;

    sigfillset(&all); /* signals are the loop's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = -pthread_create(&thread, NULL, run, task);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err < 0)
        return err;
    pthread_detach(thread);
    return 0;
}

/* ---- The loop. ------------------------------------------------------------------------------------------------------------ */

static void on_outcome(evutil_socket_t channel, short what, void *arg)
{
    struct errand *errand = arg;
    const errand_done done = errand->done;
    void *const done_arg = errand->arg;
    struct outcome outcome;
    int fds[CHANNEL_FDS_MAX];
    unsigned fd_count = 0;

    (void)what;
    /* A packet of ours is there, whole; only descriptors may not have got through. */
    if (channel_receive(channel, &outcome, sizeof(outcome), fds, &fd_count) != sizeof(outcome) ||
        (outcome.has_fd != 0 && fd_count != 1))
        outcome = (struct outcome){.result = -EMFILE, .error = {"too many files are open"}};
    errand_cancel(errand);
    done(done_arg, outcome.result, outcome.has_fd != 0 ? fds[0] : -1, &outcome.error);
}

/* Takes the task over, without a channel yet. */
static int start(struct event_base *base, struct task *task, errand_done done, void *arg, struct errand **ret_errand)
{
    struct errand *errand = malloc(sizeof(*errand));
    int pair[2];
    int err = -ENOMEM;

    if (errand == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        err = errand == NULL ? err : -errno;
        free_task(task);
        free(errand);
        return err;
    }
    task->channel = pair[1];
    *errand = (struct errand){.channel = pair[0], .done = done, .arg = arg};
    errand->event = event_new(base, errand->channel, EV_READ, on_outcome, errand);
    if (errand->event != NULL && event_add(errand->event, NULL) == 0)
        err = start_thread(task);
    if (err < 0) {
        close(pair[1]);
        free_task(task);
        errand_cancel(errand);
        return err;
    }
    *ret_errand = errand;
    return 0;
}

int errand_start(struct event_base *base, const struct errand_work *work, void *job, errand_done done, void *arg,
                 struct errand **ret_errand)
{
    struct task *task = malloc(sizeof(*task));

    if (task == NULL) {
        work->free(job);
        return -ENOMEM;
    }
    *task = (struct task){.work = work, .job = job};
    return start(base, task, done, arg, ret_errand);
}

void errand_cancel(struct errand *errand)
{
    if (errand == NULL)
        return;
    if (errand->event != NULL)
        event_free(errand->event);
    close(errand->channel);
    free(errand);
}
